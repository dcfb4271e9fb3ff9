//! Somebody goes, with all ids: events, refused lines, links, and what the catalog says.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, not};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Serialize;

use super::account::Account;
use super::error::MaintainError;
use super::rewrite::rewrite;
use crate::config::Config;
use crate::correction::{Anchor, Change, EventRef, Fate, fates};
use crate::event::Column;
use crate::identity::{ANONYMOUS, People, Stretch};
use crate::privacy::{ERASED, Identifiers, Key, Tombstone, tombstone};
use crate::store::{CorrectionEdit, Erasure, Linking, Part, Proof, SegmentRow, Store, Table, part_options};

/// What went, or would go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Erased {
    /// Ids of the person that nobody else has.
    pub ids: usize,
    /// Ids that somebody else had at other times: what is theirs stays.
    pub shared_ids: usize,
    pub events: u64,
    /// Refused lines that named one of the ids.
    pub quarantined: u64,
    /// Files that were written anew.
    pub files: usize,
    /// Reads through servers that named one of the ids.
    pub reads: usize,
    /// Saved segments whose query named one of the ids: it stands in them no more.
    pub segments: Vec<String>,
    /// The keyed hash by which the audit knows them.
    pub hash: String,
}

/// Who is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Someone {
    /// The person, as `user_id` has it.
    pub person: String,
    /// Other spellings of the ids: what the input had before a mask.
    pub spellings: Vec<String>,
}

/// The stretches of a person, and what tells of them and nobody else.
///
/// # Errors
/// There are more ids than can be looked for.
pub fn identifiers(people: &People, who: &Someone) -> Result<(Vec<Stretch>, Identifiers), MaintainError> {
    let stretches = people.stretches(&who.person);
    let own = stretches.iter().filter(|stretch| stretch.is_whole()).map(|stretch| stretch.id.clone());
    let bare = |id: String| [id.strip_prefix(ANONYMOUS).or(id.strip_prefix("sid:")).map(str::to_owned), Some(id)];
    let ids = own.flat_map(bare).flatten().chain(who.spellings.iter().cloned());
    let identifiers = Identifiers::new(ids).map_err(MaintainError::Config)?;
    Ok((stretches, identifiers))
}

