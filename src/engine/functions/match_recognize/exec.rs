//! The operator: whole partitions in, a row per match out.
//!
//! Over a native relation whose rows of a person or session lie together, partitions by person or session are taken as
//! they come: nothing is sorted or moved between threads. Everything else is partitioned and sorted by DataFusion.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{SortOptions, cast, take};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, exec_datafusion_err, exec_err, internal_err};
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_expr_common::sort_expr::OrderingRequirements;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, PlanProperties, ReplaceChildrenOptions,
};
use futures::StreamExt;
use tokio::runtime::Handle;

use super::define::{Columns, Conditions, Found};
use super::input::{Pending, partitions, sorted};
use super::node::{Spec, Terms};
use super::syntax::{NAME, is_sortable};
use crate::engine::operators::{JourneyExec, Sink, blocking_stream};
use crate::journey::row_pattern::{Matcher, Rows, SoFar, Stopped};
use crate::limits;

/// Matches, and rows of matches, after which an answer's batch is made.
const MATCHES_AHEAD: usize = limits::BATCH_ROWS;
const ROWS_AHEAD: usize = 64 * limits::BATCH_ROWS;

/// The clauses with expressions that can be evaluated.
#[derive(Debug)]
pub(super) struct Ready {
    pub spec: Arc<Spec>,
    /// The answer's columns: keys, then measures.
    pub schema: SchemaRef,
    pub conditions: Conditions,
    pub measures: Vec<Measure>,
}

/// A measure over its terms.
#[derive(Debug)]
pub(super) struct Measure {
    pub value: Arc<dyn PhysicalExpr>,
    pub terms: Terms,
}

/// The operator.
#[derive(Debug, Clone)]
pub(super) struct PatternExec {
    input: Arc<dyn ExecutionPlan>,
    ready: Arc<Ready>,
    /// The rows of a partition come together, by one reader: nobody may move them.
    together: bool,
    properties: Arc<PlanProperties>,
}

impl PatternExec {
    /// An operator over the projected input.
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, ready: Arc<Ready>) -> Self {
        let together = lies_together(&input, (0..ready.spec.layout.keys).collect());
        let this = Self { properties: Arc::clone(input.properties()), input, ready, together };
        this.over(Arc::clone(&this.input))
    }

    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&self.ready.schema)),
            datafusion::physical_plan::Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { input, properties: Arc::new(properties), ..self.clone() }
    }

    fn column(&self, at: usize) -> Arc<dyn PhysicalExpr> {
        Arc::new(Column::new(self.input.schema().field(at).name(), at))
    }

    /// Keys and order as asked, then whatever else is read, so that rows of equal times have an order.
    fn ordering(&self) -> Option<LexOrdering> {
        let layout = &self.ready.spec.layout;
        let schema = self.input.schema();
        let asked = layout.keys + layout.order.len();
        let rest = (asked..schema.fields().len()).filter(|&at| is_sortable(schema.field(at).data_type()));
        LexOrdering::new((0..asked).chain(rest).map(|at| {
            let order = at.checked_sub(layout.keys).and_then(|at| layout.order.get(at));
            PhysicalSortExpr::new(self.column(at), order.copied().unwrap_or_else(SortOptions::default))
        }))
    }
}

/// Whether the rows with equal values of these columns come together out of every partition of a plan.
fn lies_together(plan: &Arc<dyn ExecutionPlan>, keys: Vec<usize>) -> bool {
    if let Some(pass) = plan.downcast_ref::<JourneyExec>() {
        let names: Vec<String> = keys.iter().map(|&at| pass.column_name(at)).collect();
        return !names.is_empty() && names.iter().all(|name| name == "user_id" || name == "session_id");
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let below = match filter.projection() {
            Some(kept) => keys.into_iter().map(|at| kept[at]).collect(),
            None => keys,
        };
        return lies_together(filter.input(), below);
    }
    let Some(projection) = plan.downcast_ref::<ProjectionExec>() else { return false };
    let below = keys.iter().map(|&at| projection.expr()[at].expr.downcast_ref::<Column>().map(Column::index));
    below.collect::<Option<Vec<usize>>>().is_some_and(|below| lies_together(projection.input(), below))
}

impl DisplayAs for PatternExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let measures: Vec<&str> = self.ready.spec.measures.iter().map(|(name, _)| name.as_str()).collect();
        write!(f, "PatternExec: measures=[{}]", measures.join(", "))?;
        if !self.together {
            return Ok(());
        }
        let mut below = Some(&self.input);
        while let Some(plan) = below {
            write!(f, ", over ")?;
            DisplayAs::fmt_as(plan.as_ref(), DisplayFormatType::Default, f)?;
            below = plan.children().first().copied();
        }
        Ok(())
    }
}

