//! A physical operator without inputs: the rows of a table function, computed when they are asked for.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{exec_err, internal_err};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::EmissionType;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::future::BoxFuture;

use crate::engine::operators::leaf::{leaf_methods, leaf_properties};
use crate::engine::stop::{Raises, Stop};

/// What a table function does: one future that yields all its rows, in the columns of the leaf's schema.
pub(super) trait Answer: fmt::Debug + Send + Sync {
    /// The operator's name in a plan.
    fn name(&self) -> &'static str;
    /// What the plan shows of it.
    fn shown(&self) -> String;
    /// The rows. Work beyond a moment belongs into blocking tasks that end soon after `stop` is raised.
    fn rows(&self, context: Arc<TaskContext>, stop: Stop) -> BoxFuture<'static, Result<RecordBatch>>;
}

/// What a task found; its panic goes on here.
pub(super) async fn joined<T: Send + 'static>(task: SpawnedTask<Result<T>>) -> Result<T> {
    match task.join_unwind().await {
        Ok(found) => found,
        Err(error) => exec_err!("the work was stopped: {error}"),
    }
}

/// The operator.
#[derive(Debug)]
pub(super) struct Leaf {
    answer: Arc<dyn Answer>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl Leaf {
    /// An operator whose rows have this schema.
    pub(super) fn new(answer: Arc<dyn Answer>, schema: SchemaRef) -> Self {
        Self { answer, properties: leaf_properties(Arc::clone(&schema), 1, EmissionType::Final), schema }
    }
}

impl DisplayAs for Leaf {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.answer.name(), self.answer.shown())
    }
}

impl ExecutionPlan for Leaf {
    fn name(&self) -> &str {
        self.answer.name()
    }

    leaf_methods!();

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("{} has one partition, not {partition}", self.answer.name());
        }
        let guard = Raises::default();
        let rows = self.answer.rows(context, guard.stop());
        let once = futures::stream::once(async move {
            let _raised_when_dropped = guard;
            rows.await
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), once)))
    }
}
