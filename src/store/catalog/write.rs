//! One commit's rows: the part of the protocol between BEGIN and COMMIT (FORMAT.md §6, steps 3 to 5).

use std::io;

use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};

use super::ddl::{self, NEXT_CATALOG_ID, SCHEMA_VERSION, column_id};
use super::read::{head, place};
use super::stats::bound_text;
use super::{
    AliasEdit, Catalog, CorrectionEdit, Erasure, SegmentEdit, StoreError, corrections, digest, erase, late, links,
    segments, sql_time, totals,
};
use crate::store::disk::{Disk, Step};
use crate::store::late::Late;
use crate::store::layout::Table;
use crate::store::links::LinkChange;
use crate::store::part::NewPart;
use crate::store::source::SourceRow;

/// What one commit changes.
#[derive(Debug)]
pub(in crate::store) struct Change<'a> {
    /// The snapshot that it was planned on.
    pub planned: i64,
    pub add: &'a [NewPart],
    /// File ids of live parts that are replaced.
    pub remove: &'a [i64],
    pub sources: &'a [SourceRow],
    /// Sources whose rows go.
    pub forget: &'a [String],
    pub links: &'a LinkChange,
    pub aliases: &'a [AliasEdit],
    pub corrections: &'a [CorrectionEdit],
    pub segments: &'a [SegmentEdit],
    /// Who goes.
    pub erasure: Option<&'a Erasure>,
    pub late: Option<&'a Late>,
    /// What was done, and details.
    pub audit: &'a [(String, String)],
    /// Microseconds.
    pub now: i64,
}

/// Why a change was not applied.
#[derive(Debug)]
pub(in crate::store) enum CommitFailure {
    /// Certainly nothing happened.
    Nothing(StoreError),
    /// COMMIT itself failed: only a reopened catalog knows.
    Unknown(StoreError),
}

impl Catalog {
    /// Applies a change in one transaction and returns the new snapshot.
    pub(in crate::store) fn apply(&mut self, change: &Change<'_>, disk: &Disk) -> Result<i64, CommitFailure> {
        let path = self.path.clone();
        let fail = |error| StoreError::catalog("committing to", &path, error);
        let before = |error: io::Error| CommitFailure::Nothing(StoreError::io("committing to", &path, error));
        self.check_before(change).map_err(CommitFailure::Nothing)?;
        self.tally.take();
        let tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| CommitFailure::Nothing(fail(error)))?;
        let id = write(&tx, change).map_err(|refusal| match refusal {
            Refusal::Sql(error) => CommitFailure::Nothing(fail(error)),
            Refusal::Moved(what) => CommitFailure::Nothing(StoreError::Moved { what }),
        })?;
        digest::keep(&tx, &self.tally).map_err(|error| CommitFailure::Nothing(fail(error)))?;
        disk.step(Step::Commit).map_err(before)?;
        tx.commit().map_err(|error| CommitFailure::Unknown(fail(error)))?;
        disk.step(Step::Commit)
            .map_err(|error| CommitFailure::Unknown(StoreError::io("committing to", &path, error)))?;
        Ok(id)
    }

    fn check_before(&self, change: &Change<'_>) -> Result<(), StoreError> {
        if let Some((row, detail)) = change.sources.iter().find_map(|row| Some((row, row.contradiction()?))) {
            let (source_id, name) = (row.source_id.clone(), row.name.clone());
            return Err(StoreError::Counters { source_id, name, detail });
        }
        let tx = self.connection.unchecked_transaction().map_err(self.fail("reading the head"))?;
        self.check_foreign(&tx)
    }

    /// Adds a fact about the store, which stays for life.
    pub(in crate::store) fn set_meta(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO jq_meta(key, value) VALUES (?1, ?2)";
        self.change("writing to", |tx| tx.execute(sql, [key, value]).map(drop))
    }

    /// Takes a fact out of a store that is to be as one of before.
    #[cfg(test)]
    pub(in crate::store) fn forget_meta(&mut self, key: &str) -> Result<(), StoreError> {
        self.change("writing to", |tx| tx.execute("DELETE FROM jq_meta WHERE key = ?1", [key]).map(drop))
    }

    /// Forgets replaced parts whose files are gone.
    pub(in crate::store) fn forget_removed(&mut self, file_ids: &[i64]) -> Result<(), StoreError> {
        let sql = "DELETE FROM jq_removed WHERE data_file_id = ?1";
        self.change("tidying", |tx| file_ids.iter().try_for_each(|id| tx.execute(sql, [id]).map(drop)))
    }

    /// After the folder has moved, says where the data lies now, for readers that resolve `data_path` themselves.
    pub(super) fn correct_data_path(&mut self) -> Result<(), StoreError> {
        let now = self.layout.data_path();
        let sql = "SELECT EXISTS (SELECT 1 FROM ducklake_metadata WHERE key = 'data_path' AND value <> ?1)";
        if !self.connection.query_row(sql, [&now], |row| row.get(0)).map_err(self.fail("reading data_path of"))? {
            return Ok(());
        }
        let sql = "UPDATE ducklake_metadata SET value = ?1 WHERE key = 'data_path'";
        self.change("correcting data_path in", |tx| tx.execute(sql, [&now]).map(drop))
    }
}

