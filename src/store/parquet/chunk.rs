//! A column chunk put together page by page: compression, headers, page index, footer entry.
//!
//! Data pages are collected first and the dictionary is known last, but stands first in the file.

use std::sync::Arc;

use ::parquet::basic::{BoundaryOrder, Compression, Encoding, PageType, Type, ZstdLevel};
use ::parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use ::parquet::column::writer::ColumnCloseResult;
use ::parquet::data_type::ByteArray;
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats};
use ::parquet::file::statistics::{Statistics, ValueStatistics};
use ::parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use ::parquet::schema::types::ColumnDescPtr;
use bytes::Bytes;

use super::bounds;

/// What a page holds, beside its bytes.
pub(super) struct PageFacts<'a> {
    /// Rows, NULLs included.
    pub rows: usize,
    pub nulls: usize,
    /// Smallest and largest text; `None` if all are NULL.
    pub bounds: Option<(&'a str, &'a str)>,
}

/// The compressor; one for all pages, because its tables are larger than most of them.
#[derive(Default)]
pub(super) struct Packer(Option<zstd::bulk::Compressor<'static>>);

impl Packer {
    fn pack(&mut self, bytes: &[u8]) -> Result<Bytes, ParquetError> {
        let zstd = match &mut self.0 {
            Some(zstd) => zstd,
            none => none.insert(zstd::bulk::Compressor::new(ZstdLevel::default().compression_level())?),
        };
        Ok(zstd.compress(bytes)?.into())
    }
}

/// A chunk of a text column while its pages are added.
pub(super) struct Chunk {
    descr: ColumnDescPtr,
    pages: TrackedWrite<Vec<u8>>,
    columns: ColumnIndexBuilder,
    offsets: OffsetIndexBuilder,
    rows: usize,
    nulls: usize,
    count: i32,
    encoding: Encoding,
    bounds: Option<(String, String)>,
    order: PageOrder,
    sizes: Sizes,
}

/// Bytes with headers, before and after compression.
#[derive(Default)]
struct Sizes {
    plain: usize,
    packed: usize,
}

impl Sizes {
    fn add(&mut self, spec: &PageWriteSpec) {
        self.plain += spec.uncompressed_size;
        self.packed += spec.compressed_size;
    }
}

/// Whether the bounds of the pages ascend, descend, or neither; lets a reader search them.
struct PageOrder {
    ascending: bool,
    descending: bool,
    last: Option<(String, String)>,
}

impl Chunk {
    pub(super) fn new(descr: &ColumnDescPtr) -> Self {
        Self {
            descr: Arc::clone(descr),
            pages: TrackedWrite::new(Vec::new()),
            columns: ColumnIndexBuilder::new(Type::BYTE_ARRAY),
            offsets: OffsetIndexBuilder::new(),
            rows: 0,
            nulls: 0,
            count: 0,
            encoding: Encoding::PLAIN,
            bounds: None,
            order: PageOrder { ascending: true, descending: true, last: None },
            sizes: Sizes::default(),
        }
    }

    /// The column may hold NULL, so its pages begin with definition levels.
    pub(super) fn nullable(&self) -> bool {
        self.descr.max_def_level() > 0
    }

    /// Adds a data page: definition levels and values as they are before compression.
    pub(super) fn page(
        &mut self,
        packer: &mut Packer,
        body: &[u8],
        encoding: Encoding,
        facts: &PageFacts<'_>,
    ) -> Result<(), ParquetError> {
        let page = Page::DataPage {
            buf: packer.pack(body)?,
            num_values: narrow(facts.rows)?,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let spec = SerializedPageWriter::new(&mut self.pages).write_page(CompressedPage::new(page, body.len()))?;
        self.sizes.add(&spec);
        self.encoding = encoding;
        self.count += 1;
        self.rows += facts.rows;
        self.nulls += facts.nulls;
        self.index(&spec, facts)
    }

    fn index(&mut self, spec: &PageWriteSpec, facts: &PageFacts<'_>) -> Result<(), ParquetError> {
        let nulls = narrow(facts.nulls)?;
        match facts.bounds {
            None => self.columns.append(true, Vec::new(), Vec::new(), nulls),
            Some((min, max)) => {
                self.columns.append(false, bounds::lower(min).0.into(), bounds::upper(max).0.into(), nulls);
                self.order.add(min, max);
                self.bounds = Some(match self.bounds.take() {
                    None => (min.to_owned(), max.to_owned()),
                    Some((low, high)) => (
                        if min < low.as_str() { min.to_owned() } else { low },
                        if max > high.as_str() { max.to_owned() } else { high },
                    ),
                });
            }
        }
        self.offsets.append_row_count(narrow(facts.rows)?);
        self.offsets.append_offset_and_size(narrow(spec.offset)?, narrow(spec.compressed_size)?);
        Ok(())
    }

    /// The bytes of the chunk, dictionary first, and its entry in the footer.
    pub(super) fn finish(
        mut self,
        packer: &mut Packer,
        dictionary: Option<(&[u8], u32)>,
    ) -> Result<(Bytes, ColumnCloseResult), ParquetError> {
        let mut encodings = vec![Encoding::RLE, self.encoding];
        let mut stats =
            vec![PageEncodingStats { page_type: PageType::DATA_PAGE, encoding: self.encoding, count: self.count }];
        let mut head = TrackedWrite::new(Vec::new());
        if let Some((texts, num_values)) = dictionary {
            let buf = packer.pack(texts)?;
            let page = Page::DictionaryPage { buf, num_values, encoding: Encoding::PLAIN, is_sorted: false };
            let spec = SerializedPageWriter::new(&mut head).write_page(CompressedPage::new(page, texts.len()))?;
            self.sizes.add(&spec);
            encodings.push(Encoding::PLAIN);
            stats.push(PageEncodingStats { page_type: PageType::DICTIONARY_PAGE, encoding: Encoding::PLAIN, count: 1 });
        }
        let head_bytes = head.bytes_written();
        let mut bytes = head.into_inner()?;
        bytes.extend_from_slice(&self.pages.into_inner()?);
        self.columns.set_boundary_order(self.order.verdict());
        let metadata = ColumnChunkMetaData::builder(self.descr)
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_encodings(encodings)
            .set_page_encoding_stats(stats)
            .set_num_values(narrow(self.rows)?)
            .set_total_compressed_size(narrow(self.sizes.packed)?)
            .set_total_uncompressed_size(narrow(self.sizes.plain)?)
            .set_data_page_offset(0)
            .set_statistics(statistics(self.bounds.as_ref(), self.nulls)?)
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: self.rows as u64,
            metadata,
            bloom_filter: None,
            column_index: Some(self.columns.build()?),
            offset_index: Some(self.offsets.build()),
        };
        Ok((bytes.into(), close.update_dictionary_location(head_bytes)?))
    }
}

impl PageOrder {
    fn add(&mut self, min: &str, max: &str) {
        if let Some((last_min, last_max)) = &self.last {
            self.ascending &= last_min.as_str() <= min && last_max.as_str() <= max;
            self.descending &= last_min.as_str() >= min && last_max.as_str() >= max;
        }
        self.last = Some((min.to_owned(), max.to_owned()));
    }

    const fn verdict(&self) -> BoundaryOrder {
        match (self.ascending, self.descending) {
            (true, _) => BoundaryOrder::ASCENDING,
            (false, true) => BoundaryOrder::DESCENDING,
            (false, false) => BoundaryOrder::UNORDERED,
        }
    }
}

fn statistics(bounds: Option<&(String, String)>, nulls: usize) -> Result<Statistics, ParquetError> {
    let nulls = Some(narrow(nulls)?);
    let Some((min, max)) = bounds else {
        return Ok(Statistics::ByteArray(ValueStatistics::new(None, None, None, nulls, false)));
    };
    let ((min, min_exact), (max, max_exact)) = (bounds::lower(min), bounds::upper(max));
    let text = |text: &str| Some(ByteArray::from(text));
    let stats = ValueStatistics::new(text(min), text(&max), None, nulls, false);
    Ok(Statistics::ByteArray(stats.with_min_is_exact(min_exact).with_max_is_exact(max_exact)))
}

/// A count in the type that the footer has for it.
fn narrow<N: TryInto<M>, M>(count: N) -> Result<M, ParquetError>
where
    N::Error: std::fmt::Display,
{
    count.try_into().map_err(|error: N::Error| ParquetError::General(format!("a count is too large: {error}")))
}
