//! Leases: a shared `flock` on `leases/<snapshot>` says that somebody reads that snapshot.
//!
//! The kernel releases it when the process dies, so there is nothing to expire and nothing to clean after a crash but
//! empty files. Why the order *lease, then re-read the head* is enough: FORMAT.md §7.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::StoreError;
use super::disk::Disk;
use super::layout::Layout;

/// Takes a shared lease on a snapshot.
pub(super) fn share(layout: &Layout, disk: &Disk, snapshot: i64) -> Result<File, StoreError> {
    let path = layout.lease(snapshot);
    let fail = |error| StoreError::io("leasing", &path, error);
    let file = disk.open_or_create(&path).map_err(fail)?;
    file.lock_shared().map_err(fail)?;
    Ok(file)
}

/// The latest snapshot that was ever leased, 0 before the first. Every commit leaves a lease of its snapshot, so this is
/// known outside of the catalog.
pub(super) fn latest(layout: &Layout) -> Result<i64, StoreError> {
    let dir = layout.leases();
    let names = Disk::names(&dir).map_err(|error| StoreError::io("listing", &dir, error))?;
    Ok(names.iter().filter_map(|name| Layout::parse_lease(name)).max().unwrap_or(0))
}

/// The snapshots that somebody holds, ascending. Lease files below `head` that nobody holds are removed.
pub(super) fn held(layout: &Layout, disk: &Disk, head: i64) -> Result<Vec<i64>, StoreError> {
    let dir = layout.leases();
    let names = Disk::names(&dir).map_err(|error| StoreError::io("listing", &dir, error))?;
    let mut leased = Vec::new();
    for id in names.iter().filter_map(|name| Layout::parse_lease(name)) {
        if is_held(disk, &layout.lease(id), id < head)? {
            leased.push(id);
        }
    }
    leased.sort_unstable();
    Ok(leased)
}

fn is_held(disk: &Disk, path: &Path, remove: bool) -> Result<bool, StoreError> {
    let fail = |error| StoreError::io("looking at the lease", path, error);
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        other => other.map_err(fail)?,
    };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(fail(error)),
        Ok(()) => {
            // Removed while locked: whoever opened it before and locks it after will see that the head has moved.
            if remove {
                disk.remove(path).map_err(fail)?;
            }
            Ok(false)
        }
    }
}