enum Refusal {
    Sql(rusqlite::Error),
    Moved(String),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

fn write(tx: &Transaction<'_>, change: &Change<'_>) -> Result<i64, Refusal> {
    let found = head(tx)?;
    if found != change.planned {
        return Err(Refusal::Moved(format!("planned on snapshot {}, the store is at {found}", change.planned)));
    }
    let id = found + 1;
    let next_file: i64 =
        tx.query_row("SELECT next_file_id FROM ducklake_snapshot WHERE snapshot_id = ?1", [found], |row| row.get(0))?;
    let mut removed = Vec::new();
    for &file_id in change.remove {
        removed.push(remove(tx, file_id, id)?);
    }
    let mut file_id = next_file;
    for table in Table::ALL {
        let added: Vec<&NewPart> = change.add.iter().filter(|part| part.table() == table).collect();
        let replaced = removed.contains(&table);
        if !added.is_empty() && !replaced {
            totals::widen(tx, table, &added)?;
        }
        let mut next_row = next_row(tx, table)?;
        for part in &added {
            add(tx, part, file_id, id, next_row)?;
            file_id += 1;
            next_row += count(part.rows);
        }
        if replaced {
            totals::roll_up(tx, table)?;
        }
        if replaced || !added.is_empty() {
            sum_up(tx, table, next_row)?;
        }
    }
    snapshot(tx, change, id, file_id, &removed)?;
    for source_id in change.forget {
        tx.execute("DELETE FROM jq_sources WHERE source_id = ?1", [source_id])?;
    }
    for source in change.sources {
        upsert(tx, source)?;
    }
    links::write(tx, change.links, change.aliases, id)?;
    corrections::write(tx, change.corrections, id, change.now)?;
    segments::write(tx, change.segments, id, change.now)?;
    if let Some(erasure) = change.erasure {
        erase::write(tx, erasure, id)?;
    }
    if let Some(late) = change.late {
        late::write(tx, late, id, change.now)?;
    }
    for (what, detail) in change.audit {
        tx.execute(
            "INSERT INTO jq_audit(snapshot_id, at, what, detail) VALUES (?1, ?2, ?3, ?4)",
            params![id, change.now, what, detail],
        )?;
    }
    tx.execute("UPDATE jq_meta SET value = ?1 WHERE key = 'head'", [id.to_string()])?;
    Ok(id)
}

/// The snapshot's own rows. A replace takes the older snapshots with it: their files are about to go.
fn snapshot(
    tx: &Transaction<'_>,
    change: &Change<'_>,
    id: i64,
    next_file: i64,
    removed: &[Table],
) -> rusqlite::Result<()> {
    if !removed.is_empty() {
        tx.execute("DELETE FROM ducklake_snapshot", [])?;
        tx.execute("DELETE FROM ducklake_snapshot_changes", [])?;
    }
    tx.execute(
        "INSERT INTO ducklake_snapshot VALUES (?1, ?2, ?3, ?4, ?5)",
        params![id, sql_time(change.now), SCHEMA_VERSION, NEXT_CATALOG_ID, next_file],
    )?;
    let mut changes: Vec<String> = Vec::new();
    for table in Table::ALL {
        if removed.contains(&table) {
            changes.push(format!("deleted_from_table:{}", table.id()));
        }
        if change.add.iter().any(|part| part.table() == table) {
            changes.push(format!("inserted_into_table:{}", table.id()));
        }
    }
    let message: Vec<&str> = change.audit.iter().map(|(what, _)| what.as_str()).collect();
    tx.execute(
        "INSERT INTO ducklake_snapshot_changes(snapshot_id, changes_made, author, commit_message) \
         VALUES (?1, ?2, 'journeyql', ?3)",
        params![id, changes.join(","), message.join(", ")],
    )?;
    Ok(())
}

/// Takes a part out of the table and remembers its file for the sweep.
fn remove(tx: &Transaction<'_>, file_id: i64, end: i64) -> Result<Table, Refusal> {
    let found: Option<(i64, String, i64)> = tx
        .query_row(
            "SELECT table_id, path, begin_snapshot FROM ducklake_data_file WHERE data_file_id = ?1",
            [file_id],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let Some((table, path, begin)) = found else {
        return Err(Refusal::Moved(format!("part {file_id}, which was to be replaced, is not there any more")));
    };
    let place = place(table, &path).map_err(Refusal::Moved)?;
    tx.execute("INSERT INTO jq_removed VALUES (?1, ?2, ?3, ?4, ?5)", params![file_id, table, path, begin, end])?;
    for table in ["ducklake_data_file", "ducklake_file_column_stats", "ducklake_file_partition_value", "jq_parts"] {
        tx.execute(&format!("DELETE FROM {table} WHERE data_file_id = ?1"), [file_id])?;
    }
    Ok(place.table)
}

fn add(tx: &Transaction<'_>, part: &NewPart, file_id: i64, begin: i64, first_row: i64) -> rusqlite::Result<()> {
    let table = part.table();
    tx.prepare_cached(
        "INSERT INTO ducklake_data_file(data_file_id, table_id, begin_snapshot, path, path_is_relative, file_format, \
             record_count, file_size_bytes, footer_size, row_id_start, partition_id) \
         VALUES (?1, ?2, ?3, ?4, 1, 'parquet', ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        file_id,
        table.id(),
        begin,
        part.file.place.in_table(),
        count(part.rows),
        count(part.file.bytes),
        count(part.file.footer_bytes),
        first_row,
        ddl::partition_id(table),
    ])?;
    tx.prepare_cached("INSERT INTO ducklake_file_partition_value VALUES (?1, ?2, 0, ?3)")?.execute(params![
        file_id,
        table.id(),
        part.day().to_string()
    ])?;
    for (at, (stats, field)) in part.columns.iter().zip(table.schema().fields()).enumerate() {
        let text = |value: i64| bound_text(field.data_type(), value);
        let (min, max) = stats.range.map_or((None, None), |(min, max)| (text(min), text(max)));
        tx.prepare_cached(
            "INSERT INTO ducklake_file_column_stats(data_file_id, table_id, column_id, column_size_bytes, value_count, \
                 null_count, min_value, max_value) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            file_id,
            table.id(),
            column_id(at),
            stats.compressed_bytes,
            stats.values,
            stats.nulls,
            min,
            max
        ])?;
    }
    tx.prepare_cached("INSERT INTO jq_parts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?.execute(params![
        file_id,
        table.id(),
        part.day().0,
        part.file.checksum.to_string(),
        &*part.rules,
        part.ts.0,
        part.ts.1,
        count(part.event_ids)
    ])?;
    Ok(())
}

