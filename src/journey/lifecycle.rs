//! Lifecycle and stickiness: what the periods in which somebody was there say of each other (SEMANTICS §6).
//!
//! ```text
//! period   1    2    3    4    5    6
//! somebody x    x              x
//!          new  returning  dormant (3)  resurrecting (5)  dormant (6)
//! ```
//! Invariants: who is there in a period is new, returning or resurrecting in it; who was there in the one before is returning
//! or dormant.

use std::collections::BTreeMap;

use super::period::Period;

/// People of a period by what they did in the ones before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stage {
    /// There for the first time ever.
    pub new: u64,
    /// There, and in the period before.
    pub returning: u64,
    /// There, not in the period before, and in an earlier one.
    pub resurrecting: u64,
    /// Not there, and in the period before.
    pub dormant: u64,
}

/// Stages by period, over some people; partial ones add up.
#[derive(Debug)]
pub struct Lifecycle {
    period: Period,
    stages: BTreeMap<i64, Stage>,
}

impl Lifecycle {
    /// Nobody yet.
    #[must_use]
    pub fn new(period: Period) -> Self {
        Self { period, stages: BTreeMap::new() }
    }

    /// Adds a person who was there at these times, rising.
    pub fn person(&mut self, times: impl Iterator<Item = i64>) {
        let period = self.period;
        let mut last: Option<i64> = None;
        for number in times.map(|ts| period.of(ts)) {
            match last {
                // A clock that is put back at midnight goes back a day.
                Some(before) if number <= before => continue,
                None => self.stage(number).new += 1,
                Some(before) if number == before + 1 => self.stage(number).returning += 1,
                Some(before) => {
                    self.stage(before + 1).dormant += 1;
                    self.stage(number).resurrecting += 1;
                }
            }
            last = Some(number);
        }
        if let Some(last) = last {
            self.stage(last + 1).dormant += 1;
        }
    }

    fn stage(&mut self, number: i64) -> &mut Stage {
        self.stages.entry(number).or_default()
    }

    /// Adds what another reader counted.
    pub fn merge(&mut self, other: Self) {
        for (number, more) in other.stages {
            let stage = self.stage(number);
            stage.new += more.new;
            stage.returning += more.returning;
            stage.resurrecting += more.resurrecting;
            stage.dormant += more.dormant;
        }
    }

    /// Number and stage of every period from the first with somebody to the one of the watermark (µs).
    pub fn periods(&self, watermark: i64) -> impl Iterator<Item = (i64, Stage)> {
        let first = self.stages.keys().next().copied().unwrap_or(i64::MAX);
        let last = self.period.of(watermark);
        (first..=last).map(|number| (number, self.stages.get(&number).copied().unwrap_or_default()))
    }

    /// Bytes held.
    #[must_use]
    pub fn size(&self) -> usize {
        self.stages.len() * (size_of::<Stage>() + 16)
    }
}

/// People by the days on which they were there, period by period; partial ones add up.
#[derive(Debug)]
pub struct Stickiness {
    period: Period,
    /// People who were there in a period on so many days.
    people: BTreeMap<(i64, i64), u64>,
}

impl Stickiness {
    /// Nobody yet.
    #[must_use]
    pub fn new(period: Period) -> Self {
        Self { period, people: BTreeMap::new() }
    }

    /// Adds a person who was there at these times, rising.
    pub fn person(&mut self, times: impl Iterator<Item = i64>) {
        let mut open: Option<(i64, i64)> = None;
        let mut last = i64::MIN;
        for ts in times {
            let day = Period::Day.of(ts);
            if day <= last {
                continue;
            }
            last = day;
            let number = self.period.of(ts);
            open = match open {
                Some((period, days)) if period == number => Some((period, days + 1)),
                before => {
                    self.count(before);
                    Some((number, 1))
                }
            };
        }
        self.count(open);
    }

    fn count(&mut self, period_and_days: Option<(i64, i64)>) {
        if let Some(key) = period_and_days {
            *self.people.entry(key).or_default() += 1;
        }
    }

