//! One cell: an Arrow value as what it means, and its three spellings.
//!
//! ```text
//! plain      csv, tsv          2026-01-05T10:00:00Z   0.1   ["/a","/b"]
//! readable   table, markdown   2026-01-05T10:00:00Z   0.1   [/a, /b]
//! json       json, ndjson     "2026-01-05T10:00:00Z"  0.1   ["/a","/b"]
//! ```
//!
//! Invariant: no type is refused; one that is not named here has Arrow's own text.

use std::borrow::Cow;
use std::fmt::Write;

use arrow::array::{Array, ArrayRef, AsArray, RunArray, StructArray};
use arrow::datatypes as t;
use arrow::datatypes::{DataType, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::terminal::readable_bytes;
use crate::time;

/// What a cell holds.
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Float32(f32),
    /// A number that is spelled already (decimals).
    Number(String),
    Text(Cow<'a, str>),
    /// The items of a list, in order.
    List(ArrayRef),
    Struct(&'a StructArray, usize),
    /// Keys and values of a map, in order.
    Map(ArrayRef, ArrayRef),
}

/// Whether values of the type are numbers, which a table sets flush right.
pub(super) fn is_number(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, value) => is_number(value),
        kind => kind.is_numeric(),
    }
}

/// The value of a cell.
///
/// # Errors
/// Arrow cannot show a value of a type that is not ours (an interval out of range, …).
pub(super) fn value(array: &dyn Array, row: usize) -> Result<Value<'_>, ArrowError> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Int8 => Value::Int(array.as_primitive::<t::Int8Type>().value(row).into()),
        DataType::Int16 => Value::Int(array.as_primitive::<t::Int16Type>().value(row).into()),
        DataType::Int32 => Value::Int(array.as_primitive::<t::Int32Type>().value(row).into()),
        DataType::Int64 => Value::Int(array.as_primitive::<t::Int64Type>().value(row)),
        DataType::UInt8 => Value::UInt(array.as_primitive::<t::UInt8Type>().value(row).into()),
        DataType::UInt16 => Value::UInt(array.as_primitive::<t::UInt16Type>().value(row).into()),
        DataType::UInt32 => Value::UInt(array.as_primitive::<t::UInt32Type>().value(row).into()),
        DataType::UInt64 => Value::UInt(array.as_primitive::<t::UInt64Type>().value(row)),
        DataType::Float32 => Value::Float32(array.as_primitive::<t::Float32Type>().value(row)),
        DataType::Float64 => Value::Float(array.as_primitive::<t::Float64Type>().value(row)),
        DataType::Utf8 => Value::Text(array.as_string::<i32>().value(row).into()),
        DataType::LargeUtf8 => Value::Text(array.as_string::<i64>().value(row).into()),
        DataType::Utf8View => Value::Text(array.as_string_view().value(row).into()),
        DataType::Binary => Value::Text(readable_bytes(array.as_binary::<i32>().value(row))),
        DataType::LargeBinary => Value::Text(readable_bytes(array.as_binary::<i64>().value(row))),
        DataType::BinaryView => Value::Text(readable_bytes(array.as_binary_view().value(row))),
        DataType::Date32 => Value::Text(time::Day(array.as_primitive::<t::Date32Type>().value(row)).to_string().into()),
        DataType::Timestamp(unit, zone) => {
            let ticks = timestamp_ticks(array, row, *unit);
            Value::Text(timestamp_text(ticks, *unit, zone.is_some()).into())
        }
        DataType::List(_) => Value::List(array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => Value::List(array.as_list::<i64>().value(row)),
        DataType::ListView(_) => Value::List(array.as_list_view::<i32>().value(row)),
        DataType::FixedSizeList(..) => Value::List(array.as_fixed_size_list().value(row)),
        DataType::Struct(_) => Value::Struct(array.as_struct(), row),
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            Value::Map(entries.column(0).clone(), entries.column(1).clone())
        }
        DataType::Dictionary(key, _) => {
            let dictionary = array.as_any_dictionary();
            return match dictionary_key(dictionary.keys(), key, row) {
                Some(at) => value(dictionary.values().as_ref(), at),
                None => Ok(Value::Null),
            };
        }
        DataType::RunEndEncoded(ends, _) if *ends.data_type() == DataType::Int32 => {
            match array.as_any().downcast_ref::<RunArray<t::Int32Type>>() {
                Some(runs) => return value(runs.values().as_ref(), runs.get_physical_index(row)),
                None => Value::Null,
            }
        }
        kind if kind.is_numeric() => Value::Number(by_arrow(array, row)?),
        _ => Value::Text(by_arrow(array, row)?.into()),
    })
}

