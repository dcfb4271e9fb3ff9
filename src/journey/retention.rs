//! Retention: in which periods after their first one people come back (SEMANTICS §6).

use std::collections::BTreeMap;

use crate::time::{DAY, Day, civil_day};

/// What the events of a person are asked: whether they begin a history, whether they count as a return.
pub const START: u64 = 1;
/// See [`START`].
pub const RETURN: u64 = 2;

/// A length that time is cut into; weeks begin on Monday, days at midnight UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    Day,
    Week,
    Month,
}

impl Period {
    /// The number of the period that holds a time (µs).
    #[must_use]
    pub fn of(self, ts: i64) -> i64 {
        let day = ts.div_euclid(DAY);
        match self {
            Self::Day => day,
            // 1970-01-01 was a Thursday.
            Self::Week => (day + 3).div_euclid(7),
            Self::Month => {
                let (year, month, _) = Day::of(ts).civil();
                i64::from(year) * 12 + i64::from(month) - 1
            }
        }
    }

    /// The first µs of a period.
    #[must_use]
    pub fn start(self, number: i64) -> i64 {
        match self {
            Self::Day => number * DAY,
            Self::Week => (number * 7 - 3) * DAY,
            Self::Month => {
                let (year, month) = (i32::try_from(number.div_euclid(12)), u8::try_from(number.rem_euclid(12) + 1));
                let first = year.ok().zip(month.ok()).and_then(|(year, month)| civil_day(year, month, 1));
                first.map_or(i64::MAX, Day::start)
            }
        }
    }

    /// The length of a rolling period: a month is thirty days.
    const fn length(self) -> i64 {
        match self {
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            Self::Month => 30 * DAY,
        }
    }
}

/// How returns are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    pub period: Period,
    /// Periods are multiples of 24 hours from a person's first event, not those of the calendar.
    pub rolling: bool,
    /// Who returns in a period counts in all earlier ones too.
    pub on_or_after: bool,
    /// Only people whose first event lies in `[from, to)`, µs.
    pub within: (i64, i64),
}

/// People whose first event lies in one calendar period.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cohort {
    size: u64,
    /// People active in the cohort's own period, in the next one, …
    active: Vec<u64>,
}

impl Cohort {
    fn count(&mut self, period: usize) {
        if period >= self.active.len() {
            self.active.resize(period + 1, 0);
        }
        self.active[period] += 1;
    }
}

/// A cohort in one of its periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// First µs of the cohort's period.
    pub cohort: i64,
    /// People in the cohort.
    pub size: u64,
    /// The period, counted from the cohort's own, which is 0.
    pub period: i64,
    /// People active in it.
    pub users: u64,
    /// Whether it has ended, so that nobody can be added any more.
    pub complete: bool,
}

/// Counts over some people; partial ones add up.
#[derive(Debug)]
pub struct Cohorts {
    rules: Rules,
    cohorts: BTreeMap<i64, Cohort>,
}

