//! Every view, and every function that reads events, over the days of a shop.
//!
//! `cargo bench --bench answers [-- NAME]`; the table functions run the example of their documentation.

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use journeyql::config::Config;
use journeyql::database::{Database, Options, functions};
use journeyql::demo::{Plan, access_log};
use journeyql::ingest::Quiet;
use tokio::runtime::Runtime;

const LINES: u64 = 200_000;

/// Of the functions that are no tables, a call by person or session.
const CALLS: &[(&str, &str)] = &[
    ("window_funnel", "window_funnel(INTERVAL '7 days', ts, page = '/', page = '/cart', page = '/thanks')"),
    ("window_funnel_events", "cardinality(window_funnel_events(INTERVAL '7 days', ts, page = '/', page = '/cart'))"),
    ("sequence_match", "CAST(sequence_match('(?1).*(?2)', ts, page = '/', page = '/cart') AS BIGINT)"),
    ("sequence_count", "sequence_count('(?1).*(?2)', ts, page = '/', page = '/cart')"),
    ("sequence_match_events", "cardinality(sequence_match_events('(?1).*(?2)', ts, page = '/', page = '/cart'))"),
    ("sequence_next_node", "length(sequence_next_node('forward', 'head', ts, page, NULL, page = '/'))"),
    ("retention", "cardinality(retention(page = '/', page = '/cart'))"),
    ("path_agg", "cardinality(path_agg(page, ts))"),
];

/// Whole statements.
const STATEMENTS: &[(&str, &str)] = &[
    ("sessionize", "SELECT sessionize(ts, INTERVAL '30 minutes') OVER (PARTITION BY user_id ORDER BY ts) FROM steps"),
    (
        "MATCH_RECOGNIZE",
        "SELECT * FROM steps MATCH_RECOGNIZE (PARTITION BY user_id ORDER BY ts MEASURES FIRST(A.ts) AS since
         ONE ROW PER MATCH AFTER MATCH SKIP PAST LAST ROW PATTERN (A B* C)
         DEFINE A AS page = '/', B AS page <> '/cart', C AS page = '/cart')",
    ),
];

/// What is asked: a name and SQL.
fn questions(database: &Database, runtime: &Runtime) -> Vec<(String, String)> {
    let views = runtime.block_on(async { database.session().relations() }).unwrap();
    let views = views.into_iter().map(|it| (format!("view {}", it.name), format!("SELECT * FROM {}", it.name)));
    let tables = functions().iter().filter(|doc| doc.kind.contains("table"));
    let tables = tables.map(|doc| (doc.name.to_owned(), doc.example.to_owned()));
    let by_person = CALLS.iter().map(|(name, call)| {
        ((*name).to_owned(), format!("SELECT sum(n) FROM (SELECT {call} AS n FROM steps GROUP BY user_id)"))
    });
    let statements = STATEMENTS.iter().map(|(name, sql)| ((*name).to_owned(), (*sql).to_owned()));
    views.chain(tables).chain(by_person).chain(statements).collect()
}

fn answers(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let plan = Plan { lines: LINES, days: 31, seed: 1 };
    let mut lines = Vec::new();
    access_log(&plan, &mut lines).unwrap();
    #[expect(clippy::disallowed_methods, reason = "an input of the bench, not a file of the store")]
    std::fs::write(&log, lines).unwrap();
    let rules = Config::parse("[journey]\nterminal_pages = [\"/thanks\"]\n").unwrap();
    let options = Options { config: Some(Arc::new(rules)), now: None };
    let database = Database::create(&dir.path().join("store"), options).unwrap();
    let inputs = database.ingest_options(vec![log.display().to_string()], "auto".to_owned(), Arc::default());
    database.ingest(&inputs, &mut Quiet).unwrap();

    let runtime = Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("answers");
    group.sample_size(10).throughput(Throughput::Elements(LINES));
    for (name, sql) in questions(&database, &runtime) {
        let mut session = database.session();
        group.bench_function(name, |bencher| {
            bencher.iter(|| runtime.block_on(async { session.query(&sql).await.unwrap().collect().await.unwrap() }));
        });
    }
    group.finish();
}

criterion_group!(benches, answers);
criterion_main!(benches);
