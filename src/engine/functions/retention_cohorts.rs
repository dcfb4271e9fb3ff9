//! `retention_cohorts([start [, return]], option => value…)`: who comes back when, a row per cohort and period.
//!
//! A person belongs to the cohort of the first event ever that meets `start`; every later one (and that one itself)
//! that meets `return` counts. Without conditions every step event does both, with one condition it is both.
//!
//! | option | values | default |
//! |---|---|---|
//! | `period` | `'day'`, `'week'` (from Monday), `'month'`; UTC | `'week'` |
//! | `count` | `'on'`: active in the period; `'on_or_after'`: in it or later | `'on'` |
//! | `rolling` | true: periods are multiples of 24 hours from the person's first event (a month: 30) | false |
//!
//! | column | meaning |
//! |---|---|
//! | `cohort` | first day of the period in which the people came first |
//! | `people` | how many they are |
//! | `period` | the period, 0 being the cohort's own |
//! | `users` | how many were active in it |
//! | `rate` | their share; NULL while the period has not ended |
//! | `complete` | whether the period has ended at the watermark |
//!
//! `journeyql.from` and `to` choose people by their first event, `journeyql.user` one person; all days are read, since
//! nothing else tells whose event is the first.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::sql::sqlparser::ast::FunctionArg;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::call::Call;
use super::conditions::{Conditions, Masks, Test, columns};
use super::leaf::{Answer, Stop};
use super::sessions::Sessions;
use super::table::{TableFunction, read, readers, table};
use crate::engine::scan::{PersonRuns, ScanPlan};
use crate::engine::settings::Settings;
use crate::engine::source::Source;
use crate::journey::retention::{Cell, Cohorts, Period, RETURN, Rules, START};
use crate::time::Day;

const OPTIONS: [&str; 3] = ["period", "count", "rolling"];

/// The columns of `retention_cohorts`.
fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            Field::new("cohort", DataType::Date32, false),
            Field::new("people", DataType::Int64, false),
            Field::new("period", DataType::Int64, false),
            Field::new("users", DataType::Int64, false),
            Field::new("rate", DataType::Float64, true),
            Field::new("complete", DataType::Boolean, false),
        ]))
    });
    Arc::clone(&SCHEMA)
}

/// Reads a call of `retention_cohorts`.
pub(super) fn plan(
    args: Vec<FunctionArg>,
    source: Arc<Source>,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Arc<dyn TableProvider>> {
    let call = Call::new("retention_cohorts", args, &OPTIONS)?;
    if call.values.len() > 2 {
        return plan_err!("retention_cohorts takes a start and a return condition, not {}", call.values.len());
    }
    let columns = columns()?;
    let mut tests = Vec::new();
    for (no, value) in (1..).zip(&call.values) {
        tests.push(Test::read(value, &format!("retention_cohorts: argument {no}"), &columns, planner)?);
    }
    let periods = [("day", Period::Day), ("week", Period::Week), ("month", Period::Month)];
    let rolling = call.flag("rolling", planner)?;
    let rules = Rules {
        period: call.choice("period", &periods, planner)?.unwrap_or(Period::Week),
        rolling,
        on_or_after: call.choice("count", &[("on", false), ("on_or_after", true)], planner)?.unwrap_or(false),
        within: (i64::MIN, i64::MAX),
    };
    Ok(table(RetentionCall { tests, rules, source }))
}

/// A call as written.
#[derive(Debug)]
struct RetentionCall {
    tests: Vec<Test>,
    rules: Rules,
    source: Arc<Source>,
}

impl TableFunction for RetentionCall {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn answer(&self, state: &dyn Session, projection: Vec<usize>) -> Result<Arc<dyn Answer>> {
        let mut settings = Settings::of(state.config_options());
        let rules = Rules { within: settings.within(), ..self.rules };
        let watermark = self.source.now(&settings);
        (settings.from, settings.to) = (None, None);
        let conditions = Conditions::plan(self.tests.iter(), settings.label, state)?;
        let plan = self.source.plain_pass(state, &settings, None, i64::MIN, true)?;
        let (sessions, plan) = Sessions::new(settings.clone(), false, conditions.ask(plan, settings.label)?);
        let (asked, readers) = (self.tests.len(), readers(state, &plan));
        let conditions = Arc::new(conditions);
        Ok(Arc::new(Retention { conditions, sessions, asked, plan, rules, watermark, readers, projection }))
    }
}

/// A call planned over one snapshot.
#[derive(Debug, Clone)]
struct Retention {
    conditions: Arc<Conditions>,
    sessions: Sessions,
    /// Number of conditions.
    asked: usize,
    plan: ScanPlan,
    rules: Rules,
    /// When a period counts as ended, µs.
    watermark: i64,
    readers: usize,
    projection: Vec<usize>,
}

impl Answer for Retention {
    fn name(&self) -> &'static str {
        "RetentionExec"
    }

    fn shown(&self) -> String {
        format!("conditions={}, parts={}", self.asked, self.plan.parts().len())
    }

    fn rows(&self, context: Arc<TaskContext>, stop: Stop) -> BoxFuture<'static, Result<RecordBatch>> {
        let this = self.clone();
        async move {
            let (plan, readers, reader) = (this.plan.clone(), this.readers, this.clone());
            let mut cohorts = Cohorts::new(this.rules);
            for part in read(plan, readers, move |runs| reader.read(runs, &context, &stop)).await? {
                cohorts.merge(part);
            }
            Ok(rows(&cohorts.cells(this.watermark))?.project(&this.projection)?)
        }
        .boxed()
    }
}

