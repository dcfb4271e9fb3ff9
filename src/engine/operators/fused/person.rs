//! GROUP BY a person or a session, inside the pass: a group is whole in the batch that holds its person.
//!
//! ```text
//! reader: batch ─ filters ─► runs of equal ids ─► groups of the batch ─► any aggregate ─► rows of the answer, at once
//! ```
//! So nothing is hashed by id, no text of an id is compared more than once a run, and what aggregates keep is gone before
//! the next batch: `window_funnel` and its like hold the events of one batch instead of those of everybody.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{filter_record_batch, take};
use arrow::datatypes::{Int32Type, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{GroupsAccumulatorAdapter, PhysicalExpr};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::EmissionType;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use crate::engine::operators::by_value::by_value;
use crate::engine::operators::leaf::{leaf_methods, leaf_properties};
use crate::engine::operators::{JourneyExec, Packer, blocking_stream};
use crate::engine::scan::truth;

use super::groups::Groups;
use super::keys::{Key, KeyKind};

/// A key: of a person or session, whose rows lie together, or any other, with what it is.
#[derive(Debug, Clone)]
struct KeyExpr {
    expr: Arc<dyn PhysicalExpr>,
    other: Option<KeyKind>,
    shown: String,
}

/// An aggregate with its arguments and filter over the pass's columns.
#[derive(Debug, Clone)]
struct Asked {
    function: Arc<AggregateFunctionExpr>,
    args: Vec<Arc<dyn PhysicalExpr>>,
    filter: Option<Arc<dyn PhysicalExpr>>,
}

/// The operator.
#[derive(Debug, Clone)]
pub struct PersonAggregateExec {
    pass: Arc<JourneyExec>,
    filters: Arc<[Arc<dyn PhysicalExpr>]>,
    keys: Arc<[KeyExpr]>,
    aggregates: Arc<[Asked]>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

/// The aggregate inside its pass, by person or session; `None` if it is something else.
pub(super) fn by_person(first: &AggregateExec, schema: SchemaRef) -> Option<PersonAggregateExec> {
    let below = Below::of(first.input())?;
    let columns = below.pass.schema();
    let mut keys = Vec::new();
    for (expr, name) in first.group_expr().expr() {
        let expr = below.resolve(expr)?;
        let id = expr.downcast_ref::<Column>().is_some_and(|column| matches!(column.name(), "user_id" | "session_id"));
        let other = if id { None } else { Some(KeyKind::of(&expr.data_type(&columns).ok()?)?) };
        keys.push(KeyExpr { expr, other, shown: name.clone() });
    }
    keys.iter().any(|key| key.other.is_none()).then_some(())?;
    let ready = |expr: &Arc<dyn PhysicalExpr>| by_value(below.resolve(expr)?, &columns).ok();
    let mut aggregates = Vec::new();
    for (function, filter) in first.aggr_expr().iter().zip(first.filter_expr()) {
        let plain = function.order_bys().is_empty() && !function.is_distinct() && !function.ignore_nulls();
        (plain && !function.is_reversed()).then_some(())?;
        let args = function.expressions().iter().map(ready).collect::<Option<Vec<_>>>()?;
        let filter = match filter {
            Some(filter) => Some(ready(filter)?),
            None => None,
        };
        aggregates.push(Asked { function: Arc::clone(function), args, filter });
    }
    let filters = below.filters.iter().map(|it| by_value(Arc::clone(it), &columns).ok()).collect::<Option<_>>()?;
    let properties = leaf_properties(schema, below.pass.readers(), EmissionType::Incremental);
    let (pass, metrics) = (Arc::new(below.pass), ExecutionPlanMetricsSet::new());
    Some(PersonAggregateExec { pass, filters, keys: keys.into(), aggregates: aggregates.into(), properties, metrics })
}

/// What lies below an aggregate, all over the pass's columns.
struct Below {
    pass: JourneyExec,
    filters: Vec<Arc<dyn PhysicalExpr>>,
    /// The columns that the aggregate sees.
    columns: Vec<Arc<dyn PhysicalExpr>>,
}

impl Below {
    fn of(node: &Arc<dyn ExecutionPlan>) -> Option<Self> {
        if let Some(pass) = node.downcast_ref::<JourneyExec>() {
            pass.fetch().is_none().then_some(())?;
            let schema = pass.schema();
            let column = |(at, name): (usize, &String)| Arc::new(Column::new(name, at)) as Arc<dyn PhysicalExpr>;
            let columns = schema.fields().iter().map(|field| field.name()).enumerate().map(column).collect();
            return Some(Self { pass: pass.clone(), filters: Vec::new(), columns });
        }
        if let Some(filter) = node.downcast_ref::<FilterExec>() {
            filter.fetch().is_none().then_some(())?;
            let mut below = Self::of(filter.input())?;
            below.filters.push(below.resolve(filter.predicate())?);
            if let Some(kept) = filter.projection() {
                below.columns = kept.iter().map(|&at| below.columns.get(at).cloned()).collect::<Option<_>>()?;
            }
            return Some(below);
        }
        let projection = node.downcast_ref::<ProjectionExec>()?;
        let mut below = Self::of(projection.input())?;
        below.columns = projection.expr().iter().map(|it| below.resolve(&it.expr)).collect::<Option<_>>()?;
        Some(below)
    }

    /// An expression over these columns as one over the pass's; `None` for one whose value is another each time.
    fn resolve(&self, expr: &Arc<dyn PhysicalExpr>) -> Option<Arc<dyn PhysicalExpr>> {
        if datafusion::physical_expr_common::physical_expr::is_volatile(expr) {
            return None;
        }
        let moved = Arc::clone(expr).transform_down(|node| {
            let Some(column) = node.downcast_ref::<Column>() else { return Ok(Transformed::no(node)) };
            let Some(own) = self.columns.get(column.index()) else { return internal_err!("no column {column}") };
            Ok(Transformed::new(Arc::clone(own), true, TreeNodeRecursion::Jump))
        });
        moved.ok().map(|moved| moved.data)
    }
}

/// The groups of one batch after the other.
struct Work<'a> {
    exec: &'a PersonAggregateExec,
    /// The keys that are none of a person or session.
    others: Vec<Key>,
    /// Values of arguments that are literals, as long as the longest batch.
    literals: Vec<Option<ArrayRef>>,
}

impl Work<'_> {
    fn rows(&mut self, mut batch: RecordBatch) -> Result<RecordBatch> {
        for filter in self.exec.filters.iter() {
            let kept = truth(filter, &batch)?;
            if kept.true_count() < batch.num_rows() {
                batch = filter_record_batch(&batch, &kept)?;
            }
        }
        let rows = batch.num_rows();
        if rows == 0 {
            return Ok(RecordBatch::new_empty(self.exec.schema()));
        }
        let keys = self.exec.keys.iter().map(|key| key.expr.evaluate(&batch)?.into_array(rows));
        let keys = keys.collect::<Result<Vec<ArrayRef>>>()?;
        let (groups, firsts) = self.groups(&keys, rows)?;
        let firsts = UInt32Array::from(firsts);
        let mut columns = Vec::with_capacity(keys.len() + self.exec.aggregates.len());
        for key in &keys {
            columns.push(take(key, &firsts, None)?);
        }
        let mut literal = self.literals.iter_mut();
        for asked in self.exec.aggregates.iter() {
            let mut args = Vec::with_capacity(asked.args.len());
            for (arg, known) in asked.args.iter().zip(&mut literal) {
                args.push(value(arg, known, &batch)?);
            }
            let kept: Option<BooleanArray> = asked.filter.as_ref().map(|filter| truth(filter, &batch)).transpose()?;
            let mut state = accumulator(&asked.function)?;
            state.update_batch(&args, &groups, kept.as_ref(), firsts.len())?;
            columns.push(state.evaluate(EmitTo::All)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(firsts.len()));
        Ok(RecordBatch::try_new_with_options(self.exec.schema(), columns, &options)?)
    }

    /// The group of each row, and the first row of each group.
    fn groups(&mut self, keys: &[ArrayRef], rows: usize) -> Result<(Vec<usize>, Vec<u32>)> {
        let mut begins = vec![false; rows];
        for (key, column) in self.exec.keys.iter().zip(keys) {
            if key.other.is_none() {
                mark_changes(column, &mut begins)?;
            }
        }
        let (runs, firsts) = runs(&begins);
        if self.others.is_empty() {
            return Ok((runs, firsts));
        }
        // Every row of a batch has a number of 32 bits.
        let mut codes: Vec<Vec<u32>> = vec![runs.iter().map(|&run| u32::try_from(run).unwrap_or(u32::MAX)).collect()];
        for (key, column) in self.others.iter_mut().zip(self.exec.others(keys)) {
            let mut own = Vec::with_capacity(rows);
            key.codes(column, &mut own)?;
            codes.push(own);
        }
        let mut numbers = Vec::new();
        Groups::new(codes.len()).assign(&codes, rows, &mut numbers);
        let mut firsts = Vec::new();
        let groups = (0..).zip(numbers).map(|(row, group)| {
            if group as usize == firsts.len() {
                firsts.push(row);
            }
            group as usize
        });
        let groups = groups.collect();
        Ok((groups, firsts))
    }
}

/// The run of each row, and the first row of each run; the first row begins one unsaid.
fn runs(begins: &[bool]) -> (Vec<usize>, Vec<u32>) {
    let (mut runs, mut firsts) = (Vec::with_capacity(begins.len()), vec![0]);
    runs.extend((0..).zip(begins).map(|(row, &begins)| {
        if begins {
            firsts.push(row);
        }
        firsts.len() - 1
    }));
    (runs, firsts)
}

fn accumulator(function: &Arc<AggregateFunctionExpr>) -> Result<Box<dyn GroupsAccumulator>> {
    if function.groups_accumulator_supported() {
        return function.create_groups_accumulator();
    }
    let one = Arc::clone(function);
    Ok(Box::new(GroupsAccumulatorAdapter::new(move || one.create_accumulator())))
}

/// Marks the rows whose id is not that of the row before.
fn mark_changes(ids: &ArrayRef, begins: &mut [bool]) -> Result<()> {
    let Some(codes) = ids.as_dictionary_opt::<Int32Type>() else {
        return internal_err!("an id came as {}", ids.data_type());
    };
    let Some(texts) = codes.values().as_string_opt::<i32>() else { return internal_err!("an id is no text") };
    let text = |key: i32| usize::try_from(key).ok().map(|at| texts.value(at));
    for (row, keys) in codes.keys().values().windows(2).enumerate() {
        if keys[0] != keys[1] && text(keys[0]) != text(keys[1]) {
            begins[row + 1] = true;
        }
    }
    Ok(())
}

/// The value of an argument; a literal's is made once.
fn value(arg: &Arc<dyn PhysicalExpr>, known: &mut Option<ArrayRef>, batch: &RecordBatch) -> Result<ArrayRef> {
    let rows = batch.num_rows();
    if arg.downcast_ref::<Literal>().is_none() {
        return arg.evaluate(batch)?.into_array(rows);
    }
    if let Some(known) = known.as_ref().filter(|known| known.len() >= rows) {
        return Ok(known.slice(0, rows));
    }
    let made = arg.evaluate(batch)?.into_array(rows)?;
    *known = Some(Arc::clone(&made));
    Ok(made)
}

impl PersonAggregateExec {
    /// The columns of the keys that are none of a person or session.
    fn others<'a>(&'a self, keys: &'a [ArrayRef]) -> impl Iterator<Item = &'a ArrayRef> {
        self.keys.iter().zip(keys).filter(|(key, _)| key.other.is_some()).map(|(_, column)| column)
    }

    fn work(&self) -> Work<'_> {
        let others = self.keys.iter().filter_map(|key| key.other).map(Key::new).collect();
        let args = self.aggregates.iter().map(|asked| asked.args.len()).sum();
        Work { exec: self, others, literals: vec![None; args] }
    }
}

