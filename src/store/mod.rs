//! The store: the only writer of files. `FORMAT.md` beside this page is the contract; the code follows it.
//!
//! ```text
//!   Store ──snapshot──► Snapshot ──events──► Part ──open──► bytes            any number of readers
//!     │
//!     └────writer────► Writer ──part──► PartFile ─► PartWriter ─► NewPart    one writer
//!                        └──begin──► Commit ──add, remove, source, audit──► commit
//!
//!   layout.rs   where everything lies            disk.rs     create, write, sync, rename, remove
//!   catalog/    what is data (SQLite, DuckLake)  commit.rs   the protocol       sweep.rs  what a crash left
//!   key.rs      the secret of the masks          refused.rs  which refused lines are meant
//!   links/      who is who, from the events      reads.rs    what servers were asked
//!   people/     the map that follows from them
//!   erase.rs    the proof that somebody is gone  inbox.rs    received, and not committed yet
//!   lock.rs     one writer                       lease.rs    who reads what     parquet.rs  rows → bytes
//!   verify/     everything against everything    error.rs    why the store said no
//! ```
//!
//! Invariants: FORMAT.md §3. Deliberately not here: what a row means (`event/`, `ingest/`), SQL (`engine/`), repair by
//! guessing.

mod catalog;
mod commit;
mod discard;
mod disk;
mod erase;
mod error;
mod inbox;
mod key;
mod late;
mod layout;
mod lease;
mod links;
mod lock;
mod meter;
mod order;
mod parquet;
mod part;
mod people;
mod reads;
mod refused;
mod rules;
mod scratch;
mod snapshot;
mod source;
mod sweep;
mod verify;
mod writer;

#[cfg(test)]
mod crash;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub use catalog::{AliasEdit, AuditRow, CorrectionEdit, Erasure, SegmentEdit, SegmentRow};
pub use commit::Commit;
pub use erase::Proof;
pub use error::StoreError;
pub use inbox::{Inbox, Waiting};
pub use late::{Late, LateRow};
pub use layout::Table;
pub use links::Linking;
pub use meter::Meter;
pub use parquet::{Lines, PartWriter, fits, merge, other_columns, part_options};
pub use part::{Checksum, NewPart, Part, PartFile};
pub use reads::ReadRow;
pub use refused::Refused;
pub use scratch::Scratch;
pub use snapshot::Snapshot;
pub use source::{AFTERWARDS, SourceRow};
pub use verify::{Finding, VerifyReport};
pub use writer::Writer;

use catalog::Catalog;
use disk::Disk;
use layout::Layout;

use crate::correction::Correction;
use crate::identity::{Alias, Links};

/// An opened store. Cheap to open: no part is looked at.
#[derive(Debug)]
pub struct Store {
    layout: Layout,
    disk: Disk,
    /// One connection, shared by the threads of this process.
    catalog: Mutex<Catalog>,
}

/// What may lie in a folder that becomes a store: the rules, and what an interrupted creation left.
const WELCOME: [&str; 16] = [
    "journeyql.toml",
    "journeyql.toml.tmp",
    "privacy.key",
    "privacy.key.tmp",
    "queries",
    "data",
    "leases",
    "writer.lock",
    "catalog.sqlite",
    "catalog.sqlite-journal",
    "catalog.sqlite-wal",
    "catalog.sqlite-shm",
    "catalog.sqlite.new",
    "catalog.sqlite.new-journal",
    "catalog.sqlite.new-wal",
    "catalog.sqlite.new-shm",
];

impl Store {
    /// Creates an empty store in a new or empty folder (the rules file may lie there already) and opens it.
    ///
    /// # Errors
    /// There is a store already, the folder holds other files, or it cannot be written to.
    pub fn create(dir: &Path) -> Result<Self, StoreError> {
        Self::create_on(dir, &Disk::default(), None)
    }

    /// [`Store::create`] with this text as the store's `journeyql.toml`.
    ///
    /// # Errors
    /// As for [`Store::create`].
    pub fn create_with_rules(dir: &Path, rules: &str) -> Result<Self, StoreError> {
        Self::create_on(dir, &Disk::default(), Some(rules))
    }

    fn create_on(dir: &Path, disk: &Disk, rules: Option<&str>) -> Result<Self, StoreError> {
        let layout = make_folders(&absolute(dir)?, disk)?;
        let (_lock, _) = lock::WriterLock::take(&layout, disk)?;
        if Catalog::exists(&layout) {
            return Err(StoreError::AlreadyAStore { dir: layout.root().to_owned() });
        }
        if let Some(text) = rules {
            rules::write(&layout, disk, text)?;
        }
        let random = || RandomState::new().build_hasher().finish();
        Catalog::create(&layout, disk, &format!("{:016x}{:016x}", random(), random()), crate::time::now_micros())?;
        Self::open_on(dir, disk)
    }

