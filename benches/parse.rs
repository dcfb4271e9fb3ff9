//! Bytes a second of the parsers on one core, over lines like those of a busy shop.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use journeyql::config::Config;
use journeyql::parse::{Choice, Outcome, choose};

#[path = "parse_lines.rs"]
mod lines;

fn parsers(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    group.sample_size(20);
    for (name, format, text, config) in lines::cases() {
        let config = Config::parse(config).unwrap_or_default();
        let Ok(Choice::Text(mut chosen)) = choose(format, text.as_bytes(), &config) else { continue };
        let mut scratch = Vec::new();
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut events = 0_u64;
                let mut rest = text.as_bytes();
                while let Some(end) = memchr::memchr(b'\n', rest) {
                    let outcome = chosen.parser.parse(&rest[..end], &mut scratch);
                    events += u64::from(matches!(black_box(&outcome), Outcome::Event(_)));
                    rest = &rest[end + 1..];
                }
                assert!(events >= lines::LINES - 1);
                events
            });
        });
    }
    group.finish();
}

criterion_group!(benches, parsers);
criterion_main!(benches);
