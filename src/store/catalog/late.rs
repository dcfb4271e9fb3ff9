//! `jq_late_ledger`: a row for every commit that brought late events.

use rusqlite::{Transaction, params};

use super::read::unsigned;
use super::write::count;
use super::{Catalog, StoreError};
use crate::store::late::{Late, LateRow};

impl Catalog {
    /// The ledger, oldest first.
    pub(in crate::store) fn late_ledger(&self) -> Result<Vec<LateRow>, StoreError> {
        let fail = self.fail("reading the ledger of late events");
        let sql = "SELECT snapshot_id, at, events, visitors, max_late, median_late, created, extended, merged \
                   FROM jq_late_ledger ORDER BY snapshot_id";
        let mut query = self.connection.prepare(sql).map_err(&fail)?;
        let rows = query.query_map([], |row| {
            let late = Late {
                events: unsigned(row, 2)?,
                visitors: unsigned(row, 3)?,
                max: row.get(4)?,
                median: row.get(5)?,
                created: unsigned(row, 6)?,
                extended: unsigned(row, 7)?,
                merged: unsigned(row, 8)?,
            };
            Ok(LateRow { snapshot: row.get(0)?, at: row.get(1)?, late })
        });
        rows.and_then(Iterator::collect).map_err(&fail)
    }
}

pub(super) fn write(tx: &Transaction<'_>, late: &Late, id: i64, now: i64) -> rusqlite::Result<()> {
    let Late { events, visitors, max, median, created, extended, merged } = *late;
    tx.execute(
        "INSERT INTO jq_late_ledger VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![id, now, count(events), count(visitors), max, median, count(created), count(extended), count(merged)],
    )?;
    Ok(())
}
