//! `replay(user, last => 5)`: a person's last sessions, event by event.
//!
//! The columns of `steps` without collapsing (every event is a row), of one person, from the session with the number
//! `count - last + 1` on; `dwell_us` beside `dwell_s` for those who want whole numbers.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{internal_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::sql::sqlparser::ast::FunctionArg;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::call::{Call, person};
use super::leaf::Answer;
use super::table::{TableFunction, table};
use crate::engine::operators::{JourneyExec, SharedPass};
use crate::engine::relations::Relation;
use crate::engine::relations::tape::Facts;
use crate::engine::settings::Settings;
use crate::engine::source::Source;
use crate::engine::stop::Stop;

/// Sessions that are shown where nothing is said.
const LAST: i64 = 5;
/// The columns in order: those of `steps`, and one of our own.
const COLUMNS: [&str; 15] = [
    "session_index",
    "session_id",
    "session_start",
    "step_index",
    "ts",
    "page",
    "event",
    "step",
    "dwell_s",
    DWELL_MICROS,
    "method",
    "status",
    "referrer",
    "source_session_id",
    "properties",
];
const SESSION: &str = "session_index";
const DWELL_MICROS: &str = "dwell_us";
const DWELL: &str = "dwell_s";

/// The columns of `replay`.
fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let steps = Relation::Steps.schema();
        let field = |name: &&str| match steps.column_with_name(name) {
            Some((_, field)) => field.clone(),
            None => Field::new(*name, DataType::Int64, true),
        };
        Arc::new(Schema::new(COLUMNS.iter().map(field).collect::<Vec<Field>>()))
    });
    Arc::clone(&SCHEMA)
}

/// Reads a call of `replay`.
pub(super) fn plan(
    args: Vec<FunctionArg>,
    source: Arc<Source>,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Arc<dyn TableProvider>> {
    let call = Call::new("replay", args, &["last"])?;
    let [user] = call.values.as_slice() else {
        return plan_err!("replay takes one person – write replay('u1') or replay('u1', last => 10)");
    };
    let user = person(user, "replay: argument 1 (user)", planner)?;
    let last = call.count("last", planner)?.unwrap_or(LAST);
    Ok(table(ReplayCall { source, user, last }))
}

/// A call as written.
#[derive(Debug)]
struct ReplayCall {
    source: Arc<Source>,
    user: String,
    last: i64,
}

impl TableFunction for ReplayCall {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn answer(&self, session: &dyn Session, projection: Vec<usize>) -> Result<Arc<dyn Answer>> {
        let mut settings = Settings::of(session.config_options());
        (settings.user, settings.collapse) = (Some(self.user.clone()), false);
        let schema = Arc::new(schema().project(&projection)?);
        // What is read of `steps`: the session's number for the cut, then what the answer is made of.
        let mut wanted = vec![SESSION];
        wanted.extend(projection.iter().map(|&at| if COLUMNS[at] == DWELL_MICROS { DWELL } else { COLUMNS[at] }));
        wanted.sort_unstable();
        wanted.dedup();
        let steps = Relation::Steps.schema();
        let columns = wanted.iter().map(|name| steps.index_of(name)).collect::<Result<Vec<usize>, _>>()?;
        let needs = wanted.iter().flat_map(|name| Relation::Steps.needs(name)).copied();
        let mut plan = self.source.steps_pass(session, &settings, None, i64::MIN, true)?.with_rows(needs);
        if wanted.contains(&"event") || !settings.end_events.is_empty() {
            plan = plan.with_events();
        }
        if wanted.iter().any(|name| Relation::tells_pages(name)) {
            plan = plan.with_pages();
        }
        let facts =
            Facts { now: self.source.now(&settings), first_ts: self.source.span().map_or(0, |span| span.0), settings };
        let pass = Arc::new(SharedPass::new(plan, 1));
        let steps = JourneyExec::new(Relation::Steps, pass, Arc::new(facts), columns);
        Ok(Arc::new(Replay { user: self.user.clone(), last: self.last, steps: Arc::new(steps), schema }))
    }
}

/// A replay planned over one snapshot.
#[derive(Debug, Clone)]
struct Replay {
    user: String,
    last: i64,
    steps: Arc<JourneyExec>,
    schema: SchemaRef,
}

impl Answer for Replay {
    fn name(&self) -> &'static str {
        "ReplayExec"
    }

    fn shown(&self) -> String {
        format!("user={}, last={}", self.user, self.last)
    }

    fn rows(&self, context: Arc<TaskContext>, _: Stop) -> BoxFuture<'static, Result<RecordBatch>> {
        let this = self.clone();
        async move {
            let steps: Arc<dyn ExecutionPlan> = this.steps;
            let whole = concat_batches(&steps.schema(), &collect(Arc::clone(&steps), context).await?)?;
            let latest = latest(&whole, this.last)?;
            let columns = this.schema.fields().iter().map(|field| column(&latest, field.name()));
            let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
            let options = RecordBatchOptions::new().with_row_count(Some(latest.num_rows()));
            Ok(RecordBatch::try_new_with_options(this.schema, columns, &options)?)
        }
        .boxed()
    }
}

