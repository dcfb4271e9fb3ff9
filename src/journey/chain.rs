//! The way to a goal as an absorbing Markov chain of steps (SEMANTICS §6): how likely a session reaches the goal from a
//! step, in how many steps, and what would be left without a step.
//!
//! ```text
//! sessions   a b GOAL     counts: START>a 2, a>b 1, a>a …, b>GOAL 1, a>EXIT 1
//!            a            ─► Q: moves between START and steps;  g: moves to GOAL;  both as shares of all departures
//!
//! score h = Q h + g         steps m = Q m + h, then m / h are the steps of those that reach the goal
//! ```
//!
//! Every session ends, in the goal or in `EXIT`, so that from every step an end can be reached: `I - Q` is a regular
//! M-matrix, dominated by its diagonal. Up to [`DENSE`] steps it is eliminated (no pivoting is needed for such a
//! matrix), beyond that iterated (Gauss-Seidel). Either answer is only given out with a proof: for `t >= 0` with
//! `(I - Q) t >= 1/2`, `2 max t` bounds the inverse, and so what is left over bounds the error.
//!
//! Invariants: no score is off by more than [`TOLERANCE`], no weighted number of moves by more than that of the largest
//! (where it is above 1), or there are none.

mod solve;
#[cfg(test)]
mod tests;

use hashbrown::HashMap;

pub use solve::{DENSE, REMOVALS, TOLERANCE, Unsolved};

/// The least chance from which a number of moves is told: it is a quotient, whose error grows as the chance falls.
pub const LEAST: f64 = 1e-4;

/// A place of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    Start,
    Step(u32),
    Goal,
    Exit,
}

impl Place {
    fn recoded(self, mut code: impl FnMut(u32) -> u32) -> Self {
        if let Self::Step(label) = self { Self::Step(code(label)) } else { self }
    }
}

/// How often sessions go from where to where.
#[derive(Debug, Clone, Default)]
pub struct Moves(HashMap<(Place, Place), u64>);

impl Moves {
    /// Takes in a session: its labels before the goal, and whether it reaches the goal. `O(labels)`.
    pub fn session(&mut self, before: impl IntoIterator<Item = u32>, reached: bool) {
        let mut from = Place::Start;
        for label in before {
            *self.0.entry((from, Place::Step(label))).or_default() += 1;
            from = Place::Step(label);
        }
        *self.0.entry((from, if reached { Place::Goal } else { Place::Exit })).or_default() += 1;
    }

    /// Adds what another one counted, whose labels are ours by `code`.
    pub fn merge(&mut self, other: &Self, mut code: impl FnMut(u32) -> u32) {
        for (&(from, to), count) in &other.0 {
            *self.0.entry((from.recoded(&mut code), to.recoded(&mut code))).or_default() += count;
        }
    }

    /// Sessions that reached the goal.
    #[must_use]
    pub fn conversions(&self) -> u64 {
        self.0.iter().filter(|((_, to), _)| *to == Place::Goal).map(|(_, count)| count).sum()
    }

    /// Bytes held.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.capacity() * size_of::<((Place, Place), u64)>()
    }
}

/// The chain that these moves make. Step 0 is `START`.
#[derive(Debug, Clone)]
pub struct Chain {
    /// The label of every step from 1 on, ascending.
    labels: Vec<u32>,
    /// Visits of every step.
    visits: Vec<u64>,
    /// The shares of departures to steps, without zeros, and to the goal.
    rows: Vec<Vec<(u32, f64)>>,
    goal: Vec<f64>,
}

/// What is known of the steps of a chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Chances {
    /// The share of sessions at a step that will reach the goal.
    pub score: Vec<f64>,
    /// The mean number of moves from the step to the goal, of those that reach it; `None` where fewer than [`LEAST`] do.
    pub steps: Vec<Option<f64>>,
}

impl Chain {
    /// Fits the chain.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of moves stay far below 2^52")]
    pub fn new(moves: &Moves) -> Self {
        let mut labels: Vec<u32> = moves
            .0
            .keys()
            .filter_map(|(from, _)| if let Place::Step(label) = from { Some(*label) } else { None })
            .collect();
        labels.sort_unstable();
        labels.dedup();
        let numbers: HashMap<u32, u32> = labels.iter().copied().zip(1..).collect();
        let number = |place: &Place| match place {
            Place::Start => Some(0),
            Place::Step(label) => numbers.get(label).copied(),
            Place::Goal | Place::Exit => None,
        };
        let count = labels.len() + 1;
        let (mut visits, mut rows, mut goal) = (vec![0; count], vec![Vec::new(); count], vec![0.0; count]);
        for ((from, to), &moved) in &moves.0 {
            let Some(from) = number(from) else { continue };
            visits[from as usize] += moved;
            match (number(to), to) {
                (Some(to), _) => rows[from as usize].push((to, moved as f64)),
                (None, Place::Goal) => goal[from as usize] = moved as f64,
                (None, _) => {}
            }
        }
        for ((row, goal), &visits) in rows.iter_mut().zip(&mut goal).zip(&visits) {
            row.sort_unstable_by_key(|(to, _)| *to);
            let all = visits.max(1) as f64;
            *goal /= all;
            for (_, share) in row {
                *share /= all;
            }
        }
        Self { labels, visits, rows, goal }
    }

    /// The label of each step from 1 on.
    #[must_use]
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// How often sessions were at each step; at `START`, how many sessions there are.
    #[must_use]
    pub fn visits(&self) -> &[u64] {
        &self.visits
    }

    /// The number of a label's step; `None` for one that no session was at before the goal.
    #[must_use]
    pub fn step(&self, label: u32) -> Option<usize> {
        self.labels.binary_search(&label).ok().map(|at| at + 1)
    }

    /// How likely the goal is reached from every step, and in how many moves.
    ///
    /// # Errors
    /// No answer that is close enough was found, or `stop` said to.
    pub fn chances(&self, stop: impl Fn() -> bool) -> Result<Chances, Unsolved> {
        let solver = self.solver(&stop)?;
        let score: Vec<f64> = solver.solve(&self.goal, &stop)?.into_iter().map(|score| score.clamp(0.0, 1.0)).collect();
        let weighted = solver.solve(&score, &stop)?;
        let mean = |(score, weighted): (&f64, f64)| (*score >= LEAST).then_some(weighted / score);
        let steps = score.iter().zip(weighted).map(mean).collect();
        Ok(Chances { score, steps })
    }

    /// By how much of itself the chance at `START` falls if everybody who would come to a step left instead, for every
    /// step from 1 on: the share of reached goals whose way leads over the step.
    ///
    /// # Errors
    /// There are more than [`REMOVALS`] steps, no answer that is close enough was found, or `stop` said to.
    pub fn removals(&self, stop: impl Fn() -> bool) -> Result<Vec<f64>, Unsolved> {
        let inverse = self.inverse(&stop)?;
        let count = self.rows.len();
        let at = |row: usize, column: usize| inverse[row * count + column];
        let score = |row: usize| (0..count).map(|column| at(row, column) * self.goal[column]).sum::<f64>();
        let start = score(0);
        // The chance to be at the step ever, times the chance from there on.
        let lost = |step: usize| at(0, step) / at(step, step) * score(step);
        let effect = |step: usize| if start > 0.0 { (lost(step) / start).clamp(0.0, 1.0) } else { 0.0 };
        Ok((1..count).map(effect).collect())
    }
}
