//! The arguments of a table function: values in order, options by name.
//!
//! `funnel('/a', page = '/b', window => INTERVAL '7 days')`: DataFusion plans such arguments against nothing and refuses
//! names, so they are read here from the syntax.

use arrow::compute::can_cast_types;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DFSchema, ScalarValue, plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::physical_expr::create_physical_expr;
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, FunctionArg, FunctionArgExpr, FunctionArgOperator, Value as SqlValue,
};

use super::length::{self, Clock};
use super::segment;
use crate::engine::answer::type_name;
use crate::error::did_you_mean;
use crate::time;

/// A call of a table function as written.
#[derive(Debug)]
pub(super) struct Call {
    pub function: &'static str,
    pub values: Vec<SqlExpr>,
    options: Vec<(String, SqlExpr)>,
}

impl Call {
    /// Takes the arguments apart. `known` are the options there are.
    pub(super) fn new(function: &'static str, args: Vec<FunctionArg>, known: &[&str]) -> Result<Self> {
        let mut call = Self { function, values: Vec::new(), options: Vec::new() };
        for arg in args {
            let shown = arg.to_string();
            let (name, value, operator) = match arg {
                FunctionArg::Unnamed(value) => (None, value, None),
                FunctionArg::Named { name, arg, operator } => (Some(name.value), arg, Some(operator)),
                FunctionArg::ExprNamed { name: SqlExpr::Identifier(name), arg, operator } => {
                    (Some(name.value), arg, Some(operator))
                }
                FunctionArg::ExprNamed { .. } => {
                    return plan_err!("{function}: '{shown}' is no option – put a condition into parentheses");
                }
            };
            let FunctionArgExpr::Expr(value) = value else {
                return plan_err!("{function}: '{shown}' is no argument – name the steps one by one");
            };
            match (name, operator) {
                (Some(name), Some(FunctionArgOperator::RightArrow | FunctionArgOperator::Assignment)) => {
                    call.add_option(name.to_ascii_lowercase(), value, known)?;
                }
                (Some(_), _) => {
                    return plan_err!("{function}: '{shown}' – write an option with =>, a condition in parentheses");
                }
                (None, _) => elements(value, &mut call.values),
            }
        }
        Ok(call)
    }

    fn add_option(&mut self, name: String, value: SqlExpr, known: &[&str]) -> Result<()> {
        let function = self.function;
        if name == segment::OPTION {
            return plan_err!("{function}: option '{name}' is given twice");
        }
        if !known.contains(&name.as_str()) {
            // Every function has that one too, see `segment.rs`.
            let known = [known, &[segment::OPTION]].concat();
            let hint = did_you_mean(&name, known.iter().copied())
                .unwrap_or_else(|| format!("the options are {}", known.join(", ")));
            return plan_err!("{function}: unknown option '{name}' – {hint}");
        }
        if self.options.iter().any(|(given, _)| *given == name) {
            return plan_err!("{function}: option '{name}' is given twice");
        }
        self.options.push((name, value));
        Ok(())
    }

    /// The value of an option, if it is given.
    pub(super) fn option(&self, name: &str, planner: &mut dyn RelationPlannerContext) -> Result<Option<ScalarValue>> {
        let Some((_, value)) = self.options.iter().find(|(given, _)| given == name) else { return Ok(None) };
        let what = format!("{}: option '{name}'", self.function);
        if let SqlExpr::Identifier(word) = value {
            return Ok(Some(ScalarValue::from(word.value.as_str())));
        }
        constant(value.clone(), &what, planner).map(Some)
    }

    /// The elements of an option that is a list; a single value is a list of one, none where it is not given.
    pub(super) fn list(&self, name: &str) -> Vec<SqlExpr> {
        let mut list = Vec::new();
        if let Some((_, value)) = self.options.iter().find(|(given, _)| given == name) {
            elements(value.clone(), &mut list);
        }
        list
    }

    /// The length of an option that is a length of time, µs.
    pub(super) fn length(&self, name: &str, planner: &mut dyn RelationPlannerContext) -> Result<Option<i64>> {
        let Some(value) = self.option(name, planner)? else { return Ok(None) };
        self.micros(name, &value).map(Some)
    }

