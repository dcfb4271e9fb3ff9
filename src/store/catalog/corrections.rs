//! `jq_corrections`: what people said of single events, seen by the snapshots begin ≤ n, in force until its end.

use rusqlite::types::Type;
use rusqlite::{Row, Transaction, params};

use super::{Catalog, StoreError};
use crate::correction::{Change, Correction, Reverted};
use crate::privacy::Identifiers;

/// A change of what is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorrectionEdit {
    Add {
        change: Change,
        reason: String,
        by: String,
    },
    /// Takes back what stands under this id.
    Revert {
        id: i64,
        by: String,
    },
    /// Nothing is known of it any more: its event goes.
    Remove {
        id: i64,
    },
}

impl Catalog {
    /// What a snapshot says, oldest first, with what was taken back.
    pub(in crate::store) fn corrections(&self, snapshot: i64) -> Result<Vec<Correction>, StoreError> {
        let fail = self.fail("reading corrections");
        let sql = "SELECT id, change, reason, said_by, at, reverted_by, reverted_at, end_snapshot <= ?1 \
                   FROM jq_corrections WHERE begin_snapshot <= ?1 ORDER BY id";
        let mut query = self.connection.prepare_cached(sql).map_err(&fail)?;
        let rows = query.query_map([snapshot], correction).map_err(&fail)?;
        rows.collect::<Result<_, _>>().map_err(&fail)
    }
}

fn correction(row: &Row<'_>) -> rusqlite::Result<Correction> {
    let text: String = row.get(1)?;
    let change = serde_json::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(1, Type::Text, error.into()))?;
    let has_ended: Option<bool> = row.get(7)?;
    let reverted = match (has_ended, row.get(5)?, row.get(6)?) {
        (Some(true), Some(by), Some(at)) => Some(Reverted { by, at }),
        _ => None,
    };
    Ok(Correction { id: row.get(0)?, change, reason: row.get(2)?, by: row.get(3)?, at: row.get(4)?, reverted })
}

/// Writes what a commit changes, as of snapshot `id`.
pub(super) fn write(tx: &Transaction<'_>, edits: &[CorrectionEdit], id: i64, now: i64) -> rusqlite::Result<()> {
    for edit in edits {
        if let CorrectionEdit::Remove { .. } = edit {
            keep_count(tx)?;
        }
        match edit {
            CorrectionEdit::Add { change, reason, by } => {
                let change = serde_json::to_string(change)
                    .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
                tx.execute(
                    // An id is never given twice, whatever was removed since.
                    "INSERT INTO jq_corrections(id, change, reason, said_by, at, begin_snapshot) VALUES ( \
                         1 + max((SELECT coalesce(max(id), 0) FROM jq_corrections), \
                                 (SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM jq_meta WHERE key = 'last_correction')), \
                         ?1, ?2, ?3, ?4, ?5)",
                    params![change, reason, by, now, id],
                )?;
            }
            CorrectionEdit::Remove { id } => {
                tx.execute("DELETE FROM jq_corrections WHERE id = ?1", [id])?;
            }
            CorrectionEdit::Revert { id: correction, by } => {
                tx.execute(
                    "UPDATE jq_corrections SET end_snapshot = ?1, reverted_by = ?2, reverted_at = ?3 \
                     WHERE id = ?4 AND end_snapshot IS NULL",
                    params![id, by, now, correction],
                )?;
            }
        }
    }
    Ok(())
}

/// Remembers how far ids have come, before some go.
fn keep_count(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT OR REPLACE INTO jq_meta(key, value) SELECT 'last_correction', \
             max((SELECT coalesce(max(id), 0) FROM jq_corrections), \
                 (SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM jq_meta WHERE key = 'last_correction'))",
        [],
    )?;
    Ok(())
}

/// Removes what is said about somebody, and what names them.
pub(super) fn erase(tx: &Transaction<'_>, identifiers: &Identifiers) -> rusqlite::Result<()> {
    keep_count(tx)?;
    let mut query = tx.prepare("SELECT id, change FROM jq_corrections")?;
    let rows = query.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    for row in rows.collect::<Result<Vec<_>, _>>()? {
        let (id, text) = row;
        let names = |change: Change| change.ids().any(|id| identifiers.ids().any(|one| one == id));
        if identifiers.are_told_by(text.as_bytes()) || serde_json::from_str(&text).is_ok_and(names) {
            tx.execute("DELETE FROM jq_corrections WHERE id = ?1", [id])?;
        }
    }
    Ok(())
}
