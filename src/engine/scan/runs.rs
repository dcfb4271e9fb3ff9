//! The merge: runs of one person from every part, in day order, laid side by side.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::common::{Result, exec_err};

use crate::event::Column;
use crate::identity::People;
use crate::limits;
use crate::time::Day;

use super::aside::{Aside, Rest};
use super::block::Block;
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
    /// The id being gathered: the tail of `block.ids`, or of the ids aside.
    open: Open,
    /// Rows of linked people.
    aside: Aside,
    /// Which reader this is, until it has handed over what it has set aside.
    reader: Option<usize>,
    /// What all readers have set aside, given to the last of them.
    rest: Rest,
    /// Where each part's rows of the open person begin; kept only if days are shared.
    segments: Vec<(usize, Day)>,
    shares_days: bool,
    loaded: usize,
}

impl PersonRuns {
    pub(super) fn new(pass: Arc<ScanRanges>, slices: Vec<IdRange>, reader: usize) -> Result<Self> {
        let mut runs = Self {
            labels: Labels::new(pass.plan.label),
            shares_days: pass.plan.shares_days(),
            block: Block { keeps_rows: pass.plan.keeps_rows(), ..Block::default() },
            pass,
            slices: slices.into_iter(),
            cursors: Vec::new(),
            heap: Vec::new(),
            later: Later::default(),
            names: Names::default(),
            open: Open::Nobody,
            aside: Aside::new(),
            reader: Some(reader),
            rest: Rest::default(),
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
        let aside = self.aside.size() + self.rest.size();
        chunks + self.later.size() + self.loaded + self.block.size() + self.names.size() + aside
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
                if self.block.ts.len() >= limits::BATCH_ROWS {
                    return self.hand_out();
                }
                if !self.next_slice()? {
                    return self.last_blocks();
                }
                continue;
            };
            if !self.is_open(top) {
                self.close_person()?;
                if self.block.ts.len() >= limits::BATCH_ROWS {
                    return self.hand_out();
                }
                self.open_person(top);
            }
            let cursor = &mut self.cursors[top];
            match self.open {
                Open::Linked => append_run(&mut self.aside.block, cursor, None, 1),
                _ => append_run(&mut self.block, cursor, self.shares_days.then_some(&mut self.segments), 0),
            }
            if self.cursors[top].advance(&mut self.names, &mut self.labels)? {
                self.sift_down(0);
            } else {
                self.heap.swap_remove(0);
                self.sift_down(0);
            }
        }
    }

    /// The block is full; what was set aside meanwhile is packed while its batches are at hand.
    fn hand_out(&mut self) -> Result<bool> {
        if self.pass.plan.people.is_some() {
            self.aside.pack(&self.pass.plan)?;
        }
        Ok(true)
    }

    /// What comes after the last slice: the people set aside, from the reader that is the last to come here.
    fn last_blocks(&mut self) -> Result<bool> {
        let Some(people) = self.pass.plan.people.clone() else { return Ok(!self.block.is_empty()) };
        if let Some(reader) = self.reader.take() {
            self.aside.pack(&self.pass.plan)?;
            let aside = std::mem::replace(&mut self.aside, Aside::new());
            if let Some(given) = self.pass.hand_over.give(reader, aside, &self.names) {
                let (prefix, words) = (self.pass.shared_prefix(), (&mut self.names, &mut self.labels));
                self.rest = Rest::gather(given, &self.pass.plan, &people, words, prefix)?;
                if self.names.is_full() {
                    return exec_err!("more than 2 GiB of distinct pages and event names in one pass");
                }
            }
            if !self.block.is_empty() {
                return Ok(true);
            }
        }
        while self.block.ts.len() < limits::BATCH_ROWS {
            let Some(person) = self.rest.next(&people, &mut self.block) else { break };
            self.block.ids.push_str(person);
            self.finish_person();
        }
        Ok(!self.block.is_empty())
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
        self.heap = (0..self.cursors.len()).collect();
        for at in (0..self.heap.len() / 2).rev() {
            self.sift_down(at);
        }
        Ok(true)
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

    fn is_open(&self, cursor: usize) -> bool {
        let id = self.cursors[cursor].id();
        match self.open {
            Open::Nobody => false,
            Open::Person => {
                let from = self.block.id_ends.last().copied().unwrap_or(0);
                self.block.ids.as_bytes()[from..] == *id
            }
            Open::Linked => self.aside.block.ids.as_bytes() == id,
        }
    }

    fn open_person(&mut self, cursor: usize) {
        let id = self.cursors[cursor].id();
        // Ids are UTF-8 columns; the text was validated when it was decoded.
        let text = std::str::from_utf8(id).unwrap_or_default();
        let is_linked = |people: &Arc<People>| self.aside.owners(people, id).is_some();
        if self.pass.plan.people.as_ref().is_some_and(is_linked) {
            self.aside.block.ids.clear();
            self.aside.block.ids.push_str(text);
            self.open = Open::Linked;
            return;
        }
        self.block.ids.push_str(text);
        self.segments.clear();
        self.open = Open::Person;
    }

    fn close_person(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.open, Open::Nobody) {
            Open::Nobody => return Ok(()),
            Open::Linked => {
                if let Some(people) = &self.pass.plan.people {
                    self.aside.own(people);
                }
                return Ok(());
            }
            Open::Person => {}
        }
        let base = self.block.row_ends.last().copied().unwrap_or(0);
        self.follow(base)?;
        if self.shares_days {
            self.order_ties(base);
        }
        self.finish_person();
        Ok(())
    }

    /// Ends the last person of the block, whose rows are in the total order.
    fn finish_person(&mut self) {
        let base = self.block.row_ends.last().copied().unwrap_or(0);
        if self.pass.plan.codes.has(Code::Source) {
            let rows = as_u32(self.block.ts.len() - base);
            self.block.ranks.extend(0..rows);
            self.group_sources(base);
        }
        self.block.id_ends.push(self.block.ids.len());
        self.block.row_ends.push(self.block.ts.len());
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
                append_run(block, cursor, self.shares_days.then_some(&mut *segments), 0);
            })?;
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
        if !mixed {
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

/// What is being gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Nobody,
    /// Somebody with one id, into the block.
    Person,
    /// One of several ids of somebody, aside.
    Linked,
}

