//! What orders rows of one person at one time: read only where such rows come from different parts.
//!
//! ```text
//! chunk ── Ties ── where its batch lies in the part ── asked for ──► source_id, source_offset, event_id of its rows
//! ```
//!
//! Invariants: row `n` of a chunk is row `n` of its ties, whatever the filter left out. Rows of one part at one time
//! are in the total order already.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::common::Result;
use parquet::arrow::arrow_reader::RowSelection;

use crate::event::Column;

use super::content::Content;
use super::part::{Opened, damaged};
use super::sorted::Sorted;

/// The columns that order rows of one person at one time.
const TIES: [Column; 3] = [Column::SourceId, Column::SourceOffset, Column::EventId];

/// What orders events of one person at one time: source, place in it, event id.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TieKey<'a> {
    pub source: &'a str,
    pub offset: i64,
    pub event: &'a str,
}

impl<'a> TieKey<'a> {
    /// Of one row of a batch with the columns of [`TIES`].
    fn of(batch: &'a RecordBatch, row: usize) -> Self {
        let source = batch
            .column_by_name(Column::SourceId.name())
            .and_then(|column| column.as_dictionary_opt::<Int32Type>())
            .and_then(|column| Some(column.values().as_string_opt::<i32>()?.value(column.key(row)?)));
        let offset = batch
            .column_by_name(Column::SourceOffset.name())
            .and_then(|column| column.as_primitive_opt::<Int64Type>())
            .map(|column| column.value(row));
        let event = batch
            .column_by_name(Column::EventId.name())
            .and_then(|column| column.as_string_view_opt())
            .filter(|column| column.is_valid(row))
            .map(|column| column.value(row));
        Self {
            source: source.unwrap_or_default(),
            offset: offset.unwrap_or_default(),
            event: event.unwrap_or_default(),
        }
    }
}

/// What orders a chunk's rows.
#[derive(Debug)]
pub(super) enum Ties {
    /// Read when it is first asked for: a batch with those columns of [`TIES`] that the part has.
    Stored(Box<Stretch>, OnceLock<RecordBatch>),
    /// Row `n` is the one at place `n` of the order there.
    Moved(Arc<Sorted>),
}

/// Rows of one row group that came as one batch.
#[derive(Debug, Clone)]
pub(super) struct Stretch {
    pub part: Opened,
    pub group: usize,
    /// The rows of the group that are read at all.
    pub selection: Option<Arc<RowSelection>>,
    /// How many of those come before the batch.
    pub first: usize,
    pub rows: usize,
    /// Those of the batch that passed the filter, all if absent.
    pub kept: Option<BooleanArray>,
}

impl Ties {
    /// Of rows that can be read again.
    pub(super) fn of(stretch: Stretch) -> Self {
        Self::Stored(Box::new(stretch), OnceLock::new())
    }

    /// What orders a row.
    pub(super) fn key(&self, row: usize) -> Result<TieKey<'_>> {
        match self {
            Self::Moved(sorted) => sorted.key(row),
            Self::Stored(stretch, read) => {
                let rows = if let Some(rows) = read.get() {
                    rows
                } else {
                    let rows = stretch.read()?;
                    read.get_or_init(|| rows)
                };
                Ok(TieKey::of(rows, row))
            }
        }
    }

    /// The rows of the file that these rows of the chunk came from, with those among and beside them that did not pass
    /// the filter; `None` where they came from several, or other rows lie between them that were not read.
    pub(super) fn in_file(&self, rows: &Range<usize>) -> Option<Range<u64>> {
        match self {
            Self::Moved(_) => None,
            Self::Stored(stretch, _) => stretch.in_file(rows),
        }
    }

    /// Bytes held, without those of others.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Moved(_) => 0,
            Self::Stored(_, read) => read.get().map_or(0, RecordBatch::get_array_memory_size),
        }
    }
}

impl Stretch {
    fn in_file(&self, rows: &Range<usize>) -> Option<Range<u64>> {
        let (from, to) = match &self.kept {
            None => (rows.start, rows.end),
            Some(kept) => {
                // Before the first and behind the last there are only rows that nobody wants.
                let places: Vec<usize> = kept.values().set_indices().collect();
                let from = if rows.start == 0 { 0 } else { places[rows.start] };
                (from, if rows.end == places.len() { self.rows } else { places[rows.end - 1] + 1 })
            }
        };
        let (start, end) = (self.in_group(self.first + from), self.in_group(self.first + to - 1) + 1);
        let before = self.part.rows_before(self.group);
        // A batch goes on behind pages that hold none of these ids, and those are other people's.
        (end - start == to - from).then(|| before + start as u64..before + end as u64)
    }

    /// The row of the group that comes behind so many of those that are read.
    fn in_group(&self, mut behind: usize) -> usize {
        let mut row = 0;
        for selector in self.selection.iter().flat_map(|selection| selection.iter()) {
            if !selector.skip && behind < selector.row_count {
                break;
            }
            row += selector.row_count;
            behind -= if selector.skip { 0 } else { selector.row_count };
        }
        row + behind
    }

    fn read(&self) -> Result<RecordBatch> {
        let fail = |error: &dyn std::fmt::Display| damaged(&self.part.file.path, error);
        let columns: Vec<Column> = TIES.into_iter().filter(|it| !self.part.always_null(*it)).collect();
        let selection = self.selection.as_deref().cloned();
        let content = Content::open(&self.part.file)?;
        let reader = self.part.read_rows(content, &columns, self.group, selection, (self.first, self.rows))?;
        let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|error| fail(&error))?;
        let Some(first) = batches.first() else { return Err(fail(&"rows that were read once are gone")) };
        let rows = if batches.len() == 1 { first.clone() } else { concat_batches(&first.schema(), &batches)? };
        if rows.num_rows() != self.rows {
            return Err(fail(&"rows that were read once are gone"));
        }
        Ok(match &self.kept {
            Some(kept) => filter_record_batch(&rows, kept)?,
            None => rows,
        })
    }
}
