//! The walk: one person's events become sessions and steps, as positions in the caller's columns.

use super::collapse::collapse;
use super::sessionize::{Edge, EndedBy, Rules, by_gap, sessionize};

/// A session: events `rows` and steps `steps` (positions in the columns that were walked), in the order of
/// `index` within its person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// The person's number as the caller counts.
    pub person: u32,
    pub first_row: u32,
    /// One past the last row.
    pub end_row: u32,
    /// First step in [`Walk::steps`].
    pub first_step: u32,
    /// One past the last step.
    pub end_step: u32,
    /// From 1 per person, by start.
    pub index: u32,
    pub ended_by: EndedBy,
    pub is_flagged: bool,
}

impl Session {
    /// Number of events.
    #[must_use]
    pub const fn events(&self) -> u32 {
        self.end_row - self.first_row
    }

    /// Number of steps.
    #[must_use]
    pub const fn depth(&self) -> u32 {
        self.end_step - self.first_step
    }

    /// The rows.
    #[must_use]
    pub const fn rows(&self) -> std::ops::Range<usize> {
        self.first_row as usize..self.end_row as usize
    }

    /// The steps.
    #[must_use]
    pub const fn step_range(&self) -> std::ops::Range<usize> {
        self.first_step as usize..self.end_step as usize
    }
}

/// The columns of some people: rows of one person lie together, rising by time within one source session.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    /// µs
    pub ts: &'a [i64],
    pub labels: &'a [u32],
    /// Source session of each row; empty if they do not split sessions. A change begins another session.
    pub sources: &'a [u64],
    /// Whether a row closes its session; empty if none does.
    pub ends: &'a [bool],
    /// What somebody said of a row; rows after the last one are [`Edge::FREE`].
    pub edges: &'a [Edge],
}

/// Which sessions are kept; the others are counted all the same, so that numbers do not depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// Those that begin in `[from, to)`, µs.
    pub within: (i64, i64),
    /// And that are flagged.
    pub flagged: bool,
    /// Where there is one, only those with a row of this label.
    pub label: Option<u32>,
}

impl Keep {
    /// Every session.
    pub const ALL: Self = Self { within: (i64::MIN, i64::MAX), flagged: true, label: None };
    /// The label of no row.
    pub const NO_LABEL: u32 = u32::MAX;

    /// Whether the session of these rows is kept.
    #[must_use]
    pub fn takes(&self, columns: Columns<'_>, rows: std::ops::Range<usize>) -> bool {
        let start = columns.ts[rows.start];
        self.within.0 <= start
            && start < self.within.1
            && (self.flagged || !is_flagged(columns.edges, rows.clone()))
            && self.label.is_none_or(|label| columns.labels[rows].contains(&label))
    }

    /// Whether every session is, where none is flagged.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.within == Self::ALL.within && self.label.is_none()
    }
}

/// Visits the sessions of a person whose rows are `rows`, source session by source session.
pub fn sessions(
    rows: std::ops::Range<usize>,
    columns: Columns<'_>,
    rules: Rules,
    mut visit: impl FnMut(std::ops::Range<usize>, EndedBy),
) {
    let mut at = rows.start;
    while at < rows.end {
        let end = group_end(columns.sources, at, rows.end);
        let emit = |first: usize, end: usize, by| visit(at + first..at + end, by);
        let ts = &columns.ts[at..end];
        let edge = |row: usize| columns.edges.get(at + row).copied().unwrap_or_default();
        match (columns.ends.is_empty(), columns.edges.is_empty()) {
            (true, true) if rules == Rules::gap(rules.gap) => by_gap(ts, rules.gap, emit),
            (true, true) => sessionize(ts, rules, |_| false, |_| Edge::FREE, emit),
            (true, false) => sessionize(ts, rules, |_| false, edge, emit),
            (false, _) => sessionize(ts, rules, |row| columns.ends[at + row], edge, emit),
        }
        at = end;
    }
}

/// Whether a session of these rows is flagged.
fn is_flagged(edges: &[Edge], rows: std::ops::Range<usize>) -> bool {
    edges.get(rows.start..rows.end.min(edges.len())).is_some_and(|said| said.iter().any(|it| it.has(Edge::FLAG)))
}

/// Sessions and steps of the people walked since the last [`Walk::clear`].
#[derive(Debug, Default)]
pub struct Walk {
    pub sessions: Vec<Session>,
    /// The first row of each step.
    pub steps: Vec<u32>,
    spare: Vec<Session>,
}

