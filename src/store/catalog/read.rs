//! Reading the catalog: the head, the listing of a snapshot, and the signs of a foreign writer.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use super::ddl::{DUCKLAKE_VERSION, FORMAT, SCHEMA_VERSION};
use super::stats::ColumnStats;
use super::{Catalog, StoreError, totals};
use crate::store::layout::{Layout, PartPath, Table};
use crate::store::part::{Checksum, Part};
use crate::store::people::MARK;
use crate::store::source::SourceRow;
use crate::time::{Day, parse_iso};

/// Everything that a snapshot lists, read in one transaction.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Listing {
    pub head: i64,
    /// Microseconds.
    pub committed_at: i64,
    pub events: Vec<Part>,
    pub quarantine: Vec<Part>,
    pub sources: Vec<SourceRow>,
    /// The mark of who is who.
    pub linked: Option<String>,
}

/// The statistics of one part, by position of the column.
pub(in crate::store) type FileStats = Vec<Option<ColumnStats>>;

/// Something that somebody did, with the snapshot it made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    pub id: i64,
    pub snapshot: i64,
    /// Microseconds.
    pub at: i64,
    pub what: String,
    pub detail: String,
}

/// A replaced part whose file may still be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct RemovedPart {
    pub file_id: i64,
    pub place: PartPath,
    /// It was visible in begin ≤ snapshot < end.
    pub begin: i64,
    pub end: i64,
}

/// Rows that only another program writes, each with the words for it.
const FOREIGN: [(&str, &str); 5] = [
    ("SELECT count(*) FROM ducklake_delete_file", "it has delete files"),
    ("SELECT count(*) FROM ducklake_inlined_data_tables", "it has inlined rows"),
    (
        "SELECT count(*) FROM ducklake_data_file WHERE end_snapshot IS NOT NULL OR partial_max IS NOT NULL \
         OR data_file_id NOT IN (SELECT data_file_id FROM jq_parts)",
        "it has data files that journeyql did not write",
    ),
    (
        "SELECT count(*) FROM jq_parts WHERE data_file_id NOT IN (SELECT data_file_id FROM ducklake_data_file)",
        "it lost data files that journeyql wrote",
    ),
    ("SELECT count(*) FROM ducklake_table WHERE end_snapshot IS NOT NULL OR table_id > 2", "its tables were changed"),
];

impl Catalog {
    /// Refuses a catalog that ends in the middle of a page: what is missing would be read as zeros. As long as there is
    /// a log, what it holds may be missing here.
    fn check_length(&self) -> Result<(), StoreError> {
        let page: u32 = self
            .connection
            .query_row("PRAGMA page_size", [], |row| row.get(0))
            .map_err(self.fail("reading the format"))?;
        let [catalog, _, log, _] = Layout::database_files(&self.path);
        let bytes = |path: &Path| path.metadata().map_or(0, |file| file.len());
        if bytes(&log) == 0 && !bytes(&catalog).is_multiple_of(page.into()) {
            return Err(self.damaged(format!("it has {} bytes, which are no whole pages of {page}", bytes(&catalog))));
        }
        Ok(())
    }

    /// Refuses what is no store of ours, damaged, or of a newer version.
    pub(super) fn check_format(&self) -> Result<(), StoreError> {
        let fail = self.fail("reading the format");
        let dir = self.layout.root().to_owned();
        let ours: bool = self
            .connection
            .query_row("SELECT count(*) > 0 FROM sqlite_master WHERE name = 'jq_meta'", [], |row| row.get(0))
            .map_err(&fail)?;
        if !ours && self.layout.data().is_dir() {
            return Err(self.damaged("it holds none of journeyql's tables".to_owned()));
        }
        if !ours {
            let why = "its catalog.sqlite was not made by journeyql";
            return Err(StoreError::NotAStore { dir, why });
        }
        self.check_length()?;
        let found = meta(&self.connection, "format").map_err(&fail)?.unwrap_or_default();
        match found.parse::<u32>() {
            Ok(version) if version == FORMAT => {}
            Ok(version) if version > FORMAT => return Err(StoreError::NewerVersion { dir, found, known: FORMAT }),
            _ => {
                let detail = format!("jq_meta.format is '{found}'");
                return Err(StoreError::DamagedCatalog { catalog: self.path.clone(), detail });
            }
        }
        let version: Option<String> = self
            .connection
            .query_row("SELECT value FROM ducklake_metadata WHERE key = 'version'", [], |row| row.get(0))
            .optional()
            .map_err(&fail)?;
        if version.as_deref() == Some(DUCKLAKE_VERSION) {
            return Ok(());
        }
        let version = version.unwrap_or_else(|| "missing".to_owned());
        Err(self.foreign(format!("its DuckLake version is {version}, not {DUCKLAKE_VERSION}")))
    }

