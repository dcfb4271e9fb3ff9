//! Whole partitions out of a stream in which the rows of each lie together, and their order.

use std::ops::Range;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array, make_comparator};
use arrow::compute::{concat_batches, partition, take_record_batch};
use datafusion::common::utils::memory::get_record_batch_memory_size;
use datafusion::error::Result;

use super::node::Layout;

/// The rows of a partition that may go on.
#[derive(Debug, Default)]
pub(super) struct Pending {
    keys: usize,
    batches: Vec<RecordBatch>,
    bytes: usize,
}

impl Pending {
    /// Nothing yet; partitions are told apart by the first `keys` columns.
    pub(super) fn new(keys: usize) -> Self {
        Self { keys, ..Self::default() }
    }

    /// Takes rows in, and hands out the partitions that are whole by now.
    pub(super) fn push(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>> {
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        let cut = match partitions(&batch, self.keys)?.last() {
            Some(last) if last.start > 0 => last.start,
            _ if self.goes_on(&batch)? => {
                self.keep(batch);
                return Ok(None);
            }
            _ => 0,
        };
        self.keep(batch.slice(0, cut));
        let whole = self.take()?;
        self.keep(batch.slice(cut, batch.num_rows() - cut));
        Ok(whole)
    }

    /// Everything that is left.
    pub(super) fn take(&mut self) -> Result<Option<RecordBatch>> {
        self.bytes = 0;
        let batches = std::mem::take(&mut self.batches);
        match batches.as_slice() {
            [] => Ok(None),
            [only] => Ok(Some(only.clone())),
            [first, ..] => Ok(Some(concat_batches(first.schema_ref(), &batches)?)),
        }
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        self.bytes
    }

    fn keep(&mut self, batch: RecordBatch) {
        if batch.num_rows() > 0 {
            self.bytes += get_record_batch_memory_size(&batch);
            self.batches.push(batch);
        }
    }

    /// Whether a batch of one partition belongs to the one that is pending.
    fn goes_on(&self, batch: &RecordBatch) -> Result<bool> {
        let Some(last) = self.batches.last() else { return Ok(true) };
        let ends = [last.slice(last.num_rows() - 1, 1), batch.slice(0, 1)];
        Ok(partitions(&concat_batches(batch.schema_ref(), &ends)?, self.keys)?.len() == 1)
    }
}

/// Runs of equal keys.
pub(super) fn partitions(batch: &RecordBatch, keys: usize) -> Result<Vec<Range<usize>>> {
    match (keys, batch.num_rows()) {
        (_, 0) => Ok(Vec::new()),
        (0, rows) => Ok(std::iter::once(0..rows).collect()),
        _ => Ok(partition(&batch.columns()[..keys])?.ranges()),
    }
}

/// Puts the rows of each partition into the order that is asked for; equal ones stay as they came.
pub(super) fn sorted(batch: RecordBatch, partitions: &[Range<usize>], layout: &Layout) -> Result<RecordBatch> {
    let columns: &[ArrayRef] = &batch.columns()[layout.keys..layout.keys + layout.order.len()];
    let compare: Vec<_> = columns
        .iter()
        .zip(&layout.order)
        .map(|(column, &options)| make_comparator(column, column, options))
        .collect::<Result<_, _>>()?;
    let order = |a: usize, b: usize| compare.iter().map(|compare| compare(a, b)).find(|it| it.is_ne());
    let falls = |partition: &Range<usize>| {
        partition.clone().skip(1).any(|row| order(row - 1, row).is_some_and(std::cmp::Ordering::is_gt))
    };
    let falling: Vec<_> = partitions.iter().filter(|partition| falls(partition)).collect();
    if falling.is_empty() {
        return Ok(batch);
    }
    let mut rows: Vec<u64> = (0..batch.num_rows() as u64).collect();
    for partition in falling {
        let at = |row: u64| usize::try_from(row).unwrap_or(usize::MAX);
        rows[partition.clone()].sort_by(|&a, &b| order(at(a), at(b)).unwrap_or(std::cmp::Ordering::Equal));
    }
    Ok(take_record_batch(&batch, &UInt64Array::from(rows))?)
}