    /// Opens a store for reading; never creates anything but the lease of a snapshot.
    ///
    /// # Errors
    /// It is no store, of a newer version, was written to by another program, or its catalog is damaged.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_on(dir, &Disk::default())
    }

    fn open_on(dir: &Path, disk: &Disk) -> Result<Self, StoreError> {
        let layout = Layout::new(absolute(dir)?);
        let catalog = Catalog::open_reader(&layout)?;
        Ok(Self { layout, disk: disk.clone(), catalog: Mutex::new(catalog) })
    }

    /// The store's folder, absolute.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.layout.root()
    }

    /// The catalog's file, for the ATTACH line of other tools.
    #[must_use]
    pub fn catalog_path(&self) -> PathBuf {
        self.layout.catalog()
    }

    /// The current snapshot, leased.
    ///
    /// # Errors
    /// The catalog cannot be read, or was written to by another program.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Snapshot::take(&self.layout, &self.disk, &self.catalog())
    }

    /// Becomes the one writer, whose commits link ids by these rules.
    ///
    /// # Errors
    /// [`StoreError::InUse`] names who writes; or the store cannot be written to.
    pub fn writer(&self, linking: Linking) -> Result<Writer, StoreError> {
        Writer::open(&self.layout, &self.disk, linking)
    }

    /// Tries what a commit needs: the catalog can be read and changed, and the disk takes and keeps bytes. Nothing is left
    /// of it.
    ///
    /// # Errors
    /// One of them is not so.
    pub fn could_commit(&self) -> Result<(), StoreError> {
        self.snapshot()?;
        self.catalog().could_change()?;
        let path = self.layout.probe();
        let fail = |error| StoreError::io("writing to", &path, error);
        let file = self.disk.open_or_create(&path).map_err(fail)?;
        let written = self.disk.write_all(&file, &path, &[0; 4096]).and_then(|()| self.disk.sync_file(&file, &path));
        self.disk.remove(&path).map_err(fail)?;
        written.map_err(fail)
    }

    /// What a snapshot says about who is who.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn links(&self, snapshot: &Snapshot) -> Result<Links, StoreError> {
        snapshot.links().map_or_else(|| self.catalog().links(snapshot.id), |links| Ok(links.clone()))
    }

    /// The pairs of ids that are not one person, as somebody said.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn rejections(&self, snapshot: &Snapshot) -> Result<Vec<Alias>, StoreError> {
        snapshot.links().map_or_else(|| self.catalog().rejections(snapshot.id), |links| Ok(links.rejections.clone()))
    }

    /// Whether these rules made the links; a store without a commit has none.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn is_linked_by(&self, linking: &Linking) -> Result<bool, StoreError> {
        let made = self.catalog().meta(links::META)?;
        Ok(made.is_none_or(|made| made == linking.fingerprint()))
    }

    /// What a snapshot says of single events, oldest first, with what was taken back.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn corrections(&self, snapshot: &Snapshot) -> Result<Vec<Correction>, StoreError> {
        self.catalog().corrections(snapshot.id)
    }

    /// The saved groups of people of a snapshot, by name.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn segments(&self, snapshot: &Snapshot) -> Result<Vec<SegmentRow>, StoreError> {
        self.catalog().segments(snapshot.id)
    }

    /// What was done to the store, oldest first.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn audit(&self) -> Result<Vec<AuditRow>, StoreError> {
        self.catalog().audit()
    }

    /// What late events did, commit by commit, oldest first.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn late_ledger(&self) -> Result<Vec<LateRow>, StoreError> {
        self.catalog().late_ledger()
    }

    fn catalog(&self) -> std::sync::MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The absolute form of a folder that exists; the path as given where it does not, for the message that follows.
fn absolute(dir: &Path) -> Result<PathBuf, StoreError> {
    match dir.canonicalize() {
        Ok(path) => Ok(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            std::path::absolute(dir).map_err(|error| StoreError::io("opening", dir, error))
        }
        Err(error) => Err(StoreError::io("opening", dir, error)),
    }
}

/// Creates the folders of a store, parents first, each durable before the next.
fn make_folders(dir: &Path, disk: &Disk) -> Result<Layout, StoreError> {
    let missing: Vec<&Path> = dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.is_dir()).collect();
    for dir in missing.into_iter().rev() {
        disk.create_dir(dir).map_err(|error| StoreError::io("creating", dir, error))?;
    }
    let layout = Layout::new(absolute(dir)?);
    let names = Disk::names(layout.root()).map_err(|error| StoreError::io("listing", layout.root(), error))?;
    if let Some(found) = names.into_iter().find(|name| !WELCOME.contains(&name.as_str())) {
        return Err(StoreError::NotEmpty { dir: layout.root().to_owned(), found });
    }
    let tables = Table::ALL.map(|table| layout.table_dir(table));
    for dir in [layout.leases(), layout.data()].iter().chain(&tables) {
        disk.create_dir(dir).map_err(|error| StoreError::io("creating", dir, error))?;
    }
    Ok(layout)
}
