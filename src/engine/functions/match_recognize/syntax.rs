//! The clauses as they are written, made ready: what is read of a row, which terms an expression is made of.

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ExprSchema, plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlannerContext};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::sql::sqlparser::ast::{
    AfterMatchSkip, BinaryOperator, Expr as SqlExpr, Ident, MatchRecognizePattern, MatchRecognizeSymbol, Measure,
    OrderByExpr, RepetitionQuantifier, RowsPerMatch, SymbolDefinition, TableFactor,
};

use super::super::call::refuse_subqueries;
use super::apart::Reading;
use super::node::{Definition, Layout, MatchRecognize, Spec};
use super::term::Formula;
use crate::journey::row_pattern::{Pattern, Program, Skip};
use crate::limits;

/// The name in messages.
pub(super) const NAME: &str = "MATCH_RECOGNIZE";
/// What tells rows of equal times apart where a relation has it: of `events`, of `steps`.
const TIES: [&[&str]; 2] = [&["source_id", "source_offset", "event_id"], &["session_start", "step_index"]];

/// Reads the clauses; `None` if the relation is something else.
pub(in crate::engine::functions) fn plan(
    relation: &TableFactor,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Option<PlannedRelation>> {
    let TableFactor::MatchRecognize {
        table,
        partition_by,
        order_by,
        measures,
        rows_per_match,
        after_match_skip,
        pattern,
        symbols,
        alias,
    } = relation
    else {
        return Ok(None);
    };
    if let Some(RowsPerMatch::AllRows(_)) = rows_per_match {
        return plan_err!("{NAME}: ALL ROWS PER MATCH is not possible – ONE ROW PER MATCH is");
    }
    let input = planner.plan(table.as_ref().clone())?;
    let mut variables = Variables::default();
    let pattern = variables.pattern(pattern, planner)?;
    let most = limits::ROW_PATTERN_STEPS;
    let Ok(program) = Program::new(&pattern, most, limits::ROW_PATTERN_WAYS) else {
        return plan_err!("{NAME}: PATTERN is too large – spelled out it has more than {most} steps");
    };
    let skip = variables.skip(after_match_skip.as_ref(), planner)?;
    let names: Vec<String> = variables.names.iter().map(|(name, _)| name.clone()).collect();
    let mut reading = Reading::new(&names, &input);
    let (keys, fields) = partition(partition_by, &input, planner)?;
    let order = order(order_by, &input, planner)?;
    let definitions = definitions(symbols, &variables, &mut reading, planner)?;
    let measures = self::measures(measures, &mut reading, planner)?;
    let layout = Layout { keys: keys.len(), order: order.iter().map(|(_, options)| *options).collect(), ties: 0 };
    let (input, layout) = projected(input, keys, order, reading.columns, layout)?;
    let classifiers = variables.names.into_iter().map(|(_, spelled)| spelled).collect();
    let spec = Spec { layout, program, skip, classifiers, definitions, measures, text: relation.to_string() };
    let plan = MatchRecognize::plan(input, spec, fields)?;
    Ok(Some(PlannedRelation::new(plan, alias.clone())))
}

/// The variables of a pattern: as they are compared and as they are spelled first.
#[derive(Default)]
struct Variables {
    names: Vec<(String, String)>,
}

impl Variables {
    fn find(&self, name: &Ident, planner: &dyn RelationPlannerContext) -> Option<u16> {
        let name = planner.normalize_ident(name.clone());
        let at = self.names.iter().position(|(known, _)| *known == name)?;
        u16::try_from(at).ok()
    }

    fn number(&mut self, name: &Ident, planner: &dyn RelationPlannerContext) -> Result<u16> {
        if self.find(name, planner).is_none() {
            self.names.push((planner.normalize_ident(name.clone()), name.value.clone()));
        }
        let Some(number) = self.find(name, planner) else {
            return plan_err!("{NAME}: PATTERN has too many variables");
        };
        Ok(number)
    }

    fn pattern(&mut self, pattern: &MatchRecognizePattern, planner: &dyn RelationPlannerContext) -> Result<Pattern> {
        Ok(match pattern {
            MatchRecognizePattern::Symbol(MatchRecognizeSymbol::Start) => Pattern::Start,
            MatchRecognizePattern::Symbol(MatchRecognizeSymbol::End) => Pattern::End,
            MatchRecognizePattern::Symbol(MatchRecognizeSymbol::Named(name)) => {
                Pattern::Variable(self.number(name, planner)?)
            }
            MatchRecognizePattern::Group(inner) => self.pattern(inner, planner)?,
            MatchRecognizePattern::Concat(parts) => Pattern::Sequence(self.patterns(parts, planner)?),
            MatchRecognizePattern::Alternation(ways) => Pattern::Choice(self.patterns(ways, planner)?),
            MatchRecognizePattern::Repetition(inner, quantifier) => self.repeated(inner, quantifier, planner)?,
            MatchRecognizePattern::Exclude(_) => {
                return plan_err!("{NAME}: the exclusion {pattern} is not possible in PATTERN");
            }
            MatchRecognizePattern::Permute(_) => {
                return plan_err!(
                    "{NAME}: {pattern} is not possible in PATTERN – write the orders as alternatives with |"
                );
            }
        })
    }

    fn patterns(
        &mut self,
        parts: &[MatchRecognizePattern],
        planner: &dyn RelationPlannerContext,
    ) -> Result<Vec<Pattern>> {
        parts.iter().map(|part| self.pattern(part, planner)).collect()
    }

    /// The parser takes the `?` of `A*?` for a quantifier of its own.
    fn repeated(
        &mut self,
        inner: &MatchRecognizePattern,
        quantifier: &RepetitionQuantifier,
        planner: &dyn RelationPlannerContext,
    ) -> Result<Pattern> {
        let (inner, quantifier, greedy) = match (inner, quantifier) {
            (MatchRecognizePattern::Repetition(inner, first), RepetitionQuantifier::AtMostOne) => {
                (inner.as_ref(), first, false)
            }
            _ => (inner, quantifier, true),
        };
        if let MatchRecognizePattern::Repetition(..) = inner {
            return plan_err!("{NAME}: two quantifiers stand side by side in '{inner}{quantifier}' – use parentheses");
        }
        let (least, most) = match *quantifier {
            RepetitionQuantifier::ZeroOrMore => (0, None),
            RepetitionQuantifier::OneOrMore => (1, None),
            RepetitionQuantifier::AtMostOne => (0, Some(1)),
            RepetitionQuantifier::Exactly(times) => (times, Some(times)),
            RepetitionQuantifier::AtLeast(least) => (least, None),
            RepetitionQuantifier::AtMost(most) => (0, Some(most)),
            RepetitionQuantifier::Range(least, most) => (least, Some(most)),
        };
        if most.is_some_and(|most| most < least || most == 0) {
            return plan_err!("{NAME}: the quantifier {quantifier} can never be met");
        }
        Ok(Pattern::Repeat { inner: Box::new(self.pattern(inner, planner)?), least, most, greedy })
    }

    fn skip(&self, skip: Option<&AfterMatchSkip>, planner: &dyn RelationPlannerContext) -> Result<Skip> {
        let none = |name: &Ident| plan_datafusion_err!("{NAME}: AFTER MATCH SKIP: PATTERN has no variable {name}");
        let to = |name: &Ident| self.find(name, planner).ok_or_else(|| none(name));
        Ok(match skip {
            None | Some(AfterMatchSkip::PastLastRow) => Skip::PastLast,
            Some(AfterMatchSkip::ToNextRow) => Skip::ToNext,
            Some(AfterMatchSkip::ToFirst(name)) => Skip::ToFirst(to(name)?),
            Some(AfterMatchSkip::ToLast(name)) => Skip::ToLast(to(name)?),
        })
    }
}

/// What a row is partitioned by, and the output's first columns.
fn partition(
    written: &[SqlExpr],
    input: &LogicalPlan,
    planner: &mut dyn RelationPlannerContext,
) -> Result<(Vec<Expr>, Vec<arrow::datatypes::Field>)> {
    let mut keys = Vec::new();
    let mut fields = Vec::new();
    for key in written {
        let expr = planner.sql_to_expr(key.clone(), input.schema())?;
        let Expr::Column(column) = &expr else {
            return plan_err!("{NAME}: PARTITION BY takes columns, '{key}' is none – name it in a WITH query first");
        };
        fields.push(input.schema().field_from_column(column)?.as_ref().clone());
        keys.push(expr);
    }
    Ok((keys, fields))
}

fn order(
    written: &[OrderByExpr],
    input: &LogicalPlan,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Vec<(Expr, SortOptions)>> {
    let mut order = Vec::new();
    for OrderByExpr { expr, options, .. } in written {
        let key = planner.sql_to_expr(expr.clone(), input.schema())?;
        refuse_subqueries(&key, "MATCH_RECOGNIZE: ORDER BY")?;
        let descending = options.asc == Some(false);
        // As ORDER BY itself does it: NULL is larger than everything.
        let nulls_first = options.nulls_first.unwrap_or(descending);
        order.push((key, SortOptions { descending, nulls_first }));
    }
    Ok(order)
}

/// The conditions of each variable.
fn definitions(
    written: &[SymbolDefinition],
    variables: &Variables,
    reading: &mut Reading<'_>,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Vec<Definition>> {
    let mut definitions = vec![Definition::default(); variables.names.len()];
    let mut seen = vec![false; variables.names.len()];
    for SymbolDefinition { symbol, definition } in written {
        let Some(variable) = variables.find(symbol, planner) else {
            return plan_err!("{NAME}: DEFINE: PATTERN has no variable {symbol}");
        };
        let at = usize::from(variable);
        if std::mem::replace(&mut seen[at], true) {
            return plan_err!("{NAME}: DEFINE: {symbol} is defined twice");
        }
        let mut parts = [None, None];
        for part in conjuncts(definition) {
            let by_row = reading.condition(part, variable, planner)?.is_by_row(variable);
            let kept = &mut parts[usize::from(!by_row)];
            *kept = Some(match kept.take() {
                None => part.clone(),
                Some(before) => {
                    SqlExpr::BinaryOp { left: Box::new(before), op: BinaryOperator::And, right: Box::new(part.clone()) }
                }
            });
        }
        let [by_row, by_match] = parts;
        let mut ready =
            |part: Option<SqlExpr>| part.map(|part| reading.condition(&part, variable, planner)).transpose();
        definitions[at] = Definition { by_row: ready(by_row)?, by_match: ready(by_match)? };
    }
    Ok(definitions)
}

/// What must all be true.
fn conjuncts(condition: &SqlExpr) -> Vec<&SqlExpr> {
    match condition {
        SqlExpr::BinaryOp { left, op: BinaryOperator::And, right } => [conjuncts(left), conjuncts(right)].concat(),
        SqlExpr::Nested(inner) if matches!(**inner, SqlExpr::BinaryOp { op: BinaryOperator::And, .. }) => {
            conjuncts(inner)
        }
        other => vec![other],
    }
}

fn measures(
    written: &[Measure],
    reading: &mut Reading<'_>,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Vec<(String, Formula)>> {
    let mut measures: Vec<(String, Formula)> = Vec::new();
    for Measure { expr, alias } in written {
        let name = planner.normalize_ident(alias.clone());
        if measures.iter().any(|(known, _)| *known == name) {
            return plan_err!("{NAME}: MEASURES: two measures have the name {alias}");
        }
        measures.push((name, reading.measure(expr, planner)?));
    }
    Ok(measures)
}

/// The input cut down to keys, order, what settles ties, and what the terms read, in this order.
fn projected(
    input: LogicalPlan,
    keys: Vec<Expr>,
    order: Vec<(Expr, SortOptions)>,
    columns: Vec<Expr>,
    mut layout: Layout,
) -> Result<(LogicalPlan, Layout)> {
    let schema = Arc::clone(input.schema());
    let mut read = keys;
    read.extend(order.into_iter().map(|(expr, _)| expr));
    let ties = ties(&schema);
    layout.ties = ties.len();
    read.extend(ties);
    read.extend(columns);
    if read.is_empty() {
        // Rows without any column are still rows.
        read.push(lit(true));
    }
    let named = read.into_iter().enumerate().map(|(at, expr)| expr.alias(format!("row_pattern_{at}")));
    Ok((LogicalPlanBuilder::from(input).project(named)?.build()?, layout))
}

fn ties(schema: &DFSchema) -> Vec<Expr> {
    let column = |name: &&str| match schema.qualified_fields_with_unqualified_name(name).as_slice() {
        [found] => Some(Expr::Column((*found).into())),
        _ => None,
    };
    let known = TIES.iter().find_map(|names| names.iter().map(column).collect::<Option<Vec<Expr>>>());
    known.unwrap_or_default()
}

/// Whether values of a type can be put into an order.
pub(super) fn is_sortable(kind: &DataType) -> bool {
    !kind.is_nested()
}
