//! Columns as text: strings of every layout as they are, numbers and booleans as they are written.

use arrow::array::{Array, ArrayRef, AsArray, LargeStringArray, StringArray, StringViewArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;

use super::super::row::Properties;

/// A column of one batch.
#[derive(Debug)]
pub(super) struct Texts {
    values: Values,
    nulls: Option<NullBuffer>,
    /// Numbers and booleans: their text is JSON.
    is_json: bool,
}

#[derive(Debug)]
enum Values {
    Small(StringArray),
    Large(LargeStringArray),
    View(StringViewArray),
    /// Position in the values by row.
    Coded(Vec<usize>, StringArray),
}

/// Whether values of a type can stand as text.
pub(super) fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, value) => is_text(value),
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => *scale == 0,
        kind => {
            kind.is_string()
                || kind.is_binary()
                || kind.is_integer()
                || kind.is_floating()
                || *kind == DataType::Boolean
        }
    }
}

impl Texts {
    pub(super) fn new(column: &ArrayRef, nulls: Option<&NullBuffer>) -> Result<Self, ArrowError> {
        let kind = column.data_type();
        let is_json = kind.is_numeric() || *kind == DataType::Boolean;
        let values = match kind {
            DataType::Utf8 => Values::Small(column.as_string().clone()),
            DataType::LargeUtf8 => Values::Large(column.as_string().clone()),
            DataType::Utf8View => Values::View(column.as_string_view().clone()),
            DataType::Dictionary(_, _) => {
                let coded = column.as_any_dictionary();
                let words = cast(coded.values(), &DataType::Utf8)?;
                let words = words.as_string().clone();
                let at = if words.is_empty() { vec![0; column.len()] } else { coded.normalized_keys() };
                // A null may stand in the words as well as in the codes.
                let word_nulls = column.logical_nulls();
                let nulls = NullBuffer::union(nulls, word_nulls.as_ref());
                return Ok(Self { values: Values::Coded(at, words), nulls, is_json: false });
            }
            kind if kind.is_floating() => Values::Small(floats(column)?),
            _ => Values::Small(cast(column, &DataType::Utf8)?.as_string().clone()),
        };
        // A value that cannot be text (binary that is no UTF-8) has become null.
        let lost = match &values {
            Values::Small(texts) => texts.nulls(),
            _ => None,
        };
        let nulls = NullBuffer::union(nulls, lost);
        Ok(Self { values, nulls, is_json })
    }

    /// The text of a row, `None` for null.
    #[inline]
    pub(super) fn row(&self, row: usize) -> Option<&[u8]> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        Some(match &self.values {
            Values::Small(texts) => texts.value(row).as_bytes(),
            Values::Large(texts) => texts.value(row).as_bytes(),
            Values::View(texts) => texts.value(row).as_bytes(),
            Values::Coded(at, words) => words.value(*at.get(row)?).as_bytes(),
        })
    }

    /// Appends a value as a property.
    pub(super) fn push_property(&self, properties: Properties, key: &[u8], text: &[u8], out: &mut Vec<u8>) {
        if self.is_json {
            properties.push_members(key, out);
            out.extend_from_slice(text);
        } else {
            properties.push(key, text, out);
        }
    }
}

/// Whole numbers without a point: a column of ids with gaps often comes as floats.
fn floats(column: &ArrayRef) -> Result<StringArray, ArrowError> {
    let column = cast(column, &DataType::Float64)?;
    let texts = column.as_primitive::<Float64Type>().iter().map(|value| {
        let value = value.filter(|value| value.is_finite())?;
        Some(if value.fract() == 0.0 && value.abs() < 9e15 { format!("{value:.0}") } else { value.to_string() })
    });
    Ok(texts.collect())
}
