//! The physical operator of `events`: stored rows, as they lie in the parts.

use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::and;
use arrow::datatypes::SchemaRef;
use datafusion::common::cast::as_boolean_array;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ColumnStatistics, DataFusionError, Result, ScalarValue, Statistics, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::{EmissionType, apply_expression_roots};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use crate::engine::relations::events;
use crate::engine::scan::{PartFile, PersonColumn, StoredRows, bind, columns_of, names_person, truth};
use crate::event::Column;
use crate::identity::People;

use super::leaf::{leaf_methods, leaf_properties};
use super::stream::blocking_stream;

/// The operator. `projection` are columns of the table `events`.
#[derive(Debug, Clone)]
pub struct EventsExec {
    parts: Vec<Arc<PartFile>>,
    projection: Vec<usize>,
    /// Who is who, where anybody has several ids and is asked for.
    people: Option<Arc<People>>,
    /// What `is_step` asks for beyond what is stored: `[steps] where`, over the columns of `events`.
    steps_where: Option<Arc<dyn PhysicalExpr>>,
    /// The stored columns that are read, in file order.
    columns: Vec<Column>,
    ids: Option<Arc<[String]>>,
    fetch: Option<usize>,
    readers: usize,
    rows: Arc<OnceLock<Result<StoredRows, Arc<DataFusionError>>>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl EventsExec {
    /// An operator over these parts; `ids` allows it to leave out pages without these people.
    ///
    /// # Errors
    /// The projection names a column that is not there.
    pub fn new(
        parts: Vec<Arc<PartFile>>,
        projection: Vec<usize>,
        ids: Option<Vec<String>>,
        fetch: Option<usize>,
        readers: usize,
    ) -> Result<Self> {
        let schema: SchemaRef = Arc::new(events::schema().project(&projection)?);
        let sorted = ids.map(|mut ids| {
            ids.sort();
            ids.into()
        });
        let mut columns: Vec<Column> = projection.iter().map(|&at| events::stored(at)).collect();
        columns.sort_unstable();
        columns.dedup();
        Ok(Self {
            parts,
            projection,
            columns,
            people: None,
            steps_where: None,
            ids: sorted,
            fetch,
            readers,
            rows: Arc::default(),
            properties: leaf_properties(schema, readers, EmissionType::Incremental),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }

    /// The same operator with this map behind `user_id`.
    #[must_use]
    pub fn with_people(mut self, people: &Arc<People>) -> Self {
        let asked = self.projection.iter().any(|&at| events::is_person(at));
        if asked && !people.is_empty() {
            self.people = Some(Arc::clone(people));
            self.read(&[Column::DistinctId, Column::Ts]);
        }
        self
    }

    fn read(&mut self, columns: &[Column]) {
        self.columns.extend(columns);
        self.columns.sort_unstable();
        self.columns.dedup();
    }

    /// The same operator whose `is_step` also obeys `[steps] where`.
    ///
    /// # Errors
    /// The condition names a column that `events` has not.
    pub fn with_steps_where(mut self, condition: Option<Arc<dyn PhysicalExpr>>, people: &Arc<People>) -> Result<Self> {
        let asked = self.columns.contains(&Column::IsStep);
        if let Some(condition) = condition.filter(|_| asked) {
            let person = !people.is_empty() && names_person(&condition)?;
            self.people = self.people.or_else(|| person.then(|| Arc::clone(people)));
            self.read(&[Column::DistinctId, Column::Ts][..if person { 2 } else { 0 }]);
            self.read(&columns_of(&condition)?);
            self.steps_where = Some(bind(&condition, &self.columns, person)?);
        }
        Ok(self)
    }

    fn open(&self) -> Result<&StoredRows> {
        let opened = self.rows.get_or_init(|| {
            StoredRows::open(&self.parts, self.columns.clone(), self.ids.as_deref(), self.readers).map_err(Arc::new)
        });
        opened.as_ref().map_err(|error| DataFusionError::Shared(Arc::clone(error)))
    }

    /// The batch of stored columns as rows of the table.
    fn project(&self, batch: &RecordBatch, persons: Option<&mut PersonColumn>) -> Result<RecordBatch> {
        let whole = persons.map(|persons| persons.beside(batch)).transpose()?;
        let array = |&at: &usize| match &whole {
            Some(whole) if events::is_person(at) => Ok(Arc::clone(whole.column(self.columns.len()))),
            _ => self.array(whole.as_ref().unwrap_or(batch), events::stored(at)),
        };
        let arrays = self.projection.iter().map(array).collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.schema(), arrays, &options)?)
    }

    fn array(&self, batch: &RecordBatch, column: Column) -> Result<ArrayRef> {
        let Some(at) = self.columns.iter().position(|&it| it == column) else {
            return internal_err!("the column {} was not read", column.name());
        };
        let stored = batch.column(at);
        match &self.steps_where {
            Some(condition) if column == Column::IsStep => {
                Ok(Arc::new(and(as_boolean_array(stored)?, &truth(condition, batch)?)?))
            }
            _ => Ok(Arc::clone(stored)),
        }
    }
}

impl DisplayAs for EventsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = self.schema();
        let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, "EventsExec: columns=[{}], parts={}", columns.join(", "), self.parts.len())?;
        if let Some(ids) = &self.ids {
            write!(f, ", people={}", ids.len())?;
        }
        match self.fetch {
            Some(fetch) => write!(f, ", fetch={fetch}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for EventsExec {
    fn name(&self) -> &'static str {
        "EventsExec"
    }

    leaf_methods!();

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        apply_expression_roots(&self.steps_where, f)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let exec = self.clone();
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        Ok(blocking_stream(self.schema(), move |sink| {
            let _timer = metrics.elapsed_compute().timer();
            let mut left = exec.fetch.unwrap_or(usize::MAX);
            let mut persons = exec.people.clone().map(PersonColumn::new);
            exec.open()?.read(partition, |batch| {
                let batch = if batch.num_rows() > left { batch.slice(0, left) } else { batch };
                let batch = exec.project(&batch, persons.as_mut())?;
                left -= batch.num_rows();
                metrics.record_output(batch.num_rows());
                Ok(sink.send(&batch) && left > 0)
            })
        }))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        Some(Arc::new(Self { fetch: limit, ..self.clone() }))
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    /// Rows and the span of `ts` are known from the catalog, so that counting reads nothing.
    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let schema = self.schema();
        if args.partition().is_some() || self.ids.is_some() || self.fetch.is_some() {
            return Ok(Arc::new(Statistics::new_unknown(&schema)));
        }
        let rows: u64 = self.parts.iter().map(|part| part.visible()).sum();
        let mut known = Statistics::new_unknown(&schema);
        known.num_rows = usize::try_from(rows).map_or(Precision::Absent, Precision::Exact);
        let span = (self.parts.iter().map(|it| it.ts_min).min(), self.parts.iter().map(|it| it.ts_max).max());
        for (&at, column) in self.projection.iter().zip(&mut known.column_statistics) {
            if events::stored(at) == Column::Ts {
                let bound = |ts| Precision::Exact(ScalarValue::TimestampMicrosecond(ts, Some("UTC".into())));
                *column = ColumnStatistics::new_unknown()
                    .with_min_value(bound(span.0))
                    .with_max_value(bound(span.1))
                    .with_null_count(Precision::Exact(0));
            }
        }
        Ok(Arc::new(known))
    }
}
