//! Rows of people with several ids, set aside until the whole range has been read: their ids lie far apart.
//!
//! ```text
//! reader 0 ─ runs of nobody else's ─► its blocks          runs of linked ids ─► Aside ─ hand over ─┐
//! reader 1 ─ …                                                                ─► Aside ─ hand over ─┤
//! the last one to finish:  Rest = all of them, by person, in the total order ─► its last blocks ◄───┘
//! ```
//!
//! Invariants: a row is set aside or in a block of its reader, never both; what is kept of a row is what the pass asked
//! for and what orders it, about 32 bytes; nobody waits for another reader, so that readers may run in any order.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::Result;

use crate::event::Column;
use crate::identity::{Owner, People, owner};
use crate::limits;

use super::block::Block;
use super::cursor::Cursor;
use super::label::Labels;
use super::names::{NONE, Names};
use super::part::Opened;
use super::plan::ScanPlan;
use super::range::IdRange;
use super::runs::{TieKey, append_run, as_u32};

/// What one reader sets aside.
#[derive(Debug)]
pub(super) struct Aside {
    /// Its people stand one after the other, and are not told apart by it.
    pub block: Block,
    /// Whose each row is.
    persons: Vec<u32>,
    /// Rows and batches that were packed.
    packed: (usize, usize),
    /// Where the last id was looked for in the map.
    place: usize,
}

impl Aside {
    pub(super) fn new() -> Self {
        let block = Block { keeps_rows: true, ..Block::default() };
        Self { block, persons: Vec::new(), packed: (0, 0), place: 0 }
    }

    /// The owners of an id whose rows are to be set aside. Ids are asked for in ascending order.
    pub(super) fn owners<'a>(&mut self, people: &'a People, id: &[u8]) -> Option<&'a [Owner]> {
        self.place = people.seek(id, self.place);
        people.at(self.place, id)
    }

    /// The rows that were added last are of the id that was asked for last.
    pub(super) fn own(&mut self, people: &People) {
        let owners = people.at(self.place, self.block.ids.as_bytes()).unwrap_or_default();
        let from = self.persons.len();
        self.persons.extend(self.block.ts[from..].iter().map(|&ts| owner(owners, ts).unwrap_or_default()));
    }

    /// Copies what is kept of the rows since the last time, so that the batches they came in can go.
    pub(super) fn pack(&mut self, plan: &ScanPlan) -> Result<()> {
        let (rows, batches) = self.packed;
        if self.block.ts.len() > rows {
            let places: Vec<_> = self.block.places[rows..].to_vec();
            let kept = gather(&self.block.batches, &places, plan)?;
            self.block.batches.truncate(batches);
            self.block.batches.push(kept);
            let number = as_u32(batches);
            self.block.places.truncate(rows);
            self.block.places.extend((0..as_u32(places.len())).map(|row| (number, row)));
            self.packed = (self.block.ts.len(), batches + 1);
        }
        self.block.serial += 1;
        Ok(())
    }

    pub(super) fn size(&self) -> usize {
        let batches: usize = self.block.batches.iter().map(RecordBatch::get_array_memory_size).sum();
        self.block.size() + self.persons.capacity() * 4 + batches
    }
}

/// What the readers of a pass have handed over.
#[derive(Debug)]
pub(super) struct HandOver(Mutex<Vec<Option<(Aside, Names)>>>);

impl HandOver {
    pub(super) fn new(readers: usize) -> Self {
        Self(Mutex::new((0..readers).map(|_| None).collect()))
    }

    /// Takes what a reader has set aside, and gives everything to the last one.
    pub(super) fn give(&self, reader: usize, aside: Aside, names: &Names) -> Option<Vec<(Aside, Names)>> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get_mut(reader) {
            *slot = Some((aside, names.clone()));
        }
        // A pass that runs again starts with empty slots.
        let complete = slots.iter().all(Option::is_some);
        complete.then(|| slots.iter_mut().filter_map(Option::take).collect())
    }
}

