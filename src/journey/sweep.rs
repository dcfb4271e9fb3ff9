//! Sessions under many gaps at once: what another timeout would change.
//!
//! ```text
//! pause d between two events     a border under every gap < d, inside a session under every gap >= d
//! ─► counted once, at the number of gaps below it; sums over those numbers give every row
//! ```
//!
//! Where a session's end depends on more than neighbours, or only some sessions are taken, every gap is walked by itself.

use std::ops::Range;

use super::sessionize::Rules;
use super::walk::{Columns, Keep, sessions};

/// What sessions are like under one gap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    pub sessions: u64,
    pub events: u64,
    /// Sessions of one event.
    pub single: u64,
    /// All sessions' durations together, µs.
    pub duration: i128,
}

/// Counts sessions under each of some gaps.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// Ascending, µs.
    gaps: Vec<i64>,
    rules: Rules,
    keep: Keep,
    /// By the number of gaps under which something holds: sessions and single events that begin, pauses that are inside.
    /// Every gap by itself where it is walked by itself.
    counts: Vec<Swept>,
    walked: bool,
}

impl Sweep {
    /// For these gaps (ascending, µs); the gap of `rules` counts for nothing.
    #[must_use]
    pub fn new(gaps: Vec<i64>, rules: Rules, keep: Keep) -> Self {
        let walked = !(rules.is_local() && keep.is_all() && keep.flagged);
        Self { counts: vec![Swept::default(); gaps.len() + 1], gaps, rules, keep, walked }
    }

    /// The label that sessions are kept by may have another code from now on.
    pub fn look_for(&mut self, keep: Keep) {
        self.keep = keep;
    }

    /// Adds a person whose rows are `rows`.
    pub fn person(&mut self, rows: Range<usize>, columns: Columns<'_>) {
        if !self.walked {
            self.together(rows, columns);
            return;
        }
        for (gap, of_gap) in self.gaps.iter().zip(&mut self.counts) {
            let keep = self.keep;
            sessions(rows.clone(), columns, Rules { gap: *gap, ..self.rules }, |rows, _| {
                if keep.takes(columns, rows.clone()) {
                    of_gap.sessions += 1;
                    of_gap.events += rows.len() as u64;
                    of_gap.single += u64::from(rows.len() == 1);
                    of_gap.duration += i128::from(columns.ts[rows.end - 1]) - i128::from(columns.ts[rows.start]);
                }
            });
        }
    }

    /// All gaps in one walk: borders that no pause makes are found first, pauses count between them.
    fn together(&mut self, rows: Range<usize>, columns: Columns<'_>) {
        let endless = Rules { gap: i64::MAX, ..self.rules };
        sessions(rows, columns, endless, |rows, _| {
            let joins = |row: usize| columns.edges.get(row).is_some_and(|edge| edge.has(super::Edge::JOIN));
            let all = self.gaps.len();
            // Under how many gaps a session begins at the row: always at the first one.
            let mut begins = all;
            for row in rows.clone() {
                let next = if row + 1 == rows.end {
                    all
                } else {
                    let pause = columns.ts[row + 1].saturating_sub(columns.ts[row]);
                    let below = if joins(row + 1) { 0 } else { self.below(pause) };
                    self.counts[below].duration += i128::from(pause);
                    below
                };
                self.counts[begins].sessions += 1;
                self.counts[begins.min(next)].single += 1;
                begins = next;
            }
            self.counts[0].events += rows.len() as u64;
        });
    }

    /// How many gaps are less than a pause.
    #[inline]
    fn below(&self, pause: i64) -> usize {
        // Most pauses are short.
        if self.gaps.first().is_none_or(|&least| pause <= least) {
            return 0;
        }
        self.gaps.partition_point(|&gap| gap < pause)
    }

    /// Adds what another one counted over other people.
    pub fn merge(&mut self, other: &Self) {
        for (sum, part) in self.counts.iter_mut().zip(&other.counts) {
            sum.sessions += part.sessions;
            sum.events += part.events;
            sum.single += part.single;
            sum.duration += part.duration;
        }
    }

    /// Each gap (µs) with its sessions.
    #[must_use]
    pub fn rows(&self) -> Vec<(i64, Swept)> {
        let counted = self.counts.iter().copied();
        if self.walked {
            return self.gaps.iter().copied().zip(counted).collect();
        }
        let row = |(at, &gap): (usize, &i64)| {
            let (inside, beyond) = self.counts.split_at(at + 1);
            let swept = Swept {
                sessions: beyond.iter().map(|count| count.sessions).sum(),
                single: beyond.iter().map(|count| count.single).sum(),
                duration: inside.iter().map(|count| count.duration).sum(),
                events: self.counts.iter().map(|count| count.events).sum(),
            };
            (gap, swept)
        };
        self.gaps.iter().enumerate().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::journey::{Edge, EndedBy, sessionize};

    /// Each gap by its own [`sessionize`].
    fn naive(columns: Columns<'_>, gaps: &[i64], rules: Rules) -> Vec<(i64, Swept)> {
        let of = |&gap: &i64| {
            let mut found = Swept::default();
            let edge = |row: usize| columns.edges.get(row).copied().unwrap_or_default();
            let ends = |row: usize| columns.ends.get(row).copied().unwrap_or_default();
            sessionize(columns.ts, Rules { gap, ..rules }, ends, edge, |first, end, _: EndedBy| {
                found.sessions += 1;
                found.events += (end - first) as u64;
                found.single += u64::from(end - first == 1);
                found.duration += i128::from(columns.ts[end - 1] - columns.ts[first]);
            });
            (gap, found)
        };
        gaps.iter().map(of).collect()
    }

    proptest! {
        #[test]
        fn every_gap_counts_as_if_it_were_alone(
            mut ts in prop::collection::vec(0_i64..400, 0..40),
            ends in prop::collection::vec(prop::bool::weighted(0.1), 40),
            said in prop::collection::vec(0_u8..12, 40),
            gaps in prop::collection::btree_set(1_i64..60, 1..12),
            limits in (0_i64..2, 0_u64..2),
        ) {
            ts.sort_unstable();
            let edges: Vec<Edge> = said.iter().map(|&it| match it {
                0 => Edge::SPLIT,
                1 => Edge::JOIN,
                _ => Edge::FREE,
            }).collect();
            let columns = Columns { ts: &ts, labels: &[], sources: &[], ends: &ends[..ts.len()], edges: &edges };
            let gaps: Vec<i64> = gaps.into_iter().collect();
            let rules = Rules { gap: 7, max_duration: limits.0 * 90, max_events: limits.1 * 5, split_at_midnight: false };
            let (one, other) = ts.split_at(ts.len() / 2);
            let mut sweep = Sweep::new(gaps.clone(), rules, Keep::ALL);
            sweep.person(0..ts.len(), columns);
            prop_assert_eq!(sweep.rows(), naive(columns, &gaps, rules));
            // And in parts, each of other people.
            let part = |ts: &[i64]| {
                let mut sweep = Sweep::new(gaps.clone(), rules, Keep::ALL);
                sweep.person(0..ts.len(), Columns { ts, labels: &[], sources: &[], ends: &[], edges: &[] });
                sweep
            };
            let (mut sum, with) = (part(one), part(other));
            sum.merge(&with);
            let added = with.rows();
            for ((row, first), second) in sum.rows().iter().zip(part(one).rows()).zip(added) {
                prop_assert_eq!(row.1.sessions, first.1.sessions + second.1.sessions);
                prop_assert_eq!(row.1.duration, first.1.duration + second.1.duration);
            }
        }
    }
}
