//! A query that nobody waits for any more stops reading.

use std::sync::Arc;
use std::time::{Duration, Instant};

use journeyql::engine::{Engine, EngineOptions};
use tokio::select;
use tokio::time::{sleep, timeout};

use crate::native::{Hit, Rules, stage};
use crate::stage::{Stage, rows, wait};

/// Whoever reads holds the parts.
fn holders(engine: &Engine) -> usize {
    engine.source().parts().iter().map(Arc::strong_count).sum()
}

/// How long the reading takes, without the planning.
async fn read_whole(engine: &Engine, sql: &str) -> Duration {
    let answer = engine.query(sql).await.unwrap();
    let began = Instant::now();
    answer.collect().await.unwrap();
    began.elapsed()
}

/// Starts the query, goes away when it has been read for so long, and says how long the readers went on;
/// nothing if they were done before they could be left.
async fn abandoned(engine: &Engine, sql: &str, read_for: Duration) -> Option<Duration> {
    let idle = holders(engine);
    let mut answer = engine.query(sql).await.unwrap();
    let begun = async {
        while holders(engine) == idle {
            sleep(Duration::from_micros(100)).await;
        }
        sleep(read_for).await;
    };
    select! {
        biased;
        () = begun => {}
        row = answer.next() => drop(row),
    }
    if holders(engine) == idle {
        return None;
    }
    let left = Instant::now();
    drop(answer);
    while holders(engine) > idle {
        assert!(left.elapsed() < Duration::from_mins(1), "it goes on: {sql:.80}");
        sleep(Duration::from_millis(1)).await;
    }
    Some(left.elapsed())
}

#[test]
fn a_query_that_is_left_stops_its_readers() {
    let byte = |number: u32| u8::try_from(number).unwrap();
    let hits: Vec<Hit> = (0..400_000_u32).map(|at| (at % 30_000, byte(at % 251), byte(at / 7 % 5), 0)).collect();
    let stage = stage(Rules { gap_minutes: 30, collapse: true, honour: true, end_events: false }, &[&hits]);
    let engine = stage.engine();
    for once in [
        "SELECT step, count(*) FROM steps GROUP BY step",
        "SELECT step, units FROM funnel('/a', '/b', '/c')",
        "SELECT user_id, session_id FROM sessions WHERE events > 1000000",
    ] {
        let often = [once; 4].join(" UNION ALL ");
        // On a busy machine one try says little; readers that never hear of it go on in every one.
        let soon = || {
            let whole = wait(read_whole(&engine, &often));
            wait(abandoned(&engine, &often, whole / 8)).is_some_and(|after| after < whole / 3)
        };
        assert!((0..20).any(|_| soon()), "its readers go on: {once}");
    }
    // Nobody takes these rows, so their readers wait to be rid of them.
    for endless in ["SELECT * FROM steps", "SELECT * FROM events"] {
        assert!(
            (0..20).any(|_| wait(abandoned(&engine, endless, Duration::ZERO)).is_some()),
            "it was never left: {endless}"
        );
    }
}

/// Two writers into one spill file each, and a reader that looked at the older one alone, waited for each other.
#[test]
fn a_query_that_needs_more_memory_than_it_has_ends() {
    let stage = Stage::new("", &[]);
    let engine = Engine::new(EngineOptions { memory_bytes: 64 << 20, ..stage.options() }).unwrap();
    let sql = "SELECT g, count(DISTINCT t) FROM (
        SELECT value % 3 AS g, repeat(CAST(value AS VARCHAR), 36) AS t FROM generate_series(1, 300000)
    ) AS many GROUP BY g ORDER BY g";
    let mut answers = 0;
    for _ in 0..6 {
        let answer = wait(async { timeout(Duration::from_mins(1), rows(&engine, sql)).await });
        match answer.expect("it waits for ever") {
            Ok(rows) => {
                assert_eq!(rows, [["0", "100000"], ["1", "100000"], ["2", "100000"]]);
                answers += 1;
            }
            Err(error) => assert!(error.message.contains("memory"), "{error:?}"),
        }
    }
    assert!(answers > 0, "no memory for any of them");
}
