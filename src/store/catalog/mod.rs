//! The catalog: `catalog.sqlite`, read and written only here.
//!
//! ```text
//! ddl.rs     the tables and the rows of an empty store
//! read.rs    head, listing of a snapshot, checks against foreign writers
//! write.rs   one commit's rows, inside one transaction
//! links.rs   who is who                      late.rs  the ledger of late events
//! erase.rs   what is said of somebody who goes   corrections.rs  what people say of events
//! segments.rs  saved groups of people
//! totals.rs  the statistics of a table over its live parts
//! stats.rs   statistics of one column: footer → text → totals
//! digest.rs  what tells a flipped bit in any row
//! ```
//!
//! Invariants: every read that must be consistent is one read transaction; every change is one `IMMEDIATE` transaction
//! that first looks whether the world is still as planned.
//!
//! Deliberately not here: files. A row may be written only about a file that is already in its place and synced.

mod corrections;
mod ddl;
mod digest;
mod erase;
mod late;
mod links;
mod read;
mod segments;
pub(super) mod stats;
mod totals;
mod write;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

pub use corrections::CorrectionEdit;
pub use erase::Erasure;
pub use links::AliasEdit;
pub use read::AuditRow;
pub(super) use read::{FileStats, Listing};
pub use segments::{SegmentEdit, SegmentRow};
pub(super) use write::{Change, CommitFailure};

use digest::Tally;

use super::StoreError;
use super::disk::Disk;
use super::layout::Layout;
use crate::time::{DAY, Day, SECOND};

/// How long a statement waits for another connection's lock: a checkpoint, or a foreign reader's start.
const BUSY: Duration = Duration::from_secs(10);

/// How long the log's emptying waits for readers of it.
const FOLD: Duration = Duration::from_millis(50);

/// An open connection to the catalog.
#[derive(Debug)]
pub(super) struct Catalog {
    connection: Connection,
    layout: Layout,
    path: PathBuf,
    /// What a writer's transaction changes of the digest.
    tally: Tally,
}

impl Catalog {
    /// Opens for reading; refuses what is no store of ours (FORMAT.md §9).
    pub(super) fn open_reader(layout: &Layout) -> Result<Self, StoreError> {
        Self::require(layout)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let catalog = Self::connect(layout, &layout.catalog(), flags)?;
        catalog.check_format()?;
        Ok(catalog)
    }

    /// Opens for writing; the caller holds the writer lock.
    pub(super) fn open_writer(layout: &Layout) -> Result<Self, StoreError> {
        Self::require(layout)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut catalog = Self::connect(layout, &layout.catalog(), flags)?;
        catalog.check_format()?;
        catalog.durable()?;
        catalog.tally.watch(&catalog.connection).map_err(catalog.fail("opening"))?;
        catalog.correct_data_path()?;
        Ok(catalog)
    }

    /// Creates the catalog of an empty store under another name and then gives it its own: a catalog that is there is
    /// whole. The caller holds the writer lock.
    pub(super) fn create(layout: &Layout, disk: &Disk, store_id: &str, now: i64) -> Result<(), StoreError> {
        let path = layout.new_catalog();
        // What lies beside a catalog that is gone would be taken for the new one's.
        for left in Layout::database_files(&path).into_iter().chain(Layout::database_files(&layout.catalog())) {
            disk.remove(&left).map_err(|error| StoreError::io("removing", &left, error))?;
        }
        Self::build(layout, &path, store_id, now)?;
        let io = |doing, error| StoreError::io(doing, &path, error);
        let file = File::open(&path).map_err(|error| io("opening", error))?;
        disk.sync_file(&file, &path).map_err(|error| io("syncing", error))?;
        disk.rename(&path, &layout.catalog()).map_err(|error| io("renaming", error))?;
        disk.sync_dir(layout.root()).map_err(|error| StoreError::io("syncing", layout.root(), error))
    }