    /// Adds what another reader counted.
    pub fn merge(&mut self, other: Self) {
        for (key, more) in other.people {
            *self.people.entry(key).or_default() += more;
        }
    }

    /// For every period with somebody: its number, and how many people were there on 1, 2, … days of it.
    #[must_use]
    pub fn periods(&self) -> Vec<(i64, Vec<u64>)> {
        let mut periods: Vec<(i64, Vec<u64>)> = Vec::new();
        for (&(number, days), &people) in &self.people {
            if periods.last().is_none_or(|last| last.0 != number) {
                periods.push((number, Vec::new()));
            }
            if let Some((_, by_days)) = periods.last_mut() {
                by_days.resize(usize::try_from(days - 1).unwrap_or(0), 0);
                by_days.push(people);
            }
        }
        periods
    }

    /// Bytes held.
    #[must_use]
    pub fn size(&self) -> usize {
        self.people.len() * 48
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::time::{DAY, HOUR};

    #[test]
    fn somebody_is_new_once_and_dormant_right_after() {
        let mut days = Lifecycle::new(Period::Day);
        days.person([0, HOUR, DAY, 4 * DAY].into_iter());
        let stages: Vec<[u64; 4]> =
            days.periods(5 * DAY).map(|(_, it)| [it.new, it.returning, it.resurrecting, it.dormant]).collect();
        assert_eq!(stages, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]);
    }

    #[test]
    fn days_of_a_week_are_counted_once() {
        let mut weeks = Stickiness::new(Period::Week);
        // Monday and Tuesday, then next Monday; somebody else on Monday alone.
        let monday = 4 * DAY;
        weeks.person([monday, monday + HOUR, monday + DAY, monday + 7 * DAY].into_iter());
        weeks.person(std::iter::once(monday));
        assert_eq!(weeks.periods(), [(1, vec![1, 1]), (2, vec![1])]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

        #[test]
        fn lifecycle_and_stickiness_are_what_sets_say(
            people in prop::collection::vec(prop::collection::btree_set(0_i64..90, 0..12), 1..6), week: bool,
        ) {
            let period = if week { Period::Week } else { Period::Day };
            let (mut lifecycle, mut sticky) = (Lifecycle::new(period), Stickiness::new(Period::Week));
            for times in &people {
                let (mut one, mut other) = (Lifecycle::new(period), Stickiness::new(Period::Week));
                one.person(times.iter().map(|at| at * 8 * HOUR));
                other.person(times.iter().map(|at| at * 8 * HOUR));
                lifecycle.merge(one);
                sticky.merge(other);
            }
            let periods: Vec<BTreeSet<i64>> =
                people.iter().map(|times| times.iter().map(|at| period.of(at * 8 * HOUR)).collect()).collect();
            for (number, stage) in lifecycle.periods(40 * DAY) {
                let count = |is: &dyn Fn(&BTreeSet<i64>) -> bool| periods.iter().filter(|it| is(it)).count() as u64;
                prop_assert_eq!(stage.new, count(&|it| it.first() == Some(&number)));
                prop_assert_eq!(stage.returning, count(&|it| it.contains(&number) && it.contains(&(number - 1))));
                let there = stage.new + stage.returning + stage.resurrecting;
                prop_assert_eq!(there, count(&|it| it.contains(&number)));
                prop_assert_eq!(stage.returning + stage.dormant, count(&|it| it.contains(&(number - 1))));
            }
            for (number, by_days) in sticky.periods() {
                for (days, &users) in (1..).zip(&by_days) {
                    let of_week = |times: &BTreeSet<i64>| {
                        let days = times.iter().map(|at| at * 8 * HOUR).filter(|&ts| Period::Week.of(ts) == number);
                        days.map(|ts| Period::Day.of(ts)).collect::<BTreeSet<_>>().len()
                    };
                    prop_assert_eq!(users, people.iter().filter(|it| of_week(it) == days).count() as u64);
                }
            }
        }
    }
}
