//! The sort order of a part, checked row by row: the writer refuses what `verify` would find.
//!
//! Sorted rows come in runs of one person, and equal codes are equal text, so nearly every row is decided by comparing
//! integers. Because rows are sorted, what begins alike is found without looking at every row.

use std::cmp::Ordering;
use std::ops::Range;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};

use super::layout::Table;

/// Checks that batches follow each other in the table's sort order.
#[derive(Debug)]
pub(super) struct OrderCheck {
    key: &'static [usize],
    /// The key of the last row so far.
    last: Option<Vec<Value>>,
    rows: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(i64),
    Text(String),
}

/// A key column of a batch. Key columns are never NULL.
enum Keys<'a> {
    Numbers(&'a [i64]),
    Text(&'a StringArray),
    Codes(&'a [i32], &'a StringArray),
}

impl<'a> Keys<'a> {
    fn of(array: &'a dyn Array) -> Option<Self> {
        if let Some(numbers) = array.as_primitive_opt::<Int64Type>() {
            return Some(Self::Numbers(numbers.values()));
        }
        if let Some(times) = array.as_primitive_opt::<TimestampMicrosecondType>() {
            return Some(Self::Numbers(times.values()));
        }
        if let Some(coded) = array.as_dictionary_opt::<Int32Type>() {
            return Some(Self::Codes(coded.keys().values(), coded.values().as_string_opt()?));
        }
        array.as_string_opt().map(Self::Text)
    }

    fn value(&self, row: usize) -> Value {
        match self {
            Self::Numbers(numbers) => Value::Number(numbers[row]),
            Self::Text(text) => Value::Text(text.value(row).to_owned()),
            Self::Codes(codes, text) => Value::Text(text.value(index(codes[row])).to_owned()),
        }
    }

    #[inline]
    fn compare(&self, a: usize, b: usize) -> Ordering {
        match self {
            Self::Numbers(numbers) => numbers[a].cmp(&numbers[b]),
            Self::Text(text) => text.value(a).cmp(text.value(b)),
            Self::Codes(codes, _) if codes[a] == codes[b] => Ordering::Equal,
            Self::Codes(codes, text) => text.value(index(codes[a])).cmp(text.value(index(codes[b]))),
        }
    }
}

#[expect(clippy::cast_sign_loss, reason = "a code that is not NULL is not negative")]
const fn index(code: i32) -> usize {
    code as usize
}

/// The rows of a column of the sort key, which ascends, whose text begins with `start`; none of a column of numbers.
pub(super) fn beginning_with(column: &dyn Array, start: &str) -> Range<usize> {
    let keys = Keys::of(column);
    let text = |row: usize| match &keys {
        Some(Keys::Text(text)) => text.value(row),
        Some(Keys::Codes(codes, text)) => text.value(index(codes[row])),
        Some(Keys::Numbers(_)) | None => "",
    };
    let first = |from: usize, is_before: &dyn Fn(&str) -> bool| {
        let (mut low, mut high) = (from, column.len());
        while low < high {
            let middle = low.midpoint(high);
            if is_before(text(middle)) { low = middle + 1 } else { high = middle }
        }
        low
    };
    let from = first(0, &|text| text < start);
    from..first(from, &|text| text.starts_with(start))
}

impl OrderCheck {
    pub(super) const fn new(table: Table) -> Self {
        Self { key: table.sort_key(), last: None, rows: 0 }
    }

    /// A check that finds nothing.
    #[cfg(test)]
    pub(super) const fn none() -> Self {
        Self { key: &[], last: None, rows: 0 }
    }

    /// Checks one more batch.
    ///
    /// # Errors
    /// Which row is out of order.
    pub(super) fn check(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let rows = batch.num_rows();
        if rows == 0 {
            return Ok(());
        }
        let keys: Option<Vec<Keys<'_>>> = self.key.iter().map(|&at| Keys::of(batch.column(at))).collect();
        let keys = keys.ok_or("a column of the sort key has another type")?;
        let value = |row: usize| -> Vec<Value> { keys.iter().map(|key| key.value(row)).collect() };
        if self.last.as_ref().is_some_and(|last| *last > value(0)) {
            return Err(self.refusal(0));
        }
        let in_order = |row: &usize| {
            let mut order = Ordering::Equal;
            for key in &keys {
                order = key.compare(row - 1, *row);
                if order != Ordering::Equal {
                    break;
                }
            }
            order != Ordering::Greater
        };
        if let Some(row) = (1..rows).find(|row| !in_order(row)) {
            return Err(self.refusal(row));
        }
        self.last = Some(value(rows - 1));
        self.rows += rows as u64;
        Ok(())
    }

    fn refusal(&self, row: usize) -> String {
        format!("row {} is before the row above it in the sort order", self.rows + row as u64)
    }
}
