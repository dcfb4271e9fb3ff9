//! What a funnel counts, and the table it becomes.
//!
//! | column | meaning |
//! |---|---|
//! | `units` | units that came at least as far as this step |
//! | `conversion_first`, `conversion_prev` | `units` as a share of the first step's and of the step's before; 0/0 is 0 |
//! | `drop_off`, `drop_off_rate` | units of the step before that did not come here, and their share of it |
//! | `in_progress` | units that entered, are not here yet, and whose window is still open at the watermark |
//! | `ttc_median_s`, `ttc_mean_s`, `ttc_p90_s` | seconds to this step, exact (option `ttc`); NULL for the first step |
//! | `lo`, `hi` | 95 % Wilson interval of `conversion_first`; both 0 where nobody entered |

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::Result;

use crate::time::SECOND;

/// The columns of `funnel`.
pub(super) fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let column = |name: &str, kind: &DataType, nullable| Field::new(name, kind.clone(), nullable);
        let (count, share, text) = (DataType::Int64, DataType::Float64, DataType::Utf8);
        Arc::new(Schema::new(vec![
            column("step_no", &count, false),
            column("step", &text, false),
            column("units", &count, false),
            column("conversion_first", &share, false),
            column("conversion_prev", &share, false),
            column("drop_off", &count, false),
            column("drop_off_rate", &share, false),
            column("in_progress", &count, false),
            column("ttc_median_s", &share, true),
            column("ttc_mean_s", &share, true),
            column("ttc_p90_s", &share, true),
            column("lo", &share, false),
            column("hi", &share, false),
            column("warning", &text, true),
        ]))
    });
    Arc::clone(&SCHEMA)
}

/// The first and the last column that need the durations.
pub(super) const DURATIONS: std::ops::RangeInclusive<usize> = 8..=10;

/// Counts over some units; partial ones add up.
#[derive(Debug)]
pub(super) struct Tally {
    /// Per length of the longest chain, `0..=steps`.
    pub reached: Vec<u64>,
    /// Of these, the units whose window is still open.
    pub open: Vec<u64>,
    /// Conditions that some event met.
    pub met: u64,
    /// µs to step `i + 2` of every reported chain, from the step before or from the first.
    pub between: Vec<Vec<i64>>,
    /// Per step that no event met: the name in the data that comes nearest.
    pub similar: Vec<Option<String>>,
}

impl Tally {
    pub(super) fn new(steps: usize) -> Self {
        Self {
            reached: vec![0; steps + 1],
            open: vec![0; steps + 1],
            met: 0,
            between: vec![Vec::new(); steps.saturating_sub(1)],
            similar: vec![None; steps],
        }
    }

    /// Adds what another reader counted.
    pub(super) fn merge(&mut self, other: Self) {
        let add = |sum: &mut [u64], more: &[u64]| sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        add(&mut self.reached, &other.reached);
        add(&mut self.open, &other.open);
        self.met |= other.met;
        for (all, more) in self.between.iter_mut().zip(other.between) {
            all.extend(more);
        }
        for (known, found) in self.similar.iter_mut().zip(other.similar) {
            // The least of several equally good names, so that the answer does not depend on who read what.
            *known = match (known.take(), found) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        self.between.iter().map(|values| values.capacity() * size_of::<i64>()).sum()
    }

    /// The table, a row per step. `names` are the steps as shown.
    pub(super) fn table(mut self, names: &[String]) -> Result<RecordBatch> {
        let steps = names.len();
        let units: Vec<u64> = (1..=steps).map(|step| self.reached[step..].iter().sum()).collect();
        let before: Vec<u64> = (0..steps).map(|at| if at == 0 { units[0] } else { units[at - 1] }).collect();
        let lost: Vec<u64> = before.iter().zip(&units).map(|(before, units)| before - units).collect();
        let progress = (1..=steps).map(|step| self.open[1..step].iter().sum::<u64>());
        let intervals: Vec<(f64, f64)> = units.iter().map(|&units_here| wilson(units_here, units[0])).collect();
        let times: Vec<[Option<f64>; 3]> =
            (0..steps).map(|at| if at == 0 { [None; 3] } else { durations(&mut self.between[at - 1]) }).collect();
        let warnings = (0..steps).map(|at| self.warning(at));
        let columns: Vec<ArrayRef> = vec![
            counts((1..).take(steps)),
            Arc::new(StringArray::from_iter_values(names)),
            counts(units.iter().copied()),
            shares(units.iter().map(|&here| share(here, units[0]))),
            shares(units.iter().zip(&before).map(|(&here, &before)| share(here, before))),
            counts(lost.iter().copied()),
            shares(lost.iter().zip(&before).map(|(&lost, &before)| share(lost, before))),
            counts(progress),
            Arc::new(times.iter().map(|times| times[0]).collect::<Float64Array>()),
            Arc::new(times.iter().map(|times| times[1]).collect::<Float64Array>()),
            Arc::new(times.iter().map(|times| times[2]).collect::<Float64Array>()),
            shares(intervals.iter().map(|interval| interval.0)),
            shares(intervals.iter().map(|interval| interval.1)),
            Arc::new(warnings.collect::<StringArray>()),
        ];
        Ok(RecordBatch::try_new(schema(), columns)?)
    }

    fn warning(&self, at: usize) -> Option<String> {
        if self.met >> at & 1 == 1 {
            return None;
        }
        Some(match &self.similar[at] {
            Some(name) => format!("no event meets this step – did you mean '{name}'?"),
            None => "no event meets this step".to_owned(),
        })
    }
}

fn counts(values: impl Iterator<Item = u64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values.map(|count| i64::try_from(count).unwrap_or(i64::MAX))))
}

