//! Why a chain goes no further: the first thing after its last event that stopped it.

use super::rules::Rules;

/// What stopped a chain, with the position of the event where it was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// No event meets the next step.
    Nothing,
    /// Events meet it, the last of them here, but none after the step before.
    Earlier(usize),
    /// An excluded event.
    Excluded(usize),
    /// An event that meets it, after the window.
    Late(usize),
    /// An event that meets it, after the step's own window.
    StepLate(usize),
    /// An event that the mode forbids between two steps.
    Between(usize),
    /// Nothing yet: the windows are open.
    Open,
}

impl Stop {
    /// Why the reported chain of some events, which does not reach the last step, ends. `open` says that more events
    /// may come in time.
    #[must_use]
    pub fn of(rules: &Rules, ts: &[i64], masks: &[u64], chain: &[usize], open: bool) -> Self {
        let level = chain.len();
        let meets = |at: usize| masks[at] >> level & 1 == 1;
        let excluded = |at: usize| masks[at] & rules.excluded() != 0;
        let Some((&first, &last)) = chain.first().zip(chain.last()) else {
            // What meets the first step enters, unless it is excluded.
            return (0..ts.len()).find(|&at| meets(at)).map_or(Self::Nothing, Self::Excluded);
        };
        for at in last + 1..ts.len() {
            if excluded(at) {
                return Self::Excluded(at);
            }
            if meets(at) && ts[at].saturating_sub(ts[first]) > rules.window() {
                return Self::Late(at);
            }
            if meets(at) && ts[at].saturating_sub(ts[last]) > rules.step_window(level) {
                return Self::StepLate(at);
            }
            if rules.breaks(level, masks[at]) {
                return Self::Between(at);
            }
        }
        if open {
            return Self::Open;
        }
        (0..=last).rev().find(|&at| meets(at) && !excluded(at)).map_or(Self::Nothing, Self::Earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Mode, Modes, Search};
    use super::*;

    /// A, B, C and the excluded X, one time unit apart; `.` meets nothing.
    fn why(rules: &Rules, text: &str, open: bool) -> Stop {
        let masks: Vec<u64> =
            text.bytes().map(|it| b"ABCX".iter().position(|&b| b == it).map_or(0, |at| 1 << at)).collect();
        let ts: Vec<i64> = (0..).take(masks.len()).collect();
        let (mut search, mut chain) = (Search::new(rules.clone()), Vec::new());
        let level = search.run(&ts, &masks);
        search.chain(&ts, &masks, level, false, &mut chain);
        Stop::of(rules, &ts, &masks, &chain, open)
    }

    #[test]
    fn the_first_thing_that_stopped_it() {
        let rules = Rules::new(3, 4, Modes::default()).unwrap().exclude(0b1000);
        assert_eq!(why(&rules, "BC.", false), Stop::Nothing);
        assert_eq!(why(&rules, "A..", false), Stop::Nothing);
        assert_eq!(why(&rules, "A..", true), Stop::Open);
        assert_eq!(why(&rules, "CAB.", false), Stop::Earlier(0));
        assert_eq!(why(&rules, "AB.XC", true), Stop::Excluded(3));
        assert_eq!(why(&rules, "AB...C", true), Stop::Late(5));
        let stepped = rules.step_windows(vec![3, 1]).unwrap();
        assert_eq!(why(&stepped, "AB.C", false), Stop::StepLate(3));
        let strict = Rules::new(3, 9, Modes::default().with(Mode::StrictOrder)).unwrap();
        assert_eq!(why(&strict, "ABB.C", false), Stop::Between(3));
    }
}
