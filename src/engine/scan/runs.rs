//! The merge: runs of one person from every part, in day order, laid side by side.

use std::sync::Arc;

use datafusion::common::{Result, exec_err};

use crate::limits;

use super::beside::Beside;
use super::block::{Block, Segment, as_u32};
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
    /// The open person's rows chunk by chunk; kept only if they may be out of order.
    segments: Vec<Segment>,
    /// Whether the open person's rows are surely in order.
    in_order: bool,
    loaded: usize,
    /// Rows of redirected ids.
    beside: Beside,
}

impl PersonRuns {
    pub(super) fn new(pass: Arc<ScanRanges>, slices: Vec<IdRange>) -> Result<Self> {
        let mut runs = Self {
            labels: Labels::new(pass.plan.label),
            block: Block { keeps_rows: pass.plan.keeps_rows(), ..Block::default() },
            beside: Beside::default(),
            pass,
            slices: slices.into_iter(),
            cursors: Vec::new(),
            heap: Vec::new(),
            later: Later::default(),
            names: Names::default(),
            open: false,
            segments: Vec::new(),
            in_order: true,
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
        chunks
            + self.pass.moved_size()
            + self.later.size()
            + self.loaded
            + self.beside.size()
            + self.block.size()
            + self.names.size()
    }

    /// Fills the block with the next people, at least [`limits::BATCH_ROWS`] rows where there are as many.
    /// Every person is whole. `false` at the end.
    ///
    /// # Errors
    /// A part is damaged or a condition fails.
    pub fn next_block(&mut self) -> Result<bool> {
        self.block.clear();
        loop {
            let top = self.heap.first().copied();
            if let Some(top) = top.filter(|&top| self.open && self.is_open_person(top)) {
                self.lay(top)?;
                continue;
            }
            self.close_person()?;
            if self.block.ts.len() >= limits::BATCH_ROWS {
                return Ok(true);
            }
            if !self.open_person(top) && !self.next_slice()? {
                return Ok(!self.block.is_empty());
            }
        }
    }

    /// Lays the run of the cursor at the top of the heap behind the open person's rows, and goes on to the next.
    fn lay(&mut self, top: usize) -> Result<()> {
        let cursor = &mut self.cursors[top];
        if self.beside.waits() {
            self.in_order &= !self.beside.lay(&mut self.block, cursor, &mut self.segments, &mut self.names);
        } else {
            let segment = lay_run(&mut self.block, cursor);
            self.segments.extend(self.pass.mixes.then_some(segment));
        }
        if !self.cursors[top].advance(&mut self.names, &mut self.labels)? {
            self.heap.swap_remove(0);
        }
        self.sift_down(0);
        Ok(())
    }

    /// Opens the cursors of the next slice; `false` if there is none.
    fn next_slice(&mut self) -> Result<bool> {
        let Some(range) = self.slices.next() else { return Ok(false) };
        let prefix = self.pass.shared_prefix();
        self.cursors.clear();
        self.later = Later::new(&self.pass.plan, &range, prefix);
        self.loaded = 0;
        let moved = self.pass.moved()?;
        for (at, part) in self.pass.parts.iter().enumerate() {
            // What lies among the moved rows is not read again.
            let rest = moved.as_ref().and_then(|moved| moved.of_part(at)).map(|rows| part.without(rows));
            let mut cursor = Cursor::new(rest.as_ref().unwrap_or(part), &self.pass.plan, &range, prefix)?;
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
        self.beside = Beside::new(moved, range);
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

    /// Opens the next person, of the cursor at the top of the heap or of the moved rows; `false` if there is none.
    fn open_person(&mut self, top: Option<usize>) -> bool {
        let id = top.map(|top| self.cursors[top].id());
        let moved = self.beside.id();
        let is_moved = moved.is_some_and(|moved| id.is_none_or(|id| moved <= id));
        let Some(id) = (if is_moved { moved } else { id }) else { return false };
        // Ids are UTF-8 columns; the text was validated when it was decoded.
        self.block.ids.push_str(std::str::from_utf8(id).unwrap_or_default());
        if is_moved {
            self.beside.open();
        }
        self.segments.clear();
        self.in_order = !self.pass.shares_days;
        self.open = true;
        true
    }

    fn close_person(&mut self) -> Result<()> {
        if !self.open {
            return Ok(());
        }
        let base = self.block.row_ends.last().copied().unwrap_or(0);
        let rest = self.beside.lay_rest(&mut self.block, &mut self.names);
        self.segments.extend(rest.filter(|_| self.pass.mixes));
        self.follow(base)?;
        if self.names.is_full() {
            return exec_err!("more than 2 GiB of distinct pages and event names in one pass");
        }
        if self.pass.mixes && !self.in_order {
            self.order_ties(base)?;
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
            self.in_order = false;
            let (block, segments) = (&mut self.block, &mut self.segments);
            self.later.each_run(at, &id, &self.pass.plan, (&mut self.names, &mut self.labels), |cursor| {
                segments.extend(self.pass.mixes.then_some(lay_run(block, cursor)));
            })?;
            let moved = self.beside.lay_later(&mut self.block, at, &id, &mut self.names);
            self.segments.extend(moved.filter(|_| self.pass.mixes));
        }
        Ok(())
    }

    /// Brings rows of several chunks into the total order.
    fn order_ties(&mut self, base: usize) -> Result<()> {
        let (block, segments) = (&self.block, &self.segments);
        // Rows of one chunk are in order; equal times of two leave it open.
        let mut borders = segments.iter().skip(1).map(|segment| segment.from);
        if borders.all(|from| block.ts[from - 1] < block.ts[from]) {
            return Ok(());
        }
        let ts = |row: u32| block.ts[base + row as usize];
        let mut order: Vec<u32> = (0..as_u32(block.ts.len() - base)).collect();
        order.sort_by_key(|&row| ts(row));
        let segment = |row: u32| segments.partition_point(|it| it.from <= base + row as usize) - 1;
        for equal in order.chunk_by_mut(|&a, &b| ts(a) == ts(b)) {
            // Rows of one part are in the total order already.
            if equal.len() > 1 && segment(equal[0]) != segment(equal[equal.len() - 1]) {
                let key = |&row: &u32| {
                    let segment = &segments[segment(row)];
                    let at = segment.row + base + row as usize - segment.from;
                    Ok((block.ties[segment.ties as usize].key(at)?, row))
                };
                let mut keys = equal.iter().map(key).collect::<Result<Vec<_>>>()?;
                keys.sort();
                equal.iter_mut().zip(keys).for_each(|(row, key)| *row = key.1);
            }
        }
        self.block.reorder(base, &order);
        Ok(())
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
fn lay_run(block: &mut Block, cursor: &mut Cursor) -> Segment {
    block.append(&cursor.chunk, cursor.rows(), &mut cursor.held)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::expressions::{Column, binary, lit};

    use crate::engine::functions::fixture::{Events, Hit};
    use crate::engine::scan::{ScanPlan, read_schema};
    use crate::event;
    use crate::identity::{Links, People, Run};
    use crate::limits::{BATCH_ROWS, MERGED_PARTS};
    use crate::time::{DAY, HOUR};

    #[test]
    fn equal_times_of_two_parts_keep_their_order_before_a_third() {
        let u = |ts: i64, page: &str| Hit::page("u", ts, page);
        // Parts of a day come in the order of their names, which are chance here.
        for _ in 0..8 {
            let others = Hit::page("a", 0, "/of-others");
            let day = [vec![others.clone(), u(10, "/b")], vec![u(10, "/a")], vec![others, u(20, "/c")]];
            let day = day.map(|hits| Events::new(&hits));
            let parts = day.iter().flat_map(Events::parts).collect();
            let mut runs = ScanPlan::new(parts).with_pages().open(1).unwrap().runs(0).unwrap();
            assert!(runs.next_block().unwrap());
            let (block, names) = runs.block_and_names();
            let person = block.people().find(|person| person.id == "u").unwrap();
            let pages: Vec<&str> = block.pages()[person.rows].iter().map(|&page| names.text(page)).collect();
            assert_eq!(pages, ["/a", "/b", "/c"]);
        }
    }

    #[test]
    fn equal_times_of_linked_ids_come_in_the_order_of_the_log_in_every_batch_and_behind_a_filter() {
        let mut hits: Vec<Hit> = (0..700).map(|at| Hit::page("a", at, "/of-others")).collect();
        for at in 0..i64::try_from(BATCH_ROWS).unwrap() * 2 {
            let (id, other) = if at % 3 == 0 { ("anon:d", "u") } else { ("u", "anon:d") };
            hits.push(Hit::page(id, at, &format!("/{at}/1")));
            hits.push(Hit::page(id, at, if at % 5 == 0 { "/left-out" } else { "/more" }));
            hits.push(Hit::page(other, at, &format!("/{at}/2")));
        }
        let events = Events::new(&hits);
        let mut links = Links::default();
        links.devices.push("d", Run { first: 0, out: false, user: "u", last: DAY });
        let page = Column::new("page", 0);
        let schema = read_schema(&[event::Column::Page]);
        let filter = binary(Arc::new(page), Operator::NotEq, lit("/left-out"), &schema).unwrap();
        let plan = ScanPlan::new(events.parts()).with_pages().with_filter(Some(filter));
        let mut runs = plan.with_people(&Arc::new(People::new(&links))).open(1).unwrap().runs(0).unwrap();
        let mut seen: Vec<String> = Vec::new();
        while runs.next_block().unwrap() {
            let (block, names) = runs.block_and_names();
            for person in block.people().filter(|person| person.id == "u") {
                seen.extend(block.pages()[person.rows].iter().map(|&page| names.text(page).to_owned()));
            }
        }
        let of_u = hits[700..].iter().filter_map(|hit| hit.page.clone()).filter(|page| page != "/left-out");
        assert!(seen == of_u.collect::<Vec<_>>(), "{:?}", &seen[..9]);
    }

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
