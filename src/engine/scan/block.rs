//! Rows of whole people side by side: what a pass hands to the algorithms.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{interleave, take};
use datafusion::common::{Result, internal_err};

use crate::event::Column;
use crate::journey::Edge;

use super::chunk::Chunk;
use super::plan::{Code, ScanPlan};
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

    /// Makes room for so many rows of what a pass asks for.
    pub(super) fn reserve(&mut self, rows: usize, plan: &ScanPlan) {
        let room = |wanted: bool| if wanted { rows } else { 0 };
        self.ts.reserve(rows);
        self.labels.reserve(room(plan.codes.has(Code::Label)));
        self.pages.reserve(room(plan.codes.has(Code::Page)));
        self.events.reserve(room(plan.codes.has(Code::Event)));
        self.sources.reserve(room(plan.codes.has(Code::Source)));
        self.marks.reserve(room(!plan.marks.is_empty()));
    }

    /// Lays rows of a chunk behind those that are here.
    pub(super) fn append(&mut self, chunk: &Chunk, rows: Range<usize>, held: &mut Held) -> Segment {
        let (from, row) = (self.ts.len(), rows.start);
        let (number, ties) = self.held(held, || (chunk.rows.clone(), chunk.ties.clone()));
        self.ts.extend_from_slice(&chunk.ts[rows.clone()]);
        append(&mut self.labels, &chunk.labels, &rows);
        append(&mut self.pages, &chunk.pages, &rows);
        append(&mut self.events, &chunk.events, &rows);
        append(&mut self.sources, &chunk.sources, &rows);
        append(&mut self.marks, &chunk.marks, &rows);
        if self.keeps_rows {
            self.places.extend(rows.map(|row| (number, as_u32(row))));
        }
        Segment { from, ties, row }
    }

    /// The numbers here of the Arrow rows and the ties of a chunk, which come in with its first rows.
    #[inline]
    pub(super) fn held(
        &mut self,
        held: &mut Held,
        what: impl FnOnce() -> (Option<RecordBatch>, Option<Arc<Ties>>),
    ) -> (u32, u32) {
        if let Some((serial, numbers)) = *held
            && serial == self.serial
        {
            return numbers;
        }
        let numbers = (as_u32(self.batches.len()), as_u32(self.ties.len()));
        let (rows, ties) = what();
        self.batches.extend(rows.filter(|_| self.keeps_rows));
        self.ties.extend(ties);
        *held = Some((self.serial, numbers));
        numbers
    }

    /// Keeps these rows, in this order, and no Arrow rows.
    pub(super) fn pick(&mut self, order: &[u32]) {
        keep(&mut self.ts, order);
        keep(&mut self.labels, order);
        keep(&mut self.pages, order);
        keep(&mut self.events, order);
        keep(&mut self.sources, order);
        keep(&mut self.marks, order);
        (self.places, self.batches) = (Vec::new(), Vec::new());
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
}

/// Keeps these values, in this order.
fn keep<T: Copy>(values: &mut Vec<T>, order: &[u32]) {
    // A column that was not asked for.
    if !values.is_empty() {
        *values = order.iter().map(|&row| values[row as usize]).collect();
    }
}

/// Adds values of these rows, none of a column that was not asked for.
pub(super) fn append<T: Copy>(to: &mut Vec<T>, from: &[T], rows: &Range<usize>) {
    if !from.is_empty() {
        to.extend_from_slice(&from[rows.clone()]);
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

/// Numbers of a chunk's batch and ties in the block that is being filled, and that block's serial.
pub(super) type Held = Option<(u64, (u32, u32))>;

/// Rows of one person that came from one chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    /// First row in the block.
    pub from: usize,
    /// Number of the chunk's ties in the block, and the first row in it.
    pub ties: u32,
    pub row: usize,
}

/// A block never nears 2^32 rows: it would be 32 GiB of times alone.
pub(super) fn as_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