    /// The tables of an empty store; closing the database leaves one file.
    fn build(layout: &Layout, path: &Path, store_id: &str, now: i64) -> Result<(), StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut catalog = Self::connect(layout, path, flags)?;
        let fail = |error| StoreError::catalog("creating", path, error);
        let mode: String =
            catalog.connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(fail)?;
        if mode != "wal" {
            let detail = format!("its journal mode is {mode}, not WAL: the file system cannot hold a store");
            return Err(StoreError::DamagedCatalog { catalog: path.to_owned(), detail });
        }
        catalog.durable()?;
        let tx = catalog.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
        ddl::create(&tx, layout, store_id, now).map_err(fail)?;
        digest::keep(&tx, &catalog.tally).map_err(fail)?;
        tx.commit().map_err(fail)?;
        // Closing does it too, and does not say when the disk was full: the half of a catalog would get the name.
        catalog.checkpoint()?;
        catalog.connection.close().map_err(|(_, error)| fail(error))
    }

    /// There is a catalog: a store, of whatever version.
    pub(super) fn exists(layout: &Layout) -> bool {
        layout.catalog().exists()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn require(layout: &Layout) -> Result<(), StoreError> {
        let why = if !layout.root().is_dir() {
            "there is no such folder"
        } else if !layout.catalog().is_file() {
            "it has no catalog.sqlite"
        } else {
            return Ok(());
        };
        Err(StoreError::NotAStore { dir: layout.root().to_owned(), why })
    }

    fn connect(layout: &Layout, path: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        let fail = |error| StoreError::catalog("opening", path, error);
        let connection = Connection::open_with_flags(path, flags).map_err(fail)?;
        connection.busy_timeout(BUSY).map_err(fail)?;
        Ok(Self { connection, layout: layout.clone(), path: path.to_owned(), tally: Tally::default() })
    }

    /// Whether it can be changed: begins a change and takes it back. Somebody else who changes it is a good sign.
    pub(super) fn could_change(&self) -> Result<(), StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let other = Self::connect(&self.layout, &self.path, flags)?;
        let fail = self.fail("opening for a change");
        other.connection.busy_timeout(Duration::ZERO).map_err(&fail)?;
        match other.connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK") {
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => Ok(()),
            other => other.map_err(fail),
        }
    }

    /// What a committed transaction promises: on the disk before COMMIT returns, and no old bytes left in free pages.
    fn durable(&self) -> Result<(), StoreError> {
        let settings = "PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;";
        self.connection.execute_batch(settings).map_err(|error| StoreError::catalog("opening", &self.path, error))
    }

    /// Changes rows in a transaction of its own, and the digest with them.
    fn change(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let fail = |error| StoreError::catalog(doing, &self.path, error);
        self.tally.take();
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
        work(&tx).map_err(fail)?;
        digest::keep(&tx, &self.tally).map_err(fail)?;
        tx.commit().map_err(fail)
    }

    /// Moves what the log holds into the catalog and empties the log, unless somebody reads at the moment: SQLite cannot
    /// tell a damaged log from a short one, and erased bytes stay in it.
    pub(super) fn fold(&self) -> Result<(), StoreError> {
        let fail = self.fail("emptying the log of");
        self.connection.busy_timeout(FOLD).map_err(&fail)?;
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(&fail)?;
        self.connection.busy_timeout(BUSY).map_err(fail)
    }

    fn fail(&self, doing: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
        let path = self.path.clone();
        move |error| StoreError::catalog(doing, &path, error)
    }
}

/// `2026-01-05 10:00:00.123456+00`, as DuckLake spells an instant.
pub(super) fn sql_time(ts: i64) -> String {
    let (day, rest) = (Day::of(ts), ts.rem_euclid(DAY));
    let (seconds, micros) = (rest / SECOND, rest % SECOND);
    format!("{day} {:02}:{:02}:{:02}.{micros:06}+00", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}