    /// A fact about the store.
    pub(in crate::store) fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        meta(&self.connection, key).map_err(self.fail("reading"))
    }

    /// The last snapshot.
    pub(in crate::store) fn head(&self) -> Result<i64, StoreError> {
        head(&self.connection).map_err(self.fail("reading the head"))
    }

    /// The last snapshot, which is not before one that was committed: a catalog whose log is gone or has one flipped bit
    /// is an older catalog to SQLite, and rows would be missing without a word.
    pub(in crate::store) fn head_after(&self, committed: i64) -> Result<i64, StoreError> {
        let head = self.own_head(&self.connection)?;
        if head >= committed {
            return Ok(head);
        }
        let log = format!("{}-wal", self.path.display());
        Err(self
            .damaged(format!("it ends at snapshot {head}, but {committed} was committed; {log} is damaged or gone")))
    }

    /// The live parts and the sources of the head, in one read transaction.
    pub(in crate::store) fn listing(&self) -> Result<Listing, StoreError> {
        let fail = self.fail("reading the list of parts");
        let tx = self.connection.unchecked_transaction().map_err(&fail)?;
        self.check_foreign(&tx)?;
        let mut listing = Listing { head: head(&tx).map_err(&fail)?, ..Listing::default() };
        let time: String = tx
            .query_row("SELECT snapshot_time FROM ducklake_snapshot WHERE snapshot_id = ?1", [listing.head], |row| {
                row.get(0)
            })
            .map_err(&fail)?;
        listing.committed_at = parse_iso(time.as_bytes(), 0)
            .ok_or_else(|| self.damaged(format!("the time of snapshot {} is '{time}'", listing.head)))?;
        for part in parts(&tx, &self.layout).map_err(&fail)? {
            let part = part.map_err(|detail| self.damaged(detail))?;
            match part.table {
                Table::Events => listing.events.push(part),
                Table::Quarantine => listing.quarantine.push(part),
            }
        }
        listing.sources = sources(&tx).map_err(&fail)?;
        listing.linked = meta(&tx, MARK).map_err(&fail)?;
        tx.commit().map_err(&fail)?;
        Ok(listing)
    }

    /// Refuses a catalog that somebody else wrote to. One query each; none reads more than the list of parts.
    pub(super) fn check_foreign(&self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        let fail = self.fail("looking for foreign writes");
        let head = self.own_head(tx)?;
        let schema: i64 = tx
            .query_row("SELECT schema_version FROM ducklake_snapshot WHERE snapshot_id = ?1", [head], |row| row.get(0))
            .map_err(&fail)?;
        if schema != SCHEMA_VERSION {
            return Err(self.foreign(format!("its schema version is {schema}, not {SCHEMA_VERSION}")));
        }
        for (sql, what) in FOREIGN {
            if tx
                .prepare_cached(sql)
                .and_then(|mut query| query.query_row([], |row| row.get::<_, i64>(0)))
                .map_err(&fail)?
                > 0
            {
                return Err(self.foreign(what.to_owned()));
            }
        }
        Ok(())
    }

    /// The last snapshot, if it is one of ours.
    fn own_head(&self, connection: &Connection) -> Result<i64, StoreError> {
        let sql = "SELECT max(snapshot_id), (SELECT value FROM jq_meta WHERE key = 'head') FROM ducklake_snapshot";
        let (head, ours): (i64, Option<String>) = connection
            .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(self.fail("reading the head"))?;
        if ours.as_deref() == Some(&*head.to_string()) {
            return Ok(head);
        }
        let ours = ours.unwrap_or_else(|| "unknown".to_owned());
        Err(self.foreign(format!("its last snapshot is {head}, journeyql's own is {ours}")))
    }

    /// Replaced parts that were not yet unlinked.
    pub(in crate::store) fn removed(&self) -> Result<Vec<RemovedPart>, StoreError> {
        let fail = self.fail("reading the replaced parts");
        let sql = "SELECT data_file_id, table_id, path, begin_snapshot, end_snapshot FROM jq_removed ORDER BY 1";
        let mut query = self.connection.prepare(sql).map_err(&fail)?;
        let rows = query
            .query_map([], |row| {
                let found = place(row.get(1)?, &row.get::<_, String>(2)?);
                let (file_id, begin, end) = (row.get(0)?, row.get(3)?, row.get(4)?);
                Ok(found.map(|place| RemovedPart { file_id, place, begin, end }))
            })
            .map_err(&fail)?;
        rows.map(|row| row.map_err(&fail)?.map_err(|detail| self.damaged(detail))).collect()
    }

    /// Every part that a commit holds: live, or replaced and not yet unlinked.
    pub(in crate::store) fn places(&self) -> Result<HashSet<PartPath>, StoreError> {
        let fail = self.fail("reading the list of parts");
        let sql = "SELECT table_id, path FROM ducklake_data_file UNION ALL SELECT table_id, path FROM jq_removed";
        let mut query = self.connection.prepare(sql).map_err(&fail)?;
        let rows = query.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))).map_err(&fail)?;
        let mut places = HashSet::new();
        for row in rows {
            let (table, path) = row.map_err(&fail)?;
            places.insert(place(table, &path).map_err(|detail| self.damaged(detail))?);
        }
        Ok(places)
    }

    /// The audit, oldest first.
    pub(in crate::store) fn audit(&self) -> Result<Vec<AuditRow>, StoreError> {
        let fail = self.fail("reading the audit");
        let mut query = self
            .connection
            .prepare("SELECT id, snapshot_id, at, what, detail FROM jq_audit ORDER BY id")
            .map_err(&fail)?;
        let rows = query
            .query_map([], |row| {
                let (id, snapshot, at) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(AuditRow { id, snapshot, at, what: row.get(3)?, detail: row.get(4)? })
            })
            .map_err(&fail)?;
        rows.collect::<Result<_, _>>().map_err(&fail)
    }

    /// The statistics of every live part, by file id; a column that has none is `None`.
    pub(in crate::store) fn file_stats(&self) -> Result<BTreeMap<i64, FileStats>, StoreError> {
        let fail = self.fail("reading the statistics");
        let mut query = self
            .connection
            .prepare(
                "SELECT s.data_file_id, s.table_id, s.column_id, s.column_size_bytes, s.value_count, s.null_count, \
                        s.min_value, s.max_value \
                 FROM ducklake_file_column_stats s JOIN jq_parts p ON p.data_file_id = s.data_file_id",
            )
            .map_err(&fail)?;
        let mut found: BTreeMap<i64, FileStats> = BTreeMap::new();
        let mut rows = query.query([]).map_err(&fail)?;
        while let Some(row) = rows.next().map_err(&fail)? {
            let (file_id, at, stats) = file_stats_row(row).map_err(&fail)?;
            let columns = found.entry(file_id).or_default();
            if columns.len() <= at {
                columns.resize(at + 1, None);
            }
            columns[at] = stats;
        }
        Ok(found)
    }

    /// Rows and bytes of a table, as its totals say.
    pub(in crate::store) fn sums(&self, table: Table) -> Result<(u64, u64), StoreError> {
        let sql = "SELECT record_count, file_size_bytes FROM ducklake_table_stats WHERE table_id = ?1";
        self.connection
            .query_row(sql, [table.id()], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)))
            .map_err(self.fail("reading the totals"))
    }

    /// Totals of a table that do not enclose those of its parts.
    pub(in crate::store) fn narrow_totals(&self, table: Table) -> Result<Vec<String>, StoreError> {
        let fail = self.fail("reading the totals");
        let tx = self.connection.unchecked_transaction().map_err(&fail)?;
        totals::narrow(&tx, table).map_err(&fail)
    }

    /// Lets SQLite look at every page of the catalog. `None`: all is well.
    pub(in crate::store) fn integrity(&self) -> Result<Option<String>, StoreError> {
        let found: String = self
            .connection
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
            .map_err(self.fail("checking its pages"))?;
        Ok((found != "ok").then_some(found))
    }

    fn foreign(&self, what: String) -> StoreError {
        StoreError::ForeignWrites { catalog: self.path.clone(), what }
    }

    pub(super) fn damaged(&self, detail: String) -> StoreError {
        StoreError::DamagedCatalog { catalog: self.path.clone(), detail }
    }
}

