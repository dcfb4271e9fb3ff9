//! Steps in any order where excluded events part what belongs together, or attempts are asked for.
//!
//! ```text
//! a  b  X  c  a      an excluded event begins another part; the most steps that one part fills count
//! a  b  b  c │ b     an attempt: from the first event of any step to that which fills the last, or to the window's end
//! ```

use std::ops::Range;

use super::chain::Chains;
use super::levels::Levels;
use super::rules::{Rules, Ties};
use super::ties::Matching;

/// What the events of a unit come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filled {
    /// The most steps that are filled.
    pub level: usize,
    /// The latest event from which more can be.
    pub latest: Option<i64>,
    /// Whether an excluded event came inside the window of one of a step before the unit was through.
    pub removed: bool,
    /// The events among which they are: of an attempt, all of it.
    pub part: Range<usize>,
}

/// Finds the most steps that are filled of one unit after the other, reusing its room.
#[derive(Debug)]
pub struct InParts {
    rules: Rules,
    ties: Ties,
    levels: Levels,
    chains: Chains,
    /// The steps that each event may fill.
    masks: Vec<u64>,
}

impl InParts {
    /// A finder for these rules, whose mode is `unordered`. With [`Ties::Any`] an excluded event is before or after
    /// others of its time stamp as it suits.
    #[must_use]
    pub fn new(rules: Rules, ties: Ties) -> Self {
        let (levels, chains) = (Levels::new(rules.clone()), Chains::new(rules.clone()));
        Self { rules, ties, levels, chains, masks: Vec::new() }
    }

    fn look(&mut self, masks: &[u64]) {
        let Rules { exclude, .. } = self.rules;
        let fills = |&mask: &u64| if mask & exclude == 0 { mask & self.rules.conditions() } else { 0 };
        self.masks.clear();
        self.masks.extend(masks.iter().map(fills));
    }

    /// The part of the events that fills the most, the first of those; see [`Levels::run`] for the arguments. Bits beyond
    /// the steps mark excluded events.
    pub fn run(&mut self, ts: &[i64], masks: &[u64]) -> Filled {
        self.look(masks);
        let (mut found, mut from, mut last) = (Filled::default(), 0, None);
        let ends = (0..ts.len()).filter(|&at| masks[at] & self.rules.exclude != 0).map(Some).chain([None]);
        for end in ends {
            // The part ends before `to`, the next begins at `next`; what is before `before` is before the excluded event.
            let (to, next, before) = match (end, self.ties) {
                (None, _) => (ts.len(), ts.len(), ts.len()),
                (Some(x), Ties::Order) => (x, x + 1, x),
                (Some(x), Ties::Any) => {
                    let first = ts.partition_point(|&t| t < ts[x]);
                    (ts.partition_point(|&t| t <= ts[x]), first, first)
                }
            };
            let level = self.levels.run(&ts[from..to], &self.masks[from..to]);
            found.latest = self.levels.latest_entry();
            if level > found.level {
                (found.level, found.part) = (level, from..to);
            }
            if level == self.rules.steps {
                break;
            }
            let here = self.masks[from.min(before)..before].iter().rposition(|&mask| mask != 0);
            last = here.map(|at| from + at).or(last);
            let inside = |x: usize, at: usize| ts[x].saturating_sub(ts[at]) <= self.rules.window;
            found.removed |= end.zip(last).is_some_and(|(x, at)| inside(x, at));
            from = next;
        }
        found
    }

    /// Appends the positions of the events that fill the steps of what was found, in order of their times.
    pub fn chain(&mut self, ts: &[i64], masks: &[u64], found: &Filled, out: &mut Vec<usize>) {
        self.look(masks);
        let (part, begin) = (found.part.clone(), out.len());
        self.chains.find(&ts[part.clone()], &self.masks[part.clone()], found.level, out);
        out[begin..].iter_mut().for_each(|at| *at += part.start);
    }

    /// Follows the first event of any step: an attempt is over when all steps are filled, at an excluded event, or with
    /// the window. `None` if there is none.
    pub fn attempt(&mut self, ts: &[i64], masks: &[u64]) -> Option<Filled> {
        self.look(masks);
        let start = self.masks.iter().position(|&mask| mask != 0)?;
        let mut matching = Matching::new(&self.masks, self.rules.conditions());
        let mut found = Filled { part: start..start, ..Filled::default() };
        for at in start..ts.len() {
            let inside = ts[at].saturating_sub(ts[start]) <= self.rules.window;
            found.removed = inside && masks[at] & self.rules.exclude != 0;
            if !inside || found.removed {
                return Some(found);
            }
            found.level += usize::from(matching.add(at));
            found.part.end = at + 1;
            if found.level == self.rules.steps {
                return Some(found);
            }
        }
        found.latest = Some(ts[start]);
        Some(found)
    }
}