impl ExecutionPlan for PatternExec {
    fn name(&self) -> &'static str {
        "PatternExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        // What lies together is out of the reach of rules that would repartition it.
        if self.together { Vec::new() } else { vec![&self.input] }
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let keys: Vec<_> = (0..self.ready.spec.layout.keys).map(|at| self.column(at)).collect();
        let one = if keys.is_empty() { Distribution::SinglePartition } else { Distribution::KeyPartitioned(keys) };
        InputDistributionRequirements::new(self.children().iter().map(|_| one.clone()).collect())
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        self.children().iter().map(|_| self.ordering().map(OrderingRequirements::from)).collect()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (<[Arc<dyn ExecutionPlan>; 1]>::try_from(children), self.together) {
            (Ok([input]), false) => Ok(Arc::new(self.over(input))),
            (Err(children), true) if children.is_empty() => Ok(self),
            _ => internal_err!("{} has other children", self.name()),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let memory = MemoryConsumer::new(format!("{NAME}[{partition}]")).register(context.memory_pool());
        let (ready, together) = (Arc::clone(&self.ready), self.together);
        let schema = self.schema();
        Ok(blocking_stream(schema, move |sink| Work { ready: &ready, together, memory, sink }.all(input)))
    }
}

/// One partition of the operator at work.
struct Work<'a> {
    ready: &'a Ready,
    together: bool,
    memory: MemoryReservation,
    sink: &'a Sink,
}

impl Work<'_> {
    fn all(&self, mut input: SendableRecordBatchStream) -> Result<()> {
        let mut pending = Pending::new(self.ready.spec.layout.keys);
        let runtime = Handle::current();
        while let Some(batch) = runtime.block_on(input.next()) {
            if let Some(whole) = pending.push(batch?)?
                && !self.chunk(whole, pending.size())?
            {
                return Ok(());
            }
            self.memory.try_resize(pending.size())?;
        }
        // What is pending and what is made of it are held at the same time.
        self.memory.try_resize(2 * pending.size())?;
        match pending.take()? {
            Some(whole) => self.chunk(whole, 0).map(drop),
            None => Ok(()),
        }
    }

    /// Answers for whole partitions; `false` if nobody listens any more.
    fn chunk(&self, rows: RecordBatch, pending: usize) -> Result<bool> {
        let layout = &self.ready.spec.layout;
        let partitions = partitions(&rows, layout.keys)?;
        let by_row = self.ready.conditions.by_match.iter().all(Option::is_none);
        let mut matcher = Matcher::new(&self.ready.spec.program, by_row);
        let longest = partitions.iter().map(Range::len).max().unwrap_or(0);
        let bytes = 2 * rows.get_array_memory_size() + matcher.bytes(longest);
        self.memory.try_resize(pending + bytes)?;
        let rows = if self.together { sorted(rows, &partitions, layout)? } else { rows };
        let columns = Columns {
            read: &rows.columns()[layout.read()..],
            partitions: &partitions,
            classifiers: &self.ready.spec.classifiers,
        };
        let mut search = Search::new(self, &rows, columns)?;
        for partition in &partitions {
            search.partition = partition.clone();
            search.number = 0;
            let ended = matcher.each(partition.clone(), self.ready.spec.skip, &mut search);
            match ended {
                Ok(()) => {}
                Err(Stopped::Rows(None)) => return Ok(false),
                Err(Stopped::Rows(Some(error))) => return Err(error),
                Err(Stopped::NothingToSkipTo) => {
                    return exec_err!("{NAME}: AFTER MATCH SKIP: a match has no row of the variable to skip to");
                }
                Err(Stopped::SkipsToItsBeginning) => {
                    return exec_err!("{NAME}: AFTER MATCH SKIP leads back to the first row of a match");
                }
            }
        }
        match search.flush() {
            Ok(()) => Ok(true),
            Err(None) => Ok(false),
            Err(Some(error)) => Err(error),
        }
    }
}

/// Why a search ends: `None` if nobody listens any more.
type Ended = Option<DataFusionError>;

/// A match that waits for its row: where it begins, its rows among those kept, its partition and number.
#[derive(Debug)]
struct Kept {
    start: usize,
    variables: Range<usize>,
    partition: Range<usize>,
    number: i64,
}

