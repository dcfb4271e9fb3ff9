//! Rows to bytes: the one writer of Parquet parts.
//!
//! ```text
//! write(batch)*  ─► rows of one row group ─► a chunk per column ─► file     checks: schema, order
//!                   (anonymous ids apart)
//!                                             coded.rs  text that arrives as codes of one dictionary
//!                                             Arrow     everything else
//! finish()       ─► footer, fsync          ─► NewPart with statistics        checks: day
//! ```
//!
//! Encodings (FORMAT.md §4) are the ones that were measured to be a quarter smaller and twice as fast to decode as the
//! defaults. Statistics are taken from the footer that was written, never from what should have been.

mod bounds;
mod chunk;
mod coded;
mod cursor;
mod hybrid;
mod merge;

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use ::parquet::arrow::ArrowSchemaConverter;
use ::parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use ::parquet::basic::{Compression, Encoding, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::{ParquetMetaData, SortingColumn};
use ::parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::types::ColumnPath;
use arrow::array::{Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

pub use self::cursor::{fits, options as part_options, other_columns};
pub use self::merge::{Lines, merge};

use self::coded::{CodedColumn, Coder, DICTIONARY_BYTES};
use super::StoreError;
use super::catalog::stats::{ColumnStats, of_footer};
use super::layout::Table;
use super::order::{self, OrderCheck};
use super::part::{NewPart, PartFile};
use crate::event::Column;
use crate::identity;
use crate::limits::{LEAST_GROUP_ROWS, PAGE_ROWS, ROW_GROUP_ROWS};
use crate::time::{Day, iso};

/// One in a hundred lookups of an unknown event id reads a page in vain.
const BLOOM_FPP: f64 = 0.01;

/// Encodes sorted rows of one day into a part.
pub struct PartWriter {
    file: SerializedFileWriter<PartFile>,
    table: Table,
    day: Day,
    path: PathBuf,
    rules: Arc<str>,
    /// Rows that do not fill a row group yet.
    pending: Vec<RecordBatch>,
    pending_rows: usize,
    /// Whether the id of the last of them is before, among or behind the anonymous ones.
    side: Ordering,
    order: OrderCheck,
    coder: Coder,
}

impl std::fmt::Debug for PartWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartWriter")
            .field("path", &self.path)
            .field("pending_rows", &self.pending_rows)
            .finish_non_exhaustive()
    }
}

impl PartWriter {
    /// `rules` is the fingerprint of the rules that shaped the rows.
    ///
    /// # Errors
    /// The file cannot be written to.
    pub fn new(file: PartFile, rules: &str) -> Result<Self, StoreError> {
        let (table, day, path) = (file.table(), file.day(), file.path().to_owned());
        let fail = |error| StoreError::encode(&path, error);
        let schema = ArrowSchemaConverter::new().schema_root("schema").convert(&table.schema()).map_err(fail)?;
        let file = SerializedFileWriter::new(file, schema.root_schema_ptr(), properties(table)).map_err(fail)?;
        let order = OrderCheck::new(table);
        let (rules, coder) = (rules.into(), Coder::default());
        let pending = Vec::new();
        Ok(Self { file, table, day, path, rules, pending, pending_rows: 0, side: Ordering::Less, order, coder })
    }

