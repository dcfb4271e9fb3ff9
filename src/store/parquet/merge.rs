//! Sorted parts of one day become one, in one pass, some rows left out.
//!
//! ```text
//! cursor ─┐
//! cursor ─┼─ smallest row ─► (cursor, row) list ─ interleave ─► batch ─► sink
//! cursor ─┘  until the batch of one cursor ends
//! ```
//!
//! Invariants: the sink sees rows in the table's order; every row of every input goes there exactly once unless its
//! line is to be left out; at most [`limits::OPEN_PARTS`] files are open (more: the caller merges in levels).

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fs::File;

use ::parquet::errors::ParquetError;
use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::error::ArrowError;

use super::cursor::Cursor;
use crate::limits;
use crate::store::Table;

/// Lines by source id and offset.
#[derive(Debug, Default)]
pub struct Lines {
    by_source: HashMap<String, HashSet<u64>>,
    len: usize,
}

impl Lines {
    /// Adds a line; whether it is new.
    pub fn insert(&mut self, source_id: &str, offset: u64) -> bool {
        let is_new = match self.by_source.get_mut(source_id) {
            Some(offsets) => offsets.insert(offset),
            None => self.by_source.entry(source_id.to_owned()).or_default().insert(offset),
        };
        self.len += usize::from(is_new);
        is_new
    }

    #[must_use]
    pub fn contains(&self, source_id: &str, offset: u64) -> bool {
        self.len > 0 && self.by_source.get(source_id).is_some_and(|offsets| offsets.contains(&offset))
    }

    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Merges files into `sink`, leaving out the lines that stand beside each.
///
/// # Errors
/// A file cannot be read or is no part of the table, or the sink refuses.
pub fn merge<E: From<ParquetError> + From<ArrowError>>(
    table: Table,
    files: Vec<(File, &Lines)>,
    mut sink: impl FnMut(&RecordBatch) -> Result<(), E>,
) -> Result<(), E> {
    let share = files.len();
    let (mut cursors, mut skips) = (Vec::with_capacity(share), Vec::with_capacity(share));
    for (file, skip) in files {
        if let Some(cursor) = Cursor::open(table, file, share)? {
            cursors.push(cursor);
            skips.push(skip);
        }
    }
    let mut picked: Vec<(usize, usize)> = Vec::with_capacity(limits::BATCH_ROWS);
    while let Some((first, second)) = lowest_two(&cursors) {
        // Rows come in runs of one person: go on with this cursor as long as it stays in front.
        let ended = loop {
            let cursor = &cursors[first];
            if second.is_some_and(|second| cursor.compare(&cursors[second]) == Ordering::Greater) {
                break false;
            }
            if skips[first].is_empty() || !is_among(skips[first], cursor) {
                picked.push((first, cursor.at()));
            }
            if !cursors[first].step() {
                break true;
            }
        };
        if ended || picked.len() >= limits::BATCH_ROWS {
            emit(&cursors, &mut picked, &mut sink)?;
        }
        if ended && !cursors[first].load()? {
            cursors.remove(first);
            skips.remove(first);
        }
    }
    emit(&cursors, &mut picked, &mut sink)
}

fn is_among(lines: &Lines, cursor: &Cursor) -> bool {
    let (source, offset) = cursor.line();
    lines.contains(source, offset)
}

/// The cursors with the smallest and the second smallest row.
fn lowest_two(cursors: &[Cursor]) -> Option<(usize, Option<usize>)> {
    if cursors.is_empty() {
        return None;
    }
    let (mut first, mut second) = (0, None);
    for at in 1..cursors.len() {
        if cursors[at].compare(&cursors[first]) == Ordering::Less {
            second = Some(first);
            first = at;
        } else if second.is_none_or(|second: usize| cursors[at].compare(&cursors[second]) == Ordering::Less) {
            second = Some(at);
        }
    }
    Some((first, second))
}

fn emit<E: From<ArrowError>>(
    cursors: &[Cursor],
    picked: &mut Vec<(usize, usize)>,
    sink: &mut impl FnMut(&RecordBatch) -> Result<(), E>,
) -> Result<(), E> {
    if !picked.is_empty() {
        let batches: Vec<&RecordBatch> = cursors.iter().map(Cursor::batch).collect();
        sink(&interleave_record_batch(&batches, picked)?)?;
        picked.clear();
    }
    Ok(())
}