impl DisplayAs for PersonAggregateExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.keys.iter().map(|key| key.shown.as_str()).collect();
        let aggregates: Vec<&str> = self.aggregates.iter().map(|it| it.function.name()).collect();
        write!(f, "PersonAggregateExec: gby=[{}], aggr=[{}]", keys.join(", "), aggregates.join(", "))?;
        for filter in self.filters.iter() {
            write!(f, ", filter={filter}")?;
        }
        f.write_str(", over ")?;
        self.pass.fmt_as(DisplayFormatType::Default, f)
    }
}

impl ExecutionPlan for PersonAggregateExec {
    fn name(&self) -> &'static str {
        "PersonAggregateExec"
    }

    leaf_methods!();

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let keys = self.keys.iter().map(|key| &key.expr);
        let aggregates = self.aggregates.iter().flat_map(|asked| asked.args.iter().chain(&asked.filter));
        for expr in keys.chain(aggregates).chain(self.filters.iter()) {
            f(expr)?;
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let exec = self.clone();
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        Ok(blocking_stream(self.schema(), move |sink| {
            let _timer = metrics.elapsed_compute().timer();
            let memory = MemoryConsumer::new(format!("aggregate[{partition}]")).register(context.memory_pool());
            let mut work = exec.work();
            let mut out = Packer::new(sink);
            exec.pass.drive(partition, &context, &mut |batch| {
                memory.try_resize(batch.num_rows() * 64 + work.others.iter().map(Key::size).sum::<usize>())?;
                let rows = work.rows(batch)?;
                metrics.record_output(rows.num_rows());
                out.send(rows)
            })?;
            out.flush().map(drop)
        }))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
