//! What happens to a batch between the pass and the aggregate: filters and projections, in order.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::physical_expr::PhysicalExpr;

use crate::engine::scan::truth;

/// One operation on a batch.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    Filter(Arc<dyn PhysicalExpr>),
    Project(Vec<Arc<dyn PhysicalExpr>>, SchemaRef),
}

/// The batch after all stages.
pub(super) fn apply(stages: &[Stage], batch: RecordBatch) -> Result<RecordBatch> {
    let mut batch = batch;
    for stage in stages {
        batch = match stage {
            Stage::Filter(predicate) => {
                let kept = truth(predicate, &batch)?;
                if kept.true_count() == batch.num_rows() { batch } else { filter_record_batch(&batch, &kept)? }
            }
            Stage::Project(exprs, schema) => {
                let rows = batch.num_rows();
                let arrays =
                    exprs.iter().map(|expr| expr.evaluate(&batch)?.into_array(rows)).collect::<Result<Vec<_>>>()?;
                let options = RecordBatchOptions::new().with_row_count(Some(rows));
                RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)?
            }
        };
    }
    Ok(batch)
}
