//! Recognises aggregates over native relations and moves them into the pass.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;

use crate::engine::operators::JourneyExec;
use crate::engine::settings::Settings;

use super::accumulate::{Aggregate, Kind};
use super::exec::{FusedAggregateExec, KeyExpr};
use super::keys::KeyKind;
use super::person::by_person;
use super::stages::Stage;

/// The rule. It runs before any other physical rule, on the plan as it was first made.
#[derive(Debug, Default)]
pub struct FuseAggregates;

impl PhysicalOptimizerRule for FuseAggregates {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        if !Settings::of(config).native_aggregates {
            return Ok(plan);
        }
        let moved = plan.transform_down(|node| match fuse(&node) {
            Some(fused) => Ok(Transformed::new(fused, true, TreeNodeRecursion::Jump)),
            None => Ok(Transformed::no(node)),
        })?;
        Ok(moved.data)
    }

    fn name(&self) -> &'static str {
        "fuse_aggregates"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The aggregate inside its pass; `None` if anything about it is not recognised.
fn fuse(node: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
    let last = node.downcast_ref::<AggregateExec>()?;
    let first = match last.mode() {
        AggregateMode::Single | AggregateMode::SinglePartitioned => last,
        AggregateMode::Final | AggregateMode::FinalPartitioned => {
            let partial = last.input().downcast_ref::<AggregateExec>()?;
            (*partial.mode() == AggregateMode::Partial).then_some(partial)?
        }
        _ => return None,
    };
    if !first.group_expr().is_single() || last.limit_options().is_some() {
        return None;
    }
    if let Some(by_person) = by_person(first, last.schema()) {
        return Some(Arc::new(by_person));
    }
    let mut chain = Chain::of(first.input())?;
    let mut keys = Vec::new();
    for (expr, name) in first.group_expr().expr() {
        keys.push(chain.key(expr, name)?);
    }
    let mut aggregates = Vec::new();
    for (aggregate, filter) in first.aggr_expr().iter().zip(first.filter_expr()) {
        aggregates.push(chain.aggregate(aggregate, filter.clone())?);
    }
    chain.code_what_is_bare(&mut keys, &mut aggregates)?;
    Some(Arc::new(FusedAggregateExec::new(chain.pass, chain.stages, keys, aggregates, last.schema())))
}

/// The pass and what lies between it and the aggregate, from the pass upwards.
struct Chain {
    pass: JourneyExec,
    stages: Vec<Stage>,
    /// Per output column of the chain: the column of the pass that it is, if it is one unchanged.
    bare: Vec<Option<usize>>,
    /// Columns of the pass that some filter or expression computes with.
    used: Vec<bool>,
    /// Output columns of the pass that come as numbers.
    coded: Vec<usize>,
}

impl Chain {
    fn of(node: &Arc<dyn ExecutionPlan>) -> Option<Self> {
        if let Some(pass) = node.downcast_ref::<JourneyExec>() {
            let columns = pass.schema().fields().len();
            pass.fetch().is_none().then_some(())?;
            return Some(Self {
                pass: pass.clone(),
                stages: Vec::new(),
                bare: (0..columns).map(Some).collect(),
                used: vec![false; columns],
                coded: Vec::new(),
            });
        }
        if let Some(filter) = node.downcast_ref::<FilterExec>() {
            if filter.fetch().is_some() {
                return None;
            }
            let mut chain = Self::of(filter.input())?;
            chain.uses(filter.predicate());
            chain.stages.push(Stage::Filter(Arc::clone(filter.predicate())));
            if let Some(projection) = filter.projection() {
                let schema = filter.input().schema();
                let columns =
                    projection.iter().map(|&at| Arc::new(Column::new(schema.field(at).name(), at)) as _).collect();
                chain.project(columns, node);
            }
            return Some(chain);
        }
        let projection = node.downcast_ref::<ProjectionExec>()?;
        let mut chain = Self::of(projection.input())?;
        chain.project(projection.expr().iter().map(|it| Arc::clone(&it.expr)).collect(), node);
        Some(chain)
    }

    fn project(&mut self, exprs: Vec<Arc<dyn PhysicalExpr>>, node: &Arc<dyn ExecutionPlan>) {
        for expr in &exprs {
            if expr.downcast_ref::<Column>().is_none() {
                self.uses(expr);
            }
        }
        self.bare = exprs.iter().map(|expr| self.origin(expr)).collect();
        self.stages.push(Stage::Project(exprs, node.schema()));
    }

    /// The column of the pass that an expression is, unchanged.
    fn origin(&self, expr: &Arc<dyn PhysicalExpr>) -> Option<usize> {
        *self.bare.get(expr.downcast_ref::<Column>()?.index())?
    }

    /// Marks every column of the pass that the expression reads.
    fn uses(&mut self, expr: &Arc<dyn PhysicalExpr>) {
        // The closure never fails.
        let _ = expr.apply(|node| {
            if let Some(at) = node.downcast_ref::<Column>().and_then(|column| *self.bare.get(column.index())?) {
                self.used[at] = true;
            }
            Ok(TreeNodeRecursion::Continue)
        });
    }

    fn column_name(&self, at: usize) -> String {
        self.pass.column_name(at)
    }

