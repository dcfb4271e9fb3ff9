//! What another order of equal time stamps would change: logs of one-second time stamps leave it to the order of their
//! lines (SEMANTICS §1).
//!
//! ```text
//! ts      0  5  5  5  9        stored   a b c d a
//! labels  a  b  c  d  a        other    a d c b a      equal times reversed: two moves of four differ … START, EXIT
//! ```
//! The other order turns every run of equal times round; a run that is the same from behind is rotated by one. So
//! whatever is said to depend on the order does; what is not said may under a third one.

use hashbrown::HashMap;

use super::collapse::collapse;

/// What the other order changes of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changed {
    /// Runs of equal times with different labels, and their events.
    pub ties: u64,
    pub events: u64,
    /// Steps now, and in the other order.
    pub steps: u64,
    pub other_steps: u64,
    /// Moves (`START` and `EXIT` included) that the other order has not.
    pub moves: u64,
    pub entry: bool,
    pub exit: bool,
    /// Whether the steps are others, or come in another order.
    pub path: bool,
}

/// Compares the order of sessions with another one; keeps its memory.
#[derive(Debug, Default)]
pub struct Compare {
    labels: Vec<u32>,
    rows: Vec<u32>,
    other_rows: Vec<u32>,
    moves: HashMap<(u32, u32), i64>,
}

/// Stands for `START` and `EXIT` among labels.
const OUTSIDE: u32 = u32::MAX;

impl Compare {
    /// What changes of a session with these events; `None` where no equal times have different labels.
    pub fn session(&mut self, ts: &[i64], labels: &[u32], collapsed: bool) -> Option<Changed> {
        let mut changed = self.turn(ts, labels);
        if changed.ties == 0 {
            return None;
        }
        for (labels, rows) in [(labels, &mut self.rows), (&self.labels[..], &mut self.other_rows)] {
            rows.resize(labels.len(), 0);
            let steps = collapse(labels, collapsed, 0, rows);
            rows.truncate(steps);
        }
        let now = self.rows.iter().map(|&row| labels[row as usize]);
        let other = self.other_rows.iter().map(|&row| self.labels[row as usize]);
        changed.steps = self.rows.len() as u64;
        changed.other_steps = self.other_rows.len() as u64;
        changed.entry = now.clone().next() != other.clone().next();
        changed.exit = now.clone().next_back() != other.clone().next_back();
        changed.path = !now.clone().eq(other.clone());
        self.moves.clear();
        for (steps, one) in [(now.collect::<Vec<_>>(), 1), (other.collect(), -1)] {
            let from = [OUTSIDE].into_iter().chain(steps.iter().copied());
            let to = steps.iter().copied().chain([OUTSIDE]);
            from.zip(to).for_each(|pair| *self.moves.entry(pair).or_default() += one);
        }
        changed.moves = self.moves.values().map(|count| count.max(&0).unsigned_abs()).sum();
        Some(changed)
    }

    /// Makes the other order.
    fn turn(&mut self, ts: &[i64], labels: &[u32]) -> Changed {
        self.labels.clear();
        self.labels.extend_from_slice(labels);
        let mut changed = Changed::default();
        let mut at = 0;
        for run in ts.chunk_by(|a, b| a == b) {
            let (from, to) = (at, at + run.len());
            at = to;
            let (now, other) = (&labels[from..to], &mut self.labels[from..to]);
            if now.iter().all(|label| *label == now[0]) {
                continue;
            }
            other.reverse();
            if other == now {
                other.rotate_left(1);
            }
            changed.ties += 1;
            changed.events += run.len() as u64;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_session_by_hand() {
        let mut compare = Compare::default();
        let found = compare.session(&[0, 5, 5, 5, 9], &[1, 2, 3, 4, 1], true).unwrap();
        let moves =
            Changed { ties: 1, events: 3, steps: 5, other_steps: 5, moves: 4, path: true, ..Changed::default() };
        assert_eq!(found, moves);
        // b c b c: turned round it begins and ends otherwise; b b c: there are two steps either way.
        let found = compare.session(&[5, 5, 5], &[2, 2, 3], true).unwrap();
        assert_eq!((found.steps, found.other_steps, found.moves, found.entry, found.exit), (2, 2, 3, true, true));
        // The same from behind, and yet another order has one step less.
        let found = compare.session(&[5, 5, 5], &[2, 3, 2], true).unwrap();
        assert_eq!((found.steps, found.other_steps, found.path), (3, 2, true));
        assert_eq!(compare.session(&[5, 5, 6], &[2, 2, 3], true), None);
        assert_eq!(compare.session(&[], &[], true), None);
    }

    /// Steps and moves by the definition.
    fn naive(labels: &[u32]) -> (Vec<u32>, BTreeMap<(u32, u32), i64>) {
        let mut steps = labels.to_vec();
        steps.dedup();
        let whole = [&[OUTSIDE], &steps[..], &[OUTSIDE]].concat();
        let mut moves = BTreeMap::new();
        whole.windows(2).for_each(|pair| *moves.entry((pair[0], pair[1])).or_default() += 1);
        (steps, moves)
    }

    proptest! {
        #[test]
        fn the_other_order_is_an_order_and_is_compared_by_the_definition(
            events in prop::collection::vec((0_i64..5, 0_u32..3), 1..12),
        ) {
            let mut events = events;
            events.sort_by_key(|event| event.0);
            let (ts, labels): (Vec<i64>, Vec<u32>) = events.into_iter().unzip();
            let mut compare = Compare::default();
            let found = compare.session(&ts, &labels, true);
            let key = |labels: &[u32]| {
                let mut pairs: Vec<(i64, u32)> = ts.iter().copied().zip(labels.iter().copied()).collect();
                pairs.sort_unstable();
                pairs
            };
            prop_assert_eq!(key(&compare.labels), key(&labels), "the same events at the same times");
            prop_assert_eq!(found.is_some(), compare.labels != labels);
            let Some(found) = found else { return Ok(()) };
            let ((steps, moves), (other, others)) = (naive(&labels), naive(&compare.labels));
            let missing: i64 =
                moves.iter().map(|(pair, count)| (count - others.get(pair).copied().unwrap_or_default()).max(0)).sum();
            prop_assert_eq!(found.moves, missing.unsigned_abs());
            prop_assert_eq!((found.steps, found.other_steps), (steps.len() as u64, other.len() as u64));
            prop_assert_eq!(found.path, steps != other);
            prop_assert_eq!((found.entry, found.exit), (steps.first() != other.first(), steps.last() != other.last()));
        }
    }
}
