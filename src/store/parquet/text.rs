//! One column chunk of dictionary-coded text, written without looking at a value twice.
//!
//! The general Arrow writer hashes every value of every row to build its dictionary, although the rows arrive
//! already coded. Here the codes are renumbered per row group by one table look-up a row and packed; the texts are
//! touched once per distinct value.
//!
//! ```text
//! keys + values of the buffer ─► local codes ─► [dictionary page] data page … data page
//!                                               └ zstd, limits::PAGE_ROWS rows a page, format version 1
//! ```
//!
//! Where a dictionary would not pay (nearly every value is new) the pages are PLAIN. Bounds (min, max and per page)
//! are kept only where asked: a reader prunes by `distinct_id`, by no other text.
//!
//! Deliberately not here: bloom filters and other types (the Arrow writer serves them).

use std::io::Write;

use ::parquet::basic::{BoundaryOrder, Compression, Encoding, Type, ZstdLevel};
use ::parquet::column::page::{CompressedPage, Page, PageWriter};
use ::parquet::column::writer::ColumnCloseResult;
use ::parquet::data_type::ByteArray;
use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder};
use ::parquet::file::statistics::Statistics;
use ::parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use ::parquet::schema::types::ColumnDescPtr;
use arrow::array::{Array, DictionaryArray, StringArray};
use arrow::datatypes::Int32Type;
use bytes::Bytes;

use super::hybrid;
use crate::limits::PAGE_ROWS;

/// The level of every part: one and three give the same size here, one is faster.
pub(super) const ZSTD_LEVEL: i32 = 1;

/// Writes the row groups of one text column; its tables are reused from group to group.
pub(super) struct TextEncoder {
    column: ColumnDescPtr,
    /// Whether min and max are written, for the chunk and for each page. The rows must be sorted by this column.
    bounds: bool,
    /// Per key of the incoming dictionary: the group it was last seen in and its local code there.
    slots: Vec<(u32, u32)>,
    group: u32,
    /// Local code → incoming key, in order of appearance, and how often it occurs.
    order: Vec<usize>,
    counts: Vec<u64>,
    /// Local code of each row that is not null.
    codes: Vec<u32>,
    zstd: zstd::bulk::Compressor<'static>,
}

/// The encoded bytes of a chunk and what the row group must know of it.
pub(super) type Chunk = (Bytes, ColumnCloseResult);

impl TextEncoder {
    /// An encoder for `column`, a BYTE_ARRAY leaf that is not repeated.
    pub(super) fn new(column: ColumnDescPtr, bounds: bool) -> Result<Self> {
        Ok(Self {
            column,
            bounds,
            slots: Vec::new(),
            group: 0,
            order: Vec::new(),
            counts: Vec::new(),
            codes: Vec::new(),
            zstd: zstd::bulk::Compressor::new(ZSTD_LEVEL)?,
        })
    }

    /// Encodes the rows of one row group.
    pub(super) fn encode(&mut self, rows: &DictionaryArray<Int32Type>) -> Result<Chunk> {
        let values = rows
            .values()
            .as_any()
            .downcast_ref::<StringArray>()
            .ok_or_else(|| ParquetError::General("text columns are dictionaries of Utf8".to_owned()))?;
        self.renumber(rows)?;
        let text = Text { values, order: &self.order };
        let dictionary = text.dictionary_pays(&self.counts, self.codes.len());
        let mut chunk = ChunkWriter::new(&mut self.zstd, &self.column);
        if dictionary {
            chunk.dictionary(&text)?;
        }
        let mut at = 0;
        let mut from = 0;
        while from < rows.len() {
            let len = PAGE_ROWS.min(rows.len() - from);
            let nulls = rows.nulls().map(|nulls| nulls.slice(from, len));
            let missing = nulls.as_ref().map_or(0, arrow::buffer::NullBuffer::null_count);
            let codes = &self.codes[at..at + len - missing];
            chunk.page(codes, nulls.filter(|_| missing > 0).as_ref(), len, dictionary, &text)?;
            if self.bounds {
                chunk.page_bounds(codes, &text, missing);
            }
            at += codes.len();
            from += len;
        }
        chunk.finish(rows.len(), self.bounds)
    }

