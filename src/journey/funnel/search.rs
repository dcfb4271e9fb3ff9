//! The longest chain under every option of `funnel`: events in their given order, an event fills one step.
//!
//! [`super::Levels`] needs one number per level, because only the total window tells attempts apart. With a window for
//! a single step the time of the last matched event counts too, so a level keeps a front: the attempts that are not
//! beaten by one with both a later last event and a later entry. Backwards it is the same with time turned round: the
//! latest next event against the earliest end. A front gains one attempt per event at most, so all of it is
//! `O(events × steps)`.
//!
//! ```text
//! forwards   front[a] = { (time of event a, entry) }       ─► how far, what is still alive
//! backwards  front[a] = { (time of event a, earliest end) } ─► the earliest entry that comes through, then what leads there
//! ```

use super::rules::{Entry, Mode, Rules};
use crate::journey::front::Front;

/// Finds the longest chain of one unit after the other, reusing its room.
#[derive(Debug)]
pub struct Search {
    rules: Rules,
    /// By level, from 1.
    fronts: Vec<Front>,
    /// The latest entry of the run.
    entry: Option<i64>,
    reached: usize,
    removed: bool,
    /// How much later the next event of a chain is at least.
    least: i64,
    /// Per event: the steps that it can fill on the way to the end in time.
    leads: Vec<u64>,
}

