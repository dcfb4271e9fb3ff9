//! The pass of a funnel: one reader per range of people, whose units a report takes in.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryConsumer;

use super::spec::{Spec, Whose};
use super::units::{Home, Unit, Units};
use super::values::Value;
use crate::engine::functions::conditions::{Conditions, Masks};
use crate::engine::functions::seen::Seen;
use crate::engine::functions::sessions::{Cut, Sessions};
use crate::engine::functions::table::InPass;
use crate::engine::scan::{Block, NONE, Names, Person, PersonRuns, ScanPlan};
use crate::engine::stop::Stop;
use crate::journey::EndedBy;
use crate::time::duration_text;

/// What a function makes of the units.
pub(super) trait Report: fmt::Debug + Clone + Send + Sync + 'static {
    /// What a reader collects.
    type Sink: Sink<Part = Self::Part>;
    /// What a reader hands over.
    type Part: Send + 'static;
    /// Whether units that count for nothing are wanted too: nobody entered, taken out, not complete.
    const EVERY: bool = false;
    /// Whether the labels of events are wanted.
    const LABELS: bool = false;

    fn schema(&self, spec: &Spec) -> SchemaRef;
    /// Whether it looks at the chains themselves.
    fn chained(&self) -> bool;
    /// A reader's sink for these columns.
    fn sink(&self, shared: &Arc<Shared>, wanted: Wanted) -> Self::Sink;
    /// All columns of the answer.
    fn table(&self, shared: &Shared, parts: Vec<Self::Part>, seen: &Seen) -> Result<RecordBatch>;
}

/// Collects the units of one reader.
pub(super) trait Sink {
    type Part;
    fn unit(&mut self, unit: &Unit<'_>);
    /// Bytes held.
    fn size(&self) -> usize;
    /// `values` are the texts of the units' codes.
    fn finish(self, values: &Names) -> Self::Part;
}

/// Which costly columns somebody asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// Durations of the steps (option `ttc`).
    pub steps: bool,
    /// Durations from the first step.
    pub totals: bool,
    /// The chain itself.
    pub chain: bool,
}

/// What all readers of a pass look at.
#[derive(Debug)]
pub(super) struct Shared {
    pub spec: Arc<Spec>,
    pub conditions: Conditions,
    pub hold: Option<Value>,
    pub breakdown: Option<Value>,
    pub plan: ScanPlan,
    pub sessions: Sessions,
    /// Idle time after which a session is over, µs.
    pub gap: i64,
    /// When open windows are judged, µs.
    pub watermark: i64,
}

/// A funnel planned over one snapshot.
#[derive(Debug, Clone)]
pub(super) struct Pass<R> {
    shared: Arc<Shared>,
    report: R,
    readers: usize,
    projection: Vec<usize>,
    wanted: Wanted,
}

impl<R: Report> Pass<R> {
    /// The answer in these columns of the schema, by at most so many readers.
    pub(super) fn new(shared: Shared, report: R, schema: &SchemaRef, readers: usize, projection: Vec<usize>) -> Self {
        let asks = |part: &str| projection.iter().any(|&at| schema.field(at).name().starts_with(part));
        let wanted = Wanted { steps: asks("ttc_"), totals: asks("total_"), chain: report.chained() };
        Self { shared: Arc::new(shared), report, readers, projection, wanted }
    }
}

impl<R: Report> InPass for Pass<R> {
    type Part = (R::Part, Seen);

    fn name(&self) -> &'static str {
        "FunnelExec"
    }

    fn shown(&self) -> Option<String> {
        let spec = &self.shared.spec;
        let window = match spec.rules.window() {
            i64::MAX => "none".to_owned(),
            window => duration_text(window),
        };
        let unit = match spec.whose {
            Whose::User => "user",
            Whose::Session => "session",
            Whose::Attempt => "attempt",
        };
        let steps = spec.names.join(", ");
        Some(format!("function={}, steps=[{steps}], window={window}, unit={unit}", spec.function))
    }

    fn pass(&self) -> (&ScanPlan, usize) {
        (&self.shared.plan, self.readers)
    }

    fn read(&self, runs: PersonRuns, context: &TaskContext, stop: &Stop) -> Result<Self::Part> {
        let sink = self.report.sink(&self.shared, self.wanted);
        Reader::<R>::run(&self.shared, sink, self.wanted, runs, context, stop)
    }

    fn rows(&self, parts: Vec<Self::Part>, context: &TaskContext, _: &Stop) -> Result<RecordBatch> {
        let (mut made, mut seen) = (Vec::with_capacity(parts.len()), Seen::default());
        for (part, met) in parts {
            made.push(part);
            seen.merge(met);
        }
        // That one person never did it is told among the rows.
        if !R::EVERY {
            seen.tell(self.shared.spec.function, self.shared.conditions.labels(), context);
        }
        Ok(self.report.table(&self.shared, made, &seen)?.project(&self.projection)?)
    }
}

