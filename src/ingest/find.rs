//! Finds rows of a part: one narrow reading tells which, a second reads them whole.

use std::fs::File;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};

use crate::event::{Column, events, quarantine};
use crate::ingest::error::IngestError;
use crate::ingest::rows::interner::Interner;
use crate::limits;
use crate::store::{fits, other_columns, part_options};

/// Event ids up to which a row group's bloom filter is asked first; more would hit every filter by chance.
const BLOOM_IDS: usize = 256;

/// Shows `visit` every row (batch with the columns `shown`, or all, and index) of `groups` for which `wanted` says yes
/// after seeing only `columns` of it.
///
/// # Errors
/// The part cannot be read, or `visit` fails.
pub fn rows(
    file: &File,
    meta: &ArrowReaderMetadata,
    groups: &[usize],
    (columns, shown): (&[&str], Option<&[&str]>),
    mut wanted: impl FnMut(&RecordBatch, usize) -> bool,
    mut visit: impl FnMut(&RecordBatch, usize) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    let again = || -> Result<_, IngestError> {
        let file = file.try_clone().map_err(parquet::errors::ParquetError::from)?;
        Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(file, meta.clone())
            .with_row_groups(groups.to_vec())
            .with_batch_size(limits::BATCH_ROWS))
    };
    let mask = ProjectionMask::columns(meta.parquet_schema(), columns.iter().copied());
    let mut selectors: Vec<RowSelector> = Vec::new();
    for batch in again()?.with_projection(mask).build()? {
        let batch = batch?;
        for at in 0..batch.num_rows() {
            let selector = if wanted(&batch, at) { RowSelector::select(1) } else { RowSelector::skip(1) };
            match selectors.last_mut() {
                Some(last) if last.skip == selector.skip => last.row_count += 1,
                _ => selectors.push(selector),
            }
        }
    }
    if !selectors.iter().any(|selector| !selector.skip) {
        return Ok(());
    }
    let shown = match shown {
        Some(shown) => ProjectionMask::columns(meta.parquet_schema(), shown.iter().copied()),
        None => ProjectionMask::all(),
    };
    let whole = again()?.with_projection(shown);
    for batch in whole.with_row_selection(RowSelection::from(selectors)).build()? {
        let batch = batch?;
        for at in 0..batch.num_rows() {
            visit(&batch, at)?;
        }
    }
    Ok(())
}

/// The events of a part whose event id is among `ids`, shown to `visit` with that id's code.
///
/// # Errors
/// The part cannot be read, or `visit` fails.
pub fn by_event_id(
    file: &File,
    ids: &Interner,
    mut visit: impl FnMut(u32, &RecordBatch, usize) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    let meta = footer(file)?;
    let groups = groups_with(file, &meta, ids)?;
    if groups.is_empty() {
        return Ok(());
    }
    let name = Column::EventId.name();
    let code = |batch: &RecordBatch, at: usize| {
        let array = batch.column_by_name(name)?.as_string_opt::<i32>()?;
        if array.is_valid(at) { ids.get(array.value(at).as_bytes()) } else { None }
    };
    rows(
        file,
        &meta,
        &groups,
        (&[name], None),
        |batch, at| code(batch, at).is_some(),
        |batch, at| match code(batch, at) {
            Some(id) => visit(id, batch, at),
            None => Ok(()),
        },
    )
}

/// The rows of a part that came from `source_id` at an offset in `from..to`, whatever the table.
///
/// # Errors
/// The part cannot be read, or `visit` fails.
pub fn by_line(
    file: &File,
    source_id: &str,
    offsets: std::ops::Range<u64>,
    mut visit: impl FnMut(u64, &RecordBatch, usize) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    let meta = footer(file)?;
    let groups: Vec<usize> = (0..meta.metadata().num_row_groups()).collect();
    let columns = [Column::SourceId.name(), Column::SourceOffset.name()];
    let line = |batch: &RecordBatch, at: usize| {
        let (source, offset) = line(batch, at)?;
        (source == source_id && offsets.contains(&offset)).then_some(offset)
    };
    rows(
        file,
        &meta,
        &groups,
        (&columns, None),
        |batch, at| line(batch, at).is_some(),
        |batch, at| match line(batch, at) {
            Some(offset) => visit(offset, batch, at),
            None => Ok(()),
        },
    )
}

