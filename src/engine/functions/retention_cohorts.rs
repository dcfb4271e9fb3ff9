//! `retention_cohorts([start [, return]], option => value…)`: who comes back when, a row per cohort and period.
//!
//! A person belongs to the cohort of the first event ever that meets `start`; every later one (and that one itself)
//! that meets `return` counts. Without conditions every step event does both, with one condition it is both.
//!
//! | option | values | default |
//! |---|---|---|
//! | `period` | `'day'`, `'week'` (from Monday), `'month'` | `'week'` |
//! | `count` | `'on'`: active in the period; `'on_or_after'`: in it or later | `'on'` |
//! | `rolling` | true: periods are multiples of 24 hours from the person's first event (a month: 30) | false |
//! | `cohort` | `'first_time'`: of the first start ever; `'recurring'`: of every period with a start, once in each | `'first_time'` |
//! | `periods` | so many: the cohort's own, which is 0, and those after it | all |
//! | `brackets` | lengths in periods: the own period, then a bracket of each length; who was active in any of its periods counts once | none |
//! | `time_zone` | see `people.rs` | UTC |
//!
//! | column | meaning |
//! |---|---|
//! | `cohort` | first day of the period in which the people came first |
//! | `people` | how many they are |
//! | `period` | the period, 0 being the cohort's own; of a bracket its first |
//! | `users` | how many were active in it |
//! | `rate` | their share; NULL while the period has not ended |
//! | `complete` | whether the period has ended at the watermark |
//! | `until` | with `brackets`: the bracket's last period |
//!
//! `journeyql.from` and `to` choose people by their start, `journeyql.user` one person; all days are read, since
//! nothing else tells whose event is the first.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::sql::sqlparser::ast::FunctionArg;

use super::call::{Call, constant, shown, whole};
use super::people::{self, Count, MOST_ROWS, TIME_ZONE};
use crate::engine::source::Source;
use crate::journey::period::{PERIODS, Period};
use crate::journey::retention::{Cell, Cohorts, Columns, RETURN, Rules, START, Times};
use crate::limits;
use crate::time::Day;

pub(super) const OPTIONS: [&str; 7] = ["period", "count", "rolling", "cohort", "periods", "brackets", TIME_ZONE];

/// The function's name.
pub(super) const NAME: &str = "retention_cohorts";

/// Reads a call of `retention_cohorts`.
pub(super) fn plan(
    args: Vec<FunctionArg>,
    source: Arc<Source>,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Arc<dyn TableProvider>> {
    let call = Call::new(NAME, args, &OPTIONS)?;
    let retention = Retention::read(&call, planner)?;
    people::plan(&call, 2, retention, source, planner)
}

fn columns(call: &Call, planner: &mut dyn RelationPlannerContext) -> Result<Columns> {
    let (count, lengths) = (call.count("periods", planner)?, call.list("brackets"));
    if lengths.is_empty() {
        let first = |count| Columns::First(usize::try_from(count).unwrap_or(usize::MAX));
        return Ok(count.map_or(Columns::All, first));
    }
    if count.is_some() {
        return plan_err!("retention_cohorts: options 'periods' and 'brackets' exclude each other");
    }
    let mut brackets = Vec::with_capacity(lengths.len());
    for length in lengths {
        let value = constant(length, "retention_cohorts: option 'brackets'", planner)?;
        match whole(&value).map(usize::try_from) {
            Some(Ok(length)) if (1..=limits::BRACKET_PERIODS).contains(&length) => brackets.push(length),
            _ => {
                let most = limits::BRACKET_PERIODS;
                return plan_err!(
                    "retention_cohorts: option 'brackets' has lengths from 1 to {most}, not {}",
                    shown(&value)
                );
            }
        }
    }
    if brackets.len() > limits::FUNNEL_STEPS {
        return plan_err!("retention_cohorts: option 'brackets' has at most {} lengths", limits::FUNNEL_STEPS);
    }
    Ok(Columns::brackets(brackets))
}

/// What is counted.
#[derive(Debug, Clone)]
pub(super) struct Retention {
    pub rules: Rules,
    /// A single condition is start and return.
    is_both: bool,
}

impl Retention {
    /// Reads the options of a call.
    pub(super) fn read(call: &Call, planner: &mut dyn RelationPlannerContext) -> Result<Self> {
        let rolling = call.flag("rolling", planner)?;
        let recurring = call.choice("cohort", &[("first_time", false), ("recurring", true)], planner)?.unwrap_or(false);
        if rolling && recurring {
            return plan_err!("{NAME}: options 'rolling' and 'cohort' => 'recurring' exclude each other");
        }
        let rules = Rules {
            period: call.choice("period", &PERIODS, planner)?.unwrap_or(Period::Week),
            rolling,
            recurring,
            columns: columns(call, planner)?,
            on_or_after: call.choice("count", &[("on", false), ("on_or_after", true)], planner)?.unwrap_or(false),
            within: (i64::MIN, i64::MAX),
        };
        Ok(Self { rules, is_both: call.values.len() == 1 })
    }
}

impl Count for Retention {
    type Part = (Cohorts, bool);

    const NAME: &'static str = "RetentionExec";

    fn schema(&self) -> SchemaRef {
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
        let Columns::Brackets(_) = self.rules.columns else { return Arc::clone(&SCHEMA) };
        let mut fields: Vec<Arc<Field>> = SCHEMA.fields().to_vec();
        fields.push(Arc::new(Field::new("until", DataType::Int64, false)));
        Arc::new(Schema::new(fields))
    }

    fn part(&self, within: (i64, i64), _: (i64, i64)) -> Self::Part {
        (Cohorts::new(Rules { within, ..self.rules.clone() }), self.is_both)
    }

    fn person((cohorts, is_both): &mut Self::Part, _: &str, times: Times<'_>, is: impl Fn(usize) -> u64) {
        // Its bit stands for two.
        let both = if *is_both { START | RETURN } else { 1 };
        cohorts.person(times, |at| (is(at) & (START | RETURN)) * both);
    }

    fn merge((cohorts, _): &mut Self::Part, (other, _): Self::Part) {
        cohorts.merge(other);
    }

    fn size((cohorts, _): &Self::Part) -> usize {
        cohorts.size()
    }

    fn rows(&self, (cohorts, _): &Self::Part, watermark: i64) -> Result<RecordBatch> {
        let Some(cells) = cohorts.cells(watermark, MOST_ROWS) else {
            return exec_err!(
                "retention_cohorts: more than {MOST_ROWS} rows – take a longer period, or few of them (periods => 12)"
            );
        };
        let whole =
            |value: fn(&Cell) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(cells.iter().map(value))) };
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        #[expect(clippy::cast_precision_loss, reason = "people are fewer than 2^53")]
        let rate = |cell: &Cell| cell.complete.then(|| cell.users as f64 / cell.size as f64);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(Date32Array::from_iter_values(cells.iter().map(|cell| Day::of(cell.cohort).0))),
            Arc::new(Int64Array::from_iter_values(cells.iter().map(|cell| number(cell.size)))),
            whole(|cell| period(cell.period)),
            Arc::new(Int64Array::from_iter_values(cells.iter().map(|cell| number(cell.users)))),
            Arc::new(cells.iter().map(rate).collect::<Float64Array>()),
            Arc::new(cells.iter().map(|cell| Some(cell.complete)).collect::<BooleanArray>()),
        ];
        if let Columns::Brackets(_) = self.rules.columns {
            columns.push(whole(|cell| period(cell.until)));
        }
        Ok(RecordBatch::try_new(self.schema(), columns)?)
    }
}

fn period(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
