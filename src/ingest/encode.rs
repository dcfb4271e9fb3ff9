//! Sorted rows to Arrow batches: every text column as a dictionary of what the batch uses, in order of first use.
//!
//! Invariants: a batch has the columns of [`event::events`] in order, text as `Dictionary(Int32, Utf8)`; one batch is
//! at most one row group, so that its dictionaries are the row group's.
//!
//! Deliberately not here: Parquet (`store/`), the order of rows (`order.rs`).

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanArray, Date32Array, DictionaryArray, Int16Array, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::rows::buffer::RowBuffer;
use super::rows::interner::{Code, Interner};
use super::rows::refusals::Refusal;
use super::rows::row::{NO_STATUS, Row};
use super::rows::rules::Rules;
use crate::event;
use crate::time::Day;

/// The schema of event batches: the stored one with dictionaries for text.
pub fn schema() -> SchemaRef {
    let fields: Vec<Field> = event::events()
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Utf8 => field.as_ref().clone().with_data_type(dictionary_type()),
            _ => field.as_ref().clone(),
        })
        .collect();
    Arc::new(Schema::new(fields))
}

fn dictionary_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// Builds batches; keeps its working memory between them.
#[derive(Debug)]
pub struct Encoder {
    schema: SchemaRef,
    rows: Vec<Row>,
    codes: Vec<Code>,
    dictionary: Dictionary,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { schema: schema(), rows: Vec::new(), codes: Vec::new(), dictionary: Dictionary::default() }
    }
}

impl Encoder {
    /// The batch of `order`ed rows of one day.
    ///
    /// # Errors
    /// Arrow refuses the columns, which would be a mistake of ours.
    pub fn events(
        &mut self,
        buffer: &RowBuffer,
        rules: &Rules,
        sources: &[String],
        day: Day,
        order: &[u32],
    ) -> Result<RecordBatch, ArrowError> {
        // One pass of random access; the columns then read memory in order.
        self.rows.clear();
        self.rows.extend(order.iter().map(|&at| buffer.rows[at as usize]));
        let texts = &buffer.texts;
        let extra = |row: &Row| buffer.extras[row.extra as usize];
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Date32Array::from_value(day.0, self.rows.len())),
            self.text(&texts.distinct, |row| row.distinct)?,
            Arc::new(
                TimestampMicrosecondArray::from_iter_values(self.rows.iter().map(|row| row.ts)).with_timezone("UTC"),
            ),
            self.text(&texts.event, |row| row.event)?,
            self.text(&texts.page, |row| buffer.page(row))?,
            self.text(&texts.path, |row| row.path)?,
            Arc::new(self.rows.iter().map(|row| Some(buffer.is_step(row, rules))).collect::<BooleanArray>()),
            self.text(&texts.method, |row| row.method)?,
            Arc::new(
                self.rows.iter().map(|row| (row.status != NO_STATUS).then_some(row.status)).collect::<Int16Array>(),
            ),
            Arc::new(self.rows.iter().map(|row| buffer.bytes(row)).collect::<Int64Array>()),
            self.text(&texts.referrer, |row| row.referrer)?,
            self.text(&texts.agent, |row| row.agent)?,
            self.text(&texts.ip, |row| row.ip)?,
            self.text(&texts.user, |row| row.user)?,
            self.text(&texts.anonymous, |row| extra(row).anonymous)?,
            self.text(&texts.session, |row| row.session)?,
            self.text(&texts.event_id, |row| extra(row).event_id)?,
            self.text(&texts.properties, |row| extra(row).properties)?,
            self.sources(sources)?,
            Arc::new(Int64Array::from_iter_values(self.rows.iter().map(|row| row.offset.cast_signed()))),
        ];
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }

    fn text(&mut self, texts: &Interner, code: impl Fn(&Row) -> Code) -> Result<ArrayRef, ArrowError> {
        self.codes.clear();
        self.codes.extend(self.rows.iter().map(code));
        self.dictionary.array(texts.len(), &self.codes, |code| texts.bytes(code))
    }

    fn sources(&mut self, sources: &[String]) -> Result<ArrayRef, ArrowError> {
        self.codes.clear();
        self.codes.extend(self.rows.iter().map(|row| Code::from(row.source) + 1));
        self.dictionary.array(sources.len() + 1, &self.codes, |code| sources[code as usize - 1].as_bytes())
    }
}

