//! Funnels and paths: the algorithm alone, and the aggregate on a table in memory.
//!
//! `cargo bench --bench funnel`

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use datafusion::datasource::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use journeyql::journey::funnel::{Chains, Entry, Levels, Mode, Modes, Rules, Ties};

const EVENTS: usize = 400_000;
const PER_PERSON: usize = 40;
const PAGES: [&str; 8] = ["/", "/search", "/product/1", "/product/2", "/cart", "/checkout", "/thanks", "/help"];

/// Page numbers that look random and are the same every time.
fn pages() -> impl Iterator<Item = usize> {
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    std::iter::repeat_with(move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 33) as usize % PAGES.len()
    })
}

fn algorithm(criterion: &mut Criterion) {
    let ts: Vec<i64> = (0..EVENTS).map(|at| i64::try_from(at % PER_PERSON).unwrap() * 60).collect();
    let masks: Vec<u64> = pages().take(EVENTS).map(|page| if page < 4 { 1 << page } else { 0 }).collect();
    let mut group = criterion.benchmark_group("levels");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for (name, modes, ties) in [
        ("window_funnel", &[][..], Ties::Any),
        ("strict_once", &[Mode::StrictOnce], Ties::Any),
        ("strict_increase", &[Mode::StrictIncrease], Ties::Any),
        ("strict_deduplication", &[Mode::StrictDeduplication], Ties::Any),
        ("strict_order", &[Mode::StrictOrder], Ties::Any),
        ("funnel", &[Mode::StrictOnce], Ties::Order),
    ] {
        let modes = modes.iter().fold(Modes::default(), |all, &mode| all.with(mode));
        let rules = Rules::new(4, 1_200, modes).unwrap().ties(ties).entry(Entry::Any).unwrap();
        let mut levels = Levels::new(rules);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                ts.chunks(PER_PERSON)
                    .zip(masks.chunks(PER_PERSON))
                    .map(|(ts, masks)| levels.run(ts, masks))
                    .sum::<usize>()
            });
        });
    }
    let rules = Rules::new(4, 1_200, Modes::default().with(Mode::StrictOnce)).unwrap().ties(Ties::Order);
    let (mut levels, mut chains, mut chain) = (Levels::new(rules.clone()), Chains::new(rules), Vec::new());
    group.bench_function("funnel with its chain", |bencher| {
        bencher.iter(|| {
            for (ts, masks) in ts.chunks(PER_PERSON).zip(masks.chunks(PER_PERSON)) {
                chain.clear();
                let length = levels.run(ts, masks);
                chains.find(ts, masks, length, &mut chain);
                black_box(&chain);
            }
        });
    });
    group.finish();
}

fn aggregate(criterion: &mut Criterion) {
    let users: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..EVENTS).map(|at| format!("user{}", at / PER_PERSON))));
    let ts: ArrayRef =
        Arc::new(Int64Array::from_iter_values((0..EVENTS).map(|at| i64::try_from(at % PER_PERSON).unwrap() * 60)));
    let page: ArrayRef = Arc::new(StringArray::from_iter_values(pages().take(EVENTS).map(|page| PAGES[page])));
    let batch = RecordBatch::try_from_iter([("who", users), ("ts", ts), ("page", page)]).unwrap();
    let mut state = SessionStateBuilder::new()
        .with_config(SessionConfig::new().with_target_partitions(1))
        .with_default_features()
        .build();
    journeyql::engine::functions::register(&mut state).unwrap();
    let context = SessionContext::new_with_state(state);
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
    context.register_table("hits", Arc::new(table)).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("aggregates");
    group.sample_size(10).throughput(Throughput::Elements(EVENTS as u64));
    for (name, outer, call) in [
        ("window_funnel", "n", "window_funnel(1200, ts, page = '/', page = '/search', page = '/cart')"),
        ("path_agg", "cardinality(n)", "path_agg(page, ts)"),
    ] {
        let sql = format!("SELECT sum({outer}) FROM (SELECT {call} AS n FROM hits GROUP BY who)");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                runtime.block_on(async {
                    let plan = context.state().create_logical_plan(&sql).await.unwrap();
                    context.execute_logical_plan(plan).await.unwrap().collect().await.unwrap()
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, algorithm, aggregate);
criterion_main!(benches);
