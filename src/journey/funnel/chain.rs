//! The reported chain: the longest, then the one with the earliest entry, then each next step as early as possible.
//!
//! Two passes over the events. Backwards, per level, the earliest end that is still ahead: that tells which entries can
//! come through, and the first of them is taken. Forwards from there, every step at its first chance. Where the rules
//! look between the steps, a step taken early can cost a later one: then a second look back from the deadline notes for
//! each time stamp the levels that still come through, and only those are taken.

use super::rules::{Entry, Mode, Rules, Ties};
use super::ties::{Group, Matching, condense};
use super::unordered::Window;

/// Finds chains of one person after the other, reusing its room.
#[derive(Debug)]
pub struct Chains {
    rules: Rules,
    /// `ends[a]`: with `a` steps done, the earliest time stamp ahead at which the last step can be filled.
    ends: [i64; 64],
    /// Rules that look between the steps: per event that ends a tie, the levels from which the rest can be filled in
    /// time.
    in_time: Vec<u64>,
    scratch: Vec<u64>,
}

impl Chains {
    /// A finder for these rules.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, ends: [i64::MAX; 64], in_time: Vec::new(), scratch: Vec::new() }
    }

    /// Appends the positions of the events of the reported chain of `length` steps to `out`, in order of their times;
    /// `length` is what [`super::Levels::run`] said of the same events. Nothing is appended for a length of 0. Of
    /// events with equal time stamps whose order does not count, the first that meets a step stands for it.
    pub fn find(&mut self, ts: &[i64], masks: &[u64], length: usize, out: &mut Vec<usize>) {
        if length == 0 {
        } else if self.rules.modes.has(Mode::Unordered) && self.rules.modes.has(Mode::StrictOnce) {
            self.unordered_once(ts, masks, length, out);
        } else if self.rules.modes.has(Mode::Unordered) {
            self.unordered(ts, masks, length, out);
        } else if let Some(start) = self.entry(ts, masks, length) {
            if self.rules.modes.strict_between() {
                self.look_ahead(ts, masks, start, length);
            }
            self.follow(ts, masks, start, length, out);
        }
    }

    /// The position of the first event at the earliest entry that comes through.
    fn entry(&mut self, ts: &[i64], masks: &[u64], length: usize) -> Option<usize> {
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
        let strict = self.rules.modes.strict_between();
        let group = Group::new(condense(masks, self.rules.steps, &mut self.scratch), self.rules.modes);
        let mut entered = None;
        // Upwards, so that a level is read as it lies ahead of the tie before it is changed.
        for from in 0..length {
            let to = group.reach(from, length);
            let end = if to == length {
                t
            } else if strict {
                let alive = (from.max(1)..=to).filter(|&level| from == 0 || group.keeps(from, level));
                alive.map(|level| self.ends[level]).min().unwrap_or(i64::MAX)
            } else {
                // A higher level is never done later than a lower one.
                self.ends[to]
            };
            self.ends[from] = end;
            if from == 0 && to > 0 && end != i64::MAX {
                entered = Some(end);
            }
        }
        entered
    }

    /// Fills `in_time` from the deadline of an entry back to it.
    fn look_ahead(&mut self, ts: &[i64], masks: &[u64], start: usize, length: usize) {
        let deadline = ts[start].saturating_add(self.rules.window);
        let mut end = start + ts[start..].iter().take_while(|&&t| t <= deadline).count();
        self.in_time.resize(masks.len().max(self.in_time.len()), 0);
        self.ends[..length].fill(i64::MAX);
        while end > start {
            let first = self.group_start(ts, end - 1);
            let levels = self.ends[..length].iter().enumerate();
            self.in_time[end - 1] = levels.fold(0, |set, (at, &done)| set | u64::from(done <= deadline) << at);
            self.look_back(ts[first], &masks[first..end], length);
            end = first;
        }
    }

    fn follow(&mut self, ts: &[i64], masks: &[u64], start: usize, length: usize, out: &mut Vec<usize>) {
        let strict = self.rules.modes.strict_between();
        let (mut level, mut at) = (0, start);
        while level < length && at < ts.len() {
            let end = self.group_end(ts, at);
            let group = Group::new(condense(&masks[at..end], self.rules.steps, &mut self.scratch), self.rules.modes);
            let mut to = group.reach(level, length);
            if strict && to < length {
                let open = self.in_time[end - 1];
                let alive = |to: &usize| open >> to & 1 == 1 && (level == 0 || group.keeps(level, *to));
                to = (level.max(1)..=to).rev().find(alive).unwrap_or(level);
            }
            let meets = |step: usize| masks[at..end].iter().position(|mask| mask >> step & 1 == 1);
            out.extend((level..to).map(|step| at + meets(step).unwrap_or_default()));
            (level, at) = (to, end);
        }
    }

    /// The first event of each condition in the earliest window that holds so many of them.
    fn unordered(&self, ts: &[i64], masks: &[u64], length: usize, out: &mut Vec<usize>) {
        let inside = |from: i64, to: i64| to.saturating_sub(from) <= self.rules.window;
        let mut latest: [Option<i64>; 64] = [None; 64];
        let last = ts.iter().zip(masks).position(|(&t, mask)| {
            (0..64).filter(|step| mask >> step & 1 == 1).for_each(|step| latest[step] = Some(t));
            latest.iter().flatten().filter(|&&met| inside(met, t)).count() == length
        });
        let Some(last) = last else { return };
        let mut seen = 0_u64;
        let first = ts.partition_point(|&t| !inside(t, ts[last]));
        for (at, mask) in masks.iter().enumerate().take(last + 1).skip(first) {
            out.extend(std::iter::repeat_n(at, (mask & !seen).count_ones() as usize));
            seen |= mask;
        }
    }

    /// The earliest events that fill so many conditions, in the earliest window that holds them: taken one by one, each
    /// that fills one more beside those before it.
    fn unordered_once(&self, ts: &[i64], masks: &[u64], length: usize, out: &mut Vec<usize>) {
        let mut window = Window::new(self.rules.clone());
        let last = ts.iter().zip(masks).position(|(&t, &mask)| {
            window.add(t, mask);
            mask != 0 && window.filled(length - 1) == length
        });
        let Some(last) = last else { return };
        let first = ts.partition_point(|&t| ts[last].saturating_sub(t) > self.rules.window);
        let mut matching = Matching::new(&masks[first..=last], self.rules.conditions());
        out.extend((first..=last).filter(|at| matching.add(at - first)));
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
