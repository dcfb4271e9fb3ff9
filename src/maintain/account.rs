//! Whose lines went, so that the law of conservation holds on.

use std::collections::BTreeMap;

use arrow::array::{AsArray, RecordBatch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::error::MaintainError;
use crate::event::Column;
use crate::store::{Part, SourceRow, Table, part_options};

/// Rows that go, by source: events and refused lines.
#[derive(Debug, Default)]
pub struct Account {
    gone: BTreeMap<String, [u64; 2]>,
}

impl Account {
    /// A whole part goes.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn part(&mut self, part: &Part) -> Result<(), MaintainError> {
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(part.open()?, part_options())?;
        let column = ProjectionMask::columns(builder.parquet_schema(), [Column::SourceId.name()]);
        for batch in builder.with_projection(column).build()? {
            self.rows(part.table, &batch?, |_| true);
        }
        Ok(())
    }

    /// The rows of a batch that `goes` says so of.
    pub fn rows(&mut self, table: Table, batch: &RecordBatch, goes: impl Fn(usize) -> bool) {
        let Some(sources) = batch.column_by_name(Column::SourceId.name()) else { return };
        let slot = usize::from(table == Table::Quarantine);
        for (row, source_id) in sources.as_string::<i32>().iter().enumerate() {
            let Some(source_id) = source_id.filter(|_| goes(row)) else { continue };
            match self.gone.get_mut(source_id) {
                Some(rows) => rows[slot] += 1,
                None => self.gone.entry(source_id.to_owned()).or_default()[slot] += 1,
            }
        }
    }

    /// The sources whose lines went, counted as dropped by `rule` from now on.
    ///
    /// # Errors
    /// A source is not known, or has fewer lines than went.
    pub fn sources(self, known: &[SourceRow], rule: &str, now: i64) -> Result<Vec<SourceRow>, MaintainError> {
        let counted = |(source_id, [events, refused]): (String, [u64; 2])| {
            let row = known.iter().find(|row| row.source_id == source_id);
            let Some(row) = row.filter(|row| row.stored >= events && row.quarantined >= refused) else {
                return Err(MaintainError::UnknownSource { source_id });
            };
            let mut row = row.clone();
            row.stored -= events;
            row.quarantined -= refused;
            row.dropped += events + refused;
            *row.dropped_by.entry(rule.to_owned()).or_default() += events + refused;
            row.updated_ts = now;
            Ok(row)
        };
        self.gone.into_iter().map(counted).collect()
    }
}