    /// Fills `codes`, `order` and `counts`: the row group's own dense codes in order of appearance.
    fn renumber(&mut self, rows: &DictionaryArray<Int32Type>) -> Result<()> {
        self.group += 1;
        self.order.clear();
        self.counts.clear();
        self.codes.clear();
        self.slots.resize(rows.values().len().max(self.slots.len()), (0, 0));
        let keys = rows.keys();
        for (at, key) in keys.values().iter().enumerate() {
            if keys.is_null(at) {
                continue;
            }
            let key = usize::try_from(*key).map_err(|_| ParquetError::General("negative dictionary key".to_owned()))?;
            let slot = &mut self.slots[key];
            if slot.0 != self.group {
                *slot = (self.group, u32::try_from(self.order.len()).unwrap_or(u32::MAX));
                self.order.push(key);
                self.counts.push(0);
            }
            self.counts[slot.1 as usize] += 1;
            self.codes.push(slot.1);
        }
        Ok(())
    }
}

/// The texts behind the local codes.
struct Text<'a> {
    values: &'a StringArray,
    order: &'a [usize],
}

impl<'a> Text<'a> {
    fn of(&self, code: u32) -> &'a [u8] {
        self.values.value(self.order[code as usize]).as_bytes()
    }

    fn dictionary_pays(&self, counts: &[u64], rows: usize) -> bool {
        let size = |key: &usize| 4 + self.values.value_length(*key).unsigned_abs() as usize;
        let dictionary: usize = self.order.iter().map(size).sum();
        let plain: u64 = self.order.iter().zip(counts).map(|(key, count)| size(key) as u64 * count).sum();
        let width = hybrid::width_of(u32::try_from(self.order.len()).unwrap_or(u32::MAX));
        rows > 0 && ((dictionary + rows * usize::from(width) / 8) as u64) < plain
    }
}

/// The pages of one chunk as they are written.
struct ChunkWriter<'a> {
    zstd: &'a mut zstd::bulk::Compressor<'static>,
    column: &'a ColumnDescPtr,
    sink: TrackedWrite<Vec<u8>>,
    body: Vec<u8>,
    levels: Vec<u32>,
    uncompressed: usize,
    dictionary_offset: Option<i64>,
    data_offset: Option<i64>,
    dictionary_values: usize,
    nulls: u64,
    encodings: Vec<Encoding>,
    offsets: OffsetIndexBuilder,
    bounds: ColumnIndexBuilder,
    min_max: Option<(Vec<u8>, Vec<u8>)>,
}

impl<'a> ChunkWriter<'a> {
    fn new(zstd: &'a mut zstd::bulk::Compressor<'static>, column: &'a ColumnDescPtr) -> Self {
        Self {
            zstd,
            column,
            sink: TrackedWrite::new(Vec::new()),
            body: Vec::new(),
            levels: Vec::new(),
            uncompressed: 0,
            dictionary_offset: None,
            data_offset: None,
            dictionary_values: 0,
            nulls: 0,
            encodings: vec![Encoding::RLE, Encoding::PLAIN],
            offsets: OffsetIndexBuilder::new(),
            bounds: ColumnIndexBuilder::new(Type::BYTE_ARRAY),
            min_max: None,
        }
    }

    fn dictionary(&mut self, text: &Text<'_>) -> Result<()> {
        self.body.clear();
        for code in 0..text.order.len() {
            push_plain(text.of(u32::try_from(code).unwrap_or(u32::MAX)), &mut self.body)?;
        }
        self.dictionary_values = text.order.len();
        let num_values = u32::try_from(text.order.len()).unwrap_or(u32::MAX);
        let buf = Bytes::from(self.zstd.compress(&self.body)?);
        let page = Page::DictionaryPage { buf, num_values, encoding: Encoding::PLAIN, is_sorted: false };
        self.dictionary_offset = Some(self.write(page)?.0);
        self.encodings.push(Encoding::RLE_DICTIONARY);
        Ok(())
    }

