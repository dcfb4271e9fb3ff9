//! Sessions of one person: where the next one begins (SEMANTICS §2).

use crate::time::DAY;

/// When a session ends. Zero switches `max_duration` and `max_events` off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Idle time in µs; a strictly longer one ends the session.
    pub gap: i64,
    /// Longest session in µs, from its first event.
    pub max_duration: i64,
    /// Most events of a session.
    pub max_events: u64,
    /// Whether midnight (UTC) ends a session.
    pub split_at_midnight: bool,
}

impl Rules {
    /// Only the gap.
    #[must_use]
    pub const fn gap(gap: i64) -> Self {
        Self { gap, max_duration: 0, max_events: 0, split_at_midnight: false }
    }

    /// Whether a session's end depends on nothing but neighbouring events, so that a reader may begin anywhere one
    /// gap before the range it is asked for.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        self.max_duration == 0 && self.max_events == 0
    }
}

/// What ended a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// The data stops here; the gap may or may not have passed.
    Nothing,
    Gap,
    EndEvent,
    MaxDuration,
    MaxEvents,
    Midnight,
    /// Somebody said so.
    Correction,
}

impl EndedBy {
    /// The text of the column `ended_by`; `None` while nothing ended it.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Gap => Some("gap"),
            Self::EndEvent => Some("end_event"),
            Self::MaxDuration => Some("max_duration"),
            Self::MaxEvents => Some("max_events"),
            Self::Midnight => Some("midnight"),
            Self::Correction => Some("correction"),
        }
    }
}

/// What somebody said of an event's place among sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Edge(u8);

impl Edge {
    /// Nothing.
    pub const FREE: Self = Self(0);
    /// A session begins at the event.
    pub const SPLIT: Self = Self(1);
    /// No session begins at the event.
    pub const JOIN: Self = Self(2);
    /// The event's session is flagged.
    pub const FLAG: Self = Self(4);

    /// The same, and `other`; of a split and a join the later word counts.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        let kept = if other.0 & (Self::SPLIT.0 | Self::JOIN.0) == 0 { self.0 } else { self.0 & Self::FLAG.0 };
        Self(kept | other.0)
    }

    /// Whether it says this too.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Cuts events into sessions and calls `emit(first, end, ended_by)` for each, `end` being one past its last event.
///
/// `ts` rises (µs) and belongs to one person and one source session id; `ends(n)` says whether event `n` closes the
/// session it belongs to, `edge(n)` what somebody said of event `n`.
pub fn sessionize(
    ts: &[i64],
    rules: Rules,
    ends: impl Fn(usize) -> bool,
    edge: impl Fn(usize) -> Edge,
    mut emit: impl FnMut(usize, usize, EndedBy),
) {
    // Limits are counted from `base`: the first event, or the one at which somebody joined another session.
    let (mut first, mut base) = (0, 0);
    for at in 1..ts.len() {
        let by = match edge(at) {
            said if said.has(Edge::SPLIT) => EndedBy::Correction,
            said if said.has(Edge::JOIN) => {
                if border(ts, base, at, rules, ends(at - 1)) != EndedBy::Nothing {
                    base = at;
                }
                EndedBy::Nothing
            }
            _ => border(ts, base, at, rules, ends(at - 1)),
        };
        if by != EndedBy::Nothing {
            emit(first, at, by);
            (first, base) = (at, at);
        }
    }
    if let Some(last) = ts.len().checked_sub(1) {
        emit(first, ts.len(), if ends(last) { EndedBy::EndEvent } else { EndedBy::Nothing });
    }
}

/// [`sessionize`] where nothing but idle time ends a session: a comparison an event.
pub fn by_gap(ts: &[i64], gap: i64, mut emit: impl FnMut(usize, usize, EndedBy)) {
    let mut first = 0;
    for (at, pair) in (1..).zip(ts.windows(2)) {
        if pair[1].saturating_sub(pair[0]) > gap {
            emit(first, at, EndedBy::Gap);
            first = at;
        }
    }
    if first < ts.len() {
        emit(first, ts.len(), EndedBy::Nothing);
    }
}

