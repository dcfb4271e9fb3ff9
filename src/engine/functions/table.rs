//! What every table function is to the planner: columns, and an answer that is planned when the table is read.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

use super::leaf::{Answer, Leaf, joined};
use crate::engine::scan::{PersonRuns, ScanPlan};
use crate::engine::tables;

/// A call of a table function.
pub(super) trait TableFunction: fmt::Debug + Send + Sync + 'static {
    /// All columns.
    fn schema(&self) -> SchemaRef;
    /// The answer in these columns. Settings are read here and not before, so that SET works on views too.
    fn answer(&self, state: &dyn Session, projection: Vec<usize>) -> Result<Arc<dyn Answer>>;
}

/// The table of a call.
pub(super) fn table(call: impl TableFunction) -> Arc<dyn TableProvider> {
    Arc::new(Table(Box::new(call)))
}

#[derive(Debug)]
struct Table(Box<dyn TableFunction>);

#[async_trait]
impl TableProvider for Table {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.0.schema();
        let projection = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let schema = Arc::new(schema.project(&projection)?);
        Ok(Arc::new(Leaf::new(self.0.answer(state, projection)?, schema)))
    }
}

/// How many readers are worth it for a pass.
pub(super) fn readers(state: &dyn Session, plan: &ScanPlan) -> usize {
    let rows = plan.parts().iter().map(|part| part.rows).sum();
    if plan.is_about_few() { 1 } else { tables::readers(state, rows) }
}

/// What each reader of a pass makes of its people, in the order of the people.
pub(super) async fn read<T: Send + 'static>(
    plan: ScanPlan,
    readers: usize,
    work: impl Fn(PersonRuns) -> Result<T> + Clone + Send + 'static,
) -> Result<Vec<T>> {
    let ranges = joined(SpawnedTask::spawn_blocking(move || plan.open(readers))).await?;
    let tasks: Vec<_> = (0..ranges.len())
        .map(|at| {
            let (work, ranges) = (work.clone(), Arc::clone(&ranges));
            SpawnedTask::spawn_blocking(move || work(ranges.runs(at)?))
        })
        .collect();
    let mut made = Vec::with_capacity(tasks.len());
    for task in tasks {
        made.push(joined(task).await?);
    }
    Ok(made)
}
