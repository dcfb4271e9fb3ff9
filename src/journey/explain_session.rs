//! Why sessions of one person begin and end where they do: the arithmetic of every event (SEMANTICS §2).
//!
//! ```text
//! event before ── since_previous ──► event      by: what would end the session before it; joined: yet a correction goes on
//! first event of the session ── since_first ──► event,  events: how many the session had before it
//! ```
//!
//! Invariants: the sessions that these borders make are those of [`super::sessionize()`], which a property test holds.

use std::ops::Range;

use super::sessionize::{Edge, EndedBy, Rules, border};
use super::walk::{Columns, group_end};

/// What lies between an event and the one before it in its source session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Border {
    /// What ends a session here; [`EndedBy::Nothing`]: the session goes on.
    pub by: EndedBy,
    /// Whether somebody said that the session goes on all the same.
    pub joined: bool,
    /// µs since the event before.
    pub since_previous: i64,
    /// µs since the event from which the limits of a session are counted.
    pub since_first: i64,
    /// Events from that one to the event before.
    pub events: u64,
}

impl Border {
    /// Whether a session begins behind it.
    #[must_use]
    pub fn splits(&self) -> bool {
        self.by != EndedBy::Nothing && !self.joined
    }
}

/// The borders before every event of a person whose rows are `rows`; `None` before the first of a source session.
#[must_use]
pub fn borders(rows: Range<usize>, columns: Columns<'_>, rules: Rules) -> Vec<Option<Border>> {
    let mut found = Vec::with_capacity(rows.len());
    let mut at = rows.start;
    while at < rows.end {
        let end = group_end(columns.sources, at, rows.end);
        found.push(None);
        let mut base = at;
        for row in at + 1..end {
            let edge = columns.edges.get(row).copied().unwrap_or_default();
            let ended = columns.ends.get(row - 1).copied().unwrap_or_default();
            let by =
                if edge.has(Edge::SPLIT) { EndedBy::Correction } else { border(columns.ts, base, row, rules, ended) };
            let joined = edge.has(Edge::JOIN);
            let since = |from: usize| columns.ts[row].saturating_sub(columns.ts[from]);
            let (since_previous, since_first) = (since(row - 1), since(base));
            found.push(Some(Border { by, joined, since_previous, since_first, events: (row - base) as u64 }));
            if by != EndedBy::Nothing {
                base = row;
            }
        }
        at = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::journey::sessions;

    proptest! {
        #[test]
        fn the_borders_make_the_sessions(
            mut ts in prop::collection::vec(0_i64..400, 1..40),
            ends in prop::collection::vec(prop::bool::weighted(0.1), 40),
            said in prop::collection::vec(0_u8..12, 40),
            cut in 0_usize..40,
            limits in (0_i64..2, 0_u64..2),
        ) {
            ts.sort_unstable();
            let cut = cut.min(ts.len());
            ts[cut..].sort_unstable();
            let edges: Vec<Edge> = said.iter().map(|&it| match it {
                0 => Edge::SPLIT,
                1 => Edge::JOIN,
                2 => Edge::JOIN.and(Edge::SPLIT),
                _ => Edge::FREE,
            }).collect();
            let sources: Vec<u64> = (0..ts.len()).map(|row| u64::from(row >= cut)).collect();
            let columns = Columns { ts: &ts, labels: &[], sources: &sources, ends: &ends[..ts.len()], edges: &edges };
            let rules = Rules { gap: 17, max_duration: limits.0 * 90, max_events: limits.1 * 5, split_at_midnight: false };
            let mut expected = Vec::new();
            sessions(0..ts.len(), columns, rules, |rows, by| expected.push((rows, by)));
            let found = borders(0..ts.len(), columns, rules);
            let begins: Vec<usize> =
                (0..ts.len()).filter(|&row| found[row].is_none_or(|border| border.splits())).collect();
            prop_assert_eq!(&begins, &expected.iter().map(|(rows, _)| rows.start).collect::<Vec<_>>());
            for (rows, by) in &expected {
                if let Some(Some(next)) = found.get(rows.end) {
                    prop_assert_eq!(next.by, *by);
                }
                for row in rows.clone().skip(1) {
                    let border = found[row].unwrap();
                    prop_assert_eq!(border.since_previous, ts[row] - ts[row - 1]);
                    prop_assert!(border.joined || border.since_first == ts[row] - ts[row - usize::try_from(border.events).unwrap()]);
                }
            }
        }
    }
}