impl Cohorts {
    /// Nobody yet.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, cohorts: BTreeMap::new() }
    }

    /// Adds a person: the times of all events, rising, and what each of them is ([`START`], [`RETURN`]).
    pub fn person(&mut self, ts: &[i64], is: impl Fn(usize) -> u64) {
        let Some(first) = (0..ts.len()).find(|&at| is(at) & START != 0) else { return };
        let Rules { within: (from, to), period, .. } = self.rules;
        if !(from..to).contains(&ts[first]) {
            return;
        }
        let own = period.of(ts[first]);
        let cohort = self.cohorts.entry(own).or_default();
        cohort.size += 1;
        let (mut last, mut counted_until) = (None, i64::MIN);
        for (at, &ts_at) in ts.iter().enumerate().skip(first) {
            if ts_at < counted_until || is(at) & RETURN == 0 {
                continue;
            }
            let number = if self.rules.rolling {
                let number = (ts_at - ts[first]) / period.length();
                counted_until = ts[first] + (number + 1) * period.length();
                number
            } else {
                let number = period.of(ts_at);
                counted_until = period.start(number + 1);
                number - own
            };
            last = usize::try_from(number).ok();
            if let Some(number) = last.filter(|_| !self.rules.on_or_after) {
                cohort.count(number);
            }
        }
        if let Some(last) = last.filter(|_| self.rules.on_or_after) {
            (0..=last).for_each(|number| cohort.count(number));
        }
    }

    /// Adds what another reader counted.
    pub fn merge(&mut self, other: Self) {
        for (number, more) in other.cohorts {
            let cohort = self.cohorts.entry(number).or_default();
            cohort.size += more.size;
            cohort.active.resize(cohort.active.len().max(more.active.len()), 0);
            cohort.active.iter_mut().zip(more.active).for_each(|(sum, more)| *sum += more);
        }
    }

    /// Every cohort in every period that has begun at the watermark (µs), also where nobody came.
    #[must_use]
    pub fn cells(&self, watermark: i64) -> Vec<Cell> {
        let mut cells = Vec::new();
        for (&own, cohort) in &self.cohorts {
            for number in 0.. {
                let (begin, end) = self.span(own, number);
                let users = usize::try_from(number).ok().and_then(|at| cohort.active.get(at).copied());
                if begin > watermark && users.is_none() {
                    break;
                }
                cells.push(Cell {
                    cohort: self.rules.period.start(own),
                    size: cohort.size,
                    period: number,
                    users: users.unwrap_or(0),
                    complete: end <= watermark,
                });
            }
        }
        cells
    }

    /// When the first of a cohort can be in a period, and when the last has left it.
    fn span(&self, own: i64, number: i64) -> (i64, i64) {
        let Rules { period, rolling, .. } = self.rules;
        if rolling {
            let length = period.length();
            (period.start(own) + number * length, period.start(own + 1) + (number + 1) * length)
        } else {
            (period.start(own + number), period.start(own + number + 1))
        }
    }

    /// Bytes held.
    #[must_use]
    pub fn size(&self) -> usize {
        self.cohorts.values().map(|cohort| 64 + cohort.active.capacity() * 8).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::HOUR;

    const CALENDAR: Rules =
        Rules { period: Period::Day, rolling: false, on_or_after: false, within: (i64::MIN, i64::MAX) };

    /// (period, users, complete) of the only cohort.
    fn cells(rules: Rules, people: &[&[i64]], watermark: i64) -> Vec<(i64, u64, bool)> {
        let mut cohorts = Cohorts::new(rules);
        for ts in people {
            let mut one = Cohorts::new(rules);
            one.person(ts, |_| START | RETURN);
            cohorts.merge(one);
        }
        cohorts.cells(watermark).iter().map(|cell| (cell.period, cell.users, cell.complete)).collect()
    }

    #[test]
    fn a_day_is_one_of_the_calendar_unless_it_rolls() {
        let ts: &[i64] = &[23 * HOUR, DAY + HOUR, DAY + 2 * HOUR, 2 * DAY + 23 * HOUR];
        assert_eq!(cells(CALENDAR, &[ts], ts[3]), [(0, 1, true), (1, 1, true), (2, 1, false)]);
        let rolling = Rules { rolling: true, ..CALENDAR };
        assert_eq!(cells(rolling, &[ts], ts[3]), [(0, 1, true), (1, 0, false), (2, 1, false)]);
    }

    #[test]
    fn who_comes_later_counts_before_where_asked() {
        let ts: [&[i64]; 2] = [&[0, 3 * DAY], &[0]];
        let after = Rules { on_or_after: true, ..CALENDAR };
        let found: Vec<u64> = cells(after, &ts, 3 * DAY).iter().map(|cell| cell.1).collect();
        assert_eq!(found, [2, 1, 1, 1]);
    }

    #[test]
    fn only_a_start_makes_a_cohort_and_only_a_return_counts() {
        let mut cohorts = Cohorts::new(CALENDAR);
        cohorts.person(&[0, DAY, 2 * DAY], |at| [RETURN, START, RETURN][at]);
        cohorts.person(&[0], |_| RETURN);
        let found: Vec<_> = cohorts.cells(2 * DAY).iter().map(|it| (it.cohort, it.size, it.period, it.users)).collect();
        assert_eq!(found, [(DAY, 1, 0, 0), (DAY, 1, 1, 1)]);
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        let at = |text: &str| Day::parse(text).map_or(0, Day::start);
        let week = Period::Week;
        assert_eq!(week.start(week.of(at("2026-01-11") + HOUR)), at("2026-01-05"));
        assert_eq!(week.of(at("2026-01-12")), week.of(at("2026-01-05")) + 1);
        let month = Period::Month;
        assert_eq!(month.start(month.of(at("2026-02-28")) + 1), at("2026-03-01"));
        assert_eq!(month.start(month.of(at("2025-12-31")) + 1), at("2026-01-01"));
    }
}