/// The position of a row's value among a dictionary's values.
fn dictionary_key(keys: &dyn Array, kind: &DataType, row: usize) -> Option<usize> {
    match kind {
        DataType::Int8 => keys.as_primitive::<t::Int8Type>().value(row).try_into().ok(),
        DataType::Int16 => keys.as_primitive::<t::Int16Type>().value(row).try_into().ok(),
        DataType::Int32 => keys.as_primitive::<t::Int32Type>().value(row).try_into().ok(),
        DataType::Int64 => keys.as_primitive::<t::Int64Type>().value(row).try_into().ok(),
        DataType::UInt8 => Some(keys.as_primitive::<t::UInt8Type>().value(row).into()),
        DataType::UInt16 => Some(keys.as_primitive::<t::UInt16Type>().value(row).into()),
        DataType::UInt32 => keys.as_primitive::<t::UInt32Type>().value(row).try_into().ok(),
        DataType::UInt64 => keys.as_primitive::<t::UInt64Type>().value(row).try_into().ok(),
        _ => None,
    }
}

fn by_arrow(array: &dyn Array, row: usize) -> Result<String, ArrowError> {
    ArrayFormatter::try_new(array, &FormatOptions::default())?.value(row).try_to_string()
}

fn timestamp_ticks(array: &dyn Array, row: usize, unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => array.as_primitive::<t::TimestampSecondType>().value(row),
        TimeUnit::Millisecond => array.as_primitive::<t::TimestampMillisecondType>().value(row),
        TimeUnit::Microsecond => array.as_primitive::<t::TimestampMicrosecondType>().value(row),
        TimeUnit::Nanosecond => array.as_primitive::<t::TimestampNanosecondType>().value(row),
    }
}

/// ISO-8601 in UTC; a time without a zone is no instant and has no `Z`.
fn timestamp_text(ticks: i64, unit: TimeUnit, zoned: bool) -> String {
    let (micros, nanos) = match unit {
        TimeUnit::Second => (ticks.saturating_mul(1_000_000), 0),
        TimeUnit::Millisecond => (ticks.saturating_mul(1_000), 0),
        TimeUnit::Microsecond => (ticks, 0),
        TimeUnit::Nanosecond => (ticks.div_euclid(1_000), ticks.rem_euclid(1_000)),
    };
    let mut text = time::iso(micros);
    text.truncate(text.len() - 1);
    if nanos != 0 {
        let dot = if micros.rem_euclid(1_000_000) == 0 { ".000000" } else { "" };
        _ = write!(text, "{dot}{nanos:03}");
    }
    if zoned {
        text.push('Z');
    }
    text
}

/// The fewest digits that read back as the same float; an exponent where it is shorter.
fn write_float(number: f64, out: &mut String) {
    _ = write!(out, "{number:?}");
}

