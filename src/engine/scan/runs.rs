//! The merge: runs of one person from every part, in day order, laid side by side.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::common::{Result, exec_err};

use crate::event::Column;
use crate::journey::Edge;
use crate::limits;
use crate::time::Day;

use super::block::Block;
use super::chunk::Chunk;
use super::cursor::Cursor;
use super::label::Labels;
use super::later::Later;
use super::names::Names;
use super::plan::Code;
use super::range::{IdRange, ScanRanges};

/// The people of one reader's ranges in ascending order of id, a block at a time.
#[derive(Debug)]
pub struct PersonRuns {
    pass: Arc<ScanRanges>,
    slices: std::vec::IntoIter<IdRange>,
    /// One per part, in day order; the index breaks ties of the heap.
    cursors: Vec<Cursor>,
    /// Indices of cursors with a current run, least (id, index) first.
    heap: Vec<usize>,
    /// What sessions run on into.
    later: Later,
    names: Names,
    labels: Labels,
    block: Block,
    /// The person being gathered: its id is the tail of `block.ids`.
    open: bool,
    /// Where each part's rows of the open person begin, no day for rows of many; kept only if rows may be out of order.
    segments: Vec<(usize, Option<Day>)>,
    mixes: bool,
    loaded: usize,
    /// Rows of redirected ids in each later part, and where they lie in the block.
    moved_later: Vec<(Chunk, Held)>,
}

impl PersonRuns {
    pub(super) fn new(pass: Arc<ScanRanges>, slices: Vec<IdRange>) -> Result<Self> {
        let mut runs = Self {
            labels: Labels::new(pass.plan.label),
            mixes: pass.plan.mixes(),
            block: Block { keeps_rows: pass.plan.keeps_rows(), ..Block::default() },
            moved_later: Vec::new(),
            pass,
            slices: slices.into_iter(),
            cursors: Vec::new(),
            heap: Vec::new(),
            later: Later::default(),
            names: Names::default(),
            open: false,
            segments: Vec::new(),
            loaded: 0,
        };
        runs.next_slice()?;
        Ok(runs)
    }

    /// What codes mean: pages, event names and labels share one set. New ones appear with new blocks.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The names, to add some of one's own or to build columns.
    pub fn names_mut(&mut self) -> &mut Names {
        &mut self.names
    }

    /// The block that [`PersonRuns::next_block`] filled last, with the names.
    pub fn block_and_names(&mut self) -> (&Block, &mut Names) {
        (&self.block, &mut self.names)
    }

    /// Bytes held: chunks, block, names.
    #[must_use]
    pub fn size(&self) -> usize {
        let chunks: usize = self.cursors.iter().map(|cursor| cursor.chunk.size()).sum();
        chunks + self.pass.moved_size() + self.later.size() + self.loaded + self.block.size() + self.names.size()
    }

    /// Fills the block with the next people, at least [`limits::BATCH_ROWS`] rows where there are as many.
    /// Every person is whole. `false` at the end.
    ///
    /// # Errors
    /// A part is damaged or a condition fails.
    pub fn next_block(&mut self) -> Result<bool> {
        self.block.clear();
        loop {
            let Some(&top) = self.heap.first() else {
                self.close_person()?;
                if self.block.ts.len() >= limits::BATCH_ROWS || !self.next_slice()? {
                    return Ok(!self.block.is_empty());
                }
                continue;
            };
            if !self.open || !self.is_open_person(top) {
                self.close_person()?;
                if self.block.ts.len() >= limits::BATCH_ROWS {
                    return Ok(true);
                }
                self.open_person(top);
            }
            append_run(&mut self.block, &mut self.cursors[top], self.mixes.then_some(&mut self.segments));
            if self.cursors[top].advance(&mut self.names, &mut self.labels)? {
                self.sift_down(0);
            } else {
                self.heap.swap_remove(0);
                self.sift_down(0);
            }
        }
    }

    /// Opens the cursors of the next slice; `false` if there is none.
    fn next_slice(&mut self) -> Result<bool> {
        let Some(range) = self.slices.next() else { return Ok(false) };
        let prefix = self.pass.shared_prefix();
        self.cursors.clear();
        self.later = Later::new(&self.pass.plan, &range, prefix);
        self.loaded = 0;
        for part in &self.pass.parts {
            let mut cursor = Cursor::new(part, &self.pass.plan, &range, prefix)?;
            if self.pass.sliced {
                self.loaded += cursor.read_all(&mut self.names, &mut self.labels)?;
            }
            if cursor.first(&mut self.names, &mut self.labels)? {
                self.cursors.push(cursor);
            }
        }
        self.take_moved(&range)?;
        self.heap = (0..self.cursors.len()).collect();
        for at in (0..self.heap.len() / 2).rev() {
            self.sift_down(at);
        }
        Ok(true)
    }

