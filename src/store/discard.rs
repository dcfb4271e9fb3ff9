//! A store that was made for nothing: the ingest that it was made for had nothing to bring.

use std::path::Path;

use super::layout::{Layout, Table};
use super::lock::WriterLock;
use super::{Store, StoreError, key};

impl Store {
    /// Removes a store that nothing was ever committed to, and its folder too where `folder` says so and nothing else
    /// lies in it. Whether it is gone; a store with anything in it stays as it is.
    ///
    /// # Errors
    /// Somebody writes to it, or it cannot be removed.
    pub fn discard(self, folder: bool) -> Result<bool, StoreError> {
        let Self { layout, disk, catalog } = self;
        let (lock, _) = WriterLock::take(&layout, &disk)?;
        let mut files = files(&layout);
        {
            let catalog = catalog.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
            let listing = catalog.listing()?;
            if !(listing.sources.is_empty() && listing.events.is_empty() && listing.quarantine.is_empty()) {
                return Ok(false);
            }
            if key::is_ours(&catalog)? {
                files.push(layout.key());
            }
        }
        // The catalog goes first: from then on there is no store.
        let root = layout.root();
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| StoreError::io("removing", &path, error)
        };
        for path in files {
            disk.remove(&path).map_err(failed(&path))?;
        }
        drop(lock);
        disk.remove(&layout.writer_lock()).map_err(failed(root))?;
        let tables = Table::ALL.map(|table| layout.table_dir(table));
        for dir in tables.iter().chain(&[layout.data(), layout.leases()]) {
            disk.remove_empty_dir(dir).map_err(failed(dir))?;
        }
        if folder {
            disk.remove_empty_dir(root).map_err(failed(root))?;
        }
        Ok(true)
    }
}

/// The files of an empty store, the catalog first; the rules are the user's and stay unless they came with the store.
fn files(layout: &Layout) -> Vec<std::path::PathBuf> {
    let leases = std::fs::read_dir(layout.leases()).into_iter().flatten().flatten().map(|entry| entry.path());
    Layout::database_files(&layout.catalog()).into_iter().chain(leases).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_store_goes_without_a_trace() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a");
        assert!(Store::create(&root).unwrap().discard(true).unwrap());
        assert!(!root.exists());
        Store::create(&root).unwrap();
        assert!(Store::open(&root).unwrap().discard(false).unwrap());
        assert!(root.exists() && std::fs::read_dir(&root).unwrap().next().is_none());
    }
}
