//! Why a chain goes no further: the first thing after its last event that stopped it.

use super::rules::{Rules, Ties};

/// What stopped a chain, with the position of the event where it was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// No event meets the next step.
    Nothing,
    /// Events meet it, the last of them here, but none after the step before.
    Earlier(usize),
    /// Only events that fill another step meet it, the last of them here.
    Used(usize),
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
    /// may come in time; `ties` is what the chain was found by.
    #[must_use]
    pub fn of(rules: &Rules, ties: Ties, (ts, masks): (&[i64], &[u64]), chain: &[usize], open: bool) -> Self {
        let level = chain.len();
        let meets = |at: usize| masks[at] >> level & 1 == 1;
        let excluded = |at: usize| masks[at] & rules.excluded() != 0;
        let Some((&first, &last)) = chain.first().zip(chain.last()) else {
            // What meets the first step enters, unless it is excluded.
            return (0..ts.len()).find(|&at| meets(at)).map_or(Self::Nothing, Self::Excluded);
        };
        // In any order, what follows is told by time.
        let follows = |at: usize| match ties {
            Ties::Any => ts[at] >= ts[last].saturating_sub(rules.slack()) && !chain.contains(&at),
            Ties::Order => at > last,
        };
        for at in (0..ts.len()).filter(|&at| follows(at)) {
            if excluded(at) && (ties == Ties::Order || ts[at] > ts[first]) {
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
        let met =
            |used: bool| (0..ts.len()).rev().find(|at| meets(*at) && !excluded(*at) && chain.contains(at) == used);
        met(false).map(Self::Earlier).or(met(true).map(Self::Used)).unwrap_or(Self::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AnyOrder, Mode, Modes, Search};
    use super::*;

    /// A, B, C and the excluded X, one time unit apart; `.` meets nothing.
    fn why(rules: &Rules, ties: Ties, text: &str, open: bool) -> Stop {
        let masks: Vec<u64> =
            text.bytes().map(|it| b"ABCX".iter().position(|&b| b == it).map_or(0, |at| 1 << at)).collect();
        let ts: Vec<i64> = (0..).take(masks.len()).collect();
        let (mut search, mut chain) = (Search::new(rules.clone()), Vec::new());
        if ties == Ties::Any {
            AnyOrder::new(rules, &ts, &masks).unwrap().chain(&mut chain).unwrap();
        } else {
            let level = search.run(&ts, &masks);
            search.chain(&ts, &masks, level, false, &mut chain);
        }
        Stop::of(rules, ties, (&ts, &masks), &chain, open)
    }

    #[test]
    fn the_first_thing_that_stopped_it() {
        let rules = Rules::new(3, 4, Modes::default()).unwrap().exclude(0b1000);
        assert_eq!(why(&rules, Ties::Order, "BC.", false), Stop::Nothing);
        assert_eq!(why(&rules, Ties::Order, "A..", false), Stop::Nothing);
        assert_eq!(why(&rules, Ties::Order, "A..", true), Stop::Open);
        assert_eq!(why(&rules, Ties::Order, "CAB.", false), Stop::Earlier(0));
        assert_eq!(why(&rules, Ties::Order, "AB.XC", true), Stop::Excluded(3));
        assert_eq!(why(&rules, Ties::Order, "AB...C", true), Stop::Late(5));
        let stepped = rules.step_windows(vec![3, 1]).unwrap();
        assert_eq!(why(&stepped, Ties::Order, "AB.C", false), Stop::StepLate(3));
        let strict = Rules::new(3, 9, Modes::default().with(Mode::StrictOrder)).unwrap();
        assert_eq!(why(&strict, Ties::Order, "ABB.C", false), Stop::Between(3));
    }

    #[test]
    fn in_grace_the_time_tells_what_follows() {
        let rules = Rules::new(3, 4, Modes::default()).unwrap().exclude(0b1000).grace(1).unwrap();
        assert_eq!(why(&rules, Ties::Any, "CAB.", false), Stop::Earlier(0));
        assert_eq!(why(&rules, Ties::Any, "AC.B...", false), Stop::Earlier(1));
        assert_eq!(why(&rules, Ties::Any, "BAXC", true), Stop::Excluded(2));
        assert_eq!(why(&rules, Ties::Any, "XBA....C", true), Stop::Late(7));
        assert_eq!(why(&rules, Ties::Any, "XBA..", true), Stop::Open);
        assert_eq!(why(&rules, Ties::Any, "XBA..", false), Stop::Nothing);
    }

    #[test]
    fn an_event_that_another_step_has_taken() {
        let rules = Rules::new(2, 9, Modes::default()).unwrap();
        for ties in [Ties::Any, Ties::Order] {
            assert_eq!(Stop::of(&rules, ties, (&[0, 1], &[0b11, 0]), &[0], false), Stop::Used(0));
            assert_eq!(Stop::of(&rules, ties, (&[0, 1], &[0b10, 0b11]), &[1], false), Stop::Earlier(0));
        }
    }
}