pub(super) fn head(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT max(snapshot_id) FROM ducklake_snapshot", [], |row| row.get(0))
}

fn meta(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT value FROM jq_meta WHERE key = ?1", [key], |row| row.get(0)).optional()
}

/// Where a part lies, from the catalog's words for it.
pub(super) fn place(table: i64, path: &str) -> Result<PartPath, String> {
    Table::of_id(table)
        .and_then(|table| PartPath::parse_in_table(table, path))
        .ok_or_else(|| format!("'{path}' of table {table} is no path of a part"))
}

fn parts(tx: &Transaction<'_>, layout: &Layout) -> rusqlite::Result<Vec<Result<Part, String>>> {
    let mut query = tx.prepare_cached(
        "SELECT f.data_file_id, f.table_id, f.path, f.record_count, f.file_size_bytes, f.footer_size, \
                p.day, p.checksum, p.rules, p.ts_min, p.ts_max, p.event_ids \
         FROM ducklake_data_file f JOIN jq_parts p ON p.data_file_id = f.data_file_id \
         ORDER BY f.table_id, p.day, f.data_file_id",
    )?;
    query.query_map([], |row| part(row, layout))?.collect()
}

fn part(row: &Row<'_>, layout: &Layout) -> rusqlite::Result<Result<Part, String>> {
    let place = match place(row.get(1)?, &row.get::<_, String>(2)?) {
        Ok(place) => place,
        Err(detail) => return Ok(Err(detail)),
    };
    let day = Day(row.get(6)?);
    let checksum: String = row.get(7)?;
    let Some(checksum) = Checksum::parse(&checksum).filter(|_| day == place.day) else {
        return Ok(Err(format!("the row of part {place} contradicts itself")));
    };
    Ok(Ok(Part {
        table: place.table,
        file_id: row.get(0)?,
        day,
        path: layout.part(&place),
        rows: unsigned(row, 3)?,
        bytes: unsigned(row, 4)?,
        footer_bytes: unsigned(row, 5)?,
        checksum,
        ts_min: row.get(9)?,
        ts_max: row.get(10)?,
        rules: row.get(8)?,
        event_ids: unsigned(row, 11)?,
    }))
}

