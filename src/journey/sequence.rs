//! Patterns over a person's events: `(?1).*(?2)(?t<=10)(?3)`, as `ClickHouse` writes them.
//!
//! | part | meaning |
//! |---|---|
//! | `(?N)` | an event that meets condition `N` |
//! | `.` | any event |
//! | `.*` | any number of events, none included |
//! | `(?t<=n)` | any number of events, and the next item's event is at most `n` after the last item's; `<`, `>`, `>=`, `==` too |
//! | `(?T<=n)` | the last event of the match is at most `n` after its first; `<` too; wherever it stands |
//!
//! Items that stand side by side are met by events that follow each other; an event is one that meets any condition
//! (rows that meet none are not there). A pattern may begin anywhere. Without items (`.*`) every event is a match.
//!
//! One pass forwards tells whether and how often a pattern is met; two passes backwards find the match that begins
//! first and then takes each event as early as possible. All are `O(events × items)`, there is no limit of iterations.
//!
//! Where others differ: a time is measured from the last event that an item met (there, after `.*`, from where the
//! engine happens to stand); several times in a row hold together; matches are counted so that most do not overlap,
//! each time the one that ends first; only a whole match is reported, never the beginning of one (`ClickHouse` reports
//! the longest beginning, and has reported events that do not belong together: its issue 118120).
//!
//! Invariants: time stamps never decrease; no mask is 0.

#[cfg(test)]
mod brute;
mod pattern;

pub use pattern::Pattern;

use super::front::Front;
use pattern::{Gap, Item};

/// Finds matches in the events of one person after the other, reusing its room.
#[derive(Debug)]
pub struct Sequences {
    items: Vec<Item>,
    /// From the first event to the last at most.
    whole: i64,
    fronts: Vec<Front>,
    /// Value of the chain that ends in the event beside the present one, by item.
    beside: Vec<Option<i64>>,
    /// Per event: the items that it can meet on the way to the end in time.
    leads: Vec<u64>,
}

impl Sequences {
    /// A finder for this pattern.
    #[must_use]
    pub fn new(pattern: Pattern) -> Self {
        let Pattern { items, whole } = pattern;
        let (fronts, beside) = (vec![Front::default(); items.len()], vec![None; items.len()]);
        Self { items, whole, fronts, beside, leads: Vec::new() }
    }

    /// How many matches follow each other without sharing an event, but no more than `most`.
    pub fn count(&mut self, ts: &[i64], masks: &[u64], most: usize) -> usize {
        let Some(last) = self.items.len().checked_sub(1) else { return ts.len().min(most) };
        self.reset();
        let mut found = 0;
        for (&t, &mask) in ts.iter().zip(masks) {
            // Downwards, so that what is read stands as it was before this event.
            for at in (0..=last).rev() {
                let entry = self.entry(at, t, mask).filter(|&entry| t.saturating_sub(entry) <= self.whole);
                self.beside[at] = entry;
                if let (Some(entry), Some(Item { gap: Gap::Within { least, .. }, .. })) =
                    (entry, self.items.get(at + 1))
                {
                    self.fronts[at].push(t, entry, *least);
                }
            }
            if self.beside[last].is_some() {
                found += 1;
                if found == most {
                    break;
                }
                self.reset();
            }
        }
        found
    }

    /// The latest entry of a chain that this event continues at item `at`.
    fn entry(&mut self, at: usize, t: i64, mask: u64) -> Option<i64> {
        let Item { test, gap } = self.items[at];
        if test.is_some_and(|bit| mask >> bit & 1 == 0) {
            return None;
        }
        match (at.checked_sub(1), gap) {
            (None, _) => Some(t),
            (Some(before), Gap::Next) => self.beside[before],
            (Some(before), Gap::Within { least, most }) => self.fronts[before].best(t, least, most),
        }
    }

    /// Appends the positions of the events that meet a `(?N)` in the match that begins first and then takes each event
    /// as early as possible; nothing without a match.
    pub fn find(&mut self, ts: &[i64], masks: &[u64], out: &mut Vec<usize>) {
        let (mut start, whole) = (None, self.whole);
        self.backwards(ts, masks, |position, at, end| {
            if at == 0 && end.saturating_sub(ts[position]) <= whole {
                start = Some(position);
            }
        });
        let Some(start) = start else { return };
        let deadline = ts[start].saturating_add(whole);
        let end = ts.partition_point(|&t| t <= deadline);
        let mut leads = std::mem::take(&mut self.leads);
        leads.clear();
        leads.resize(end - start, 0);
        self.backwards(&ts[start..end], &masks[start..end], |position, at, _| leads[position] |= 1 << at);
        let mut position = start;
        for (at, Item { test, gap }) in self.items.iter().enumerate() {
            let next = match *gap {
                _ if at == 0 => Some(start),
                Gap::Next => Some(position + 1),
                Gap::Within { least, .. } => (position + 1..end)
                    .find(|&next| leads[next - start] >> at & 1 == 1 && ts[next].saturating_sub(ts[position]) >= least),
            };
            let Some(next) = next else { break };
            position = next;
            if test.is_some() {
                out.push(position);
            }
        }
        self.leads = leads;
    }

    /// Walks from the last event to the first and tells for each item that one can meet the earliest time stamp at which
    /// the pattern is then met.
    fn backwards(&mut self, ts: &[i64], masks: &[u64], mut tell: impl FnMut(usize, usize, i64)) {
        self.reset();
        for (position, (&t, &mask)) in ts.iter().zip(masks).enumerate().rev() {
            let back = t.saturating_neg();
            for at in 0..self.items.len() {
                let Item { test, gap } = self.items[at];
                let fits = test.is_none_or(|bit| mask >> bit & 1 == 1);
                let end = match self.items.get(at + 1).map(|next| next.gap) {
                    _ if !fits => None,
                    None => Some(back),
                    Some(Gap::Next) => self.beside[at + 1],
                    Some(Gap::Within { least, most }) => self.fronts[at + 1].best(back, least, most),
                };
                self.beside[at] = end;
                let Some(end) = end else { continue };
                tell(position, at, end.saturating_neg());
                if let (1.., Gap::Within { least, .. }) = (at, gap) {
                    self.fronts[at].push(back, end, least);
                }
            }
        }
    }

    fn reset(&mut self) {
        self.fronts.iter_mut().for_each(Front::clear);
        self.beside.fill(None);
    }
}
