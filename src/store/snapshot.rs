//! One state of the store, kept readable by a lease for as long as a clone of it lives.

use std::fs::File;
use std::sync::Arc;

use super::StoreError;
use super::catalog::{Catalog, Listing};
use super::disk::Disk;
use super::layout::{Layout, Table};
use super::part::Part;
use super::source::SourceRow;

/// The parts and sources of one commit. Cloning shares the lease; the files stay until the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub id: i64,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    listing: Listing,
    /// Shared lock on `leases/<id>`; released when the file closes.
    _lease: File,
}

impl Snapshot {
    /// Takes the lease first and reads the list second; starts over when the head moved in between.
    pub(super) fn take(layout: &Layout, disk: &Disk, catalog: &Catalog) -> Result<Self, StoreError> {
        loop {
            let id = catalog.head()?;
            let lease = super::lease::share(layout, disk, id)?;
            let listing = catalog.listing()?;
            if listing.head == id {
                return Ok(Self { id, inner: Arc::new(Inner { listing, _lease: lease }) });
            }
        }
    }

    /// The live parts of `events`, by day, then in order of their commits.
    #[must_use]
    pub fn events(&self) -> &[Part] {
        &self.inner.listing.events
    }

    /// The live parts of `quarantine`, by day.
    #[must_use]
    pub fn quarantine(&self) -> &[Part] {
        &self.inner.listing.quarantine
    }

    /// The live parts of a table.
    #[must_use]
    pub fn parts(&self, table: Table) -> &[Part] {
        match table {
            Table::Events => self.events(),
            Table::Quarantine => self.quarantine(),
        }
    }

    /// Every input ever seen, by source id.
    #[must_use]
    pub fn sources(&self) -> &[SourceRow] {
        &self.inner.listing.sources
    }

    /// When it was committed, microseconds.
    #[must_use]
    pub fn committed_at(&self) -> i64 {
        self.inner.listing.committed_at
    }

    /// The largest `ts` ever stored among the live events, microseconds; `None` for an empty store.
    #[must_use]
    pub fn watermark(&self) -> Option<i64> {
        self.events().iter().map(|part| part.ts_max).max()
    }
}
