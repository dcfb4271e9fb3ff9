//! Moved rows of some parts, by person and time.
//!
//! ```text
//! as they were read   0 1 2 3 4 5 …   laid   which chunk a row came from, for what orders equal times
//! as they are kept    3 0 │ 1 2 5 │ 4 …      persons by name; `order` tells where a row was before
//! ```

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::Result;

use crate::identity::{Owner, People};
use crate::journey::Edge;
use crate::limits;

use super::block::{Block, Held, Segment, append, as_u32};
use super::cursor::Cursor;
use super::label::Labels;
use super::names::Names;
use super::overlay::{Edges, OfRows};
use super::part::Opened;
use super::plan::ScanPlan;
use super::range::IdRange;
use super::ties::{TieKey, Ties};

/// Moved rows by person and time.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    block: Block,
    /// Number, and where the rows end, ascending by name.
    persons: Vec<(u32, u32)>,
    /// Their names one after the other, and where each ends.
    ids: Vec<u8>,
    id_ends: Vec<usize>,
    /// The columns that are kept.
    rows: Option<RecordBatch>,
    /// By row: which of those that were read it is.
    order: Vec<u32>,
    laid: Laid,
    /// By part the rows of the file that lie here: what is long enough that it pays to leave it out.
    pub long: Vec<Arc<[Range<u64>]>>,
}

/// Rows of many chunks one after the other.
#[derive(Debug, Default)]
struct Laid {
    ties: Vec<Arc<Ties>>,
    /// Stretches of rows of one chunk.
    stretches: Vec<Segment>,
}

impl Laid {
    /// Adds rows behind the others.
    fn push(&mut self, segment: Segment) {
        let last = self.stretches.last();
        let goes_on = |last: &Segment| last.ties == segment.ties && segment.row - last.row == segment.from - last.from;
        if !last.is_some_and(|last| segment.row >= last.row && goes_on(last)) {
            self.stretches.push(segment);
        }
    }

    /// What orders a row.
    fn key(&self, row: u32) -> Result<TieKey<'_>> {
        let row = row as usize;
        let at = self.stretches.partition_point(|stretch| stretch.from <= row) - 1;
        let stretch = &self.stretches[at];
        self.ties[stretch.ties as usize].key(stretch.row + row - stretch.from)
    }

    /// Bytes held.
    fn size(&self) -> usize {
        let ties: usize = self.ties.iter().map(|ties| ties.size()).sum();
        ties + self.stretches.capacity() * size_of::<Segment>()
    }
}

/// Rows that follow each other in a part, of which it pays to read it without them.
const LONG: u64 = 1_024;

/// For so many rows there is room before they are read, at most.
const ROOM: usize = 1 << 20;

impl Sorted {
    /// Reads the rows of redirected ids.
    pub(super) fn read(
        plan: &ScanPlan,
        parts: &[Opened],
        people: &Arc<People>,
        names: &mut Names,
        labels: &mut Labels,
    ) -> Result<Self> {
        let mut read = Self { block: Block { keeps_rows: plan.keeps_rows(), ..Block::default() }, ..Self::default() };
        let mut pieces: Vec<Piece> = Vec::new();
        let mut places = Laid::default();
        let ids = people.range().map_or_else(IdRange::default, |(first, last)| IdRange::between(first, last));
        let cursors = parts.iter().map(|part| Cursor::new(part, plan, &ids, 0)).collect::<Result<Vec<_>>>()?;
        let most: usize = cursors.iter().map(Cursor::rows_left).sum();
        read.block.reserve(most.min(ROOM), plan);
        for mut cursor in cursors {
            let mut packed = (read.block.ts.len(), read.block.batches.len());
            let mut place = 0;
            let mut laid = Vec::new();
            let mut more = cursor.first(names, labels)?;
            while more {
                read.take(&mut cursor, people, &mut place, (&mut pieces, &mut places, &mut laid));
                more = cursor.first(names, labels)?;
                if read.block.keeps_rows && (!more || read.block.ts.len() - packed.0 >= limits::BATCH_ROWS) {
                    packed = pack(&mut read.block, packed, plan)?;
                }
            }
            laid.retain(|rows: &Range<u64>| rows.end - rows.start >= LONG);
            read.long.push(laid.into());
        }
        places.ties = std::mem::take(&mut read.block.ties);
        read.laid = places;
        read.arrange(&pieces, plan, people)
    }

