//! Rows as corrections have them, as a part in memory.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::compute::{SortColumn, cast, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::common::Result;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::RowSelection;

use super::super::part::{Opened, PartFile, complete, damaged, read_schema};
use super::find::group_starts;
use crate::correction::Fate;
use crate::event::{Column, events};
use crate::time::Day;

/// What stands in messages for the path of corrected events.
const PLACE: &str = "corrected events";

/// These rows of a file with their new values, in the types of the store; those that are dropped are not among them.
pub(super) fn corrected(part: &Arc<PartFile>, found: &[(u64, &Fate)]) -> Result<Vec<RecordBatch>> {
    let opened = Opened::open(part)?;
    let starts = group_starts(&opened);
    let schema = read_schema(&Column::ALL);
    let mut all = Vec::new();
    for group in 0..starts.len() - 1 {
        let (first, end) = (starts[group], starts[group + 1]);
        let of_group = found.iter().filter(|(row, fate)| (first..end).contains(row) && !fate.dropped);
        let (rows, fates): (Vec<usize>, Vec<&Fate>) =
            of_group.map(|&(row, fate)| (usize::try_from(row - first).unwrap_or(usize::MAX), fate)).unzip();
        if rows.is_empty() {
            continue;
        }
        let total = usize::try_from(end - first).unwrap_or(usize::MAX);
        let selection = RowSelection::from_consecutive_ranges(rows.into_iter().map(|row| row..row + 1), total);
        let mut fates = fates.as_slice();
        for batch in opened.read(&Column::ALL, group, Some(selection))? {
            let batch = complete(&batch.map_err(|error| damaged(&part.path, &error))?, &schema)?;
            let (these, rest) = fates.split_at(batch.num_rows());
            all.push(patched(&batch, these)?);
            fates = rest;
        }
    }
    Ok(all)
}

/// The batch with what each row's fate says.
fn patched(batch: &RecordBatch, fates: &[&Fate]) -> Result<RecordBatch> {
    let stored = events();
    let mut arrays = Vec::with_capacity(batch.num_columns());
    for (&column, field) in Column::ALL.iter().zip(stored.fields()) {
        let array = cast(batch.column(column as usize), field.data_type())?;
        let text = |new: fn(&Fate) -> Option<&str>| -> ArrayRef {
            let old = array.as_string::<i32>();
            let value = |(row, fate): (usize, &&Fate)| {
                new(fate).map(str::to_owned).or_else(|| old.is_valid(row).then(|| old.value(row).to_owned()))
            };
            Arc::new(fates.iter().enumerate().map(value).collect::<StringArray>())
        };
        let times = || fates.iter().map(|fate| fate.ts.unwrap_or(fate.anchor.ts));
        arrays.push(match column {
            Column::Day => Arc::new(Date32Array::from_iter_values(times().map(|ts| Day::of(ts).0))) as ArrayRef,
            Column::Ts => Arc::new(TimestampMicrosecondArray::from_iter_values(times()).with_timezone("UTC")),
            Column::DistinctId => text(|fate| fate.distinct_id.as_deref()),
            Column::Page => text(|fate| fate.page.as_deref()),
            Column::Event => text(|fate| fate.name.as_deref()),
            _ => array,
        });
    }
    Ok(RecordBatch::try_new(stored, arrays)?)
}

/// A part of these rows, sorted as parts are; `None` if there are none.
pub(super) fn part(batches: &[RecordBatch]) -> Result<Option<PartFile>> {
    if batches.is_empty() {
        return Ok(None);
    }
    let rows = concat_batches(&events(), batches)?;
    let key = [Column::DistinctId, Column::Ts, Column::SourceId, Column::SourceOffset];
    let key = key.map(|column| SortColumn { values: Arc::clone(rows.column(column as usize)), options: None });
    let rows = take_record_batch(&rows, &lexsort_to_indices(&key, None)?)?;
    let mut bytes = Vec::new();
    let written = ArrowWriter::try_new(&mut bytes, rows.schema(), None).and_then(|mut writer| {
        writer.write(&rows)?;
        writer.close()
    });
    written.map_err(|error| damaged(PLACE.as_ref(), &error))?;
    let ts = rows.column(Column::Ts as usize).as_primitive::<TimestampMicrosecondType>().values();
    let (ts_min, ts_max) = ts.iter().fold((i64::MAX, i64::MIN), |span, &ts| (span.0.min(ts), span.1.max(ts)));
    Ok(Some(PartFile {
        path: PLACE.into(),
        day: Day::of(ts_min),
        rows: rows.num_rows() as u64,
        bytes: bytes.len() as u64,
        ts_min,
        ts_max,
        hidden: Arc::default(),
        memory: Some(bytes.into()),
    }))
}