/// The quarantine rows of a part that were refused for `reason`.
///
/// # Errors
/// The part cannot be read, or `visit` fails.
pub fn by_reason(
    file: &File,
    reason: &str,
    visit: impl FnMut(&RecordBatch, usize) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    let meta = footer(file)?;
    let groups: Vec<usize> = (0..meta.metadata().num_row_groups()).collect();
    let wanted = |batch: &RecordBatch, at: usize| {
        let reasons = batch.column_by_name("reason").and_then(|array| array.as_string_opt::<i32>());
        reasons.is_some_and(|reasons| reasons.value(at) == reason)
    };
    rows(file, &meta, &groups, (&["reason"], None), wanted, visit)
}

/// The footer of a part, which must have the columns of a table: a column that is not found would hide rows.
pub fn footer(file: &File) -> Result<ArrowReaderMetadata, IngestError> {
    let meta = ArrowReaderMetadata::load(file, part_options())?;
    let ours = [events(), quarantine()].iter().any(|table| fits(table, meta.schema()));
    if ours { Ok(meta) } else { Err(other_columns().into()) }
}

/// Source id and offset of a row.
pub fn line(batch: &RecordBatch, at: usize) -> Option<(&str, u64)> {
    let sources = batch.column_by_name(Column::SourceId.name())?.as_string_opt::<i32>()?;
    let offsets = batch.column_by_name(Column::SourceOffset.name())?.as_primitive_opt::<Int64Type>()?;
    Some((sources.value(at), offsets.value(at).cast_unsigned()))
}

/// Source id and offset of a row whose text is coded.
pub fn coded_line(batch: &RecordBatch, at: usize) -> Option<(&str, u64)> {
    let sources = batch.column_by_name(Column::SourceId.name())?.as_dictionary_opt::<Int32Type>()?;
    let offsets = batch.column_by_name(Column::SourceOffset.name())?.as_primitive_opt::<Int64Type>()?;
    let source = sources.values().as_string_opt::<i32>()?.value(sources.key(at)?);
    Some((source, offsets.value(at).cast_unsigned()))
}

/// The raw line of a quarantine row.
pub fn raw(batch: &RecordBatch, at: usize) -> Option<&[u8]> {
    Some(batch.column_by_name("raw")?.as_binary_opt::<i32>()?.value(at))
}

/// The row groups that may hold one of the ids: those whose event ids are not all absent and whose bloom filter, asked
/// where the ids are few, does not rule all of them out.
fn groups_with(file: &File, meta: &ArrowReaderMetadata, ids: &Interner) -> Result<Vec<usize>, IngestError> {
    let column = Column::EventId as usize;
    let all = meta.metadata();
    let mut groups = Vec::new();
    for group in 0..all.num_row_groups() {
        let statistics = all.row_group(group).column(column).statistics();
        let rows = u64::try_from(all.row_group(group).num_rows()).unwrap_or(u64::MAX);
        if statistics.and_then(parquet::file::statistics::Statistics::null_count_opt) == Some(rows) {
            continue;
        }
        if ids.len() <= BLOOM_IDS {
            let file = file.try_clone().map_err(parquet::errors::ParquetError::from)?;
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, meta.clone());
            if let Some(filter) = builder.get_row_group_column_bloom_filter(group, column)?
                && !ids.texts().any(|id| filter.check(id))
            {
                continue;
            }
        }
        groups.push(group);
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};
    use parquet::arrow::ArrowWriter;

    use super::*;

    #[test]
    fn a_part_with_other_columns_is_refused_not_taken_for_one_without_the_line() {
        let ids: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
        let batch = RecordBatch::try_from_iter([(Column::SourceId.name(), ids)]).unwrap();
        let file = tempfile::tempfile().unwrap();
        let mut writer = ArrowWriter::try_new(file.try_clone().unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let error = by_line(&file, "a", 0..9, |_, _, _| Ok(())).unwrap_err();
        assert!(error.to_string().contains("other columns"), "{error}");
        assert!(by_event_id(&file, &Interner::default(), |_, _, _| Ok(())).is_err());
    }
}
