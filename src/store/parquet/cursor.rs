//! A sorted part, read from its start row by row.

use std::cmp::Ordering;
use std::fs::File;

use ::parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use ::parquet::errors::ParquetError;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{FieldRef, Int64Type, Schema, TimestampMicrosecondType};

use crate::event::Column;
use crate::limits;
use crate::store::Table;

/// Bytes of decoded rows that one cursor aims to hold.
const BATCH_BYTES: usize = 4 << 20;

/// The text of a file as `Utf8`, whatever the writer called it.
#[must_use]
pub fn options() -> ArrowReaderOptions {
    ArrowReaderOptions::new().with_skip_arrow_metadata(true)
}

/// A place in a sorted part.
#[derive(Debug)]
pub struct Cursor {
    table: Table,
    reader: ParquetRecordBatchReader,
    batch: RecordBatch,
    at: usize,
}

impl Cursor {
    /// At the first row of a part; `None` where it has none. `share` cursors are open at a time.
    ///
    /// # Errors
    /// The file is no readable Parquet file, or no part of the table.
    pub fn open(table: Table, file: File, share: usize) -> Result<Option<Self>, ParquetError> {
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options())?;
        let meta = builder.metadata();
        let bytes: i64 = meta.row_groups().iter().map(parquet::file::metadata::RowGroupMetaData::total_byte_size).sum();
        let rows = usize::try_from(meta.file_metadata().num_rows()).unwrap_or(usize::MAX).max(1);
        let row_bytes = (usize::try_from(bytes).unwrap_or(usize::MAX) / rows).max(64);
        let batch_rows = (BATCH_BYTES / row_bytes / share.max(1)).clamp(16, limits::BATCH_ROWS);
        if !fits(&table.schema(), builder.schema()) {
            return Err(other_columns());
        }
        let reader = builder.with_batch_size(batch_rows).build()?;
        let batch = RecordBatch::new_empty(crate::event::events());
        let mut cursor = Self { table, reader, batch, at: 0 };
        Ok(cursor.load()?.then_some(cursor))
    }

    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    pub fn at(&self) -> usize {
        self.at
    }

    /// Steps to the next row of the batch; `false` where the batch ends.
    pub fn step(&mut self) -> bool {
        self.at += 1;
        self.at < self.batch.num_rows()
    }

    /// Reads the next batch; `false` at the end of the part.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn load(&mut self) -> Result<bool, ParquetError> {
        self.at = 0;
        for batch in self.reader.by_ref() {
            let batch = batch?;
            if batch.num_rows() > 0 {
                self.batch = batch;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where the row was read: source id and offset.
    pub fn line(&self) -> (&str, u64) {
        (self.text(Column::SourceId.name()), self.number(Column::SourceOffset.name()).cast_unsigned())
    }

    /// The order of two rows in a part of their table.
    pub fn compare(&self, other: &Self) -> Ordering {
        let lines = || self.line().cmp(&other.line());
        match self.table {
            Table::Quarantine => lines(),
            Table::Events => self
                .text(Column::DistinctId.name())
                .cmp(other.text(Column::DistinctId.name()))
                .then_with(|| self.ts().cmp(&other.ts()))
                .then_with(lines),
        }
    }

    fn text(&self, name: &str) -> &str {
        let array = self.batch.column_by_name(name).and_then(|array| array.as_string_opt::<i32>());
        array.map(|array| array.value(self.at)).unwrap_or_default()
    }

    fn number(&self, name: &str) -> i64 {
        let array = self.batch.column_by_name(name).and_then(|array| array.as_primitive_opt::<Int64Type>());
        array.map(|array| array.value(self.at)).unwrap_or_default()
    }

    fn ts(&self) -> i64 {
        let array = self.batch.column_by_name(Column::Ts.name());
        let array = array.and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>());
        array.map(|array| array.value(self.at)).unwrap_or_default()
    }
}

/// Whether a part has the columns of a table.
#[must_use]
pub fn fits(table: &Schema, part: &Schema) -> bool {
    let is_there =
        |field: &FieldRef| part.field_with_name(field.name()).is_ok_and(|it| it.data_type() == field.data_type());
    table.fields().len() == part.fields().len() && table.fields().iter().all(is_there)
}

/// A part that is none of ours, refused before its rows are taken for something else.
#[must_use]
pub fn other_columns() -> ParquetError {
    ParquetError::General("a part has other columns than its table".to_owned())
}
