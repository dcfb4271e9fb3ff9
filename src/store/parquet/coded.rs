//! Dictionary-coded text to a Parquet column chunk, without hashing a value.
//!
//! Arrow's own writer looks every value of a dictionary array up in a hash table of its own. Here a code of the incoming
//! dictionary is looked up in an array:
//!
//! ```text
//! codes of the part's dictionary   7 7 7 9 2 7 …
//!      │  seen[code]: page it was last seen in, its index in this row group
//!      ▼
//! indices of the row group         0 0 0 1 2 0 …   ─► pages (hybrid.rs), zstd
//! texts in order of first use      t7 t9 t2 …      ─► dictionary page
//! ```
//!
//! Bounds of a page compare a text once per page it occurs in. A dictionary that outgrows [`DICTIONARY_BYTES`] is given
//! up and the texts are written plain.

use std::cmp::Ordering;

use ::parquet::basic::{Encoding, Type};
use ::parquet::column::writer::ColumnCloseResult;
use ::parquet::errors::ParquetError;
use ::parquet::schema::types::ColumnDescPtr;
use arrow::array::{Array, AsArray, BooleanBufferBuilder, RecordBatch, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::Int32Type;
use bytes::Bytes;

use super::chunk::{Chunk, PageFacts};
use super::hybrid;
use crate::limits::PAGE_ROWS;

/// A dictionary of a row group that grows beyond this is given up for plain text: it no longer saves anything.
pub(super) const DICTIONARY_BYTES: usize = 4 << 20;
/// A page of plain text ends at this size.
const PLAIN_PAGE_BYTES: usize = 1 << 20;

/// One column of a row group: codes of one dictionary, in the stretches they arrived in.
pub(super) struct CodedColumn<'a> {
    texts: &'a StringArray,
    stretches: Vec<(&'a [i32], Option<&'a NullBuffer>)>,
}

impl<'a> CodedColumn<'a> {
    /// `None` where the column is not coded, by several dictionaries, or by one that holds NULL.
    pub(super) fn of(batches: &'a [RecordBatch], column: usize) -> Option<Self> {
        let mut texts: Option<&StringArray> = None;
        let mut stretches = Vec::with_capacity(batches.len());
        for batch in batches {
            let coded = batch.column(column).as_dictionary_opt::<Int32Type>()?;
            let values = coded.values().as_string_opt::<i32>()?;
            if values.null_count() > 0 || texts.is_some_and(|texts| !same(texts, values)) {
                return None;
            }
            texts = Some(values);
            stretches
                .push((coded.keys().values().as_ref(), coded.keys().nulls().filter(|nulls| nulls.null_count() > 0)));
        }
        Some(Self { texts: texts?, stretches })
    }
}

/// The same memory: equal texts elsewhere are not looked for.
fn same(a: &StringArray, b: &StringArray) -> bool {
    a.len() == b.len()
        && a.value_data().as_ptr() == b.value_data().as_ptr()
        && a.offsets().inner().ptr_eq(b.offsets().inner())
}

/// What the encoder knows of a code.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// The page it last occurred in; pages are numbered through for the life of the encoder.
    page: u32,
    /// Its index in the dictionary of the row group that this page belongs to.
    index: u32,
}

/// Memory that is used again for every chunk.
#[derive(Debug, Default)]
pub(super) struct Coder {
    seen: Vec<Seen>,
    page: u32,
    dictionary: Vec<u8>,
    texts: u32,
    indices: Vec<u32>,
    body: Vec<u8>,
    /// Columns whose dictionary was too large once; the next row group will hardly be another.
    given_up: Vec<usize>,
}

/// A page while its rows are collected.
struct Page<'a> {
    rows: usize,
    nulls: usize,
    valid: BooleanBufferBuilder,
    bounds: Option<(&'a str, &'a str)>,
}

impl<'a> Page<'a> {
    fn new() -> Self {
        Self { rows: 0, nulls: 0, valid: BooleanBufferBuilder::new(PAGE_ROWS), bounds: None }
    }

    fn enclose(&mut self, text: &'a str) {
        self.bounds = Some(match self.bounds {
            None => (text, text),
            Some((min, max)) => match (text.cmp(min), text.cmp(max)) {
                (Ordering::Less, _) => (text, max),
                (_, Ordering::Greater) => (min, text),
                _ => (min, max),
            },
        });
    }
}

impl Coder {
    /// Encodes a column of a row group: its bytes as they go into the file, and what the footer says of them.
    pub(super) fn encode(
        &mut self,
        position: usize,
        descr: &ColumnDescPtr,
        column: &CodedColumn<'_>,
    ) -> Result<(Bytes, ColumnCloseResult), ParquetError> {
        if self.seen.len() < column.texts.len() {
            self.seen.resize(column.texts.len(), Seen::default());
        }
        if !self.given_up.contains(&position) {
            if let Some(chunk) = self.with_dictionary(descr, column)? {
                return Ok(chunk);
            }
            self.given_up.push(position);
        }
        self.plain(descr, column)
    }

