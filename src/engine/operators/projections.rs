//! Projections that are written alike and do something each: `SELECT s || s AS s FROM (SELECT s || s AS s FROM …)`.
//!
//! `DataFusion` takes a projection over an equal one for the same work done twice and leaves it out, which is true of names
//! and wrong of anything that is computed from a column of its own name. Here such a projection is marked while the rule
//! runs, so that it equals no other; then the mark goes.

use std::collections::BTreeMap;

use datafusion::common::Result;
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr::Alias;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// The name of the mark among what an alias says of its column.
const MARK: &str = "journeyql.projection";

/// `DataFusion`'s rule, which leaves out no projection that does something.
#[derive(Debug, Default)]
pub struct KeepProjections {
    rule: OptimizeProjections,
}

impl OptimizerRule for KeepProjections {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.rule.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let mut marks = 0;
        let marked = plan.transform_down_with_subqueries(|node| marked(node, &mut marks))?.data;
        let done = self.rule.rewrite(marked, config)?;
        if marks == 0 { Ok(done) } else { done.map_data(unmarked) }
    }
}

/// The node, with aliases of its own if it is a projection over an equal one.
fn marked(node: LogicalPlan, marks: &mut usize) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Projection(Projection { expr, input, .. }) = &node else { return Ok(Transformed::no(node)) };
    let LogicalPlan::Projection(below) = input.as_ref() else { return Ok(Transformed::no(node)) };
    if below.expr != *expr || !expr.iter().any(|expr| matches!(expr, Expr::Alias(_))) {
        return Ok(Transformed::no(node));
    }
    *marks += 1;
    let mark = FieldMetadata::new(BTreeMap::from([(MARK.to_owned(), marks.to_string())]));
    let expr = expr.iter().cloned().map(|expr| match expr {
        Expr::Alias(alias) => {
            let mut metadata = alias.metadata.unwrap_or_default();
            metadata.extend(mark.clone());
            Expr::Alias(Alias { metadata: Some(metadata), ..alias })
        }
        other => other,
    });
    let projection = Projection::try_new(expr.collect(), input.clone())?;
    Ok(Transformed::yes(LogicalPlan::Projection(projection)))
}

/// The plan without marks.
fn unmarked(plan: LogicalPlan) -> Result<LogicalPlan> {
    let strip = |expr: Expr| {
        Ok(match expr {
            Expr::Alias(Alias { metadata: Some(metadata), expr, relation, name }) => {
                let mut said = metadata.inner().clone();
                said.remove(MARK);
                let metadata = (!said.is_empty()).then(|| FieldMetadata::new(said));
                Transformed::yes(Expr::Alias(Alias { expr, relation, name, metadata }))
            }
            other => Transformed::no(other),
        })
    };
    let done = plan.transform_up_with_subqueries(|node| {
        node.map_expressions(|expr| expr.transform_up(strip))?.map_data(LogicalPlan::recompute_schema)
    })?;
    Ok(done.data)
}