/// What, if anything, ends the session that began at `first` before event `at`.
#[inline]
pub(super) fn border(ts: &[i64], first: usize, at: usize, rules: Rules, ended: bool) -> EndedBy {
    if ended {
        EndedBy::EndEvent
    } else if ts[at].saturating_sub(ts[at - 1]) > rules.gap {
        EndedBy::Gap
    } else if rules.max_duration > 0 && ts[at].saturating_sub(ts[first]) > rules.max_duration {
        EndedBy::MaxDuration
    } else if rules.max_events > 0 && (at - first) as u64 >= rules.max_events {
        EndedBy::MaxEvents
    } else if rules.split_at_midnight && ts[at].div_euclid(DAY) != ts[at - 1].div_euclid(DAY) {
        EndedBy::Midnight
    } else {
        EndedBy::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECOND;

    const GAP: i64 = 30 * 60 * SECOND;

    fn sessions(ts: &[i64], rules: Rules) -> Vec<(usize, usize, EndedBy)> {
        let mut found = Vec::new();
        sessionize(ts, rules, |_| false, |_| Edge::FREE, |first, end, by| found.push((first, end, by)));
        if rules == Rules::gap(rules.gap) {
            let mut same = Vec::new();
            by_gap(ts, rules.gap, |first, end, by| same.push((first, end, by)));
            assert_eq!(found, same);
        }
        found
    }

    #[test]
    fn v1_an_equal_gap_stays_a_longer_one_splits() {
        assert_eq!(sessions(&[0, GAP], Rules::gap(GAP)), [(0, 2, EndedBy::Nothing)]);
        assert_eq!(sessions(&[0, GAP + 1], Rules::gap(GAP)), [(0, 1, EndedBy::Gap), (1, 2, EndedBy::Nothing)]);
    }

    #[test]
    fn v2_midnight_does_not_split_unless_asked() {
        let ts = [DAY - 10 * 60 * SECOND, DAY + 10 * 60 * SECOND];
        assert_eq!(sessions(&ts, Rules::gap(GAP)).len(), 1);
        let split = Rules { split_at_midnight: true, ..Rules::gap(GAP) };
        assert_eq!(sessions(&ts, split), [(0, 1, EndedBy::Midnight), (1, 2, EndedBy::Nothing)]);
    }

    #[test]
    fn v7_an_end_event_belongs_to_the_session_it_closes() {
        let ts = [0, 60 * SECOND, 90 * SECOND];
        let mut found = Vec::new();
        sessionize(&ts, Rules::gap(GAP), |at| at == 1, |_| Edge::FREE, |first, end, by| found.push((first, end, by)));
        assert_eq!(found, [(0, 2, EndedBy::EndEvent), (2, 3, EndedBy::Nothing)]);
    }

    #[test]
    fn what_somebody_said_goes_before_the_rules() {
        let ts = [0, 10, 20 + GAP, 30 + GAP];
        let said = [Edge::SPLIT, Edge::SPLIT, Edge::JOIN, Edge::JOIN.and(Edge::SPLIT).and(Edge::FLAG)];
        let mut found = Vec::new();
        sessionize(&ts, Rules::gap(GAP), |_| true, |at| said[at], |first, end, by| found.push((first, end, by)));
        let by = [EndedBy::Correction, EndedBy::Correction, EndedBy::EndEvent];
        assert_eq!(found, [(0, 1, by[0]), (1, 3, by[1]), (3, 4, by[2])]);
        let limited = Rules { max_duration: 15, max_events: 3, ..Rules::gap(GAP) };
        let (ts, mut found) = ([0, 100, 105, 110, 112], Vec::new());
        let said = |at| if at == 1 { Edge::JOIN } else { Edge::FREE };
        sessionize(&ts, limited, |_| false, said, |first, end, by| found.push((first, end, by)));
        assert_eq!(
            found,
            [(0, 4, EndedBy::MaxEvents), (4, 5, EndedBy::Nothing)],
            "the joined session has its own limits"
        );
        assert_eq!(Edge::SPLIT.and(Edge::FLAG).and(Edge::JOIN), Edge::JOIN.and(Edge::FLAG));
    }

    #[test]
    fn limits_cut_where_they_are_passed() {
        let ts = [0, 10, 20, 30];
        let long = Rules { max_duration: 15, ..Rules::gap(GAP) };
        assert_eq!(sessions(&ts, long), [(0, 2, EndedBy::MaxDuration), (2, 4, EndedBy::Nothing)]);
        let many = Rules { max_events: 3, ..Rules::gap(GAP) };
        assert_eq!(sessions(&ts, many), [(0, 3, EndedBy::MaxEvents), (3, 4, EndedBy::Nothing)]);
        assert_eq!(sessions(&[], long), []);
    }
}
