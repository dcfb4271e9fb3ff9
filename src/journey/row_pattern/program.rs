//! A pattern as what may stand behind each place of a variable, in the order of preference.
//!
//! ```text
//! A+? B ─► Take(A) Again Split(exit, body) Take(B) Accept ─► beginning: [A]   A: [B, A]   B: [the end]
//! ```
//! The steps between two rows are walked here and once, so that a search sees rows alone and cannot go round in circles.

use std::collections::HashSet;

use super::Pattern;

/// A pattern ready to be searched for. A place is where a row is taken; places are numbered from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The variable of each place.
    variables: Vec<u16>,
    /// What may come first, then what may come behind each place.
    ways: Vec<Vec<Way>>,
}

/// A way to the next place, or to the end of the match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    pub to: Option<usize>,
    /// Only before the first row of the partition.
    pub at_start: bool,
    /// Only behind its last one.
    pub at_end: bool,
}

/// A pattern has too many places or ways between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

#[derive(Debug, Clone, Copy)]
enum Op {
    Take(usize),
    /// The first is preferred.
    Split(usize, usize),
    Jump(usize),
    /// A round of a repetition begins.
    Enter(usize),
    /// A round has ended: back to the head, or out if it has met no row.
    Again {
        repetition: usize,
        head: usize,
        exit: usize,
    },
    AtStart,
    AtEnd,
    Accept,
}

impl Program {
    /// Prepares a pattern with at most so many steps and so many ways between places.
    ///
    /// # Errors
    /// It is larger than that.
    pub fn new(pattern: &Pattern, most_steps: usize, most_ways: usize) -> Result<Self, TooLarge> {
        let mut built = Built { ops: Vec::new(), variables: Vec::new(), repetitions: 0, most: most_steps };
        built.add(pattern)?;
        built.push(Op::Accept)?;
        let mut ways = vec![built.ways(0, most_ways)?];
        let mut left = most_ways;
        for (at, op) in built.ops.iter().enumerate() {
            if let Op::Take(_) = op {
                let behind = built.ways(at + 1, left)?;
                left -= behind.len();
                ways.push(behind);
            }
        }
        Ok(Self { variables: built.variables, ways })
    }

    /// How many places there are.
    #[must_use]
    pub fn places(&self) -> usize {
        self.variables.len()
    }

    pub(super) fn variable(&self, place: usize) -> u16 {
        self.variables[place]
    }

    /// The ways from the beginning (0), or behind place `at - 1`.
    pub(super) fn behind(&self, at: usize) -> &[Way] {
        &self.ways[at]
    }
}

struct Built {
    ops: Vec<Op>,
    variables: Vec<u16>,
    repetitions: usize,
    most: usize,
}

impl Built {
    fn push(&mut self, op: Op) -> Result<usize, TooLarge> {
        if self.ops.len() == self.most {
            return Err(TooLarge);
        }
        self.ops.push(op);
        Ok(self.ops.len() - 1)
    }

    fn add(&mut self, pattern: &Pattern) -> Result<(), TooLarge> {
        match pattern {
            Pattern::Variable(variable) => {
                self.push(Op::Take(self.variables.len()))?;
                self.variables.push(*variable);
            }
            Pattern::Start => drop(self.push(Op::AtStart)?),
            Pattern::End => drop(self.push(Op::AtEnd)?),
            Pattern::Sequence(parts) => parts.iter().try_for_each(|part| self.add(part))?,
            Pattern::Choice(ways) => self.choice(ways)?,
            Pattern::Repeat { inner, least, most: None, greedy } => {
                self.copies(inner, least.saturating_sub(1))?;
                self.without_end(inner, *least > 0, *greedy)?;
            }
            Pattern::Repeat { inner, least, most: Some(most), greedy } => {
                self.copies(inner, *least)?;
                self.up_to(inner, most.saturating_sub(*least), *greedy)?;
            }
        }
        Ok(())
    }

    fn choice(&mut self, ways: &[Pattern]) -> Result<(), TooLarge> {
        let mut ends = Vec::new();
        for (at, way) in ways.iter().enumerate() {
            if at + 1 == ways.len() {
                self.add(way)?;
                break;
            }
            let split = self.push(Op::Split(0, 0))?;
            self.add(way)?;
            ends.push(self.push(Op::Jump(0))?);
            self.ops[split] = Op::Split(split + 1, self.ops.len());
        }
        let end = self.ops.len();
        for at in ends {
            self.ops[at] = Op::Jump(end);
        }
        Ok(())
    }

