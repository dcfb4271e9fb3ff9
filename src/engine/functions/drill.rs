//! `drill(view, key…, figure => '…')`: the steps behind a number of a view, so that it can be counted again.
//!
//! | call | figures: rows are counted by it, the first where nothing is said |
//! |---|---|
//! | `drill('transitions', from, to)` | `transitions` |
//! | `drill('drop_offs', page)` | `drop_offs`, `exits`, `terminal_exits`, `entries`, `bounces`, `views` |
//! | `drill('dwell', page)` | `n`, `unknown` |
//! | `drill('flows', position, from, to)` | `sessions` (not of `Other` and `Later`, which stand for many steps) |
//! | `drill('step_matrix', position, step)` | `sessions` (not of `EXIT`, where nothing is) |
//! | `drill('top_paths', path)` | `steps`: every step of its sessions; `count(DISTINCT session_id)` is `sessions` |
//! | `drill('funnel', step_no, step…)` | the rows of `funnel_users(step…)` that reached the step: `units` |
//! | `drill('retention_cohorts', cohort, period, …)` | a row per person (`user_id`): `users`, `people` |
//!
//! | column (of all but the last two) | type | meaning |
//! |---|---|---|
//! | `user_id`, `session_id`, `session_start` | `Utf8`, `Timestamp(µs, UTC)` | whose session it is, and when it began |
//! | `step_index` | `Int64` | number of the step in it; 0 for `START` |
//! | `ts` | `Timestamp(µs, UTC)` | when: of a move, when it arrives |
//! | `step`, `next_step` | `Utf8` or NULL | the step, and the one that follows it |
//!
//! The numbers are those of the program's own views, whatever a store has put in their place, and of the settings in force. NULL is the step
//! without a name.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::common::{ScalarValue, plan_err};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::Result;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::{Expr, JoinType, LogicalPlanBuilder, Operator, binary_expr, cast, col, ident, lit};
use datafusion::sql::sqlparser::ast::{FunctionArg, FunctionArgExpr};

use super::call::{Call, constant, shown, text_of, whole};
use super::{cohort_people, funnel, retention_cohorts};
use crate::engine::relations::Relation;
use crate::engine::source::Source;
use crate::engine::tables::JourneyTable;
use crate::error::did_you_mean;

/// What is behind a view: its name, how a call is written, how many keys there are, its figures.
struct View {
    name: &'static str,
    shown: &'static str,
    keys: usize,
    figures: &'static [&'static str],
}

const VIEWS: [View; 8] = [
    View { name: "transitions", shown: "drill('transitions', '/', '/cart')", keys: 2, figures: &["transitions"] },
    View {
        name: "drop_offs",
        shown: "drill('drop_offs', '/cart')",
        keys: 1,
        figures: &["drop_offs", "exits", "terminal_exits", "entries", "bounces", "views"],
    },
    View { name: "dwell", shown: "drill('dwell', '/cart')", keys: 1, figures: &["n", "unknown"] },
    View { name: "flows", shown: "drill('flows', 1, '/', '/cart')", keys: 3, figures: &["sessions"] },
    View { name: "step_matrix", shown: "drill('step_matrix', 2, '/cart')", keys: 2, figures: &["sessions"] },
    View { name: "top_paths", shown: "drill('top_paths', '/ > /cart')", keys: 1, figures: &["steps"] },
    View { name: FUNNEL, shown: "drill('funnel', 2, '/', '/cart')", keys: 0, figures: &["units"] },
    View { name: retention_cohorts::NAME, shown: COHORT, keys: 0, figures: &["users", "people"] },
];
const COHORT: &str = "drill('retention_cohorts', '2026-01-05', 1)";
const FUNNEL: &str = "funnel";

