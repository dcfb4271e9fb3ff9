//! The walk: one person's events become sessions and steps, as positions in the caller's columns.

use super::collapse::collapse;
use super::sessionize::{EndedBy, Rules, sessionize};

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

    /// Adds a person whose rows are `rows`; only sessions that begin in `[from, to)` are kept (they are counted
    /// before, so that `index` does not depend on it).
    pub fn person(
        &mut self,
        person: u32,
        rows: std::ops::Range<usize>,
        columns: Columns<'_>,
        rules: Rules,
        collapsed: bool,
        within: (i64, i64),
    ) {
        let from = self.sessions.len();
        let mut groups = 0;
        let mut at = rows.start;
        while at < rows.end {
            let end = group_end(columns.sources, at, rows.end);
            self.group(person, at..end, columns, rules);
            (at, groups) = (end, groups + 1);
        }
        if groups > 1 {
            self.sessions[from..].sort_by_key(|session| columns.ts[session.first_row as usize]);
        }
        for (index, session) in (1..).zip(&mut self.sessions[from..]) {
            session.index = index;
        }
        self.keep(from, columns.ts, within);
        for session in &mut self.sessions[from..] {
            session.first_step = as_u32(self.steps.len());
            collapse(&columns.labels[session.rows()], collapsed, session.first_row, &mut self.steps);
            session.end_step = as_u32(self.steps.len());
        }
    }

    fn group(&mut self, person: u32, rows: std::ops::Range<usize>, columns: Columns<'_>, rules: Rules) {
        let base = rows.start;
        let sessions = &mut self.sessions;
        let emit = |first: usize, end: usize, ended_by| {
            sessions.push(Session {
                person,
                first_row: as_u32(base + first),
                end_row: as_u32(base + end),
                first_step: 0,
                end_step: 0,
                index: 0,
                ended_by,
            });
        };
        let ts = &columns.ts[rows.clone()];
        if columns.ends.is_empty() {
            sessionize(ts, rules, |_| false, emit);
        } else {
            let ends = &columns.ends[rows];
            sessionize(ts, rules, |at| ends[at], emit);
        }
    }

    fn keep(&mut self, from: usize, ts: &[i64], within: (i64, i64)) {
        if within == (i64::MIN, i64::MAX) {
            return;
        }
        self.spare.clear();
        self.spare.extend(self.sessions[from..].iter().filter(|session| {
            let start = ts[session.first_row as usize];
            within.0 <= start && start < within.1
        }));
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

fn group_end(sources: &[u64], at: usize, end: usize) -> usize {
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
    const ALWAYS: (i64, i64) = (i64::MIN, i64::MAX);

    fn walk(ts: &[i64], labels: &[u32], sources: &[u64], within: (i64, i64)) -> Walk {
        let mut walk = Walk::default();
        let columns = Columns { ts, labels, sources, ends: &[] };
        walk.person(0, 0..ts.len(), columns, Rules::gap(30 * MINUTE), true, within);
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
}