/// Turns codes into a dictionary array of the texts in use.
#[derive(Debug, Default)]
struct Dictionary {
    /// By code: the text's key in the array under construction plus one; 0 for not yet. All zero between arrays.
    keys: Vec<i32>,
    used: Vec<Code>,
}

impl Dictionary {
    fn array<'a>(
        &mut self,
        len: usize,
        codes: &[Code],
        text: impl Fn(Code) -> &'a [u8],
    ) -> Result<ArrayRef, ArrowError> {
        if self.keys.len() < len {
            self.keys.resize(len, 0);
        }
        self.used.clear();
        let mut keys: Vec<i32> = Vec::with_capacity(codes.len());
        let mut nulls = 0usize;
        let mut next = 0i32;
        for &code in codes {
            let key = &mut self.keys[code as usize];
            if *key == 0 && code != 0 {
                next += 1;
                *key = next;
                self.used.push(code);
            }
            nulls += usize::from(code == 0);
            // An absent text's key is never looked at, it only has to be in range.
            keys.push((*key - 1).max(0));
        }
        let mut offsets: Vec<i32> = Vec::with_capacity(self.used.len() + 1);
        let mut bytes: Vec<u8> = Vec::new();
        offsets.push(0);
        for &code in &self.used {
            bytes.extend_from_slice(text(code));
            let end = i32::try_from(bytes.len())
                .map_err(|_| ArrowError::InvalidArgumentError("a row group's texts exceed 2 GiB".to_owned()))?;
            offsets.push(end);
            self.keys[code as usize] = 0;
        }
        let valid = (nulls > 0).then(|| NullBuffer::new(BooleanBuffer::collect_bool(codes.len(), |at| codes[at] != 0)));
        let values =
            StringArray::try_new(OffsetBuffer::new(ScalarBuffer::from(offsets)), Buffer::from_vec(bytes), None)?;
        let keys = Int32Array::try_new(ScalarBuffer::from(keys), valid)?;
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values))?))
    }
}

/// A refused line as the quarantine shows it; `raw` stands beside it.
#[derive(Debug, Clone, Copy)]
pub struct QuarantineRow<'a> {
    pub source_id: &'a str,
    pub refusal: &'a Refusal,
    pub raw: &'a [u8],
}

/// The batch of quarantine rows, already in order of `(source_id, source_offset)`, received at `now` (µs).
///
/// # Errors
/// Arrow refuses the columns, which would be a mistake of ours.
pub fn quarantine(rows: &[QuarantineRow<'_>], now: i64) -> Result<RecordBatch, ArrowError> {
    let mut raw = BinaryBuilder::new();
    for row in rows {
        raw.append_value(row.raw);
    }
    let refusals = || rows.iter().map(|row| row.refusal);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Date32Array::from_value(Day::of(now).0, rows.len())),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.source_id))),
        Arc::new(Int64Array::from_iter_values(refusals().map(|refusal| refusal.offset.cast_signed()))),
        Arc::new(Int64Array::from_iter_values(refusals().map(|refusal| refusal.line_no.cast_signed()))),
        Arc::new(StringArray::from_iter_values(refusals().map(|refusal| refusal.reason.name()))),
        Arc::new(Int64Array::from_iter_values(refusals().map(|refusal| i64::from(refusal.matched)))),
        Arc::new(raw.finish()),
        Arc::new(TimestampMicrosecondArray::from_value(now, rows.len()).with_timezone("UTC")),
    ];
    RecordBatch::try_new(event::quarantine(), columns)
}
