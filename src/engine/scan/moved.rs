//! Rows whose person is not who their id says: read first, put under their person's name, and merged like another part.
//!
//! ```text
//! redirected ids of all parts ─► rows by (person, total order) ─┐ once for the pass
//!                                                               ├─ a chunk of each reader's range ─► Cursor ─► the merge
//! parts ─ Cursors that pass redirected ids over ────────────────┘
//! ```
//!
//! Invariants: a row comes from a part's own cursor or from here, never from both; a person whose ids are all redirected
//! appears all the same; what is kept of a row is what the pass asked for and what orders it.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::Result;

use crate::identity::{Owner, People};
use crate::journey::Edge;
use crate::limits;

use super::block::{Block, keep};
use super::chunk::Chunk;
use super::cursor::Cursor;
use super::label::Labels;
use super::names::{NONE, Names};
use super::overlay::{Edges, OfRows};
use super::part::Opened;
use super::plan::{Redirected, ScanPlan};
use super::range::IdRange;
use super::runs::{append_rows, as_u32};
use super::ties::{TieKey, Ties};

/// All moved rows of a pass.
#[derive(Debug, Default)]
pub(super) struct Moved {
    people: Arc<People>,
    names: Names,
    /// Those of the pass's parts.
    pub rows: Sorted,
    /// Those of each later part.
    pub later: Vec<Sorted>,
}

/// Moved rows, person by person in the total order.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// Number and rows, ascending by name.
    persons: Vec<(u32, Range<usize>)>,
    block: Block,
    /// What orders the rows: by row, in which of `ties`, and at which row there.
    places: Vec<(u32, u32)>,
    ties: Arc<[Arc<Ties>]>,
}

impl Moved {
    /// Reads the rows of redirected ids.
    pub(super) fn read(plan: &ScanPlan, parts: &[Opened], people: &Arc<People>) -> Result<Self> {
        let mut moved = Self { people: Arc::clone(people), ..Self::default() };
        let mut own = plan.clone().with_ids(plan.ids.as_deref().map(|ids| people.redirected(ids)));
        // These cursors do not pass them over.
        own.redirected = Redirected::Only;
        let mut labels = Labels::new(plan.label);
        if let Some(history) = &plan.history {
            let parts = history.iter().map(Opened::open).collect::<Result<Vec<_>>>()?;
            moved.rows = Sorted::read(&own, &parts, people, &mut moved.names, &mut labels)?;
            return Ok(moved);
        }
        moved.rows = Sorted::read(&own, parts, people, &mut moved.names, &mut labels)?;
        for part in &plan.later {
            let part = [Opened::open(part)?];
            moved.later.push(Sorted::read(&own, &part, people, &mut moved.names, &mut labels)?);
        }
        Ok(moved)
    }

    /// The rows of a range of persons, with the codes of `names`.
    pub(super) fn chunk(&self, sorted: &Sorted, range: &IdRange, names: &mut Names) -> Chunk {
        let mut chunk = Chunk::default();
        let name = |person: u32| self.people.name(person).as_bytes();
        let from = sorted.persons.partition_point(|&(person, _)| range.is_after(name(person)));
        let to = sorted.persons.partition_point(|&(person, _)| !range.is_before(name(person)));
        let persons = sorted.persons.get(from..to).unwrap_or_default();
        let (Some(first), Some(last)) = (persons.first(), persons.last()) else { return chunk };
        let rows = first.1.start..last.1.end;
        for (person, its) in persons {
            chunk.push_run(name(*person), its.start - rows.start..its.end - rows.start, 0);
        }
        // By code of the moved rows; `NONE` stands for itself and for what was not met yet.
        let mut codes: Vec<u32> = Vec::new();
        let mut translated = |from: &[u32]| -> Vec<u32> {
            let code = |&code: &u32| {
                let at = code as usize;
                if at >= codes.len() {
                    codes.resize(at + 1, NONE);
                }
                if codes[at] == NONE && code != NONE {
                    codes[at] = names.code(self.names.text(code));
                }
                codes[at]
            };
            from.get(rows.clone()).unwrap_or_default().iter().map(code).collect()
        };
        let block = &sorted.block;
        chunk.labels = translated(&block.labels);
        chunk.pages = translated(&block.pages);
        chunk.events = translated(&block.events);
        chunk.ts = block.ts[rows.clone()].to_vec().into();
        chunk.sources = block.sources.get(rows.clone()).unwrap_or_default().to_vec();
        chunk.marks = block.marks.get(rows.clone()).unwrap_or_default().to_vec();
        chunk.edges = block.edges.get(rows.clone()).unwrap_or_default().to_vec();
        chunk.rows = block.batches.first().map(|batch| batch.slice(rows.start, rows.len()));
        let ties = Ties::Elsewhere(Arc::clone(&sorted.ties), sorted.places[rows].to_vec());
        chunk.ties = Some(Arc::new(ties));
        chunk
    }

    pub(super) fn size(&self) -> usize {
        self.names.size() + self.rows.size() + self.later.iter().map(Sorted::size).sum::<usize>()
    }
}

