//! `drill('retention_cohorts', cohort, period, …)`: who is behind a cell, a row per person (`user_id`, `Utf8`).
//!
//! A person is in a cell if taking them in makes its figure larger, so that the rows are as many as it says.

use std::sync::{Arc, LazyLock};

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::sql::sqlparser::ast::FunctionArg;

use super::call::{Call, shown, whole};
use super::people::{self, Count};
use super::retention_cohorts::{NAME, OPTIONS, Retention};
use crate::engine::source::Source;
use crate::journey::retention::Times;
use crate::time::Day;

/// Reads the rest of a call, behind the two values that name the cell.
pub(super) fn plan(
    [cohort, period]: [ScalarValue; 2],
    args: Vec<FunctionArg>,
    source: Arc<Source>,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Arc<dyn TableProvider>> {
    let call = Call::new(NAME, args, &[&OPTIONS[..], &["figure"]].concat())?;
    let retention = Retention::read(&call, planner)?;
    let rules = &retention.rules;
    let own = Day::parse(&cohort.to_string()).and_then(|day| {
        let own = rules.period.of(day.start());
        (rules.period.start(own) == day.start()).then_some(own)
    });
    let Some(own) = own else {
        return plan_err!(
            "drill: argument 2 (cohort) is the first day of a period, as {NAME} shows it, not {}",
            shown(&cohort)
        );
    };
    let number = whole(&period).and_then(|number| usize::try_from(number).ok());
    let Some(column) = number.and_then(|number| rules.columns.beginning(number)) else {
        return plan_err!("drill: argument 3 (period) is a period that {NAME} shows, not {}", shown(&period));
    };
    let everybody = call.choice("figure", &[("users", false), ("people", true)], planner)?.unwrap_or(false);
    people::plan(&call, 2, Cell { retention, own, column, everybody }, source, planner)
}

/// Which cell.
#[derive(Debug, Clone)]
struct Cell {
    retention: Retention,
    /// Number of the cohort's period.
    own: i64,
    column: usize,
    /// All people of the cohort, not those who were active alone.
    everybody: bool,
}

impl Cell {
    fn figure(&self, counted: &<Retention as Count>::Part) -> u64 {
        let (people, users) = counted.0.cell(self.own, self.column);
        if self.everybody { people } else { users }
    }
}

/// The people found, and what was counted on the way.
#[derive(Debug)]
struct Found {
    cell: Cell,
    counted: <Retention as Count>::Part,
    ids: Vec<String>,
    bytes: usize,
}

impl Count for Cell {
    type Part = Found;

    const NAME: &'static str = "RetentionCellExec";

    fn schema(&self) -> SchemaRef {
        static SCHEMA: LazyLock<SchemaRef> =
            LazyLock::new(|| Arc::new(Schema::new(vec![Field::new("user_id", DataType::Utf8, false)])));
        Arc::clone(&SCHEMA)
    }

    fn part(&self, within: (i64, i64), local: (i64, i64)) -> Found {
        Found { cell: self.clone(), counted: self.retention.part(within, local), ids: Vec::new(), bytes: 0 }
    }

    fn person(part: &mut Found, id: &str, times: Times<'_>, is: impl Fn(usize) -> u64) {
        let before = part.cell.figure(&part.counted);
        Retention::person(&mut part.counted, id, times, is);
        if part.cell.figure(&part.counted) > before {
            part.ids.push(id.to_owned());
            part.bytes += id.len();
        }
    }

    fn merge(part: &mut Found, mut other: Found) {
        Retention::merge(&mut part.counted, other.counted);
        part.ids.append(&mut other.ids);
        part.bytes += other.bytes;
    }

    fn size(part: &Found) -> usize {
        // Twice the text: the column is made of it.
        Retention::size(&part.counted) + part.ids.capacity() * size_of::<String>() + 2 * part.bytes
    }

    fn rows(&self, part: &Found, _: i64) -> Result<RecordBatch> {
        if i32::try_from(part.bytes).is_err() {
            return exec_err!("drill: so many people have more than 2 GiB of ids – SET journeyql.from and to");
        }
        let ids = StringArray::from_iter_values(&part.ids);
        Ok(RecordBatch::try_new(self.schema(), vec![Arc::new(ids)])?)
    }
}
