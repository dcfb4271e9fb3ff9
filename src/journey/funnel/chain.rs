//! The reported chain: the longest, then the one with the earliest entry, then each next step as early as possible.
//!
//! Two passes over the events. Backwards, per level, the earliest end that is still ahead: that tells which entries can
//! come through, and the first of them is taken. Forwards from there, every step at its first chance. A step taken
//! earlier never costs a later one, because the rules that are followed here do not look between the steps.

use super::rules::{Entry, Mode, Rules, Ties};
use super::ties::{Group, condense};

/// Finds chains of one person after the other, reusing its room.
#[derive(Debug)]
pub struct Chains {
    rules: Rules,
    /// `ends[a]`: with `a` steps done, the earliest time stamp ahead at which the last step can be filled.
    ends: [i64; 64],
    scratch: Vec<u64>,
}

impl Chains {
    /// A finder for these rules.
    ///
    /// # Errors
    /// A rule that looks between the steps (`strict_order`, `strict_deduplication`) or has no order (`unordered`).
    pub fn new(rules: Rules) -> Result<Self, String> {
        if rules.modes.strict_between() || rules.modes.has(Mode::Unordered) {
            return Err("the time stamps of a chain are not known in this mode".to_owned());
        }
        Ok(Self { rules, ends: [i64::MAX; 64], scratch: Vec::new() })
    }

    /// Appends the time stamps of the reported chain of `length` steps to `out`; `length` is what
    /// [`super::Levels::run`] said of the same events. Nothing is appended for a length of 0.
    pub fn find(&mut self, ts: &[i64], masks: &[u64], length: usize, out: &mut Vec<i64>) {
        if let Some(start) = self.entry(ts, masks, length) {
            self.follow(ts, masks, start, length, out);
        }
    }

    /// The position of the first event at the earliest entry that comes through.
    fn entry(&mut self, ts: &[i64], masks: &[u64], length: usize) -> Option<usize> {
        if length == 0 {
            return None;
        }
        if self.rules.entry == Entry::First {
            return masks.iter().position(|mask| mask & 1 != 0).map(|at| self.group_start(ts, at));
        }
        self.ends[..length].fill(i64::MAX);
        let (mut found, mut end) = (None, masks.len());
        while end > 0 {
            let start = self.group_start(ts, end - 1);
            let t = ts[start];
            if let Some(done) = self.look_back(t, &masks[start..end], length)
                && done.saturating_sub(t) <= self.rules.window
            {
                found = Some(start);
            }
            end = start;
        }
        found
    }

    /// Takes a tie into `ends`; the end of the best chain that enters here, if one can.
    fn look_back(&mut self, t: i64, masks: &[u64], length: usize) -> Option<i64> {
        let rules = &self.rules;
        let group = Group::new(condense(masks, rules.steps, &mut self.scratch), rules.modes);
        let mut entered = None;
        for from in 0..length {
            let to = group.reach(from, length);
            if to == from {
                continue;
            }
            let end = if to == length { t } else { self.ends[to] };
            self.ends[from] = self.ends[from].min(end);
            if from == 0 && end != i64::MAX {
                entered = Some(end);
            }
        }
        entered
    }

    fn follow(&mut self, ts: &[i64], masks: &[u64], start: usize, length: usize, out: &mut Vec<i64>) {
        let (mut level, mut at) = (0, start);
        while level < length && at < ts.len() {
            let end = self.group_end(ts, at);
            let group = Group::new(condense(&masks[at..end], self.rules.steps, &mut self.scratch), self.rules.modes);
            let to = group.reach(level, length);
            out.extend(std::iter::repeat_n(ts[at], to - level));
            (level, at) = (to, end);
        }
    }

    fn group_start(&self, ts: &[i64], at: usize) -> usize {
        match self.rules.ties {
            Ties::Order => at,
            Ties::Any => at - ts[..at].iter().rev().take_while(|&&t| t == ts[at]).count(),
        }
    }

    fn group_end(&self, ts: &[i64], at: usize) -> usize {
        match self.rules.ties {
            Ties::Order => at + 1,
            Ties::Any => at + ts[at..].iter().take_while(|&&t| t == ts[at]).count(),
        }
    }
}
