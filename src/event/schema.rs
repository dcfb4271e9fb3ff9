//! The Arrow schemas of stored rows.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// The columns of a stored event in file order. `Column::X as usize` is the index, `+ 1` the field id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum Column {
    Day,
    DistinctId,
    Ts,
    Event,
    Page,
    Path,
    IsStep,
    Method,
    Status,
    Bytes,
    Referrer,
    UserAgent,
    Ip,
    RawUserId,
    AnonymousId,
    SourceSessionId,
    EventId,
    Properties,
    SourceId,
    SourceOffset,
}

impl Column {
    /// Every column in file order.
    pub const ALL: [Self; 20] = [
        Self::Day,
        Self::DistinctId,
        Self::Ts,
        Self::Event,
        Self::Page,
        Self::Path,
        Self::IsStep,
        Self::Method,
        Self::Status,
        Self::Bytes,
        Self::Referrer,
        Self::UserAgent,
        Self::Ip,
        Self::RawUserId,
        Self::AnonymousId,
        Self::SourceSessionId,
        Self::EventId,
        Self::Properties,
        Self::SourceId,
        Self::SourceOffset,
    ];

    /// The column's name in SQL and in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::DistinctId => "distinct_id",
            Self::Ts => "ts",
            Self::Event => "event",
            Self::Page => "page",
            Self::Path => "path",
            Self::IsStep => "is_step",
            Self::Method => "method",
            Self::Status => "status",
            Self::Bytes => "bytes",
            Self::Referrer => "referrer",
            Self::UserAgent => "user_agent",
            Self::Ip => "ip",
            Self::RawUserId => "raw_user_id",
            Self::AnonymousId => "anonymous_id",
            Self::SourceSessionId => "source_session_id",
            Self::EventId => "event_id",
            Self::Properties => "properties",
            Self::SourceId => "source_id",
            Self::SourceOffset => "source_offset",
        }
    }
}

fn field(id: usize, name: &str, kind: DataType, nullable: bool) -> Field {
    Field::new(name, kind, nullable).with_metadata([("PARQUET:field_id".to_owned(), id.to_string())].into())
}

/// `Timestamp(µs, "UTC")`, the type of every time column.
#[must_use]
pub fn utc_micros() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A stored event. Sorted in every part by `(distinct_id, ts, source_id, source_offset)`.
///
/// `day` Date32 · `distinct_id` Utf8 · `ts` Timestamp(µs, UTC) · `event`, `page`, `path` Utf8? · `is_step` Boolean ·
/// `method` Utf8? · `status` Int16? · `bytes` Int64? · `referrer`, `user_agent`, `ip`, `raw_user_id`, `anonymous_id`,
/// `source_session_id`, `event_id`, `properties` Utf8? · `source_id` Utf8 (16 hex digits) · `source_offset` Int64.
#[must_use]
pub fn events() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let fields: Vec<Field> = Column::ALL
            .iter()
            .map(|&column| {
                let (kind, nullable) = match column {
                    Column::Day => (DataType::Date32, false),
                    Column::Ts => (utc_micros(), false),
                    Column::IsStep => (DataType::Boolean, false),
                    Column::Status => (DataType::Int16, true),
                    Column::Bytes => (DataType::Int64, true),
                    Column::SourceOffset => (DataType::Int64, false),
                    Column::DistinctId | Column::SourceId => (DataType::Utf8, false),
                    _ => (DataType::Utf8, true),
                };
                field(column as usize + 1, column.name(), kind, nullable)
            })
            .collect();
        Arc::new(Schema::new(fields))
    });
    Arc::clone(&SCHEMA)
}

/// A refused line. Sorted by `(source_id, source_offset)`.
///
/// `day` Date32 (UTC day of receipt) · `source_id` Utf8 · `source_offset` Int64 (byte offset in the plain text) ·
/// `line_no` Int64 (from 1) · `reason` Utf8 · `matched_bytes` Int64 (how far the line was understood) · `raw` Binary
/// (the line without its terminator) · `received_at` Timestamp(µs, UTC).
#[must_use]
pub fn quarantine() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let columns = [
            ("day", DataType::Date32),
            ("source_id", DataType::Utf8),
            ("source_offset", DataType::Int64),
            ("line_no", DataType::Int64),
            ("reason", DataType::Utf8),
            ("matched_bytes", DataType::Int64),
            ("raw", DataType::Binary),
            ("received_at", utc_micros()),
        ];
        let fields: Vec<Field> =
            columns.into_iter().enumerate().map(|(at, (name, kind))| field(at + 1, name, kind, false)).collect();
        Arc::new(Schema::new(fields))
    });
    Arc::clone(&SCHEMA)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_ids_are_positions_from_one() {
        for schema in [events(), quarantine()] {
            for (at, field) in schema.fields().iter().enumerate() {
                assert_eq!(field.metadata()["PARQUET:field_id"], (at + 1).to_string(), "{}", field.name());
            }
        }
        assert_eq!(Column::ALL.map(|column| column as usize), std::array::from_fn(|at| at));
    }
}