impl Value<'_> {
    /// The plain spelling; NULL is nothing. Nested values are JSON.
    pub(super) fn write_plain(&self, out: &mut String) -> Result<(), ArrowError> {
        match self {
            Value::Null => Ok(()),
            Value::Text(text) => {
                out.push_str(text);
                Ok(())
            }
            Value::Float(number) => {
                write_float(*number, out);
                Ok(())
            }
            Value::Float32(number) => {
                _ = write!(out, "{number:?}");
                Ok(())
            }
            other => other.write_json(out),
        }
    }

    /// The spelling for people; NULL is `NULL`.
    pub(super) fn write_readable(&self, out: &mut String) -> Result<(), ArrowError> {
        match self {
            Value::Null => out.push_str("NULL"),
            Value::List(items) => {
                out.push('[');
                for row in 0..items.len() {
                    if row > 0 {
                        out.push_str(", ");
                    }
                    value(items.as_ref(), row)?.write_readable(out)?;
                }
                out.push(']');
            }
            Value::Struct(fields, row) => {
                out.push('{');
                for (at, (name, column)) in fields.column_names().iter().zip(fields.columns()).enumerate() {
                    _ = write!(out, "{}{name}: ", if at > 0 { ", " } else { "" });
                    value(column.as_ref(), *row)?.write_readable(out)?;
                }
                out.push('}');
            }
            Value::Map(keys, values) => {
                out.push('{');
                for row in 0..keys.len() {
                    if row > 0 {
                        out.push_str(", ");
                    }
                    value(keys.as_ref(), row)?.write_readable(out)?;
                    out.push_str(": ");
                    value(values.as_ref(), row)?.write_readable(out)?;
                }
                out.push('}');
            }
            other => other.write_plain(out)?,
        }
        Ok(())
    }

    /// The JSON spelling. A float that JSON has no number for is null.
    pub(super) fn write_json(&self, out: &mut String) -> Result<(), ArrowError> {
        match self {
            Value::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
            Value::Int(number) => _ = write!(out, "{number}"),
            Value::UInt(number) => _ = write!(out, "{number}"),
            Value::Float(number) if number.is_finite() => write_float(*number, out),
            Value::Float32(number) if number.is_finite() => _ = write!(out, "{number:?}"),
            Value::Null | Value::Float(_) | Value::Float32(_) => out.push_str("null"),
            Value::Number(digits) => out.push_str(digits),
            Value::Text(text) => write_json_text(text, out),
            Value::List(items) => {
                out.push('[');
                for row in 0..items.len() {
                    if row > 0 {
                        out.push(',');
                    }
                    value(items.as_ref(), row)?.write_json(out)?;
                }
                out.push(']');
            }
            Value::Struct(fields, row) => {
                out.push('{');
                for (at, (name, column)) in fields.column_names().iter().zip(fields.columns()).enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_json_text(name, out);
                    out.push(':');
                    value(column.as_ref(), *row)?.write_json(out)?;
                }
                out.push('}');
            }
            Value::Map(keys, values) => {
                out.push('{');
                for row in 0..keys.len() {
                    if row > 0 {
                        out.push(',');
                    }
                    let mut key = String::new();
                    value(keys.as_ref(), row)?.write_plain(&mut key)?;
                    write_json_text(&key, out);
                    out.push(':');
                    value(values.as_ref(), row)?.write_json(out)?;
                }
                out.push('}');
            }
        }
        Ok(())
    }
}

/// A JSON string. DEL and the C1 controls are escaped as well: JSON on a terminal must not steer it either.
pub(super) fn write_json_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => _ = write!(out, "\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_unit() {
        let base = 1_767_607_200;
        assert_eq!(timestamp_text(base, TimeUnit::Second, true), "2026-01-05T10:00:00Z");
        assert_eq!(timestamp_text(base * 1_000 + 5, TimeUnit::Millisecond, true), "2026-01-05T10:00:00.005000Z");
        assert_eq!(
            timestamp_text(base * 1_000_000_000 + 7, TimeUnit::Nanosecond, false),
            "2026-01-05T10:00:00.000000007"
        );
        assert_eq!(timestamp_text(-1, TimeUnit::Microsecond, true), "1969-12-31T23:59:59.999999Z");
    }

    #[test]
    fn floats_are_short_and_exact() {
        for (number, text) in
            [(0.1, "0.1"), (1.0, "1.0"), (1.0 / 3.0, "0.3333333333333333"), (1e300, "1e300"), (-0.0, "-0.0")]
        {
            let mut shown = String::new();
            write_float(number, &mut shown);
            assert_eq!(shown, text);
            assert_eq!(shown.parse::<f64>().map(f64::to_bits), Ok(number.to_bits()));
        }
    }
}
