//! The physical operator of `steps`, `edges`, `sessions` and `journeys`: one pass, one range of people per partition.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::EmissionType;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use crate::engine::relations::Relation;
use crate::engine::relations::tape::{CodeSet, Facts, Tape};
use crate::engine::relations::walker::Walker;
use crate::engine::scan::{Names, PersonRuns, ScanPlan, ScanRanges};
use crate::journey::Paths;

use super::leaf::{leaf_methods, leaf_properties};
use super::stream::{Sink, blocking_stream};

/// Blocks between two looks at the memory in use.
const BLOCKS_PER_CHECK: usize = 16;
/// Stamps of one reader; readers count apart.
const STAMPS: u64 = 1 << 48;

/// What the numbers of a coded column mean, left behind by a reader that has finished.
#[derive(Debug, Default, Clone)]
pub struct Legend {
    pub names: Names,
    pub paths: Paths,
}

/// A pass that is opened once, by whoever runs first, and shared by its readers.
#[derive(Debug)]
pub struct SharedPass {
    plan: ScanPlan,
    readers: usize,
    opened: OnceLock<Result<Arc<ScanRanges>, Arc<DataFusionError>>>,
}

impl SharedPass {
    /// A pass for this many readers, not opened yet.
    #[must_use]
    pub fn new(plan: ScanPlan, readers: usize) -> Self {
        Self { plan, readers, opened: OnceLock::new() }
    }

    /// Number of readers.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.readers
    }

    /// What is read.
    #[must_use]
    pub fn plan(&self) -> &ScanPlan {
        &self.plan
    }

    /// The runs of one reader. Blocks on files: call it in a blocking thread.
    ///
    /// # Errors
    /// A part is missing or damaged.
    pub fn runs(&self, reader: usize) -> Result<PersonRuns> {
        let opened = self.opened.get_or_init(|| self.plan.clone().open(self.readers).map_err(Arc::new));
        match opened {
            Ok(ranges) => ranges.runs(reader),
            Err(error) => Err(DataFusionError::Shared(Arc::clone(error))),
        }
    }
}

/// The operator. `projection` are columns of the relation, `coded` those that come as numbers.
#[derive(Debug, Clone)]
pub struct JourneyExec {
    relation: Relation,
    pass: Arc<SharedPass>,
    facts: Arc<Facts>,
    projection: Vec<usize>,
    coded: Vec<bool>,
    /// Rows after which a partition may stop.
    fetch: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    legends: Arc<Vec<Mutex<Legend>>>,
}