    /// Puts the rows of redirected ids beside the parts.
    fn take_moved(&mut self, range: &IdRange) -> Result<()> {
        let Some(moved) = self.pass.moved()? else { return Ok(()) };
        let chunk = moved.chunk(&moved.rows, range, &mut self.names);
        if chunk.len() > 0 {
            self.loaded += chunk.size();
            self.cursors.push(Cursor::in_memory(chunk));
        }
        let names = &mut self.names;
        self.moved_later = moved.later.iter().map(|rows| (moved.chunk(rows, range, names), None)).collect();
        if self.names.is_full() {
            return exec_err!("more than 2 GiB of distinct pages and event names in one pass");
        }
        Ok(())
    }

    fn less(&self, a: usize, b: usize) -> bool {
        let (left, right) = (&self.cursors[a], &self.cursors[b]);
        match left.key().cmp(&right.key()) {
            std::cmp::Ordering::Equal => (left.id(), a) < (right.id(), b),
            other => other.is_lt(),
        }
    }

    fn sift_down(&mut self, mut at: usize) {
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let mut least = at;
            if left < self.heap.len() && self.less(self.heap[left], self.heap[least]) {
                least = left;
            }
            if right < self.heap.len() && self.less(self.heap[right], self.heap[least]) {
                least = right;
            }
            if least == at {
                return;
            }
            self.heap.swap(at, least);
            at = least;
        }
    }

    fn is_open_person(&self, cursor: usize) -> bool {
        let from = self.block.id_ends.last().copied().unwrap_or(0);
        self.block.ids.as_bytes()[from..] == *self.cursors[cursor].id()
    }

    fn open_person(&mut self, cursor: usize) {
        // Ids are UTF-8 columns; the text was validated when it was decoded.
        self.block.ids.push_str(std::str::from_utf8(self.cursors[cursor].id()).unwrap_or_default());
        self.segments.clear();
        self.open = true;
    }

    fn close_person(&mut self) -> Result<()> {
        if !self.open {
            return Ok(());
        }
        let base = self.block.row_ends.last().copied().unwrap_or(0);
        self.follow(base)?;
        if self.mixes {
            self.order_ties(base);
        }
        if self.pass.plan.codes.has(Code::Source) {
            let rows = as_u32(self.block.ts.len() - base);
            self.block.ranks.extend(0..rows);
            self.group_sources(base);
        }
        self.block.id_ends.push(self.block.ids.len());
        self.block.row_ends.push(self.block.ts.len());
        self.open = false;
        Ok(())
    }

    /// Adds the open person's rows of later parts for as long as a session may run on into them.
    fn follow(&mut self, base: usize) -> Result<()> {
        if self.later.len() == 0 {
            return Ok(());
        }
        let id = self.block.ids.as_bytes()[self.block.id_ends.last().copied().unwrap_or(0)..].to_vec();
        for at in 0..self.later.len() {
            let latest = self.block.ts[base..].iter().copied().max();
            if !latest.is_some_and(|latest| self.later.is_near(at, latest)) {
                return Ok(());
            }
            let (block, segments) = (&mut self.block, &mut self.segments);
            self.later.each_run(at, &id, &self.pass.plan, (&mut self.names, &mut self.labels), |cursor| {
                append_run(block, cursor, self.mixes.then_some(&mut *segments));
            })?;
            if let Some((chunk, held)) = self.moved_later.get_mut(at)
                && let Some(rows) = chunk.rows_of(&id)
            {
                self.segments.push((self.block.ts.len(), None));
                append_rows(&mut self.block, chunk, rows, held);
            }
        }
        Ok(())
    }

    /// Brings rows of several parts of one day into the total order.
    fn order_ties(&mut self, base: usize) {
        let block = &self.block;
        let mixed = self.segments.windows(2).any(|pair| {
            let border = pair[1].0;
            pair[0].1 == pair[1].1 && border > 0 && block.ts[border - 1] >= block.ts[border]
        });
        let moved = self.segments.len() > 1 && self.segments.iter().any(|(_, day)| day.is_none());
        if !mixed && !moved {
            return;
        }
        let mut order: Vec<u32> = (0..as_u32(block.ts.len() - base)).collect();
        order.sort_by(|&a, &b| {
            let (a, b) = (base + a as usize, base + b as usize);
            block.ts[a].cmp(&block.ts[b]).then_with(|| {
                TieKey::of(&block.batches, block.places[a]).cmp(&TieKey::of(&block.batches, block.places[b]))
            })
        });
        self.block.reorder(base, &order);
    }

    /// Lays rows of one source session together, groups in order of their first row.
    fn group_sources(&mut self, base: usize) {
        let sources = &self.block.sources[base..];
        if sources.windows(2).all(|pair| pair[0] == pair[1]) {
            return;
        }
        let mut groups: hashbrown::HashMap<u64, u32, foldhash::fast::RandomState> = hashbrown::HashMap::default();
        let rank: Vec<u32> = sources
            .iter()
            .map(|&source| {
                let next = as_u32(groups.len());
                *groups.entry(source).or_insert(next)
            })
            .collect();
        if rank.is_sorted() {
            return;
        }
        let mut order: Vec<u32> = (0..as_u32(rank.len())).collect();
        order.sort_by_key(|&at| rank[at as usize]);
        self.block.reorder(base, &order);
    }
}

