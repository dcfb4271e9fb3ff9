//! Tidying: what a killed writer left, and parts that were replaced and that nobody reads any more.
//!
//! The kinds of file that are ever deleted (FORMAT.md §3.6); everything else stays and is reported by `verify`.

use super::StoreError;
use super::catalog::Catalog;
use super::disk::Disk;
use super::layout::{Layout, PartName, PartPath, Table};
use super::lease;

/// Removes temporary files of ours. Only with the writer lock held: nobody writes them then.
pub(super) fn temporary(layout: &Layout, disk: &Disk) -> Result<(), StoreError> {
    // SQLite says nothing when it cannot remove what lay beside a catalog in the making.
    for left in Layout::database_files(&layout.new_catalog()) {
        disk.remove(&left).map_err(|error| StoreError::io("removing", &left, error))?;
    }
    let half = layout.new_people();
    if disk.remove(&half).map_err(|error| StoreError::io("removing", &half, error))? {
        disk.sync_dir(layout.root()).map_err(|error| StoreError::io("syncing", layout.root(), error))?;
    }
    for table in Table::ALL {
        let dir = layout.table_dir(table);
        let days = Disk::names(&dir).map_err(|error| StoreError::io("listing", &dir, error))?;
        for day in days.iter().filter_map(|name| PartPath::parse_day_dir(name)) {
            let dir = layout.day_dir(table, day);
            for name in Disk::names(&dir).map_err(|error| StoreError::io("listing", &dir, error))? {
                if PartName::parse_tmp(&name).is_some() {
                    let path = dir.join(&name);
                    disk.remove(&path).map_err(|error| StoreError::io("removing", &path, error))?;
                }
            }
        }
    }
    Ok(())
}

/// Removes parts that a writer announced and published but did not commit.
pub(super) fn uncommitted(
    layout: &Layout,
    disk: &Disk,
    catalog: &Catalog,
    announced: &[PartPath],
) -> Result<(), StoreError> {
    if announced.is_empty() {
        return Ok(());
    }
    let known = catalog.places()?;
    for place in announced.iter().filter(|place| !known.contains(place)) {
        let path = layout.part(place);
        disk.remove(&path).map_err(|error| StoreError::io("removing", &path, error))?;
    }
    Ok(())
}

/// After a commit, and when a writer begins: the snapshot is known outside of the catalog, and the catalog is whole
/// without its log.
pub(super) fn settle(layout: &Layout, disk: &Disk, catalog: &Catalog) -> Result<(), StoreError> {
    lease::share(layout, disk, catalog.head()?)?;
    catalog.fold()
}

/// Unlinks replaced parts that no lease covers, makes that durable, and only then forgets their rows; and forgets what
/// was once said about who is who, where no lease covers it.
pub(super) fn replaced(layout: &Layout, disk: &Disk, catalog: &mut Catalog) -> Result<(), StoreError> {
    let (removed, links) = (catalog.removed()?, catalog.has_ended_links()?);
    if removed.is_empty() && !links {
        return Ok(());
    }
    let newest = catalog.head()?;
    let held = lease::held(layout, disk, newest)?;
    if links {
        catalog.forget_links(held.first().copied().unwrap_or(newest).min(newest))?;
    }
    let free: Vec<_> =
        removed.iter().filter(|part| !held.iter().any(|&id| part.begin <= id && id < part.end)).collect();
    let mut dirs: Vec<_> = free.iter().map(|part| layout.day_dir(part.place.table, part.place.day)).collect();
    for part in &free {
        let path = layout.part(&part.place);
        disk.remove(&path).map_err(|error| StoreError::io("removing", &path, error))?;
    }
    dirs.sort_unstable();
    dirs.dedup();
    for dir in dirs.iter().filter(|dir| dir.is_dir()) {
        disk.sync_dir(dir).map_err(|error| StoreError::io("syncing", dir, error))?;
    }
    if free.is_empty() {
        return Ok(());
    }
    catalog.forget_removed(&free.iter().map(|part| part.file_id).collect::<Vec<_>>())
}
