//! Patterns over the rows of a partition, as SQL:2016's `MATCH_RECOGNIZE` has them: `A B+? (C | D){1,3} $`.
//!
//! A match begins at the first row that allows one; of all that begin there the preferred one is taken: an earlier
//! alternative before a later one, as many repetitions as possible (or, reluctant, as few), decided from left to right. A
//! repetition without an upper bound that has met no row ends there, so that `(A*)*` is finite.
//!
//! ```text
//! Pattern ─► Program: for each place of a variable what may stand behind it, in the order of preference
//!         ─► Matcher: the ways through it row by row, going back where a way fails
//! ```
//! Where a variable's condition depends on the row alone, a place that has failed at a row fails there for ever: all
//! starts of a partition together cost at most `places × rows` tests. Where it depends on the match so far nothing can be
//! remembered; whoever tests the conditions counts the steps and gives up.
//!
//! Invariants: the rows of a match lie side by side; matches begin at rising rows.

#[cfg(test)]
mod brute;
mod program;

pub use program::{Program, TooLarge};

use std::ops::Range;

/// A pattern as it is written; variables are numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Pattern {
    Variable(u16),
    /// `^`: before the first row of the partition.
    Start,
    /// `$`: behind its last row.
    End,
    Sequence(Vec<Self>),
    /// The first that leads to a match.
    Choice(Vec<Self>),
    Repeat {
        inner: Box<Self>,
        least: u32,
        /// None: without end.
        most: Option<u32>,
        /// As often as possible before less often.
        greedy: bool,
    },
}

/// Where the search goes on behind a match; behind an empty one it is always the next row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Skip {
    PastLast,
    ToNext,
    ToFirst(u16),
    ToLast(u16),
}

/// The beginning of a match: its rows from `start` on, each with its variable.
#[derive(Debug, Clone, Copy)]
pub struct SoFar<'a> {
    pub start: usize,
    pub variables: &'a [u16],
}

/// The rows as the matcher sees them.
pub trait Rows {
    /// Why it cannot go on.
    type Error;

    /// A search begins at this row.
    ///
    /// # Errors
    /// Nobody wants the answer any more.
    fn begin(&mut self, row: usize) -> Result<(), Self::Error>;

    /// Whether `row` can be `variable` and the last row of `so_far`, where it already stands.
    ///
    /// # Errors
    /// It cannot be told, or too much has been tried.
    fn holds(&mut self, variable: u16, row: usize, so_far: SoFar<'_>) -> Result<bool, Self::Error>;

    /// Takes a match.
    ///
    /// # Errors
    /// It cannot be kept.
    fn take(&mut self, found: SoFar<'_>) -> Result<(), Self::Error>;
}

/// Why a search ended early.
#[derive(Debug, PartialEq, Eq)]
pub enum Stopped<E> {
    /// The rows said so.
    Rows(E),
    /// A match has no row of the variable to skip to.
    NothingToSkipTo,
    /// The row to skip to is the first of the match: it would be found for ever.
    SkipsToItsBeginning,
}

impl<E> From<E> for Stopped<E> {
    fn from(error: E) -> Self {
        Self::Rows(error)
    }
}

/// Finds matches in one partition after the other, reusing its room.
#[derive(Debug)]
pub struct Matcher<'p> {
    program: &'p Program,
    /// Whether conditions depend on the row alone.
    by_row: bool,
    /// Bit `row * places + place`: that place leads to no match from that row.
    failed: Vec<u64>,
    /// The place whose followers are tried at each depth, 0 for the beginning, and the next of them.
    ways: Vec<(usize, usize)>,
    variables: Vec<u16>,
}

impl<'p> Matcher<'p> {
    /// A matcher; `by_row` if no condition depends on the match so far.
    #[must_use]
    pub fn new(program: &'p Program, by_row: bool) -> Self {
        Self { program, by_row, failed: Vec::new(), ways: Vec::new(), variables: Vec::new() }
    }

    /// Bytes that a partition of so many rows asks for.
    #[must_use]
    pub fn bytes(&self, rows: usize) -> usize {
        let failed = if self.by_row { rows.saturating_mul(self.program.places()) / 8 } else { 0 };
        failed + rows.saturating_mul(size_of::<(usize, usize)>() + size_of::<u16>())
    }

    /// Hands over every match of the partition that is `rows`.
    ///
    /// # Errors
    /// See [`Stopped`].
    pub fn each<R: Rows>(&mut self, rows: Range<usize>, skip: Skip, by: &mut R) -> Result<(), Stopped<R::Error>> {
        self.failed.clear();
        if self.by_row {
            self.failed.resize((rows.len() * self.program.places()).div_ceil(64), 0);
        }
        let mut start = rows.start;
        while start < rows.end {
            by.begin(start)?;
            if !self.find(&rows, start, by)? {
                start += 1;
                continue;
            }
            by.take(SoFar { start, variables: &self.variables })?;
            start = self.behind(start, skip)?;
        }
        Ok(())
    }