    /// A value of an option that is a length of time, µs.
    pub(super) fn micros(&self, name: &str, value: &ScalarValue) -> Result<i64> {
        let length = Clock::Timestamp(TimeUnit::Microsecond).length(value);
        length.map_err(|error| plan_datafusion_err!("{}: option '{name}': {error}", self.function))
    }

    /// Whether an option is true.
    pub(super) fn flag(&self, name: &str, planner: &mut dyn RelationPlannerContext) -> Result<bool> {
        match self.option(name, planner)? {
            None | Some(ScalarValue::Boolean(Some(false))) => Ok(false),
            Some(ScalarValue::Boolean(Some(true))) => Ok(true),
            Some(other) => plan_err!("{}: option '{name}' is true or false, not {}", self.function, shown(&other)),
        }
    }

    /// The value of an option that counts something, from 1.
    pub(super) fn count(&self, name: &str, planner: &mut dyn RelationPlannerContext) -> Result<Option<i64>> {
        let Some(value) = self.option(name, planner)? else { return Ok(None) };
        match whole(&value) {
            Some(count) if count > 0 => Ok(Some(count)),
            _ => plan_err!("{}: option '{name}' is a whole number from 1, not {}", self.function, shown(&value)),
        }
    }

    /// The value of an option that is a day or a time, µs.
    pub(super) fn moment(&self, name: &str, planner: &mut dyn RelationPlannerContext) -> Result<Option<i64>> {
        let Some(value) = self.option(name, planner)? else { return Ok(None) };
        let text = value.cast_to(&DataType::Utf8).ok().and_then(|value| text_of(&value));
        let moment = text.and_then(|text| time::parse_iso(text.as_bytes(), 0));
        let such = "a day or time such as '2026-01-05' or '2026-01-05T10:00:00Z'";
        let wrong = || plan_datafusion_err!("{}: option '{name}' is {such}, not {}", self.function, shown(&value));
        moment.map(Some).ok_or_else(wrong)
    }

    /// The expression over the columns of `schema` that an option is.
    pub(super) fn expression(
        &self,
        name: &str,
        schema: &DFSchema,
        planner: &mut dyn RelationPlannerContext,
    ) -> Result<Option<Expr>> {
        let Some((_, value)) = self.options.iter().find(|(given, _)| given == name) else { return Ok(None) };
        let what = format!("{}: option '{name}'", self.function);
        let expr = planner.sql_to_expr(value.clone(), schema)?;
        refuse_subqueries(&expr, &what)?;
        if expr.column_refs().is_empty() {
            return plan_err!("{what} must be a column or an expression over columns, is the constant {value}");
        }
        if !can_cast_types(&expr.get_type(schema)?, &DataType::Utf8) {
            return plan_err!("{what} has no text form: it is of type {}", type_name(&expr.get_type(schema)?));
        }
        Ok(Some(expr))
    }

    /// The text value of an option that is one of `choices`, each beside its meaning.
    pub(super) fn choice<T: Copy>(
        &self,
        name: &str,
        choices: &[(&str, T)],
        planner: &mut dyn RelationPlannerContext,
    ) -> Result<Option<T>> {
        let Some(value) = self.option(name, planner)? else { return Ok(None) };
        let (text, words) = (text_of(&value), choices.iter().map(|(word, _)| *word));
        let found = text.as_ref().and_then(|text| choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)));
        let Some((_, meaning)) = found else {
            let all = one_of(words.clone());
            let hint = text.and_then(|text| did_you_mean(&text, words)).map(|hint| format!(" – {hint}"));
            let (function, value, hint) = (self.function, shown(&value), hint.unwrap_or_default());
            return plan_err!("{function}: option '{name}' is {all}, not {value}{hint}");
        };
        Ok(Some(*meaning))
    }
}

