//! Takes expressions of MEASURES and DEFINE apart: every term becomes a column of its text.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{DFSchema, DFSchemaRef, DataFusionError, plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, lit};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, Value, VisitMut,
    VisitorMut,
};

use super::super::call::refuse_subqueries;
use super::syntax::NAME;
use super::term::{Formula, Place, Term};
use crate::engine::answer::type_name;

/// Collects what is read of a row while expressions are taken apart.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    variables: &'a [String],
    input: DFSchemaRef,
    /// Expressions over the input.
    pub columns: Vec<Expr>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(variables: &'a [String], input: &LogicalPlan) -> Self {
        Self { variables, input: Arc::clone(input.schema()), columns: Vec::new() }
    }

    /// A part of the definition of a variable.
    pub(super) fn condition(
        &mut self,
        written: &SqlExpr,
        variable: u16,
        planner: &mut dyn RelationPlannerContext,
    ) -> Result<Formula> {
        let what = format!("DEFINE {}", self.variables[usize::from(variable)]);
        let formula = self.formula(written, &what, Some(variable), planner)?;
        if formula.kind != DataType::Boolean && formula.kind != DataType::Null {
            return plan_err!("{NAME}: {what}: '{written}' is no condition, is of type {}", type_name(&formula.kind));
        }
        Ok(formula)
    }

    /// A measure.
    pub(super) fn measure(&mut self, written: &SqlExpr, planner: &mut dyn RelationPlannerContext) -> Result<Formula> {
        self.formula(written, "MEASURES", None, planner)
    }

    fn formula(
        &mut self,
        written: &SqlExpr,
        what: &str,
        defines: Option<u16>,
        planner: &mut dyn RelationPlannerContext,
    ) -> Result<Formula> {
        let mut spelled = written.clone();
        let mut apart = Apart { reading: self, planner, what, defines, terms: Vec::new(), fields: Vec::new() };
        if let ControlFlow::Break(error) = spelled.visit(&mut apart) {
            return Err(*error);
        }
        let Apart { terms, fields, .. } = apart;
        let schema = Arc::new(DFSchema::from_unqualified_fields(fields.into(), HashMap::new())?);
        let expr = planner.sql_to_expr(spelled, &schema)?;
        refuse_subqueries(&expr, &format!("{NAME}: {what}"))?;
        let kind = expr.get_type(&schema)?;
        Ok(Formula { expr, terms, schema, kind })
    }

    /// The place of an expression over a row among those that are read.
    fn column(&mut self, expr: Expr) -> usize {
        self.columns.iter().position(|known| *known == expr).unwrap_or_else(|| {
            self.columns.push(expr);
            self.columns.len() - 1
        })
    }

    fn variable(&self, name: &Ident, planner: &dyn RelationPlannerContext) -> Option<u16> {
        let name = planner.normalize_ident(name.clone());
        u16::try_from(self.variables.iter().position(|known| *known == name)?).ok()
    }

    /// `A.price * 2` as an expression over a row, and the variable whose rows are meant.
    fn row(
        &self,
        written: &SqlExpr,
        what: &str,
        planner: &mut dyn RelationPlannerContext,
    ) -> Result<(Option<u16>, Expr)> {
        let mut plain = written.clone();
        let mut columns = Columns { reading: self, planner, of: Vec::new() };
        if let ControlFlow::Break(refused) = plain.visit(&mut columns) {
            return plan_err!("{NAME}: {what}: '{refused}' cannot stand inside '{written}'");
        }
        let of = columns.of;
        if of.iter().any(|it| *it != of[0]) {
            return plan_err!("{NAME}: {what}: the columns of '{written}' belong to different variables");
        }
        let expr = planner.sql_to_expr(plain, &self.input)?;
        refuse_subqueries(&expr, &format!("{NAME}: {what}"))?;
        Ok((of.first().copied().flatten(), expr))
    }
}

/// Functions that look at other rows.
fn is_navigation(name: &str) -> bool {
    matches!(name, "first" | "last" | "prev" | "next")
}

fn is_aggregate(name: &str) -> bool {
    matches!(name, "count" | "sum" | "min" | "max" | "avg")
}

fn name_of(function: &Function) -> String {
    function.name.to_string().to_ascii_lowercase()
}

