//! What a funnel counts, and the columns it becomes.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `step_no`, `step` | `Int64`, `Utf8` | number from 1, and the step as written |
//! | `units` | `Int64` | units that came at least as far as this step |
//! | `conversion_first`, `conversion_prev` | `Float64` | `units` as a share of the first step's and of the step's before; 0/0 is 0 |
//! | `drop_off`, `drop_off_rate` | `Int64`, `Float64` | units of the step before that did not come here, and their share of it |
//! | `in_progress` | `Int64` | units that entered, are not here yet, and whose windows are still open at the watermark |
//! | `ttc_median_s`, `ttc_mean_s`, `ttc_p90_s` | `Float64`, NULL for the first step or no unit | seconds to this step, exact (option `ttc`) |
//! | `lo`, `hi` | `Float64` | 95 % Wilson interval of `conversion_first`; both 0 where nobody entered |
//! | `warning` | `Utf8`, NULL for none | a step that no event met |
//! | `total_median_s`, `total_mean_s`, `total_p90_s` | as `ttc_` | seconds from the first step to this one |

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field};

use crate::engine::functions::figures::{quantile, share, wilson};
use crate::time::SECOND;

/// The columns of `funnel`, without what parts the units.
pub(super) fn fields() -> Vec<Field> {
    let column = |name: &str, kind: &DataType, nullable| Field::new(name, kind.clone(), nullable);
    let (count, share, text) = (DataType::Int64, DataType::Float64, DataType::Utf8);
    let mut fields = vec![
        column("step_no", &count, false),
        column("step", &text, false),
        column("units", &count, false),
        column("conversion_first", &share, false),
        column("conversion_prev", &share, false),
        column("drop_off", &count, false),
        column("drop_off_rate", &share, false),
        column("in_progress", &count, false),
    ];
    fields.extend(["ttc_median_s", "ttc_mean_s", "ttc_p90_s"].map(|name| column(name, &share, true)));
    fields.extend(["lo", "hi"].map(|name| column(name, &share, false)));
    fields.push(column("warning", &text, true));
    fields.extend(["total_median_s", "total_mean_s", "total_p90_s"].map(|name| column(name, &share, true)));
    fields
}

/// Counts over some units; partial ones add up.
#[derive(Debug)]
pub(super) struct Tally {
    /// Per length of the longest chain, `0..=steps`.
    pub reached: Vec<u64>,
    /// Of these, the units whose window is still open.
    pub open: Vec<u64>,
    /// µs to step `i + 2` of every reported chain, from the step before or from the first as asked.
    pub between: Vec<Vec<i64>>,
    /// The same from the first step.
    pub total: Vec<Vec<i64>>,
}

impl Tally {
    pub(super) fn new(steps: usize) -> Self {
        let times = vec![Vec::new(); steps.saturating_sub(1)];
        Self { reached: vec![0; steps + 1], open: vec![0; steps + 1], between: times.clone(), total: times }
    }

    /// Adds what another reader counted.
    pub(super) fn merge(&mut self, other: Self) {
        let add = |sum: &mut [u64], more: &[u64]| sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        add(&mut self.reached, &other.reached);
        add(&mut self.open, &other.open);
        for (all, more) in [(&mut self.between, other.between), (&mut self.total, other.total)] {
            all.iter_mut().zip(more).for_each(|(all, more)| all.extend(more));
        }
    }

    /// Bytes held, without the durations.
    pub(super) fn size(&self) -> usize {
        (self.reached.len() * 2 + (self.between.len() + self.total.len()) * 3) * size_of::<u64>()
    }
}

/// Rows that grow tally by tally.
#[derive(Debug, Default)]
pub(super) struct Rows {
    step_no: Vec<i64>,
    step: Vec<String>,
    counts: [Vec<i64>; 3],
    shares: [Vec<f64>; 5],
    times: [Vec<Option<f64>>; 6],
    warning: Vec<Option<String>>,
}