/// A list stands for its elements.
fn elements(value: SqlExpr, into: &mut Vec<SqlExpr>) {
    match value {
        SqlExpr::Array(list) => list.elem.into_iter().for_each(|value| elements(value, into)),
        SqlExpr::Tuple(list) => list.into_iter().for_each(|value| elements(value, into)),
        value => into.push(value),
    }
}

/// The person that an argument names.
pub(super) fn person(user: &SqlExpr, what: &str, planner: &mut dyn RelationPlannerContext) -> Result<String> {
    if let SqlExpr::Identifier(word) = user {
        return plan_err!("{what} must be a text – write it in quotes: '{}'", word.value);
    }
    let value = constant(user.clone(), what, planner)?;
    let Some(user) = text_of(&value).or_else(|| whole(&value).map(|number| number.to_string())) else {
        return plan_err!("{what} must be a text, is {}", shown(&value));
    };
    Ok(user)
}

/// A value as SQL writes it.
pub(super) fn shown(value: &ScalarValue) -> String {
    text_of(value).map_or_else(|| value.to_string(), |text| format!("'{}'", text.replace('\'', "''")))
}

/// `'a', 'b' or 'c'`.
pub(super) fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.map(|word| format!("'{word}'")).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.join(""),
    }
}

/// The number of a whole number.
pub(super) fn whole(value: &ScalarValue) -> Option<i64> {
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(number)) if value.data_type().is_integer() => number,
        _ => None,
    }
}

/// The text of a text value.
pub(super) fn text_of(value: &ScalarValue) -> Option<String> {
    value.try_as_str().flatten().map(str::to_owned)
}

/// The text of a quoted text.
pub(super) fn quoted(value: &SqlExpr) -> Option<&str> {
    match value {
        SqlExpr::Nested(inner) => quoted(inner),
        SqlExpr::Value(value) => match &value.value {
            SqlValue::SingleQuotedString(text)
            | SqlValue::NationalStringLiteral(text)
            | SqlValue::EscapedStringLiteral(text) => Some(text),
            SqlValue::DollarQuotedString(text) => Some(&text.value),
            _ => None,
        },
        _ => None,
    }
}

/// The value of an argument that must not depend on any row.
pub(super) fn constant(value: SqlExpr, what: &str, planner: &mut dyn RelationPlannerContext) -> Result<ScalarValue> {
    let nothing = DFSchema::empty();
    let expr = planner.sql_to_expr(value, &nothing)?;
    refuse_subqueries(&expr, what)?;
    if let Expr::Placeholder(parameter) = &expr {
        return plan_err!(
            "{what}: {} has no value – parameters belong into a file: journeyql run FILE.sql",
            parameter.id
        );
    }
    let ready = create_physical_expr(&expr, &nothing, &ExecutionProps::new(), &PhysicalPlanningContext::default())?;
    length::constant(&ready, what)
}

/// A condition over the columns of `schema`; `asked` says what may stand here.
pub(super) fn condition(
    value: SqlExpr,
    (what, asked): (&str, &str),
    schema: &DFSchema,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Expr> {
    let expr = planner.sql_to_expr(value, schema)?;
    refuse_subqueries(&expr, what)?;
    match expr.get_type(schema)? {
        DataType::Boolean => Ok(expr),
        other => plan_err!("{what} must be a {asked}, is of type {}", type_name(&other)),
    }
}

/// DataFusion would drop a subquery in silence; an aggregate has no rows here.
pub(super) fn refuse_subqueries(expr: &Expr, what: &str) -> Result<()> {
    use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
    expr.apply(|node| match node {
        Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_) => {
            plan_err!("{what}: a subquery cannot stand here – write its result, or join with the answer")
        }
        Expr::AggregateFunction(_) => plan_err!("{what}: an aggregate cannot stand here – a condition sees one event"),
        Expr::WindowFunction(function) => refuse_window(function, what),
        _ => Ok(TreeNodeRecursion::Continue),
    })?;
    Ok(())
}

fn refuse_window<T>(function: &WindowFunction, what: &str) -> Result<T> {
    plan_err!("{what}: the window function {} cannot stand here – a condition sees one event", function.fun)
}
