//! `lifecycle([condition], option => value…)`: who is new, who stays, who comes back and who went, a row per period.
//!
//! Somebody is there in a period with a step event that meets the condition; without one every step event does.
//!
//! | option | values | default |
//! |---|---|---|
//! | `period` | `'day'`, `'week'` (from Monday), `'month'` | `'week'` |
//! | `time_zone` | see `people.rs` | UTC |
//!
//! | column | people who |
//! |---|---|
//! | `period` | (the period's first day; every period from the first with somebody to the watermark's) |
//! | `new_users` | are there for the first time ever |
//! | `returning_users` | are there and were in the period before |
//! | `resurrecting_users` | are there, were not in the period before, and were in an earlier one |
//! | `dormant_users` | are not there and were in the period before |
//! | `complete` | (whether the period has ended at the watermark; until then `dormant_users` may shrink and the others grow) |
//!
//! New, returning and resurrecting are all who are there, returning and dormant all of the period before.
//! `journeyql.from` and `to` choose periods by their first moment; all days are read in any case.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::sql::sqlparser::ast::FunctionArg;

use super::call::Call;
use super::people::{self, Count, MOST_ROWS, TIME_ZONE};
use crate::engine::source::Source;
use crate::journey::lifecycle::{Lifecycle, Stage};
use crate::journey::period::{PERIODS, Period};
use crate::journey::retention::Times;
use crate::time::Day;

/// Reads a call of `lifecycle`.
pub(super) fn plan(
    args: Vec<FunctionArg>,
    source: Arc<Source>,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Arc<dyn TableProvider>> {
    let call = Call::new("lifecycle", args, &["period", TIME_ZONE])?;
    let period = call.choice("period", &PERIODS, planner)?.unwrap_or(Period::Week);
    people::plan(&call, 1, Stages { period }, source, planner)
}

/// What is counted.
#[derive(Debug, Clone)]
struct Stages {
    period: Period,
}

/// A reader's counts, and the range of periods that are shown.
type Part = (Lifecycle, (i64, i64));

impl Count for Stages {
    type Part = Part;

    const NAME: &'static str = "LifecycleExec";

    fn schema(&self) -> SchemaRef {
        static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
            let count = |name| Field::new(name, DataType::Int64, false);
            Arc::new(Schema::new(vec![
                Field::new("period", DataType::Date32, false),
                count("new_users"),
                count("returning_users"),
                count("resurrecting_users"),
                count("dormant_users"),
                Field::new("complete", DataType::Boolean, false),
            ]))
        });
        Arc::clone(&SCHEMA)
    }

    fn part(&self, _: (i64, i64), within: (i64, i64)) -> Part {
        (Lifecycle::new(self.period), within)
    }

    fn person((lifecycle, _): &mut Part, _: &str, times: Times<'_>, is: impl Fn(usize) -> u64) {
        let met = times.local.iter().enumerate().filter(|(at, _)| is(*at) != 0);
        lifecycle.person(met.map(|(_, &ts)| ts));
    }

    fn merge((lifecycle, _): &mut Part, (other, _): Part) {
        lifecycle.merge(other);
    }

    fn size((lifecycle, _): &Part) -> usize {
        lifecycle.size()
    }

    fn rows(&self, (lifecycle, (from, to)): &Part, watermark: i64) -> Result<RecordBatch> {
        let asked = |(number, _): &(i64, Stage)| (*from..*to).contains(&self.period.start(*number));
        let rows: Vec<(i64, Stage)> = lifecycle.periods(watermark).filter(asked).take(MOST_ROWS + 1).collect();
        if rows.len() > MOST_ROWS {
            return exec_err!("lifecycle: more than {MOST_ROWS} periods up to journeyql.now – take a longer period");
        }
        let count = |of: fn(&Stage) -> u64| -> ArrayRef {
            let counts = rows.iter().map(|(_, stage)| i64::try_from(of(stage)).unwrap_or(i64::MAX));
            Arc::new(Int64Array::from_iter_values(counts))
        };
        let ended = |number: i64| self.period.start(number + 1) <= watermark;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Date32Array::from_iter_values(rows.iter().map(|row| Day::of(self.period.start(row.0)).0))),
            count(|stage| stage.new),
            count(|stage| stage.returning),
            count(|stage| stage.resurrecting),
            count(|stage| stage.dormant),
            Arc::new(rows.iter().map(|row| Some(ended(row.0))).collect::<BooleanArray>()),
        ];
        Ok(RecordBatch::try_new(self.schema(), columns)?)
    }
}