    fn page(
        &mut self,
        codes: &[u32],
        nulls: Option<&arrow::buffer::NullBuffer>,
        rows: usize,
        dictionary: bool,
        text: &Text<'_>,
    ) -> Result<()> {
        self.body.clear();
        if self.column.max_def_level() > 0 {
            self.definition_levels(nulls, rows);
        }
        if dictionary {
            let width = hybrid::width_of(u32::try_from(self.dictionary_values.saturating_sub(1)).unwrap_or(u32::MAX));
            self.body.push(width);
            hybrid::encode(codes, width, &mut self.body);
        } else {
            for code in codes {
                push_plain(text.of(*code), &mut self.body)?;
            }
        }
        let page = Page::DataPage {
            buf: Bytes::from(self.zstd.compress(&self.body)?),
            num_values: u32::try_from(rows).unwrap_or(u32::MAX),
            encoding: if dictionary { Encoding::RLE_DICTIONARY } else { Encoding::PLAIN },
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let (offset, size) = self.write(page)?;
        self.data_offset.get_or_insert(offset);
        self.offsets.append_offset_and_size(offset, i32::try_from(size).unwrap_or(i32::MAX));
        self.offsets.append_row_count(i64::try_from(rows).unwrap_or(i64::MAX));
        self.nulls += (rows - codes.len()) as u64;
        Ok(())
    }

    /// One bit a row, 1 where there is a value, after the length of their encoding.
    fn definition_levels(&mut self, nulls: Option<&arrow::buffer::NullBuffer>, rows: usize) {
        self.body.extend_from_slice(&[0; 4]);
        match nulls {
            None => hybrid::push_run(rows, 1, 1, &mut self.body),
            Some(nulls) if nulls.null_count() == rows => hybrid::push_run(rows, 0, 1, &mut self.body),
            Some(nulls) => {
                self.levels.clear();
                self.levels.extend(nulls.iter().map(u32::from));
                hybrid::encode(&self.levels, 1, &mut self.body);
            }
        }
        let length = u32::try_from(self.body.len() - 4).unwrap_or(u32::MAX);
        self.body[..4].copy_from_slice(&length.to_le_bytes());
    }

    /// Min and max of a page of a sorted column are its first and its last value.
    fn page_bounds(&mut self, codes: &[u32], text: &Text<'_>, missing: usize) {
        let missing = i64::try_from(missing).unwrap_or(i64::MAX);
        let (Some(first), Some(last)) = (codes.first(), codes.last()) else {
            self.bounds.append(true, Vec::new(), Vec::new(), missing);
            return;
        };
        let (first, last) = (text.of(*first).to_vec(), text.of(*last).to_vec());
        match &mut self.min_max {
            None => self.min_max = Some((first.clone(), last.clone())),
            Some((_, max)) => max.clone_from(&last),
        }
        self.bounds.append(false, first, last, missing);
    }

    /// Writes a page; its offset in the chunk and its size with the header.
    fn write(&mut self, page: Page) -> Result<(i64, usize)> {
        let spec = SerializedPageWriter::new(&mut self.sink).write_page(CompressedPage::new(page, self.body.len()))?;
        self.uncompressed += spec.uncompressed_size;
        Ok((i64::try_from(spec.offset).unwrap_or(i64::MAX), spec.compressed_size))
    }

    fn finish(mut self, rows: usize, bounds: bool) -> Result<Chunk> {
        self.sink.flush()?;
        let bytes = Bytes::from(std::mem::take(self.sink.inner_mut()));
        let (min, max) = self.min_max.unzip();
        let statistics =
            Statistics::byte_array(min.map(ByteArray::from), max.map(ByteArray::from), None, Some(self.nulls), false);
        let metadata = ColumnChunkMetaData::builder(self.column.clone())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_encodings(self.encodings)
            .set_num_values(i64::try_from(rows).unwrap_or(i64::MAX))
            .set_total_compressed_size(i64::try_from(bytes.len()).unwrap_or(i64::MAX))
            .set_total_uncompressed_size(i64::try_from(self.uncompressed).unwrap_or(i64::MAX))
            .set_data_page_offset(self.data_offset.unwrap_or(0))
            .set_dictionary_page_offset(self.dictionary_offset)
            .set_statistics(statistics)
            .build()?;
        self.bounds.set_boundary_order(BoundaryOrder::ASCENDING);
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: rows as u64,
            metadata,
            bloom_filter: None,
            column_index: if bounds { Some(self.bounds.build()?) } else { None },
            offset_index: Some(self.offsets.build()),
        };
        Ok((bytes, close))
    }
}

