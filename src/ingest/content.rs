//! What an event says, apart from where it was read: the basis for telling copies from conflicts.
//!
//! Two rows with one event id are copies when their contents are equal; else they are in conflict and the one with
//! the smaller [`Content::hash`] stays (SEMANTICS §1). Derived columns (`page`, `is_step`, `distinct_id`) take no
//! part: they follow from the rest and from the rules.
//!
//! Invariants: a content is the same whether it was taken from the buffer or from a stored part.

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Int16Type, Int64Type, TimestampMicrosecondType};
use serde_json::{Map, Value};
use xxhash_rust::xxh3::Xxh3;

use super::rows::buffer::RowBuffer;
use super::rows::row::Row;
use crate::event::Column;
use crate::time;

/// The text columns that an input gives, in file order.
pub const TEXTS: [Column; 11] = [
    Column::Event,
    Column::Path,
    Column::Method,
    Column::Referrer,
    Column::UserAgent,
    Column::Ip,
    Column::RawUserId,
    Column::AnonymousId,
    Column::SourceSessionId,
    Column::EventId,
    Column::Properties,
];

/// What an event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content<'a> {
    /// Microseconds since 1970 UTC.
    pub ts: i64,
    pub status: Option<i16>,
    pub bytes: Option<i64>,
    /// As [`TEXTS`].
    pub texts: [Option<&'a [u8]>; 11],
}

impl<'a> Content<'a> {
    /// Of a buffered row.
    pub fn of_row(buffer: &'a RowBuffer, row: &Row) -> Self {
        let raw = buffer.raw(row);
        Self {
            ts: raw.ts,
            status: raw.status,
            bytes: raw.bytes,
            texts: [
                raw.event,
                raw.target,
                raw.method,
                raw.referrer,
                raw.user_agent,
                raw.ip,
                raw.user_id,
                raw.anonymous_id,
                raw.session_id,
                raw.event_id,
                raw.properties,
            ],
        }
    }

    /// Of row `at` of a stored batch with all columns, text as `Utf8`. `None` where the batch is no such thing.
    pub fn of_stored(batch: &'a RecordBatch, at: usize) -> Option<Self> {
        let column = |column: Column| batch.column_by_name(column.name());
        let mut texts = [None; 11];
        for (slot, name) in texts.iter_mut().zip(TEXTS) {
            let array: &StringArray = column(name)?.as_string_opt::<i32>()?;
            *slot = array.is_valid(at).then(|| array.value(at).as_bytes());
        }
        let ts = column(Column::Ts)?.as_primitive_opt::<TimestampMicrosecondType>()?.value(at);
        let status = column(Column::Status)?.as_primitive_opt::<Int16Type>()?;
        let bytes = column(Column::Bytes)?.as_primitive_opt::<Int64Type>()?;
        Some(Self {
            ts,
            status: status.is_valid(at).then(|| status.value(at)),
            bytes: bytes.is_valid(at).then(|| bytes.value(at)),
            texts,
        })
    }

    /// Without what `[privacy]` may mask: the same under any of its rules.
    pub fn unmasked(mut self) -> Self {
        let masked = |column: Column| !matches!(column, Column::Method | Column::UserAgent | Column::EventId);
        for (text, column) in self.texts.iter_mut().zip(TEXTS) {
            *text = text.filter(|_| !masked(column));
        }
        self
    }

    /// A function of the content alone: no seed, no machine, no version of the program.
    pub fn hash(&self) -> u128 {
        let mut state = Xxh3::new();
        state.update(&self.ts.to_le_bytes());
        state.update(&self.status.map_or(i32::MIN, i32::from).to_le_bytes());
        state.update(&[u8::from(self.bytes.is_some())]);
        state.update(&self.bytes.unwrap_or_default().to_le_bytes());
        for text in self.texts {
            // The length tells absent from empty and keeps neighbours apart.
            state.update(&text.map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
            state.update(text.unwrap_or_default());
        }
        state.digest128()
    }

    /// The event as a JSON object: what the quarantine keeps of a conflicting duplicate, whose line is gone.
    pub fn json(&self) -> Vec<u8> {
        let mut object = Map::new();
        object.insert(Column::Ts.name().to_owned(), Value::from(time::iso(self.ts)));
        for (column, text) in TEXTS.into_iter().zip(self.texts) {
            if let Some(text) = text {
                object.insert(column.name().to_owned(), Value::from(String::from_utf8_lossy(text)));
            }
        }
        if let Some(status) = self.status {
            object.insert(Column::Status.name().to_owned(), Value::from(status));
        }
        if let Some(bytes) = self.bytes {
            object.insert(Column::Bytes.name().to_owned(), Value::from(bytes));
        }
        Value::Object(object).to_string().into_bytes()
    }
}