impl Search {
    /// A finder for these rules. Ties are taken in the given order, an event fills one step, whatever the rules say.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        let fronts = vec![Front::default(); rules.steps + 2];
        let least = i64::from(rules.modes.has(Mode::StrictIncrease));
        Self { rules, fronts, entry: None, reached: 0, removed: false, least, leads: Vec::new() }
    }

    /// The length of the longest chain, `0..=steps`; see [`super::Levels::run`] for the arguments. Bits beyond the
    /// steps may mark excluded events.
    pub fn run(&mut self, ts: &[i64], masks: &[u64]) -> usize {
        self.forwards(ts, masks, self.rules.entry == Entry::First, false);
        self.reached
    }

    /// Follows the first entry alone: the events from it to the last that could still belong to the attempt. `None` if
    /// nobody enters.
    pub fn attempt(&mut self, ts: &[i64], masks: &[u64]) -> Option<std::ops::Range<usize>> {
        let start = self.first_entry(masks)?;
        let length = self.forwards(&ts[start..], &masks[start..], true, true);
        Some(start..start + length)
    }

    /// After an attempt: the steps that it reached.
    #[must_use]
    pub fn reached(&self) -> usize {
        self.reached
    }

    /// After a run: whether an excluded event came inside the window of an entry before the unit was through.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        self.removed
    }

    /// After a run that did not reach the last step: whether an attempt could still go on at `now`.
    pub fn is_open(&mut self, now: i64) -> bool {
        (1..self.rules.steps).any(|level| self.alive(level, now))
    }

    /// Appends the positions of the events of the reported chain of `length` steps to `out`: of the longest chains the
    /// one with the earliest entry, then each next step as early as possible. `first`: only the first entry counts.
    pub fn chain(&mut self, ts: &[i64], masks: &[u64], length: usize, first: bool, out: &mut Vec<usize>) {
        let mut start = if first { self.first_entry(masks) } else { None };
        if length == 0 {
            return;
        }
        if start.is_none() {
            let window = self.rules.window;
            self.backwards(ts, masks, length, |at, step, end| {
                if step == 1 && end.saturating_sub(ts[at]) <= window {
                    start = Some(at);
                }
            });
        }
        let Some(start) = start else { return };
        let deadline = ts[start].saturating_add(self.rules.window);
        let end = ts.partition_point(|&t| t <= deadline);
        let mut leads = std::mem::take(&mut self.leads);
        leads.clear();
        leads.resize(end - start, 0);
        self.backwards(&ts[start..end], &masks[start..end], length, |at, step, _| leads[at] |= 1 << (step - 1));
        // What leads to the end at all is never past what an attempt can reach: so the first is taken.
        out.push(start);
        let mut last = start;
        for step in 1..length {
            let next =
                (last + 1..end).find(|&at| leads[at - start] >> step & 1 == 1 && ts[at] - ts[last] >= self.least);
            let Some(next) = next else { break };
            out.push(next);
            last = next;
        }
        self.leads = leads;
    }

    fn first_entry(&self, masks: &[u64]) -> Option<usize> {
        masks.iter().position(|mask| mask & 1 == 1 && mask & self.rules.exclude == 0)
    }

    fn reset(&mut self) {
        self.fronts.iter_mut().for_each(Front::clear);
        (self.entry, self.reached, self.removed) = (None, 0, false);
    }

    /// Whether an attempt on this level can still go on at `now`.
    fn alive(&mut self, level: usize, now: i64) -> bool {
        let (window, within) = (self.rules.window, self.rules.step_window(level));
        let best = self.fronts[level].youngest(now, self.least, within);
        best.is_some_and(|entry| now.saturating_sub(entry) <= window)
    }

    /// Walks the events until the last step is reached, or with `one` until the attempt is over; how many belong to it.
    fn forwards(&mut self, ts: &[i64], masks: &[u64], first: bool, one: bool) -> usize {
        self.reset();
        let steps = self.rules.steps;
        for (at, (&t, &mask)) in ts.iter().zip(masks).enumerate() {
            if mask & self.rules.exclude != 0 {
                self.removed |= self.entry.is_some_and(|entry| t.saturating_sub(entry) <= self.rules.window);
                self.fronts.iter_mut().for_each(Front::clear);
            } else {
                for step in (1..=steps).rev() {
                    self.step_on(t, mask, step, first);
                }
            }
            if self.reached == steps {
                return at + 1;
            }
            if one && self.entry.is_some() && !(1..steps).any(|level| self.alive(level, t)) {
                return at.max(1);
            }
        }
        ts.len()
    }

    fn step_on(&mut self, t: i64, mask: u64, step: usize, first: bool) {
        let fills = mask >> (step - 1) & 1 == 1;
        let entry = match step {
            _ if !fills => None,
            1 => (!first || self.entry.is_none()).then_some(t),
            _ => self.fronts[step - 1].best(t, self.least, self.rules.step_window(step - 1)),
        };
        if self.rules.breaks(step, mask) {
            self.fronts[step].clear();
        }
        if let Some(entry) = entry.filter(|&entry| t.saturating_sub(entry) <= self.rules.window) {
            self.reached = self.reached.max(step);
            self.fronts[step].push(t, entry, self.least);
            if step == 1 {
                self.entry = Some(t);
            }
        }
    }

    /// Walks the events from the last to the first and tells for each step that one can fill the earliest time stamp at
    /// which the last step can then be filled.
    fn backwards(&mut self, ts: &[i64], masks: &[u64], length: usize, mut tell: impl FnMut(usize, usize, i64)) {
        self.reset();
        for (at, (&t, &mask)) in ts.iter().zip(masks).enumerate().rev() {
            if mask & self.rules.exclude != 0 {
                self.fronts.iter_mut().for_each(Front::clear);
                continue;
            }
            for step in 1..=length {
                let fills = mask >> (step - 1) & 1 == 1;
                let end = match step {
                    _ if !fills => None,
                    _ if step == length => Some(t.saturating_neg()),
                    _ => self.fronts[step + 1].best(t.saturating_neg(), self.least, self.rules.step_window(step)),
                };
                if self.rules.breaks(step - 1, mask) {
                    self.fronts[step].clear();
                }
                if let Some(end) = end {
                    tell(at, step, end.saturating_neg());
                    self.fronts[step].push(t.saturating_neg(), end, self.least);
                }
            }
        }
    }
}
