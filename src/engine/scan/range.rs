//! Ranges of `distinct_id`: how a pass is cut for parallel readers, and which pages of a part a range needs.
//!
//! A range is any half-open interval of ids; where it is cut changes who does the work, never the answer. Cut points
//! are page bounds taken from statistics, so that readers get equal numbers of rows whatever the ids look like.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use datafusion::common::{DataFusionError, Result};
use parquet::arrow::arrow_reader::RowSelection;

use crate::limits;

use super::moved::Moved;
use super::part::{IdPage, Opened};
use super::plan::ScanPlan;
use super::runs::PersonRuns;

/// Rows that one slice holds in memory where a range has more parts than may be open at a time.
const SLICE_ROWS: u64 = 2 << 20;

/// The ids of one reader: `from <= id < to`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdRange {
    pub from: Option<Vec<u8>>,
    pub to: Option<Vec<u8>>,
}

impl IdRange {
    /// One id and no other.
    pub(super) fn only(id: &[u8]) -> Self {
        Self { from: Some(id.to_vec()), to: Some([id, &[0]].concat()) }
    }

    /// Two ids and all between them.
    pub(super) fn between(first: &str, last: &str) -> Self {
        Self { from: Some(first.as_bytes().to_vec()), to: Some([last.as_bytes(), &[0]].concat()) }
    }

    pub(super) fn is_before(&self, id: &[u8]) -> bool {
        self.to.as_deref().is_some_and(|to| id >= to)
    }

    pub(super) fn is_after(&self, id: &[u8]) -> bool {
        self.from.as_deref().is_some_and(|from| id < from)
    }
}

/// A [`ScanPlan`] with its parts' footers read, cut into ranges that can be read in parallel.
#[derive(Debug)]
pub struct ScanRanges {
    pub(super) plan: ScanPlan,
    pub(super) parts: Vec<Opened>,
    /// Per reader the slices it reads one after the other.
    readers: Vec<Vec<IdRange>>,
    /// Whether slices are read into memory part by part instead of merged from the files.
    pub(super) sliced: bool,
    /// Whether rows of a person may come out of order, and whether some day has several parts.
    pub(super) mixes: bool,
    pub(super) shares_days: bool,
    /// Rows of redirected ids, read by whoever comes first.
    moved: OnceLock<Result<Arc<Moved>, Arc<DataFusionError>>>,
}

impl ScanPlan {
    /// Reads the footers and cuts the pass for at most `readers` parallel readers.
    ///
    /// # Errors
    /// A part is missing or damaged.
    pub fn open(self, readers: usize) -> Result<Arc<ScanRanges>> {
        let parts = self.parts.iter().map(Opened::open).collect::<Result<Vec<_>>>()?;
        let sliced = parts.len() > limits::MERGED_PARTS;
        let rows: u64 = parts.iter().map(|part| part.file.rows).sum();
        let per_reader = if sliced { rows.div_ceil(SLICE_ROWS).div_ceil(readers.max(1) as u64).max(1) } else { 1 };
        let readers = if self.is_about_few() { 1 } else { readers.max(1) };
        let pieces = usize::try_from(per_reader).unwrap_or(1) * readers;
        let cuts = if self.is_about_few() { Vec::new() } else { cut_points(&parts, pieces) };
        let mut ranges: Vec<IdRange> = Vec::with_capacity(cuts.len() + 1);
        let mut from = None;
        for cut in cuts {
            ranges.push(IdRange { from: from.take(), to: Some(cut.clone()) });
            from = Some(cut);
        }
        ranges.push(IdRange { from, to: None });
        let chunk = ranges.len().div_ceil(readers).max(1);
        let readers: Vec<Vec<IdRange>> = ranges.chunks(chunk).map(<[IdRange]>::to_vec).collect();
        let (mixes, shares_days) = (self.mixes(), self.shares_days());
        let moved = OnceLock::new();
        Ok(Arc::new(ScanRanges { plan: self, parts, readers, sliced, mixes, shares_days, moved }))
    }
}

impl ScanRanges {
    /// How many readers there are; at most as many as asked for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.readers.len()
    }

    /// Never: there is at least one reader, even of nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.readers.is_empty()
    }

    /// Starts reader `at`; one past the last reads nothing.
    ///
    /// # Errors
    /// A part cannot be opened.
    pub fn runs(self: &Arc<Self>, at: usize) -> Result<PersonRuns> {
        PersonRuns::new(Arc::clone(self), self.readers.get(at).cloned().unwrap_or_default())
    }

    /// The rows of redirected ids; `None` where nobody has several ids.
    pub(super) fn moved(&self) -> Result<Option<Arc<Moved>>> {
        let Some(people) = &self.plan.people else { return Ok(None) };
        let read = || Moved::read(&self.plan, &self.parts, people).map(Arc::new).map_err(Arc::new);
        match self.moved.get_or_init(read) {
            Ok(moved) => Ok(Some(Arc::clone(moved))),
            Err(error) => Err(DataFusionError::Shared(Arc::clone(error))),
        }
    }

    /// Bytes of the moved rows, shared by all readers.
    pub(super) fn moved_size(&self) -> usize {
        let moved = self.moved.get().and_then(|moved| moved.as_ref().ok());
        moved.map_or(0, |moved| moved.size() / self.readers.len().max(1))
    }

    /// How many first bytes all ids of the pass have in common, by the statistics. Names of persons may have none.
    pub(super) fn shared_prefix(&self) -> usize {
        if self.plan.people.is_some() {
            return 0;
        }
        let mut bounds: Option<(&[u8], &[u8])> = None;
        for page in self.parts.iter().flat_map(Opened::pages) {
            let Some(max) = page.max else { return 0 };
            bounds = Some(match bounds {
                None => (page.min, max),
                Some((low, high)) => (low.min(page.min), high.max(max)),
            });
        }
        bounds.map_or(0, |(low, high)| low.iter().zip(high).take_while(|(a, b)| a == b).count())
    }

    /// The whole pass by one reader, slice after slice.
    #[cfg(test)]
    pub(super) fn all_runs(self: &Arc<Self>) -> Result<PersonRuns> {
        PersonRuns::new(Arc::clone(self), self.readers.iter().flatten().cloned().collect())
    }
}

