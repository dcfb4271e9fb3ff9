//! Text as dense codes: every page, event name and label of one partition has one number.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, StringArray};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::Int32Type;
use datafusion::common::{Result, internal_err};
use hashbrown::HashTable;

/// The code of NULL.
pub const NONE: u32 = 0;

/// An append-only set of texts; a code never changes its meaning. Code 0 is NULL.
#[derive(Debug, Clone)]
pub struct Names {
    table: HashTable<u32>,
    hasher: foldhash::fast::RandomState,
    text: String,
    /// End of each text in `text`; code `n` is `text[ends[n - 1]..ends[n]]`, code 0 is empty.
    ends: Vec<i32>,
    snapshot: Option<ArrayRef>,
    /// Whether a text found no room.
    full: bool,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            table: HashTable::new(),
            hasher: foldhash::fast::RandomState::default(),
            text: String::new(),
            ends: vec![0],
            snapshot: None,
            full: false,
        }
    }
}

impl Names {
    /// One more than the largest code in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether no text has a code yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.len() == 1
    }

    /// The text of a code; empty for NULL.
    #[must_use]
    pub fn text(&self, code: u32) -> &str {
        let at = code as usize;
        match (at.checked_sub(1).and_then(|before| self.ends.get(before)), self.ends.get(at)) {
            (Some(&from), Some(&to)) => {
                self.text.get(from.cast_unsigned() as usize..to.cast_unsigned() as usize).unwrap_or_default()
            }
            _ => "",
        }
    }

    /// The code of a text, a new one if it has none. A text that no longer fits is [`NONE`], and the set is full from
    /// then on: whoever fills it asks [`Names::is_full`] before a code is used.
    pub fn code(&mut self, text: &str) -> u32 {
        let hash = self.hasher.hash_one(text);
        let Self { table, hasher, text: all, ends, .. } = self;
        let end = |at: usize| ends[at].cast_unsigned() as usize;
        let slice = |code: u32| &all[end(code as usize - 1)..end(code as usize)];
        if let Some(&code) = table.find(hash, |&code| slice(code) == text) {
            return code;
        }
        let (Ok(code), Ok(end)) = (u32::try_from(ends.len()), i32::try_from(all.len() + text.len())) else {
            self.full = true;
            return NONE;
        };
        table.insert_unique(hash, code, |&code| hasher.hash_one(slice(code)));
        all.push_str(text);
        ends.push(end);
        code
    }

    /// The code of a text that is known already.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(text);
        self.table.find(hash, |&code| self.text(code) == text).copied()
    }

    /// Whether a text was left without a code, because the 2 GiB that Arrow's offsets can address are used up.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Bytes held.
    #[must_use]
    pub fn size(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * 4 + self.table.capacity() * 5
    }

    /// Codes as a `Dictionary(Int32, Utf8)` column; 0 becomes NULL.
    ///
    /// While the set grows by little, each column carries only its own texts (so that a hundred thousand distinct
    /// pages are not copied for every batch); a set that has settled is shared by all columns.
    ///
    /// # Errors
    /// A code is none of this set.
    pub fn column(&mut self, codes: &[u32]) -> Result<ArrayRef> {
        let settled = self.snapshot.as_ref().map_or(0, Array::len);
        // Compiled in place, which `max` of an iterator is only by chance.
        let highest = codes.iter().fold(0, |highest, &code| highest.max(code)) as usize;
        if highest >= settled {
            if self.len() > 4 * codes.len() && self.len() < settled + settled / 2 {
                return self.own_column(codes);
            }
            self.snapshot = Some(Arc::new(self.strings()));
        }
        let values = self.snapshot.as_ref().map_or_else(|| Arc::new(self.strings()) as ArrayRef, Arc::clone);
        dictionary(codes, values)
    }

    fn strings(&self) -> StringArray {
        let mut offsets = Vec::with_capacity(self.ends.len() + 1);
        offsets.push(0);
        offsets.extend_from_slice(&self.ends);
        let text = arrow::buffer::Buffer::from(self.text.as_bytes());
        StringArray::new(OffsetBuffer::new(ScalarBuffer::from(offsets)), text, None)
    }

    fn own_column(&self, codes: &[u32]) -> Result<ArrayRef> {
        let mut own: hashbrown::HashMap<u32, u32, foldhash::fast::RandomState> = hashbrown::HashMap::default();
        let mut texts = vec![""];
        let local: Vec<u32> = codes
            .iter()
            .map(|&code| {
                if code == NONE {
                    return NONE;
                }
                *own.entry(code).or_insert_with(|| {
                    texts.push(self.text(code));
                    u32::try_from(texts.len() - 1).unwrap_or(NONE)
                })
            })
            .collect();
        dictionary(&local, Arc::new(StringArray::from(texts)))
    }
}

