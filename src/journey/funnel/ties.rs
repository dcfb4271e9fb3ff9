//! One group of events with equal time stamps: from which level to which it can carry an attempt.
//!
//! ```text
//! fills(a, b)   the group's events can fill the steps a+1..=b     once: by distinct events (a matching)
//! keeps(a, b)   and an attempt that was on level a before the group is alive on level b after it
//! ```
//! `strict_order` asks that every event of the group is a repeat of some level on the way or fills a step;
//! `strict_deduplication` that every event that meets one of `c1..ca+1` fills a step. Both are questions about
//! matchings of events to steps: if one matching covers the steps and another the events that must be used, there is one
//! that covers both (Mendelsohn and Dulmage), so the two are asked separately.

use super::rules::{Mode, Modes};

/// The conditions of steps `from+1..=to` as bits.
pub(super) fn bits(from: usize, to: usize) -> u64 {
    let upto = |n: usize| if n >= 64 { u64::MAX } else { (1 << n) - 1 };
    upto(to) & !upto(from)
}

/// The events of one time stamp as a set of masks.
#[derive(Debug)]
pub(super) struct Group<'a> {
    masks: &'a [u64],
    union: u64,
    modes: Modes,
}

impl<'a> Group<'a> {
    pub(super) fn new(masks: &'a [u64], modes: Modes) -> Self {
        Self { masks, union: masks.iter().fold(0, |all, mask| all | mask), modes }
    }

    /// Whether some event meets the first condition.
    pub(super) fn enters(&self) -> bool {
        self.union & 1 != 0
    }

    /// The highest level that an attempt on level `from` can reach here; every level between is reached too.
    pub(super) fn reach(&self, from: usize, steps: usize) -> usize {
        let last = if self.modes.has(Mode::StrictIncrease) { steps.min(from + 1) } else { steps };
        (from + 1..=last).take_while(|&to| self.fills(from, to)).last().unwrap_or(from)
    }

    /// Whether the steps `from+1..=to` can be filled here.
    fn fills(&self, from: usize, to: usize) -> bool {
        let wanted = bits(from, to);
        if self.union & wanted != wanted {
            return false;
        }
        if to - from <= 1 || !self.modes.has(Mode::StrictOnce) {
            return true;
        }
        let mut matching = Matching::new(self.masks, wanted);
        (0..self.masks.len()).any(|event| matching.add(event) && matching.size == to - from)
    }

    /// Whether an attempt that came on level `from` (at least 1) and fills the steps up to `to` here lives on.
    pub(super) fn keeps(&self, from: usize, to: usize) -> bool {
        let (order, dedup) = (self.modes.has(Mode::StrictOrder), self.modes.has(Mode::StrictDeduplication));
        let exempt = u64::from(self.modes.has(Mode::AllowReentry));
        let path = bits(from - 1, to) | exempt;
        if !dedup {
            return !order || self.masks.iter().all(|mask| mask & path != 0);
        }
        let watched = if order { None } else { Some(bits(0, from + 1)) };
        let must = |mask: u64| mask & exempt == 0 && watched.is_none_or(|watched| mask & watched != 0);
        let mut matching = Matching::new(self.masks, bits(from, to));
        (0..self.masks.len()).all(|event| !must(self.masks[event]) || matching.add(event))
    }
}

/// Keeps what matters of a large group: no question above tells more than `steps + 1` equal events apart.
pub(super) fn condense<'a>(masks: &'a [u64], steps: usize, scratch: &'a mut Vec<u64>) -> &'a [u64] {
    if masks.len() <= 2 * steps + 2 {
        return masks;
    }
    scratch.clear();
    scratch.extend_from_slice(masks);
    scratch.sort_unstable();
    let mut copies = 0;
    let mut last = None;
    scratch.retain(|&mask| {
        copies = if last == Some(mask) { copies + 1 } else { 1 };
        last = Some(mask);
        copies <= steps + 1
    });
    scratch
}

/// A matching of events to steps that grows by augmenting paths.
pub(super) struct Matching<'a> {
    masks: &'a [u64],
    /// The steps that may be filled.
    steps: u64,
    /// The event that fills a step, where the bit of `filled` is set.
    owner: [usize; 64],
    filled: u64,
    size: usize,
}

impl<'a> Matching<'a> {
    pub(super) fn new(masks: &'a [u64], steps: u64) -> Self {
        Self { masks, steps, owner: [0; 64], filled: 0, size: 0 }
    }

    /// Uses `event` as well, if a matching with it and all events used so far exists.
    pub(super) fn add(&mut self, event: usize) -> bool {
        if self.filled == self.steps {
            return false;
        }
        let placed = self.place(event, &mut 0);
        self.size += usize::from(placed);
        placed
    }

    /// The steps that the events used so far fill.
    pub(super) fn filled(&self) -> u64 {
        self.filled
    }

    fn place(&mut self, event: usize, seen: &mut u64) -> bool {
        loop {
            let choices = self.masks[event] & self.steps & !*seen;
            if choices == 0 {
                return false;
            }
            let step = choices.trailing_zeros() as usize;
            *seen |= 1 << step;
            if self.filled & (1 << step) == 0 || self.place(self.owner[step], seen) {
                self.filled |= 1 << step;
                self.owner[step] = event;
                return true;
            }
        }
    }
}
