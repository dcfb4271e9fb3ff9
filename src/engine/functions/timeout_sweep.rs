//! `timeout_sweep([min, max [, step]])`: how many sessions there would be under other timeouts, a row per gap: the bridge
//! to [`crate::journey::sweep`].
//!
//! `min`, `max` and `step` are lengths of time: a minute, an hour, a minute where nothing is said.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `gap_s` | `Float64` | the idle time after which a session ends, in seconds |
//! | `sessions` | `Int64` | sessions under it |
//! | `change` | `Float64`, NULL in the first row | more (or fewer: negative) than in the row before, as a share of that |
//! | `mean_events`, `mean_duration_s` | `Float64`, NULL without sessions | of a session |
//! | `single_event_sessions` | `Int64` | sessions of one event |
//! | `single_event_rate` | `Float64`, NULL without sessions | their share |
//! | `is_session_gap` | `Boolean` | whether it is the gap in force |
//!
//! Everything else that ends a session does so in every row. What corrections say of sessions is taken as under the gap
//! in force.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::sql::sqlparser::ast::FunctionArg;

use super::call::{Call, constant, shown};
use super::leaf::Answer;
use super::length::Clock;
use super::sessions::Sessions;
use super::table::{InPass, TableFunction, readers, table};
use crate::engine::scan::{PersonRuns, ScanPlan};
use crate::engine::settings::Settings;
use crate::engine::source::Source;
use crate::engine::stop::Stop;
use crate::journey::Columns;
use crate::journey::sweep::{Sweep, Swept};
use crate::time::{HOUR, SECOND};

const MINUTE: i64 = 60 * SECOND;

/// Rows of an answer, at most.
const MOST_GAPS: i64 = 1_000;

/// The columns of `timeout_sweep`.
fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            Field::new("gap_s", DataType::Float64, false),
            Field::new("sessions", DataType::Int64, false),
            Field::new("change", DataType::Float64, true),
            Field::new("mean_events", DataType::Float64, true),
            Field::new("mean_duration_s", DataType::Float64, true),
            Field::new("single_event_sessions", DataType::Int64, false),
            Field::new("single_event_rate", DataType::Float64, true),
            Field::new("is_session_gap", DataType::Boolean, false),
        ]))
    });
    Arc::clone(&SCHEMA)
}

