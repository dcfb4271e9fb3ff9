//! The pass of a funnel: one reader per range of people, each with its own tally.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryConsumer;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::tally::{DURATIONS, Tally};
use super::{Since, Spec, Unit};
use crate::engine::functions::conditions::{Conditions, Masks};
use crate::engine::functions::leaf::{Answer, Stop, joined};
use crate::engine::functions::sessions::Sessions;
use crate::engine::scan::{Block, Names, PersonRuns, ScanPlan};
use crate::engine::settings::Settings;
use crate::error::closest;
use crate::journey::EndedBy;
use crate::journey::funnel::{Chains, Levels};
use crate::time::duration_text;

/// A funnel planned over one snapshot.
#[derive(Debug, Clone)]
pub(super) struct Pass {
    shared: Arc<Shared>,
    readers: usize,
    projection: Vec<usize>,
}

/// What all readers of a pass look at.
#[derive(Debug)]
pub(super) struct Shared {
    spec: Arc<Spec>,
    conditions: Conditions,
    plan: ScanPlan,
    sessions: Sessions,
    /// Idle time after which a session is over, µs.
    gap: i64,
    /// When open windows are judged, µs.
    watermark: i64,
    /// Whether somebody asked for the durations.
    timed: bool,
}

impl Shared {
    /// A pass that answers the conditions; sessions are added to it where they are needed.
    pub(super) fn new(
        spec: Arc<Spec>,
        conditions: Conditions,
        plan: ScanPlan,
        settings: Settings,
        watermark: i64,
    ) -> Self {
        let gap = settings.rules.gap;
        let (sessions, plan) = Sessions::new(settings, spec.unit == Unit::Session, plan);
        Self { spec, conditions, plan, sessions, gap, watermark, timed: true }
    }
}

impl Pass {
    /// The answer in these columns, by at most so many readers.
    pub(super) fn new(mut shared: Shared, readers: usize, projection: Vec<usize>) -> Self {
        shared.timed = projection.iter().any(|column| DURATIONS.contains(column));
        Self { shared: Arc::new(shared), readers, projection }
    }
}

impl Answer for Pass {
    fn name(&self) -> &'static str {
        "FunnelExec"
    }

    fn shown(&self) -> String {
        let rules = &self.shared.spec.rules;
        let window = if rules.window() == i64::MAX { "none".to_owned() } else { duration_text(rules.window()) };
        let unit = if self.shared.spec.unit == Unit::User { "user" } else { "session" };
        format!("steps=[{}], window={window}, unit={unit}", self.shared.spec.names.join(", "))
    }

    fn rows(&self, context: Arc<TaskContext>, stop: Stop) -> BoxFuture<'static, Result<RecordBatch>> {
        let Self { shared, readers, projection } = self.clone();
        async move {
            let ranges = {
                let shared = Arc::clone(&shared);
                joined(SpawnedTask::spawn_blocking(move || shared.plan.clone().open(readers))).await?
            };
            let readers: Vec<_> = (0..ranges.len())
                .map(|at| {
                    let (shared, ranges) = (Arc::clone(&shared), Arc::clone(&ranges));
                    let (context, stop) = (Arc::clone(&context), stop.clone());
                    SpawnedTask::spawn_blocking(move || Reader::run(&shared, ranges.runs(at)?, &context, &stop))
                })
                .collect();
            let mut tally = Tally::new(shared.spec.names.len());
            for reader in readers {
                tally.merge(joined(reader).await?);
            }
            Ok(tally.table(&shared.spec.names)?.project(&projection)?)
        }
        .boxed()
    }
}

/// One reader's state.
struct Reader<'a> {
    shared: &'a Shared,
    masks: Masks<'a>,
    levels: Levels,
    chains: Option<Chains>,
    tally: Tally,
    /// The events of a unit that matter, and the positions of the chain found in them.
    ts: Vec<i64>,
    bits: Vec<u64>,
    chain: Vec<usize>,
    rows: Vec<usize>,
}

