//! The aggregates must not care how rows are spread, split and merged.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use datafusion::datasource::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use proptest::prelude::*;

use super::fixture::run;
use super::register;
use crate::journey::funnel::{Levels, Mode, Modes, Rules};

/// Person, time, and which of three conditions are met.
type Event = (u8, i64, u64);

fn batch(events: &[Event]) -> RecordBatch {
    let met = |bit: u32| -> ArrayRef {
        Arc::new(BooleanArray::from(events.iter().map(|event| event.2 >> bit & 1 == 1).collect::<Vec<_>>()))
    };
    let users: ArrayRef = Arc::new(StringArray::from_iter_values(events.iter().map(|event| event.0.to_string())));
    let ts: ArrayRef = Arc::new(Int64Array::from_iter_values(events.iter().map(|event| event.1)));
    let label: ArrayRef = Arc::new(StringArray::from_iter_values(events.iter().map(|event| event.2.to_string())));
    RecordBatch::try_from_iter([
        ("who", users),
        ("ts", ts),
        ("c1", met(0)),
        ("c2", met(1)),
        ("c3", met(2)),
        ("label", label),
    ])
    .unwrap()
}

/// A context in which the events lie in `pieces` and partial aggregation is given up at once, or never.
fn context(events: &[Event], pieces: usize, skip_partial: bool) -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(3).with_batch_size(4);
    if skip_partial {
        config = config
            .set_usize("datafusion.execution.skip_partial_aggregation_probe_rows_threshold", 1)
            .set("datafusion.execution.skip_partial_aggregation_probe_ratio_threshold", &0.0.into());
    }
    let mut state = SessionStateBuilder::new().with_config(config).with_default_features().build();
    register(&mut state).unwrap();
    let context = SessionContext::new_with_state(state);
    let schema = batch(&[]).schema();
    let size = events.len().div_ceil(pieces).max(1);
    let mut parts: Vec<Vec<RecordBatch>> =
        events.chunks(size).map(|piece| piece.chunks(5).map(batch).collect()).collect();
    parts.push(Vec::new());
    context.register_table("hits", Arc::new(MemTable::try_new(schema, parts).unwrap())).unwrap();
    context
}

fn levels(context: &SessionContext, modes: &str) -> Vec<(String, i64)> {
    let sql = format!("SELECT who, window_funnel(5, {modes} ts, c1, c2, c3) FROM hits GROUP BY who");
    let plan = async {
        let plan = context.state().create_logical_plan(&sql).await?;
        context.execute_logical_plan(plan).await?.collect().await
    };
    let batches = tokio::runtime::Runtime::new().unwrap().block_on(plan).unwrap();
    let mut rows: Vec<(String, i64)> = batches
        .iter()
        .flat_map(|batch| {
            let (who, level) = (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<Int64Type>());
            (0..batch.num_rows()).map(|row| (who.value(row).to_owned(), level.value(row))).collect::<Vec<_>>()
        })
        .collect();
    rows.sort();
    rows
}

fn expected(events: &[Event], modes: Modes) -> Vec<(String, i64)> {
    let mut users: Vec<u8> = events.iter().map(|event| event.0).collect();
    users.sort_unstable();
    users.dedup();
    let mut found: Vec<(String, i64)> = users
        .into_iter()
        .map(|user| {
            let mut of_user: Vec<Event> = events.iter().copied().filter(|event| event.0 == user).collect();
            of_user.sort_by_key(|event| event.1);
            let (ts, masks): (Vec<i64>, Vec<u64>) = of_user.iter().map(|event| (event.1, event.2)).unzip();
            let level = Levels::new(Rules::new(3, 5, modes).unwrap()).run(&ts, &masks);
            (user.to_string(), i64::try_from(level).unwrap())
        })
        .collect();
    found.sort();
    found
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn window_funnel_does_not_depend_on_the_plan(
        events in proptest::collection::vec((0_u8..6, 0_i64..12, 0_u64..8), 0..60),
        pieces in 1_usize..4,
        skip_partial: bool,
    ) {
        let context = context(&events, pieces, skip_partial);
        for (text, modes) in [
            ("", Modes::default()),
            ("'strict_once',", Modes::default().with(Mode::StrictOnce)),
            ("'strict_order',", Modes::default().with(Mode::StrictOrder)),
        ] {
            prop_assert_eq!(levels(&context, text), expected(&events, modes));
        }
    }

    #[test]
    fn path_agg_does_not_depend_on_the_plan(
        events in proptest::collection::vec((0_u8..6, 0_i64..12, 0_u64..8), 1..60),
        skip_partial: bool,
    ) {
        let sql = "SELECT who, path_agg(label, ts) AS path FROM hits GROUP BY who ORDER BY who";
        let one = run(&context(&events, 1, false), sql).unwrap();
        let mut turned = events;
        turned.reverse();
        prop_assert_eq!(one, run(&context(&turned, 3, skip_partial), sql).unwrap());
    }
}

#[test]
fn without_groups_and_in_frames_that_grow() {
    let context = context(&[(1, 0, 1), (1, 2, 2), (1, 9, 4), (1, 3, 4)], 2, false);
    let table = run(&context, "SELECT window_funnel(5, ts, c1, c2, c3) AS level FROM hits").unwrap();
    assert!(table.contains("| 3     |"), "{table}");
    let table =
        run(&context, "SELECT ts, window_funnel(5, ts, c1, c2, c3) OVER (ORDER BY ts) AS level FROM hits ORDER BY ts")
            .unwrap();
    let cells: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert_eq!(cells, ["| 0  | 1     |", "| 2  | 2     |", "| 3  | 3     |", "| 9  | 3     |"]);
}