/// Ids that cut all rows into about `slices` equal shares, ascending and distinct.
fn cut_points(parts: &[Opened], slices: usize) -> Vec<Vec<u8>> {
    if slices < 2 {
        return Vec::new();
    }
    let mut pages: Vec<(&[u8], u64)> =
        parts.iter().flat_map(|part| part.pages().into_iter().map(|page| (page.min, page.rows as u64))).collect();
    pages.sort_unstable();
    let total: u64 = pages.iter().map(|page| page.1).sum();
    let mut cuts: Vec<Vec<u8>> = Vec::new();
    let mut seen = 0;
    for (min, rows) in pages {
        let share = (cuts.len() as u64 + 1) * total / slices as u64;
        if seen >= share
            && cuts.len() + 1 < slices
            && cuts.last().is_none_or(|last| last.as_slice() < min)
            && !min.is_empty()
        {
            cuts.push(min.to_vec());
        }
        seen += rows;
    }
    cuts
}

/// The row groups of a part that may hold ids of the range (or of `ids`), each with its rows if not all are needed.
pub(super) fn needed(part: &Opened, range: &IdRange, ids: Option<&[String]>) -> Vec<(usize, Option<RowSelection>)> {
    needed_where(part, range, |page| page.may_hold(ids))
}

/// [`needed`], of the pages for which `holds` is true.
pub(super) fn needed_where(
    part: &Opened,
    range: &IdRange,
    holds: impl Fn(&IdPage<'_>) -> bool,
) -> Vec<(usize, Option<RowSelection>)> {
    let pages = part.pages();
    let mut groups = Vec::new();
    let mut before = 0;
    for group in pages.chunk_by(|a, b| a.row_group == b.row_group) {
        let total: usize = group.iter().map(|page| page.rows).sum();
        let within = |page: &&IdPage<'_>| page.touches(range) && holds(page);
        let mut kept: Vec<Range<usize>> =
            group.iter().filter(within).map(|page| page.row..page.row + page.rows).collect();
        cut_out(&mut kept, before, part.file.hidden.iter().map(|row| *row..row + 1));
        cut_out(&mut kept, before, part.elsewhere.iter().cloned());
        before += total as u64;
        let selected: usize = kept.iter().map(Range::len).sum();
        if selected > 0 {
            let selection = (selected < total).then(|| RowSelection::from_consecutive_ranges(kept.into_iter(), total));
            groups.push((group[0].row_group, selection));
        }
    }
    groups
}

/// Takes rows of the file, ascending, out of ranges of a row group that begins at the file's row `before`.
fn cut_out(ranges: &mut Vec<Range<usize>>, before: u64, rows: impl Iterator<Item = Range<u64>>) {
    // A place in the group, or its end for what lies behind it.
    let place = |row: u64| usize::try_from(row.saturating_sub(before)).unwrap_or(usize::MAX);
    let mut rows = rows.map(|rows| place(rows.start)..place(rows.end)).filter(|rows| !rows.is_empty()).peekable();
    if rows.peek().is_none() {
        return;
    }
    let mut left = Vec::with_capacity(ranges.len());
    for mut range in ranges.drain(..) {
        while let Some(out) = rows.next_if(|out| out.end <= range.end) {
            left.push(range.start..out.start.min(range.end));
            range.start = range.start.max(out.end);
        }
        // What reaches beyond this range may take from the next one too.
        if let Some(out) = rows.peek().filter(|out| out.start < range.end) {
            range.end = out.start;
        }
        left.push(range);
    }
    left.retain(|range| !range.is_empty());
    *ranges = left;
}

impl IdPage<'_> {
    fn touches(&self, range: &IdRange) -> bool {
        !range.is_before(self.min) && self.max.is_none_or(|max| !range.is_after(max))
    }

    /// Whether one of these ids (ascending, all if absent) may be on the page.
    pub(super) fn may_hold(&self, ids: Option<&[String]>) -> bool {
        ids.is_none_or(|ids| {
            let first = ids.partition_point(|id| id.as_bytes() < self.min);
            ids.get(first).is_some_and(|id| self.max.is_none_or(|max| id.as_bytes() <= max))
        })
    }
}
