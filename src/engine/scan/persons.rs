//! The person's column of a batch: `user_id` beside `distinct_id`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Int32Type, Schema, TimestampMicrosecondType};
use datafusion::common::{Result, internal_err};

use crate::event::Column;
use crate::identity::{Owner, People, owner};

use super::names::same_memory;

/// Makes the column for one batch after the other; a dictionary that comes again is looked up once.
#[derive(Debug)]
pub struct PersonColumn {
    people: Arc<People>,
    /// The dictionary of ids that the rest was made for.
    seen: Option<StringArray>,
    /// The persons of its ids, then those of ids whose person depends on the time.
    values: ArrayRef,
    /// Per id whose person depends on the time, by key: its owners, and the number of the first one's value.
    timed: Vec<(i32, Vec<Owner>, i32)>,
}

impl PersonColumn {
    /// By this map.
    #[must_use]
    pub fn new(people: Arc<People>) -> Self {
        Self { people, seen: None, values: Arc::new(StringArray::new_null(0)), timed: Vec::new() }
    }

    /// The persons of these ids (`Dictionary(Int32, Utf8)`, never NULL) at these times (µs), of the same type.
    fn of(&mut self, ids: &ArrayRef, ts: &[i64]) -> Result<ArrayRef> {
        let Some((ids, texts)) =
            ids.as_dictionary_opt::<Int32Type>().and_then(|ids| Some((ids, ids.values().as_string_opt::<i32>()?)))
        else {
            return internal_err!("the ids were read as {}", ids.data_type());
        };
        self.follow(texts)?;
        let mut keys = ids.keys().clone();
        if !self.timed.is_empty() {
            let at = |(&key, &ts): (&i32, &i64)| match self.timed.binary_search_by_key(&key, |timed| timed.0) {
                Ok(at) => {
                    let (_, owners, first) = &self.timed[at];
                    let place = owners.partition_point(|owner| owner.to <= ts).min(owners.len() - 1);
                    first + i32::try_from(place).unwrap_or(0)
                }
                Err(_) => key,
            };
            keys = Int32Array::from_iter_values(keys.values().iter().zip(ts).map(at));
        }
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::clone(&self.values))?))
    }

    /// The batch with the persons of its rows as one more column, `user_id`.
    ///
    /// # Errors
    /// The batch has no ids and times.
    pub fn beside(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let ts = batch.column_by_name(Column::Ts.name());
        let ts = ts.and_then(|ts| ts.as_primitive_opt::<TimestampMicrosecondType>());
        let (Some(ids), Some(ts)) = (batch.column_by_name(Column::DistinctId.name()), ts) else {
            return internal_err!("persons are asked for where no ids and times are read");
        };
        let column = self.of(ids, ts.values())?;
        let mut fields = batch.schema().fields().to_vec();
        fields.push(Arc::new(Field::new("user_id", column.data_type().clone(), false)));
        let arrays = batch.columns().iter().cloned().chain([column]).collect();
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
    }

    fn follow(&mut self, texts: &StringArray) -> Result<()> {
        if self.seen.as_ref().is_some_and(|seen| same_memory(seen, texts)) {
            return Ok(());
        }
        self.timed.clear();
        let mut persons: Vec<&str> = Vec::with_capacity(texts.len());
        for key in 0..texts.len() {
            let id = if texts.is_null(key) { "" } else { texts.value(key) };
            match self.people.owners(id.as_bytes()) {
                Some(owners @ [_, _, ..]) => {
                    let Ok(key) = i32::try_from(key) else { return internal_err!("a dictionary of 2^31 ids") };
                    self.timed.push((key, owners.to_vec(), 0));
                    persons.push(id);
                }
                Some(owners) => persons.push(owner(owners, 0).map_or(id, |person| self.people.name(person))),
                None => persons.push(id),
            }
        }
        for (_, owners, first) in &mut self.timed {
            *first = i32::try_from(persons.len()).unwrap_or(i32::MAX);
            persons.extend(owners.iter().map(|owner| self.people.name(owner.person)));
        }
        self.values = Arc::new(StringArray::from(persons));
        self.seen = Some(texts.clone());
        Ok(())
    }
}
