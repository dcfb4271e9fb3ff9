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

/// The fact in `jq_meta`: the mark of the links as they are. Before the first link there is none.
pub(super) const MARK: &str = "linked";

/// Fewer rows are read as fast as a file is opened.
const FEWEST_ROWS: u64 = if cfg!(test) { 2 } else { 1_024 };
/// To write a row of the links costs as much as to read so many of them for the file.
const READ_PER_WRITTEN: u64 = 16;
/// To store so many events costs more than to read a row of the links for the file.
const EVENTS_PER_READ: u64 = 4;
/// The mark of a file that says nothing but that the map was too large for one.
const TOO_LARGE: &str = "too large";

/// When a file that is not what the links say is made anew.
#[derive(Debug, Clone, Copy)]
pub(super) enum Renew {
    /// Where that costs little beside what was done since, or beside a commit of so many events.
    After(u64),
    /// And also where its bytes are not what they were.
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
pub(super) fn keep(layout: &Layout, disk: &Disk, catalog: &mut Catalog, renew: Renew) -> Result<(), StoreError> {
    let last = catalog.last_link()?;
    let mark = match catalog.meta(MARK)? {
        Some(mark) => mark,
        // Links from before there were marks.
        None if matches!(renew, Renew::Always) && last >= FEWEST_ROWS => {
            let mark = mark(catalog.head()?);
            catalog.set_meta(MARK, &mark)?;
            mark
        }
        None => return remove(layout, disk),
    };
    if last < FEWEST_ROWS {
        return remove(layout, disk);
    }
    let is_due = match renew {
        Renew::Always => !matches!(read(layout, &mark), Ok(Some(_))),
        // One that cannot be read is none to the writer.
        Renew::After(events) => open(layout).ok().flatten().and_then(|file| file.made_of()).is_none_or(|found| {
            let written = last.saturating_sub(found.last).saturating_mul(READ_PER_WRITTEN);
            found.mark != mark && found.rows <= written.saturating_add(events / EVENTS_PER_READ)
        }),
    };
    if is_due { renew_file(layout, disk, catalog, mark, last) } else { Ok(()) }
}

fn renew_file(layout: &Layout, disk: &Disk, catalog: &Catalog, mark: String, last: u64) -> Result<(), StoreError> {
    let links = catalog.links(catalog.head()?)?;
    let rows = (links.devices.runs().len() + links.matches.len() + links.aliases.len()) as u64;
    let (mut people, mut of) = (People::new(&links), MadeOf { mark, rows, last });
    drop(links);
    if people.names().chain(people.rows().map(|row| row.0)).map(str::len).sum::<usize>() > MOST_BYTES {
        (people, of.mark) = (People::default(), TOO_LARGE.to_owned());
    }
    let bytes = encode(&people, &of).map_err(|error| StoreError::encode(&layout.people(), error))?;
    drop(people);
    let written = write(layout, disk, &bytes);
    if written.is_err() {
        // Half a file takes room that may be what is missing.
        let _ = disk.remove(&layout.new_people());
    }
    written
}

fn write(layout: &Layout, disk: &Disk, bytes: &[u8]) -> Result<(), StoreError> {
    let (path, tmp) = (layout.people(), layout.new_people());
    let fail = |error| StoreError::io("writing", &tmp, error);
    // One that could not be finished may lie there still.
    disk.remove(&tmp).map_err(fail)?;
    let file = disk.create(&tmp).map_err(fail)?;
    Disk::share_like(&file, &layout.catalog());
    disk.write_all(&file, &tmp, bytes).map_err(fail)?;
    disk.sync_file(&file, &tmp).map_err(fail)?;
    disk.rename(&tmp, &path).map_err(|error| StoreError::io("publishing", &path, error))?;
    disk.sync_dir(layout.root()).map_err(|error| StoreError::io("syncing", layout.root(), error))
}

/// Removes the file for good, and what there is of another.
pub(super) fn remove(layout: &Layout, disk: &Disk) -> Result<(), StoreError> {
    let files = [layout.people(), layout.new_people()];
    if !files.iter().any(|path| path.exists()) {
        return Ok(());
    }
    for path in files {
        disk.remove(&path).map_err(|error| StoreError::io("removing", &path, error))?;
    }
    disk.sync_dir(layout.root()).map_err(|error| StoreError::io("syncing", layout.root(), error))
}

/// The map, where there is a file with this mark.
fn read(layout: &Layout, mark: &str) -> Result<Option<People>, StoreError> {
    let Some(file) = open(layout)? else { return Ok(None) };
    if file.made_of().is_none_or(|of| of.mark != mark) {
        return Ok(None);
    }
    let path = layout.people();
    let found = match file.whole().map_err(|error| StoreError::io("reading", &path, error))? {
        Some(whole) => whole.read(),
        None => Err("its bytes do not have its checksum".to_owned()),
    };
    found.map(Some).map_err(|detail| StoreError::DamagedPeople { path, detail })
}

fn open(layout: &Layout) -> Result<Option<Opened>, StoreError> {
    let path = layout.people();
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| StoreError::io("reading", &path, error))?,
    };
    Opened::new(file).map(Some).map_err(|detail| StoreError::DamagedPeople { path, detail })
}
