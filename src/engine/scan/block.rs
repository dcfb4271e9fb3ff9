//! Rows of whole people side by side: what a pass hands to the algorithms.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{interleave, take};
use datafusion::common::{Result, internal_err};

use crate::event::Column;
use crate::journey::Edge;

use super::chunk::Chunk;
use super::runs::as_u32;
use super::ties::Ties;

/// Some people with all their rows, in the total order of SEMANTICS §1 (or grouped by source session, see
/// [`super::ScanPlan::with_sources`]). Columns that were not asked for are empty.
#[derive(Debug, Default)]
pub struct Block {
    pub(super) ids: String,
    pub(super) id_ends: Vec<usize>,
    pub(super) row_ends: Vec<usize>,
    pub(super) ts: Vec<i64>,
    pub(super) labels: Vec<u32>,
    pub(super) pages: Vec<u32>,
    pub(super) events: Vec<u32>,
    pub(super) sources: Vec<u64>,
    pub(super) ranks: Vec<u32>,
    pub(super) marks: Vec<u64>,
    /// Empty, or as far as rows have any.
    pub(super) edges: Vec<Edge>,
    /// Where each row's Arrow columns are: batch in `batches`, row in it.
    pub(super) places: Vec<(u32, u32)>,
    pub(super) batches: Vec<RecordBatch>,
    /// What orders the rows of chunks, where somebody may ask.
    pub(super) ties: Vec<Arc<Ties>>,
    pub(super) serial: u64,
    /// Whether rows stay reachable as Arrow rows.
    pub(super) keeps_rows: bool,
}

/// One person of a [`Block`]: an id and the rows `rows` of every column of the block.
#[derive(Debug, Clone)]
pub struct Person<'a> {
    pub id: &'a str,
    pub rows: Range<usize>,
}

