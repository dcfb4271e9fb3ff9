//! One stored part as the engine opens it: footer, page index, and which physical column is which.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use datafusion::common::{DataFusionError, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::file::metadata::{PageIndexPolicy, RowGroupMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;

use crate::event::Column;
use crate::limits;
use crate::time::Day;

use super::content::Content;

/// What the engine needs to know of a part before it opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartFile {
    /// Absolute path of the Parquet file.
    pub path: PathBuf,
    pub day: Day,
    pub rows: u64,
    /// Size of the whole file in bytes; a file of another size is damaged.
    pub bytes: u64,
    /// Least and greatest `ts` of the part (µs).
    pub ts_min: i64,
    pub ts_max: i64,
    /// Rows of the file, ascending, that are not read: corrections take them out.
    pub hidden: Arc<[u64]>,
    /// The file's bytes, where they are on no disk: events as corrections have them.
    pub memory: Option<Bytes>,
}

impl PartFile {
    /// Rows that are read.
    #[must_use]
    pub fn visible(&self) -> u64 {
        self.rows - self.hidden.len() as u64
    }
}

impl From<&crate::store::Part> for PartFile {
    fn from(part: &crate::store::Part) -> Self {
        Self {
            path: part.path.clone(),
            day: part.day,
            rows: part.rows,
            bytes: part.bytes,
            ts_min: part.ts_min,
            ts_max: part.ts_max,
            hidden: Arc::default(),
            memory: None,
        }
    }
}

/// The Arrow type a stored column is read as: text that repeats comes as dictionary codes, text that does not as views.
#[must_use]
pub fn read_type(column: Column, stored: &DataType) -> DataType {
    match (column, stored) {
        (
            Column::DistinctId
            | Column::Event
            | Column::Page
            | Column::Method
            | Column::SourceId
            | Column::SourceSessionId,
            DataType::Utf8,
        ) => text_codes(),
        (_, DataType::Utf8) => DataType::Utf8View,
        (_, other) => other.clone(),
    }
}

/// `Dictionary(Int32, Utf8)`: the type of every column whose text repeats.
#[must_use]
pub fn text_codes() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The schema of `columns` as [`super::ScanPlan`] reads them, in the given order.
#[must_use]
pub fn read_schema(columns: &[Column]) -> SchemaRef {
    let stored = crate::event::events();
    let fields: Vec<Field> = columns
        .iter()
        .map(|&column| {
            let field = stored.field(column as usize);
            Field::new(field.name(), read_type(column, field.data_type()), field.is_nullable())
        })
        .collect();
    Arc::new(Schema::new(fields))
}

/// One data page of `distinct_id`.
#[derive(Debug, Clone, Copy)]
pub(super) struct IdPage<'a> {
    pub row_group: usize,
    /// First row of the page inside its row group.
    pub row: usize,
    pub rows: usize,
    /// Bounds of the page's ids: nothing below `min`, nothing above `max` (absent: unknown).
    pub min: &'a [u8],
    pub max: Option<&'a [u8]>,
}

/// A part with its footer read. Cheap to clone; holds no open file.
#[derive(Debug, Clone)]
pub struct Opened {
    pub file: Arc<PartFile>,
    metadata: ArrowReaderMetadata,
    /// Leaf of each [`Column`], `None` where the file is older than the column.
    leaves: [Option<usize>; Column::ALL.len()],
    /// Rows of the file, ascending, that somebody else has read already.
    pub(super) elsewhere: Arc<[Range<u64>]>,
}

