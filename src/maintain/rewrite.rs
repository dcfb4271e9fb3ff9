//! Parts of one day to one part.

use std::fs::File;

use arrow::array::RecordBatch;

use super::error::MaintainError;
use crate::limits;
use crate::store::{Lines, NewPart, Part, PartWriter, StoreError, Table, Writer, merge};
use crate::time::Day;

/// What becomes of a batch on its way.
pub type Change<'a> = &'a mut dyn FnMut(&RecordBatch) -> Result<RecordBatch, MaintainError>;

/// One part with the rows of all `parts`, which are of one table and day, in order, each batch as `change` makes it,
/// which may leave rows out; `rules` is the fingerprint of what the rows are then.
///
/// # Errors
/// A part cannot be read, the disk is full, or rows would be lost on the way.
pub fn rewrite(
    writer: &Writer,
    (table, day): (Table, Day),
    parts: &[&Part],
    rules: &str,
    change: Change<'_>,
) -> Result<NewPart, MaintainError> {
    let mut runs: Vec<Run<'_>> = parts.iter().map(|part| Run::Live(part)).collect();
    // In levels, so that a day of any number of parts keeps a bounded number of files open.
    while runs.len() > limits::OPEN_PARTS {
        let level = runs.split_off(runs.len() - limits::OPEN_PARTS);
        runs.insert(0, Run::New(one(writer, (table, day), &level, rules, &mut |batch| Ok(batch.clone()))?));
    }
    let (mut read, mut kept) = (0, 0);
    let part = one(writer, (table, day), &runs, rules, &mut |batch| {
        read += batch.num_rows() as u64;
        let changed = change(batch)?;
        kept += changed.num_rows() as u64;
        Ok(changed)
    })?;
    let expected = parts.iter().map(|part| part.rows).sum::<u64>() + kept - read;
    if part.rows() != expected {
        return Err(MaintainError::Conservation { day, expected, written: part.rows() });
    }
    Ok(part)
}

/// Sorted rows of a day.
enum Run<'a> {
    Live(&'a Part),
    New(NewPart),
}

impl Run<'_> {
    fn open(&self) -> Result<File, StoreError> {
        match self {
            Self::Live(part) => part.open(),
            Self::New(part) => part.open(),
        }
    }
}

fn one(
    writer: &Writer,
    (table, day): (Table, Day),
    runs: &[Run<'_>],
    rules: &str,
    change: Change<'_>,
) -> Result<NewPart, MaintainError> {
    let nothing = Lines::default();
    let files = runs.iter().map(|run| Ok((run.open()?, &nothing))).collect::<Result<Vec<_>, StoreError>>()?;
    let mut part = PartWriter::new(writer.part(table, day)?, rules)?;
    merge(table, files, |batch| Ok::<_, MaintainError>(part.write(&change(batch)?)?))?;
    Ok(part.finish()?)
}
