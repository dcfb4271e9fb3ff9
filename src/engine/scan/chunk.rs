//! A batch of one part as dense code columns, cut into runs of one `distinct_id`.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::ScalarBuffer;

use super::ties::Ties;

/// A batch of one part after the filter. A run is a stretch of rows of one `distinct_id`; every per-row column is as
/// long as `ts` or empty if not asked for.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    ids: Vec<u8>,
    id_ends: Vec<usize>,
    /// First row and the row after the last; stretches of other people's rows may lie between runs.
    runs: Vec<(usize, usize)>,
    /// First eight bytes of each id after the prefix that all ids of the pass share, as one number.
    keys: Vec<u64>,
    pub ts: ScalarBuffer<i64>,
    pub labels: Vec<u32>,
    pub pages: Vec<u32>,
    pub events: Vec<u32>,
    /// Hash of the source session id, 0 for none. 64 bits: ids of one person are compared, not of all.
    pub sources: Vec<u64>,
    pub marks: Vec<u64>,
    pub rows: Option<RecordBatch>,
    /// What orders the rows, where somebody may ask.
    pub ties: Option<Arc<Ties>>,
}

impl Chunk {
    /// Number of runs.
    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }

    /// The id of a run.
    #[inline]
    pub(super) fn id(&self, run: usize) -> &[u8] {
        let from = if run == 0 { 0 } else { self.id_ends[run - 1] };
        &self.ids[from..self.id_ends[run]]
    }

    /// The sort key of a run: equal keys still need the whole id.
    #[inline]
    pub(super) fn key(&self, run: usize) -> u64 {
        self.keys[run]
    }

    /// The rows of a run.
    #[inline]
    pub(super) fn run(&self, run: usize) -> Range<usize> {
        let (from, to) = self.runs[run];
        from..to
    }

    /// Empties every column but `ts`, `rows` and `ties`, which are replaced as a whole.
    pub(super) fn clear(&mut self) {
        self.ids.clear();
        self.id_ends.clear();
        self.runs.clear();
        self.keys.clear();
        for codes in [&mut self.labels, &mut self.pages, &mut self.events] {
            codes.clear();
        }
        self.sources.clear();
        self.marks.clear();
    }

    /// Adds a run of `id`, whose first `prefix` bytes all ids of the pass share.
    pub(super) fn push_run(&mut self, id: &[u8], rows: Range<usize>, prefix: usize) {
        let mut key = [0; 8];
        let tail = id.get(prefix..).unwrap_or_default();
        let tail = &tail[..tail.len().min(8)];
        key[..tail.len()].copy_from_slice(tail);
        self.keys.push(u64::from_be_bytes(key));
        self.ids.extend_from_slice(id);
        self.id_ends.push(self.ids.len());
        self.runs.push((rows.start, rows.end));
    }

    /// Lets the last run go on to `end` if it ends at `row`; `false` where it does not.
    pub(super) fn extend_run(&mut self, row: usize, end: usize) -> bool {
        let last = self.runs.last_mut().filter(|last| last.1 == row);
        last.map(|last| last.1 = end).is_some()
    }

    /// Bytes held, the kept rows estimated by their slice.
    pub(super) fn size(&self) -> usize {
        let rows = self.rows.as_ref().map_or(0, RecordBatch::get_array_memory_size);
        self.ids.capacity()
            + self.runs.capacity() * 32
            + self.ts.len() * 8
            + rows
            + self.ties.as_ref().map_or(0, |ties| ties.size())
            + (self.labels.capacity() + self.pages.capacity() + self.events.capacity()) * 4
            + (self.sources.capacity() + self.marks.capacity()) * 8
    }
}
