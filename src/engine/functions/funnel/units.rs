//! Events become units: by person, session or attempt, by the value that is held or that parts them.

use std::cmp::Reverse;

use super::finder::{Finder, Found};
use super::pass::Wanted;
use super::spec::{Attribution, Spec, Whose};
use crate::engine::scan::{Block, NONE, Names};
use crate::journey::funnel::Ties;

/// Where the events of a unit come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Home<'a> {
    pub block: &'a Block,
    pub names: &'a Names,
    pub person: &'a str,
    /// Start of the session, where sessions are the units.
    pub session: Option<i64>,
}

/// Events that matter, side by side: times, conditions met, rows of the block, values held and values that part.
#[derive(Debug, Default, Clone)]
pub(super) struct Events {
    pub ts: Vec<i64>,
    pub masks: Vec<u64>,
    pub rows: Vec<usize>,
    pub held: Vec<u32>,
    pub parting: Vec<u32>,
}

impl Events {
    /// Adds an event; `codes` are those of hold and breakdown per row, or empty.
    pub(super) fn push(&mut self, ts: i64, mask: u64, row: usize, codes: &[Vec<u32>; 2]) {
        self.ts.push(ts);
        self.masks.push(mask);
        self.rows.push(row);
        self.held.extend(codes[0].get(row));
        self.parting.extend(codes[1].get(row));
    }

    fn clear(&mut self) {
        self.ts.clear();
        self.masks.clear();
        self.rows.clear();
        self.held.clear();
        self.parting.clear();
    }

    /// The events at these positions.
    fn pick(&self, positions: &[usize]) -> Self {
        let codes = |codes: &[u32]| positions.iter().filter_map(|&at| codes.get(at).copied()).collect();
        Self {
            ts: positions.iter().map(|&at| self.ts[at]).collect(),
            masks: positions.iter().map(|&at| self.masks[at]).collect(),
            rows: positions.iter().map(|&at| self.rows[at]).collect(),
            held: codes(&self.held),
            parting: codes(&self.parting),
        }
    }

    /// The events of each value that meet a step, values in order of their code; behind each of them the first event
    /// that is excluded and the first that meets nothing (further ones of a kind change nothing in file order; where
    /// times decide, `all` keeps them).
    fn split(&self, codes: &[u32], steps: u64, all_others: bool) -> Vec<(u32, Self)> {
        let all = |keep: &dyn Fn(usize) -> bool| (0..self.ts.len()).filter(|&at| keep(at)).collect::<Vec<usize>>();
        let mut of_steps = all(&|at| self.masks[at] & steps != 0 && codes[at] != NONE);
        let others = [all(&|at| self.masks[at] & !steps != 0), all(&|at| self.masks[at] == 0)];
        of_steps.sort_by_key(|&at| codes[at]);
        let parts = of_steps.chunk_by(|&a, &b| codes[a] == codes[b]).map(|part| {
            let mut positions = Vec::with_capacity(part.len());
            for (no, &at) in part.iter().enumerate() {
                positions.push(at);
                let next = part.get(no + 1).copied().unwrap_or(usize::MAX);
                let most = if all_others { usize::MAX } else { 1 };
                let first = |others: &'_ Vec<usize>| {
                    let others = &others[others.partition_point(|&other| other <= at)..];
                    others.iter().copied().take_while(|&other| other < next).take(most).collect::<Vec<_>>()
                };
                let mut between: Vec<usize> = others.iter().flat_map(first).collect();
                between.sort_unstable();
                positions.append(&mut between);
            }
            (codes[part[0]], self.pick(&positions))
        });
        parts.collect()
    }
}

/// What became of a unit.
#[derive(Debug)]
pub(super) struct Unit<'a> {
    pub home: &'a Home<'a>,
    /// Length of the longest chain.
    pub level: usize,
    /// Positions of the chain's events, where somebody wanted them.
    pub chain: &'a [usize],
    pub events: &'a Events,
    /// Which of the events belong to it.
    pub span: std::ops::Range<usize>,
    /// Whether it may still come further.
    pub open: bool,
    /// Whether an excluded event took it out.
    pub removed: bool,
    /// Whether it is left out because its window has not ended.
    pub early: bool,
    /// Code of the value that it is counted under.
    pub value: u32,
}

impl Unit<'_> {
    /// Time of the event at step `at` (from 0) of the chain.
    pub(super) fn at(&self, at: usize) -> i64 {
        self.events.ts[self.chain[at]]
    }

    /// The time from step `from` to step `to`; a step that happened before it, in grace, takes none.
    pub(super) fn took(&self, from: usize, to: usize) -> i64 {
        (self.at(to) - self.at(from)).max(0)
    }

    /// Whether the funnel counts it.
    pub(super) fn counts(&self) -> bool {
        self.level > 0 && !self.removed && !self.early
    }
}

/// Makes units of events, reusing its room.
#[derive(Debug)]
pub(super) struct Units<'a> {
    spec: &'a Spec,
    watermark: i64,
    finder: Finder,
    events: Events,
    met: u64,
    every: bool,
    undecided: Option<String>,
}

impl<'a> Units<'a> {
    /// Judged at the watermark; `every` wants those too that do not count.
    pub(super) fn new(spec: &'a Spec, watermark: i64, wanted: Wanted, every: bool) -> Self {
        let parted = matches!(spec.breakdown, Some((_, Attribution::Step(_))));
        let chained =
            wanted.steps || wanted.totals || wanted.chain || parted || spec.complete_only || spec.hold.is_some();
        let finder = Finder::new(spec, chained || every);
        Self { spec, watermark, finder, events: Events::default(), met: 0, every, undecided: None }
    }

