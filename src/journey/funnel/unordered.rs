//! Steps in any order, an event filling one of them: how many steps the events of a window can fill.
//!
//! A matching of events to steps. Events with the same mask are the same, and no mask needs more copies than it has
//! steps, so that a window is a small table of masks however many events it holds. Nothing is matched while the steps
//! that are met at all are no more than were filled before.

use std::collections::{BTreeMap, VecDeque};

use super::rules::Rules;
use super::ties::Matching;

/// The events of the window that ends with the one added last.
#[derive(Debug)]
pub(super) struct Window {
    rules: Rules,
    events: VecDeque<(i64, u64)>,
    /// How often each mask is there.
    masks: BTreeMap<u64, usize>,
}

impl Window {
    pub(super) fn new(rules: Rules) -> Self {
        Self { rules, events: VecDeque::new(), masks: BTreeMap::new() }
    }

    /// Adds an event and lets those go that are too old for it.
    pub(super) fn add(&mut self, t: i64, mask: u64) {
        while let Some((_, old)) = self.events.pop_front_if(|(then, _)| t.saturating_sub(*then) > self.rules.window) {
            if let Some(count) = self.masks.get_mut(&old) {
                *count -= 1;
                if *count == 0 {
                    self.masks.remove(&old);
                }
            }
        }
        if mask != 0 {
            self.events.push_back((t, mask));
            *self.masks.entry(mask).or_default() += 1;
        }
    }

    /// How many steps can be filled, if that is more than `least`, else `least`.
    pub(super) fn filled(&self, least: usize) -> usize {
        let met = self.masks.keys().fold(0_u64, |met, mask| met | mask);
        if met.count_ones() as usize <= least {
            return least;
        }
        let copies = |(&mask, &count): (&u64, &usize)| std::iter::repeat_n(mask, count.min(mask.count_ones() as usize));
        let masks: Vec<u64> = self.masks.iter().flat_map(copies).collect();
        let mut matching = Matching::new(&masks, self.rules.conditions());
        (0..masks.len()).filter(|&event| matching.add(event)).count().max(least)
    }
}
