//! One state of the store, kept readable by a lease for as long as a clone of it lives.

use std::fs::File;
use std::sync::Arc;

use super::StoreError;
use super::catalog::{Catalog, Listing};
use super::disk::Disk;
use super::layout::{Layout, Table};
use super::part::{NewPart, Part};
use super::source::SourceRow;
use crate::identity::Links;

/// The parts and sources of one commit. Cloning shares the lease; the files stay until the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub id: i64,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    listing: Listing,
    /// Who is who, where that is not what the catalog says.
    links: Option<Links>,
    /// Shared lock on `leases/<id>`; released when the file closes.
    lease: Arc<File>,
}

impl Snapshot {
    /// Takes the lease first and reads the list second; starts over when the head moved in between.
    pub(super) fn take(layout: &Layout, disk: &Disk, catalog: &Catalog) -> Result<Self, StoreError> {
        loop {
            let id = catalog.head_after(super::lease::latest(layout)?)?;
            let lease = super::lease::share(layout, disk, id)?;
            let listing = catalog.listing()?;
            if listing.head == id {
                return Ok(Self { id, inner: Arc::new(Inner { listing, links: None, lease: Arc::new(lease) }) });
            }
        }
    }

    /// This snapshot with the parts `remove` replaced by `add`, which are not committed: what a reader would see. It
    /// can be read for as long as `add` lives.
    #[must_use]
    pub fn as_if(&self, remove: &[i64], add: &[NewPart]) -> Self {
        self.with(remove, add, self.inner.links.clone())
    }

    /// [`Snapshot::as_if`], with these links.
    pub(super) fn with(&self, remove: &[i64], add: &[NewPart], links: Option<Links>) -> Self {
        let mut listing = self.inner.listing.clone();
        // No committed part has such a number.
        let added = || (1..).zip(add).map(|(number, part)| part.as_if(-number));
        for (table, parts) in [(Table::Events, &mut listing.events), (Table::Quarantine, &mut listing.quarantine)] {
            parts.retain(|part| !remove.contains(&part.file_id));
            parts.extend(added().filter(|part| part.table == table));
            parts.sort_by_key(|part| part.day);
        }
        Self { id: self.id, inner: Arc::new(Inner { listing, links, lease: Arc::clone(&self.inner.lease) }) }
    }

    /// Who is who, where that is not what the catalog says.
    pub(super) fn links(&self) -> Option<&Links> {
        self.inner.links.as_ref()
    }

    /// The mark of who is who, where anybody was ever linked.
    pub(super) fn linked(&self) -> Option<&str> {
        self.inner.listing.linked.as_deref()
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
