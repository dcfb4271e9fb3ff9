//! Arrow batches of one table to the bytes of one Parquet part.
//!
//! ```text
//! batches ─► row groups of limits::ROW_GROUP_ROWS ─┬─ coded text ──────► text.rs
//!                                                  └─ everything else ─► parquet's Arrow column writers
//! ```
//!
//! Encodings (measured: 25 % smaller and twice as fast to decode as the defaults): times and offsets as deltas
//! without dictionary, text as dictionaries, zstd(1), data pages of limits::PAGE_ROWS rows with a page index. A bloom
//! filter stands only on `event_id`, and only where it has values.
//!
//! Invariants: rows arrive sorted as the table demands; a row group is full but for the last.
//!
//! Deliberately not here: files, names, checksums (`../part.rs`).

use std::io::Write;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Int32Type, SchemaRef};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::Result;
use parquet::file::metadata::{RowGroupMetaData, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use super::text::{TextEncoder, ZSTD_LEVEL};
use crate::limits::{PAGE_ROWS, ROW_GROUP_ROWS};

/// Columns that are written as deltas: they grow slowly or steadily.
const DELTAS: [&str; 3] = ["ts", "source_offset", "line_no"];

/// Writes one Parquet file into `W`.
pub(crate) struct PartEncoder<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    text: Vec<Option<TextEncoder>>,
    pending: Vec<RecordBatch>,
    pending_rows: usize,
    row_groups: usize,
}

