//! What the catalog says of somebody, cut out of it.

use rusqlite::types::ValueRef;
use rusqlite::{Transaction, params};

use super::{Catalog, StoreError, corrections, links};
use crate::privacy::{Identifiers, Tombstone};

/// What an erasure changes beside parts and sources.
#[derive(Debug, Clone, Default)]
pub struct Erasure {
    pub identifiers: Identifiers,
    pub tombstones: Vec<Tombstone>,
    /// When they left devices that others have too, by device without `anon:`: what came after stays whose it was.
    pub log_outs: Vec<(String, i64)>,
    /// What stands in the texts instead.
    pub instead: String,
}

/// Texts that people and programs wrote, by table and column.
const TEXTS: [(&str, &str); 8] = [
    ("jq_audit", "detail"),
    ("jq_sources", "name"),
    ("jq_aliases", "evidence"),
    ("jq_corrections", "reason"),
    ("jq_corrections", "said_by"),
    ("jq_corrections", "reverted_by"),
    ("jq_segments", "name"),
    ("jq_segments", "sql"),
];

pub(super) fn write(tx: &Transaction<'_>, erasure: &Erasure, id: i64) -> rusqlite::Result<()> {
    let mut ended = 0;
    for one in erasure.identifiers.ids() {
        ended += tx.execute(
            "UPDATE jq_aliases SET end_snapshot = ?1 WHERE end_snapshot IS NULL AND (distinct_id = ?2 OR person = ?2)",
            params![id, one],
        )?;
    }
    if ended > 0 {
        links::set_mark(tx, id)?;
    }
    corrections::erase(tx, &erasure.identifiers)?;
    for (table, column) in TEXTS {
        let mut query = tx.prepare(&format!("SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL"))?;
        let texts = query.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        for text in texts {
            if let Some(cut) = erasure.identifiers.cut(&text, &erasure.instead) {
                tx.execute(&format!("UPDATE {table} SET {column} = ?1 WHERE {column} = ?2"), [cut, text])?;
            }
        }
    }
    for (device, ts) in &erasure.log_outs {
        tx.execute("INSERT INTO jq_log_outs VALUES (?1, ?2)", params![device, ts])?;
    }
    for Tombstone { hash, from, to } in &erasure.tombstones {
        tx.execute("INSERT INTO jq_forgotten VALUES (?1, ?2, ?3)", params![hash, from, to])?;
    }
    Ok(())
}

impl Catalog {
    /// Whom nothing may bring back.
    pub(in crate::store) fn forgotten(&self) -> Result<Vec<Tombstone>, StoreError> {
        let fail = self.fail("reading who was erased");
        let sql = "SELECT hash, from_ts, to_ts FROM jq_forgotten";
        let mut query = self.connection.prepare(sql).map_err(&fail)?;
        let rows = query
            .query_map([], |row| Ok(Tombstone { hash: row.get(0)?, from: row.get(1)?, to: row.get(2)? }))
            .map_err(&fail)?;
        rows.collect::<Result<_, _>>().map_err(&fail)
    }

    /// When people who were erased left devices that others have too.
    pub(in crate::store) fn log_outs(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let fail = self.fail("reading who was erased");
        let mut query = self.connection.prepare_cached("SELECT device, ts FROM jq_log_outs").map_err(&fail)?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(&fail)?;
        rows.collect::<Result<_, _>>().map_err(&fail)
    }

    /// Brings the log into the database and empties it, unless a reader is in it.
    pub(in crate::store) fn checkpoint(&self) -> Result<(), StoreError> {
        // Where a reader holds it back, the proof finds what it has.
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(self.fail("checkpointing"))
    }

    /// Every page of the database, those without content included.
    pub(in crate::store) fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        let path = self.path.clone();
        let fail = |error| StoreError::catalog("reading its pages in", &path, error);
        Ok(self.connection.serialize(rusqlite::MAIN_DB).map_err(fail)?.to_vec())
    }

    /// The tables in which a text or blob tells of somebody.
    pub(in crate::store) fn tells(
        &self,
        identifiers: &Identifiers,
        values: &mut u64,
    ) -> Result<Vec<String>, StoreError> {
        let fail = self.fail("looking for identifiers");
        // DuckLake's tables have no text of a log: numbers, names of columns, paths of parts.
        let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'jq_*' AND name <> 'jq_meta' \
                   ORDER BY name";
        let mut query = self.connection.prepare(sql).map_err(&fail)?;
        let tables = query.query_map([], |row| row.get::<_, String>(0)).map_err(&fail)?;
        let tables = tables.collect::<Result<Vec<_>, _>>().map_err(&fail)?;
        let mut told = Vec::new();
        for table in tables {
            let mut query = self.connection.prepare(&format!("SELECT * FROM \"{table}\"")).map_err(&fail)?;
            // Figures of ours as JSON, where a short id is an accident: `{"lines":17}`.
            let ours = |name: &str| table == "jq_sources" && ["digest", "dropped_by"].contains(&name);
            let columns: Vec<bool> = query.column_names().map(ours).collect();
            let mut rows = query.query([]).map_err(&fail)?;
            let mut found = false;
            while let Some(row) = rows.next().map_err(&fail)? {
                for (column, &is_ours) in columns.iter().enumerate() {
                    if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = row.get_ref(column).map_err(&fail)? {
                        *values += 1;
                        found |= if is_ours { identifiers.are_in_value(bytes) } else { identifiers.are_told_by(bytes) };
                    }
                }
            }
            if found {
                told.push(table);
            }
        }
        Ok(told)
    }
}