fn push_plain(text: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let length =
        u32::try_from(text.len()).map_err(|_| ParquetError::General("a text is longer than 4 GiB".to_owned()))?;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ::parquet::arrow::ArrowSchemaConverter;
    use ::parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
    use ::parquet::file::properties::WriterProperties;
    use ::parquet::file::writer::SerializedFileWriter;
    use arrow::array::{AsArray, Int32Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn rows(count: usize, distinct: usize, null_every: usize, sorted: bool) -> DictionaryArray<Int32Type> {
        let values = StringArray::from_iter_values((0..distinct).map(|at| format!("value-{at:08}")));
        let keys = Int32Array::from_iter((0..count).map(|at| {
            let key = if sorted { at * distinct / count } else { at * 7_919 % distinct };
            (null_every == 0 || at % null_every != 0).then(|| i32::try_from(key).unwrap())
        }));
        DictionaryArray::try_new(keys, Arc::new(values)).unwrap()
    }

    fn file(groups: &[DictionaryArray<Int32Type>], nullable: bool, bounds: bool) -> Bytes {
        let schema = Schema::new(vec![Field::new("text", DataType::Utf8, nullable)]);
        let schema = ArrowSchemaConverter::new().convert(&schema).unwrap();
        let mut out = Vec::new();
        let mut writer =
            SerializedFileWriter::new(&mut out, schema.root_schema_ptr(), Arc::new(WriterProperties::default()))
                .unwrap();
        let mut encoder = TextEncoder::new(schema.column(0), bounds).unwrap();
        for rows in groups {
            let (bytes, close) = encoder.encode(rows).unwrap();
            let mut group = writer.next_row_group().unwrap();
            group.append_column(&bytes, close).unwrap();
            group.close().unwrap();
        }
        writer.close().unwrap();
        Bytes::from(out)
    }

    fn read(file: Bytes) -> Vec<Option<String>> {
        let options =
            ArrowReaderOptions::new().with_page_index_policy(parquet::file::metadata::PageIndexPolicy::Optional);
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).unwrap().build().unwrap();
        let batches: Vec<RecordBatch> = reader.map(std::result::Result::unwrap).collect();
        batches
            .iter()
            .flat_map(|batch| {
                batch.column(0).as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>()
            })
            .collect()
    }

    fn texts(rows: &DictionaryArray<Int32Type>) -> Vec<Option<String>> {
        let rows = rows.downcast_dict::<StringArray>().unwrap();
        rows.into_iter().map(|text| text.map(str::to_owned)).collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        for (count, distinct, null_every) in
            [(1, 1, 0), (5, 1, 1), (100, 3, 0), (100, 3, 2), (50_000, 40, 0), (50_000, 9_000, 3), (40_000, 40_000, 7)]
        {
            let groups = [rows(count, distinct, null_every, false), rows(count, distinct, 0, false)];
            let expected: Vec<_> = groups.iter().flat_map(texts).collect();
            assert_eq!(
                read(file(&groups, true, false)),
                expected,
                "{count} rows, {distinct} values, null every {null_every}"
            );
        }
        assert_eq!(read(file(&[rows(50_000, 40, 0, true)], false, true)), texts(&rows(50_000, 40, 0, true)));
    }

    #[test]
    fn bounds_of_a_sorted_column_are_in_the_page_index() {
        let rows = rows(50_000, 40, 0, true);
        let bytes = file(std::slice::from_ref(&rows), false, true);
        let options =
            ArrowReaderOptions::new().with_page_index_policy(parquet::file::metadata::PageIndexPolicy::Required);
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options).unwrap();
        let chunk = reader.metadata().row_group(0).column(0);
        let statistics = chunk.statistics().unwrap();
        assert_eq!(statistics.min_bytes_opt().unwrap(), b"value-00000000");
        assert_eq!(statistics.max_bytes_opt().unwrap(), b"value-00000039");
        let offsets = &reader.metadata().offset_index().unwrap()[0][0];
        assert_eq!(offsets.page_locations().len(), 50_000usize.div_ceil(PAGE_ROWS));
    }

    #[test]
    fn unique_texts_are_written_plain() {
        let plain = file(&[rows(20_000, 20_000, 0, false)], false, false);
        let reader = ParquetRecordBatchReaderBuilder::try_new(plain).unwrap();
        assert_eq!(reader.metadata().row_group(0).column(0).dictionary_page_offset(), None);
    }
}
