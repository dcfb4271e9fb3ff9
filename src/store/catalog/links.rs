//! The rows that say who is who: `jq_devices`, `jq_matches`, `jq_aliases`, each seen by the snapshots
//! begin ≤ n < end.

use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params};

use super::read::head;
use super::{Catalog, StoreError};
use crate::identity::{Alias, Device, Devices, Links, Match, Run};
use crate::store::links::{LinkChange, META};
use crate::store::people::{MARK, mark};

/// A change of what somebody said about two ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AliasEdit {
    Add(Alias),
    /// These two are not the same person; what was said of them before goes.
    Reject(Alias),
    /// What was said of these two goes, in whichever order they were named.
    Remove(String, String),
}

/// For so many runs of devices there is room before they are read, at most.
const ROOM: usize = 1 << 20;

const TABLES: [&str; 3] = ["jq_devices", "jq_matches", "jq_aliases"];

fn run(row: &Row<'_>) -> rusqlite::Result<Run> {
    let user = row.get_ref(1)?.as_str()?.to_owned();
    Ok(Run { first: row.get(2)?, out: user.is_empty(), user, last: row.get(3)? })
}

impl Catalog {
    /// What a snapshot says about who is who. Rows that ended while it was leased are still there.
    pub(in crate::store) fn links(&self, snapshot: i64) -> Result<Links, StoreError> {
        let fail = self.fail("reading who is who");
        let tx = self.connection.unchecked_transaction().map_err(&fail)?;
        let links = links(&tx, snapshot).map_err(&fail)?;
        tx.commit().map_err(&fail)?;
        Ok(links)
    }

    /// The pairs of ids of which a snapshot says that they are not one person, oldest first.
    pub(in crate::store) fn rejections(&self, snapshot: i64) -> Result<Vec<Alias>, StoreError> {
        let fail = self.fail("reading who is who");
        said(&self.connection, snapshot).map(|(_, rejections)| rejections).map_err(fail)
    }

    /// What the next snapshot would say about who is who with this change.
    pub(in crate::store) fn links_as_if(&mut self, change: &LinkChange) -> Result<Links, StoreError> {
        let path = self.path.clone();
        let fail = |error| StoreError::catalog("reading who is who", &path, error);
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
        let next = head(&tx).map_err(fail)? + 1;
        write(&tx, change, &[], next).map_err(fail)?;
        let links = links(&tx, next).map_err(fail)?;
        tx.rollback().map_err(fail)?;
        Ok(links)
    }

    /// The runs of a device.
    pub(in crate::store) fn device(&self, id: &str) -> Result<Vec<Run>, StoreError> {
        let fail = self.fail("reading who is who");
        let sql = "SELECT device, user, first_ts, last_ts FROM jq_devices WHERE device = ?1 AND end_snapshot IS NULL \
                   ORDER BY first_ts, user <> '', user";
        let mut query = self.connection.prepare_cached(sql).map_err(&fail)?;
        let rows = query.query_map([id], run).map_err(&fail)?;
        let mut runs = rows.collect::<Result<Vec<_>, _>>().map_err(&fail)?;
        runs.sort_unstable();
        Ok(runs)
    }

    /// Removes the rows that no snapshot from `oldest` on sees.
    pub(in crate::store) fn forget_links(&mut self, oldest: i64) -> Result<(), StoreError> {
        self.change("tidying", |tx| {
            TABLES.iter().try_for_each(|table| {
                let sql = format!("DELETE FROM {table} WHERE end_snapshot <= ?1");
                tx.prepare_cached(&sql)?.execute([oldest]).map(drop)
            })
        })
    }

    /// A number that grows by one with each row that is written.
    pub(in crate::store) fn last_link(&self) -> Result<u64, StoreError> {
        let last = TABLES.map(|table| format!("(SELECT ifnull(max(rowid), 0) FROM {table})")).join(" + ");
        let rows = self.connection.query_row(&format!("SELECT {last}"), [], |row| row.get::<_, i64>(0));
        rows.map(|rows| u64::try_from(rows).unwrap_or(0)).map_err(self.fail("reading who is who"))
    }