impl Sorted {
    fn read(
        plan: &ScanPlan,
        parts: &[Opened],
        people: &Arc<People>,
        names: &mut Names,
        labels: &mut Labels,
    ) -> Result<Self> {
        let mut read = Self { block: Block { keeps_rows: plan.keeps_rows(), ..Block::default() }, ..Self::default() };
        let mut pieces: Vec<Piece> = Vec::new();
        let ids = people.range().map_or_else(IdRange::default, |(first, last)| IdRange::between(first, last));
        for part in parts {
            let mut cursor = Cursor::new(part, plan, &ids, 0)?;
            let mut packed = (read.block.ts.len(), read.block.batches.len());
            let mut place = 0;
            let mut more = cursor.first(names, labels)?;
            while more {
                read.take(&mut cursor, people, &mut place, &mut pieces);
                more = cursor.first(names, labels)?;
                if read.block.keeps_rows && (!more || read.block.ts.len() - packed.0 >= limits::BATCH_ROWS) {
                    packed = pack(&mut read.block, packed, plan)?;
                }
            }
        }
        read.ties = std::mem::take(&mut read.block.ties).into();
        read.arrange(&pieces, plan, people)
    }

    /// Lays the rows of redirected ids of the cursor's chunk behind those that are here. Runs that follow each other, as
    /// all devices do, are copied together.
    fn take(&mut self, cursor: &mut Cursor, people: &People, place: &mut usize, pieces: &mut Vec<Piece>) {
        let mut open = 0..0;
        for run in 0..cursor.chunk.len() {
            let Some(owners) = people.next_owners(cursor.chunk.id(run), place) else { continue };
            let rows = cursor.chunk.run(run);
            if rows.start != open.end {
                self.lay(cursor, open);
                open = rows.start..rows.start;
            }
            open.end = rows.end;
            let from = self.block.ts.len() + rows.start - open.start;
            cut(&cursor.chunk.ts[rows], from, owners, pieces);
        }
        self.lay(cursor, open);
    }

    fn lay(&mut self, cursor: &mut Cursor, rows: Range<usize>) {
        if !rows.is_empty() {
            let laid = append_rows(&mut self.block, &cursor.chunk, rows.clone(), &mut cursor.held);
            self.places.extend(rows.map(|row| (laid.ties, as_u32(row))));
        }
    }

    /// Brings the rows, of which these are the persons, into their order.
    fn arrange(mut self, pieces: &[Piece], plan: &ScanPlan, people: &People) -> Result<Self> {
        let ranks = Ranks::new(pieces, plan, people);
        let pieces = ranks.sorted(pieces);
        self.persons.reserve_exact(ranks.len);
        let mut order: Vec<u32> = Vec::with_capacity(self.block.ts.len());
        for of_person in pieces.chunk_by(|a, b| a.person == b.person) {
            let from = order.len();
            self.order(of_person, &mut order)?;
            self.persons.push((of_person[0].person, from..order.len()));
        }
        if plan.keeps_rows() {
            let places: Vec<_> = order.iter().map(|&row| self.block.places[row as usize]).collect();
            let batch = if places.is_empty() { None } else { Some(gather(&self.block.batches, &places, plan)?) };
            self.block.batches = batch.into_iter().collect();
        }
        keep(&mut self.places, &order);
        self.block.pick(&order);
        if let Some(edges) = &plan.edges {
            self.mark(edges, people, plan.session_gap)?;
        }
        Ok(self)
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
            let mut keys = equal.iter().map(|&row| Ok((self.tie(row)?, row))).collect::<Result<Vec<_>>>()?;
            keys.sort();
            equal.iter_mut().zip(keys).for_each(|(row, key)| *row = key.1);
        }
        Ok(())
    }

    /// What orders a row.
    fn tie(&self, row: u32) -> Result<TieKey<'_>> {
        let (number, row) = self.places[row as usize];
        self.ties[number as usize].key(row as usize)
    }

    /// Lays what is said of the rows beside them.
    fn mark(&mut self, edges: &Edges, people: &People, gap: i64) -> Result<()> {
        let flagged = edges.flagged_persons(people);
        for (person, rows) in &self.persons {
            let place = |row: usize| Ok((self.block.ts[row], self.tie(as_u32(row))?));
            let mut said = edges.of(&rows.clone().map(place).collect::<Result<Vec<_>>>()?, gap);
            if flagged.contains(people.name(*person)) {
                for edge in &mut said.edges {
                    *edge = edge.and(Edge::FLAG);
                }
            }
            if let Some(sources) = self.block.sources.get_mut(rows.clone()) {
                join_sources(sources, &self.block.ts[rows.clone()], &said, gap);
            }
            self.block.edges.extend(said.edges);
        }
        Ok(())
    }

    fn size(&self) -> usize {
        let batches: usize = self.block.batches.iter().map(RecordBatch::get_array_memory_size).sum();
        let ties: usize = self.ties.iter().map(|ties| ties.size()).sum();
        self.block.size() + self.persons.capacity() * 24 + self.places.capacity() * 8 + batches + ties
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