/// Erases somebody and looks for what is left. Their lines stay counted, as dropped by the rule `erased`; with
/// `dry_run` nothing is changed and nothing is looked for.
///
/// # Errors
/// Nobody has the id, somebody else writes, a part cannot be read, or the disk is full; the store is as it was then.
/// Only the proof may fail after the commit: it names the file.
pub fn forget(
    store: &Store,
    config: &Config,
    who: &Someone,
    now: i64,
    dry_run: bool,
) -> Result<(Erased, Option<Proof>), MaintainError> {
    let mut writer = store.writer(Linking::new(&config.identity))?;
    let key = writer.key(!dry_run)?;
    let snapshot = writer.snapshot()?;
    let people = store.people(&snapshot)?;
    let (stretches, identifiers) = identifiers(&people, who)?;
    let always = (i64::MIN, i64::MAX);
    let hash = key.as_ref().map(|key| tombstone(key, &who.person, always).hash).unwrap_or_default();
    let known_gone = writer.forgotten()?.iter().any(|stone| stone.hash == hash);
    let own = stretches.iter().filter(|stretch| stretch.is_whole()).count();
    let mut report = Erased { ids: own, shared_ids: stretches.len() - own, hash, ..Erased::default() };
    let instead = format!("[forgotten {}]", report.hash.get(..8).unwrap_or_default());
    let corrections = store.corrections(&snapshot)?;
    let fates = fates(&corrections);
    let theirs = Theirs::new(&stretches, &identifiers, placed(&fates, &people, &who.person));
    let about: Vec<i64> = corrections
        .iter()
        .filter(|said| {
            theirs.are_meant(&said.change) || said.change.ids().any(|id| identifiers.ids().any(|it| it == id))
        })
        .map(|said| said.id)
        .collect();
    let names = |row: &SegmentRow| [&row.name, &row.sql].iter().any(|it| identifiers.are_told_by(it.as_bytes()));
    let segments = store.segments(&snapshot)?.into_iter().filter(names);
    report.segments = segments.map(|row| identifiers.cut(&row.name, &instead).unwrap_or(row.name)).collect();
    report.reads = store.forget_reads(&identifiers, &instead, true)?;
    let mut account = Account::default();
    let (mut add, mut remove) = (Vec::new(), Vec::new());
    for part in Table::ALL.into_iter().flat_map(|table| snapshot.parts(table)) {
        if !theirs.are_in(part)? {
            continue;
        }
        let mut gone = 0;
        let new = rewrite(&writer, (part.table, part.day), &[part], &part.rules, &mut |batch| {
            let goes = theirs.rows(part.table, batch)?;
            account.rows(part.table, batch, |row| goes.value(row));
            gone += goes.true_count() as u64;
            Ok(filter_record_batch(batch, &not(&goes)?)?)
        })?;
        match part.table {
            Table::Events => report.events += gone,
            Table::Quarantine => report.quarantined += gone,
        }
        remove.push(part.file_id);
        add.push(new);
    }
    report.files = remove.len();
    let is_told = !report.segments.is_empty() || report.reads > 0;
    if remove.is_empty() && about.is_empty() && !is_told && stretches.len() < 2 && !known_gone {
        return Err(MaintainError::Unknown { id: who.person.clone() });
    }
    let Some(key) = key.filter(|_| !dry_run) else { return Ok((report, None)) };
    let rows = account.sources(snapshot.sources(), ERASED, now)?;
    let end = snapshot.watermark().map_or(i64::MAX, |latest| latest.saturating_add(1));
    let given = fates.values().filter(|fate| theirs.are_in_place(fate)).map(|fate| &fate.anchor);
    let tombstones = tombstones(&key, &stretches, &identifiers, given, end);
    let left = |stretch: &Stretch| {
        let device = stretch.id.strip_prefix(ANONYMOUS).filter(|_| !stretch.is_whole() && stretch.to < i64::MAX)?;
        Some((device.to_owned(), stretch.to - 1))
    };
    let log_outs = stretches.iter().filter_map(left).collect();
    drop(snapshot);
    let mut commit = writer.begin();
    commit.replace(remove, add);
    commit.loses_rows();
    for row in rows {
        commit.source(row);
    }
    for id in about {
        commit.correct(CorrectionEdit::Remove { id });
    }
    commit.erase(Erasure { identifiers: identifiers.clone(), tombstones, log_outs, instead: instead.clone() });
    let Erased { events, quarantined, .. } = report;
    commit.audit("forget", format!("{}: {events} events, {quarantined} quarantined", report.hash));
    commit.commit()?;
    // Beside the commit: who repeats the command after a crash finishes it.
    report.reads = store.forget_reads(&identifiers, &instead, false)?;
    writer.clear()?;
    // The writer is still held, so that nobody takes a file away meanwhile.
    let proof = store.prove_gone(&identifiers)?;
    Ok((report, Some(proof)))
}

/// What keeps somebody from coming back: the ids for the times in which they were theirs, and events that were `given` to
/// them under other ids. What others do on an id after `end` (µs) is theirs.
fn tombstones<'a>(
    key: &Key,
    stretches: &[Stretch],
    identifiers: &Identifiers,
    given: impl Iterator<Item = &'a Anchor>,
    end: i64,
) -> Vec<Tombstone> {
    let until = |stretch: &Stretch| if stretch.is_whole() { i64::MAX } else { stretch.to.min(end) };
    let stones = stretches.iter().map(|stretch| tombstone(key, &stretch.id, (stretch.from, until(stretch))));
    let words = identifiers.ids().map(|id| tombstone(key, id, (i64::MIN, i64::MAX)));
    let given = given.map(|anchor| tombstone(key, &anchor.distinct_id, (anchor.ts, anchor.ts.saturating_add(1))));
    let mut tombstones: Vec<Tombstone> = stones.chain(words).chain(given).collect();
    tombstones.sort();
    tombstones.dedup();
    tombstones
}

/// Notes that everything about somebody was handed out.
///
/// # Errors
/// Somebody else writes, or the disk is full.
pub fn note_export(store: &Store, config: &Config, who: &Someone) -> Result<(), MaintainError> {
    let mut writer = store.writer(Linking::new(&config.identity))?;
    let Some(key) = writer.key(true)? else { return Err(MaintainError::Config("the store has no key".to_owned())) };
    let hash = tombstone(&key, &who.person, (i64::MIN, i64::MAX)).hash;
    let mut commit = writer.begin();
    commit.audit("export-person", hash);
    commit.commit()?;
    Ok(())
}

/// Whether each event that corrections place elsewhere is somebody's there, by source and place.
fn placed(fates: &BTreeMap<EventRef, Fate>, people: &People, person: &str) -> Placed {
    let mut placed = Placed::new();
    for (event, fate) in fates {
        if let Some((id, ts)) = fate.place() {
            let theirs = people.person(id, ts) == person;
            placed.entry(event.source_id.clone()).or_default().insert(event.offset, theirs);
        }
    }
    placed
}