fn shares(values: impl Iterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

#[expect(clippy::cast_precision_loss, reason = "counts of units stay far below 2^52")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The 95 % Wilson score interval of `part` successes in `whole` trials.
#[expect(clippy::cast_precision_loss, reason = "counts of units stay far below 2^52")]
fn wilson(part: u64, whole: u64) -> (f64, f64) {
    const Z: f64 = 1.959_963_984_540_054;
    if whole == 0 {
        return (0.0, 0.0);
    }
    let (trials, rate) = (whole as f64, share(part, whole));
    let spread = Z * Z / trials;
    let centre = (rate + spread / 2.0) / (1.0 + spread);
    let half = Z / (1.0 + spread) * (rate * (1.0 - rate) / trials + spread / (4.0 * trials)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

/// Median, mean and 90th percentile in seconds of durations in µs.
#[expect(clippy::cast_precision_loss, reason = "sums are taken in integers; a duration stays far below 2^52 µs")]
fn durations(values: &mut [i64]) -> [Option<f64>; 3] {
    if values.is_empty() {
        return [None; 3];
    }
    let total: i128 = values.iter().map(|&value| i128::from(value)).sum();
    let mean = total as f64 / values.len() as f64 / SECOND as f64;
    [Some(quantile(values, 1, 2)), Some(mean), Some(quantile(values, 9, 10))]
}

/// The continuous quantile `part / whole` in seconds: between two neighbours it runs in a straight line.
#[expect(clippy::cast_precision_loss, reason = "ranks and µs stay far below 2^52")]
fn quantile(values: &mut [i64], part: usize, whole: usize) -> f64 {
    let rank = (values.len() - 1) * part;
    let (below, rest) = (rank / whole, rank % whole);
    let (_, &mut low, above) = values.select_nth_unstable(below);
    let high = if rest == 0 { low } else { above.iter().copied().min().unwrap_or(low) };
    let between = (high - low) as f64 * (rest as f64 / whole as f64);
    (low as f64 + between) / SECOND as f64
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Float64Type, Int64Type};

    use super::*;

    #[test]
    fn rows_of_a_small_funnel() {
        let mut tally = Tally::new(3);
        tally.reached = vec![5, 2, 1, 1];
        tally.open = vec![0, 1, 1, 0];
        tally.met = 0b111;
        tally.between = vec![vec![2 * SECOND, 4 * SECOND], vec![10 * SECOND]];
        let table = tally.table(&["a".into(), "b".into(), "c".into()]).unwrap();
        let counts = |at: usize| table.column(at).as_primitive::<Int64Type>().values().to_vec();
        let shares = |at: usize| table.column(at).as_primitive::<Float64Type>().iter().collect::<Vec<_>>();
        assert_eq!(counts(2), [4, 2, 1]);
        assert_eq!(shares(3), [Some(1.0), Some(0.5), Some(0.25)]);
        assert_eq!(shares(4), [Some(1.0), Some(0.5), Some(0.5)]);
        assert_eq!(counts(5), [0, 2, 1]);
        assert_eq!(counts(7), [0, 1, 2]);
        assert_eq!(shares(8), [None, Some(3.0), Some(10.0)]);
        assert_eq!(shares(9), [None, Some(3.0), Some(10.0)]);
        assert_eq!(shares(10), [None, Some(3.8), Some(10.0)]);
        assert_eq!(table.column(13).null_count(), 3);
    }

    #[test]
    fn v15_nothing_is_rows_of_zero_with_a_warning() {
        let table = Tally::new(2).table(&["a".into(), "b".into()]).unwrap();
        assert_eq!(table.num_rows(), 2);
        for at in [3, 4, 6, 11, 12] {
            assert_eq!(table.column(at).as_primitive::<Float64Type>().values().to_vec(), [0.0, 0.0], "column {at}");
        }
        assert_eq!(table.column(13).as_string::<i32>().value(0), "no event meets this step");
    }

    #[test]
    fn the_interval_of_a_share() {
        let (lo, hi) = wilson(5, 10);
        assert!((lo - 0.236_593).abs() < 1e-6 && (hi - 0.763_407).abs() < 1e-6, "{lo} {hi}");
        assert!(wilson(0, 3).0.abs() < 1e-12 && (wilson(3, 3).1 - 1.0).abs() < 1e-12);
    }
}
