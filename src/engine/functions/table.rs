//! What every table function is to the planner: columns, and an answer that is planned when the table is read.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::exec_err;
use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::leaf::{Answer, Leaf, joined};
use crate::engine::scan::{Names, PersonRuns, ScanPlan};
use crate::engine::stop::Stop;
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

/// An answer that is made in one pass: each reader makes a part of its people, and the rows are made of all parts.
pub(super) trait InPass: fmt::Debug + Clone + Send + Sync + 'static {
    /// What one reader makes of its people.
    type Part: Send + 'static;

    /// The operator's name in a plan.
    fn name(&self) -> &'static str;
    /// What is read, and by how many.
    fn pass(&self) -> (&ScanPlan, usize);
    /// Reads the people of one reader. It ends soon after `stop` is raised.
    fn read(&self, runs: PersonRuns, context: &TaskContext, stop: &Stop) -> Result<Self::Part>;
    /// The rows in the columns that are asked for, from the parts in the order of the people.
    fn rows(&self, parts: Vec<Self::Part>, context: &TaskContext, stop: &Stop) -> Result<RecordBatch>;

    /// What the plan shows beside the parts that are read.
    fn shown(&self) -> Option<String> {
        None
    }
}

impl<P: InPass> Answer for P {
    fn name(&self) -> &'static str {
        InPass::name(self)
    }

    fn shown(&self) -> String {
        let parts = format!("parts={}", self.pass().0.parts().len());
        InPass::shown(self).map_or_else(|| parts.clone(), |shown| format!("{shown}, {parts}"))
    }

    fn rows(&self, context: Arc<TaskContext>, stop: Stop) -> BoxFuture<'static, Result<RecordBatch>> {
        let (own, reader) = (self.clone(), self.clone());
        let (task, stopped) = (Arc::clone(&context), stop.clone());
        async move {
            let (plan, readers) = own.pass();
            let parts = read(plan.clone(), readers, move |runs| reader.read(runs, &task, &stopped)).await?;
            joined(SpawnedTask::spawn_blocking(move || own.rows(parts, &context, &stop))).await
        }
        .boxed()
    }
}

/// The names that readers' codes were brought to.
///
/// # Errors
/// There was no room for all of them.
pub(super) fn all_named(names: Names) -> Result<Names> {
    if names.is_full() { exec_err!("the names of these steps have more than 2 GiB of text") } else { Ok(names) }
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