/// Builds the array; `codes` index `values` and 0 is NULL.
#[expect(clippy::cast_possible_wrap, reason = "codes are fewer than 2^31: their offsets are i32")]
fn dictionary(codes: &[u32], values: ArrayRef) -> Result<ArrayRef> {
    let keys: Vec<i32> = codes.iter().map(|&code| code as i32).collect();
    let known = || NullBuffer::new(BooleanBuffer::collect_bool(codes.len(), |at| codes[at] != NONE));
    let nulls = codes.contains(&NONE).then(known);
    let keys = arrow::array::Int32Array::new(ScalarBuffer::from(keys), nulls);
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, values)?))
}

/// Turns the codes of one column's dictionaries into codes of [`Names`], a dictionary at a time.
#[derive(Debug, Default)]
pub(super) struct Remap {
    /// The dictionary `table` was made for; kept so that its address cannot come back with other content.
    seen: Option<StringArray>,
    table: Vec<u32>,
}

impl Remap {
    /// Appends the column's codes to `out`.
    pub(super) fn codes(&mut self, column: &ArrayRef, names: &mut Names, out: &mut Vec<u32>) -> Result<()> {
        let Some(column) = column.as_dictionary_opt::<Int32Type>() else {
            return internal_err!("a column was not read as codes but as {}", column.data_type());
        };
        let Some(values) = column.values().as_string_opt::<i32>() else {
            return internal_err!("the codes of a column stand for {}", column.values().data_type());
        };
        self.follow(values, names);
        let table = &self.table;
        let keys = column.keys();
        match keys.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => out.extend(keys.values().iter().map(|&key| lookup(table, key))),
            Some(nulls) => {
                out.extend(
                    keys.values().iter().zip(nulls).map(|(&key, valid)| if valid { lookup(table, key) } else { NONE }),
                );
            }
        }
        Ok(())
    }

    fn follow(&mut self, values: &StringArray, names: &mut Names) {
        if self.seen.as_ref().is_some_and(|seen| same_memory(seen, values)) {
            return;
        }
        self.table.clear();
        self.table
            .extend((0..values.len()).map(|at| if values.is_null(at) { NONE } else { names.code(values.value(at)) }));
        self.seen = Some(values.clone());
    }
}

#[expect(clippy::cast_sign_loss, reason = "a valid key is never negative")]
fn lookup(table: &[u32], key: i32) -> u32 {
    table.get(key as usize).copied().unwrap_or(NONE)
}

/// Whether two dictionaries are the same bytes in memory (the reader shares one per row group).
pub(super) fn same_memory(a: &StringArray, b: &StringArray) -> bool {
    a.len() == b.len()
        && a.value_offsets().as_ptr() == b.value_offsets().as_ptr()
        && a.value_data().as_ptr() == b.value_data().as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_stable_and_null_is_zero() {
        let mut names = Names::default();
        let (a, empty) = (names.code("/a"), names.code(""));
        assert_eq!((names.code("/a"), names.text(a), names.text(empty), names.text(NONE)), (a, "/a", "", ""));
        assert_ne!(empty, NONE);
        assert_eq!(names.find("/b"), None);
        let column = names.column(&[a, NONE, empty]).unwrap();
        let column = column.as_dictionary::<Int32Type>().downcast_dict::<StringArray>().unwrap();
        assert_eq!(column.into_iter().collect::<Vec<_>>(), [Some("/a"), None, Some("")]);
    }

    #[test]
    fn a_growing_set_is_not_copied_for_every_column() {
        let mut names = Names::default();
        for number in 0..10_000 {
            names.code(&format!("/page/{number}"));
        }
        assert_eq!(names.column(&[5]).unwrap().as_dictionary::<Int32Type>().values().len(), 10_001);
        let fresh = names.code("/fresh");
        assert_eq!(names.column(&[fresh, fresh]).unwrap().as_dictionary::<Int32Type>().values().len(), 2);
    }
}
