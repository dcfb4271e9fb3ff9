//! `ttc_histogram(step…, step => n, buckets => 20)`: how long the units took from the first step to step `n`.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `bucket` | `Int64` | number from 1 |
//! | `from_s`, `to_s` | `Float64` | seconds: `from_s` belongs to it, `to_s` to the next |
//! | `units` | `Int64` | units that took so long; all buckets together are `units` of step `n` in the funnel |
//! | `share`, `cumulative` | `Float64` | as a share of those; with all shorter ones |
//!
//! | option | values | default |
//! |---|---|---|
//! | `step` | a step from the second on | the last |
//! | `buckets` | how many of equal width between the shortest and the longest time | 20 |
//! | `bucket` | a length of time: buckets of that width from 0 on, as many as the longest time needs | |
//!
//! Buckets that nobody is in are rows too; where nobody came to the step there is none. With `breakdown` the buckets are
//! of all values together.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::plan_err;
use datafusion::error::Result;

use super::pass::{Report, Shared, Sink, Wanted};
use super::spec::Spec;
use super::units::Unit;
use super::users::seconds;
use crate::engine::functions::seen::Seen;
use crate::engine::scan::Names;
use crate::limits::HISTOGRAM_BUCKETS;

/// How the times are cut.
#[derive(Debug, Clone, Copy)]
pub(super) enum Buckets {
    /// Into so many.
    Count(i64),
    /// Into buckets of this width, µs.
    Width(i64),
}

/// Counts durations.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    /// The step that they run to, from 1.
    pub step: usize,
    pub buckets: Buckets,
}

impl Report for Histogram {
    type Sink = Durations;
    type Part = Vec<i64>;

    fn schema(&self, _: &Spec) -> SchemaRef {
        let (count, share) = (DataType::Int64, DataType::Float64);
        Arc::new(Schema::new(vec![
            Field::new("bucket", count.clone(), false),
            Field::new("from_s", share.clone(), false),
            Field::new("to_s", share.clone(), false),
            Field::new("units", count, false),
            Field::new("share", share.clone(), false),
            Field::new("cumulative", share, false),
        ]))
    }

    fn chained(&self) -> bool {
        true
    }

    fn sink(&self, _: &Arc<Shared>, _: Wanted) -> Durations {
        Durations { step: self.step, found: Vec::new() }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of units stay far below 2^52")]
    fn table(&self, shared: &Shared, parts: Vec<Vec<i64>>, _: &Seen) -> Result<RecordBatch> {
        let durations = parts.concat();
        let (edges, counts) = cut(&durations, self.buckets)?;
        let whole = durations.len() as f64;
        let sums = counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values((1..).take(counts.len()))),
            Arc::new(Float64Array::from_iter_values(edges.iter().copied().take(counts.len()).map(seconds))),
            Arc::new(Float64Array::from_iter_values(edges.iter().copied().skip(1).map(seconds))),
            Arc::new(Int64Array::from_iter_values(counts.iter().copied())),
            Arc::new(Float64Array::from_iter_values(counts.iter().map(|&count| count as f64 / whole))),
            Arc::new(Float64Array::from_iter_values(sums.map(|sum| sum as f64 / whole))),
        ];
        Ok(RecordBatch::try_new(self.schema(&shared.spec), columns)?)
    }
}

/// The edges of the buckets in µs, one more than buckets, and how many durations are in each.
fn cut(durations: &[i64], buckets: Buckets) -> Result<(Vec<i64>, Vec<i64>)> {
    let (Some(&least), Some(&most)) = (durations.iter().min(), durations.iter().max()) else {
        return Ok((Vec::new(), Vec::new()));
    };
    let (from, width, count) = match buckets {
        Buckets::Width(width) => (0, width, most / width + 1),
        Buckets::Count(count) => {
            // Whole µs, the longest time being inside the last bucket.
            let width = (most - least) / count + 1;
            (least, width, (most - least) / width + 1)
        }
    };
    if count > HISTOGRAM_BUCKETS {
        return plan_err!(
            "ttc_histogram: {count} buckets – at most {HISTOGRAM_BUCKETS} are shown, write a wider 'bucket'"
        );
    }
    let mut counts = vec![0; usize::try_from(count).unwrap_or_default()];
    for duration in durations {
        let at = usize::try_from((duration - from) / width).unwrap_or_default();
        counts[at] += 1;
    }
    let edges = (0..=count).map(|no| from.saturating_add(no.saturating_mul(width)));
    Ok((edges.collect(), counts))
}

/// The durations of one reader's units, µs.
#[derive(Debug)]
pub(super) struct Durations {
    step: usize,
    found: Vec<i64>,
}

impl Sink for Durations {
    type Part = Vec<i64>;

    fn unit(&mut self, unit: &Unit<'_>) {
        if unit.level >= self.step {
            self.found.push(unit.took(0, self.step - 1));
        }
    }

    fn size(&self) -> usize {
        self.found.capacity() * size_of::<i64>()
    }

    fn finish(self, _: &Names) -> Vec<i64> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_in_one_bucket() {
        assert_eq!(cut(&[], Buckets::Count(3)).unwrap(), (vec![], vec![]));
        assert_eq!(cut(&[5], Buckets::Count(3)).unwrap(), (vec![5, 6], vec![1]));
        assert_eq!(cut(&[0, 9, 10, 29], Buckets::Count(3)).unwrap(), (vec![0, 10, 20, 30], vec![2, 1, 1]));
        assert_eq!(cut(&[0, 10, 25], Buckets::Width(10)).unwrap(), (vec![0, 10, 20, 30], vec![1, 1, 1]));
        assert!(cut(&[i64::MAX / 2], Buckets::Width(1)).unwrap_err().to_string().contains("buckets"));
    }
}
