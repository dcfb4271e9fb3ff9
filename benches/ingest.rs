//! Bytes a second from a file to a commit, over the days of a busy shop; a fresh store every time.

#![expect(clippy::expect_used, reason = "a bench that cannot make its folder must stop")]

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use journeyql::config::Config;
use journeyql::ingest::{IngestOptions, Quiet, ingest};
use journeyql::store::Store;

const LINES: u64 = 200_000;
const PAGES: [&str; 6] = ["/", "/search?q=shoes", "/product/48213", "/product/7/reviews", "/cart", "/checkout"];

/// A number that looks random, the same in every run.
fn mixed(seed: u64) -> u64 {
    (seed ^ (seed >> 13)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
}

fn page(line: u64) -> &'static str {
    PAGES[usize::try_from(mixed(line) % 6).unwrap_or_default()]
}

/// Three days of requests in order of time.
fn combined() -> String {
    let mut text = String::new();
    for line in 0..LINES {
        let (page, user, second) = (page(line), mixed(line + 2) % 20_000, line * 259_200 / LINES);
        let (day, hour, minute, second) = (5 + second / 86_400, second / 3_600 % 24, second / 60 % 60, second % 60);
        let _ = writeln!(
            text,
            "10.{}.{}.7 - u{user:06} [{day:02}/Jan/2026:{hour:02}:{minute:02}:{second:02} +0000] \"GET {page} HTTP/1.1\" \
             200 {} \"https://shop.example{page}\" \"Mozilla/5.0 (X11; Linux x86_64; rv:{}.0) Gecko/20100101\"",
            user % 256,
            user / 256,
            200 + line % 5_000,
            100 + user % 40
        );
    }
    text
}

fn ndjson(with_ids: bool) -> String {
    let mut text = String::new();
    for line in 0..LINES {
        let (page, user, second) = (page(line), mixed(line + 2) % 20_000, line * 259_200 / LINES);
        let (day, hour, minute, second) = (5 + second / 86_400, second / 3_600 % 24, second / 60 % 60, second % 60);
        let id = if with_ids {
            format!("\"event_id\":\"{:016x}\",", line.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        } else {
            String::new()
        };
        let _ = writeln!(
            text,
            "{{\"ts\":\"2026-01-{day:02}T{hour:02}:{minute:02}:{second:02}.5Z\",{id}\"user_id\":\"u{user:06}\",\
             \"event\":\"view\",\"page\":\"{page}\",\"props\":{{\"v\":{}}}}}",
            user % 17
        );
    }
    text
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ingest");
    group.sample_size(10);
    let texts = [
        ("combined", "combined", combined()),
        ("ndjson", "ndjson", ndjson(false)),
        ("ndjson_event_ids", "ndjson", ndjson(true)),
    ];
    for (name, format, text) in texts {
        group.throughput(Throughput::Bytes(text.len() as u64));
        let place = tempfile::tempdir().expect("a temporary folder");
        let input = place.path().join("input");
        #[expect(clippy::disallowed_methods, reason = "the bench makes its own input file")]
        std::fs::write(&input, text).expect("room for the input");
        let options = IngestOptions {
            inputs: vec![input.display().to_string()],
            format: format.to_owned(),
            ..IngestOptions::default()
        };
        let store = || {
            let dir = tempfile::tempdir().expect("a temporary folder");
            let store = Store::create(&dir.path().join("store")).expect("a store");
            (dir, store)
        };
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                store,
                |(dir, store)| {
                    black_box(ingest(&store, &Config::default(), &options, &mut Quiet).expect("an ingest"));
                    dir
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