/// All rows that were set aside, person by person.
#[derive(Debug, Default)]
pub(super) struct Rest {
    block: Block,
    persons: Vec<u32>,
    /// Rows by person in the total order, and the end of each person's.
    order: Vec<u32>,
    people: std::vec::IntoIter<(u32, Range<usize>)>,
}

impl Rest {
    /// Brings together what all readers have set aside; codes become those of `names`.
    pub(super) fn gather(
        given: Vec<(Aside, Names)>,
        plan: &ScanPlan,
        people: &People,
        (names, labels): (&mut Names, &mut Labels),
        prefix: usize,
    ) -> Result<Self> {
        let mut rest = Self::default();
        for (aside, theirs) in given {
            rest.take(aside, &theirs, names);
        }
        rest.follow(plan, people, (names, labels), prefix)?;
        rest.sort(plan, people)?;
        Ok(rest)
    }

    fn take(&mut self, aside: Aside, theirs: &Names, ours: &mut Names) {
        let mut codes: HashMap<u32, u32> = HashMap::new();
        let mut translated = |from: &[u32]| -> Vec<u32> {
            let code = |&code: &u32| match code {
                NONE => NONE,
                code => *codes.entry(code).or_insert_with(|| ours.code(theirs.text(code))),
            };
            from.iter().map(code).collect()
        };
        let block = aside.block;
        let first = as_u32(self.block.batches.len());
        self.block.labels.extend(translated(&block.labels));
        self.block.pages.extend(translated(&block.pages));
        self.block.events.extend(translated(&block.events));
        self.block.ts.extend(block.ts);
        self.block.sources.extend(block.sources);
        self.block.marks.extend(block.marks);
        self.block.places.extend(block.places.iter().map(|&(batch, row)| (batch + first, row)));
        self.block.batches.extend(block.batches);
        self.persons.extend(aside.persons);
    }

    /// Adds rows of later parts for as long as a session may run on into them, whatever the id.
    fn follow(
        &mut self,
        plan: &ScanPlan,
        people: &People,
        (names, labels): (&mut Names, &mut Labels),
        prefix: usize,
    ) -> Result<()> {
        let mut latest: HashMap<u32, i64> = HashMap::new();
        for (&person, &ts) in self.persons.iter().zip(&self.block.ts) {
            latest.entry(person).and_modify(|latest| *latest = ts.max(*latest)).or_insert(ts);
        }
        for part in &plan.later {
            let near: HashSet<u32> = latest
                .iter()
                .filter(|(_, latest)| part.ts_min.saturating_sub(**latest) <= plan.gap)
                .map(|(person, _)| *person)
                .collect();
            if near.is_empty() {
                return Ok(());
            }
            let persons: Vec<String> = near.iter().map(|&person| people.name(person).to_owned()).collect();
            let own = plan.clone().with_ids(Some(people.ids_of(&persons)));
            let mut aside = Aside::new();
            let mut cursor = Cursor::new(&Opened::open(part)?, &own, &IdRange::default(), prefix)?;
            let mut more = cursor.first(names, labels)?;
            while more {
                aside.run(people, &mut cursor);
                more = cursor.advance(names, labels)?;
                if aside.block.ts.len() - aside.packed.0 >= limits::BATCH_ROWS {
                    aside.pack(plan)?;
                }
            }
            aside.pack(plan)?;
            aside.keep(|person| near.contains(&person));
            for (&person, &ts) in aside.persons.iter().zip(&aside.block.ts) {
                latest.entry(person).and_modify(|latest| *latest = ts.max(*latest)).or_insert(ts);
            }
            let same = names.clone();
            self.take(aside, &same, names);
        }
        Ok(())
    }