type Placed = HashMap<String, HashMap<i64, bool>>;

/// What is somebody's.
struct Theirs<'a> {
    times: HashMap<&'a str, Vec<(i64, i64)>>,
    placed: Placed,
    identifiers: &'a Identifiers,
}

impl<'a> Theirs<'a> {
    fn new(stretches: &'a [Stretch], identifiers: &'a Identifiers, placed: Placed) -> Self {
        let mut times: HashMap<&str, Vec<(i64, i64)>> = HashMap::new();
        for stretch in stretches {
            times.entry(&stretch.id).or_default().push((stretch.from, stretch.to));
        }
        Self { times, placed, identifiers }
    }

    /// Whether a part has a row of theirs.
    fn are_in(&self, part: &Part) -> Result<bool, MaintainError> {
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(part.open()?, part_options())?;
        let columns: &[&str] = match part.table {
            Table::Events => {
                &[Column::DistinctId.name(), Column::Ts.name(), Column::SourceId.name(), Column::SourceOffset.name()]
                    [..if self.placed.is_empty() { 2 } else { 4 }]
            }
            Table::Quarantine => &["raw"],
        };
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
        for batch in builder.with_projection(mask).build()? {
            if self.rows(part.table, &batch?)?.true_count() > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Which rows of a batch go.
    fn rows(&self, table: Table, batch: &RecordBatch) -> Result<BooleanArray, MaintainError> {
        let missing = || MaintainError::Part(crate::store::other_columns());
        if table == Table::Quarantine {
            let raw = batch.column_by_name("raw").and_then(|raw| raw.as_binary_opt::<i32>()).ok_or_else(missing)?;
            return Ok(raw.iter().map(|line| Some(self.identifiers.are_told_by(line.unwrap_or_default()))).collect());
        }
        let column = |column: Column| batch.column_by_name(column.name());
        let ids = column(Column::DistinctId).and_then(|ids| ids.as_string_opt::<i32>()).ok_or_else(missing)?;
        let ts = column(Column::Ts).and_then(|ts| ts.as_primitive_opt::<TimestampMicrosecondType>());
        let ts = ts.ok_or_else(missing)?.values();
        let mut last: (&str, Option<&Vec<(i64, i64)>>) = ("", None);
        let goes = (0..ids.len()).map(|row| {
            let id = ids.value(row);
            if id != last.0 {
                last = (id, self.times.get(id));
            }
            Some(last.1.is_some_and(|times| times.iter().any(|&(from, to)| (from..to).contains(&ts[row]))))
        });
        let goes: BooleanArray = goes.collect();
        if self.placed.is_empty() {
            return Ok(goes);
        }
        let sources = column(Column::SourceId).and_then(|ids| ids.as_string_opt::<i32>()).ok_or_else(missing)?;
        let offsets = column(Column::SourceOffset).and_then(|places| places.as_primitive_opt::<Int64Type>());
        let offsets = offsets.ok_or_else(missing)?.values();
        let theirs = |row: usize| self.has(ids.value(row), goes.value(row), sources.value(row), offsets[row]);
        Ok((0..ids.len()).map(|row| Some(theirs(row))).collect())
    }

    /// Whether an event goes that `lies` in a stretch of theirs: under an id that is wholly theirs in any case, else where
    /// corrections place it.
    fn has(&self, id: &str, lies: bool, source: &str, offset: i64) -> bool {
        let whole = self.times.get(id).is_some_and(|times| times.contains(&(i64::MIN, i64::MAX)));
        let placed = self.placed.get(source).and_then(|of| of.get(&offset)).copied();
        whole || placed.unwrap_or(lies)
    }

    /// Whether corrections place an event with them.
    fn are_in_place(&self, fate: &Fate) -> bool {
        let EventRef { source_id, offset } = &fate.anchor.event;
        self.placed.get(source_id).and_then(|of| of.get(offset)).copied().unwrap_or(false)
    }

    /// Whether a correction is about an event that goes.
    fn are_meant(&self, change: &Change) -> bool {
        let goes = |anchor: &Anchor| {
            let times = self.times.get(anchor.distinct_id.as_str());
            let lies = times.is_some_and(|times| times.iter().any(|&(from, to)| (from..to).contains(&anchor.ts)));
            self.has(&anchor.distinct_id, lies, &anchor.event.source_id, anchor.event.offset)
        };
        change.anchors().any(goes)
    }
}
