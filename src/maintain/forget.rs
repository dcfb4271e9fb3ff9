//! Somebody goes, with all ids: events, refused lines, links, and what the catalog says.

use std::collections::{HashMap, HashSet};

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
use crate::correction::{Correction, fates};
use crate::event::Column;
use crate::identity::{People, Stretch};
use crate::privacy::{ERASED, Identifiers, Tombstone, tombstone};
use crate::store::{Erasure, Linking, Part, Proof, Store, Table, part_options};

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
    let bare = |id: String| [id.strip_prefix("anon:").or(id.strip_prefix("sid:")).map(str::to_owned), Some(id)];
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
    let people = People::new(store.links(&snapshot)?);
    let (stretches, identifiers) = identifiers(&people, who)?;
    let always = (i64::MIN, i64::MAX);
    let hash = key.as_ref().map(|key| tombstone(key, &who.person, always).hash).unwrap_or_default();
    let known_gone = writer.forgotten()?.iter().any(|stone| stone.hash == hash);
    let own = stretches.iter().filter(|stretch| stretch.is_whole()).count();
    let mut report = Erased { ids: own, shared_ids: stretches.len() - own, hash, ..Erased::default() };
    let theirs = Theirs::new(&stretches, &identifiers, given(&store.corrections(&snapshot)?, &people, &who.person));
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
    if remove.is_empty() && stretches.len() < 2 && !known_gone {
        return Err(MaintainError::Unknown { id: who.person.clone() });
    }
    let Some(key) = key.filter(|_| !dry_run) else { return Ok((report, None)) };
    let rows = account.sources(snapshot.sources(), ERASED, now)?;
    // What others do on an id later is theirs.
    let end = snapshot.watermark().map_or(i64::MAX, |latest| latest.saturating_add(1));
    let until = |stretch: &Stretch| if stretch.is_whole() { i64::MAX } else { stretch.to.min(end) };
    let stones = stretches.iter().map(|stretch| tombstone(&key, &stretch.id, (stretch.from, until(stretch))));
    let words = identifiers.ids().map(|id| tombstone(&key, id, always));
    let mut tombstones: Vec<Tombstone> = stones.chain(words).collect();
    let left = |stretch: &Stretch| {
        let device = stretch.id.strip_prefix("anon:").filter(|_| !stretch.is_whole() && stretch.to < i64::MAX)?;
        Some((device.to_owned(), stretch.to - 1))
    };
    let log_outs = stretches.iter().filter_map(left).collect();
    tombstones.sort();
    tombstones.dedup();
    drop(snapshot);
    let mut commit = writer.begin();
    commit.replace(remove, add);
    commit.loses_rows();
    for row in rows {
        commit.source(row);
    }
    commit.erase(Erasure {
        identifiers: identifiers.clone(),
        tombstones,
        log_outs,
        instead: format!("[forgotten {}]", &report.hash[..8]),
    });
    let Erased { events, quarantined, .. } = report;
    commit.audit("forget", format!("{}: {events} events, {quarantined} quarantined", report.hash));
    commit.commit()?;
    writer.checkpoint()?;
    // The writer is still held, so that nobody takes a file away meanwhile.
    let proof = store.prove_gone(&identifiers)?;
    Ok((report, Some(proof)))
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

/// The events that corrections made somebody's, by source and place.
fn given(corrections: &[Correction], people: &People, person: &str) -> HashMap<String, HashSet<i64>> {
    let mut given: HashMap<String, HashSet<i64>> = HashMap::new();
    for (event, fate) in fates(corrections) {
        if fate.place().is_some_and(|(id, ts)| people.person(id, ts) == person) {
            given.entry(event.source_id).or_default().insert(event.offset);
        }
    }
    given
}

/// What is somebody's.
struct Theirs<'a> {
    times: HashMap<&'a str, Vec<(i64, i64)>>,
    given: HashMap<String, HashSet<i64>>,
    identifiers: &'a Identifiers,
}

impl<'a> Theirs<'a> {
    fn new(stretches: &'a [Stretch], identifiers: &'a Identifiers, given: HashMap<String, HashSet<i64>>) -> Self {
        let mut times: HashMap<&str, Vec<(i64, i64)>> = HashMap::new();
        for stretch in stretches {
            times.entry(&stretch.id).or_default().push((stretch.from, stretch.to));
        }
        Self { times, given, identifiers }
    }

    /// Whether a part has a row of theirs.
    fn are_in(&self, part: &Part) -> Result<bool, MaintainError> {
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(part.open()?, part_options())?;
        let columns: &[&str] = match part.table {
            Table::Events => {
                &[Column::DistinctId.name(), Column::Ts.name(), Column::SourceId.name(), Column::SourceOffset.name()]
                    [..if self.given.is_empty() { 2 } else { 4 }]
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
        if self.given.is_empty() {
            return Ok(goes);
        }
        let sources = column(Column::SourceId).and_then(|ids| ids.as_string_opt::<i32>()).ok_or_else(missing)?;
        let offsets = column(Column::SourceOffset).and_then(|places| places.as_primitive_opt::<Int64Type>());
        let offsets = offsets.ok_or_else(missing)?.values();
        let given = |row: usize| self.given.get(sources.value(row)).is_some_and(|of| of.contains(&offsets[row]));
        Ok((0..ids.len()).map(|row| Some(goes.value(row) || given(row))).collect())
    }
}
