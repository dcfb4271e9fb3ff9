//! Small builders of Arrow columns from plain vectors.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray, UInt64Array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::Int32Type;
use datafusion::common::Result;

use crate::journey::UNKNOWN;

/// Times, µs UTC.
#[must_use]
pub fn times(values: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
}

/// Whole numbers.
#[must_use]
pub fn numbers(values: Vec<i64>) -> ArrayRef {
    Arc::new(Int64Array::from(values))
}

/// Stamps: numbers that are equal where the thing is the same.
#[must_use]
pub fn stamps(values: Vec<u64>) -> ArrayRef {
    Arc::new(UInt64Array::from(values))
}

/// True or false.
pub fn truths(values: impl IntoIterator<Item = bool>) -> ArrayRef {
    let values: Vec<bool> = values.into_iter().collect();
    Arc::new(BooleanArray::new(BooleanBuffer::collect_bool(values.len(), |at| values[at]), None))
}

/// Microseconds as seconds; [`UNKNOWN`] is NULL.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a double holds 285 years of microseconds exactly")]
pub fn seconds(micros: &[i64]) -> ArrayRef {
    let values: Vec<f64> = micros.iter().map(|&micros| micros as f64 / 1e6).collect();
    let known = || NullBuffer::new(BooleanBuffer::collect_bool(micros.len(), |at| micros[at] != UNKNOWN));
    let nulls = micros.contains(&UNKNOWN).then(known);
    Arc::new(Float64Array::new(ScalarBuffer::from(values), nulls))
}

/// Texts that many rows share: row `n` is `values[keys[n]]`.
///
/// # Errors
/// A key is beyond the values.
#[expect(clippy::cast_possible_wrap, reason = "keys count the people or sessions of one block")]
pub fn shared(keys: impl Iterator<Item = u32>, values: StringArray) -> Result<ArrayRef> {
    let keys: Vec<i32> = keys.map(|key| key as i32).collect();
    let keys = Int32Array::from(keys);
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values))?))
}