impl Walk {
    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.sessions.clear();
        self.steps.clear();
    }

    /// Adds a person whose rows are `rows`, with the sessions that are kept.
    pub fn person(
        &mut self,
        person: u32,
        rows: std::ops::Range<usize>,
        columns: Columns<'_>,
        rules: Rules,
        collapsed: bool,
        keep: Keep,
    ) {
        let from = self.sessions.len();
        let all = &mut self.sessions;
        sessions(rows.clone(), columns, rules, |rows, ended_by| {
            all.push(Session {
                person,
                first_row: as_u32(rows.start),
                end_row: as_u32(rows.end),
                first_step: 0,
                end_step: 0,
                index: 0,
                ended_by,
                is_flagged: is_flagged(columns.edges, rows),
            });
        });
        if group_end(columns.sources, rows.start, rows.end) < rows.end {
            self.sessions[from..].sort_by_key(|session| columns.ts[session.first_row as usize]);
        }
        for (index, session) in (1..).zip(&mut self.sessions[from..]) {
            session.index = index;
        }
        self.keep(from, columns, keep);
        let mut end = self.steps.len();
        self.steps.resize(end + rows.len(), 0);
        for session in &mut self.sessions[from..] {
            session.first_step = as_u32(end);
            end += collapse(&columns.labels[session.rows()], collapsed, session.first_row, &mut self.steps[end..]);
            session.end_step = as_u32(end);
        }
        self.steps.truncate(end);
    }

    fn keep(&mut self, from: usize, columns: Columns<'_>, keep: Keep) {
        if keep.is_all() && keep.flagged {
            return;
        }
        self.spare.clear();
        let takes = |session: &&Session| keep.takes(columns, session.rows());
        self.spare.extend(self.sessions[from..].iter().filter(takes));
        self.sessions.truncate(from);
        self.sessions.append(&mut self.spare);
    }

    /// One past the last row of step `step` of `session`.
    #[must_use]
    pub fn step_end(&self, session: &Session, step: usize) -> u32 {
        if step + 1 < session.end_step as usize { self.steps[step + 1] } else { session.end_row }
    }

    /// Bytes held.
    #[must_use]
    pub fn size(&self) -> usize {
        (self.sessions.capacity() + self.spare.capacity()) * size_of::<Session>() + self.steps.capacity() * 4
    }
}

/// One past the last row from `at` on that is of the same source session.
pub(super) fn group_end(sources: &[u64], at: usize, end: usize) -> usize {
    match sources.get(at) {
        Some(&source) => at + sources[at..end].iter().take_while(|&&it| it == source).count(),
        None => end,
    }
}

/// Rows of a block are fewer than 2^32.
fn as_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECOND;

    const MINUTE: i64 = 60 * SECOND;
    const ALWAYS: (i64, i64) = Keep::ALL.within;

    fn walk(ts: &[i64], labels: &[u32], sources: &[u64], within: (i64, i64)) -> Walk {
        let mut walk = Walk::default();
        let columns = Columns { ts, labels, sources, ends: &[], edges: &[] };
        let keep = Keep { within, ..Keep::ALL };
        walk.person(0, 0..ts.len(), columns, Rules::gap(30 * MINUTE), true, keep);
        walk
    }

    #[test]
    fn v4_the_same_page_after_the_gap_is_two_sessions_of_depth_one() {
        let walk = walk(&[0, 31 * MINUTE], &[1, 1], &[], ALWAYS);
        assert_eq!(walk.sessions.iter().map(Session::depth).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn v6_a_source_session_is_still_split_by_the_gap() {
        let walk = walk(&[0, 180 * MINUTE], &[1, 2], &[7, 7], ALWAYS);
        assert_eq!(walk.sessions.len(), 2);
    }

    #[test]
    fn interleaved_source_sessions_are_counted_by_start() {
        // Group 7: 0 and 40 minutes; group 9: 10 minutes.
        let walk = walk(&[0, 40 * MINUTE, 10 * MINUTE], &[1, 2, 3], &[7, 7, 9], ALWAYS);
        let found: Vec<(u32, u32)> = walk.sessions.iter().map(|it| (it.index, it.first_row)).collect();
        assert_eq!(found, [(1, 0), (2, 2), (3, 1)]);
        assert_eq!(walk.steps, [0, 2, 1]);
    }

    #[test]
    fn v8_a_range_takes_whole_sessions_by_their_start_and_keeps_their_number() {
        let walk = walk(&[-10 * MINUTE, 10 * MINUTE, 60 * MINUTE], &[1, 2, 3], &[], (0, i64::MAX));
        assert_eq!(walk.sessions.len(), 1);
        assert_eq!((walk.sessions[0].index, walk.sessions[0].first_row), (2, 2));
    }

    #[test]
    fn flagged_sessions_are_counted_and_left_out() {
        let (ts, edges) = ([0, 40 * MINUTE, 90 * MINUTE, 91 * MINUTE], [Edge::FREE, Edge::FLAG]);
        let columns = Columns { ts: &ts, labels: &[1; 4], sources: &[], ends: &[], edges: &edges };
        let found = |flagged| {
            let mut walk = Walk::default();
            walk.person(0, 0..4, columns, Rules::gap(30 * MINUTE), true, Keep { flagged, ..Keep::ALL });
            walk.sessions.iter().map(|it| (it.index, it.is_flagged)).collect::<Vec<_>>()
        };
        assert_eq!(found(true), [(1, false), (2, true), (3, false)]);
        assert_eq!(found(false), [(1, false), (3, false)]);
    }
}
