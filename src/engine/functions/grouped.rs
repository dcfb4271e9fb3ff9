//! What an aggregate keeps: one small record per event, handed out group by group.
//!
//! Events of all groups lie in one growing array beside their group numbers; a counting sort puts them into runs when
//! they are asked for. So a million groups of three events cost what three million events cost.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, LargeListArray, PrimitiveArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::EmitTo;
use datafusion::logical_expr::utils::format_state_name;

/// Events of type `E` by group.
#[derive(Debug)]
pub(super) struct Grouped<E> {
    group: Vec<u32>,
    event: Vec<E>,
    groups: usize,
}

/// The events of groups `0..n`, run after run.
#[derive(Debug)]
pub(super) struct Runs<E> {
    /// Where a group's run begins; one more entry than groups.
    starts: Vec<usize>,
    events: Vec<E>,
}

impl<E: Copy + Default> Grouped<E> {
    pub(super) fn new() -> Self {
        Self { group: Vec::new(), event: Vec::new(), groups: 0 }
    }

    /// There are at least `groups` groups from now on.
    pub(super) fn expect(&mut self, groups: usize) {
        self.groups = self.groups.max(groups);
    }

    /// Adds an event. Group numbers fit 32 bits: an engine of 4 billion groups has run out of memory before.
    pub(super) fn push(&mut self, group: usize, event: E) {
        self.group.push(u32::try_from(group).unwrap_or(u32::MAX));
        self.event.push(event);
    }

    /// Takes the asked groups out; the numbers of the others move down.
    pub(super) fn take(&mut self, emit: EmitTo) -> Runs<E> {
        let count = match emit {
            EmitTo::All => self.groups,
            EmitTo::First(count) => count.min(self.groups),
        };
        let mut starts = vec![0; count + 1];
        for &group in &self.group {
            if (group as usize) < count {
                starts[group as usize + 1] += 1;
            }
        }
        for at in 1..=count {
            starts[at] += starts[at - 1];
        }
        if count == self.groups && self.group.is_sorted() {
            // They came group by group, as they do inside a pass.
            self.groups = 0;
            self.group = Vec::new();
            return Runs { starts, events: std::mem::take(&mut self.event) };
        }
        let mut next = starts.clone();
        let mut events = vec![E::default(); starts[count]];
        let mut kept = 0;
        for at in 0..self.group.len() {
            let group = self.group[at] as usize;
            if group < count {
                events[next[group]] = self.event[at];
                next[group] += 1;
            } else {
                self.group[kept] = self.group[at] - u32::try_from(count).unwrap_or(u32::MAX);
                self.event[kept] = self.event[at];
                kept += 1;
            }
        }
        self.truncate(kept);
        self.groups -= count;
        Runs { starts, events }
    }

    fn truncate(&mut self, kept: usize) {
        if kept == 0 {
            (self.group, self.event) = (Vec::new(), Vec::new());
        } else {
            self.group.truncate(kept);
            self.event.truncate(kept);
        }
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        self.group.capacity() * size_of::<u32>() + self.event.capacity() * size_of::<E>()
    }
}

impl<E> Runs<E> {
    /// One run of all these events.
    pub(super) fn of_one(events: Vec<E>) -> Self {
        Self { starts: vec![0, events.len()], events }
    }

    /// One run per row, for the rows of a batch taken as groups of their own.
    pub(super) fn of_rows(rows: usize) -> RowRuns<E> {
        RowRuns(Self { starts: vec![0; rows + 1], events: Vec::new() })
    }

    /// Every group's events in turn, to be sorted in place.
    pub(super) fn each(&mut self, mut visit: impl FnMut(&mut [E])) {
        for ends in self.starts.windows(2) {
            visit(&mut self.events[ends[0]..ends[1]]);
        }
    }

    /// One field of the events as a list per group.
    pub(super) fn lists<T: ArrowPrimitiveType>(
        &self,
        field: Arc<Field>,
        value: impl Fn(&E) -> T::Native,
    ) -> Result<ArrayRef> {
        let values: PrimitiveArray<T> = PrimitiveArray::from_iter_values(self.events.iter().map(value));
        self.lists_of(field, Arc::new(values))
    }

    /// A column with a value per event as a list per group.
    pub(super) fn lists_of(&self, field: Arc<Field>, values: ArrayRef) -> Result<ArrayRef> {
        let starts: Vec<i64> = self.starts.iter().map(|&start| i64::try_from(start).unwrap_or(i64::MAX)).collect();
        let offsets = OffsetBuffer::new(ScalarBuffer::from(starts));
        Ok(Arc::new(LargeListArray::try_new(field, offsets, values, None)?))
    }

    /// The events of all groups, run after run.
    pub(super) fn into_events(self) -> Vec<E> {
        self.events
    }

    /// The events of all groups.
    pub(super) fn events(&self) -> &[E] {
        &self.events
    }
}

/// [`Runs`] that are filled row by row.
#[derive(Debug)]
pub(super) struct RowRuns<E>(Runs<E>);

impl<E> RowRuns<E> {
    /// Adds an event of `row`; rows come in order.
    pub(super) fn push(&mut self, row: usize, event: E) {
        self.0.events.push(event);
        self.0.starts[row + 1] = self.0.events.len();
    }

    /// The runs, rows without an event being empty.
    pub(super) fn finish(mut self) -> Runs<E> {
        for at in 1..self.0.starts.len() {
            self.0.starts[at] = self.0.starts[at].max(self.0.starts[at - 1]);
        }
        self.0
    }
}

/// The field of a list's items.
pub(super) fn item(kind: DataType) -> FieldRef {
    Arc::new(Field::new("item", kind, false))
}

/// The fields of a state that is a list per group and field of its events.
pub(super) fn state_fields(function: &str, fields: &[(&str, DataType)]) -> Vec<FieldRef> {
    let list = |(name, kind): &(&str, DataType)| {
        Arc::new(Field::new(format_state_name(function, name), DataType::LargeList(item(kind.clone())), false))
    };
    fields.iter().map(list).collect()
}

/// The state of one group as values.
pub(super) fn scalars(state: &[ArrayRef]) -> Result<Vec<ScalarValue>> {
    state.iter().map(|list| ScalarValue::try_from_array(list, 0)).collect()
}

/// Where the items of each row of a list column lie.
pub(super) fn spans(lists: &LargeListArray) -> impl Iterator<Item = std::ops::Range<usize>> {
    let at = |offset: i64| usize::try_from(offset).unwrap_or_default();
    lists.offsets().windows(2).map(move |ends| at(ends[0])..at(ends[1]))
}

/// Whether a row passes an aggregate's FILTER.
pub(super) fn passes(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_leave_in_order_and_the_rest_moves_down() {
        let mut grouped = Grouped::new();
        grouped.expect(4);
        for (group, event) in [(2, 20), (0, 1), (3, 30), (0, 2), (2, 21)] {
            grouped.push(group, event);
        }
        let mut seen = Vec::new();
        grouped.take(EmitTo::First(2)).each(|run| seen.push(run.to_vec()));
        assert_eq!(seen, [vec![1, 2], vec![]]);
        grouped.push(0, 22);
        seen.clear();
        grouped.take(EmitTo::All).each(|run| seen.push(run.to_vec()));
        assert_eq!(seen, [vec![20, 21, 22], vec![30]]);
        assert_eq!(grouped.size(), 0);
    }
}