fn file_stats_row(row: &Row<'_>) -> rusqlite::Result<(i64, usize, Option<ColumnStats>)> {
    let at = column_at(row, 2)?;
    let kind = Table::of_id(row.get(1)?).and_then(|table| Some(table.schema().fields().get(at)?.data_type().clone()));
    let Some(kind) = kind else { return Ok((row.get(0)?, at, None)) };
    let range = totals::range(&kind, row.get(6)?, row.get(7)?);
    let stats = ColumnStats { compressed_bytes: row.get(3)?, values: row.get(4)?, nulls: row.get(5)?, range };
    Ok((row.get(0)?, at, Some(stats)))
}

fn sources(tx: &Transaction<'_>) -> rusqlite::Result<Vec<SourceRow>> {
    let mut query = tx.prepare_cached(
        "SELECT source_id, name, format, offset, lines, stored, quarantined, dropped, duplicates, dropped_by, digest, \
                first_seen_ts, updated_ts FROM jq_sources ORDER BY source_id",
    )?;
    let rows = query.query_map([], |row| {
        let by_rule: String = row.get(9)?;
        let dropped_by = serde_json::from_str(&by_rule)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(9, rusqlite::types::Type::Text, error.into()))?;
        Ok(SourceRow {
            source_id: row.get(0)?,
            name: row.get(1)?,
            format: row.get(2)?,
            offset: unsigned(row, 3)?,
            lines: unsigned(row, 4)?,
            stored: unsigned(row, 5)?,
            quarantined: unsigned(row, 6)?,
            dropped: unsigned(row, 7)?,
            duplicates: unsigned(row, 8)?,
            dropped_by,
            digest: row.get(10)?,
            first_seen_ts: row.get(11)?,
            updated_ts: row.get(12)?,
        })
    })?;
    rows.collect()
}

/// A column's place in its table: its number there begins at 1.
pub(super) fn column_at(row: &Row<'_>, at: usize) -> rusqlite::Result<usize> {
    let number: i64 = row.get(at)?;
    usize::try_from(number - 1).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(at, number))
}

/// A count: SQLite has signed integers only.
pub(super) fn unsigned(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(at)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(at, value))
}