    fn copies(&mut self, inner: &Pattern, count: u32) -> Result<(), TooLarge> {
        for _ in 0..count {
            let before = self.ops.len();
            self.add(inner)?;
            if self.ops.len() == before {
                break;
            }
        }
        Ok(())
    }

    /// `first`: the first round is not optional.
    fn without_end(&mut self, inner: &Pattern, first: bool, greedy: bool) -> Result<(), TooLarge> {
        let repetition = self.repetitions;
        self.repetitions += 1;
        let to_head = if first { None } else { Some(self.push(Op::Jump(0))?) };
        let body = self.push(Op::Enter(repetition))?;
        self.add(inner)?;
        let again = self.push(Op::Accept)?;
        let head = self.push(Op::Accept)?;
        let exit = head + 1;
        self.ops[again] = Op::Again { repetition, head, exit };
        self.ops[head] = if greedy { Op::Split(body, exit) } else { Op::Split(exit, body) };
        if let Some(at) = to_head {
            self.ops[at] = Op::Jump(head);
        }
        Ok(())
    }

    /// Every further copy only behind the one before.
    fn up_to(&mut self, inner: &Pattern, count: u32, greedy: bool) -> Result<(), TooLarge> {
        let mut splits = Vec::new();
        for _ in 0..count {
            splits.push(self.push(Op::Accept)?);
            self.add(inner)?;
        }
        let exit = self.ops.len();
        for at in splits {
            self.ops[at] = if greedy { Op::Split(at + 1, exit) } else { Op::Split(exit, at + 1) };
        }
        Ok(())
    }

    /// The ways from a step to the next rows, preferred ones first; none behind a way to the end that is always open.
    fn ways(&self, from: usize, most: usize) -> Result<Vec<Way>, TooLarge> {
        let mut ways: Vec<Way> = Vec::new();
        let mut seen = HashSet::new();
        let mut open = vec![Walk { at: from, entered: Vec::new(), at_start: false, at_end: false }];
        while let Some(mut walk) = open.pop() {
            if !seen.insert(walk.clone()) {
                continue;
            }
            if seen.len() > 4 * self.most {
                return Err(TooLarge);
            }
            let at = walk.at;
            walk.at += 1;
            let to = match self.ops[at] {
                Op::Take(place) => Some(place),
                Op::Accept => None,
                Op::Split(first, second) => {
                    open.push(Walk { at: second, ..walk.clone() });
                    open.push(Walk { at: first, ..walk });
                    continue;
                }
                other => {
                    walk.step(other);
                    open.push(walk);
                    continue;
                }
            };
            let Walk { at_start, at_end, .. } = walk;
            let covers = |it: &Way| it.to == to && it.at_start <= at_start && it.at_end <= at_end;
            if ways.iter().any(covers) {
                continue;
            }
            if ways.len() == most {
                return Err(TooLarge);
            }
            ways.push(Way { to, at_start, at_end });
            if to.is_none() && !at_start && !at_end {
                break;
            }
        }
        Ok(ways)
    }
}

/// A walk through steps that take no row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Walk {
    at: usize,
    /// Repetitions with a round begun on this walk: it has met no row yet.
    entered: Vec<usize>,
    at_start: bool,
    at_end: bool,
}

impl Walk {
    fn step(&mut self, op: Op) {
        match op {
            Op::Jump(to) => self.at = to,
            Op::Enter(repetition) => {
                if !self.entered.contains(&repetition) {
                    self.entered.push(repetition);
                    self.entered.sort_unstable();
                }
            }
            Op::Again { repetition, head, exit } => {
                self.at = if self.entered.contains(&repetition) { exit } else { head };
            }
            Op::AtStart => self.at_start = true,
            Op::AtEnd => self.at_end = true,
            Op::Take(_) | Op::Split(..) | Op::Accept => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_is_refused_and_empty_copies_cost_nothing() {
        let repeat =
            |inner, count| Pattern::Repeat { inner: Box::new(inner), least: count, most: Some(count), greedy: true };
        let thousand = repeat(repeat(Pattern::Variable(0), 1_000), 1_000);
        assert_eq!(Program::new(&thousand, 10_000, 100_000), Err(TooLarge));
        let nothing = repeat(repeat(Pattern::Variable(0), 0), u32::MAX);
        assert_eq!(Program::new(&nothing, 10, 10).unwrap().places(), 0);
    }
}
