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
//! Bounds of a page compare a text once per page it occurs in. Batches that bring dictionaries of their own have each
//! text that is used hashed once per dictionary, not once per row. A dictionary that outgrows [`DICTIONARY_BYTES`] is
//! given up and the texts are written plain.

use std::cmp::Ordering;
use std::hint::black_box;
use std::ops::Range;

use ::parquet::basic::Encoding;
use ::parquet::column::writer::ColumnCloseResult;
use ::parquet::errors::ParquetError;
use ::parquet::schema::types::ColumnDescPtr;
use arrow::array::{Array, AsArray, BooleanBufferBuilder, RecordBatch, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::Int32Type;
use bytes::Bytes;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::chunk::{Chunk, Packer, PageFacts};
use super::hybrid;
use crate::limits::PAGE_ROWS;

/// A dictionary of a row group that grows beyond this is given up for plain text: it no longer saves anything.
pub(super) const DICTIONARY_BYTES: usize = 4 << 20;
/// A page of plain text ends at this size.
const PLAIN_PAGE_BYTES: usize = 1 << 20;

/// Entries of all dictionaries of a chunk; more would cost more memory than hashing texts costs time.
const ENTRIES: usize = 4 << 20;

/// One column of a row group: codes, in the stretches they arrived in.
pub(super) struct CodedColumn<'a> {
    stretches: Vec<Stretch<'a>>,
    /// Entries of all dictionaries.
    entries: usize,
    /// There are several dictionaries: a text may have several codes.
    several: bool,
}

/// The rows of one batch.
struct Stretch<'a> {
    texts: &'a StringArray,
    /// What is added to a code, so that codes of several dictionaries do not meet.
    base: usize,
    codes: &'a [i32],
    nulls: Option<&'a NullBuffer>,
}

impl<'a> CodedColumn<'a> {
    /// `None` where the column is not coded everywhere, a dictionary holds NULL, or there are too many of them.
    pub(super) fn of(batches: &'a [RecordBatch], column: usize) -> Option<Self> {
        let mut stretches: Vec<Stretch<'a>> = Vec::with_capacity(batches.len());
        let mut entries = 0;
        for batch in batches {
            let coded = batch.column(column).as_dictionary_opt::<Int32Type>()?;
            let texts = coded.values().as_string_opt::<i32>()?;
            let base = match stretches.last() {
                Some(before) if same(before.texts, texts) => before.base,
                _ => {
                    entries += texts.len();
                    entries - texts.len()
                }
            };
            if texts.null_count() > 0 || entries > ENTRIES {
                return None;
            }
            let nulls = coded.keys().nulls().filter(|nulls| nulls.null_count() > 0);
            stretches.push(Stretch { texts, base, codes: coded.keys().values(), nulls });
        }
        let several = stretches.last()?.base > 0;
        Some(Self { stretches, entries, several })
    }
}

/// The same memory: equal texts elsewhere are looked for only when their codes differ.
fn same(a: &StringArray, b: &StringArray) -> bool {
    let place = |array: &StringArray| (array.len(), array.value_data().as_ptr(), array.value_offsets().as_ptr());
    place(a) == place(b)
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
#[derive(Default)]
pub(super) struct Coder {
    packer: Packer,
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
        if self.seen.len() < column.entries {
            self.seen.resize(column.entries, Seen::default());
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
        let mut chunk = Chunk::new(descr);
        // A code's index is of this row group if its page is.
        let first = self.next_page();
        let mut page = Page::new();
        let mut known: HashMap<&str, u32, RandomState> = HashMap::default();
        for stretch in &column.stretches {
            let mut from = 0;
            while from < stretch.codes.len() {
                let to = stretch.codes.len().min(from + PAGE_ROWS - page.rows);
                page.take(stretch.nulls, from, to);
                let nothing = stretch.nulls.is_some_and(|nulls| nulls.null_count() == nulls.len());
                let values = if nothing { from..from } else { from..to };
                // All places of the page are read here first: they wait for memory together, not one by one below.
                let places =
                    stretch.codes[values.clone()].iter().map(|number| self.seen[stretch.base + code(*number)].page);
                black_box(places.fold(0, |read, page| read ^ page));
                // Sorted rows come in runs of one person, whose columns repeat.
                let mut run = None;
                for row in valid_rows(stretch.nulls, values) {
                    let code = code(stretch.codes[row]);
                    if let Some((same, index)) = run
                        && same == code
                    {
                        self.indices.push(index);
                        continue;
                    }
                    let seen = &mut self.seen[stretch.base + code];
                    if seen.page != self.page {
                        let text = stretch.texts.value(code);
                        if seen.page < first {
                            let new = self.texts;
                            seen.index = if column.several { *known.entry(text).or_insert(new) } else { new };
                            if seen.index == new {
                                self.texts += 1;
                                put(text, &mut self.dictionary);
                            }
                        }
                        seen.page = self.page;
                        page.enclose(text);
                    }
                    self.indices.push(seen.index);
                    run = Some((code, seen.index));
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
        chunk.finish(&mut self.packer, Some((&self.dictionary, self.texts))).map(Some)
    }

    fn plain(
        &mut self,
        descr: &ColumnDescPtr,
        column: &CodedColumn<'_>,
    ) -> Result<(Bytes, ColumnCloseResult), ParquetError> {
        let mut chunk = Chunk::new(descr);
        let mut page = Page::new();
        let mut texts = Vec::with_capacity(PLAIN_PAGE_BYTES);
        self.next_page();
        for stretch in &column.stretches {
            for (row, &number) in stretch.codes.iter().enumerate() {
                page.take(stretch.nulls, row, row + 1);
                if stretch.nulls.is_none_or(|nulls| nulls.is_valid(row)) {
                    let text = stretch.texts.value(code(number));
                    put(text, &mut texts);
                    let seen = &mut self.seen[stretch.base + code(number)];
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
        chunk.finish(&mut self.packer, None)
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
        chunk.page(&mut self.packer, &self.body, encoding, &facts)?;
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

fn valid_rows(nulls: Option<&NullBuffer>, rows: Range<usize>) -> impl Iterator<Item = usize> {
    rows.filter(move |&row| nulls.is_none_or(|nulls| nulls.is_valid(row)))
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
