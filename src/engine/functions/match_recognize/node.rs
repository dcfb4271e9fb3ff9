//! The logical node, and what makes an operator of it.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{DFSchemaRef, internal_err, plan_err};
use datafusion::error::Result;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};

use super::define::{Condition, Conditions};
use super::exec::{Measure, PatternExec, Ready};
use super::syntax::NAME;
use super::term::{Formula, Term, answer};
use crate::engine::answer::type_name;
use crate::engine::predicate::physical;
use crate::journey::row_pattern::{Program, Skip};

/// What the columns of the projected input are: keys, order, ties, then what the terms read.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub keys: usize,
    pub order: Vec<SortOptions>,
    pub ties: usize,
}

impl Layout {
    /// The first column that terms read.
    pub(super) fn read(&self) -> usize {
        self.keys + self.order.len() + self.ties
    }
}

/// What a variable asks of a row: of the row and its neighbours, and of the match so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Definition {
    pub by_row: Option<Formula>,
    pub by_match: Option<Formula>,
}

/// The clauses.
#[derive(Debug)]
pub(super) struct Spec {
    pub layout: Layout,
    pub program: Program,
    pub skip: Skip,
    /// The variables as they are spelled.
    pub classifiers: Vec<String>,
    pub definitions: Vec<Definition>,
    pub measures: Vec<(String, Formula)>,
    /// As it was written.
    pub text: String,
}

/// The node: a row per match of its input.
#[derive(Debug, Clone)]
pub(super) struct MatchRecognize {
    input: LogicalPlan,
    spec: Arc<Spec>,
    schema: DFSchemaRef,
}

impl MatchRecognize {
    /// A plan of these clauses over their projected input; `keys` are the output's first columns.
    pub(super) fn plan(input: LogicalPlan, spec: Spec, keys: Vec<Field>) -> Result<LogicalPlan> {
        let schema = answer(keys, &spec.measures)?;
        if schema.fields().is_empty() {
            return plan_err!("{NAME}: there is nothing to show – name columns in PARTITION BY or MEASURES");
        }
        let node = Self { input, spec: Arc::new(spec), schema };
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
    }
}

// Two nodes are the same if they say the same of the same rows.
impl PartialEq for MatchRecognize {
    fn eq(&self, other: &Self) -> bool {
        self.spec.text == other.spec.text && self.input == other.input
    }
}

impl Eq for MatchRecognize {}

impl Hash for MatchRecognize {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.spec.text.hash(state);
        self.input.hash(state);
    }
}

impl PartialOrd for MatchRecognize {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        if self == other {
            return Some(Ordering::Equal);
        }
        self.spec.text.partial_cmp(&other.spec.text).filter(|order| order.is_ne())
    }
}

impl UserDefinedLogicalNodeCore for MatchRecognize {
    fn name(&self) -> &str {
        NAME
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MatchRecognize: {}", self.spec.text)
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        match <[LogicalPlan; 1]>::try_from(inputs) {
            Ok([input]) => Ok(Self { input, ..self.clone() }),
            Err(inputs) => internal_err!("{NAME} has one input, not {}", inputs.len()),
        }
    }
}

/// Plans queries that may have row patterns in them.
#[derive(Debug)]
pub struct RowPatterns;

#[async_trait]
impl QueryPlanner for RowPatterns {
    async fn create_physical_plan(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(Self)]);
        planner.create_physical_plan(plan, session).await
    }
}

#[async_trait]
impl ExtensionPlanner for RowPatterns {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(node) = node.as_any().downcast_ref::<MatchRecognize>() else { return Ok(None) };
        let [input] = inputs else { return internal_err!("{NAME} has one input, not {}", inputs.len()) };
        let ready = ready(&node.spec, Arc::clone(node.schema.inner()), &input.schema(), session)?;
        Ok(Some(Arc::new(PatternExec::new(Arc::clone(input), Arc::new(ready)))))
    }
}

/// The clauses with expressions that can be evaluated.
fn ready(spec: &Arc<Spec>, schema: SchemaRef, input: &SchemaRef, session: &dyn Session) -> Result<Ready> {
    let condition = |formula: &Option<Formula>| -> Result<Option<Condition>> {
        formula
            .as_ref()
            .map(|it| Ok(Condition { holds: expression(it, session)?, terms: terms(it, spec, input)? }))
            .transpose()
    };
    let mut conditions = Conditions { by_row: Vec::new(), by_match: Vec::new() };
    for Definition { by_row, by_match } in &spec.definitions {
        conditions.by_row.push(condition(by_row)?);
        conditions.by_match.push(condition(by_match)?);
    }
    let mut measures = Vec::new();
    for (_, formula) in &spec.measures {
        measures.push(Measure { value: expression(formula, session)?, terms: terms(formula, spec, input)? });
    }
    Ok(Ready { spec: Arc::clone(spec), schema, conditions, measures })
}

fn expression(formula: &Formula, session: &dyn Session) -> Result<Arc<dyn PhysicalExpr>> {
    physical(formula.expr.clone(), formula.schema.as_ref().clone(), session)
}

/// The terms of one expression with what computes them.
#[derive(Debug)]
pub(super) struct Terms {
    pub each: Vec<Term>,
    /// The aggregate of each term that is one.
    pub aggregates: Vec<Option<AggregateFunctionExpr>>,
    pub schema: SchemaRef,
}

impl Terms {
    pub(super) fn has_aggregates(&self) -> bool {
        self.aggregates.iter().any(Option::is_some)
    }
}

fn terms(formula: &Formula, spec: &Spec, input: &SchemaRef) -> Result<Terms> {
    let mut aggregates = Vec::new();
    for (term, field) in formula.terms.iter().zip(formula.schema.fields()) {
        let Term::Aggregate { function, column, .. } = term else {
            aggregates.push(None);
            continue;
        };
        let at = spec.layout.read() + column;
        let arg = Arc::new(Column::new(input.field(at).name(), at));
        let built = AggregateExprBuilder::new(Arc::clone(function), vec![arg]).schema(Arc::clone(input));
        let built = built.alias(field.name()).build()?;
        if !built.groups_accumulator_supported() {
            return plan_err!(
                "{NAME}: '{}' is not possible for values of type {}",
                field.name(),
                type_name(input.field(at).data_type())
            );
        }
        aggregates.push(Some(built));
    }
    let fields: Vec<Field> = formula.schema.fields().iter().map(|field| field.as_ref().clone()).collect();
    Ok(Terms { each: formula.terms.clone(), aggregates, schema: Arc::new(Schema::new(fields)) })
}