impl<W: Write + Send> PartEncoder<W> {
    /// A file of `schema` whose rows are sorted by the columns at `sorted_by`.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub(crate) fn new(out: W, schema: SchemaRef, sorted_by: &[usize]) -> Result<Self> {
        let parquet_schema = ArrowSchemaConverter::new().convert(&schema)?;
        let properties = Arc::new(properties(&schema, sorted_by));
        let file = SerializedFileWriter::new(out, parquet_schema.root_schema_ptr(), properties)?;
        let columns = ArrowRowGroupWriterFactory::new(&file, Arc::clone(&schema));
        let text = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(at, field)| {
                let bounds = sorted_by.first() == Some(&at);
                (field.data_type() == &DataType::Utf8)
                    .then(|| TextEncoder::new(parquet_schema.column(at), bounds))
                    .transpose()
            })
            .collect::<Result<_>>()?;
        Ok(Self { file, columns, schema, text, pending: Vec::new(), pending_rows: 0, row_groups: 0 })
    }

    /// Adds rows. Text columns are `Utf8` or, much faster, `Dictionary(Int32, Utf8)`; batches of exactly
    /// [`ROW_GROUP_ROWS`] rows are not copied.
    ///
    /// # Errors
    /// The batch is not of the schema, or the file cannot be written.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut from = 0;
        while from < batch.num_rows() {
            let len = (ROW_GROUP_ROWS - self.pending_rows).min(batch.num_rows() - from);
            self.pending.push(batch.slice(from, len));
            self.pending_rows += len;
            from += len;
            if self.pending_rows == ROW_GROUP_ROWS {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Writes the footer; the sink and what each row group holds.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn finish(mut self) -> Result<(W, Vec<RowGroupMetaData>)> {
        self.flush()?;
        let row_groups = self.file.flushed_row_groups().to_vec();
        Ok((self.file.into_inner()?, row_groups))
    }

    fn flush(&mut self) -> Result<()> {
        let batch = match self.pending.as_slice() {
            [] => return Ok(()),
            [one] => one.clone(),
            [first, ..] => concat_batches(&first.schema(), &self.pending)?,
        };
        self.pending.clear();
        self.pending_rows = 0;
        let writers = self.columns.create_column_writers(self.row_groups)?;
        self.row_groups += 1;
        let mut group = self.file.next_row_group()?;
        for (at, mut writer) in writers.into_iter().enumerate() {
            let (field, column) = (self.schema.field(at), batch.column(at));
            let filtered = field.name() == "event_id" && column.null_count() < column.len();
            if let (false, Some(encoder), Some(coded)) =
                (filtered, &mut self.text[at], column.as_dictionary_opt::<Int32Type>())
            {
                let (bytes, close) = encoder.encode(coded)?;
                group.append_column(&bytes, close)?;
                continue;
            }
            let plain = cast(column, field.data_type())?;
            for leaf in compute_leaves(field, &plain)? {
                writer.write(&leaf)?;
            }
            writer.close()?.append_to_row_group(&mut group)?;
        }
        group.close()?;
        Ok(())
    }
}

fn properties(schema: &SchemaRef, sorted_by: &[usize]) -> WriterProperties {
    let sorting = sorted_by
        .iter()
        .map(|at| SortingColumn { column_idx: i32::try_from(*at).unwrap_or(0), descending: false, nulls_first: false })
        .collect();
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("journeyql version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL).unwrap_or_default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_data_page_size_limit(8 << 20)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(Some(sorting));
    for field in schema.fields() {
        let path = ColumnPath::from(field.name().as_str());
        if DELTAS.contains(&field.name().as_str()) {
            builder = builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED);
        }
        if field.name() == "event_id" {
            builder = builder
                .set_column_bloom_filter_enabled(path.clone(), true)
                .set_column_bloom_filter_max_ndv(path.clone(), ROW_GROUP_ROWS as u64)
                .set_column_bloom_filter_fpp(path, 0.01);
        }
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        BooleanArray, Date32Array, DictionaryArray, Int16Array, Int32Array, Int64Array, StringArray,
        TimestampMicrosecondArray, new_null_array,
    };
    use arrow::datatypes::Schema;
    use bytes::Bytes;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;
    use crate::event::{self, Column};

    /// Events with coded text, as ingest hands them over.
    fn events(rows: usize, with_ids: bool) -> RecordBatch {
        let coded = |distinct: usize, name: &str| {
            let values = StringArray::from_iter_values((0..distinct).map(|at| format!("{name}-{at:06}")));
            let keys = Int32Array::from_iter_values((0..rows).map(|at| i32::try_from(at * distinct / rows).unwrap()));
            Arc::new(DictionaryArray::try_new(keys, Arc::new(values)).unwrap())
        };
        let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let columns = Column::ALL.map(|column| -> arrow::array::ArrayRef {
            match column {
                Column::Day => Arc::new(Date32Array::from(vec![20_000; rows])),
                Column::Ts => Arc::new(
                    TimestampMicrosecondArray::from_iter_values((0..rows).map(|at| at as i64 * 1_000)).with_timezone("UTC"),
                ),
                Column::IsStep => Arc::new(BooleanArray::from(vec![true; rows])),
                Column::Status => Arc::new(Int16Array::from(vec![Some(200); rows])),
                Column::Bytes => Arc::new(Int64Array::from(vec![None::<i64>; rows])),
                Column::SourceOffset => Arc::new(Int64Array::from_iter_values((0..rows).map(|at| at as i64 * 200))),
                Column::DistinctId | Column::SourceId => coded(40, "id"),
                Column::EventId if with_ids => coded(rows, "event"),
                Column::Page => coded(7, "/page"),
                _ => new_null_array(&text, rows),
            }
        });
        let fields: Vec<_> = event::events()
            .fields()
            .iter()
            .zip(&columns)
            .map(|(field, column)| field.as_ref().clone().with_data_type(column.data_type().clone()))
            .collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.to_vec()).unwrap()
    }

    #[test]
    fn a_part_is_read_back_with_its_schema() {
        for with_ids in [false, true] {
            let rows = ROW_GROUP_ROWS + 10_000;
            let batch = events(rows, with_ids);
            let mut encoder = PartEncoder::new(Vec::new(), event::events(), &[1, 2, 18, 19]).unwrap();
            encoder.write(&batch.slice(0, 5)).unwrap();
            encoder.write(&batch.slice(5, rows - 5)).unwrap();
            let (bytes, row_groups) = encoder.finish().unwrap();
            assert_eq!(row_groups.len(), 2);
            assert_eq!(row_groups[0].column(16).bloom_filter_offset().is_some(), with_ids);
            let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap();
            assert_eq!(reader.schema().fields(), event::events().fields());
            let read: Vec<RecordBatch> = reader.build().unwrap().map(std::result::Result::unwrap).collect();
            let read = concat_batches(&read[0].schema(), &read).unwrap();
            for (at, field) in event::events().fields().iter().enumerate() {
                let expected = cast(batch.column(at), field.data_type()).unwrap();
                assert_eq!(read.column(at), &expected, "{}", field.name());
            }
        }
    }
}