impl Opened {
    /// Reads the footer and the page index.
    ///
    /// # Errors
    /// The file is missing, has another size than committed, or is no Parquet file of ours.
    pub fn open(file: &Arc<PartFile>) -> Result<Self> {
        let handle = Content::open(file)?;
        let options =
            ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional).with_skip_arrow_metadata(true);
        let plain = ArrowReaderMetadata::load(&handle, options.clone()).map_err(|error| damaged(&file.path, &error))?;
        let fields: Vec<Field> = plain
            .schema()
            .fields()
            .iter()
            .map(|field| {
                let column = Column::ALL.into_iter().find(|column| column.name() == field.name());
                let kind = column.map_or_else(|| field.data_type().clone(), |it| read_type(it, field.data_type()));
                field.as_ref().clone().with_data_type(kind)
            })
            .collect();
        let metadata = ArrowReaderMetadata::try_new(
            Arc::clone(plain.metadata()),
            options.with_schema(Arc::new(Schema::new(fields))),
        )
        .map_err(|error| damaged(&file.path, &error))?;
        let leaves = Column::ALL.map(|column| metadata.schema().index_of(column.name()).ok());
        for needed in [Column::DistinctId, Column::Ts] {
            let field = leaves[needed as usize].map(|leaf| metadata.schema().field(leaf));
            let name = needed.name();
            match field {
                None => return Err(damaged(&file.path, &format!("it has no column {name}"))),
                Some(field) if field.is_nullable() => {
                    return Err(damaged(&file.path, &format!("its column {name} may be NULL")));
                }
                Some(_) => {}
            }
        }
        let opened = Self { file: Arc::clone(file), metadata, leaves, elsewhere: Arc::default() };
        let mut groups = opened.row_groups().iter().map(|group| u64::try_from(group.num_rows()).ok());
        if groups.try_fold(0, |all: u64, rows| all.checked_add(rows?)) != Some(file.rows) {
            return Err(damaged(&file.path, &format!("its footer does not count the {} committed rows", file.rows)));
        }
        Ok(opened)
    }

    /// The part without these rows, ascending.
    pub(super) fn without(&self, rows: &Arc<[Range<u64>]>) -> Self {
        Self { elsewhere: Arc::clone(rows), ..self.clone() }
    }

    /// Rows of the file before a row group.
    pub(super) fn rows_before(&self, group: usize) -> u64 {
        let groups = self.row_groups().iter().take(group);
        groups.map(|group| u64::try_from(group.num_rows()).unwrap_or(0)).sum()
    }

    /// A fresh handle for reading; every reader seeks on its own.
    pub(super) fn handle(&self) -> Result<Content> {
        Content::open(&self.file)
    }

    /// Reads rows of one row group, with the columns that the file has of these.
    pub(super) fn read(
        &self,
        columns: &[Column],
        group: usize,
        selection: Option<RowSelection>,
    ) -> Result<ParquetRecordBatchReader> {
        self.read_from(self.handle()?, columns, limits::BATCH_ROWS, group, selection)
    }

    /// [`Opened::read`] from a handle that is open, by batches of so many rows.
    pub(super) fn read_from(
        &self,
        content: Content,
        columns: &[Column],
        rows: usize,
        group: usize,
        selection: Option<RowSelection>,
    ) -> Result<ParquetRecordBatchReader> {
        let builder = self.builder(content, columns, group, selection).with_batch_size(rows);
        builder.build().map_err(|error| damaged(&self.file.path, &error))
    }

    /// So many of the selected rows of a row group, behind so many others, in one batch if possible.
    pub(super) fn read_rows(
        &self,
        content: Content,
        columns: &[Column],
        group: usize,
        selection: Option<RowSelection>,
        (first, rows): (usize, usize),
    ) -> Result<ParquetRecordBatchReader> {
        let builder = self.builder(content, columns, group, selection).with_offset(first).with_limit(rows);
        builder.with_batch_size(rows).build().map_err(|error| damaged(&self.file.path, &error))
    }

    fn builder(
        &self,
        content: Content,
        columns: &[Column],
        group: usize,
        selection: Option<RowSelection>,
    ) -> ParquetRecordBatchReaderBuilder<Content> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(content, self.metadata.clone())
            .with_row_groups(vec![group])
            .with_projection(self.projection(columns));
        match selection {
            Some(selection) => builder.with_row_selection(selection),
            None => builder,
        }
    }

    pub(super) fn row_groups(&self) -> &[RowGroupMetaData] {
        self.metadata.metadata().row_groups()
    }

    pub(super) fn has(&self, column: Column) -> bool {
        self.leaves[column as usize].is_some()
    }

    /// The mask of the columns that the file has.
    fn projection(&self, columns: &[Column]) -> ProjectionMask {
        let leaves = columns.iter().filter_map(|&column| self.leaves[column as usize]);
        ProjectionMask::leaves(self.metadata.parquet_schema(), leaves)
    }

    fn statistics(&self, column: Column) -> impl Iterator<Item = (usize, Option<&Statistics>)> {
        let leaf = self.leaves[column as usize];
        self.row_groups().iter().map(move |group| {
            let rows = usize::try_from(group.num_rows()).unwrap_or(0);
            (rows, leaf.and_then(|leaf| group.column(leaf).statistics()))
        })
    }

    /// Whether the column surely has no NULL.
    pub(super) fn never_null(&self, column: Column) -> bool {
        self.has(column)
            && self.statistics(column).all(|(_, known)| known.and_then(Statistics::null_count_opt) == Some(0))
    }

    /// Whether the column surely has nothing but NULL.
    pub(super) fn always_null(&self, column: Column) -> bool {
        !self.has(column)
            || self
                .statistics(column)
                .all(|(rows, known)| known.and_then(Statistics::null_count_opt) == Some(rows as u64))
    }

    /// Whether a Boolean column is surely `true` in every row.
    pub(super) fn always_true(&self, column: Column) -> bool {
        self.has(column)
            && self.statistics(column).all(|(_, known)| match known {
                Some(Statistics::Boolean(known)) => known.min_opt() == Some(&true) && known.null_count_opt() == Some(0),
                _ => false,
            })
    }

    /// The pages of `distinct_id` in file order. A file without a page index counts each row group as one page.
    pub(super) fn pages(&self) -> Vec<IdPage<'_>> {
        let mut pages = Vec::new();
        for (group, meta) in self.row_groups().iter().enumerate() {
            let rows = usize::try_from(meta.num_rows()).unwrap_or(0);
            if rows > 0 && !self.indexed_pages(group, rows, &mut pages) {
                let leaf = self.leaves[Column::DistinctId as usize].unwrap_or_default();
                let min = meta.column(leaf).statistics().and_then(Statistics::min_bytes_opt).unwrap_or_default();
                let max = meta.column(leaf).statistics().and_then(Statistics::max_bytes_opt);
                pages.push(IdPage { row_group: group, row: 0, rows, min, max });
            }
        }
        pages
    }

    fn indexed_pages<'a>(&'a self, group: usize, rows: usize, pages: &mut Vec<IdPage<'a>>) -> bool {
        let leaf = self.leaves[Column::DistinctId as usize].unwrap_or_default();
        let whole = self.metadata.metadata();
        let index = whole.column_index().and_then(|index| index.get(group)?.get(leaf));
        let offsets = whole.offset_index().and_then(|index| index.get(group)?.get(leaf));
        let (Some(ColumnIndexMetaData::BYTE_ARRAY(index)), Some(offsets)) = (index, offsets) else { return false };
        let starts = offsets.page_locations().iter().map(|page| usize::try_from(page.first_row_index).ok());
        let Some(starts) = starts.chain([Some(rows)]).collect::<Option<Vec<_>>>() else { return false };
        // An index that makes no sense is no index.
        if index.num_pages() + 1 != starts.len() as u64 || starts[0] != 0 || !starts.is_sorted() {
            return false;
        }
        pages.extend(starts.windows(2).enumerate().map(|(at, edge)| IdPage {
            row_group: group,
            row: edge[0],
            rows: edge[1] - edge[0],
            min: index.min_value(at).unwrap_or_default(),
            max: index.max_value(at),
        }));
        true
    }
}

