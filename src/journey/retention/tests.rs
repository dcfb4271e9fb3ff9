//! Cohorts against a count over sets, and the cases that say what a cohort is.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::time::{DAY, HOUR};

const ALWAYS: (i64, i64) = (i64::MIN, i64::MAX);
const CALENDAR: Rules = Rules {
    period: Period::Day,
    rolling: false,
    on_or_after: false,
    recurring: false,
    columns: Columns::All,
    within: ALWAYS,
};

/// Times and kinds of one person's events.
type Events = Vec<(i64, u64)>;

fn counted(rules: &Rules, people: &[Events]) -> Cohorts {
    let mut cohorts = Cohorts::new(rules.clone());
    for events in people {
        let mut one = Cohorts::new(rules.clone());
        let ts: Vec<i64> = events.iter().map(|event| event.0).collect();
        one.person(Times { utc: &ts, local: &ts }, |at| events[at].1);
        cohorts.merge(one);
    }
    cohorts
}

/// (period, users, complete) of the only cohort, of people all of whose events are both.
fn cells(rules: &Rules, people: &[&[i64]], watermark: i64) -> Vec<(usize, u64, bool)> {
    let people: Vec<Events> = people.iter().map(|ts| ts.iter().map(|&ts| (ts, START | RETURN)).collect()).collect();
    counted(rules, &people)
        .cells(watermark, usize::MAX)
        .unwrap()
        .iter()
        .map(|cell| (cell.period, cell.users, cell.complete))
        .collect()
}

#[test]
fn a_day_is_one_of_the_calendar_unless_it_rolls() {
    let ts: &[i64] = &[23 * HOUR, DAY + HOUR, DAY + 2 * HOUR, 2 * DAY + 23 * HOUR];
    assert_eq!(cells(&CALENDAR, &[ts], ts[3]), [(0, 1, true), (1, 1, true), (2, 1, false)]);
    let rolling = Rules { rolling: true, ..CALENDAR };
    assert_eq!(cells(&rolling, &[ts], ts[3]), [(0, 1, true), (1, 0, false), (2, 1, false)]);
}

#[test]
fn who_comes_later_counts_before_where_asked() {
    let ts: [&[i64]; 2] = [&[0, 3 * DAY], &[0]];
    let after = Rules { on_or_after: true, ..CALENDAR };
    let found: Vec<u64> = cells(&after, &ts, 3 * DAY).iter().map(|cell| cell.1).collect();
    assert_eq!(found, [2, 1, 1, 1]);
}

#[test]
fn only_a_start_makes_a_cohort_and_only_a_return_counts() {
    let people = [vec![(0, RETURN), (DAY, START), (2 * DAY, RETURN)], vec![(0, RETURN)]];
    let cells = counted(&CALENDAR, &people).cells(2 * DAY, usize::MAX).unwrap();
    let found: Vec<_> = cells.iter().map(|it| (it.cohort, it.size, it.period, it.users)).collect();
    assert_eq!(found, [(DAY, 1, 0, 0), (DAY, 1, 1, 1)]);
}

#[test]
fn a_bracket_counts_a_person_once_and_ends_with_its_last_period() {
    let brackets = Rules { columns: Columns::brackets([2, 3]), ..CALENDAR };
    let ts: &[i64] = &[0, DAY, 2 * DAY, 7 * DAY];
    let cohorts = counted(&brackets, &[ts.iter().map(|&ts| (ts, START | RETURN)).collect()]);
    let found: Vec<_> = cohorts
        .cells(5 * DAY, usize::MAX)
        .unwrap()
        .iter()
        .map(|it| (it.period, it.until, it.users, it.complete))
        .collect();
    assert_eq!(found, [(0, 0, 1, true), (1, 2, 1, true), (3, 5, 0, false)]);
}