fn named<'a>(steps: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    steps.column_by_name(name).ok_or_else(|| internal_datafusion_err!("the column {name} was not read"))
}

/// The rows of the last sessions.
fn latest(steps: &RecordBatch, last: i64) -> Result<RecordBatch> {
    let sessions = named(steps, SESSION)?.as_primitive::<Int64Type>();
    let highest = sessions.values().iter().copied().max().unwrap_or(0);
    let kept: BooleanArray = sessions.values().iter().map(|&session| Some(session > highest - last)).collect();
    Ok(filter_record_batch(steps, &kept)?)
}

fn column(steps: &RecordBatch, name: &str) -> Result<ArrayRef> {
    if name != DWELL_MICROS {
        return named(steps, name).cloned();
    }
    let seconds = named(steps, DWELL)?.as_primitive::<Float64Type>();
    #[expect(clippy::cast_possible_truncation, reason = "a dwell is far below 2^52 µs, so that rounding restores it")]
    let micros: Int64Array = seconds.iter().map(|dwell| dwell.map(|dwell| (dwell * 1e6).round() as i64)).collect();
    Ok(Arc::new(micros))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Events, Hit, run, stage};
    use super::*;
    use crate::time::{HOUR, SECOND};

    fn replayed(hits: &[Hit], columns: &str, call: &str) -> String {
        let stage = stage(Events::new(hits), Settings::default());
        let table = run(&stage.context, &format!("SELECT {columns} FROM {call}")).unwrap();
        let lines = table.lines().filter(|line| line.starts_with('|')).skip(1);
        let cells = lines
            .map(|line| line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" "));
        cells.collect::<Vec<_>>().join("; ")
    }

    fn hits() -> Vec<Hit> {
        let base = 20_000 * 24 * HOUR;
        let at = |hours: i64, seconds: i64| base + hours * HOUR + seconds * SECOND;
        vec![
            Hit::page("u", at(0, 0), "/a"),
            Hit::page("u", at(2, 0), "/a"),
            Hit::page("u", at(2, 5), "/a"),
            Hit::page("u", at(2, 9), "/b"),
            Hit::page("v", at(2, 9), "/x"),
            Hit::page("u", at(30, 0), "/c"),
        ]
    }

    #[test]
    fn the_last_sessions_keep_their_numbers_and_every_event_is_a_row() {
        let columns = "session_index, page, coalesce(dwell_us, -1) AS dwell";
        assert_eq!(
            replayed(&hits(), columns, "replay('u', last => 2)"),
            "2 /a 5000000; 2 /a 4000000; 2 /b -1; 3 /c -1"
        );
        assert_eq!(replayed(&hits(), "count(*) AS n", "replay('u')"), "5");
        assert_eq!(replayed(&hits(), "count(*) AS n", "replay('nobody')"), "0");
        assert_eq!(replayed(&hits(), "page", "replay('v') WHERE step_index = 1"), "/x");
    }

    #[test]
    fn what_is_refused_and_how() {
        let stage = stage(Events::new(&[]), Settings::default());
        for (call, why) in [
            ("replay()", "takes one person"),
            ("replay('u', 'v')", "takes one person"),
            ("replay(u)", "write it in quotes: 'u'"),
            ("replay('u', last => 0)", "whole number from 1"),
            ("replay('u', lst => 3)", "did you mean 'last'?"),
            ("replay((SELECT 'u'))", "subquery"),
        ] {
            let message = run(&stage.context, &format!("SELECT * FROM {call}")).unwrap_err();
            assert!(message.contains(why), "{call}: {message}");
        }
    }
}
