//! Which algorithm finds the chains of a funnel, and how they are asked.

use std::ops::Range;

use super::spec::{Spec, Whose};
use crate::journey::funnel::{AnyOrder, Chains, Entry, Filled, InParts, Levels, Mode, Rules, Search, Ties, Undecided};

/// What was found of a unit.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Found {
    /// Length of the longest chain.
    pub level: usize,
    /// Whether it may still come further.
    pub open: bool,
    /// Whether an excluded event came in its way.
    pub removed: bool,
}

/// Which algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The fast one: only the window limits a chain, or nothing but the order of ties is free.
    Levels,
    /// Every option, in file order.
    Search,
    /// The same where the order is free.
    AnyOrder,
    /// Steps in any order, between excluded events or by attempts.
    InParts,
}

/// The algorithms.
#[derive(Debug)]
pub(super) struct Finder {
    way: Way,
    rules: Rules,
    /// Whether the chain of some unit could not be told.
    undecided: bool,
    first: bool,
    /// Whether the chain itself is wanted.
    chained: bool,
    window: i64,
    steps: usize,
    levels: Levels,
    chains: Chains,
    search: Search,
    parts: InParts,
    /// The chain found last, as positions of the events.
    chain: Vec<usize>,
}

impl Finder {
    /// Of the chains themselves where `chained` wants them.
    pub(super) fn new(spec: &Spec, chained: bool) -> Self {
        let rules = &spec.rules;
        let parted = rules.excluded() != 0 || spec.whose == Whose::Attempt;
        let way = match spec.ties {
            _ if rules.modes().has(Mode::Unordered) && parted => Way::InParts,
            _ if spec.whose == Whose::Attempt => Way::Search,
            Ties::Any if !rules.is_of_levels() => Way::AnyOrder,
            Ties::Order if !rules.is_plain() => Way::Search,
            _ => Way::Levels,
        };
        Self {
            way,
            rules: rules.clone(),
            undecided: false,
            first: rules.enters() == Entry::First,
            chained,
            window: rules.window(),
            steps: rules.steps(),
            levels: Levels::new(rules.clone()),
            chains: Chains::new(rules.clone()),
            search: Search::new(rules.clone()),
            parts: InParts::new(rules.clone(), spec.ties),
            chain: Vec::new(),
        }
    }

    /// The chain found last, as positions of the events.
    pub(super) fn chain(&self) -> &[usize] {
        &self.chain
    }

    /// Whether the chain of some unit could not be told.
    pub(super) fn is_undecided(&self) -> bool {
        self.undecided
    }

    /// The unit of these events; `lives` says that more of it may come.
    pub(super) fn find(&mut self, ts: &[i64], masks: &[u64], watermark: i64, lives: bool) -> Found {
        self.chain.clear();
        match self.way {
            Way::Levels => self.levels(ts, masks, watermark, lives),
            Way::Search => {
                let level = self.search.run(ts, masks);
                let found = self.found(level, watermark, lives);
                if self.chained {
                    self.search.chain(ts, masks, level, self.first, &mut self.chain);
                }
                found
            }
            Way::AnyOrder => {
                let found = self.any_order(ts, masks, watermark, lives);
                self.undecided |= found.is_err();
                found.unwrap_or_default()
            }
            Way::InParts => {
                let found = self.parts.run(ts, masks);
                self.filled(ts, masks, &found, watermark, lives)
            }
        }
    }

    fn levels(&mut self, ts: &[i64], masks: &[u64], watermark: i64, lives: bool) -> Found {
        let level = self.levels.run(ts, masks);
        let open = |entry: i64| watermark.saturating_sub(entry) <= self.window;
        let open = lives && level < self.steps && self.levels.latest_entry().is_some_and(open);
        if self.chained {
            self.chains.find(ts, masks, level, &mut self.chain);
        }
        Found { level, open, removed: false }
    }

    fn any_order(&mut self, ts: &[i64], masks: &[u64], watermark: i64, lives: bool) -> Result<Found, Undecided> {
        let mut unit = AnyOrder::new(&self.rules, ts, masks)?;
        let (level, removed) = (unit.level(), unit.is_removed());
        let open = lives && level < self.steps && unit.is_open(watermark)?;
        if self.chained {
            unit.chain(&mut self.chain)?;
        }
        Ok(Found { level, open, removed })
    }

    fn filled(&mut self, ts: &[i64], masks: &[u64], found: &Filled, watermark: i64, lives: bool) -> Found {
        let open = found.latest.is_some_and(|entry| watermark.saturating_sub(entry) <= self.window);
        if self.chained {
            self.parts.chain(ts, masks, found, &mut self.chain);
        }
        Found { level: found.level, open: open && lives && found.level < self.steps, removed: found.removed }
    }

    fn found(&mut self, level: usize, watermark: i64, lives: bool) -> Found {
        let open = lives && level < self.steps && self.search.is_open(watermark);
        Found { level, open, removed: self.search.is_removed() }
    }

    /// The next attempt from event `from` on, with its events.
    pub(super) fn attempt(
        &mut self,
        ts: &[i64],
        masks: &[u64],
        from: usize,
        watermark: i64,
        lives: bool,
    ) -> Option<(Range<usize>, Found)> {
        let (ts, masks) = (&ts[from..], &masks[from..]);
        self.chain.clear();
        if self.way == Way::InParts {
            let attempt = self.parts.attempt(ts, masks)?;
            let found = self.filled(ts, masks, &attempt, watermark, lives);
            self.chain.iter_mut().for_each(|at| *at += from);
            return Some((from + attempt.part.start..from + attempt.part.end, found));
        }
        let span = self.search.attempt(ts, masks)?;
        let level = self.search.reached();
        let found = self.found(level, watermark, lives);
        if self.chained {
            self.search.chain(&ts[span.clone()], &masks[span.clone()], level, true, &mut self.chain);
            self.chain.iter_mut().for_each(|at| *at += from + span.start);
        }
        Some((from + span.start..from + span.end, found))
    }
}