fn next_row(tx: &Transaction<'_>, table: Table) -> rusqlite::Result<i64> {
    tx.query_row("SELECT next_row_id FROM ducklake_table_stats WHERE table_id = ?1", [table.id()], |row| row.get(0))
}

fn sum_up(tx: &Transaction<'_>, table: Table, next_row: i64) -> rusqlite::Result<()> {
    tx.execute(
        "UPDATE ducklake_table_stats SET next_row_id = ?2, \
             record_count = (SELECT coalesce(sum(record_count), 0) FROM ducklake_data_file WHERE table_id = ?1), \
             file_size_bytes = (SELECT coalesce(sum(file_size_bytes), 0) FROM ducklake_data_file WHERE table_id = ?1) \
         WHERE table_id = ?1",
        [table.id(), next_row],
    )?;
    Ok(())
}

fn upsert(tx: &Transaction<'_>, source: &SourceRow) -> rusqlite::Result<()> {
    let by_rule = serde_json::to_string(&source.dropped_by)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    tx.prepare_cached(
        "INSERT OR REPLACE INTO jq_sources VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        source.source_id,
        source.name,
        source.format,
        count(source.offset),
        count(source.lines),
        count(source.stored),
        count(source.quarantined),
        count(source.dropped),
        count(source.duplicates),
        by_rule,
        source.digest,
        source.first_seen_ts,
        source.updated_ts,
    ])?;
    Ok(())
}

/// SQLite has signed integers only; no count of ours reaches the 64th bit.
pub(super) fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