/// Reads a call of `timeout_sweep`.
pub(super) fn plan(
    args: Vec<FunctionArg>,
    source: Arc<Source>,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Arc<dyn TableProvider>> {
    let call = Call::new("timeout_sweep", args, &[])?;
    let mut lengths = [MINUTE, HOUR, MINUTE];
    if !matches!(call.values.len(), 0 | 2 | 3) {
        return plan_err!("timeout_sweep takes min, max and step (or nothing), not {} arguments", call.values.len());
    }
    for ((length, value), name) in lengths.iter_mut().zip(call.values).zip(["1 (min)", "2 (max)", "3 (step)"]) {
        let what = format!("timeout_sweep: argument {name}");
        let value = constant(value, &what, planner)?;
        let micros = Clock::Timestamp(TimeUnit::Microsecond).length(&value);
        *length = micros.map_err(|error| plan_datafusion_err!("{what}: {error}"))?;
        if *length <= 0 {
            return plan_err!("{what} must be longer than nothing, is {}", shown(&value));
        }
    }
    let [min, max, step] = lengths;
    if min > max {
        return plan_err!("timeout_sweep: argument 2 (max) is shorter than argument 1 (min)");
    }
    let count = (max - min) / step + 1;
    if count > MOST_GAPS {
        return plan_err!("timeout_sweep: {count} gaps from min to max, at most {MOST_GAPS} – take a longer step");
    }
    Ok(table(SweepCall { gaps: (0..count).map(|at| min + at * step).collect(), source }))
}

/// A call as written.
#[derive(Debug)]
struct SweepCall {
    /// Ascending, µs.
    gaps: Vec<i64>,
    source: Arc<Source>,
}

impl TableFunction for SweepCall {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn answer(&self, state: &dyn Session, projection: Vec<usize>) -> Result<Arc<dyn Answer>> {
        let mut settings = Settings::of(state.config_options());
        let gap = settings.rules.gap;
        let sweep = Sweep::new(self.gaps.clone(), settings.rules, settings.keep(|_| None));
        // What the longest gap needs is enough for all.
        settings.rules.gap = self.gaps.last().copied().unwrap_or(gap);
        let plan = self.source.plain_pass(state, &settings, None, settings.within().0, false)?;
        let (sessions, plan) = Sessions::new(settings, true, plan.with_edges(self.source.edges(), gap));
        let readers = readers(state, &plan);
        Ok(Arc::new(Pass { sweep, sessions, plan, gap, readers, projection }))
    }
}

/// A call planned over one snapshot.
#[derive(Debug, Clone)]
struct Pass {
    /// Of nobody yet.
    sweep: Sweep,
    sessions: Sessions,
    plan: ScanPlan,
    /// The gap in force, µs.
    gap: i64,
    readers: usize,
    projection: Vec<usize>,
}

impl InPass for Pass {
    type Part = Sweep;

    fn name(&self) -> &'static str {
        "TimeoutSweepExec"
    }

    fn pass(&self) -> (&ScanPlan, usize) {
        (&self.plan, self.readers)
    }

    fn read(&self, mut runs: PersonRuns, context: &TaskContext, stop: &Stop) -> Result<Self::Part> {
        let memory = MemoryConsumer::new("TimeoutSweepExec").register(context.memory_pool());
        let mut sweep = self.sweep.clone();
        while !stop.is_raised() && runs.next_block()? {
            let (block, names) = runs.block_and_names();
            let cut = self.sessions.cut(block, names);
            let (ts, labels, sources, edges) = (block.ts(), block.labels(), block.sources(), block.edges());
            sweep.look_for(cut.keep);
            for person in block.people() {
                sweep.person(person.rows, Columns { ts, labels, sources, ends: &cut.ends, edges });
            }
            memory.try_resize(runs.size())?;
        }
        Ok(sweep)
    }

    fn rows(&self, parts: Vec<Self::Part>, _: &TaskContext, _: &Stop) -> Result<RecordBatch> {
        let mut sweep = self.sweep.clone();
        for part in &parts {
            sweep.merge(part);
        }
        Ok(rows(&sweep.rows(), self.gap)?.project(&self.projection)?)
    }
}

#[expect(clippy::cast_precision_loss, reason = "sessions, events and lengths of time stay far below 2^52")]
fn rows(swept: &[(i64, Swept)], session_gap: i64) -> Result<RecordBatch> {
    let whole = |value: fn(&Swept) -> u64| -> ArrayRef {
        Arc::new(swept.iter().map(|row| i64::try_from(value(&row.1)).ok()).collect::<Int64Array>())
    };
    let mean = |value: fn(&Swept) -> f64| -> ArrayRef {
        let of = |row: &Swept| (row.sessions > 0).then(|| value(row) / row.sessions as f64);
        Arc::new(swept.iter().map(|row| of(&row.1)).collect::<Float64Array>())
    };
    let change = |pair: &[(i64, Swept)]| {
        let (before, now) = (pair[0].1.sessions as f64, pair[1].1.sessions as f64);
        (before > 0.0).then(|| (now - before) / before)
    };
    let all_changes = [None].into_iter().chain(swept.windows(2).map(change)).take(swept.len());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Float64Array::from_iter_values(swept.iter().map(|row| row.0 as f64 / SECOND as f64))),
        whole(|row| row.sessions),
        Arc::new(all_changes.collect::<Float64Array>()),
        mean(|row| row.events as f64),
        mean(|row| row.duration as f64 / SECOND as f64),
        whole(|row| row.single),
        mean(|row| row.single as f64),
        Arc::new(swept.iter().map(|row| Some(row.0 == session_gap)).collect::<BooleanArray>()),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