impl JourneyExec {
    /// An operator that yields these columns of the relation.
    #[must_use]
    pub fn new(relation: Relation, pass: Arc<SharedPass>, facts: Arc<Facts>, projection: Vec<usize>) -> Self {
        let coded = vec![false; projection.len()];
        let readers = pass.readers();
        Self {
            properties: leaf_properties(schema(relation, &projection, &coded), readers, EmissionType::Incremental),
            legends: Arc::new((0..readers).map(|_| Mutex::default()).collect()),
            relation,
            pass,
            facts,
            projection,
            coded,
            fetch: None,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// The relation.
    #[must_use]
    pub fn relation(&self) -> Relation {
        self.relation
    }

    /// The name of output column `at`.
    #[must_use]
    pub fn column_name(&self, at: usize) -> String {
        self.schema().field(at).name().clone()
    }

    /// The same operator with these output columns as numbers, for which nothing is read that only their texts need;
    /// `None` if one of them has no number.
    #[must_use]
    pub fn with_coded(&self, columns: &[usize]) -> Option<Self> {
        let mut coded = self.coded.clone();
        for &at in columns {
            self.relation.codes(&self.column_name(at))?;
            coded[at] = true;
        }
        let spelled = (0..coded.len()).filter(|&at| !coded[at]).map(|at| self.column_name(at));
        let needs = spelled.flat_map(|name| self.relation.needs(&name)).copied();
        let (plan, readers) = (self.pass.plan().clone().with_rows(needs), self.pass.readers());
        let schema = schema(self.relation, &self.projection, &coded);
        Some(Self {
            properties: leaf_properties(schema, readers, EmissionType::Incremental),
            pass: Arc::new(SharedPass::new(plan, readers)),
            coded,
            legends: Arc::new((0..readers).map(|_| Mutex::default()).collect()),
            metrics: ExecutionPlanMetricsSet::new(),
            ..self.clone()
        })
    }

    /// What a finished reader's numbers mean; taken once.
    #[must_use]
    pub fn take_legend(&self, reader: usize) -> Legend {
        match self.legends.get(reader).map(Mutex::lock) {
            Some(Ok(mut legend)) => std::mem::take(&mut legend),
            _ => Legend::default(),
        }
    }
}

fn schema(relation: Relation, projection: &[usize], coded: &[bool]) -> SchemaRef {
    let whole = relation.schema();
    let fields: Vec<Field> = projection
        .iter()
        .zip(coded)
        .map(|(&at, &coded)| {
            let field = whole.field(at).clone();
            match relation.codes(field.name()) {
                Some(kind) if coded => field.with_data_type(kind),
                _ => field,
            }
        })
        .collect();
    Arc::new(Schema::new(fields))
}

impl DisplayAs for JourneyExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = self.schema();
        let columns: Vec<String> = schema
            .fields()
            .iter()
            .zip(&self.coded)
            .map(|(field, &coded)| if coded { format!("#{}", field.name()) } else { field.name().clone() })
            .collect();
        let parts = self.pass.plan().parts().len();
        write!(f, "JourneyExec: {}, columns=[{}], parts={parts}", self.relation.name(), columns.join(", "))?;
        let later = self.pass.plan().later_parts();
        if later > 0 {
            write!(f, ", later_parts={later}")?;
        }
        match self.fetch {
            Some(fetch) => write!(f, ", fetch={fetch}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for JourneyExec {
    fn name(&self) -> &'static str {
        "JourneyExec"
    }

    leaf_methods!();

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let exec = self.clone();
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        Ok(blocking_stream(self.schema(), move |sink| exec.run(partition, &context, &metrics, sink)))
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
}

impl JourneyExec {
    /// Number of readers, each with people of its own.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.pass.readers()
    }

    /// Runs one reader in the calling thread, a batch at a time, for as long as `each` wants more. Blocks on files.
    ///
    /// # Errors
    /// A part is damaged, memory runs out, or `each` fails.
    pub fn drive(
        &self,
        reader: usize,
        context: &TaskContext,
        each: &mut dyn FnMut(RecordBatch) -> Result<bool>,
    ) -> Result<()> {
        let memory = MemoryConsumer::new(format!("{}[{reader}]", self.relation.name())).register(context.memory_pool());
        let mut runs = self.pass.runs(reader)?;
        let mut state = State::new(&self.facts, reader as u64);
        let mut blocks = 0usize;
        while runs.next_block()? {
            if blocks.is_multiple_of(BLOCKS_PER_CHECK) {
                memory.try_resize(runs.size() + state.size())?;
            }
            blocks += 1;
            if !each(state.batch(self, &mut runs)?)? {
                return Ok(());
            }
        }
        if let Some(Ok(mut legend)) = self.legends.get(reader).map(Mutex::lock) {
            *legend = Legend { names: std::mem::take(runs.names_mut()), paths: state.paths };
        }
        Ok(())
    }

    fn run(&self, reader: usize, context: &TaskContext, metrics: &BaselineMetrics, sink: &Sink) -> Result<()> {
        let _timer = metrics.elapsed_compute().timer();
        let mut left = self.fetch.unwrap_or(usize::MAX);
        self.drive(reader, context, &mut |batch| {
            let batch = if batch.num_rows() > left { batch.slice(0, left) } else { batch };
            left -= batch.num_rows();
            metrics.record_output(batch.num_rows());
            Ok(sink.send(&batch) && left > 0)
        })
    }
}

/// What one reader carries from block to block.
struct State {
    facts: Arc<Facts>,
    walker: Walker,
    paths: Paths,
    terminal: CodeSet,
    people: u64,
    sessions: u64,
}

impl State {
    fn new(facts: &Arc<Facts>, reader: u64) -> Self {
        Self {
            terminal: CodeSet::new(&facts.settings.terminal_pages),
            walker: Walker::new(facts),
            facts: Arc::clone(facts),
            paths: Paths::default(),
            people: reader * STAMPS,
            sessions: reader * STAMPS,
        }
    }

    fn size(&self) -> usize {
        self.walker.size() + self.paths.size()
    }

    fn batch(&mut self, exec: &JourneyExec, runs: &mut PersonRuns) -> Result<RecordBatch> {
        let (block, names) = runs.block_and_names();
        self.terminal.follow(names);
        let walk = self.walker.walk(block, names);
        let bases = (self.people, self.sessions);
        self.people += block.len() as u64;
        self.sessions += walk.sessions.len() as u64;
        let mut tape = Tape::new(block, names, walk, &self.facts, &self.terminal, &mut self.paths, bases);
        let schema = exec.schema();
        let options = RecordBatchOptions::new().with_row_count(Some(exec.relation.rows(&tape)));
        let mut arrays = Vec::with_capacity(exec.projection.len());
        for (field, &coded) in schema.fields().iter().zip(&exec.coded) {
            arrays.push(exec.relation.column(field.name(), coded, &mut tape)?);
        }
        let batch = RecordBatch::try_new_with_options(schema, arrays, &options)?;
        Ok(batch)
    }
}