impl Rows {
    /// Adds the rows of a tally, one per step. `warning` is what is to be said of a step.
    pub(super) fn add(&mut self, mut tally: Tally, names: &[String], warning: impl Fn(usize) -> Option<String>) {
        let units_from = |step: usize| tally.reached[step..].iter().sum::<u64>();
        let units: Vec<u64> = (1..=names.len()).map(units_from).collect();
        for (at, name) in names.iter().enumerate() {
            let (first, before, here) = (units[0], units[at.saturating_sub(1)], units[at]);
            self.step_no.push(i64::try_from(at + 1).unwrap_or(i64::MAX));
            self.step.push(name.clone());
            let progress = tally.open[1..=at].iter().sum::<u64>();
            for (column, value) in self.counts.iter_mut().zip([here, before - here, progress]) {
                column.push(i64::try_from(value).unwrap_or(i64::MAX));
            }
            let (lo, hi) = wilson(here, first);
            let shares = [share(here, first), share(here, before), share(before - here, before), lo, hi];
            self.shares.iter_mut().zip(shares).for_each(|(column, share)| column.push(share));
            let times = |of: &mut [Vec<i64>]| at.checked_sub(1).map_or([None; 3], |at| durations(&mut of[at]));
            let times = [times(&mut tally.between), times(&mut tally.total)].concat();
            self.times.iter_mut().zip(times).for_each(|(column, time)| column.push(time));
            self.warning.push(warning(at));
        }
    }

    /// The columns in the order of [`fields`].
    pub(super) fn columns(self) -> Vec<ArrayRef> {
        let Self { step_no, step, counts, shares, times, warning } = self;
        let [units, lost, progress] = counts.map(|counts| Arc::new(Int64Array::from(counts)) as ArrayRef);
        let [first, prev, lost_rate, lo, hi] = shares.map(|shares| Arc::new(Float64Array::from(shares)) as ArrayRef);
        let [median, mean, p90, total_median, total_mean, total_p90] =
            times.map(|times| Arc::new(Float64Array::from(times)) as ArrayRef);
        let (step_no, step) = (Arc::new(Int64Array::from(step_no)), Arc::new(StringArray::from(step)));
        let warning = Arc::new(StringArray::from(warning));
        vec![
            step_no,
            step,
            units,
            first,
            prev,
            lost,
            lost_rate,
            progress,
            median,
            mean,
            p90,
            lo,
            hi,
            warning,
            total_median,
            total_mean,
            total_p90,
        ]
    }
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

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Float64Type, Int64Type};

    use super::*;

    fn columns(tally: Tally, names: &[&str]) -> Vec<ArrayRef> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut rows = Rows::default();
        rows.add(tally, &names, |_| None);
        rows.columns()
    }

    #[test]
    fn rows_of_a_small_funnel() {
        let mut tally = Tally::new(3);
        tally.reached = vec![5, 2, 1, 1];
        tally.open = vec![0, 1, 1, 0];
        tally.between = vec![vec![2 * SECOND, 4 * SECOND], vec![10 * SECOND]];
        let table = columns(tally, &["a", "b", "c"]);
        let counts = |at: usize| table[at].as_primitive::<Int64Type>().values().to_vec();
        let shares = |at: usize| table[at].as_primitive::<Float64Type>().iter().collect::<Vec<_>>();
        assert_eq!(counts(2), [4, 2, 1]);
        assert_eq!(shares(3), [Some(1.0), Some(0.5), Some(0.25)]);
        assert_eq!(shares(4), [Some(1.0), Some(0.5), Some(0.5)]);
        assert_eq!(counts(5), [0, 2, 1]);
        assert_eq!(counts(7), [0, 1, 2]);
        assert_eq!(shares(8), [None, Some(3.0), Some(10.0)]);
        assert_eq!(shares(9), [None, Some(3.0), Some(10.0)]);
        assert_eq!(shares(10), [None, Some(3.8), Some(10.0)]);
        assert_eq!((table[13].null_count(), table[14].null_count(), table.len()), (3, 3, fields().len()));
    }

    #[test]
    fn v15_nothing_is_rows_of_zero() {
        let table = columns(Tally::new(2), &["a", "b"]);
        for at in [3, 4, 6, 11, 12] {
            assert_eq!(table[at].as_primitive::<Float64Type>().values().to_vec(), [0.0, 0.0], "column {at}");
        }
    }
}
