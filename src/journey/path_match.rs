//! Patterns over the steps of a session: `home -> .* -> [^error]* -> purchase`.
//!
//! | part | meaning |
//! |---|---|
//! | `home`, `/product/<id>` | a step of that name |
//! | `"add to cart"`, `'it''s'` | a name in quotes: needed with spaces, any of `()[]{}\|*+?^,"'`, `->` or a `$` in it, with `~` in front, and for `.` |
//! | `.` | any step |
//! | `[a b]`, `[^a b]` | one of these steps; any step but these |
//! | `~"^/product/"` | a step whose name meets a regular expression, also inside brackets |
//! | `a -> b` | `b` right after `a` |
//! | `a \| b`, `( … )` | one or the other; a group |
//! | `a*`, `a+`, `a?`, `a{2}`, `a{2,}`, `a{2,5}` | any number, one or more, none or one, so many |
//! | `^ -> a`, `a -> $` | the session begins with `a`, ends with it |
//!
//! A pattern may begin and end anywhere in the session unless `^` and `$` say otherwise. Without `.*` nothing lies
//! between two steps. Names are met as they are written. A step without a name is met by `.` and by what is left out.
//!
//! The pattern becomes a set of positions, one bit each, and a step moves all of them at once: `O(steps × positions)`,
//! whatever the pattern is.

#[cfg(test)]
mod brute;
mod parse;

use std::ops::Range;

use regex::Regex;

/// What a position asks of a step.
#[derive(Debug, Clone)]
enum Test {
    Any,
    Name(String),
    Regex(Regex),
    /// One of these, or with `not` none.
    Of {
        not: bool,
        tests: Vec<Test>,
    },
}

impl Test {
    fn holds(&self, step: Option<&str>) -> bool {
        match (self, step) {
            (Self::Any, _) => true,
            (Self::Name(name), Some(step)) => name == step,
            (Self::Regex(regex), Some(step)) => regex.is_match(step),
            (Self::Name(_) | Self::Regex(_), None) => false,
            (Self::Of { not, tests }, step) => tests.iter().any(|test| test.holds(step)) != *not,
        }
    }
}

/// A pattern, checked. Bit `n` of a set stands for its position `n`.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// Each test with the positions that ask it.
    tests: Vec<(Test, u64)>,
    /// Positions where a match can begin and end.
    first: u64,
    last: u64,
    /// By position: those that can come right after it, right before it.
    follow: Vec<u64>,
    precede: Vec<u64>,
    /// Whether no step at all is a match.
    empty: bool,
    from_start: bool,
    to_end: bool,
}

impl Pattern {
    /// Whether no step at all is a match of it.
    #[must_use]
    pub const fn takes_nothing(&self) -> bool {
        self.empty
    }

    /// The names that stand in it by themselves, each with the positions that ask for it.
    pub fn names(&self) -> impl Iterator<Item = (&str, u64)> {
        self.tests.iter().filter_map(|(test, positions)| match test {
            Test::Name(name) => Some((name.as_str(), *positions)),
            _ => None,
        })
    }

    /// The positions that a step of this name meets.
    #[must_use]
    pub fn mask(&self, step: Option<&str>) -> u64 {
        self.tests.iter().filter(|(test, _)| test.holds(step)).fold(0, |mask, (_, positions)| mask | positions)
    }

    /// Whether the steps of a session with these masks have a match among them.
    #[must_use]
    pub fn is_met(&self, masks: impl IntoIterator<Item = u64>) -> bool {
        if self.empty && !(self.from_start && self.to_end) {
            return true;
        }
        let (mut state, mut enter) = (0, self.first);
        let mut met = self.empty;
        for mask in masks {
            state = (union(&self.follow, state) | enter) & mask;
            met = state & self.last != 0;
            if met && !self.to_end {
                return true;
            }
            if self.from_start {
                enter = 0;
            }
        }
        met && self.to_end
    }

    /// Calls `visit` with at most so many matches of at least one step: the one that begins first, and of those the one
    /// that ends first; then the same behind its end, and so on.
    pub fn each(&self, masks: &[u64], most: usize, mut visit: impl FnMut(Range<usize>)) {
        let starts = self.starts(masks);
        let mut from = 0;
        for _ in 0..most {
            let Some(start) = (from..masks.len()).find(|&at| starts[at]) else { return };
            let (mut state, mut end) = (self.first, start);
            // There is an end, or this were no start.
            while end < masks.len() {
                state &= masks[end];
                end += 1;
                if state & self.last != 0 && (!self.to_end || end == masks.len()) {
                    break;
                }
                state = union(&self.follow, state);
            }
            visit(start..end);
            from = end;
        }
    }

    /// Where a match can begin: backwards, with the positions that lead to an end.
    fn starts(&self, masks: &[u64]) -> Vec<bool> {
        let (mut ahead, mut starts) = (0, vec![false; masks.len()]);
        for (at, &mask) in masks.iter().enumerate().rev() {
            let ends = if !self.to_end || at + 1 == masks.len() { self.last } else { 0 };
            ahead = (union(&self.precede, ahead) | ends) & mask;
            starts[at] = ahead & self.first != 0 && (!self.from_start || at == 0);
        }
        starts
    }
}

/// All that is beside one of the positions.
fn union(beside: &[u64], mut positions: u64) -> u64 {
    let mut all = 0;
    while positions != 0 {
        all |= beside[positions.trailing_zeros() as usize];
        positions &= positions - 1;
    }
    all
}