/// Reads a call of `drill`.
pub(super) fn plan(
    mut args: Vec<FunctionArg>,
    source: Arc<Source>,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Arc<dyn TableProvider>> {
    let names = VIEWS.iter().map(|view| view.name);
    let name = first(&mut args, "argument 1 (view)", planner)?.as_ref().and_then(text_of);
    let Some(name) = name else {
        return plan_err!("drill takes a view and what names a row of it – write {}", VIEWS[0].shown);
    };
    let Some(view) = VIEWS.iter().find(|view| view.name.eq_ignore_ascii_case(&name)) else {
        let known = did_you_mean(&name, names.clone())
            .unwrap_or_else(|| format!("the views are {}", names.collect::<Vec<_>>().join(", ")));
        return plan_err!("drill: nothing is behind '{name}' – {known}");
    };
    match view.name {
        FUNNEL => return units(view, args, source, planner),
        retention_cohorts::NAME => return people(view, args, source, planner),
        _ => {}
    }
    let call = Call::new("drill", args, &["figure"])?;
    if call.values.len() != view.keys {
        return plan_err!("drill: a row of {name} is named by {} values – write {}", view.keys, view.shown);
    }
    let mut keys = Vec::new();
    for (no, value) in (2..).zip(call.values.clone()) {
        keys.push(constant(value, &format!("drill: argument {no}"), planner)?);
    }
    let figures: Vec<(&str, &str)> = view.figures.iter().map(|&figure| (figure, figure)).collect();
    let figure = call.choice("figure", &figures, planner)?.unwrap_or(view.figures[0]);
    rows(view, &keys, figure, &source)
}

/// A relation of the pass as a plan.
fn scan(relation: Relation, source: &Arc<Source>) -> Result<LogicalPlanBuilder> {
    let table = Arc::new(JourneyTable::new(Arc::clone(source), relation));
    LogicalPlanBuilder::scan(relation.name(), provider_as_source(table), None)
}

fn text(column: &str) -> Expr {
    cast(col(column), DataType::Utf8)
}

fn rows(view: &View, keys: &[ScalarValue], figure: &str, source: &Arc<Source>) -> Result<Arc<dyn TableProvider>> {
    let is = |column: &str, key: usize| -> Result<Expr> {
        let (value, what) = (&keys[key], format!("drill: argument {} ({column})", key + 2));
        if column == "step_index" {
            let Some(position) = whole(value) else { return plan_err!("{what} is a position, not {}", shown(value)) };
            return Ok(col(column).eq(lit(position)));
        }
        if !value.is_null() && text_of(value).is_none() {
            return plan_err!("{what} must be a text, is {}", shown(value));
        }
        Ok(binary_expr(text(column), Operator::IsNotDistinctFrom, lit(ScalarValue::Utf8(text_of(value)))))
    };
    let edges = || scan(Relation::Edges, source);
    let steps = || scan(Relation::Steps, source);
    let (plan, moves) = match view.name {
        "transitions" => (edges()?.filter(is("from_step", 0)?.and(is("to_step", 1)?))?, true),
        "flows" => {
            let row = is("step_index", 0)?.and(is("from_step", 1)?).and(is("to_step", 2)?);
            (edges()?.filter(row)?, true)
        }
        "step_matrix" => (steps()?.filter(is("step_index", 0)?.and(is("step", 1)?))?, false),
        "top_paths" => {
            let paths = scan(Relation::Journeys, source)?.filter(is("path", 0)?)?;
            let paths = paths.project([text("session_id").alias("path_session")])?.build()?;
            let keys = (vec![text("steps.session_id")], vec![ident("path_session")]);
            (steps()?.join_with_expr_keys(paths, JoinType::LeftSemi, keys, None)?, false)
        }
        "dwell" => {
            let known = if figure == "n" { col("dwell_s").is_not_null() } else { col("dwell_s").is_null() };
            (steps()?.filter(is("step", 0)?.and(col("is_view")).and(known))?, false)
        }
        _ => {
            let counted = match figure {
                "drop_offs" => col("is_exit").and(!col("is_terminal")),
                "exits" => col("is_exit"),
                "terminal_exits" => col("is_exit").and(col("is_terminal")),
                "entries" => col("is_entry"),
                "bounces" => col("is_entry").and(col("is_exit")),
                _ => lit(true),
            };
            (steps()?.filter(is("step", 0)?.and(counted))?, false)
        }
    };
    let (step, next) = if moves { ("from_step", "to_step") } else { ("step", "next_step") };
    let columns = [
        text("user_id").alias("user_id"),
        text("session_id").alias("session_id"),
        col("session_start"),
        col("step_index"),
        col("ts"),
        text(step).alias("step"),
        text(next).alias("next_step"),
    ];
    Ok(Arc::new(ViewTable::new(plan.project(columns)?.build()?, None)))
}

/// The constant before the other arguments.
fn first(
    args: &mut Vec<FunctionArg>,
    what: &str,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Option<ScalarValue>> {
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(value))) = args.first() else { return Ok(None) };
    let value = constant(value.clone(), &format!("drill: {what}"), planner)?;
    args.remove(0);
    Ok(Some(value))
}

/// The people of a cohort who were active in a period.
fn people(
    view: &View,
    mut args: Vec<FunctionArg>,
    source: Arc<Source>,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Arc<dyn TableProvider>> {
    let cohort = first(&mut args, "argument 2 (cohort)", planner)?;
    let period = first(&mut args, "argument 3 (period)", planner)?;
    let Some((cohort, period)) = cohort.zip(period) else {
        return plan_err!("drill: a cell of {} is named by its cohort and period – write {}", view.name, view.shown);
    };
    cohort_people::plan([cohort, period], args, source, planner)
}

/// The units of a funnel that reached a step.
fn units(
    view: &View,
    mut args: Vec<FunctionArg>,
    source: Arc<Source>,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Arc<dyn TableProvider>> {
    let number = first(&mut args, "argument 2 (step_no)", planner)?.as_ref().and_then(whole);
    let Some(number) = number.filter(|&number| number > 0) else {
        return plan_err!("drill: argument 2 (step_no) is the number of a step from 1 – write {}", view.shown);
    };
    let users = funnel::plan("funnel_users", args, source, planner)?;
    let plan = LogicalPlanBuilder::scan("funnel_users", provider_as_source(users), None)?;
    Ok(Arc::new(ViewTable::new(plan.filter(col("reached").gt_eq(lit(number)))?.build()?, None)))
}