/// Takes the variables off the columns of an expression over one row.
struct Columns<'r, 'a> {
    reading: &'r Reading<'a>,
    planner: &'r dyn RelationPlannerContext,
    of: Vec<Option<u16>>,
}

impl VisitorMut for Columns<'_, '_> {
    type Break = String;

    fn pre_visit_expr(&mut self, expr: &mut SqlExpr) -> ControlFlow<String> {
        match expr {
            SqlExpr::Identifier(_) => self.of.push(None),
            SqlExpr::CompoundIdentifier(parts) => {
                let of = self.reading.variable(&parts[0], self.planner);
                self.of.push(of);
                if of.is_some() {
                    let rest = parts.split_off(1);
                    *expr = match <[Ident; 1]>::try_from(rest) {
                        Ok([name]) => SqlExpr::Identifier(name),
                        Err(rest) => SqlExpr::CompoundIdentifier(rest),
                    };
                }
            }
            SqlExpr::Function(function) => {
                let name = name_of(function);
                if is_navigation(&name) || is_aggregate(&name) || matches!(&*name, "classifier" | "match_number") {
                    return ControlFlow::Break(function.to_string());
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Replaces every term of an expression by a column of its text.
struct Apart<'r, 'a> {
    reading: &'r mut Reading<'a>,
    planner: &'r mut dyn RelationPlannerContext,
    what: &'r str,
    /// The variable whose definition it is.
    defines: Option<u16>,
    terms: Vec<Term>,
    fields: Vec<Field>,
}

impl VisitorMut for Apart<'_, '_> {
    type Break = Box<DataFusionError>;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<Self::Break> {
        let what = self.what;
        ControlFlow::Break(Box::new(plan_datafusion_err!("{NAME}: {what}: a subquery cannot stand here")))
    }

    fn pre_visit_expr(&mut self, expr: &mut SqlExpr) -> ControlFlow<Self::Break> {
        match self.replaced(expr) {
            Ok(Some(other)) => *expr = other,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(Box::new(error)),
        }
        ControlFlow::Continue(())
    }
}

impl Apart<'_, '_> {
    /// What stands for a term; `None` if the expression is none.
    fn replaced(&mut self, expr: &SqlExpr) -> Result<Option<SqlExpr>> {
        let term = match expr {
            SqlExpr::Identifier(_) | SqlExpr::CompoundIdentifier(_) => self.place(expr)?,
            SqlExpr::Function(function) => {
                let name = name_of(function);
                let known = is_navigation(&name) || is_aggregate(&name);
                if !known && !matches!(&*name, "classifier" | "match_number") {
                    return Ok(None);
                }
                self.plain(function)?;
                if let ("classifier", Some(variable)) = (&*name, self.defines) {
                    // Known: the row at hand is to become this variable.
                    self.no_arguments(function)?;
                    let name = self.reading.variables[usize::from(variable)].clone();
                    return Ok(Some(SqlExpr::value(Value::SingleQuotedString(name))));
                }
                match &*name {
                    "classifier" => self.no_arguments(function).map(|()| Term::Classifier)?,
                    "match_number" => self.no_arguments(function).map(|()| Term::MatchNumber)?,
                    name if is_aggregate(name) => self.aggregate(function, name)?,
                    _ => self.place(expr)?,
                }
            }
            _ => return Ok(None),
        };
        let text = expr.to_string();
        if !self.fields.iter().any(|field| *field.name() == text) {
            self.fields.push(Field::new(&text, self.kind(&term)?, true));
            self.terms.push(term);
        }
        Ok(Some(SqlExpr::Identifier(Ident::with_quote('"', text))))
    }

    fn kind(&self, term: &Term) -> Result<DataType> {
        let column = |at: usize| self.reading.columns[at].get_type(&self.reading.input);
        match term {
            Term::Row { column: at, .. } => column(*at),
            Term::Aggregate { function, column: at, .. } => function.return_type(&[column(*at)?]),
            Term::Classifier => Ok(DataType::Utf8),
            Term::MatchNumber => Ok(DataType::Int64),
        }
    }

    /// Refuses what a call can have besides arguments.
    fn plain(&self, function: &Function) -> Result<()> {
        let Function { parameters, args, filter, null_treatment, over, within_group, .. } = function;
        let distinct = match args {
            FunctionArguments::List(list) => list.duplicate_treatment.is_some() || !list.clauses.is_empty(),
            _ => true,
        };
        let more =
            distinct || filter.is_some() || null_treatment.is_some() || over.is_some() || !within_group.is_empty();
        if more || *parameters != FunctionArguments::None {
            return plan_err!("{NAME}: {}: '{function}' is not possible – only plain arguments are", self.what);
        }
        Ok(())
    }

    fn no_arguments(&self, function: &Function) -> Result<()> {
        match arguments(function) {
            [] => Ok(()),
            _ => {
                plan_err!("{NAME}: {}: '{function}' is not possible – {}() takes no argument", self.what, function.name)
            }
        }
    }

    /// A column, or FIRST, LAST, PREV, NEXT of one.
    fn place(&mut self, expr: &SqlExpr) -> Result<Term> {
        let (inner, shift) = self.shifted(expr)?;
        let (written, from_last, skipped) = match inner {
            SqlExpr::Function(function) if matches!(&*name_of(function), "first" | "last") => {
                self.plain(function)?;
                let (value, count) = self.counted(function, 0)?;
                (value, name_of(function) == "last", count)
            }
            other => (other, true, 0),
        };
        let (of, row) = self.reading.row(written, self.what, self.planner)?;
        let column = self.reading.column(row);
        let Ok(skipped) = usize::try_from(skipped) else {
            return plan_err!("{NAME}: {}: '{expr}' looks too far", self.what);
        };
        Ok(Term::Row { column, place: Place { of, from_last, skipped, shift } })
    }

    /// Takes PREV or NEXT off an expression.
    fn shifted<'e>(&self, expr: &'e SqlExpr) -> Result<(&'e SqlExpr, i64)> {
        match expr {
            SqlExpr::Function(function) if matches!(&*name_of(function), "prev" | "next") => {
                self.plain(function)?;
                let (value, count) = self.counted(function, 1)?;
                Ok((value, if name_of(function) == "prev" { -count } else { count }))
            }
            other => Ok((other, 0)),
        }
    }

    /// `f(value [, count])`.
    fn counted<'e>(&self, function: &'e Function, usual: i64) -> Result<(&'e SqlExpr, i64)> {
        let what = self.what;
        let wrong =
            || plan_datafusion_err!("{NAME}: {what}: '{function}' – write {}(value, whole number)", function.name);
        let value = |arg: &'e FunctionArg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Ok(value),
            _ => Err(wrong()),
        };
        match arguments(function) {
            [only] => Ok((value(only)?, usual)),
            [first, second] => {
                let count = value(second)?.to_string().parse().ok().filter(|count: &i64| *count >= 0);
                Ok((value(first)?, count.ok_or_else(wrong)?))
            }
            _ => Err(wrong()),
        }
    }

    fn aggregate(&mut self, function: &Function, name: &str) -> Result<Term> {
        let what = self.what;
        let (of, row) = match arguments(function) {
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] => self.reading.row(value, what, self.planner)?,
            [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] if name == "count" => (None, lit(1_i64)),
            [FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(variable))] if name == "count" => {
                let ident = variable.0.first().and_then(|part| part.as_ident());
                let of = ident.and_then(|ident| self.reading.variable(ident, self.planner));
                if of.is_none() {
                    return plan_err!("{NAME}: {what}: '{function}': PATTERN has no variable {variable}");
                }
                (of, lit(1_i64))
            }
            _ => return plan_err!("{NAME}: {what}: '{function}' takes one argument"),
        };
        let Some(known) = self.planner.context_provider().get_aggregate_meta(name) else {
            return plan_err!("{NAME}: {what}: there is no aggregate {name}");
        };
        let input = Arc::clone(&self.reading.input);
        let (_, field) = row.to_field(&input)?;
        let coerced = fields_with_udf(&[field], known.as_ref())?;
        let row = match coerced.first() {
            Some(field) => row.cast_to(field.data_type(), &input)?,
            None => row,
        };
        Ok(Term::Aggregate { function: known, column: self.reading.column(row), of })
    }
}

fn arguments(function: &Function) -> &[FunctionArg] {
    match &function.args {
        FunctionArguments::List(list) => &list.args,
        FunctionArguments::None | FunctionArguments::Subquery(_) => &[],
    }
}
