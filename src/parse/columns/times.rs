//! Time columns as microseconds.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;

use super::super::clock::{self, Clock};
use super::texts::Texts;

/// No time, or an unreadable one.
pub(super) const UNKNOWN: i64 = i64::MIN;

/// Whether a type can hold the time.
pub(super) fn is_time(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, value) => is_time(value),
        DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64 => true,
        kind => kind.is_string() || kind.is_numeric(),
    }
}

/// The times of a column, µs since 1970 UTC. `zone_micros` is what a time without a zone means.
pub(super) fn micros(column: &ArrayRef, nulls: Option<&NullBuffer>, zone_micros: i64) -> Result<Vec<i64>, ArrowError> {
    let mut micros: Vec<i64> = match column.data_type() {
        DataType::Timestamp(_, zone) => {
            let to = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
            let shift = if zone.is_some() { 0 } else { zone_micros };
            let column = cast(column, &to)?;
            column.as_primitive::<TimestampMicrosecondType>().values().iter().map(|ts| ts.wrapping_sub(shift)).collect()
        }
        DataType::Date32 | DataType::Date64 => {
            let column = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
            let days = column.as_primitive::<TimestampMicrosecondType>();
            days.values().iter().map(|ts| ts.wrapping_sub(zone_micros)).collect()
        }
        kind if kind.is_integer() => {
            let column = cast(column, &DataType::Int64)?;
            column.as_primitive::<Int64Type>().iter().map(|epoch| epoch.map_or(UNKNOWN, clock::epoch_of)).collect()
        }
        kind if kind.is_numeric() => {
            let column = cast(column, &DataType::Float64)?;
            let epochs = column.as_primitive::<Float64Type>().iter();
            epochs.map(|epoch| epoch.and_then(clock::epoch_of_float).unwrap_or(UNKNOWN)).collect()
        }
        _ => {
            let texts = Texts::new(column, column.nulls())?;
            let mut clock = Clock::new(zone_micros);
            let time = |row| texts.row(row).and_then(|text| clock.text(text)).unwrap_or(UNKNOWN);
            (0..column.len()).map(time).collect()
        }
    };
    let own = column.logical_nulls();
    if let Some(nulls) = NullBuffer::union(nulls, own.as_ref()) {
        for (row, ts) in micros.iter_mut().enumerate() {
            if nulls.is_null(row) {
                *ts = UNKNOWN;
            }
        }
    }
    Ok(micros)
}
