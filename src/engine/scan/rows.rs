//! Stored rows as they lie, for `events`: no order, no merge, every row group once.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use parquet::arrow::arrow_reader::RowSelection;

use crate::event::Column;

use super::part::{Opened, PartFile, complete, damaged, read_schema};
use super::range::{IdRange, needed};

/// A row group of a part, or the rows of it that may matter.
#[derive(Debug, Clone)]
struct Unit {
    part: usize,
    group: usize,
    selection: Option<RowSelection>,
    rows: usize,
}

/// The rows of some parts, dealt out to readers.
#[derive(Debug)]
pub struct StoredRows {
    parts: Vec<Opened>,
    columns: Vec<Column>,
    schema: SchemaRef,
    /// Units of each reader.
    shares: Vec<Vec<Unit>>,
}

impl StoredRows {
    /// Reads the footers. `columns` in file order; `ids` leaves out pages that hold none of these people.
    ///
    /// # Errors
    /// A part is missing or damaged.
    pub fn open(parts: &[Arc<PartFile>], columns: Vec<Column>, ids: Option<&[String]>, readers: usize) -> Result<Self> {
        let parts = parts.iter().map(Opened::open).collect::<Result<Vec<_>>>()?;
        let mut shares: Vec<Vec<Unit>> = vec![Vec::new(); readers.max(1)];
        let mut filled = vec![0; shares.len()];
        for (number, part) in parts.iter().enumerate() {
            for (group, selection) in needed(part, &IdRange::default(), ids) {
                let all = usize::try_from(part.row_groups()[group].num_rows()).unwrap_or(0);
                let rows = selection.as_ref().map_or(all, RowSelection::row_count);
                let least = filled.iter().enumerate().min_by_key(|(_, rows)| **rows).map_or(0, |(at, _)| at);
                filled[least] += rows;
                shares[least].push(Unit { part: number, group, selection, rows });
            }
        }
        Ok(Self { parts, schema: read_schema(&columns), columns, shares })
    }

    /// Reads one reader's share, batch by batch, with the columns in the order of [`StoredRows::open`]. `each` says
    /// whether to go on.
    ///
    /// # Errors
    /// A part is damaged, or `each` fails.
    pub fn read(&self, reader: usize, mut each: impl FnMut(RecordBatch) -> Result<bool>) -> Result<()> {
        for unit in self.shares.get(reader).into_iter().flatten() {
            let part = &self.parts[unit.part];
            if self.columns.is_empty() {
                let options = RecordBatchOptions::new().with_row_count(Some(unit.rows));
                let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), Vec::new(), &options)?;
                if !each(batch)? {
                    return Ok(());
                }
                continue;
            }
            for batch in part.read(&self.columns, unit.group, unit.selection.clone())? {
                let batch = batch.map_err(|error| damaged(&part.file.path, &error))?;
                if !each(complete(&batch, &self.schema)?)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
