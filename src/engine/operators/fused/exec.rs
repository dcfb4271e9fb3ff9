//! The physical operator of an aggregate inside the pass.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, exec_err, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::EmissionType;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use crate::engine::operators::JourneyExec;
use crate::engine::operators::leaf::{leaf_methods, leaf_properties};
use crate::engine::scan::truth;
use crate::limits;

use super::accumulate::{Aggregate, State, answers};
use super::groups::Groups;
use super::keys::{Key, KeyKind};
use super::stages::{Stage, apply};

/// Batches between two looks at the memory in use.
const BATCHES_PER_CHECK: usize = 64;

/// A key: how it is computed, what it is, how EXPLAIN shows it.
#[derive(Debug, Clone)]
pub(super) struct KeyExpr {
    pub expr: Arc<dyn PhysicalExpr>,
    pub kind: KeyKind,
    pub shown: String,
}

/// GROUP BY and aggregates over a native relation.
#[derive(Debug, Clone)]
pub struct FusedAggregateExec {
    pass: Arc<JourneyExec>,
    stages: Arc<[Stage]>,
    keys: Arc<[KeyExpr]>,
    aggregates: Arc<[Aggregate]>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl FusedAggregateExec {
    pub(super) fn new(
        pass: JourneyExec,
        stages: Vec<Stage>,
        keys: Vec<KeyExpr>,
        aggregates: Vec<Aggregate>,
        schema: SchemaRef,
    ) -> Self {
        Self {
            pass: Arc::new(pass),
            stages: stages.into(),
            keys: keys.into(),
            aggregates: aggregates.into(),
            properties: leaf_properties(schema, 1, EmissionType::Final),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    fn new_partial(&self) -> Partial {
        Partial {
            groups: Groups::new(self.keys.len()),
            keys: self.keys.iter().map(|key| Key::new(key.kind)).collect(),
            states: (0..self.aggregates.len()).map(|at| State::new(at, &self.aggregates)).collect(),
            codes: vec![Vec::new(); self.keys.len()],
            group_of: Vec::new(),
        }
    }

    /// One reader from its first batch to its last, in the calling thread.
    fn read(
        &self,
        reader: usize,
        context: &TaskContext,
        memory: &MemoryReservation,
        gone: &dyn Fn() -> bool,
    ) -> Result<Partial> {
        let mut partial = self.new_partial();
        let mut batches = 0usize;
        self.pass.drive(reader, context, &mut |batch| {
            if gone() {
                return Ok(false);
            }
            partial.add(self, &apply(&self.stages, batch)?)?;
            batches += 1;
            if batches.is_multiple_of(BATCHES_PER_CHECK) {
                memory.try_resize(partial.size())?;
            }
            Ok(true)
        })?;
        if partial.keys.iter().any(Key::is_path) {
            // The legend is one; every path key of the reader reads the same numbers.
            let legend = Arc::new(self.pass.take_legend(reader));
            for key in &mut partial.keys {
                key.set_legend(&legend);
            }
        }
        Ok(partial)
    }

    /// All readers as one, then its rows.
    fn finish(&self, partials: Vec<Partial>, send: &mut dyn FnMut(RecordBatch) -> bool) -> Result<()> {
        let unclear = partials.iter().flat_map(|partial| &partial.keys).any(Key::is_ambiguous);
        let mut partials = partials.into_iter();
        let mut whole = match partials.next() {
            Some(first) if !unclear => first,
            first => {
                // Spelled paths in place of their numbers, so that equal texts meet.
                let mut whole = self.new_partial();
                whole.keys =
                    self.keys.iter().map(|key| Key::new(if unclear { key.kind.spelled() } else { key.kind })).collect();
                if let Some(first) = first {
                    whole.merge(&self.aggregates, first);
                }
                whole
            }
        };
        for other in partials {
            whole.merge(&self.aggregates, other);
        }
        whole.emit(self, send)
    }
}

/// Groups and accumulators of one reader.
#[derive(Debug)]
struct Partial {
    groups: Groups,
    keys: Vec<Key>,
    states: Vec<State>,
    codes: Vec<Vec<u32>>,
    group_of: Vec<u32>,
}

impl Partial {
    fn add(&mut self, exec: &FusedAggregateExec, batch: &RecordBatch) -> Result<()> {
        let rows = batch.num_rows();
        if rows == 0 {
            return Ok(());
        }
        for ((key, known), codes) in exec.keys.iter().zip(&mut self.keys).zip(&mut self.codes) {
            known.codes(&key.expr.evaluate(batch)?.into_array(rows)?, codes)?;
        }
        self.groups.assign(&self.codes, rows, &mut self.group_of);
        let count = self.groups.len();
        if u32::try_from(count).is_err() {
            return exec_err!("more than 4 billion groups");
        }
        for (aggregate, state) in exec.aggregates.iter().zip(&mut self.states) {
            if let State::Shared(_) = state {
                continue;
            }
            let arg = aggregate.arg.as_ref().map(|arg| arg.evaluate(batch)?.into_array(rows)).transpose()?;
            let kept = aggregate.filter.as_ref().map(|filter| truth(filter, batch)).transpose()?;
            state.add(aggregate.kind, &self.group_of, count, arg.as_ref(), kept.as_ref())?;
        }
        Ok(())
    }

    fn merge(&mut self, aggregates: &[Aggregate], other: Self) {
        let theirs = other.groups.codes();
        let ours: Vec<Vec<u32>> = self
            .keys
            .iter_mut()
            .zip(&other.keys)
            .zip(&theirs)
            .map(|((key, other), codes)| key.adopt(other, codes))
            .collect();
        let mut into = Vec::new();
        self.groups.assign(&ours, other.groups.len(), &mut into);
        let count = self.groups.len();
        for ((aggregate, state), more) in aggregates.iter().zip(&mut self.states).zip(other.states) {
            state.merge(aggregate.kind, more, &into, count);
        }
    }

    fn emit(mut self, exec: &FusedAggregateExec, send: &mut dyn FnMut(RecordBatch) -> bool) -> Result<()> {
        let count = self.groups.len();
        let codes = self.groups.codes();
        for state in &mut self.states {
            state.pad(count);
        }
        let schema = exec.schema();
        for from in (0..count).step_by(limits::BATCH_ROWS) {
            let to = count.min(from + limits::BATCH_ROWS);
            let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
            for ((key, codes), field) in self.keys.iter_mut().zip(&codes).zip(schema.fields()) {
                columns.push(key.column(&codes[from..to], field.data_type())?);
            }
            columns.extend(answers(&exec.aggregates, &mut self.states, from..to)?);
            let options = RecordBatchOptions::new().with_row_count(Some(to - from));
            if !send(RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn size(&self) -> usize {
        self.groups.size()
            + self.keys.iter().map(Key::size).sum::<usize>()
            + self.states.iter().map(State::size).sum::<usize>()
    }
}

impl DisplayAs for FusedAggregateExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.keys.iter().map(|key| key.shown.as_str()).collect();
        let aggregates: Vec<&str> = self.aggregates.iter().map(|it| it.shown.as_str()).collect();
        write!(f, "FusedAggregateExec: gby=[{}], aggr=[{}]", keys.join(", "), aggregates.join(", "))?;
        for stage in self.stages.iter() {
            if let Stage::Filter(predicate) = stage {
                write!(f, ", filter={predicate}")?;
            }
        }
        f.write_str(", over ")?;
        self.pass.fmt_as(DisplayFormatType::Default, f)
    }
}

impl ExecutionPlan for FusedAggregateExec {
    fn name(&self) -> &'static str {
        "FusedAggregateExec"
    }

    leaf_methods!();

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for key in self.keys.iter() {
            f(&key.expr)?;
        }
        for aggregate in self.aggregates.iter() {
            for expr in aggregate.arg.iter().chain(&aggregate.filter) {
                f(expr)?;
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("an aggregate inside the pass has one partition, not {partition}");
        }
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema(), 2);
        let (to, exec) = (builder.tx(), self.clone());
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        builder.spawn(async move {
            let mut readers = Vec::new();
            for reader in 0..exec.pass.readers() {
                let (exec, context, to) = (exec.clone(), Arc::clone(&context), to.clone());
                readers.push(SpawnedTask::spawn_blocking(move || {
                    let memory = MemoryConsumer::new(format!("aggregate[{reader}]")).register(context.memory_pool());
                    let partial = exec.read(reader, &context, &memory, &|| to.is_closed())?;
                    Ok((partial, memory))
                }));
            }
            let (mut partials, mut memory) = (Vec::new(), Vec::new());
            for reader in readers {
                let done: Result<(Partial, MemoryReservation)> = match reader.join_unwind().await {
                    Ok(done) => done,
                    Err(error) => exec_err!("a reader was stopped: {error}"),
                };
                let (partial, held) = done?;
                partials.push(partial);
                memory.push(held);
            }
            let finished = SpawnedTask::spawn_blocking(move || {
                let _memory = memory;
                exec.finish(partials, &mut |batch| {
                    metrics.record_output(batch.num_rows());
                    to.blocking_send(Ok(batch)).is_ok()
                })
            });
            match finished.join_unwind().await {
                Ok(done) => done,
                Err(error) => exec_err!("the aggregate was stopped: {error}"),
            }
        });
        Ok(builder.build())
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
