//! The pass: each reader cuts its sessions into pieces and counts them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::error::Result;
use datafusion::execution::TaskContext;

use super::tally::{Counted, Tally, table};
use crate::engine::functions::conditions::{Conditions, Masks};
use crate::engine::functions::seen::Seen;
use crate::engine::functions::table::InPass;
use crate::engine::functions::walked::walk;
use crate::engine::relations::edges::{EXIT, START};
use crate::engine::relations::tape::Facts;
use crate::engine::scan::{Block, NONE, Names, PersonRuns, ScanPlan};
use crate::engine::stop::Stop;
use crate::journey::Walk;
use crate::journey::path_match::Pattern;
use crate::journey::pieces::Cut;

/// What is asked.
#[derive(Debug)]
pub(super) struct Asked {
    pub function: &'static str,
    pub cut: Cut,
    pub every: bool,
    pub conditions: Conditions,
}

impl Asked {
    /// The labels asked for, each with a number.
    fn labels(&self) -> impl Iterator<Item = (u32, &str)> {
        let pattern = if let Cut::Pattern(pattern) = &self.cut { Some(pattern) } else { None };
        let names = pattern.into_iter().flat_map(|pattern| (0..).zip(pattern.names().map(|(name, _)| name)));
        names.chain(self.conditions.labels())
    }

    /// The numbers of the labels that were met, of the bits of steps.
    fn bits(&self, met: u64) -> u64 {
        let Cut::Pattern(pattern) = &self.cut else { return met };
        (0..).zip(pattern.names()).fold(0, |bits, (no, (_, positions))| bits | u64::from(positions & met != 0) << no)
    }
}

/// A call planned over one snapshot.
#[derive(Debug, Clone)]
pub(super) struct Pass {
    pub asked: Arc<Asked>,
    pub plan: ScanPlan,
    pub facts: Arc<Facts>,
    pub readers: usize,
    pub projection: Vec<usize>,
    /// Whether durations are asked for.
    pub timed: bool,
}

impl InPass for Pass {
    type Part = (Counted, Seen);

    fn name(&self) -> &'static str {
        "PathsExec"
    }

    fn shown(&self) -> Option<String> {
        let Asked { function, every, .. } = *self.asked;
        Some(format!("function={function}, every={every}"))
    }

    fn pass(&self) -> (&ScanPlan, usize) {
        (&self.plan, self.readers)
    }

    fn read(&self, runs: PersonRuns, context: &TaskContext, stop: &Stop) -> Result<Self::Part> {
        let mut look = Look::new(&self.asked);
        let mut tally = Tally::new(self.timed);
        let names = walk("PathsExec", runs, &self.facts, (context, stop), |block, names, walk| {
            let (start, exit) = (names.code(START), names.code(EXIT));
            let masks = look.masks(block, names, walk)?;
            let mut person = None;
            for session in &walk.sessions {
                let steps = &walk.steps[session.step_range()];
                tally.session(person.replace(session.person) != Some(session.person));
                self.asked.cut.each(&masks[session.step_range()], self.asked.every, |piece| {
                    let rows = &steps[piece.steps.clone()];
                    let labels = rows.iter().map(|&row| block.labels()[row as usize]);
                    let ends = (piece.starts.then_some(start), piece.exits.then_some(exit));
                    let at = |row: Option<&u32>| row.map_or(0, |&row| block.ts()[row as usize]);
                    tally.piece(ends, labels, at(rows.last()) - at(rows.first()));
                });
            }
            Ok(tally.size())
        })?;
        let seen = Seen::new(self.asked.labels(), self.asked.bits(look.met), &names);
        Ok(((names, tally), seen))
    }

    fn rows(&self, parts: Vec<Self::Part>, context: &TaskContext, _: &Stop) -> Result<RecordBatch> {
        let (mut counted, mut seen) = (Vec::with_capacity(parts.len()), Seen::default());
        for (part, met) in parts {
            counted.push(part);
            seen.merge(met);
        }
        seen.tell(self.asked.function, self.asked.labels(), context);
        Ok(table(counted)?.project(&self.projection)?)
    }
}

/// What the steps of one reader meet.
struct Look<'a> {
    masks: Masks<'a>,
    pattern: Option<&'a Pattern>,
    /// Whether nothing is asked of any step.
    plain: bool,
    /// By label code, the positions of the pattern.
    labels: Vec<u64>,
    found: Vec<u64>,
    /// All bits of all steps so far.
    met: u64,
}

impl<'a> Look<'a> {
    fn new(asked: &'a Asked) -> Self {
        let pattern = if let Cut::Pattern(pattern) = &asked.cut { Some(pattern) } else { None };
        let plain = matches!(asked.cut, Cut::Runs(_));
        Self { masks: Masks::new(&asked.conditions), pattern, plain, labels: Vec::new(), found: Vec::new(), met: 0 }
    }

    /// The bits of every step of a block.
    fn masks(&mut self, block: &Block, names: &mut Names, walk: &Walk) -> Result<&[u64]> {
        let Self { masks, pattern, labels, found, met, .. } = self;
        found.clear();
        if let Some(pattern) = pattern {
            let known = u32::try_from(labels.len()).unwrap_or(u32::MAX);
            let all = u32::try_from(names.len()).unwrap_or(u32::MAX);
            labels.extend((known..all).map(|code| pattern.mask((code != NONE).then(|| names.text(code)))));
            found.extend(walk.steps.iter().map(|&row| labels[block.labels()[row as usize] as usize]));
        } else if self.plain {
            found.resize(walk.steps.len(), 0);
        } else {
            masks.learn(names)?;
            masks.each(block, walk.steps.iter().map(|&row| row as usize), true, |_, mask| found.push(mask));
        }
        *met = found.iter().fold(*met, |met, mask| met | mask);
        Ok(found)
    }
}
