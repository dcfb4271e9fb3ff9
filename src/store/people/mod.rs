//! Whose ids are whose, ready to be read: `people.parquet` is what follows from the links of the catalog.
//!
//! ```text
//! jq_devices, jq_matches, jq_aliases ─ identity ─► map ─► people.parquet       file.rs: its bytes
//!        └ jq_meta.linked: a mark that is new whenever they change ──────────► its key `journeyql.links`
//! ```
//!
//! Invariants: the file counts only while it bears the catalog's mark, so it is never older, newer or another store's;
//! without it, or with another mark, the map is made from the rows, more slowly and the same. A commit that takes rows
//! away removes it first: nobody who is erased stays in it.
//!
//! Deliberately not here: what follows from the links (`identity/`).

mod file;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;

use file::{MOST_BYTES, MadeOf, Opened, encode};

use super::catalog::Catalog;
use super::disk::Disk;
use super::layout::Layout;
use super::verify::Finding;
use super::{Snapshot, Store, StoreError};
use crate::identity::{Owner, People};

/// The fact in `jq_meta`: the mark of the links as they are. A store in which nobody was ever linked has none.
pub(super) const MARK: &str = "linked";

/// Fewer rows are read as fast as a file is opened.
const FEWEST_ROWS: u64 = if cfg!(test) { 2 } else { 1_024 };
/// A row of the links that is written costs as much as so many that are read for the file.
const READ_PER_WRITTEN: u64 = 16;
/// So many events that are stored cost four times as much as a row that is read.
const EVENTS_PER_READ: u64 = 4;

/// When the file is made anew that does not say what the links say.
#[derive(Debug, Clone, Copy)]
pub(super) enum Renew {
    /// Where that costs little beside a commit of so many events.
    After(u64),
    Always,
}

impl Store {
    /// Who is who at a snapshot.
    ///
    /// # Errors
    /// The catalog cannot be read, or the file of the map is damaged.
    pub fn people(&self, snapshot: &Snapshot) -> Result<People, StoreError> {
        if let Some(links) = snapshot.links() {
            return Ok(People::new(links));
        }
        match snapshot.linked().map(|mark| read(&self.layout, mark)).transpose()?.flatten() {
            Some(people) => Ok(people),
            None => Ok(People::new(&self.catalog().links(snapshot.id)?)),
        }
    }

    /// Whether the file says what follows from the catalog.
    pub(super) fn check_people(&self, snapshot: &Snapshot, findings: &mut Vec<Finding>) -> Result<(), StoreError> {
        let Some(mark) = snapshot.linked() else { return Ok(()) };
        let what = match read(&self.layout, mark) {
            Ok(None) => return Ok(()),
            Ok(Some(people)) if say_the_same(&people, &People::new(&self.links(snapshot)?)) => return Ok(()),
            Ok(Some(_)) => "it does not say what follows from the catalog".to_owned(),
            Err(StoreError::DamagedPeople { detail, .. }) => detail,
            Err(error) => return Err(error),
        };
        let next = "`journeyql compact` makes it anew from the catalog";
        findings.push(Finding { file: Some(self.layout.people()), check: "people", what, next });
        Ok(())
    }
}

fn say_the_same(one: &People, other: &People) -> bool {
    let same = |((a, x), (b, y)): ((&str, Owner), (&str, Owner))| {
        a == b && x.to == y.to && one.name(x.person) == other.name(y.person)
    };
    one.rows().count() == other.rows().count() && one.rows().zip(other.rows()).all(same)
}

/// A new mark for the links of snapshot `id`. No two are alike: a store may be put back to an earlier state, and the
/// same number then stands for something else.
pub(super) fn mark(id: i64) -> String {
    format!("{id}-{:016x}", RandomState::new().build_hasher().finish())
}

/// Brings the file to what the links say, where that is worth its while. Only the writer may.
pub(super) fn keep(layout: &Layout, disk: &Disk, catalog: &Catalog, renew: Renew) -> Result<(), StoreError> {
    let (Some(mark), rows) = (catalog.meta(MARK)?, catalog.link_rows()?) else { return remove(layout, disk) };
    if rows < FEWEST_ROWS {
        return remove(layout, disk);
    }
    let found = open(layout).or_else(unless_damaged)?.and_then(|file| file.made_of());
    let is_due = match (renew, found) {
        (Renew::Always, _) | (_, None) => true,
        (Renew::After(_), Some(found)) if found.mark == mark => false,
        (Renew::After(events), Some(found)) => {
            rows <= READ_PER_WRITTEN * rows.saturating_sub(found.rows) + events / EVENTS_PER_READ
        }
    };
    if !is_due {
        return Ok(());
    }
    let people = People::new(&catalog.links(catalog.head()?)?);
    if people.names().chain(people.rows().map(|row| row.0)).map(str::len).sum::<usize>() > MOST_BYTES {
        return remove(layout, disk);
    }
    let bytes = encode(&people, &MadeOf { mark, rows }).map_err(|error| StoreError::encode(&layout.people(), error))?;
    write(layout, disk, &bytes)
}

/// Removes the file for good.
pub(super) fn remove(layout: &Layout, disk: &Disk) -> Result<(), StoreError> {
    let path = layout.people();
    if !path.exists() {
        return Ok(());
    }
    disk.remove(&path).map_err(|error| StoreError::io("removing", &path, error))?;
    disk.sync_dir(layout.root()).map_err(|error| StoreError::io("syncing", layout.root(), error))
}

fn write(layout: &Layout, disk: &Disk, bytes: &[u8]) -> Result<(), StoreError> {
    let (path, tmp) = (layout.people(), layout.new_people());
    let fail = |error| StoreError::io("writing", &tmp, error);
    // One that could not be finished may lie there still.
    disk.remove(&tmp).map_err(fail)?;
    let file = disk.create(&tmp).map_err(fail)?;
    disk.write_all(&file, &tmp, bytes).map_err(fail)?;
    disk.sync_file(&file, &tmp).map_err(fail)?;
    disk.rename(&tmp, &path).map_err(|error| StoreError::io("publishing", &path, error))?;
    disk.sync_dir(layout.root()).map_err(|error| StoreError::io("syncing", layout.root(), error))
}

/// The map, where there is a file with this mark.
fn read(layout: &Layout, mark: &str) -> Result<Option<People>, StoreError> {
    let Some(file) = open(layout)? else { return Ok(None) };
    if file.made_of().is_none_or(|of| of.mark != mark) {
        return Ok(None);
    }
    file.read().map(Some).map_err(|detail| StoreError::DamagedPeople { path: layout.people(), detail })
}

fn open(layout: &Layout) -> Result<Option<Opened>, StoreError> {
    let path = layout.people();
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| StoreError::io("reading", &path, error))?,
    };
    Opened::new(file).map(Some).map_err(|detail| StoreError::DamagedPeople { path, detail })
}

/// To the writer a damaged file is none.
fn unless_damaged(error: StoreError) -> Result<Option<Opened>, StoreError> {
    if matches!(error, StoreError::DamagedPeople { .. }) { Ok(None) } else { Err(error) }
}
