//! What goes with reaching a goal: how many sessions have something before it, and how many of those reach it.
//!
//! ```text
//! labels of a session   a  b  a  GOAL  c        only a, b, a count: the goal's own step and what follows would leak
//!   ─► Entry(a), Step(a), Step(b), Move(a, b), Move(b, a), and what the caller knows of the session: once each
//! ```

use hashbrown::HashMap;

/// Something that a session has or has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Factor {
    /// It visits the step.
    Step(u32),
    /// It goes from the one straight to the other.
    Move(u32, u32),
    /// It begins with the step.
    Entry(u32),
    /// The site that it came from.
    Referrer(u32),
    /// What it was made with.
    Device(u32),
}

impl Factor {
    /// The same with other codes of the same texts.
    fn recoded(self, mut code: impl FnMut(u32) -> u32) -> Self {
        match self {
            Self::Step(a) => Self::Step(code(a)),
            Self::Move(a, b) => Self::Move(code(a), code(b)),
            Self::Entry(a) => Self::Entry(code(a)),
            Self::Referrer(a) => Self::Referrer(code(a)),
            Self::Device(a) => Self::Device(code(a)),
        }
    }
}

/// Sessions, and those of them that reach the goal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reached {
    pub sessions: u64,
    pub reached: u64,
}

/// Counts sessions by what they have.
#[derive(Debug, Clone, Default)]
pub struct Correlate {
    all: Reached,
    /// And the last session that something was counted for, by number from 1.
    counts: HashMap<Factor, (Reached, u64)>,
}

impl Correlate {
    /// Takes in a session: its labels before the goal, whether it reaches the goal, and what else it has. `O(labels)`.
    pub fn session(&mut self, before: &[u32], reached: bool, others: impl IntoIterator<Item = Factor>) {
        self.all.sessions += 1;
        self.all.reached += u64::from(reached);
        let entry = before.first().map(|&label| Factor::Entry(label));
        let steps = before.iter().map(|&label| Factor::Step(label));
        let moves = before.windows(2).map(|pair| Factor::Move(pair[0], pair[1]));
        for factor in entry.into_iter().chain(steps).chain(moves).chain(others) {
            let (count, last) = self.counts.entry(factor).or_default();
            if *last != self.all.sessions {
                *last = self.all.sessions;
                count.sessions += 1;
                count.reached += u64::from(reached);
            }
        }
    }

    /// Adds what another one counted, whose texts are ours by `code`.
    pub fn merge(&mut self, other: &Self, mut code: impl FnMut(u32) -> u32) {
        self.all.sessions += other.all.sessions;
        self.all.reached += other.all.reached;
        for (factor, (count, _)) in &other.counts {
            let (sum, _) = self.counts.entry(factor.recoded(&mut code)).or_default();
            sum.sessions += count.sessions;
            sum.reached += count.reached;
        }
    }

    /// All sessions.
    #[must_use]
    pub fn all(&self) -> Reached {
        self.all
    }

    /// Everything that some session has, with the sessions that have it.
    pub fn factors(&self) -> impl Iterator<Item = (Factor, Reached)> {
        self.counts.iter().map(|(&factor, &(count, _))| (factor, count))
    }

    /// Bytes held.
    #[must_use]
    pub fn size(&self) -> usize {
        self.counts.capacity() * size_of::<(Factor, (Reached, u64))>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    /// Everything that a session has, as a set.
    fn naive(before: &[u32]) -> BTreeSet<Factor> {
        let mut has = BTreeSet::new();
        for (at, &label) in before.iter().enumerate() {
            has.insert(Factor::Step(label));
            if at == 0 {
                has.insert(Factor::Entry(label));
            } else {
                has.insert(Factor::Move(before[at - 1], label));
            }
        }
        has
    }

    fn counted(sessions: &[(Vec<u32>, bool)]) -> Correlate {
        let mut counts = Correlate::default();
        for (before, reached) in sessions {
            counts.session(before, *reached, []);
        }
        counts
    }

    proptest! {
        #[test]
        fn a_session_counts_once_for_all_that_it_has(
            sessions in prop::collection::vec((prop::collection::vec(0_u32..4, 0..6), any::<bool>()), 0..20),
            cut in 0_usize..20,
        ) {
            let mut expected: BTreeMap<Factor, Reached> = BTreeMap::new();
            for (before, reached) in &sessions {
                for factor in naive(before) {
                    let count = expected.entry(factor).or_default();
                    count.sessions += 1;
                    count.reached += u64::from(*reached);
                }
            }
            let (one, other) = sessions.split_at(cut.min(sessions.len()));
            let mut parts = counted(one);
            parts.merge(&counted(other), |code| code);
            for found in [counted(&sessions), parts] {
                prop_assert_eq!(found.factors().collect::<BTreeMap<_, _>>(), expected.clone());
                prop_assert_eq!(found.all().sessions, sessions.len() as u64);
            }
        }
    }
}
