//! Keeps `count(DISTINCT session_id)` whole where the pass counts it: `DataFusion` would make two aggregates of it.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::single_distinct_to_groupby::SingleDistinctToGroupBy;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::engine::settings::Settings;
use crate::engine::tables::JourneyTable;

/// `SingleDistinctToGroupBy`, except for aggregates over native relations.
#[derive(Debug, Default)]
pub struct KeepDistinct {
    inner: SingleDistinctToGroupBy,
}

impl OptimizerRule for KeepDistinct {
    fn name(&self) -> &'static str {
        "single_distinct_aggregation_to_group_by"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.inner.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let native = Settings::of(&config.options()).native_aggregates;
        match &plan {
            LogicalPlan::Aggregate(aggregate) if native && is_native(&aggregate.input) => Ok(Transformed::no(plan)),
            _ => self.inner.rewrite(plan, config),
        }
    }
}

/// Whether nothing but filters and projections lies above a native relation.
fn is_native(plan: &LogicalPlan) -> bool {
    let mut native = false;
    // The closure never fails.
    let _ = plan.apply(|node| {
        Ok(match node {
            LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {
                TreeNodeRecursion::Continue
            }
            LogicalPlan::TableScan(scan) => {
                native = source_as_provider(&scan.source).is_ok_and(|table| table.is::<JourneyTable>());
                TreeNodeRecursion::Stop
            }
            _ => TreeNodeRecursion::Stop,
        })
    });
    native
}