/// A search through a chunk.
struct Search<'a> {
    work: &'a Work<'a>,
    keys: &'a [ArrayRef],
    columns: Columns<'a>,
    /// The rows that each variable's condition on rows allows.
    by_row: Vec<Option<BooleanBuffer>>,
    partition: Range<usize>,
    number: i64,
    /// Tests of the match so far from one row.
    steps: usize,
    kept: Vec<Kept>,
    variables: Vec<u16>,
}

impl<'a> Search<'a> {
    fn new(work: &'a Work<'a>, rows: &'a RecordBatch, columns: Columns<'a>) -> Result<Self> {
        let mut by_row = Vec::new();
        for (variable, condition) in (0..).zip(&work.ready.conditions.by_row) {
            by_row.push(condition.as_ref().map(|it| columns.by_row(it, variable)).transpose()?);
        }
        let keys = &rows.columns()[..work.ready.spec.layout.keys];
        let (kept, variables) = (Vec::new(), Vec::new());
        Ok(Self { work, keys, columns, by_row, partition: 0..0, number: 0, steps: 0, kept, variables })
    }

    fn flush(&mut self) -> Result<(), Ended> {
        if self.kept.is_empty() {
            return Ok(());
        }
        let batch = self.rows()?;
        self.kept.clear();
        self.variables.clear();
        if self.work.sink.send(&batch) { Ok(()) } else { Err(None) }
    }

    /// A row for each match that is kept.
    fn rows(&self) -> Result<RecordBatch> {
        let found: Vec<Found<'_>> = self
            .kept
            .iter()
            .map(|kept| Found {
                so_far: SoFar { start: kept.start, variables: &self.variables[kept.variables.clone()] },
                partition: kept.partition.clone(),
                number: kept.number,
            })
            .collect();
        let starts: UInt64Array = self.kept.iter().map(|kept| Some(kept.start as u64)).collect();
        let mut columns = Vec::with_capacity(self.work.ready.schema.fields().len());
        for key in self.keys {
            columns.push(take(key, &starts, None)?);
        }
        for measure in &self.work.ready.measures {
            columns.push(self.columns.measured(measure.value.as_ref(), &measure.terms, &found)?);
        }
        for (column, field) in columns.iter_mut().zip(self.work.ready.schema.fields()) {
            if column.data_type() != field.data_type() {
                *column = cast(column, field.data_type())?;
            }
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.work.ready.schema), columns)?)
    }
}

impl Rows for Search<'_> {
    type Error = Ended;

    fn begin(&mut self, _: usize) -> Result<(), Ended> {
        self.steps = 0;
        if self.work.sink.is_wanted() { Ok(()) } else { Err(None) }
    }

    fn holds(&mut self, variable: u16, row: usize, so_far: SoFar<'_>) -> Result<bool, Ended> {
        let at = usize::from(variable);
        if self.by_row[at].as_ref().is_some_and(|rows| !rows.value(row)) {
            return Ok(false);
        }
        let conditions = &self.work.ready.conditions.by_match;
        if let Some(condition) = &conditions[at] {
            self.step(if condition.terms.has_aggregates() { so_far.variables.len() } else { 1 })?;
            let found = Found { so_far, partition: self.partition.clone(), number: self.number + 1 };
            return Ok(self.columns.by_match(condition, found)?);
        }
        if conditions.iter().any(Option::is_some) {
            self.step(1)?;
        }
        Ok(true)
    }

    fn take(&mut self, found: SoFar<'_>) -> Result<(), Ended> {
        self.number += 1;
        let from = self.variables.len();
        self.variables.extend_from_slice(found.variables);
        let variables = from..self.variables.len();
        let partition = self.partition.clone();
        self.kept.push(Kept { start: found.start, variables, partition, number: self.number });
        if self.kept.len() >= MATCHES_AHEAD || self.variables.len() >= ROWS_AHEAD { self.flush() } else { Ok(()) }
    }
}

impl Search<'_> {
    /// Counts tests that cannot be remembered.
    fn step(&mut self, tests: usize) -> Result<(), Ended> {
        self.steps += tests;
        let most = limits::ROW_PATTERN_TESTS;
        if self.steps > most {
            let why = "DEFINE refers to the match so far, so that nothing that failed can be remembered";
            let advice = "make the pattern or the partitions smaller, or compare with PREV and NEXT";
            return Err(Some(exec_datafusion_err!("{NAME}: more than {most} tests from one row: {why} – {advice}")));
        }
        if self.steps.is_multiple_of(limits::BATCH_ROWS) && !self.work.sink.is_wanted() {
            return Err(None);
        }
        Ok(())
    }
}