/// The conditions that are left over when each of some events fills one, as many as they can.
#[must_use]
pub fn unfilled(rules: &Rules, masks: &[u64]) -> u64 {
    let mut matching = Matching::new(masks, rules.conditions());
    (0..masks.len()).for_each(|event| {
        matching.add(event);
    });
    rules.conditions() & !matching.filled()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Mode, Modes};
    use super::*;

    const X: u64 = 1 << 3;

    fn rules(window: i64) -> Rules {
        let modes = Modes::default().with(Mode::Unordered).with(Mode::StrictOnce);
        Rules::new(3, window, modes).unwrap().exclude(X)
    }

    /// Whether each of the events can fill a step of its own.
    fn fills(masks: &[u64], free: u64) -> bool {
        let Some((mask, rest)) = masks.split_first() else { return true };
        mask & X == 0 && (0..3).any(|step| mask & free & 1 << step != 0 && fills(rest, free & !(1 << step)))
    }

    /// Every set of events that fills steps in one window without an excluded event in between.
    fn sets(rules: &Rules, ties: Ties, ts: &[i64], masks: &[u64]) -> Vec<Vec<usize>> {
        let all =
            (1_u32..1 << ts.len()).map(|set| (0..ts.len()).filter(|at| set >> at & 1 == 1).collect::<Vec<usize>>());
        let fits = |set: &Vec<usize>| {
            let (first, last) = (set[0], set[set.len() - 1]);
            let between = |x: usize| match ties {
                Ties::Order => first < x && x < last,
                Ties::Any => ts[first] < ts[x] && ts[x] < ts[last],
            };
            set.len() <= 3
                && ts[last] - ts[first] <= rules.window
                && fills(&set.iter().map(|&at| masks[at]).collect::<Vec<u64>>(), 7)
                && !(0..ts.len()).any(|x| masks[x] & X != 0 && between(x))
        };
        all.filter(fits).collect()
    }

    fn person() -> impl Strategy<Value = (Vec<i64>, Vec<u64>)> {
        proptest::collection::vec((0_i64..8, 0_u64..16, any::<bool>()), 0..=8).prop_map(|mut events| {
            events.sort_by_key(|event| event.0);
            events.into_iter().map(|(t, mask, thin)| (t, if thin { mask & mask >> 1 } else { mask })).unzip()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(5_000) })]

        #[test]
        fn the_part_that_fills_most(window in 0_i64..6, any in any::<bool>(), (ts, masks) in person()) {
            let (rules, ties) = (rules(window), if any { Ties::Any } else { Ties::Order });
            let case = format!("{window} {ties:?} {ts:?} {masks:?}");
            let mut finder = InParts::new(rules.clone(), ties);
            let found = finder.run(&ts, &masks);
            let sets = sets(&rules, ties, &ts, &masks);
            let most = sets.iter().map(Vec::len).max().unwrap_or(0);
            prop_assert_eq!(found.level, most, "{}", case);
            let mut chain = Vec::new();
            finder.chain(&ts, &masks, &found, &mut chain);
            prop_assert!(chain.is_empty() == sets.is_empty() && (chain.is_empty() || sets.contains(&chain)), "{}", case);
            let ends = sets.iter().filter(|set| set.len() == most).map(|set| ts[set[most - 1]]);
            prop_assert_eq!(chain.last().map(|&at| ts[at]), ends.min(), "{}", case);
            // Taken out by the first excluded event that comes, in time, behind one of a step, unless all is done.
            let step = |at: &usize| masks[*at] & X == 0 && masks[*at] & 7 != 0;
            let after = |x: usize, at: usize| if any { ts[at] < ts[x] } else { at < x };
            let done = |x: usize| sets.iter().any(|set| set.len() == 3 && set.iter().all(|&at| if any { ts[at] <= ts[x] } else { at < x }));
            let removes = |x: usize| (0..ts.len()).filter(step).any(|at| after(x, at) && ts[x] - ts[at] <= window);
            let removed = (0..ts.len()).any(|x| masks[x] & X != 0 && !done(x) && removes(x));
            prop_assert_eq!(found.removed, removed, "{}", case);
            let open = (0..ts.len()).filter(step).filter(|&at| !(0..ts.len()).any(|x| masks[x] & X != 0 && if any { ts[x] > ts[at] } else { x > at }));
            if most < 3 {
                prop_assert_eq!(found.latest, open.map(|at| ts[at]).max(), "{}", case);
            }
        }

        #[test]
        fn an_attempt_ends_when_all_is_filled_or_nothing_more_can_be(window in 0_i64..6, (ts, masks) in person()) {
            let (rules, case) = (rules(window), format!("{window} {ts:?} {masks:?}"));
            let found = InParts::new(rules.clone(), Ties::Order).attempt(&ts, &masks);
            let start = (0..ts.len()).find(|&at| masks[at] & X == 0 && masks[at] & 7 != 0);
            prop_assert_eq!(found.is_some(), start.is_some());
            let (Some(found), Some(start)) = (found, start) else { return Ok(()) };
            let end = (start..ts.len()).find(|&at| ts[at] - ts[start] > window || masks[at] & X != 0);
            let of = |to: usize| {
                let sets = sets(&rules, Ties::Order, &ts[start..to], &masks[start..to]);
                sets.iter().map(Vec::len).max().unwrap_or(0)
            };
            let whole = (start..=end.unwrap_or(ts.len())).find(|&to| of(to) == 3);
            let expected = start..whole.or(end).unwrap_or(ts.len());
            prop_assert_eq!(&found.part, &expected, "{}", case);
            prop_assert_eq!(found.level, of(expected.end), "{}", case);
            let ended = end.filter(|_| whole.is_none());
            prop_assert_eq!(found.removed, ended.is_some_and(|at| ts[at] - ts[start] <= window), "{}", case);
            prop_assert_eq!(found.latest.is_some(), whole.is_none() && end.is_none(), "{}", case);
        }
    }

    #[test]
    fn what_is_left_over() {
        assert_eq!(unfilled(&rules(1), &[0b011, 0b010]), 0b100);
        assert_eq!(unfilled(&rules(1), &[0b011]).count_ones(), 2);
    }
}