/// The batch as `schema` has it: a column that the file is too old for is NULL.
///
/// # Errors
/// A column has another type than the schema says.
pub(super) fn complete(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if batch.num_columns() == schema.fields().len() {
        return Ok(batch.clone());
    }
    let stored = |field: &Arc<Field>| batch.column_by_name(field.name()).cloned();
    let nulls = |field: &Arc<Field>| new_null_array(field.data_type(), batch.num_rows());
    let arrays = schema.fields().iter().map(|field| stored(field).unwrap_or_else(|| nulls(field))).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)?)
}

/// A part that cannot be read as it was committed.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the part {path} – {why} – run `journeyql verify` to see what else is damaged")]
pub struct Damage {
    pub path: PathBuf,
    pub why: String,
}

/// The error of a part that cannot be read as committed.
pub(in crate::engine) fn damaged(path: &Path, why: &dyn std::fmt::Display) -> DataFusionError {
    DataFusionError::External(Box::new(Damage { path: path.to_owned(), why: why.to_string() }))
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, StringArray, TimestampMicrosecondArray};
    use parquet::arrow::ArrowWriter;

    use super::*;

    /// A file of two rows with the two columns that are always needed, committed as one of `rows`.
    fn part(nullable: bool, rows: u64) -> (tempfile::NamedTempFile, Arc<PartFile>) {
        let times = TimestampMicrosecondArray::from(vec![1, 2]).with_timezone("UTC");
        let columns: [(&str, ArrayRef, bool); 2] =
            [("distinct_id", Arc::new(StringArray::from(vec!["a", "b"])), nullable), ("ts", Arc::new(times), false)];
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut writer = ArrowWriter::try_new(file.reopen().unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let (path, bytes) = (file.path().to_owned(), file.as_file().metadata().unwrap().len());
        let part =
            PartFile { path, day: Day(0), rows, bytes, ts_min: 1, ts_max: 2, hidden: Arc::default(), memory: None };
        (file, Arc::new(part))
    }

    #[test]
    fn a_footer_that_lost_rows_or_lets_ids_be_null_is_damage() {
        let why = |nullable, rows| {
            let (_file, part) = part(nullable, rows);
            Opened::open(&part).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(why(false, 2), Ok(()));
        assert!(why(false, 3).unwrap_err().contains("does not count the 3 committed rows"));
        assert!(why(true, 2).unwrap_err().contains("distinct_id may be NULL"));
    }
}
