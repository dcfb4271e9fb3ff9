//! Retention: in which periods after their first one people come back (SEMANTICS §6).

use std::collections::BTreeMap;

use super::period::Period;

/// What the events of a person are asked: whether they begin a history, whether they count as a return.
pub const START: u64 = 1;
/// See [`START`].
pub const RETURN: u64 = 2;

/// Which periods are told apart, counted from a cohort's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Columns {
    /// Each.
    All,
    /// Each of the first so many.
    First(usize),
    /// The own one, then brackets: where each column begins, and where the last one ends.
    Brackets(Vec<usize>),
}

impl Columns {
    /// The own period, then brackets of these lengths, in periods.
    #[must_use]
    pub fn brackets(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut starts = vec![0, 1];
        let mut end = 1;
        for length in lengths {
            end += length;
            starts.push(end);
        }
        Self::Brackets(starts)
    }

    /// The column of a period.
    fn of(&self, period: usize) -> Option<usize> {
        match self {
            Self::All => Some(period),
            Self::First(count) => (period < *count).then_some(period),
            Self::Brackets(starts) => {
                let at = starts.partition_point(|&start| start <= period);
                (at < starts.len()).then(|| at - 1)
            }
        }
    }

    /// The column that begins with a period.
    #[must_use]
    pub fn beginning(&self, period: usize) -> Option<usize> {
        self.of(period).filter(|&column| self.span(column).is_some_and(|(first, _)| first == period))
    }

    /// How many columns begin with a period or before it.
    fn until(&self, period: usize) -> usize {
        match self {
            Self::All => period + 1,
            Self::First(count) => (*count).min(period + 1),
            Self::Brackets(starts) => starts[..starts.len() - 1].partition_point(|&start| start <= period),
        }
    }

    /// The first and last period of a column.
    fn span(&self, column: usize) -> Option<(usize, usize)> {
        match self {
            Self::All => Some((column, column)),
            Self::First(count) => (column < *count).then_some((column, column)),
            Self::Brackets(starts) => Some((starts[column], starts.get(column + 1)? - 1)),
        }
    }
}

/// How returns are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    pub period: Period,
    /// Periods are multiples of 24 hours from a person's first event, not those of the calendar.
    pub rolling: bool,
    /// Who returns in a period counts in all earlier ones too.
    pub on_or_after: bool,
    /// A person is in the cohort of every period with a start, not of the first one alone.
    pub recurring: bool,
    pub columns: Columns,
    /// Only starts in `[from, to)`, µs.
    pub within: (i64, i64),
}

/// The times of a person's events, rising: in UTC, and on the clock that days are read from.
#[derive(Debug, Clone, Copy)]
pub struct Times<'a> {
    pub utc: &'a [i64],
    pub local: &'a [i64],
}

/// People whose start lies in one calendar period.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cohort {
    size: u64,
    /// People active in each column.
    active: Vec<u64>,
}

impl Cohort {
    fn count(&mut self, column: usize) {
        if column >= self.active.len() {
            self.active.resize(column + 1, 0);
        }
        self.active[column] += 1;
    }

    /// Counts a person with these periods of return, ascending.
    fn add(&mut self, rules: &Rules, returns: impl Iterator<Item = i64>) {
        self.size += 1;
        let mut returns = returns.filter_map(|period| usize::try_from(period).ok());
        if rules.on_or_after {
            let until = returns.last().map_or(0, |last| rules.columns.until(last));
            (0..until).for_each(|column| self.count(column));
            return;
        }
        let mut counted = None;
        while let Some(column) = returns.next().and_then(|period| rules.columns.of(period)) {
            if counted != Some(column) {
                self.count(column);
                counted = Some(column);
            }
        }
    }
}

/// A cohort in one of its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// First µs of the cohort's period.
    pub cohort: i64,
    /// People in the cohort.
    pub size: u64,
    /// The column's first period, counted from the cohort's own, which is 0.
    pub period: usize,
    /// And its last.
    pub until: usize,
    /// People active in it.
    pub users: u64,
    /// Whether it has ended, so that nobody can be added any more.
    pub complete: bool,
}

/// A calendar period of a person.
#[derive(Debug)]
struct Visit {
    number: i64,
    /// The first start in it.
    start: Option<i64>,
    /// The last return in it.
    back: Option<i64>,
}

/// Counts over some people; partial ones add up.
#[derive(Debug)]
pub struct Cohorts {
    rules: Rules,
    by_period: BTreeMap<i64, Cohort>,
    /// Of one person; kept for its memory.
    visits: Vec<Visit>,
    returns: Vec<i64>,
}