#[test]
fn a_clock_of_its_own_moves_days_and_not_the_hours_between() {
    // 23:00 UTC is the next day one hour east.
    let utc = [23 * HOUR, DAY + 22 * HOUR, DAY + 23 * HOUR];
    let local = utc.map(|ts| ts + HOUR);
    let mut cohorts = Cohorts::new(CALENDAR);
    cohorts.person(Times { utc: &utc, local: &local }, |_| START | RETURN);
    let found: Vec<_> = cohorts.cells(local[2], usize::MAX).unwrap().iter().map(|it| (it.cohort, it.users)).collect();
    assert_eq!(found, [(DAY, 1), (DAY, 1)]);
}

/// The definition over sets: cohort, size, users by column, for as many periods as there can be.
fn naive(rules: &Rules, people: &[Events], columns: &[Vec<i64>]) -> BTreeMap<i64, (u64, Vec<u64>)> {
    let mut cohorts: BTreeMap<i64, (u64, Vec<u64>)> = BTreeMap::new();
    for events in people {
        let starts = events.iter().filter(|event| event.1 & START != 0).map(|event| event.0);
        let own = |ts: i64| rules.period.of(ts);
        // The first start of each period that counts.
        let mut entries: BTreeMap<i64, i64> = BTreeMap::new();
        for ts in starts {
            entries.entry(own(ts)).or_insert(ts);
        }
        if !rules.recurring {
            entries = entries.into_iter().take(1).collect();
        }
        for (period, start) in entries.into_iter().filter(|(_, ts)| (rules.within.0..rules.within.1).contains(ts)) {
            let returns = events.iter().filter(|event| event.1 & RETURN != 0 && event.0 >= start);
            let number = |ts: i64| if rules.rolling { (ts - start) / rules.period.length() } else { own(ts) - period };
            let returns: BTreeSet<i64> = returns.map(|event| number(event.0)).collect();
            let cohort = cohorts.entry(period).or_insert_with(|| (0, vec![0; columns.len()]));
            cohort.0 += 1;
            for (column, count) in columns.iter().zip(&mut cohort.1) {
                let is_active =
                    returns.iter().any(|number| column.contains(number) || rules.on_or_after && *number >= column[0]);
                *count += u64::from(is_active);
            }
        }
    }
    cohorts
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn cohorts_are_what_sets_say(
        people in prop::collection::vec(prop::collection::vec((0_i64..40, 0_u64..4), 0..12), 0..6),
        week: bool, rolling: bool, on_or_after: bool, recurring: bool, kind in 0_u8..3, from in 0_i64..20,
    ) {
        let people: Vec<Events> = people
            .into_iter()
            .map(|mut events| {
                events.sort_unstable();
                // A third of a day, so that days and their borders are met.
                events.into_iter().map(|(at, is)| (at * 8 * HOUR, is)).collect()
            })
            .collect();
        let period = if week { Period::Week } else { Period::Day };
        let (columns, spans): (Columns, Vec<Vec<i64>>) = match kind {
            0 => (Columns::All, (0..20).map(|at| vec![at]).collect()),
            1 => (Columns::First(3), (0..3).map(|at| vec![at]).collect()),
            _ => (Columns::brackets([2, 1, 4]), vec![vec![0], vec![1, 2], vec![3], vec![4, 5, 6, 7]]),
        };
        let within = (from * 8 * HOUR, 30 * 8 * HOUR);
        let rules = Rules { period, rolling: rolling && !recurring, on_or_after, recurring, columns, within };
        let watermark = 400 * DAY;
        let mut found: BTreeMap<i64, (u64, Vec<u64>)> = BTreeMap::new();
        for cell in counted(&rules, &people).cells(watermark, usize::MAX).unwrap() {
            let cohort = found.entry(rules.period.of(cell.cohort)).or_insert_with(|| (cell.size, Vec::new()));
            cohort.1.push(cell.users);
        }
        for cohort in found.values_mut() {
            cohort.1.resize(spans.len(), 0);
        }
        prop_assert_eq!(found, naive(&rules, &people, &spans));
    }
}
