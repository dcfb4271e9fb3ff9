//! Sorted rows to Arrow batches: every text column as codes of the buffer's texts, which all its batches share.
//!
//! Invariants: a batch has the columns of [`event::events`] in order, text as `Dictionary(Int32, Utf8)`; a code of the
//! buffer is the key of its text.
//!
//! Deliberately not here: Parquet (`store/`), the order of rows (`order.rs`).

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanArray, Date32Array, DictionaryArray, Int16Array, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::rows::buffer::RowBuffer;
use super::rows::interner::Code;
use super::rows::refusals::{Refusal, Refusals};
use super::rows::row::{NO_BYTES, NO_STATUS, Row};
use super::rows::rules::Rules;
use super::rows::who::Who;
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

/// Builds the batches of one buffer, which share their dictionaries.
#[derive(Debug)]
pub struct Encoder<'a> {
    schema: SchemaRef,
    buffer: &'a RowBuffer,
    rules: &'a Rules,
    texts: Dictionaries,
    /// The rows of a batch, and who did each.
    rows: Vec<Row>,
    whos: Vec<Who>,
}

/// Every text of a buffer, by column; the text of code 0 is empty and never used.
#[derive(Debug)]
struct Dictionaries {
    distinct: ArrayRef,
    event: ArrayRef,
    page: ArrayRef,
    path: ArrayRef,
    method: ArrayRef,
    referrer: ArrayRef,
    agent: ArrayRef,
    ip: ArrayRef,
    user: ArrayRef,
    session: ArrayRef,
    anonymous: ArrayRef,
    event_id: ArrayRef,
    properties: ArrayRef,
    sources: ArrayRef,
}

impl<'a> Encoder<'a> {
    /// For `buffer`, whose sources have the ids `sources`.
    ///
    /// # Errors
    /// The texts of a column are too many bytes for one array.
    pub fn new(buffer: &'a RowBuffer, rules: &'a Rules, sources: &[String]) -> Result<Self, ArrowError> {
        let texts = &buffer.texts;
        let texts = Dictionaries {
            distinct: texts.distinct.array()?,
            event: texts.event.array()?,
            page: texts.page.array()?,
            path: texts.path.array()?,
            method: texts.method.array()?,
            referrer: texts.referrer.array()?,
            agent: texts.agent.array()?,
            ip: texts.ip.array()?,
            user: texts.user.array()?,
            session: texts.session.array()?,
            anonymous: texts.anonymous.array()?,
            event_id: texts.event_id.array()?,
            properties: texts.properties.array()?,
            sources: Arc::new(StringArray::from_iter_values(
                std::iter::once("").chain(sources.iter().map(String::as_str)),
            )),
        };
        Ok(Self { schema: schema(), buffer, rules, texts, rows: Vec::new(), whos: Vec::new() })
    }