/// One reader's state.
struct Reader<'a, R: Report> {
    shared: &'a Shared,
    masks: Masks<'a>,
    units: Units<'a>,
    sink: R::Sink,
    /// Texts of the values of hold and breakdown that are computed.
    values: Names,
    /// Codes per row of the block: of hold, of breakdown.
    codes: [Vec<u32>; 2],
    rows: Vec<usize>,
}

impl<R: Report> Reader<'_, R> {
    fn run(
        shared: &Shared,
        sink: R::Sink,
        wanted: Wanted,
        mut runs: PersonRuns,
        context: &TaskContext,
        stop: &Stop,
    ) -> Result<(R::Part, Seen)> {
        let memory = MemoryConsumer::new("FunnelExec").register(context.memory_pool());
        let mut reader = Reader::<R> {
            shared,
            masks: Masks::new(&shared.conditions),
            units: Units::new(&shared.spec, shared.watermark, wanted, R::EVERY),
            sink,
            values: Names::default(),
            codes: [Vec::new(), Vec::new()],
            rows: Vec::new(),
        };
        while !stop.is_raised() && runs.next_block()? {
            let (block, names) = runs.block_and_names();
            reader.masks.learn(names)?;
            reader.compare(block)?;
            reader.block(block, names);
            if let Some(person) = reader.units.undecided() {
                return exec_err!(
                    "{}: too many events of '{person}' that may stand in any order meet several steps – shorten 'grace', \
                     or write conditions that exclude each other",
                    shared.spec.function
                );
            }
            memory.try_resize(runs.size() + reader.values.size() + reader.sink.size())?;
        }
        let seen = Seen::new(shared.conditions.labels(), reader.units.met(), runs.names());
        let texts = match shared.breakdown {
            Some(Value::Name(_)) => runs.names(),
            _ => &reader.values,
        };
        Ok((reader.sink.finish(texts), seen))
    }

    /// The codes of the values of the block's events, computed only for those that meet a condition.
    fn compare(&mut self, block: &Block) -> Result<()> {
        let Self { shared, codes, values, masks, .. } = self;
        let mut rows = Vec::new();
        for (codes, value) in codes.iter_mut().zip([&shared.hold, &shared.breakdown]) {
            codes.clear();
            match value {
                None => {}
                Some(Value::Name(names)) => codes.extend_from_slice(names.read(block)),
                Some(Value::Computed(value)) => {
                    if rows.is_empty() {
                        let all = 0..block.ts().len();
                        masks.each(block, all, false, |row, _| rows.push(u32::try_from(row).unwrap_or(u32::MAX)));
                    }
                    codes.resize(block.ts().len(), NONE);
                    for (&row, code) in rows.iter().zip(value.codes(block, &rows, values)?) {
                        codes[row as usize] = code;
                    }
                }
            }
        }
        Ok(())
    }

    fn block(&mut self, block: &Block, names: &Names) {
        let cut = self.shared.sessions.cut(block, names);
        for person in block.people() {
            let home = Home { block, names, person: person.id, session: None };
            if self.shared.spec.whose == Whose::Session {
                self.sessions(block, names, &person, &cut);
            } else if self.shared.sessions.matter() {
                self.in_range(&home, person.rows, &cut);
            } else {
                self.unit(&home, person.rows, true);
            }
        }
    }

    /// A person's way through the sessions that are taken.
    fn in_range(&mut self, home: &Home<'_>, rows: Range<usize>, cut: &Cut) {
        let mut kept = std::mem::take(&mut self.rows);
        self.shared.sessions.rows(home.block, rows, cut, &mut kept);
        self.unit(home, kept.iter().copied(), true);
        self.rows = kept;
    }

    fn sessions(&mut self, block: &Block, names: &Names, person: &Person<'_>, cut: &Cut) {
        let shared = self.shared;
        shared.sessions.each(block, person.rows.clone(), cut, |rows, ended| {
            let (first, last) = (block.ts()[rows.start], block.ts()[rows.end - 1]);
            let lives = ended == EndedBy::Nothing && shared.watermark.saturating_sub(last) <= shared.gap;
            self.unit(&Home { block, names, person: person.id, session: Some(first) }, rows, lives);
        });
    }

    /// Takes in the unit of these rows; `lives` says that more events of it may come.
    fn unit(&mut self, home: &Home<'_>, rows: impl Iterator<Item = usize>, lives: bool) {
        let Self { shared, masks, units, sink, codes, .. } = self;
        let events = units.events();
        let every = shared.spec.rules.needs_unmatched();
        masks.each(home.block, rows, every, |row, mask| events.push(home.block.ts()[row], mask, row, codes));
        units.each(home, lives, |unit| sink.unit(unit));
    }
}