    /// Adds rows. Text columns may be `Utf8` or `Dictionary(Int32, Utf8)`, differently in every batch; everything else
    /// is as in the table's schema. Rows must continue the sort order.
    ///
    /// Codes are written without hashing a text where the batches of a row group share one dictionary array (the same
    /// memory), and with one lookup per text and dictionary where they do not; texts that do not occur cost nothing.
    ///
    /// # Errors
    /// [`StoreError::Rows`] when the rows are not of the table or out of order; or the disk is full.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        self.check_schema(batch)?;
        self.order.check(batch).map_err(|detail| self.refuse(detail))?;
        let rows = batch.num_rows();
        let anonymous = match self.table {
            Table::Events => order::beginning_with(batch.column(Column::DistinctId as usize), identity::ANONYMOUS),
            Table::Quarantine => 0..0,
        };
        self.push(batch, 0..anonymous.start, Ordering::Less)?;
        self.push(batch, anonymous.clone(), Ordering::Equal)?;
        self.push(batch, anonymous.end..rows, Ordering::Greater)
    }

    /// Adds rows on one side of the anonymous ids. Between two sides a row group ends, unless it is too small to be one:
    /// a query of linked people reads the anonymous ids apart from the others.
    fn push(&mut self, batch: &RecordBatch, rows: Range<usize>, side: Ordering) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        if side != self.side && self.pending_rows >= LEAST_GROUP_ROWS {
            self.flush()?;
        }
        self.side = side;
        let mut from = rows.start;
        while from < rows.end {
            let take = (ROW_GROUP_ROWS - self.pending_rows).min(rows.end - from);
            self.pending.push(batch.slice(from, take));
            self.pending_rows += take;
            from += take;
            if self.pending_rows == ROW_GROUP_ROWS {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Writes the footer, makes the bytes durable and measures what was written.
    ///
    /// # Errors
    /// [`StoreError::Rows`] when a row belongs to another day; or the disk is full.
    pub fn finish(mut self) -> Result<NewPart, StoreError> {
        self.flush()?;
        let fail = |error| StoreError::encode(&self.path, error);
        let footer = self.file.finish().map_err(fail)?;
        let sealed = self.file.inner_mut().seal()?;
        let Measured { rows, ts, event_ids, columns } = measure(self.table, self.day, &footer)
            .map_err(|detail| StoreError::Rows { path: self.path.clone(), detail })?;
        Ok(NewPart { file: sealed, rows, ts, event_ids, rules: self.rules, columns })
    }

    /// Switches the order check off, so that a test can write what `verify` must find.
    #[cfg(test)]
    pub(super) fn trust_order(&mut self) {
        self.order = OrderCheck::none();
    }

    fn check_schema(&self, batch: &RecordBatch) -> Result<(), StoreError> {
        let (wanted, given) = (self.table.schema(), batch.schema());
        if wanted.fields().len() != given.fields().len() {
            let detail = format!("{} columns instead of {}", given.fields().len(), wanted.fields().len());
            return Err(self.refuse(detail));
        }
        for (at, (wanted, given)) in wanted.fields().iter().zip(given.fields()).enumerate() {
            let coded = matches!(given.data_type(), DataType::Dictionary(key, value)
                if **key == DataType::Int32 && **value == DataType::Utf8 && *wanted.data_type() == DataType::Utf8);
            if wanted.name() != given.name() || !(coded || wanted.data_type() == given.data_type()) {
                let detail = format!(
                    "column {at} is {} {} instead of {} {}",
                    given.name(),
                    given.data_type(),
                    wanted.name(),
                    wanted.data_type()
                );
                return Err(self.refuse(detail));
            }
            if !wanted.is_nullable() && batch.column(at).logical_null_count() > 0 {
                return Err(self.refuse(format!("column {} holds NULL", wanted.name())));
            }
        }
        Ok(())
    }

    fn refuse(&self, detail: String) -> StoreError {
        StoreError::Rows { path: self.path.clone(), detail }
    }

    /// Encodes the pending rows as one row group.
    fn flush(&mut self) -> Result<(), StoreError> {
        if self.pending_rows == 0 {
            return Ok(());
        }
        let pending = std::mem::take(&mut self.pending);
        self.pending_rows = 0;
        row_group(&mut self.file, self.table, &pending, &mut self.coder)
            .map_err(|error| StoreError::encode(&self.path, error))
    }
}

/// One row group. A column that arrives as codes in every batch is handed on as codes; one that does so only sometimes
/// is spelled out.
fn row_group(
    file: &mut SerializedFileWriter<PartFile>,
    table: Table,
    batches: &[RecordBatch],
    coder: &mut Coder,
) -> Result<(), ParquetError> {
    let schema = written_schema(table, batches);
    let ordinal = file.flushed_row_groups().len();
    let writers = ArrowRowGroupWriterFactory::new(file, Arc::clone(&schema)).create_column_writers(ordinal)?;
    let descriptions = file.schema_descr().columns().to_vec();
    let mut group = file.next_row_group()?;
    for ((at, field), writer) in schema.fields().iter().enumerate().zip(writers) {
        if let (DataType::Dictionary(_, _), Some(column)) = (field.data_type(), CodedColumn::of(batches, at)) {
            let (bytes, close) = coder.encode(at, &descriptions[at], &column)?;
            group.append_column(&bytes, close)?;
        } else {
            spell_out(writer, field, at, batches)?.append_to_row_group(&mut group)?;
        }
    }
    group.close()?;
    Ok(())
}

/// A column chunk by Arrow's own writer.
fn spell_out(
    mut writer: ArrowColumnWriter,
    field: &Field,
    at: usize,
    batches: &[RecordBatch],
) -> Result<ArrowColumnChunk, ParquetError> {
    let mut values = 0;
    for batch in batches {
        let array = cast(batch.column(at), field.data_type())?;
        values += array.len() - array.null_count();
        for leaf in compute_leaves(field, &array)? {
            writer.write(&leaf)?;
        }
    }
    let mut chunk = writer.close()?;
    if values == 0 {
        chunk.close_mut().bloom_filter = None;
    }
    Ok(chunk)
}

/// The table's schema with the types that the batches agree on.
fn written_schema(table: Table, batches: &[RecordBatch]) -> SchemaRef {
    let fields: Vec<Field> = table
        .schema()
        .fields()
        .iter()
        .enumerate()
        .map(|(at, field)| {
            let mut kinds = batches.iter().map(|batch| batch.column(at).data_type());
            let first = kinds.next().unwrap_or_else(|| field.data_type());
            // Event ids are unique: no dictionary, and a bloom filter that only Arrow's writer makes.
            let unique = table == Table::Events && at == Column::EventId as usize;
            let kind = if !unique && kinds.all(|kind| kind == first) { first } else { field.data_type() };
            field.as_ref().clone().with_data_type(kind.clone())
        })
        .collect();
    Arc::new(Schema::new(fields))
}

/// How a table's columns are encoded.
fn properties(table: Table) -> WriterPropertiesPtr {
    let schema = table.schema();
    let column = |at: usize| ColumnPath::from(schema.field(at).name().clone());
    let sorting = table
        .sort_key()
        .iter()
        .filter_map(|&at| i32::try_from(at).ok())
        .map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: false })
        .collect();
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("journeyql version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_sorting_columns(Some(sorting));
    for (at, field) in schema.fields().iter().enumerate() {
        let delta = matches!(field.data_type(), DataType::Timestamp(_, _)) || field.name() == "source_offset";
        if delta || field.name() == "line_no" {
            builder = builder
                .set_column_dictionary_enabled(column(at), false)
                .set_column_encoding(column(at), Encoding::DELTA_BINARY_PACKED)
                // Packed bits do not get smaller, and every query decodes the times.
                .set_column_compression(column(at), Compression::UNCOMPRESSED);
        }
        if field.data_type() == &DataType::Date32 {
            // One value: differences of nothing are written faster than looked up.
            builder = builder
                .set_column_dictionary_enabled(column(at), false)
                .set_column_encoding(column(at), Encoding::DELTA_BINARY_PACKED);
        }
        if field.data_type() == &DataType::Binary {
            builder = builder.set_column_dictionary_enabled(column(at), false);
        }
    }
    if table == Table::Events {
        let event_id = column(Column::EventId as usize);
        builder = builder
            .set_column_dictionary_enabled(event_id.clone(), false)
            .set_column_bloom_filter_enabled(event_id.clone(), true)
            .set_column_bloom_filter_fpp(event_id, BLOOM_FPP);
    }
    Arc::new(builder.build())
}