    /// Lays the rows of redirected ids of the cursor's chunk behind those that are here. Runs that follow each other, as
    /// all devices do, are copied together.
    fn take(
        &mut self,
        cursor: &mut Cursor,
        people: &People,
        place: &mut usize,
        (pieces, places, long): (&mut Vec<Piece>, &mut Laid, &mut Vec<Range<u64>>),
    ) {
        let mut open = 0..0;
        for run in 0..cursor.chunk.len() {
            let Some(owners) = people.next_owners(cursor.chunk.id(run), place) else { continue };
            let rows = cursor.chunk.run(run);
            if rows.start != open.end {
                self.lay(cursor, open, places, long);
                open = rows.start..rows.start;
            }
            open.end = rows.end;
            let from = self.block.ts.len() + rows.start - open.start;
            cut(&cursor.chunk.ts[rows], from, owners, pieces);
        }
        self.lay(cursor, open, places, long);
    }

    fn lay(&mut self, cursor: &mut Cursor, rows: Range<usize>, places: &mut Laid, long: &mut Vec<Range<u64>>) {
        if rows.is_empty() {
            return;
        }
        if rows.len() as u64 >= LONG / 2 {
            let stretch = cursor.chunk.ties.as_ref().and_then(|ties| ties.in_file(&rows));
            if let Some(rows) = stretch {
                match long.last_mut().filter(|last| last.end == rows.start) {
                    Some(last) => last.end = rows.end,
                    None => long.push(rows),
                }
            }
        }
        places.push(self.block.append(&cursor.chunk, rows, &mut cursor.held));
    }

    /// Brings the rows, of which these are the persons, into their order.
    fn arrange(mut self, pieces: &[Piece], plan: &ScanPlan, people: &People) -> Result<Self> {
        let ranks = Ranks::new(pieces, plan, people);
        let pieces = ranks.sorted(pieces);
        self.persons.reserve_exact(ranks.len);
        let mut order: Vec<u32> = Vec::with_capacity(self.block.ts.len());
        for of_person in pieces.chunk_by(|a, b| a.person == b.person) {
            self.order(of_person, &mut order)?;
            self.persons.push((of_person[0].person, as_u32(order.len())));
        }
        if plan.keeps_rows() && !order.is_empty() {
            let places: Vec<_> = order.iter().map(|&row| self.block.places[row as usize]).collect();
            self.rows = Some(gather(&self.block.batches, &places, plan)?);
        }
        self.block.pick(&order);
        self.order = order;
        self.id_ends.reserve_exact(self.persons.len());
        for &(person, _) in &self.persons {
            self.ids.extend_from_slice(people.name(person).as_bytes());
            self.id_ends.push(self.ids.len());
        }
        if let Some(edges) = &plan.edges {
            self.mark(edges, people, plan.session_gap)?;
        }
        Ok(self)
    }

    /// How many persons have rows.
    pub(super) fn len(&self) -> usize {
        self.persons.len()
    }

    /// The name of person `at`.
    #[inline]
    pub(super) fn name(&self, at: usize) -> &[u8] {
        let from = at.checked_sub(1).map_or(0, |before| self.id_ends[before]);
        &self.ids[from..self.id_ends[at]]
    }

