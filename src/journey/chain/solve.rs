//! Systems `(I - Q) x = b` with a bound of the error.

use super::Chain;

/// Steps up to which a chain is eliminated, a cube of work; START counts.
pub const DENSE: usize = 400;
/// Steps up to which all of an inverse is made, for [`Chain::removals`]; START counts.
pub const REMOVALS: usize = 1_000;
/// How far off a figure may be, of the largest one or of 1.
pub const TOLERANCE: f64 = 1e-9;
/// Moves that an iteration looks at, at most: half a minute.
const WORK: usize = 20_000_000_000;
/// Sweeps between two looks at what is left over.
const SWEEPS: usize = 10;

/// Why there are no figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsolved {
    /// The steps are more than can be removed one by one.
    TooMany(usize),
    /// The iteration came no closer in the work it may do.
    NotClose,
    /// It was told to stop.
    Stopped,
}

/// A chain's matrix, with the bound of its inverse.
#[derive(Debug)]
pub(super) struct Solver<'a> {
    chain: &'a Chain,
    /// The rows' sums of the inverse are at most so large.
    bound: f64,
}

impl Chain {
    pub(super) fn solver(&self, stop: &impl Fn() -> bool) -> Result<Solver<'_>, Unsolved> {
        let ones = vec![1.0; self.rows.len()];
        // Half is enough for a bound: (I - Q) t >= 1/2 makes 2 t at least the sums.
        let close = |_: &[f64], left: f64| left <= 0.5;
        let time = if self.rows.len() <= DENSE { self.eliminated(&ones)? } else { self.iterated(&ones, close, stop)? };
        let positive = time.iter().all(|&time| time >= 0.0);
        if !positive || self.left(&time, &ones) > 0.5 {
            return Err(Unsolved::NotClose);
        }
        Ok(Solver { chain: self, bound: 2.0 * largest(&time) })
    }

    /// All of the inverse, row by row.
    pub(super) fn inverse(&self, stop: &impl Fn() -> bool) -> Result<Vec<f64>, Unsolved> {
        let count = self.rows.len();
        if count > REMOVALS {
            return Err(Unsolved::TooMany(count - 1));
        }
        let mut whole = vec![0.0; count * 2 * count];
        for at in 0..count {
            self.put(at, &mut whole[at * 2 * count..]);
            whole[at * 2 * count + count + at] = 1.0;
        }
        eliminate(&mut whole, count, 2 * count, stop)?;
        let inverse: Vec<f64> = whole.chunks(2 * count).flat_map(|row| row[count..].iter().copied()).collect();
        let sums: Vec<f64> = inverse.chunks(count).map(|row| row.iter().sum()).collect();
        // No column of the identity may be missed by more than the tolerance over the bound.
        let bound = 2.0 * largest(&sums);
        let mut column = vec![0.0; count];
        for at in 0..count {
            (0..count).for_each(|row| column[row] = inverse[row * count + at]);
            let mut unit = vec![0.0; count];
            unit[at] = 1.0;
            if self.left(&column, &unit) * bound > TOLERANCE * largest(&column).max(1.0) {
                return Err(Unsolved::NotClose);
            }
        }
        Ok(inverse)
    }

    /// Writes a row of `I - Q`.
    fn put(&self, at: usize, row: &mut [f64]) {
        row[at] = 1.0;
        self.rows[at].iter().for_each(|&(to, share)| row[to as usize] -= share);
    }

    pub(super) fn eliminated(&self, right: &[f64]) -> Result<Vec<f64>, Unsolved> {
        let (count, width) = (self.rows.len(), self.rows.len() + 1);
        let mut whole = vec![0.0; count * width];
        for at in 0..count {
            self.put(at, &mut whole[at * width..]);
            whole[at * width + count] = right[at];
        }
        eliminate(&mut whole, count, width, &|| false)?;
        Ok(whole.chunks(width).map(|row| row[count]).collect())
    }

    /// Sweeps over the steps until `close` says so of the answer and what is left over.
    fn iterated(
        &self,
        right: &[f64],
        close: impl Fn(&[f64], f64) -> bool,
        stop: &impl Fn() -> bool,
    ) -> Result<Vec<f64>, Unsolved> {
        let mut answer = vec![0.0; right.len()];
        let moves: usize = self.rows.iter().map(Vec::len).sum();
        for _ in 0..(WORK / (moves.max(right.len()) * (SWEEPS + 1))).max(1) {
            if stop() {
                return Err(Unsolved::Stopped);
            }
            for _ in 0..SWEEPS {
                // Backwards, as later steps of a session are seldom numbered before earlier ones; either way converges.
                for at in (0..answer.len()).rev() {
                    let (mut sum, mut stays) = (right[at], 0.0);
                    for &(to, share) in &self.rows[at] {
                        if to as usize == at { stays = share } else { sum += share * answer[to as usize] }
                    }
                    answer[at] = sum / (1.0 - stays);
                }
            }
            if close(&answer, self.left(&answer, right)) {
                return Ok(answer);
            }
        }
        Err(Unsolved::NotClose)
    }

    /// The largest `|b - (I - Q) x|`.
    fn left(&self, answer: &[f64], right: &[f64]) -> f64 {
        let of = |(at, row): (usize, &Vec<(u32, f64)>)| {
            let moved: f64 = row.iter().map(|&(to, share)| share * answer[to as usize]).sum();
            (right[at] + moved - answer[at]).abs()
        };
        largest(&self.rows.iter().enumerate().map(of).collect::<Vec<f64>>())
    }
}

impl Solver<'_> {
    /// The answer, close enough for sure.
    pub(super) fn solve(&self, right: &[f64], stop: &impl Fn() -> bool) -> Result<Vec<f64>, Unsolved> {
        let chain = self.chain;
        let close = |answer: &[f64], left: f64| left * self.bound <= TOLERANCE * largest(answer).max(1.0);
        if chain.rows.len() > DENSE {
            return chain.iterated(right, close, stop);
        }
        let answer = chain.eliminated(right)?;
        if close(&answer, chain.left(&answer, right)) { Ok(answer) } else { Err(Unsolved::NotClose) }
    }
}

/// NaN is larger than anything.
fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most: f64, value| if value.abs() <= most { most } else { value.abs() })
}

/// Gauss and Jordan: `[A | B]` becomes `[I | A⁻¹ B]`, row by row in `whole`.
fn eliminate(whole: &mut [f64], count: usize, width: usize, stop: &impl Fn() -> bool) -> Result<(), Unsolved> {
    let mut pivot = vec![0.0; width];
    for at in 0..count {
        if stop() {
            return Err(Unsolved::Stopped);
        }
        let row = &mut whole[at * width..(at + 1) * width];
        let head = row[at];
        if head.is_nan() || head <= 0.0 {
            return Err(Unsolved::NotClose);
        }
        row[at..].iter_mut().for_each(|value| *value /= head);
        pivot.copy_from_slice(row);
        for (other, row) in whole.chunks_mut(width).enumerate() {
            let factor = row[at];
            if other != at && factor != 0.0 {
                row[at..].iter_mut().zip(&pivot[at..]).for_each(|(value, pivot)| *value -= factor * pivot);
            }
        }
    }
    Ok(())
}
