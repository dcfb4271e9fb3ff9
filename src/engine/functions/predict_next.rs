//! `predict_next(step [, n])`, `predict_next([step, …, step] [, n])`: what people do next, by what they did next so far:
//! the bridge to [`crate::journey::predict`].
//!
//! Behind one step this is `probability_next` of `transitions`. Behind several, the longest part of the path's end that
//! was ever followed by a step answers.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `next_step` | `Utf8`, NULL for a step without a name | the step that follows |
//! | `probability` | `Float64` | its share of all steps that follow |
//! | `transitions` | `Int64` | how often it followed |
//! | `context_steps` | `Int64` | how many of the last steps were looked at |
//!
//! `START` stands for the beginning of a session. The `n` (3) most likely come first, equally likely ones by name. An unknown step, and one that nothing ever followed,
//! has no rows; of an unknown one the query says so.

use std::cmp::Reverse;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::sql::sqlparser::ast::FunctionArg;

use super::call::{Call, constant, shown, text_of};
use super::figures::share;
use super::leaf::Answer;
use super::seen::Seen;
use super::table::{InPass, TableFunction, all_named, readers, table};
use super::walked::{self, walk};
use crate::engine::relations::edges::START;
use crate::engine::relations::tape::Facts;
use crate::engine::scan::{NONE, Names, PersonRuns, ScanPlan};
use crate::engine::source::Source;
use crate::engine::stop::Stop;
use crate::journey::predict::Next;
use crate::limits;

/// Rows where nothing is said.
const ROWS: usize = 3;

/// The columns of `predict_next`.
fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            Field::new("next_step", DataType::Utf8, true),
            Field::new("probability", DataType::Float64, false),
            Field::new("transitions", DataType::Int64, false),
            Field::new("context_steps", DataType::Int64, false),
        ]))
    });
    Arc::clone(&SCHEMA)
}

/// Reads a call of `predict_next`.
pub(super) fn plan(
    args: Vec<FunctionArg>,
    source: Arc<Source>,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Arc<dyn TableProvider>> {
    let call = Call::new("predict_next", args, &[])?;
    let (mut path, mut count) = (Vec::new(), None);
    for (no, value) in (1..).zip(call.values) {
        let what = format!("predict_next: argument {no}");
        let value = constant(value, &what, planner)?;
        match (text_of(&value), value.cast_to(&DataType::Int64)) {
            (Some(step), _) if count.is_none() => path.push(step),
            (None, Ok(number)) if value.data_type().is_integer() && count.is_none() && !path.is_empty() => {
                let number = i64::try_from(number).ok().and_then(|number| usize::try_from(number).ok());
                let Some(rows) = number.filter(|rows| *rows > 0) else {
                    return plan_err!("{what} (n) must be a whole number from 1, is {value}");
                };
                count = Some(rows);
            }
            _ => {
                let value = shown(&value);
                return plan_err!(
                    "{what} must be a step in quotes or, behind the steps, a whole number (n), is {value}"
                );
            }
        }
    }
    if path.is_empty() || path.len() > limits::PATTERN_ITEMS {
        let most = limits::PATTERN_ITEMS;
        return plan_err!("predict_next takes a step, or a list of at most {most} steps, and a number of rows");
    }
    Ok(table(PredictCall { path, count: count.unwrap_or(ROWS), source }))
}

/// A call as written.
#[derive(Debug)]
struct PredictCall {
    /// The last step last.
    path: Vec<String>,
    count: usize,
    source: Arc<Source>,
}

impl TableFunction for PredictCall {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn answer(&self, state: &dyn Session, projection: Vec<usize>) -> Result<Arc<dyn Answer>> {
        let (plan, facts) = walked::pass(&self.source, state, false)?;
        let readers = readers(state, &plan);
        Ok(Arc::new(Pass { path: self.path.clone(), count: self.count, plan, facts, readers, projection }))
    }
}

/// A call planned over one snapshot.
#[derive(Debug, Clone)]
struct Pass {
    path: Vec<String>,
    count: usize,
    plan: ScanPlan,
    facts: Arc<Facts>,
    readers: usize,
    projection: Vec<usize>,
}

impl InPass for Pass {
    type Part = (Names, Next);

    fn name(&self) -> &'static str {
        "PredictNextExec"
    }

    fn shown(&self) -> Option<String> {
        Some(format!("steps={}", self.path.len()))
    }

    fn pass(&self) -> (&ScanPlan, usize) {
        (&self.plan, self.readers)
    }

    fn read(&self, runs: PersonRuns, context: &TaskContext, stop: &Stop) -> Result<Self::Part> {
        let (mut next, mut labels) = (Next::new(vec![UNMET; self.path.len()]), Vec::new());
        let names = walk("PredictNextExec", runs, &self.facts, (context, stop), |block, names, walk| {
            let start = names.code(START);
            // A step that no block has had yet may come with this one.
            next.recode(self.path.iter().map(|step| names.find(step).unwrap_or(UNMET)).collect());
            for session in &walk.sessions {
                labels.clear();
                labels.push(start);
                labels.extend(walk.steps[session.step_range()].iter().map(|&row| block.labels()[row as usize]));
                next.session(&labels);
            }
            Ok(next.size())
        })?;
        Ok((names, next))
    }

    fn rows(&self, parts: Vec<Self::Part>, context: &TaskContext, _: &Stop) -> Result<RecordBatch> {
        let (mut names, mut next) = (Names::default(), Next::new(vec![NONE; self.path.len()]));
        let mut seen = Seen::default();
        for (theirs, counted) in parts {
            let met = self.labels().filter(|(_, step)| theirs.find(step).is_some());
            seen.merge(Seen::new(self.labels(), met.fold(0, |met, (no, _)| met | 1 << no), &theirs));
            next.merge(counted, |code| if code == NONE { NONE } else { names.code(theirs.text(code)) });
        }
        seen.tell("predict_next", self.labels(), context);
        Ok(rows(&next, &all_named(names)?, self.count)?.project(&self.projection)?)
    }
}

impl Pass {
    /// The steps, each with a number.
    fn labels(&self) -> impl Iterator<Item = (u32, &str)> {
        (0..).zip(self.path.iter().map(String::as_str))
    }
}

/// No label's code.
const UNMET: u32 = u32::MAX;

fn rows(next: &Next, names: &Names, count: usize) -> Result<RecordBatch> {
    let text = |code: u32| (code != NONE).then(|| names.text(code));
    let (context, mut found) = next.longest().unwrap_or_default();
    let all: u64 = found.iter().map(|row| row.1).sum();
    found.sort_by_key(|&(label, times)| (Reverse(times), text(label)));
    found.truncate(count);
    let whole = |value: u64| i64::try_from(value).ok();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(found.iter().map(|row| text(row.0)).collect::<StringArray>()),
        Arc::new(Float64Array::from_iter_values(found.iter().map(|row| share(row.1, all)))),
        Arc::new(found.iter().map(|row| whole(row.1)).collect::<Int64Array>()),
        Arc::new(found.iter().map(|_| whole(context as u64)).collect::<Int64Array>()),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