    /// The row at which the search goes on.
    fn behind<E>(&self, start: usize, skip: Skip) -> Result<usize, Stopped<E>> {
        if self.variables.is_empty() {
            return Ok(start + 1);
        }
        let at = match skip {
            Skip::PastLast => Some(self.variables.len()),
            Skip::ToNext => Some(1),
            Skip::ToFirst(to) => self.variables.iter().position(|&variable| variable == to),
            Skip::ToLast(to) => self.variables.iter().rposition(|&variable| variable == to),
        };
        match at {
            None => Err(Stopped::NothingToSkipTo),
            Some(0) => Err(Stopped::SkipsToItsBeginning),
            Some(at) => Ok(start + at),
        }
    }

    /// Whether a match begins at `start`; its variables stay behind.
    fn find<R: Rows>(&mut self, rows: &Range<usize>, start: usize, by: &mut R) -> Result<bool, R::Error> {
        self.variables.clear();
        self.ways.clear();
        self.ways.push((0, 0));
        while let Some((behind, next)) = self.ways.last_mut() {
            let row = start + self.variables.len();
            let Some(way) = self.program.behind(*behind).get(*next) else {
                let place = *behind;
                self.ways.pop();
                // The beginning is no row.
                if self.variables.pop().is_some() {
                    self.fail(place - 1, row - 1 - rows.start);
                }
                continue;
            };
            *next += 1;
            if (way.at_start && row != rows.start) || (way.at_end && row != rows.end) {
                continue;
            }
            let Some(place) = way.to else { return Ok(true) };
            if row == rows.end || self.has_failed(place, row - rows.start) {
                continue;
            }
            let variable = self.program.variable(place);
            self.variables.push(variable);
            if by.holds(variable, row, SoFar { start, variables: &self.variables })? {
                self.ways.push((place + 1, 0));
            } else {
                self.variables.pop();
            }
        }
        Ok(false)
    }

    fn fail(&mut self, place: usize, row: usize) {
        if self.by_row {
            let bit = row * self.program.places() + place;
            self.failed[bit / 64] |= 1 << (bit % 64);
        }
    }

    fn has_failed(&self, place: usize, row: usize) -> bool {
        let bit = row * self.program.places() + place;
        self.by_row && self.failed[bit / 64] >> (bit % 64) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::brute::{Letters, variable};
    use super::*;

    fn repeat(inner: Pattern, least: u32, most: Option<u32>, greedy: bool) -> Pattern {
        Pattern::Repeat { inner: Box::new(inner), least, most, greedy }
    }

    /// The matches of a pattern in a text whose letters are the variables that hold: `start:variables`.
    fn found(pattern: &Pattern, skip: Skip, text: &str) -> Result<Vec<String>, Stopped<()>> {
        let program = Program::new(pattern, 1_000, 10_000).unwrap();
        let mut letters = Letters::new(text);
        Matcher::new(&program, true).each(0..text.len(), skip, &mut letters)?;
        Ok(letters.found)
    }

    #[test]
    fn the_preferred_match_and_what_comes_behind_it() {
        let (a, b) = (variable('a'), variable('b'));
        let some = |greedy| repeat(a.clone(), 1, None, greedy);
        let found = |pattern: Pattern, skip, text: &str| found(&pattern, skip, text).unwrap().join(" ");
        assert_eq!(found(some(true), Skip::PastLast, "aaba"), "0:aa 3:a");
        assert_eq!(found(some(false), Skip::PastLast, "aaba"), "0:a 1:a 3:a");
        assert_eq!(found(some(true), Skip::ToNext, "aaba"), "0:aa 1:a 3:a");
        let ways = Pattern::Choice(vec![a.clone(), Pattern::Sequence(vec![a.clone(), b.clone()])]);
        assert_eq!(found(ways.clone(), Skip::PastLast, "abab"), "0:a 2:a");
        let to_the_end = Pattern::Sequence(vec![ways, Pattern::End]);
        assert_eq!(found(to_the_end, Skip::PastLast, "abab"), "2:ab");
        let both = Pattern::Sequence(vec![some(true), b.clone()]);
        assert_eq!(found(both.clone(), Skip::ToFirst(1), "aabb"), "0:aab");
        let begins = Pattern::Sequence(vec![Pattern::Start, both]);
        assert_eq!(found(begins, Skip::PastLast, "abab"), "0:ab");
        assert_eq!(found(repeat(a.clone(), 0, Some(1), true), Skip::PastLast, "ba"), "0: 1:a");
        let endless = repeat(repeat(a, 0, None, true), 0, None, true);
        assert_eq!(found(endless, Skip::PastLast, "aab"), "0:aa 2:");
    }

    #[test]
    fn a_skip_that_leads_nowhere_is_told() {
        let (a, b) = (variable('a'), variable('b'));
        let either = Pattern::Choice(vec![a, b]);
        assert_eq!(found(&either, Skip::ToFirst(1), "a"), Err(Stopped::NothingToSkipTo));
        assert_eq!(found(&either, Skip::ToLast(0), "a"), Err(Stopped::SkipsToItsBeginning));
    }

    #[test]
    fn many_ways_to_fail_cost_no_more_than_places_times_rows() {
        // (a?){30} a{30} over 29 times a: two to the thirtieth ways to split them.
        let maybe = repeat(repeat(variable('a'), 0, Some(1), true), 30, Some(30), true);
        let pattern = Pattern::Sequence(vec![maybe, repeat(variable('a'), 30, Some(30), true)]);
        assert_eq!(found(&pattern, Skip::PastLast, &"a".repeat(29)).unwrap(), Vec::<String>::new());
    }
}