impl<'a> Reader<'a> {
    fn run(shared: &'a Shared, mut runs: PersonRuns, context: &TaskContext, stop: &Stop) -> Result<Tally> {
        let memory = MemoryConsumer::new("FunnelExec").register(context.memory_pool());
        let rules = &shared.spec.rules;
        let mut reader = Self {
            shared,
            masks: Masks::new(&shared.conditions),
            levels: Levels::new(rules.clone()),
            chains: shared.timed.then(|| Chains::new(rules.clone())),
            tally: Tally::new(rules.steps()),
            ts: Vec::new(),
            bits: Vec::new(),
            chain: Vec::new(),
            rows: Vec::new(),
        };
        while !stop.is_raised() && runs.next_block()? {
            let (block, names) = runs.block_and_names();
            reader.masks.learn(names)?;
            reader.block(block, names);
            memory.try_resize(runs.size() + reader.tally.size())?;
        }
        reader.suggest(runs.names());
        Ok(reader.tally)
    }

    fn block(&mut self, block: &Block, names: &Names) {
        let ends = self.shared.sessions.ends(block, names);
        for person in block.people() {
            match self.shared.spec.unit {
                Unit::User if !self.shared.sessions.matter() => {
                    self.gather(block, person.rows);
                    self.unit(true);
                }
                Unit::User => self.user_in_range(block, person.rows, &ends),
                Unit::Session => self.sessions(block, person.rows, &ends),
            }
        }
    }

    /// A person's way through the sessions of the range.
    fn user_in_range(&mut self, block: &Block, rows: Range<usize>, ends: &[bool]) {
        let mut kept = std::mem::take(&mut self.rows);
        self.shared.sessions.rows(block, rows, ends, &mut kept);
        self.gather(block, kept.iter().copied());
        self.unit(true);
        self.rows = kept;
    }

    fn sessions(&mut self, block: &Block, rows: Range<usize>, ends: &[bool]) {
        let shared = self.shared;
        shared.sessions.each(block, rows, ends, |rows, ended| {
            let last = block.ts()[rows.end - 1];
            self.gather(block, rows);
            self.unit(ended == EndedBy::Nothing && shared.watermark.saturating_sub(last) <= shared.gap);
        });
    }

    /// Takes the events of a unit that matter.
    fn gather(&mut self, block: &Block, rows: impl Iterator<Item = usize>) {
        self.ts.clear();
        self.bits.clear();
        let (times, ts, bits) = (block.ts(), &mut self.ts, &mut self.bits);
        self.masks.each(block, rows, false, |row, mask| {
            ts.push(times[row]);
            bits.push(mask);
        });
    }

    /// Counts the gathered unit; `lives` says that more events of it may come.
    fn unit(&mut self, lives: bool) {
        if self.ts.is_empty() {
            return;
        }
        self.tally.met = self.bits.iter().fold(self.tally.met, |met, bits| met | bits);
        let level = self.levels.run(&self.ts, &self.bits);
        self.tally.reached[level] += 1;
        let (rules, watermark) = (&self.shared.spec.rules, self.shared.watermark);
        let open = |entry: i64| watermark.saturating_sub(entry) <= rules.window();
        if lives && level < rules.steps() && self.levels.latest_entry().is_some_and(open) {
            self.tally.open[level] += 1;
        }
        if let Some(chains) = &mut self.chains
            && level > 1
        {
            self.chain.clear();
            chains.find(&self.ts, &self.bits, level, &mut self.chain);
            for (at, between) in self.tally.between.iter_mut().enumerate().take(level - 1) {
                let since = if self.shared.spec.since == Since::Entry { 0 } else { at };
                between.push(self.ts[self.chain[at + 1]] - self.ts[self.chain[since]]);
            }
        }
    }

    /// For labels that no event had: the name that was probably meant.
    fn suggest(&mut self, names: &Names) {
        let all = u32::try_from(names.len()).unwrap_or(u32::MAX);
        for (bit, label) in self.shared.conditions.labels() {
            if self.tally.met >> bit & 1 == 0 && all <= 100_000 {
                let known = (1..all).map(|code| names.text(code));
                self.tally.similar[bit as usize] = closest(label, known).map(str::to_owned);
            }
        }
    }
}
