//! The latest entry time per level, carried over a person's events.

use super::rules::{Entry, Mode, Rules, Ties};
use super::ties::{Group, condense};
use super::unordered::Window;

/// No chain of that length is alive.
const NEVER: i64 = i64::MIN;

/// How the events are walked. The first four are what [`Walk::Tied`] comes to where ties need no search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Walk {
    /// Event by event, levels downwards: an event fills one step.
    EachDown,
    /// Event by event, levels upwards: an event may fill several steps.
    EachUp,
    /// The union of a tie, upwards.
    TieUp,
    /// The union of a tie, downwards: one step per time stamp.
    TieDown,
    /// Ties as sets of events, every rule.
    Tied,
    /// The most conditions in one window.
    Unordered,
    /// The most that distinct events fill.
    UnorderedOnce,
}

/// Finds the longest chain of one person after the other, reusing its room.
#[derive(Debug)]
pub struct Levels {
    rules: Rules,
    walk: Walk,
    /// `latest[i]`: the latest entry time of a living chain of `i + 1` steps.
    latest: [i64; 64],
    reached: usize,
    scratch: Vec<u64>,
}

impl Levels {
    /// A finder for these rules.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        let (modes, once) = (rules.modes, rules.modes.has(Mode::StrictOnce));
        let walk = match (rules.ties, once) {
            _ if modes.has(Mode::Unordered) && once => Walk::UnorderedOnce,
            _ if modes.has(Mode::Unordered) => Walk::Unordered,
            _ if modes.strict_between() => Walk::Tied,
            _ if modes.has(Mode::StrictIncrease) => Walk::TieDown,
            (Ties::Order, true) => Walk::EachDown,
            (Ties::Order, false) => Walk::EachUp,
            (Ties::Any, true) => Walk::Tied,
            (Ties::Any, false) => Walk::TieUp,
        };
        Self { rules, walk, latest: [NEVER; 64], reached: 0, scratch: Vec::new() }
    }

    /// The rules that are followed.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The length of the longest chain, `0..=steps`. `ts` never decreases; bit `i` of a mask says that the event
    /// meets condition `i + 1`, higher bits are 0.
    pub fn run(&mut self, ts: &[i64], masks: &[u64]) -> usize {
        debug_assert!(ts.len() == masks.len() && ts.is_sorted());
        self.latest[..self.rules.steps].fill(NEVER);
        self.reached = 0;
        match self.walk {
            Walk::EachDown => self.each(ts, masks, Self::down),
            Walk::EachUp => self.each(ts, masks, Self::up),
            Walk::TieUp => self.ties(ts, masks, |this, t, tie| this.up(t, union(tie))),
            Walk::TieDown => self.ties(ts, masks, |this, t, tie| this.down(t, union(tie))),
            Walk::Tied if self.rules.ties == Ties::Order => {
                self.each(ts, masks, |this, t, mask| this.tie(t, &[mask]));
            }
            Walk::Tied => self.ties(ts, masks, Self::tie),
            Walk::Unordered => self.unordered(ts, masks),
            Walk::UnorderedOnce => self.unordered_once(ts, masks),
        }
        self.reached
    }

    /// After [`Self::run`] that did not reach the last step: the latest entry among the attempts that are still alive.
    /// Its window is the last to close.
    #[must_use]
    pub fn latest_entry(&self) -> Option<i64> {
        self.latest[..self.rules.steps].iter().copied().max().filter(|&entry| entry != NEVER)
    }

    fn each(&mut self, ts: &[i64], masks: &[u64], step: impl Fn(&mut Self, i64, u64)) {
        for (&t, &mask) in ts.iter().zip(masks) {
            step(self, t, mask);
            if self.reached == self.rules.steps {
                return;
            }
        }
    }

    fn ties(&mut self, ts: &[i64], masks: &[u64], step: impl Fn(&mut Self, i64, &[u64])) {
        let mut at = 0;
        while at < ts.len() && self.reached < self.rules.steps {
            let end = at + ts[at..].iter().take_while(|&&t| t == ts[at]).count();
            step(self, ts[at], &masks[at..end]);
            at = end;
        }
    }

    fn enter(&mut self, t: i64) {
        if self.rules.entry == Entry::Any || self.latest[0] == NEVER {
            self.latest[0] = t;
            self.reached = self.reached.max(1);
        }
    }

    fn advance(&mut self, t: i64, level: usize) {
        let entry = self.latest[level - 1];
        if entry > self.latest[level] && t.saturating_sub(entry) <= self.rules.window {
            self.latest[level] = entry;
            self.reached = self.reached.max(level + 1);
        }
    }

    fn down(&mut self, t: i64, mut mask: u64) {
        while mask != 0 {
            let level = mask.ilog2() as usize;
            mask &= !(1 << level);
            if level == 0 { self.enter(t) } else { self.advance(t, level) }
        }
    }

    fn up(&mut self, t: i64, mut mask: u64) {
        while mask != 0 {
            let level = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            if level == 0 { self.enter(t) } else { self.advance(t, level) }
        }
    }

    /// A tie under any rules: every living attempt goes to every level that some order of the tie admits.
    fn tie(&mut self, t: i64, masks: &[u64]) {
        let (steps, window) = (self.rules.steps, self.rules.window);
        if let [mask] = masks
            && !self.rules.modes.strict_between()
        {
            return self.down(t, *mask);
        }
        let group = Group::new(condense(masks, steps, &mut self.scratch), self.rules.modes);
        let mut next = [NEVER; 64];
        for from in 0..steps {
            let entry = if from == 0 { t } else { self.latest[from - 1] };
            let may_enter = self.rules.entry == Entry::Any || self.reached == 0;
            if entry == NEVER || (from == 0 && !(may_enter && group.enters())) {
                continue;
            }
            let reach = if t.saturating_sub(entry) <= window { group.reach(from, steps) } else { from };
            self.reached = self.reached.max(reach);
            for to in from.max(1)..=reach {
                if from == 0 || group.keeps(from, to) {
                    next[to - 1] = next[to - 1].max(entry);
                }
            }
        }
        self.latest[..steps].copy_from_slice(&next[..steps]);
    }

    /// The most conditions that are met between some event and `window` later.
    fn unordered(&mut self, ts: &[i64], masks: &[u64]) {
        let mut met = [0_u32; 64];
        let (mut from, mut distinct) = (0, 0);
        for (&t, &mask) in ts.iter().zip(masks) {
            while t.saturating_sub(ts[from]) > self.rules.window {
                for_each_bit(masks[from], |bit| {
                    met[bit] -= 1;
                    distinct -= usize::from(met[bit] == 0);
                });
                from += 1;
            }
            for_each_bit(mask, |bit| {
                distinct += usize::from(met[bit] == 0);
                met[bit] += 1;
            });
            self.reached = self.reached.max(distinct);
            if mask != 0 {
                self.latest[0] = t;
            }
        }
    }

    /// The same where an event fills one step: the most conditions that distinct events of a window can fill.
    fn unordered_once(&mut self, ts: &[i64], masks: &[u64]) {
        let mut window = Window::new(self.rules.clone());
        for (&t, &mask) in ts.iter().zip(masks) {
            window.add(t, mask);
            if mask != 0 {
                self.latest[0] = t;
                self.reached = window.filled(self.reached);
            }
        }
    }
}

fn union(masks: &[u64]) -> u64 {
    masks.iter().fold(0, |all, mask| all | mask)
}

fn for_each_bit(mut mask: u64, mut visit: impl FnMut(usize)) {
    while mask != 0 {
        visit(mask.trailing_zeros() as usize);
        mask &= mask - 1;
    }
}