    /// Room for the events of the next unit.
    pub(super) fn events(&mut self) -> &mut Events {
        self.events.clear();
        &mut self.events
    }

    /// The conditions that some event met.
    pub(super) fn met(&self) -> u64 {
        self.met
    }

    /// A person whose chains could not be told, if there is one.
    pub(super) fn undecided(&self) -> Option<&str> {
        self.undecided.as_deref()
    }

    /// Visits the units of the events that were put in; `lives` says that more may come.
    pub(super) fn each(&mut self, home: &Home<'_>, lives: bool, mut take: impl FnMut(&Unit<'_>)) {
        if self.events.ts.is_empty() && !self.every {
            return;
        }
        self.met = self.events.masks.iter().fold(self.met, |met, mask| met | mask);
        let (every, steps) = (self.every, self.spec.rules.conditions());
        let mut take = |unit: &Unit<'_>| {
            if every || unit.counts() {
                take(unit);
            }
        };
        let events = std::mem::take(&mut self.events);
        match self.spec.breakdown {
            Some((_, Attribution::All)) => {
                for (value, part) in events.split(&events.parting, steps, self.spec.ties == Ties::Any) {
                    self.of_value(home, &part, lives, Some(value), &mut take);
                }
            }
            _ => self.of_value(home, &events, lives, None, &mut take),
        }
        if self.finder.is_undecided() {
            self.undecided.get_or_insert_with(|| home.person.to_owned());
        }
        self.events = events;
    }

    fn of_value(
        &mut self,
        home: &Home<'_>,
        events: &Events,
        lives: bool,
        value: Option<u32>,
        take: &mut impl FnMut(&Unit<'_>),
    ) {
        if self.spec.hold.is_none() {
            return self.whole(home, events, lives, value, take);
        }
        let parts = events.split(&events.held, self.spec.rules.conditions(), self.spec.ties == Ties::Any);
        if self.spec.whose == Whose::Attempt {
            for (_, part) in &parts {
                self.whole(home, part, lives, value, take);
            }
            return;
        }
        // Of the values that a unit held, the one that came furthest, then earliest.
        let (mut open, mut removed) = (false, false);
        let mut ranks = Vec::with_capacity(parts.len());
        for (_, part) in &parts {
            self.whole(home, part, lives, value, &mut |unit| {
                (open, removed) = (open || unit.open, removed || unit.removed);
                ranks.push((Reverse(unit.level), unit.chain.first().map(|&at| unit.events.ts[at])));
            });
        }
        let best = (0..parts.len()).min_by_key(|&at| ranks[at]);
        let (nothing, steps) = (events.pick(&[]), self.spec.rules.steps());
        let part = best.map_or(&nothing, |at| &parts[at].1);
        if best.is_some() || self.every {
            self.whole(home, part, lives, value, &mut |unit| {
                let open = open && unit.level < steps;
                take(&Unit { span: unit.span.clone(), open, removed, ..*unit });
            });
        }
    }

    /// The unit of these events, or their attempts.
    fn whole(
        &mut self,
        home: &Home<'_>,
        events: &Events,
        lives: bool,
        value: Option<u32>,
        take: &mut impl FnMut(&Unit<'_>),
    ) {
        if self.spec.whose != Whose::Attempt {
            let found = self.finder.find(&events.ts, &events.masks, self.watermark, lives);
            return self.tell(home, events, 0..events.ts.len(), found, (lives, value), take);
        }
        let mut from = 0;
        while let Some((span, found)) = self.finder.attempt(&events.ts, &events.masks, from, self.watermark, lives) {
            from = span.end;
            self.tell(home, events, span, found, (lives, value), take);
        }
        if from == 0 && self.every {
            let found = self.finder.find(&events.ts, &events.masks, self.watermark, lives);
            self.tell(home, events, 0..events.ts.len(), found, (lives, value), take);
        }
    }

    fn tell(
        &self,
        home: &Home<'_>,
        events: &Events,
        span: std::ops::Range<usize>,
        found: Found,
        (lives, value): (bool, Option<u32>),
        take: &mut impl FnMut(&Unit<'_>),
    ) {
        let (spec, chain) = (self.spec, self.finder.chain());
        let runs = |entry: i64| self.watermark.saturating_sub(entry) <= spec.rules.window();
        let early =
            spec.complete_only && (found.open || (lives && chain.first().is_some_and(|&entry| runs(events.ts[entry]))));
        let mut unit = Unit {
            home,
            level: found.level,
            chain,
            events,
            span,
            open: found.open,
            removed: spec.remove && found.removed,
            early,
            value: value.unwrap_or(NONE),
        };
        if let (None, Some((_, attribution))) = (value, &spec.breakdown) {
            unit.value = touched(&unit, *attribution, spec.rules.conditions());
        }
        take(&unit);
    }
}

/// The value of the event that a unit is counted under.
fn touched(unit: &Unit<'_>, attribution: Attribution, steps: u64) -> u32 {
    let Events { masks, parting, .. } = unit.events;
    let known = |at: &usize| masks[*at] & steps != 0 && parting[*at] != NONE;
    let at = match attribution {
        Attribution::First | Attribution::All => unit.span.clone().find(known),
        Attribution::Last => unit.span.clone().rev().find(known),
        Attribution::Step(step) => unit.chain.get(step - 1).copied(),
    };
    at.map_or(NONE, |at| parting[at])
}