    /// Whether some row has ended.
    pub(in crate::store) fn has_ended_links(&self) -> Result<bool, StoreError> {
        let fail = self.fail("reading who is who");
        for table in TABLES {
            let sql = format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE end_snapshot IS NOT NULL)");
            let found =
                self.connection.prepare_cached(&sql).and_then(|mut query| query.query_row([], |row| row.get(0)));
            if found.map_err(&fail)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The rows that snapshot ?1 sees.
const SEEN: &str = "begin_snapshot <= ?1 AND (end_snapshot IS NULL OR end_snapshot > ?1)";

fn links(tx: &Transaction<'_>, snapshot: i64) -> rusqlite::Result<Links> {
    let rows: i64 =
        tx.prepare_cached("SELECT ifnull(max(rowid), 0) FROM jq_devices")?.query_row([], |row| row.get(0))?;
    let room = usize::try_from(rows).unwrap_or(0).min(ROOM);
    let mut links = Links { devices: Devices::with_capacity(room), ..Links::default() };
    let sql = format!("SELECT device, user, first_ts, last_ts FROM jq_devices WHERE {SEEN}");
    let mut query = tx.prepare_cached(&sql)?;
    let mut rows = query.query([snapshot])?;
    while let Some(row) = rows.next()? {
        let user = row.get_ref(1)?.as_str()?;
        let run = Run { first: row.get(2)?, out: user.is_empty(), user, last: row.get(3)? };
        links.devices.push(row.get_ref(0)?.as_str()?, run);
    }
    // Mostly in order already, as they were written: sorted here they cost less than through the table's index.
    links.devices.sort();
    let sql = format!("SELECT hash, distinct_id, since FROM jq_matches WHERE {SEEN} ORDER BY hash, distinct_id");
    let mut query = tx.prepare_cached(&sql)?;
    let one = |row: &Row<'_>| Ok(Match { hash: row.get(0)?, distinct_id: row.get(1)?, since: row.get(2)? });
    links.matches = query.query_map([snapshot], one)?.collect::<Result<_, _>>()?;
    (links.aliases, links.rejections) = said(tx, snapshot)?;
    Ok(links)
}

/// What somebody said: who is one person, and who is not.
fn said(connection: &Connection, snapshot: i64) -> rusqlite::Result<(Vec<Alias>, Vec<Alias>)> {
    let sql = format!("SELECT distinct_id, person, since, evidence, same FROM jq_aliases WHERE {SEEN} ORDER BY id");
    let mut query = connection.prepare_cached(&sql)?;
    let one = |row: &Row<'_>| {
        let alias = Alias { distinct_id: row.get(0)?, person: row.get(1)?, since: row.get(2)?, evidence: row.get(3)? };
        Ok((alias, row.get(4)?))
    };
    let (mut aliases, mut rejections) = (Vec::new(), Vec::new());
    for row in query.query_map([snapshot], one)? {
        match row? {
            (alias, true) => aliases.push(alias),
            (alias, false) => rejections.push(alias),
        }
    }
    Ok((aliases, rejections))
}

/// Writes what a commit changes, as of snapshot `id`.
pub(super) fn write(tx: &Transaction<'_>, change: &LinkChange, aliases: &[AliasEdit], id: i64) -> rusqlite::Result<()> {
    // Rows that came or ended.
    let mut rows = 0;
    if change.whole {
        for table in ["jq_devices", "jq_matches"] {
            rows += tx.execute(&format!("UPDATE {table} SET end_snapshot = ?1 WHERE end_snapshot IS NULL"), [id])?;
        }
    }
    for device in &change.devices {
        rows += write_device(tx, device, change.whole, id)?;
    }
    for distinct_id in &change.rematched {
        let sql = "UPDATE jq_matches SET end_snapshot = ?1 WHERE distinct_id = ?2 AND end_snapshot IS NULL";
        rows += tx.prepare_cached(sql)?.execute(params![id, distinct_id])?;
    }
    for one in &change.matches {
        rows += write_match(tx, one, id)?;
    }
    for edit in aliases {
        rows += write_alias(tx, edit, id)?;
    }
    if rows > 0 {
        set_mark(tx, id)?;
    }
    if let Some(rules) = &change.rules {
        tx.execute("INSERT OR REPLACE INTO jq_meta(key, value) VALUES (?1, ?2)", [META, rules])?;
    }
    Ok(())
}

/// Says that who is who is not what it was.
pub(super) fn set_mark(tx: &Transaction<'_>, id: i64) -> rusqlite::Result<()> {
    tx.execute("INSERT OR REPLACE INTO jq_meta(key, value) VALUES (?1, ?2)", [MARK, &mark(id)]).map(drop)
}

/// Rows that came or ended; of one that only grows nothing follows.
fn write_device(tx: &Transaction<'_>, device: &Device, is_new: bool, id: i64) -> rusqlite::Result<usize> {
    let mut rows = 0;
    let mut known: Vec<(i64, Run)> = Vec::new();
    if !is_new {
        let sql = "SELECT rowid, user, first_ts, last_ts FROM jq_devices WHERE device = ?1 AND end_snapshot IS NULL";
        let mut query = tx.prepare_cached(sql)?;
        known = query.query_map([&device.id], |row| Ok((row.get(0)?, run(row)?)))?.collect::<Result<_, _>>()?;
    }
    for run in &device.runs {
        let same = known.iter().position(|(_, it)| (it.first, &it.user) == (run.first, &run.user));
        if let Some(at) = same {
            let (row, it) = known.swap_remove(at);
            // No snapshot tells when a run ends: the next one tells it.
            if it.last != run.last {
                tx.prepare_cached("UPDATE jq_devices SET last_ts = ?1 WHERE rowid = ?2")?
                    .execute(params![run.last, row])?;
            }
            continue;
        }
        rows += tx
            .prepare_cached("INSERT INTO jq_devices VALUES (?1, ?2, ?3, ?4, ?5, NULL)")?
            .execute(params![device.id, run.user, run.first, run.last, id])?;
    }
    for (row, _) in known {
        let sql = "UPDATE jq_devices SET end_snapshot = ?1 WHERE rowid = ?2";
        rows += tx.prepare_cached(sql)?.execute(params![id, row])?;
    }
    Ok(rows)
}

/// Rows that came; of an earlier time alone nothing follows.
fn write_match(tx: &Transaction<'_>, one: &Match, id: i64) -> rusqlite::Result<usize> {
    let sql = "SELECT rowid, since FROM jq_matches WHERE distinct_id = ?1 AND hash = ?2 AND end_snapshot IS NULL";
    let mut query = tx.prepare_cached(sql)?;
    let mut rows = query.query([&one.distinct_id, &one.hash])?;
    match rows.next()? {
        Some(row) => {
            let (row, since): (i64, i64) = (row.get(0)?, row.get(1)?);
            tx.prepare_cached("UPDATE jq_matches SET since = ?1 WHERE rowid = ?2")?
                .execute(params![since.min(one.since), row])?;
            Ok(0)
        }
        None => tx.prepare_cached("INSERT INTO jq_matches VALUES (?1, ?2, ?3, ?4, NULL)")?.execute(params![
            one.hash,
            one.distinct_id,
            one.since,
            id
        ]),
    }
}

/// Rows that came or ended.
fn write_alias(tx: &Transaction<'_>, edit: &AliasEdit, id: i64) -> rusqlite::Result<usize> {
    let (one, other, said) = match edit {
        AliasEdit::Add(alias) => (&alias.distinct_id, &alias.person, Some((alias, true))),
        AliasEdit::Reject(alias) => (&alias.distinct_id, &alias.person, Some((alias, false))),
        AliasEdit::Remove(one, other) => (one, other, None),
    };
    let mut rows = tx.execute(
        "UPDATE jq_aliases SET end_snapshot = ?1 WHERE end_snapshot IS NULL \
         AND (distinct_id = ?2 AND person = ?3 OR distinct_id = ?3 AND person = ?2)",
        params![id, one, other],
    )?;
    if let Some((alias, same)) = said {
        rows += tx.execute(
            "INSERT INTO jq_aliases(distinct_id, person, same, since, evidence, begin_snapshot) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![alias.distinct_id, alias.person, same, alias.since, alias.evidence, id],
        )?;
    }
    Ok(rows)
}
