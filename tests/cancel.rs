//! A query that nobody waits for any more stops reading.

use std::sync::Arc;
use std::time::{Duration, Instant};

use journeyql::engine::Engine;
use tokio::time::{sleep, timeout};

use crate::native::{Hit, Rules, stage};
use crate::stage::{rows, wait};

/// Whoever reads holds the parts.
fn holders(engine: &Engine) -> usize {
    engine.source().parts().iter().map(Arc::strong_count).sum()
}

/// Starts the query, goes away after a moment, and says how long its readers went on.
async fn abandoned(engine: &Engine, sql: &str) -> Duration {
    let idle = holders(engine);
    let mut answer = engine.query(sql).await.unwrap();
    let _ = timeout(Duration::from_millis(20), answer.next()).await;
    assert!(holders(engine) > idle, "it was done before it could be left: {sql:.80}");
    let left = Instant::now();
    drop(answer);
    while holders(engine) > idle {
        assert!(left.elapsed() < Duration::from_mins(1), "it goes on: {sql:.80}");
        sleep(Duration::from_millis(1)).await;
    }
    left.elapsed()
}

#[test]
fn a_query_that_is_left_stops_its_readers() {
    let byte = |number: u32| u8::try_from(number).unwrap();
    let hits: Vec<Hit> = (0..60_000_u32).map(|at| (at % 30_000, byte(at % 251), byte(at / 7 % 5), 0)).collect();
    let stage = stage(Rules { gap_minutes: 30, collapse: true, honour: true, end_events: false }, &[&hits]);
    let engine = stage.engine();
    for once in [
        "SELECT step, count(*) FROM steps GROUP BY step",
        "SELECT step, units FROM funnel('/a', '/b', '/c')",
        "SELECT user_id, session_id FROM sessions WHERE events > 1000000",
    ] {
        let often = vec![once; 30].join(" UNION ALL ");
        // On a busy machine one try says little; readers that never hear of it go on in every one.
        let soon = || {
            let began = Instant::now();
            wait(rows(&engine, &often)).unwrap();
            let whole = began.elapsed();
            wait(abandoned(&engine, &often)) < whole / 3
        };
        assert!((0..20).any(|_| soon()), "its readers go on: {once}");
    }
    // Nobody takes these rows, so their readers wait to be rid of them.
    for endless in ["SELECT * FROM steps", "SELECT * FROM events"] {
        wait(abandoned(&engine, endless));
    }
}