/// Lays the cursor's run behind the last rows of a block, which is the cursor's first or second one (`slot`).
pub(super) fn append_run(
    block: &mut Block,
    cursor: &mut Cursor,
    segments: Option<&mut Vec<(usize, Day)>>,
    slot: usize,
) {
    let rows = cursor.rows();
    if let Some(segments) = segments {
        segments.push((block.ts.len(), cursor.day()));
    }
    let chunk = &cursor.chunk;
    block.ts.extend_from_slice(&chunk.ts[rows.clone()]);
    append(&mut block.labels, &chunk.labels, &rows);
    append(&mut block.pages, &chunk.pages, &rows);
    append(&mut block.events, &chunk.events, &rows);
    append(&mut block.sources, &chunk.sources, &rows);
    append(&mut block.marks, &chunk.marks, &rows);
    if let Some(kept) = chunk.rows.as_ref().filter(|_| block.keeps_rows) {
        let number = match cursor.held[slot] {
            Some((serial, number)) if serial == block.serial => number,
            _ => {
                block.batches.push(kept.clone());
                as_u32(block.batches.len() - 1)
            }
        };
        cursor.held[slot] = Some((block.serial, number));
        block.places.extend(rows.map(|row| (number, as_u32(row))));
    }
}

/// What orders events of one person at one time: source, place in it, event id.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TieKey<'a> {
    source: &'a str,
    offset: i64,
    event: &'a str,
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
