//! The merge: runs of one person from every part, in day order, laid side by side.

use std::ops::Range;
use std::sync::Arc;

use datafusion::common::{Result, exec_err};

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
    /// The open person's rows part by part; kept only if they may be out of order.
    segments: Vec<Segment>,
    /// Where each of its last rows belongs among the others; kept for its memory.
    behind: Vec<usize>,
    mixes: bool,
    shares_days: bool,
    loaded: usize,
    /// Rows of redirected ids in each later part, and where they lie in the block.
    moved_later: Vec<(Chunk, Held)>,
}

/// Rows of one person that came from one chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    /// First row in the block.
    pub from: usize,
    /// None for rows of many days.
    day: Option<Day>,
    /// Number of the chunk's ties in the block, and the first row in it.
    pub ties: u32,
    pub row: usize,
}

impl PersonRuns {
    pub(super) fn new(pass: Arc<ScanRanges>, slices: Vec<IdRange>) -> Result<Self> {
        let mut runs = Self {
            labels: Labels::new(pass.plan.label),
            mixes: pass.plan.mixes(),
            shares_days: pass.plan.shares_days(),
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
            behind: Vec::new(),
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
            let segment = append_run(&mut self.block, &mut self.cursors[top]);
            self.segments.extend(self.mixes.then_some(segment));
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
            let (block, segments) = (&mut self.block, &mut self.segments);
            self.later.each_run(at, &id, &self.pass.plan, (&mut self.names, &mut self.labels), |cursor| {
                segments.extend(self.mixes.then_some(append_run(block, cursor)));
            })?;
            if let Some((chunk, held)) = self.moved_later.get_mut(at)
                && let Some(rows) = chunk.rows_of(&id)
            {
                self.segments.push(append_rows(&mut self.block, chunk, rows, held));
            }
        }
        Ok(())
    }

    /// Brings rows of several parts of one day, and moved rows, into the total order.
    fn order_ties(&mut self, base: usize) -> Result<()> {
        let (block, segments) = (&self.block, &self.segments);
        let [before @ .., last] = segments.as_slice() else { return Ok(()) };
        let is_moved = |segment: &Segment| segment.day.is_none();
        // Parts that share no day rise one after the other: moved rows, which come last, are all that can be out of order.
        let rise = !self.shares_days && !before.iter().any(is_moved);
        let mixed = || {
            segments.windows(2).any(|pair| {
                let border = pair[1].from;
                pair[0].day == pair[1].day && border > 0 && block.ts[border - 1] >= block.ts[border]
            })
        };
        let in_order = !is_moved(last) && (rise || !before.iter().any(is_moved) && !mixed());
        if before.is_empty() || in_order {
            return Ok(());
        }
        let last = last.from;
        // Equal times across the borders of those before leave their order open too.
        let mut borders = before.iter().map(|segment| segment.from).filter(|&from| base < from && from < last);
        let meet = !rise && borders.any(|from| block.ts[from - 1] == block.ts[from]);
        if !meet && places_among(&block.ts[base..], last - base, &mut self.behind) {
            self.block.weave(base, &self.behind);
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

/// Behind how many of a person's rows before `last` each of those from there on belongs. `false` where times do not
/// tell: some are equal, or the others do not rise.
fn places_among(ts: &[i64], last: usize, behind: &mut Vec<usize>) -> bool {
    let (others, late) = ts.split_at(last);
    behind.clear();
    let mut at = 0;
    for ts in late {
        at += others[at..].iter().take_while(|other| *other < ts).count();
        if others.get(at) == Some(ts) {
            return false;
        }
        behind.push(at);
    }
    others.is_sorted() && late.is_sorted()
}

/// Lays the cursor's run behind the rows of the open person.
pub(super) fn append_run(block: &mut Block, cursor: &mut Cursor) -> Segment {
    let (day, rows) = (cursor.day(), cursor.rows());
    Segment { day, ..append_rows(block, &cursor.chunk, rows, &mut cursor.held) }
}

/// Numbers of a chunk's batch and ties in the block that is being filled, and that block's serial.
pub(super) type Held = Option<(u64, (u32, u32))>;

/// Lays rows of a chunk of many days behind those of the open person.
pub(super) fn append_rows(block: &mut Block, chunk: &Chunk, rows: Range<usize>, held: &mut Held) -> Segment {
    let from = block.ts.len();
    if !chunk.edges.is_empty() {
        // Only few people have any.
        block.edges.resize(from, Edge::FREE);
        append(&mut block.edges, &chunk.edges, &rows);
    }
    block.ts.extend_from_slice(&chunk.ts[rows.clone()]);
    append(&mut block.labels, &chunk.labels, &rows);
    append(&mut block.pages, &chunk.pages, &rows);
    append(&mut block.events, &chunk.events, &rows);
    append(&mut block.sources, &chunk.sources, &rows);
    append(&mut block.marks, &chunk.marks, &rows);
    let (number, ties) = match *held {
        Some((serial, numbers)) if serial == block.serial => numbers,
        _ => block.hold(chunk),
    };
    *held = Some((block.serial, (number, ties)));
    let row = rows.start;
    if block.keeps_rows {
        block.places.extend(rows.map(|row| (number, as_u32(row))));
    }
    Segment { from, day: None, ties, row }
}

fn append<T: Copy>(to: &mut Vec<T>, from: &[T], rows: &Range<usize>) {
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
    use std::sync::Arc;

    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::expressions::{Column, binary, lit};

    use super::{Block, places_among};
    use crate::engine::functions::fixture::{Events, Hit};
    use crate::engine::scan::{ScanPlan, read_schema};
    use crate::event;
    use crate::identity::{Links, People, Run};
    use crate::limits::{BATCH_ROWS, MERGED_PARTS};
    use crate::time::{DAY, HOUR};

    #[test]
    fn what_comes_late_finds_its_places_unless_times_are_equal() {
        let behind = |ts: &[i64], last| {
            let mut behind = Vec::new();
            places_among(ts, last, &mut behind).then_some(behind)
        };
        assert_eq!(behind(&[1, 3, 5, 7, 2, 6, 9], 4), Some(vec![1, 3, 4]));
        assert_eq!(behind(&[4, 5, 1, 2], 2), Some(vec![0, 0]));
        assert_eq!(behind(&[1, 2, 3, 4], 2), Some(vec![2, 2]));
        assert_eq!(behind(&[1, 2], 0), Some(vec![0, 0]));
        assert_eq!(behind(&[1, 3, 3], 2), None, "one of two equal times comes from elsewhere");
        assert_eq!(behind(&[3, 1, 2], 2), None, "what lies there does not rise");
        let mut block =
            Block { ts: vec![9, 1, 3, 5, 7, 2, 6, 8], labels: vec![9, 1, 3, 5, 7, 2, 6, 8], ..Block::default() };
        block.weave(1, &[1, 3, 4]);
        assert_eq!(block.ts, [9, 1, 2, 3, 5, 6, 7, 8]);
        assert_eq!(block.labels, [9, 1, 2, 3, 5, 6, 7, 8]);
    }

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
        let mut runs = plan.with_people(&Arc::new(People::new(links))).open(1).unwrap().runs(0).unwrap();
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
