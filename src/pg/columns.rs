//! Arrow values as Postgres values.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion_postgres::arrow_pg::encoder::{Encoder, encode_value};
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{FieldFormat, FieldInfo};
use datafusion_postgres::pgwire::error::PgWireResult;

use super::fault::{self, IntoError};
use crate::engine::postgres::types::{pg_type, size, wire_schema};
use crate::limits;
use crate::time::{DAY, Day, SECOND, civil_day, is_utc};

/// The columns of an answer, in types that Postgres has.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    pub(super) schema: SchemaRef,
}

impl Columns {
    /// The columns of an answer; `described` is what was said of them before.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn new(schema: &Schema, described: Option<SchemaRef>) -> PgWireResult<Self> {
        if schema.fields().len() > limits::PG_COLUMNS {
            let message = format!("an answer has at most {} columns", limits::PG_COLUMNS);
            return Err(fault::error("54011", message).into_error());
        }
        let same = |told: &SchemaRef| told.fields().len() == schema.fields().len();
        Ok(Self { schema: described.filter(same).unwrap_or_else(|| wire_schema(schema)) })
    }

    /// What a client is told of them.
    ///
    /// # Errors
    /// It asked for formats of more or fewer columns.
    pub(super) fn fields(&self, format: &Format) -> PgWireResult<Vec<FieldInfo>> {
        if let Format::Individual(codes) = format
            && codes.len() != self.schema.fields().len()
        {
            let (given, columns) = (codes.len(), self.schema.fields().len());
            let message = format!("bind message has {given} result formats but query has {columns} columns");
            return Err(fault::error("08P01", message).into_error());
        }
        let field = |(at, field): (usize, &Arc<Field>)| {
            let kind = pg_type(field);
            let size = size(&kind);
            Ok(FieldInfo::new(field.name().clone(), None, None, kind, format.format_for(at)).with_type_size(size))
        };
        self.schema.fields().iter().enumerate().map(field).collect()
    }

    /// Rows in these types.
    ///
    /// # Errors
    /// A value has no place in its type.
    pub(super) fn convert(&self, batch: &RecordBatch) -> PgWireResult<RecordBatch> {
        let arrays = batch.columns().iter().zip(self.schema.fields());
        let arrays = arrays.map(|(array, field)| converted(array, field)).collect::<PgWireResult<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|error| fault::error("XX000", error.to_string()).into_error())
    }
}

fn converted(array: &ArrayRef, field: &Field) -> PgWireResult<ArrayRef> {
    let (from, to) = (array.data_type(), field.data_type());
    if from == to {
        return Ok(Arc::clone(array));
    }
    // A value that does not fit is an error, never another value.
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    if can_cast_types(from, to) && !(*to == DataType::Utf8 && from.is_nested()) {
        return cast_with_options(array, to, &strict).map_err(|error| {
            let message = format!("a value of {} is out of range for its type: {error}", field.name());
            fault::hinted("22003", message, "CAST(… AS DECIMAL(38, 0)) or CAST(… AS VARCHAR) shows it")
        });
    }
    let options = FormatOptions::default().with_null("null");
    let failed = |error: arrow::error::ArrowError| fault::error("22000", error.to_string()).into_error();
    let texts = ArrayFormatter::try_new(array, &options).map_err(failed)?;
    let text = |at| array.is_valid(at).then(|| texts.value(at).try_to_string()).transpose();
    let texts: StringArray = (0..array.len()).map(text).collect::<Result<_, _>>().map_err(failed)?;
    Ok(Arc::new(texts))
}

/// The text of a time that one is.
///
/// The crate's own reads the name of the time zone and the pattern of the text again for each value, which takes ten
/// times as long as all else of a row.
fn instant(array: &ArrayRef, row: usize) -> Option<Instant> {
    let times = array.as_primitive_opt::<TimestampMicrosecondType>()?;
    match times.timezone() {
        Some(zone) if is_utc(zone) => Instant::of(times.value(row), true),
        Some(_) => None,
        None => Instant::of(times.value(row), false),
    }
}

/// `2026-01-05 10:00:00.123456+00`
struct Instant {
    text: [u8; 29],
    length: usize,
}

impl Instant {
    /// The text of a time in µs, for the years that have four digits.
    fn of(ts: i64, has_zone: bool) -> Option<Self> {
        // Further away a day would not be a day's number.
        if !(civil_day(0, 1, 1)?.start()..civil_day(9999, 12, 31)?.start()).contains(&ts) {
            return None;
        }
        let (year, month, day) = Day::of(ts).civil();
        let (seconds, micros) = (ts.rem_euclid(DAY) / SECOND, ts.rem_euclid(SECOND));
        let mut text = *b"0000-00-00 00:00:00.000000+00";
        let mut put = |range: Range<usize>, mut number: i64| {
            for digit in text[range].iter_mut().rev() {
                *digit += u8::try_from(number % 10).unwrap_or_default();
                number /= 10;
            }
        };
        put(0..4, year.into());
        put(5..7, month.into());
        put(8..10, day.into());
        put(11..13, seconds / 3_600);
        put(14..16, seconds / 60 % 60);
        put(17..19, seconds % 60);
        put(20..26, micros);
        Some(Self { text, length: if has_zone { 29 } else { 26 } })
    }

    fn as_str(&self) -> &str {
        // Digits and signs.
        std::str::from_utf8(&self.text[..self.length]).unwrap_or_default()
    }
}

/// One row into an encoder.
///
/// # Errors
/// A value cannot be written.
pub(super) fn encode(
    encoder: &mut impl Encoder,
    batch: &RecordBatch,
    row: usize,
    fields: &[FieldInfo],
) -> PgWireResult<()> {
    let columns = batch.columns().iter().zip(batch.schema_ref().fields());
    for ((array, arrow), field) in columns.zip(fields) {
        if array.is_null(row) {
            encoder.encode_field(&None::<i8>, field)?;
        } else if let Some(text) = instant(array, row).filter(|_| field.format() == FieldFormat::Text) {
            encoder.encode_field(&text.as_str(), field)?;
        } else {
            encode_value(encoder, array, row, arrow, field)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    #[test]
    fn times_are_written_as_the_crate_writes_them() {
        let ends = [civil_day(0, 1, 1).unwrap().start(), civil_day(9999, 12, 31).unwrap().start()];
        for ts in [0, -1, 1, 1_767_607_213_345_671, 951_782_400_000_000, -62_135_596_800_000_000, ends[0], ends[1] - 1]
        {
            let time = DateTime::from_timestamp_micros(ts).unwrap();
            let text = |has_zone| Instant::of(ts, has_zone).unwrap().as_str().to_owned();
            assert_eq!(text(true), time.format("%Y-%m-%d %H:%M:%S%.6f%:::z").to_string());
            assert_eq!(text(false), time.format("%Y-%m-%d %H:%M:%S%.6f").to_string());
        }
        for ts in [ends[0] - 1, ends[1], i64::MIN, i64::MAX] {
            assert!(Instant::of(ts, true).is_none(), "{ts}");
        }
    }
}
