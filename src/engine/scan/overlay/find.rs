//! Where events lie in a part.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use datafusion::common::{Result, internal_err};
use parquet::arrow::arrow_reader::RowSelection;

use super::super::part::{Opened, PartFile, damaged};
use super::super::range::{IdRange, needed};
use crate::correction::Fate;
use crate::event::Column;

/// The rows of the file (ascending) that hold these events: only pages that may hold their ids are read.
pub(super) fn events<'a>(part: &Arc<PartFile>, fates: &[&'a Fate]) -> Result<Vec<(u64, &'a Fate)>> {
    let mut ids: Vec<String> = fates.iter().map(|fate| fate.anchor.distinct_id.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut wanted: HashMap<&str, HashMap<i64, &'a Fate>> = HashMap::new();
    for fate in fates {
        wanted.entry(&fate.anchor.event.source_id).or_default().insert(fate.anchor.event.offset, fate);
    }
    let by_id: HashMap<&str, &'a Fate> =
        fates.iter().filter_map(|fate| Some((fate.anchor.event_id.as_deref()?, *fate))).collect();
    let columns = [Column::EventId, Column::SourceId, Column::SourceOffset];
    let columns = if by_id.is_empty() { &columns[1..] } else { &columns[..] };
    let opened = Opened::open(part)?;
    let starts = group_starts(&opened);
    let mut found = Vec::new();
    for (group, selection) in needed(&opened, &IdRange::default(), Some(&ids)) {
        let mut rows = positions(selection.as_ref(), starts[group]..starts[group + 1]).into_iter().flatten();
        for batch in opened.read(columns, group, selection)? {
            let batch = batch.map_err(|error| damaged(&part.path, &error))?;
            let sources = batch.column_by_name(Column::SourceId.name());
            let sources = sources.and_then(|column| column.as_dictionary_opt::<Int32Type>());
            let offsets = batch.column_by_name(Column::SourceOffset.name());
            let offsets = offsets.and_then(|column| column.as_primitive_opt::<Int64Type>());
            let event_ids = batch.column_by_name(Column::EventId.name());
            let event_ids = event_ids.and_then(|column| column.as_string_view_opt());
            let (Some(sources), Some(offsets)) = (sources, offsets) else {
                return Err(damaged(&part.path, &"it does not say where its rows came from"));
            };
            let Some(texts) = sources.values().as_string_opt::<i32>() else {
                return internal_err!("source_id was read as {}", sources.data_type());
            };
            for at in 0..batch.num_rows() {
                let Some(row) = rows.next() else { return internal_err!("more rows than were selected") };
                let source = sources.key(at).map_or("", |key| texts.value(key));
                let id = event_ids.filter(|ids| ids.is_valid(at)).and_then(|ids| by_id.get(ids.value(at)));
                if let Some(fate) = id.or_else(|| wanted.get(source).and_then(|of| of.get(&offsets.value(at)))) {
                    found.push((row, *fate));
                }
            }
        }
    }
    Ok(found)
}

/// The least and the greatest `ts` of the rows that are read, µs.
pub(super) fn span(part: &Arc<PartFile>) -> Result<(i64, i64)> {
    let opened = Opened::open(part)?;
    let mut span = (i64::MAX, i64::MIN);
    for (group, selection) in needed(&opened, &IdRange::default(), None) {
        for batch in opened.read(&[Column::Ts], group, selection)? {
            let batch = batch.map_err(|error| damaged(&part.path, &error))?;
            for &ts in batch.column(0).as_primitive::<TimestampMicrosecondType>().values() {
                span = (span.0.min(ts), span.1.max(ts));
            }
        }
    }
    Ok(span)
}

/// First row of every row group, and the row after the last.
pub(super) fn group_starts(part: &Opened) -> Vec<u64> {
    let mut starts = vec![0];
    for group in part.row_groups() {
        starts.push(starts.last().copied().unwrap_or(0) + u64::try_from(group.num_rows()).unwrap_or(0));
    }
    starts
}

/// The rows of the file that a selection of a row group takes.
fn positions(selection: Option<&RowSelection>, group: Range<u64>) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    match selection {
        None => ranges.push(group),
        Some(selection) => {
            let mut at = group.start;
            for selector in selection.iter() {
                let end = at + selector.row_count as u64;
                if !selector.skip {
                    ranges.push(at..end);
                }
                at = end;
            }
        }
    }
    ranges
}