    /// The batch of `order`ed rows of one day.
    ///
    /// # Errors
    /// Arrow refuses the columns, which would be a mistake of ours.
    pub fn events(&mut self, day: Day, order: &[(u64, u32)]) -> Result<RecordBatch, ArrowError> {
        let buffer = self.buffer;
        // Random access happens here alone, and nothing waits for it in between; the columns read memory in order.
        self.rows.clear();
        self.rows.extend(order.iter().map(|(_, at)| buffer.rows[*at as usize]));
        self.whos.clear();
        self.whos.extend(self.rows.iter().map(|row| buffer.who_of(row)));
        let (texts, rows, whos) = (&self.texts, self.rows.as_slice(), self.whos.as_slice());
        let extra = |row: &Row| buffer.extras[row.extra as usize];
        let ts = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.ts));
        let steps = BooleanBuffer::collect_bool(rows.len(), |at| buffer.is_step(&rows[at], self.rules));
        let status = rows.iter().map(|row| row.status).collect();
        let bytes = rows.iter().map(|row| buffer.bytes(row).unwrap_or_default()).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Date32Array::from_value(day.0, rows.len())),
            coded(&texts.distinct, whos, |who| who.distinct)?,
            Arc::new(ts.with_timezone("UTC")),
            coded(&texts.event, rows, |row| row.event)?,
            coded(&texts.page, rows, |row| buffer.page(row))?,
            coded(&texts.path, rows, |row| row.path)?,
            Arc::new(BooleanArray::new(steps, None)),
            coded(&texts.method, rows, |row| row.method)?,
            Arc::new(Int16Array::try_new(status, valid(rows, |row| row.status != NO_STATUS))?),
            Arc::new(Int64Array::try_new(bytes, valid(rows, |row| row.bytes != NO_BYTES))?),
            coded(&texts.referrer, rows, |row| row.referrer)?,
            coded(&texts.agent, whos, |who| who.agent)?,
            coded(&texts.ip, whos, |who| who.ip)?,
            coded(&texts.user, whos, |who| who.user)?,
            coded(&texts.anonymous, whos, |who| who.anonymous)?,
            coded(&texts.session, whos, |who| who.session)?,
            coded(&texts.event_id, rows, |row| extra(row).event_id)?,
            coded(&texts.properties, rows, |row| row.properties)?,
            coded(&texts.sources, rows, |row| Code::from(row.source) + 1)?,
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.offset.cast_signed()))),
        ];
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

/// A column of codes; 0 is NULL.
fn coded<T>(texts: &ArrayRef, items: &[T], code: impl Fn(&T) -> Code) -> Result<ArrayRef, ArrowError> {
    if texts.len() == 1 {
        let keys = Int32Array::try_new(vec![0; items.len()].into(), Some(NullBuffer::new_null(items.len())))?;
        return Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::clone(texts))?));
    }
    #[expect(clippy::cast_possible_wrap, reason = "an array has fewer texts than 2^31, and is asked for each code")]
    let keys: Vec<i32> = items.iter().map(|item| code(item) as i32).collect();
    let valid = valid(&keys, |key| *key != 0);
    let keys = Int32Array::try_new(keys.into(), valid)?;
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::clone(texts))?))
}

/// Which items have a value; `None` where all do.
fn valid<T>(items: &[T], has_value: impl Fn(&T) -> bool) -> Option<NullBuffer> {
    let valid = BooleanBuffer::collect_bool(items.len(), |at| has_value(&items[at]));
    Some(NullBuffer::new(valid)).filter(|valid| valid.null_count() > 0)
}

/// A refused line as the quarantine shows it.
#[derive(Debug, Clone, Copy)]
pub struct QuarantineRow<'a> {
    pub source_id: &'a str,
    pub refusal: &'a Refusal,
    pub refusals: &'a Refusals,
}

/// The batch of quarantine rows, already in order of `(source_id, source_offset)`, received at `now` (µs).
///
/// # Errors
/// Arrow refuses the columns, which would be a mistake of ours.
pub fn quarantine(rows: &[QuarantineRow<'_>], now: i64) -> Result<RecordBatch, ArrowError> {
    let mut raw = BinaryBuilder::new();
    for row in rows {
        raw.append_value(row.refusals.raw(row.refusal));
    }
    let refusals = || rows.iter().map(|row| row.refusal);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Date32Array::from_value(Day::of(now).0, rows.len())),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.source_id))),
        Arc::new(Int64Array::from_iter_values(refusals().map(|refusal| refusal.offset.cast_signed()))),
        Arc::new(Int64Array::from_iter_values(refusals().map(|refusal| refusal.line_no.cast_signed()))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.refusals.reason(row.refusal)))),
        Arc::new(Int64Array::from_iter_values(refusals().map(|refusal| i64::from(refusal.matched)))),
        Arc::new(raw.finish()),
        Arc::new(TimestampMicrosecondArray::from_value(now, rows.len()).with_timezone("UTC")),
    ];
    RecordBatch::try_new(event::quarantine(), columns)
}