impl Cohorts {
    /// Nobody yet.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, by_period: BTreeMap::new(), visits: Vec::new(), returns: Vec::new() }
    }

    /// Adds a person: the times of all events, and what each of them is ([`START`], [`RETURN`]).
    pub fn person(&mut self, times: Times<'_>, is: impl Fn(usize) -> u64) {
        if self.rules.recurring { self.every_start(times, is) } else { self.first_start(times, is) }
    }

    fn first_start(&mut self, Times { utc, local }: Times<'_>, is: impl Fn(usize) -> u64) {
        let Some(first) = (0..utc.len()).find(|&at| is(at) & START != 0) else { return };
        let Rules { within: (from, to), period, rolling, .. } = self.rules;
        if !(from..to).contains(&utc[first]) {
            return;
        }
        let own = period.of(local[first]);
        let clock = if rolling { utc } else { local };
        let mut counted_until = i64::MIN;
        self.returns.clear();
        for (at, &ts) in clock.iter().enumerate().skip(first) {
            if ts < counted_until || is(at) & RETURN == 0 {
                continue;
            }
            let number = if rolling {
                let number = (ts - utc[first]) / period.length();
                counted_until = utc[first] + (number + 1) * period.length();
                number
            } else {
                let number = period.of(ts);
                counted_until = period.start(number + 1);
                number - own
            };
            self.returns.push(number);
        }
        self.by_period.entry(own).or_default().add(&self.rules, self.returns.iter().copied());
    }

    fn every_start(&mut self, Times { utc, local }: Times<'_>, is: impl Fn(usize) -> u64) {
        self.visits.clear();
        for (at, &ts) in local.iter().enumerate() {
            let is = is(at);
            if is & (START | RETURN) == 0 {
                continue;
            }
            let number = self.rules.period.of(ts);
            if self.visits.last().is_none_or(|visit| visit.number < number) {
                self.visits.push(Visit { number, start: None, back: None });
            }
            let Some(visit) = self.visits.last_mut() else { continue };
            if is & START != 0 {
                visit.start = visit.start.or(Some(utc[at]));
            }
            if is & RETURN != 0 {
                visit.back = Some(utc[at]);
            }
        }
        let (from, to) = self.rules.within;
        for (at, visit) in self.visits.iter().enumerate() {
            let Some(start) = visit.start.filter(|start| (from..to).contains(start)) else { continue };
            let back = self.visits[at..].iter().filter(|later| later.back.is_some_and(|back| back >= start));
            let cohort = self.by_period.entry(visit.number).or_default();
            cohort.add(&self.rules, back.map(|later| later.number - visit.number));
        }
    }

    /// The people of a cohort, by the number of its period, and those of them active in a column.
    #[must_use]
    pub fn cell(&self, own: i64, column: usize) -> (u64, u64) {
        let active = |cohort: &Cohort| cohort.active.get(column).copied().unwrap_or(0);
        self.by_period.get(&own).map_or((0, 0), |cohort| (cohort.size, active(cohort)))
    }

    /// Adds what another reader counted.
    pub fn merge(&mut self, other: Self) {
        for (number, more) in other.by_period {
            let cohort = self.by_period.entry(number).or_default();
            cohort.size += more.size;
            cohort.active.resize(cohort.active.len().max(more.active.len()), 0);
            cohort.active.iter_mut().zip(more.active).for_each(|(sum, more)| *sum += more);
        }
    }

    /// Every cohort in every column that has begun at the watermark (µs), also where nobody came; `None` if those are more
    /// than `most`.
    #[must_use]
    pub fn cells(&self, watermark: i64, most: usize) -> Option<Vec<Cell>> {
        let mut cells = Vec::new();
        for (&own, cohort) in &self.by_period {
            for column in 0.. {
                let Some((period, until)) = self.rules.columns.span(column) else { break };
                let users = cohort.active.get(column).copied();
                if self.span(own, period).0 > watermark && users.is_none() {
                    break;
                }
                if cells.len() == most {
                    return None;
                }
                cells.push(Cell {
                    cohort: self.rules.period.start(own),
                    size: cohort.size,
                    period,
                    until,
                    users: users.unwrap_or(0),
                    complete: self.span(own, until).1 <= watermark,
                });
            }
        }
        Some(cells)
    }

    /// When the first of a cohort can be in a period, and when the last has left it.
    fn span(&self, own: i64, number: usize) -> (i64, i64) {
        let Rules { period, rolling, .. } = self.rules;
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        if rolling {
            let after = |periods: i64| period.length().saturating_mul(periods);
            let (first, last) = (period.start(own), period.start(own + 1));
            (first.saturating_add(after(number)), last.saturating_add(after(number.saturating_add(1))))
        } else {
            (period.start(own + number), period.start(own + number + 1))
        }
    }

    /// Bytes held.
    #[must_use]
    pub fn size(&self) -> usize {
        self.by_period.values().map(|cohort| 64 + cohort.active.capacity() * 8).sum()
    }
}

#[cfg(test)]
mod tests;