    /// The first person of these whose name is not before all of a kind.
    pub(super) fn first(&self, mut low: usize, mut high: usize, is_before: impl Fn(&[u8]) -> bool) -> usize {
        while low < high {
            let middle = low.midpoint(high);
            if is_before(self.name(middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Where the rows of person `at` begin.
    pub(super) fn start(&self, at: usize) -> usize {
        at.checked_sub(1).map_or(0, |before| self.persons[before].1 as usize)
    }

    /// Times of the rows, µs.
    #[inline]
    pub(super) fn ts(&self) -> &[i64] {
        &self.block.ts
    }

    /// What orders a row.
    pub(super) fn key(&self, row: usize) -> Result<TieKey<'_>> {
        self.laid.key(self.order[row])
    }

    /// Lays rows behind those of a block, with other codes.
    pub(super) fn append_to(
        self: &Arc<Self>,
        block: &mut Block,
        rows: Range<usize>,
        mut code: impl FnMut(u32) -> u32,
        held: &mut Held,
    ) -> Segment {
        let (from, row, own) = (block.ts.len(), rows.start, &self.block);
        let (number, ties) = block.held(held, || (self.rows.clone(), Some(Arc::new(Ties::Moved(Arc::clone(self))))));
        if !own.edges.is_empty() {
            // Only few people have any.
            block.edges.resize(from, Edge::FREE);
        }
        append(&mut block.edges, &own.edges, &rows);
        append(&mut block.ts, &own.ts, &rows);
        append(&mut block.sources, &own.sources, &rows);
        append(&mut block.marks, &own.marks, &rows);
        for (to, codes) in
            [(&mut block.labels, &own.labels), (&mut block.pages, &own.pages), (&mut block.events, &own.events)]
        {
            to.extend(codes.get(rows.clone()).into_iter().flatten().map(|&of| code(of)));
        }
        if block.keeps_rows {
            block.places.extend(rows.map(|row| (number, as_u32(row))));
        }
        Segment { from, ties, row }
    }

    /// Adds a person's rows in the total order.
    fn order(&self, pieces: &[Piece], order: &mut Vec<u32>) -> Result<()> {
        let ts = |row: u32| self.block.ts[row as usize];
        let from = order.len();
        order.extend(pieces.iter().flat_map(|piece| piece.from..piece.to));
        if pieces.windows(2).all(|pair| ts(pair[0].to - 1) < ts(pair[1].from)) {
            return Ok(());
        }
        let order = &mut order[from..];
        order.sort_by_key(|&row| ts(row));
        for equal in order.chunk_by_mut(|&a, &b| ts(a) == ts(b)).filter(|equal| equal.len() > 1) {
            let mut keys = equal.iter().map(|&row| Ok((self.laid.key(row)?, row))).collect::<Result<Vec<_>>>()?;
            keys.sort();
            equal.iter_mut().zip(keys).for_each(|(row, key)| *row = key.1);
        }
        Ok(())
    }

    /// Lays what is said of the rows beside them.
    fn mark(&mut self, edges: &Edges, people: &People, gap: i64) -> Result<()> {
        let flagged = edges.flagged_persons(people);
        for at in 0..self.persons.len() {
            let rows = self.start(at)..self.start(at + 1);
            let place = |row: usize| Ok((self.block.ts[row], self.key(row)?));
            let mut said = edges.of(&rows.clone().map(place).collect::<Result<Vec<_>>>()?, gap);
            if flagged.contains(people.name(self.persons[at].0)) {
                for edge in &mut said.edges {
                    *edge = edge.and(Edge::FLAG);
                }
            }
            if let Some(sources) = self.block.sources.get_mut(rows.clone()) {
                join_sources(sources, &self.block.ts[rows], &said, gap);
            }
            self.block.edges.extend(said.edges);
        }
        Ok(())
    }

    pub(super) fn size(&self) -> usize {
        let rows = self.rows.as_ref().map_or(0, RecordBatch::get_array_memory_size);
        self.block.size()
            + self.order.capacity() * 4
            + self.persons.capacity() * 16
            + self.ids.capacity()
            + rows
            + self.laid.size()
    }
}

/// Puts each later session, up to its own end, into the source session of the earlier one that it goes on with.
fn join_sources(sources: &mut [u64], ts: &[i64], said: &OfRows, gap: i64) {
    for &(last, first) in &said.joined {
        let (into, own) = (sources[last], sources[first]);
        if into == own {
            continue;
        }
        let mut latest = ts[first];
        for row in first..sources.len() {
            if sources[row] != own {
                continue;
            }
            if row > first && (ts[row].saturating_sub(latest) > gap || said.edges[row].has(Edge::SPLIT)) {
                break;
            }
            (sources[row], latest) = (into, ts[row]);
        }
    }
}

/// Rows `from..to` of one part, all of one id and one person's.
#[derive(Debug, Clone, Copy, Default)]
struct Piece {
    person: u32,
    from: u32,
    to: u32,
}

/// Cuts the rows of an id with these times and owners, of which the first is row `first`.
fn cut(ts: &[i64], first: usize, owners: &[Owner], pieces: &mut Vec<Piece>) {
    let mut from = 0;
    for (at, owner) in owners.iter().enumerate() {
        // The last one's time does not end.
        let ends = at + 1 == owners.len();
        let to = if ends { ts.len() } else { from + ts[from..].partition_point(|ts| *ts < owner.to) };
        if from < to {
            pieces.push(Piece { person: owner.person, from: as_u32(first + from), to: as_u32(first + to) });
        }
        from = to;
    }
}

/// The persons that have rows and are asked for, by name.
struct Ranks {
    /// How many there are.
    len: usize,
    /// By person: place among the names, if any.
    ranks: Vec<u32>,
}

/// The rank of a person who is not asked for, or has no rows.
const NOWHERE: u32 = u32::MAX;

impl Ranks {
    fn new(pieces: &[Piece], plan: &ScanPlan, people: &People) -> Self {
        let most = pieces.iter().map(|piece| piece.person as usize + 1).max();
        let mut seen = vec![false; most.unwrap_or(0)];
        for piece in pieces {
            seen[piece.person as usize] = true;
        }
        let wanted = |name: &str| {
            plan.persons.as_ref().is_none_or(|all| all.binary_search_by(|it| it.as_str().cmp(name)).is_ok())
        };
        let all = (0..).zip(&seen).filter(|(_, seen)| **seen).map(|(person, _)| person);
        let mut persons: Vec<u32> = all.filter(|&person| wanted(people.name(person))).collect();
        people.sort(&mut persons);
        let mut ranks = vec![NOWHERE; seen.len()];
        for (rank, person) in (0..).zip(&persons) {
            ranks[*person as usize] = rank;
        }
        Self { len: persons.len(), ranks }
    }

    fn of(&self, piece: &Piece) -> Option<usize> {
        let rank = self.ranks[piece.person as usize];
        (rank != NOWHERE).then_some(rank as usize)
    }

    /// The pieces of these persons, person by person in order of their names, each one's as they come.
    fn sorted(&self, pieces: &[Piece]) -> Vec<Piece> {
        let mut starts = vec![0; self.len + 1];
        pieces.iter().filter_map(|piece| self.of(piece)).for_each(|rank| starts[rank + 1] += 1);
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut sorted = vec![Piece::default(); starts.last().copied().unwrap_or(0)];
        for piece in pieces {
            if let Some(rank) = self.of(piece) {
                sorted[starts[rank]] = *piece;
                starts[rank] += 1;
            }
        }
        sorted
    }
}

/// Copies what is kept of the rows from `rows` on, so that the batches that they came in can go.
fn pack(block: &mut Block, (rows, batches): (usize, usize), plan: &ScanPlan) -> Result<(usize, usize)> {
    if block.ts.len() > rows {
        let kept = gather(&block.batches, &block.places[rows..], plan)?;
        let number = as_u32(batches);
        let len = as_u32(block.places.len() - rows);
        block.batches.truncate(batches);
        block.batches.push(kept);
        block.places.truncate(rows);
        block.places.extend((0..len).map(|row| (number, row)));
    }
    block.serial += 1;
    Ok((block.ts.len(), block.batches.len()))
}

/// The kept columns of these rows as one batch of their own.
fn gather(batches: &[RecordBatch], places: &[(u32, u32)], plan: &ScanPlan) -> Result<RecordBatch> {
    let places: Vec<(usize, usize)> = places.iter().map(|&(batch, row)| (batch as usize, row as usize)).collect();
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for column in &plan.rows {
        let found: Option<Vec<&dyn Array>> =
            batches.iter().map(|batch| batch.column_by_name(column.name()).map(AsRef::as_ref)).collect();
        let Some(found) = found.filter(|found| !found.is_empty()) else { continue };
        let array = own(interleave(&found, &places)?);
        fields.push(Field::new(column.name(), array.data_type().clone(), true));
        arrays.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?)
}

/// The array without the bytes of other rows.
fn own(array: ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8View => Arc::new(array.as_string_view().gc()),
        _ => array,
    }
}