impl Retention {
    fn read(&self, mut runs: PersonRuns, context: &TaskContext, stop: &Stop) -> Result<Cohorts> {
        let memory = MemoryConsumer::new("RetentionExec").register(context.memory_pool());
        let (mut masks, mut cohorts) = (Masks::new(&self.conditions), Cohorts::new(self.rules));
        let (mut is, mut times, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        while !stop.is_raised() && runs.next_block()? {
            let (block, names) = runs.block_and_names();
            masks.learn(names)?;
            let ends = self.sessions.ends(block, names);
            for person in block.people() {
                let mut ts = &block.ts()[person.rows.clone()];
                is.clear();
                if self.sessions.matter() {
                    self.sessions.rows(block, person.rows.clone(), &ends, &mut rows);
                    times.clear();
                    times.extend(rows.iter().map(|&row| block.ts()[row]));
                    ts = &times;
                }
                if self.asked > 0 && self.sessions.matter() {
                    masks.each(block, rows.iter().copied(), true, |_, mask| is.push(mask));
                } else if self.asked > 0 {
                    masks.each(block, person.rows, true, |_, mask| is.push(mask));
                }
                // A single condition is both: its bit stands for two.
                let both = if self.asked == 1 { START | RETURN } else { 1 };
                cohorts.person(ts, |at| if self.asked == 0 { START | RETURN } else { is[at] * both });
            }
            memory.try_resize(runs.size() + cohorts.size())?;
        }
        Ok(cohorts)
    }
}

fn rows(cells: &[Cell]) -> Result<RecordBatch> {
    let whole = |value: fn(&Cell) -> u64| -> ArrayRef {
        Arc::new(cells.iter().map(|cell| i64::try_from(value(cell)).ok()).collect::<Int64Array>())
    };
    #[expect(clippy::cast_precision_loss, reason = "people are fewer than 2^53")]
    let rate = |cell: &Cell| cell.complete.then(|| cell.users as f64 / cell.size as f64);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Date32Array::from_iter_values(cells.iter().map(|cell| Day::of(cell.cohort).0))),
        whole(|cell| cell.size),
        Arc::new(Int64Array::from_iter_values(cells.iter().map(|cell| cell.period))),
        whole(|cell| cell.users),
        Arc::new(cells.iter().map(rate).collect::<Float64Array>()),
        Arc::new(cells.iter().map(|cell| Some(cell.complete)).collect::<BooleanArray>()),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
