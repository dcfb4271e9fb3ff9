//! Table functions over pieces of sessions: which ways people take from a step, to it, between two, in place of one.
//!
//! | function | a piece |
//! |---|---|
//! | `paths_from(step [, n])` | the first visit of `step` in a session and up to `n` steps (5) behind it |
//! | `paths_to(step [, n])` | the first visit of `step` and up to `n` steps before it |
//! | `paths_between(a, b)` | from the first `a` to the first `b` behind it |
//! | `paths_instead(a, b [, n])` | of sessions that come to `a` and not to `b` later: the first `a` and up to `n` steps behind it |
//! | `path_ngrams([n])` | every run of `n` steps (2) |
//! | `path_match(pattern)` | the first match of a pattern ([`crate::journey::path_match`]) |
//!
//! A step is a label in quotes or a condition, asked of the first event of a step. Equal pieces are counted together:
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `path` | `Utf8` | its steps joined by ` > `, at most 50 shown; `EXIT` and `START` where the session ends or begins before `n` steps |
//! | `steps` | `Int64` | its steps, without `START` and `EXIT` |
//! | `sessions`, `users` | `Int64` | in how many it is |
//! | `occurrences` | `Int64` | how often it is |
//! | `share` | `Float64` | of all pieces |
//! | `median_duration_s` | `Float64` | seconds from its first step to its last, exact |
//! | `truncated` | `Boolean` | whether steps are left out of the text |
//!
//! With the option `every => true` every visit and every match counts: pieces between two steps and matches begin behind
//! the end of the one before, others may overlap. `paths_instead` is the other side of a funnel: its sessions are those
//! that `funnel(a, b, unit => 'session')` loses (where `a` and `b` are not the same step again).
//!
//! Invariants: shares sum to 1; without `every` a session has one piece at most, except in `path_ngrams`.

mod pass;
mod tally;

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::sql::sqlparser::ast::FunctionArg;

use super::call::{Call, constant, shown};
use super::conditions::{Conditions, Test, columns};
use super::leaf::Answer;
use super::path_match::pattern;
use super::table::{TableFunction, readers, table};
use super::walked;
use crate::engine::source::Source;
use crate::journey::pieces::Cut;
use crate::limits;
use pass::{Asked, Pass};

/// Steps behind or before a step where nothing is said.
const STEPS: usize = 5;
/// Steps of a piece behind or before a step, at most.
const MOST: usize = limits::PATTERN_ITEMS;
/// Steps of a run where nothing is said.
const RUN: usize = 2;

/// Reads a call of one of the functions.
pub(super) fn plan(
    function: &'static str,
    args: Vec<FunctionArg>,
    source: Arc<Source>,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Arc<dyn TableProvider>> {
    let options: &[&str] = if matches!(function, "path_ngrams" | "paths_instead") { &[] } else { &["every"] };
    let call = Call::new(function, args, options)?;
    let given = call.values.len();
    let (steps, shown, fits) = match function {
        "paths_from" => (1, "paths_from('/cart', 3)", (1..=2).contains(&given)),
        "paths_to" => (1, "paths_to('/cart', 3)", (1..=2).contains(&given)),
        "paths_between" => (2, "paths_between('/', '/cart')", given == 2),
        "paths_instead" => (2, "paths_instead('/cart', '/checkout', 3)", (2..=3).contains(&given)),
        "path_ngrams" => (0, "path_ngrams(3)", given <= 1),
        _ => (0, "path_match('/cart -> .* -> /thanks')", given == 1),
    };
    if !fits {
        return plan_err!("{function} takes other arguments – write {shown}");
    }
    let columns = columns()?;
    let tests = read_tests(&call, steps, &columns, planner)?;
    let cut = match function {
        "paths_from" => Cut::From(count(&call, steps, STEPS, planner)?),
        "paths_to" => Cut::To(count(&call, steps, STEPS, planner)?),
        "paths_between" => Cut::Between,
        "paths_instead" => Cut::Instead(count(&call, steps, STEPS, planner)?),
        "path_ngrams" => Cut::Runs(count(&call, steps, RUN, planner)?),
        _ => {
            let text = constant(call.values[0].clone(), "path_match: argument 1 (pattern)", planner)?;
            let pattern = pattern(&text, "path_match")?;
            if pattern.takes_nothing() {
                return plan_err!(
                    "path_match: argument 1 (pattern): a session without a step of it meets it too – name a step that must be there"
                );
            }
            Cut::Pattern(pattern)
        }
    };
    let every = function == "path_ngrams" || call.flag("every", planner)?;
    Ok(table(PathsCall { function, tests, cut, every, source }))
}

/// The argument behind the steps that says how many steps a piece has.
fn count(call: &Call, at: usize, usual: usize, planner: &mut dyn RelationPlannerContext) -> Result<usize> {
    let Some(value) = call.values.get(at) else { return Ok(usual) };
    let what = format!("{}: argument {} (n)", call.function, at + 1);
    let value = constant(value.clone(), &what, planner)?;
    let count = value.cast_to(&DataType::UInt32).ok().filter(|_| value.data_type().is_integer());
    match count {
        Some(ScalarValue::UInt32(Some(count))) if (1..=MOST).contains(&(count as usize)) => Ok(count as usize),
        _ => plan_err!("{what} must be a whole number from 1 to {MOST}, is {}", shown(&value)),
    }
}

fn read_tests(
    call: &Call,
    steps: usize,
    columns: &DFSchema,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Vec<Test>> {
    let mut tests = Vec::new();
    for (no, value) in (1..).zip(&call.values[..steps]) {
        tests.push(Test::read(value, &format!("{}: argument {no} (step)", call.function), columns, planner)?);
    }
    Ok(tests)
}

/// A call as written.
#[derive(Debug)]
struct PathsCall {
    function: &'static str,
    tests: Vec<Test>,
    cut: Cut,
    every: bool,
    source: Arc<Source>,
}

impl TableFunction for PathsCall {
    fn schema(&self) -> SchemaRef {
        tally::schema()
    }

    fn answer(&self, state: &dyn Session, projection: Vec<usize>) -> Result<Arc<dyn Answer>> {
        let (plan, facts) = walked::pass(&self.source, state, false)?;
        let rule = facts.settings.label;
        let conditions = Conditions::plan(self.tests.iter(), rule, state)?;
        let plan = conditions.ask(plan, rule)?;
        let readers = readers(state, &plan);
        let asked = Asked { function: self.function, cut: self.cut.clone(), every: self.every, conditions };
        let duration = tally::schema().index_of(tally::DURATION)?;
        let timed = projection.contains(&duration);
        Ok(Arc::new(Pass { asked: Arc::new(asked), plan, facts, readers, projection, timed }))
    }
}
