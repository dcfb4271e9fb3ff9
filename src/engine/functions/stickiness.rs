//! `stickiness([condition], option => value…)`: on how many days of a period people are there.
//!
//! Somebody is there on a day with a step event that meets the condition; without one every step event does.
//!
//! | option | values | default |
//! |---|---|---|
//! | `period` | `'week'` (from Monday), `'month'` | `'week'` |
//! | `time_zone` | see `people.rs` | UTC |
//!
//! | column | meaning |
//! |---|---|
//! | `period` | the period's first day; periods with nobody have no row |
//! | `days` | 1, 2, … up to the most that somebody reached |
//! | `users` | people who were there on exactly so many days |
//! | `users_or_more` | on so many or more |
//! | `share` | `users_or_more` as a share of all who were there in the period |
//! | `complete` | whether the period has ended at the watermark |
//!
//! `journeyql.from` and `to` choose periods by their first moment.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::error::Result;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::sql::sqlparser::ast::FunctionArg;

use super::call::Call;
use super::people::{self, Count, TIME_ZONE};
use crate::engine::source::Source;
use crate::journey::lifecycle::Stickiness;
use crate::journey::period::Period;
use crate::journey::retention::Times;
use crate::time::Day;

/// Reads a call of `stickiness`.
pub(super) fn plan(
    args: Vec<FunctionArg>,
    source: Arc<Source>,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Arc<dyn TableProvider>> {
    let call = Call::new("stickiness", args, &["period", TIME_ZONE])?;
    let periods = [("week", Period::Week), ("month", Period::Month)];
    let period = call.choice("period", &periods, planner)?.unwrap_or(Period::Week);
    people::plan(&call, 1, Days { period }, source, planner)
}

/// What is counted.
#[derive(Debug, Clone)]
struct Days {
    period: Period,
}

/// A reader's counts, and the range of periods that are shown.
type Part = (Stickiness, (i64, i64));

impl Count for Days {
    type Part = Part;

    const NAME: &'static str = "StickinessExec";

    fn schema(&self) -> SchemaRef {
        static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
            let count = |name| Field::new(name, DataType::Int64, false);
            Arc::new(Schema::new(vec![
                Field::new("period", DataType::Date32, false),
                count("days"),
                count("users"),
                count("users_or_more"),
                Field::new("share", DataType::Float64, false),
                Field::new("complete", DataType::Boolean, false),
            ]))
        });
        Arc::clone(&SCHEMA)
    }

    fn part(&self, _: (i64, i64), within: (i64, i64)) -> Part {
        (Stickiness::new(self.period), within)
    }

    fn person((days, _): &mut Part, _: &str, times: Times<'_>, is: impl Fn(usize) -> u64) {
        let met = times.local.iter().enumerate().filter(|(at, _)| is(*at) != 0);
        days.person(met.map(|(_, &ts)| ts));
    }

    fn merge((days, _): &mut Part, (other, _): Part) {
        days.merge(other);
    }

    fn size((days, _): &Part) -> usize {
        days.size()
    }

    fn rows(&self, (days, (from, to)): &Part, watermark: i64) -> Result<RecordBatch> {
        let (mut periods, mut numbers, mut users) = (Vec::new(), Vec::new(), Vec::new());
        let (mut or_more, mut shares, mut complete) = (Vec::new(), Vec::new(), Vec::new());
        for (number, by_days) in days.periods() {
            let start = self.period.start(number);
            if !(*from..*to).contains(&start) {
                continue;
            }
            let all: u64 = by_days.iter().sum();
            let mut left = all;
            for (days, people) in (1_i64..).zip(by_days) {
                periods.push(Day::of(start).0);
                numbers.push(days);
                users.push(i64::try_from(people).unwrap_or(i64::MAX));
                or_more.push(i64::try_from(left).unwrap_or(i64::MAX));
                #[expect(clippy::cast_precision_loss, reason = "people are fewer than 2^53")]
                shares.push(left as f64 / all as f64);
                complete.push(Some(self.period.start(number + 1) <= watermark));
                left -= people;
            }
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Date32Array::from(periods)),
            Arc::new(Int64Array::from(numbers)),
            Arc::new(Int64Array::from(users)),
            Arc::new(Int64Array::from(or_more)),
            Arc::new(Float64Array::from(shares)),
            Arc::new(BooleanArray::from(complete)),
        ];
        Ok(RecordBatch::try_new(self.schema(), columns)?)
    }
}
