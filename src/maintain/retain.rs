//! Old days go.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Serialize;

use super::error::MaintainError;
use crate::event::Column;
use crate::store::{Part, SourceRow, Store, Table, part_options};
use crate::time::Day;

/// The rule that such lines are counted under.
const RULE: &str = "retention";

/// What went, or would go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Retained {
    /// Days of events that went.
    pub days: usize,
    /// Stored events that went.
    pub events: u64,
    /// Quarantined lines that went.
    pub quarantined: u64,
    pub files: usize,
    pub bytes: u64,
}

/// Drops every event before the day `first`, and every refused line that was received before it. Their lines stay
/// counted, as dropped by the rule `retention`. With `dry_run` nothing is changed.
///
/// # Errors
/// Somebody else writes, or a part cannot be read; the store is as it was then.
pub fn retain(store: &Store, first: Day, now: i64, dry_run: bool) -> Result<Retained, MaintainError> {
    let mut writer = store.writer()?;
    let snapshot = writer.snapshot()?;
    let old: Vec<&Part> =
        Table::ALL.into_iter().flat_map(|table| snapshot.parts(table)).filter(|part| part.day < first).collect();
    let rows = |table| old.iter().filter(|part| part.table == table).map(|part| part.rows).sum();
    let days: std::collections::BTreeSet<Day> =
        old.iter().filter(|part| part.table == Table::Events).map(|part| part.day).collect();
    let report = Retained {
        days: days.len(),
        events: rows(Table::Events),
        quarantined: rows(Table::Quarantine),
        files: old.len(),
        bytes: old.iter().map(|part| part.bytes).sum(),
    };
    if old.is_empty() || dry_run {
        return Ok(report);
    }
    let mut lost: BTreeMap<String, [u64; 2]> = BTreeMap::new();
    for part in &old {
        count(part, &mut lost)?;
    }
    let sources = sources(snapshot.sources(), lost, now)?;
    let remove: Vec<i64> = old.iter().map(|part| part.file_id).collect();
    drop(snapshot);
    let mut commit = writer.begin();
    for file_id in remove {
        commit.remove(file_id);
    }
    for row in sources {
        commit.source(row);
    }
    let Retained { days, events, quarantined, .. } = report;
    commit.audit("retain", format!("before {first}: {days} days, {events} events, {quarantined} quarantined"));
    commit.commit()?;
    Ok(report)
}

/// Adds the rows of a part to the events and refused lines of each source.
fn count(part: &Part, lost: &mut BTreeMap<String, [u64; 2]>) -> Result<(), MaintainError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(part.open()?, part_options())?;
    let column = ProjectionMask::columns(builder.parquet_schema(), [Column::SourceId.name()]);
    let slot = usize::from(part.table == Table::Quarantine);
    for batch in builder.with_projection(column).build()? {
        let batch = batch?;
        for source_id in batch.column(0).as_string::<i32>().iter().flatten() {
            match lost.get_mut(source_id) {
                Some(rows) => rows[slot] += 1,
                None => lost.entry(source_id.to_owned()).or_default()[slot] += 1,
            }
        }
    }
    Ok(())
}

/// The sources whose lines went, counted anew.
fn sources(known: &[SourceRow], lost: BTreeMap<String, [u64; 2]>, now: i64) -> Result<Vec<SourceRow>, MaintainError> {
    lost.into_iter()
        .map(|(source_id, [events, refused])| {
            let row = known.iter().find(|row| row.source_id == source_id);
            let Some(row) = row.filter(|row| row.stored >= events && row.quarantined >= refused) else {
                return Err(MaintainError::UnknownSource { source_id });
            };
            let mut row = row.clone();
            row.stored -= events;
            row.quarantined -= refused;
            row.dropped += events + refused;
            *row.dropped_by.entry(RULE.to_owned()).or_default() += events + refused;
            row.updated_ts = now;
            Ok(row)
        })
        .collect()
}
