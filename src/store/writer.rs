//! The one writer: holds `writer.lock` for as long as it lives.

use std::fs::File;
use std::sync::{Mutex, PoisonError};

use super::StoreError;
use super::catalog::Catalog;
use super::commit::Commit;
use super::disk::Disk;
use super::layout::{Layout, Table};
use super::lease;
use super::links::{self, LinkChange, Linking, Parts};
use super::lock::WriterLock;
use super::part::{NewPart, PartFile};
use super::people::{self, Renew};
use super::snapshot::Snapshot;
use super::sweep;
use crate::privacy::Tombstone;
use crate::time::Day;

/// Writes parts and commits them. Shared references may be used from several threads to write parts at once.
#[derive(Debug)]
pub struct Writer {
    pub(super) layout: Layout,
    pub(super) disk: Disk,
    pub(super) lock: WriterLock,
    catalog: Mutex<Catalog>,
    /// The last snapshot.
    pub(super) head: i64,
    /// A commit failed in a way that only a reopened catalog can tell the outcome of.
    pub(super) spent: bool,
    /// How its commits link ids.
    pub(super) linking: Linking,
}

impl Writer {
    /// Takes the lock, then removes what a killed writer left behind.
    pub(super) fn open(layout: &Layout, disk: &Disk, linking: Linking) -> Result<Self, StoreError> {
        let (lock, announced) = WriterLock::take(layout, disk)?;
        let mut catalog = Catalog::open_writer(layout)?;
        catalog.head_after(lease::latest(layout)?)?;
        let head = catalog.listing()?.head;
        sweep::temporary(layout, disk)?;
        sweep::uncommitted(layout, disk, &catalog, &announced)?;
        lock.clear()?;
        sweep::replaced(layout, disk, &mut catalog)?;
        sweep::settle(layout, disk, &catalog)?;
        let catalog = Mutex::new(catalog);
        Ok(Self { layout: layout.clone(), disk: disk.clone(), lock, catalog, head, spent: false, linking })
    }

    /// A new part file of a day, empty.
    ///
    /// # Errors
    /// The disk is full, or the folder cannot be written to.
    pub fn part(&self, table: Table, day: Day) -> Result<PartFile, StoreError> {
        PartFile::create(&self.disk, &self.layout, table, day)
    }

    /// An empty file without a name on the store's disk, for input that must be read twice. It never counts as data
    /// and is gone when its handle is.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn spool(&self) -> Result<File, StoreError> {
        let path = self.layout.spool();
        let fail = |error| StoreError::io("creating", &path, error);
        let file = self.disk.open_or_create(&path).map_err(fail)?;
        file.set_len(0).map_err(fail)?;
        self.disk.remove(&path).map_err(fail)?;
        Ok(file)
    }

    /// Whom nothing may bring back.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn forgotten(&self) -> Result<Vec<Tombstone>, StoreError> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner).forgotten()
    }

    /// Starts a commit on the current snapshot.
    pub fn begin(&mut self) -> Commit<'_> {
        Commit::new(self)
    }

    /// The current snapshot. It counts as a reader: parts that a commit replaces stay on the disk until it is dropped
    /// and the next commit or writer sweeps them.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let catalog = self.catalog.lock().unwrap_or_else(PoisonError::into_inner);
        Snapshot::take(&self.layout, &self.disk, &catalog)
    }

    /// `snapshot` with the parts `remove` replaced by `add`, which need not have the same rows, and with what follows
    /// from them about who is who: what a reader would see if it were committed. It can be read for as long as `add`
    /// lives.
    ///
    /// # Errors
    /// A part or the catalog cannot be read.
    pub fn as_if(&mut self, snapshot: &Snapshot, remove: &[i64], add: &[NewPart]) -> Result<Snapshot, StoreError> {
        let change = self.link_change(Parts { add, remove, loses: true, log_outs: &[] })?;
        let links = self.catalog_mut().links_as_if(&change)?;
        Ok(snapshot.with(remove, add, Some(links)))
    }

    /// Makes the map of who is who anew where it is not what the catalog says, or damaged.
    ///
    /// # Errors
    /// The catalog cannot be read, or the disk is full. Without the map queries are slower and answer the same.
    pub fn renew_people(&mut self) -> Result<(), StoreError> {
        let (layout, disk) = (self.layout.clone(), self.disk.clone());
        people::keep(&layout, &disk, self.catalog_mut(), Renew::Always)
    }

    /// What parts say about who is who.
    pub(super) fn link_change(&mut self, parts: Parts<'_>) -> Result<LinkChange, StoreError> {
        let key = self.key(!self.linking.matches.is_empty())?;
        let linking = self.linking.clone();
        links::change(self.catalog_mut(), parts, &linking, key.as_ref())
    }

    /// Removes replaced parts that nobody reads; whether none is left.
    pub(super) fn sweep(&mut self) -> Result<bool, StoreError> {
        let catalog = self.catalog.get_mut().unwrap_or_else(PoisonError::into_inner);
        sweep::replaced(&self.layout, &self.disk, catalog)?;
        Ok(catalog.removed()?.is_empty())
    }

    pub(super) fn catalog_mut(&mut self) -> &mut Catalog {
        self.catalog.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}