/// What the footer says was written.
struct Measured {
    rows: u64,
    ts: (i64, i64),
    event_ids: u64,
    columns: Vec<ColumnStats>,
}

/// Takes the part's figures from its footer, and checks that its rows are of its day.
fn measure(table: Table, day: Day, footer: &ParquetMetaData) -> Result<Measured, String> {
    let schema = table.schema();
    let kinds: Vec<DataType> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
    let columns = of_footer(footer, &kinds).ok_or("the footer lacks statistics")?;
    let rows = u64::try_from(footer.file_metadata().num_rows()).map_err(|error| error.to_string())?;
    let event_ids = match table {
        Table::Events => u64::try_from(columns[Column::EventId as usize].values).map_err(|error| error.to_string())?,
        Table::Quarantine => 0,
    };
    if rows == 0 {
        return Ok(Measured { rows, ts: (day.start(), day.start()), event_ids, columns });
    }
    let days = columns[Column::Day as usize].range.ok_or("the footer lacks the bounds of day")?;
    let ts = columns[table.time_column()].range.ok_or("the footer lacks the bounds of the time")?;
    let day_number = i64::from(day.0);
    if days != (day_number, day_number) {
        return Err(format!("they are not all of day {day}"));
    }
    if Day::of(ts.0) != day || Day::of(ts.1) != day {
        return Err(format!("their times {} to {} are not of day {day}", iso(ts.0), iso(ts.1)));
    }
    Ok(Measured { rows, ts, event_ids, columns })
}