    fn with_dictionary(
        &mut self,
        descr: &ColumnDescPtr,
        column: &CodedColumn<'_>,
    ) -> Result<Option<(Bytes, ColumnCloseResult)>, ParquetError> {
        self.dictionary.clear();
        self.texts = 0;
        let mut chunk = Chunk::new(descr, Type::BYTE_ARRAY)?;
        // A code's index is of this row group if its page is.
        let first = self.next_page();
        let mut page = Page::new();
        for &(codes, nulls) in &column.stretches {
            let mut from = 0;
            while from < codes.len() {
                let to = codes.len().min(from + PAGE_ROWS - page.rows);
                page.take(nulls, from, to);
                for row in valid_rows(nulls, from, to) {
                    let code = code(codes[row]);
                    let seen = &mut self.seen[code];
                    if seen.page != self.page {
                        let text = column.texts.value(code);
                        if seen.page < first {
                            seen.index = self.texts;
                            self.texts += 1;
                            put(text, &mut self.dictionary);
                        }
                        seen.page = self.page;
                        page.enclose(text);
                    }
                    self.indices.push(seen.index);
                }
                if self.dictionary.len() > DICTIONARY_BYTES {
                    self.indices.clear();
                    return Ok(None);
                }
                if page.rows == PAGE_ROWS {
                    self.end_of_indices(&mut chunk, &mut page)?;
                }
                from = to;
            }
        }
        if page.rows > 0 {
            self.end_of_indices(&mut chunk, &mut page)?;
        }
        chunk.finish(Some((&self.dictionary, self.texts))).map(Some)
    }

    fn plain(
        &mut self,
        descr: &ColumnDescPtr,
        column: &CodedColumn<'_>,
    ) -> Result<(Bytes, ColumnCloseResult), ParquetError> {
        let mut chunk = Chunk::new(descr, Type::BYTE_ARRAY)?;
        let mut page = Page::new();
        let mut texts = Vec::with_capacity(PLAIN_PAGE_BYTES);
        self.next_page();
        for &(codes, nulls) in &column.stretches {
            for (row, &number) in codes.iter().enumerate() {
                let valid = nulls.is_none_or(|nulls| nulls.is_valid(row));
                page.rows += 1;
                page.nulls += usize::from(!valid);
                page.valid.append(valid);
                if valid {
                    let text = column.texts.value(code(number));
                    put(text, &mut texts);
                    let seen = &mut self.seen[code(number)];
                    if seen.page != self.page {
                        seen.page = self.page;
                        page.enclose(text);
                    }
                }
                if page.rows == PAGE_ROWS || texts.len() >= PLAIN_PAGE_BYTES {
                    self.end_of_page(&mut chunk, &mut page, &texts, Encoding::PLAIN)?;
                    texts.clear();
                }
            }
        }
        if page.rows > 0 {
            self.end_of_page(&mut chunk, &mut page, &texts, Encoding::PLAIN)?;
        }
        chunk.finish(None)
    }

    fn end_of_indices(&mut self, chunk: &mut Chunk, page: &mut Page<'_>) -> Result<(), ParquetError> {
        let width = hybrid::width_of(self.texts.saturating_sub(1));
        let mut body = vec![width];
        hybrid::encode(&self.indices, width, &mut body);
        self.indices.clear();
        self.end_of_page(chunk, page, &body, Encoding::RLE_DICTIONARY)
    }

    fn end_of_page(
        &mut self,
        chunk: &mut Chunk,
        page: &mut Page<'_>,
        values: &[u8],
        encoding: Encoding,
    ) -> Result<(), ParquetError> {
        let valid = page.valid.finish();
        self.body.clear();
        if chunk.nullable() {
            self.body.extend_from_slice(&[0; 4]);
            hybrid::encode_validity(&valid, page.nulls, &mut self.body);
            let length = u32::try_from(self.body.len() - 4).unwrap_or(u32::MAX);
            self.body[..4].copy_from_slice(&length.to_le_bytes());
        }
        self.body.extend_from_slice(values);
        let facts = PageFacts { rows: page.rows, nulls: page.nulls, bounds: page.bounds };
        chunk.page(&self.body, encoding, &facts)?;
        *page = Page::new();
        self.next_page();
        Ok(())
    }

    /// Starts the next page and returns its number. Numbers never come back, so nothing has to be cleared.
    fn next_page(&mut self) -> u32 {
        if self.page == u32::MAX {
            self.seen.fill(Seen::default());
            self.page = 0;
        }
        self.page += 1;
        self.page
    }
}

impl Page<'_> {
    /// Counts rows and notes which of them have a value.
    fn take(&mut self, nulls: Option<&NullBuffer>, from: usize, to: usize) {
        self.rows += to - from;
        match nulls {
            None => self.valid.append_n(to - from, true),
            Some(nulls) => {
                let valid = nulls.inner().slice(from, to - from);
                self.nulls += valid.len() - valid.count_set_bits();
                self.valid.append_buffer(&valid);
            }
        }
    }
}

fn valid_rows(nulls: Option<&NullBuffer>, from: usize, to: usize) -> impl Iterator<Item = usize> {
    (from..to).filter(move |&row| nulls.is_none_or(|nulls| nulls.is_valid(row)))
}

/// Plain encoding: length, bytes.
fn put(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[expect(clippy::cast_sign_loss, reason = "a code that is not NULL is not negative")]
const fn code(number: i32) -> usize {
    number as usize
}