impl Block {
    /// The people, ascending by id.
    #[must_use]
    pub fn people(&self) -> impl ExactSizeIterator<Item = Person<'_>> {
        (0..self.row_ends.len()).map(|at| self.person(at))
    }

    /// Person `at`, counted from 0.
    #[must_use]
    pub fn person(&self, at: usize) -> Person<'_> {
        let before = |ends: &[usize]| if at == 0 { 0 } else { ends[at - 1] };
        Person {
            id: &self.ids[before(&self.id_ends)..self.id_ends[at]],
            rows: before(&self.row_ends)..self.row_ends[at],
        }
    }

    /// Number of people.
    #[must_use]
    pub fn len(&self) -> usize {
        self.row_ends.len()
    }

    /// Whether nobody is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.row_ends.is_empty()
    }

    /// Times in µs, rising inside a person (inside a source group with `with_sources`).
    #[must_use]
    pub fn ts(&self) -> &[i64] {
        &self.ts
    }

    /// Label codes (`with_labels`).
    #[must_use]
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Page codes (`with_pages`), [`super::NONE`] for no page.
    #[must_use]
    pub fn pages(&self) -> &[u32] {
        &self.pages
    }

    /// Event-name codes (`with_events`), [`super::NONE`] for none.
    #[must_use]
    pub fn events(&self) -> &[u32] {
        &self.events
    }

    /// Source session of each row as a hash, 0 for none (`with_sources`); a change inside a person is another group.
    #[must_use]
    pub fn sources(&self) -> &[u64] {
        &self.sources
    }

    /// Place of each row in its person's total order, from 0 (`with_sources`): grouping by source session moves rows.
    #[must_use]
    pub fn ranks(&self) -> &[u32] {
        &self.ranks
    }

    /// The conditions each row meets, bit `n` for condition `n` (`with_marks`).
    #[must_use]
    pub fn marks(&self) -> &[u64] {
        &self.marks
    }

    /// What somebody said of each row among sessions; rows after the last one are [`Edge::FREE`].
    #[must_use]
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// The values of a kept column (`with_rows`) at these rows of the block.
    ///
    /// # Errors
    /// The column was not kept.
    pub fn take(&self, column: Column, rows: &[u32]) -> Result<ArrayRef> {
        let mut arrays: Vec<&dyn Array> = Vec::with_capacity(self.batches.len());
        for batch in &self.batches {
            match batch.column_by_name(column.name()) {
                Some(array) => arrays.push(array.as_ref()),
                None => return internal_err!("the column {} was not kept", column.name()),
            }
        }
        if let [only] = arrays[..] {
            let at = arrow::array::UInt32Array::from_iter_values(rows.iter().map(|&row| self.places[row as usize].1));
            return Ok(take(only, &at, None)?);
        }
        if arrays.is_empty() {
            let field = super::part::read_schema(&[column]);
            return Ok(arrow::array::new_empty_array(field.field(0).data_type()));
        }
        let at: Vec<(usize, usize)> = rows
            .iter()
            .map(|&row| self.places[row as usize])
            .map(|(batch, row)| (batch as usize, row as usize))
            .collect();
        Ok(interleave(&arrays, &at)?)
    }

    /// Bytes held, without the kept batches (they are counted where they were read).
    #[must_use]
    pub fn size(&self) -> usize {
        self.ids.capacity()
            + (self.id_ends.capacity() + self.row_ends.capacity()) * 8
            + (self.ts.capacity() + self.sources.capacity() + self.marks.capacity() + self.places.capacity()) * 8
            + self.edges.capacity()
            + (self.labels.capacity() + self.pages.capacity() + self.events.capacity() + self.ranks.capacity()) * 4
    }

    pub(super) fn clear(&mut self) {
        self.ids.clear();
        self.id_ends.clear();
        self.row_ends.clear();
        self.ts.clear();
        self.labels.clear();
        self.pages.clear();
        self.events.clear();
        self.sources.clear();
        self.ranks.clear();
        self.marks.clear();
        self.edges.clear();
        self.places.clear();
        self.batches.clear();
        self.ties.clear();
        self.serial += 1;
    }

    /// The numbers of a chunk whose rows come into the block: its batch's and its ties'.
    pub(super) fn hold(&mut self, chunk: &Chunk) -> (u32, u32) {
        let numbers = (as_u32(self.batches.len()), as_u32(self.ties.len()));
        self.batches.extend(chunk.rows.clone().filter(|_| self.keeps_rows));
        self.ties.extend(chunk.ties.clone());
        numbers
    }

    /// Keeps these rows, in this order.
    pub(super) fn pick(&mut self, order: &[u32]) {
        keep(&mut self.ts, order);
        keep(&mut self.labels, order);
        keep(&mut self.pages, order);
        keep(&mut self.events, order);
        keep(&mut self.sources, order);
        keep(&mut self.marks, order);
        keep(&mut self.edges, order);
        self.places = Vec::new();
    }

    /// Reorders the rows from `base` on: the row at `base + n` becomes the one that was at `base + order[n]`.
    pub(super) fn reorder(&mut self, base: usize, order: &[u32]) {
        permute(&mut self.ts, base, order);
        permute(&mut self.labels, base, order);
        permute(&mut self.pages, base, order);
        permute(&mut self.events, base, order);
        permute(&mut self.sources, base, order);
        permute(&mut self.ranks, base, order);
        permute(&mut self.marks, base, order);
        if self.edges.len() > base {
            self.edges.resize(self.ts.len(), Edge::FREE);
            permute(&mut self.edges, base, order);
        }
        permute(&mut self.places, base, order);
    }

    /// Lays the last rows among those from `base` on: each behind so many of those that are not moved.
    pub(super) fn weave(&mut self, base: usize, behind: &[usize]) {
        weave(&mut self.ts, base, behind);
        weave(&mut self.labels, base, behind);
        weave(&mut self.pages, base, behind);
        weave(&mut self.events, base, behind);
        weave(&mut self.sources, base, behind);
        weave(&mut self.marks, base, behind);
        if self.edges.len() > base {
            self.edges.resize(self.ts.len(), Edge::FREE);
            weave(&mut self.edges, base, behind);
        }
        weave(&mut self.places, base, behind);
    }
}

/// So many late rows are set aside on the stack, and so many others moved one by one.
const FEW: usize = 16;

fn weave<T: Copy>(values: &mut [T], base: usize, behind: &[usize]) {
    // A column that was not asked for.
    let Some(values) = values.get_mut(base..).filter(|values| !values.is_empty()) else { return };
    let mut end = values.len() - behind.len();
    // Hardly anybody has many: those few need no memory of their own.
    let (mut few, many);
    let late: &[T] = if behind.len() <= FEW {
        few = [values[0]; FEW];
        few[..behind.len()].copy_from_slice(&values[end..]);
        &few[..behind.len()]
    } else {
        many = values[end..].to_vec();
        &many
    };
    for (at, (&from, &value)) in behind.iter().zip(late).enumerate().rev() {
        if end - from <= FEW {
            (from..end).rev().for_each(|row| values[row + at + 1] = values[row]);
        } else {
            values.copy_within(from..end, from + at + 1);
        }
        values[from + at] = value;
        end = from;
    }
}

/// Keeps these values, in this order.
pub(super) fn keep<T: Copy>(values: &mut Vec<T>, order: &[u32]) {
    // A column that was not asked for.
    if !values.is_empty() {
        *values = order.iter().map(|&row| values[row as usize]).collect();
    }
}

fn permute<T: Copy>(values: &mut [T], base: usize, order: &[u32]) {
    // A column that was not asked for, or that does not reach the person in question yet.
    if values.len() < base + order.len() {
        return;
    }
    let moved: Vec<T> = order.iter().map(|&at| values[base + at as usize]).collect();
    values[base..base + moved.len()].copy_from_slice(&moved);
}