    fn sort(&mut self, plan: &ScanPlan, people: &People) -> Result<()> {
        let mut by_person: BTreeMap<&str, (u32, Vec<u32>)> = BTreeMap::new();
        for (row, &person) in (0..).zip(&self.persons) {
            let name = people.name(person);
            if plan.persons.as_ref().is_none_or(|wanted| wanted.contains(name)) {
                by_person.entry(name).or_insert_with(|| (person, Vec::new())).1.push(row);
            }
        }
        let (block, mut order) = (&self.block, Vec::with_capacity(self.persons.len()));
        let mut ranges = Vec::with_capacity(by_person.len());
        for (person, mut rows) in by_person.into_values() {
            let tie = |row: u32| TieKey::of(&block.batches, block.places[row as usize]);
            rows.sort_by(|&a, &b| block.ts[a as usize].cmp(&block.ts[b as usize]).then_with(|| tie(a).cmp(&tie(b))));
            ranges.push((person, order.len()..order.len() + rows.len()));
            order.extend(rows);
        }
        if !order.is_empty() && plan.keeps_rows() {
            let places: Vec<_> = order.iter().map(|&row| block.places[row as usize]).collect();
            self.block.batches = vec![gather(&self.block.batches, &places, plan)?];
        } else {
            self.block.batches.clear();
        }
        (self.order, self.people) = (order, ranges.into_iter());
        Ok(())
    }

    /// Adds the next person's rows to a block; `None` when there is none left.
    pub(super) fn next<'a>(&mut self, people: &'a People, into: &mut Block) -> Option<&'a str> {
        let (person, rows) = self.people.next()?;
        if into.batches.is_empty() {
            into.batches.clone_from(&self.block.batches);
        }
        if !self.block.batches.is_empty() {
            into.places.extend((rows.start..rows.end).map(|row| (0, as_u32(row))));
        }
        let order = &self.order[rows];
        let from = &self.block;
        pick(&mut into.ts, &from.ts, order);
        pick(&mut into.labels, &from.labels, order);
        pick(&mut into.pages, &from.pages, order);
        pick(&mut into.events, &from.events, order);
        pick(&mut into.sources, &from.sources, order);
        pick(&mut into.marks, &from.marks, order);
        Some(people.name(person))
    }

    pub(super) fn size(&self) -> usize {
        let batches: usize = self.block.batches.iter().map(RecordBatch::get_array_memory_size).sum();
        self.block.size() + self.persons.capacity() * 4 + self.order.capacity() * 4 + batches
    }
}

impl Aside {
    /// Adds the cursor's run.
    fn run(&mut self, people: &People, cursor: &mut Cursor) {
        append_run(&mut self.block, cursor, None, 1);
        let owners = people.owners(cursor.id()).unwrap_or_default();
        let from = self.persons.len();
        self.persons.extend(self.block.ts[from..].iter().map(|&ts| owner(owners, ts).unwrap_or_default()));
    }

    /// Drops the rows of other persons.
    fn keep(&mut self, wanted: impl Fn(u32) -> bool) {
        let kept: Vec<u32> =
            (0..).zip(&self.persons).filter(|(_, person)| wanted(**person)).map(|(row, _)| row).collect();
        let mut block = Block::default();
        pick(&mut block.ts, &self.block.ts, &kept);
        pick(&mut block.labels, &self.block.labels, &kept);
        pick(&mut block.pages, &self.block.pages, &kept);
        pick(&mut block.events, &self.block.events, &kept);
        pick(&mut block.sources, &self.block.sources, &kept);
        pick(&mut block.marks, &self.block.marks, &kept);
        pick(&mut block.places, &self.block.places, &kept);
        block.batches = std::mem::take(&mut self.block.batches);
        let persons = kept.iter().map(|&row| self.persons[row as usize]).collect();
        (self.block, self.persons) = (block, persons);
    }
}

fn pick<T: Copy>(to: &mut Vec<T>, from: &[T], rows: &[u32]) {
    // A column that was not asked for.
    if !from.is_empty() {
        to.extend(rows.iter().map(|&row| from[row as usize]));
    }
}

/// The kept columns of these rows, and those that order them, as one batch of their own.
fn gather(batches: &[RecordBatch], places: &[(u32, u32)], plan: &ScanPlan) -> Result<RecordBatch> {
    let places: Vec<(usize, usize)> = places.iter().map(|&(batch, row)| (batch as usize, row as usize)).collect();
    let ties = [Column::SourceId, Column::SourceOffset, Column::EventId];
    let mut columns: Vec<Column> = plan.rows.iter().copied().chain(ties).collect();
    columns.sort_unstable();
    columns.dedup();
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for column in columns {
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
