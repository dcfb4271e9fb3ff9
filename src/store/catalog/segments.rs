//! `jq_segments`: saved groups of people, each the text of a query; in force for the snapshots begin ≤ n < end.

use rusqlite::{Transaction, params};

use super::{Catalog, StoreError};

/// A saved group of people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentRow {
    pub name: String,
    /// The query whose `user_id`s they are.
    pub sql: String,
    /// When it was made, or given this query; µs.
    pub at: i64,
}

/// A change of the saved groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SegmentEdit {
    /// New, or in place of the one of that name.
    Put {
        name: String,
        sql: String,
    },
    Drop {
        name: String,
    },
}

impl Catalog {
    /// The groups of a snapshot by name.
    pub(in crate::store) fn segments(&self, snapshot: i64) -> Result<Vec<SegmentRow>, StoreError> {
        let fail = self.fail("reading segments");
        let sql = "SELECT name, sql, at FROM jq_segments WHERE begin_snapshot <= ?1 AND coalesce(end_snapshot > ?1, 1) \
                   ORDER BY name";
        let mut query = self.connection.prepare_cached(sql).map_err(&fail)?;
        let row = |row: &rusqlite::Row<'_>| Ok(SegmentRow { name: row.get(0)?, sql: row.get(1)?, at: row.get(2)? });
        let rows = query.query_map([snapshot], row).map_err(&fail)?;
        rows.collect::<Result<_, _>>().map_err(&fail)
    }
}

/// Writes what a commit changes, as of snapshot `id`.
pub(super) fn write(tx: &Transaction<'_>, edits: &[SegmentEdit], id: i64, now: i64) -> rusqlite::Result<()> {
    for edit in edits {
        let (SegmentEdit::Put { name, .. } | SegmentEdit::Drop { name }) = edit;
        let end = "UPDATE jq_segments SET end_snapshot = ?1 WHERE name = ?2 AND end_snapshot IS NULL";
        tx.execute(end, params![id, name])?;
        if let SegmentEdit::Put { name, sql } = edit {
            tx.execute("INSERT INTO jq_segments VALUES (?1, ?2, ?3, ?4, NULL)", params![name, sql, now, id])?;
        }
    }
    Ok(())
}