    fn kind_of(&self, expr: &Arc<dyn PhysicalExpr>) -> Option<DataType> {
        let schema = match self.stages.iter().rev().find_map(|stage| match stage {
            Stage::Project(_, schema) => Some(Arc::clone(schema)),
            Stage::Filter(_) => None,
        }) {
            Some(schema) => schema,
            None => self.pass.schema(),
        };
        expr.data_type(&schema).ok()
    }

    fn key(&mut self, expr: &Arc<dyn PhysicalExpr>, name: &str) -> Option<KeyExpr> {
        let kind = KeyKind::of(&self.kind_of(expr)?)?;
        if self.origin(expr).is_none() {
            self.uses(expr);
        }
        Some(KeyExpr { expr: Arc::clone(expr), kind, shown: name.to_owned() })
    }

    fn aggregate(
        &mut self,
        aggregate: &AggregateFunctionExpr,
        filter: Option<Arc<dyn PhysicalExpr>>,
    ) -> Option<Aggregate> {
        if !aggregate.order_bys().is_empty() && aggregate.fun().name() != "percentile_cont" || aggregate.ignore_nulls()
        {
            return None;
        }
        let args = aggregate.expressions();
        let arg = args.first()?;
        let output = aggregate.field().data_type().clone();
        let input = self.kind_of(arg)?;
        let double = input == DataType::Float64 && output == DataType::Float64;
        let whole = matches!(output, DataType::Int64 | DataType::Timestamp(..) | DataType::Date32) && input == output;
        let kind = match (aggregate.fun().name(), aggregate.is_distinct()) {
            ("count", true) if args.len() == 1 => {
                let name = self.column_name(self.origin(arg)?);
                matches!(name.as_str(), "user_id" | "session_id").then_some(Kind::CountDistinct)?
            }
            ("count", false) if args.len() == 1 => Kind::Count,
            ("sum", false) if double => Kind::SumDouble,
            ("sum", false) if input == DataType::Int64 && output == DataType::Int64 => Kind::SumInteger,
            ("min", false) if double || whole => Kind::Least,
            ("max", false) if double || whole => Kind::Greatest,
            ("avg", false) if double => Kind::Mean,
            ("median", false) if double => Kind::Median,
            ("percentile_cont", false) if double && !aggregate.is_reversed() => Kind::Quantile(share(args.get(1)?)?),
            _ => return None,
        };
        // `percentile_cont(…) WITHIN GROUP (ORDER BY … DESC)` counts from the other end.
        if aggregate.order_bys().iter().any(|order| order.options.descending) {
            return None;
        }
        let every = arg.downcast_ref::<Literal>().is_some_and(|literal| !literal.value().is_null());
        if let Some(filter) = &filter {
            self.uses(filter);
        }
        if kind != Kind::CountDistinct && !every {
            self.uses(arg);
        }
        let arg = (kind != Kind::Count || !every).then(|| Arc::clone(arg));
        Some(Aggregate { kind, arg, filter, output, shown: aggregate.name().to_owned() })
    }

    /// Asks the pass for numbers in place of texts that are only grouped by or counted.
    fn code_what_is_bare(&mut self, keys: &mut [KeyExpr], aggregates: &mut [Aggregate]) -> Option<()> {
        let grouped: Vec<Option<usize>> = keys.iter().map(|key| self.origin(&key.expr)).collect();
        for (key, origin) in keys.iter_mut().zip(&grouped) {
            let Some(at) = origin.filter(|&at| !self.used[at]) else { continue };
            match self.column_name(at).as_str() {
                "path" => key.kind = KeyKind::Path,
                "path_id" => key.kind = KeyKind::PathId,
                _ => continue,
            }
            self.coded.push(at);
        }
        for aggregate in aggregates.iter().filter(|aggregate| aggregate.kind == Kind::CountDistinct) {
            let at = aggregate.arg.as_ref().and_then(|arg| self.origin(arg))?;
            if !self.used[at] && !grouped.contains(&Some(at)) {
                self.coded.push(at);
            }
        }
        if !self.coded.is_empty() {
            self.pass = self.pass.with_coded(&self.coded)?;
            self.retype();
        }
        Some(())
    }

    /// Gives projections the schemas that go with the coded pass.
    fn retype(&mut self) {
        let mut schema = self.pass.schema();
        for stage in &mut self.stages {
            if let Stage::Project(exprs, known) = stage {
                let fields: Vec<_> = exprs
                    .iter()
                    .zip(known.fields())
                    .map(|(expr, field)| match expr.data_type(&schema) {
                        Ok(kind) => Arc::new(field.as_ref().clone().with_data_type(kind)),
                        Err(_) => Arc::clone(field),
                    })
                    .collect();
                *known = Arc::new(arrow::datatypes::Schema::new(fields));
                schema = Arc::clone(known);
            }
        }
    }
}

/// The share of a percentile: a literal between 0 and 1.
fn share(expr: &Arc<dyn PhysicalExpr>) -> Option<f64> {
    match expr.downcast_ref::<Literal>()?.value() {
        ScalarValue::Float64(Some(share)) if (0.0..=1.0).contains(share) => Some(*share),
        _ => None,
    }
}