/// Lays the cursor's run behind the rows of the open person.
pub(super) fn append_run(block: &mut Block, cursor: &mut Cursor, segments: Option<&mut Vec<(usize, Option<Day>)>>) {
    if let Some(segments) = segments {
        segments.push((block.ts.len(), cursor.day()));
    }
    let rows = cursor.rows();
    append_rows(block, &cursor.chunk, rows, &mut cursor.held);
}

/// Number of a chunk's rows in the block that is being filled, and that block's serial.
type Held = Option<(u64, u32)>;

fn append_rows(block: &mut Block, chunk: &Chunk, rows: std::ops::Range<usize>, held: &mut Held) {
    if !chunk.edges.is_empty() {
        // Only few people have any.
        block.edges.resize(block.ts.len(), Edge::FREE);
        append(&mut block.edges, &chunk.edges, &rows);
    }
    block.ts.extend_from_slice(&chunk.ts[rows.clone()]);
    append(&mut block.labels, &chunk.labels, &rows);
    append(&mut block.pages, &chunk.pages, &rows);
    append(&mut block.events, &chunk.events, &rows);
    append(&mut block.sources, &chunk.sources, &rows);
    append(&mut block.marks, &chunk.marks, &rows);
    if let Some(kept) = chunk.rows.as_ref().filter(|_| block.keeps_rows) {
        let number = match *held {
            Some((serial, number)) if serial == block.serial => number,
            _ => {
                block.batches.push(kept.clone());
                as_u32(block.batches.len() - 1)
            }
        };
        *held = Some((block.serial, number));
        block.places.extend(rows.map(|row| (number, as_u32(row))));
    }
}

/// What orders events of one person at one time: source, place in it, event id.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TieKey<'a> {
    pub source: &'a str,
    pub offset: i64,
    pub event: &'a str,
}

impl<'a> TieKey<'a> {
    pub(super) fn of(batches: &'a [RecordBatch], (batch, row): (u32, u32)) -> Self {
        let (batch, row) = (&batches[batch as usize], row as usize);
        let source = batch
            .column_by_name(Column::SourceId.name())
            .and_then(|column| column.as_dictionary_opt::<Int32Type>())
            .and_then(|column| Some(column.values().as_string_opt::<i32>()?.value(column.key(row)?)));
        let offset = batch
            .column_by_name(Column::SourceOffset.name())
            .and_then(|column| column.as_primitive_opt::<Int64Type>())
            .map(|column| column.value(row));
        let event = batch
            .column_by_name(Column::EventId.name())
            .and_then(|column| column.as_string_view_opt())
            .filter(|column| column.is_valid(row))
            .map(|column| column.value(row));
        Self {
            source: source.unwrap_or_default(),
            offset: offset.unwrap_or_default(),
            event: event.unwrap_or_default(),
        }
    }
}

fn append<T: Copy>(to: &mut Vec<T>, from: &[T], rows: &std::ops::Range<usize>) {
    if !from.is_empty() {
        to.extend_from_slice(&from[rows.clone()]);
    }
}

/// A block never nears 2^32 rows: it would be 32 GiB of times alone.
pub(super) fn as_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use crate::engine::functions::fixture::{Events, Hit};
    use crate::engine::scan::ScanPlan;
    use crate::limits::MERGED_PARTS;
    use crate::time::{DAY, HOUR};

    #[test]
    fn slices_one_after_the_other_give_every_person_once_and_whole() {
        let days = i64::try_from(MERGED_PARTS).unwrap() + 6;
        // Nobody comes every day, and few days begin with the same person.
        let comes = |person: i64, day: i64| (person + day) % 3 > 0 && person >= day % 20;
        let mut hits = Vec::new();
        for day in 0..days {
            let who = (0..40).filter(|&person| comes(person, day));
            hits.extend(who.map(|person| Hit::page(&format!("u{person:02}"), day * DAY + person * HOUR / 2, "/")));
        }
        let events = Events::new(&hits);
        let pass = ScanPlan::new(events.parts()).open(7).unwrap();
        assert!(pass.len() > 3, "the pass is not cut: {}", pass.len());
        let mut runs = pass.all_runs().unwrap();
        let mut seen: Vec<(String, usize)> = Vec::new();
        while runs.next_block().unwrap() {
            let (block, _) = runs.block_and_names();
            assert!(block.people().all(|person| block.ts()[person.rows].is_sorted()));
            seen.extend(block.people().map(|person| (person.id.to_owned(), person.rows.len())));
        }
        let rows = |person: i64| (0..days).filter(|&day| comes(person, day)).count();
        assert_eq!(seen, (0..40).map(|person| (format!("u{person:02}"), rows(person))).collect::<Vec<_>>());
    }
}
