//! The folder against the catalog, and the bytes of a part against its checksum.

use std::fs::File;
use std::io::Read;

use xxhash_rust::xxh3::Xxh3;

use super::Finding;
use crate::store::StoreError;
use crate::store::catalog::Catalog;
use crate::store::disk::Disk;
use crate::store::layout::{Layout, PartName, PartPath, Table};
use crate::store::lock;
use crate::store::part::{Checksum, Part};
use crate::store::snapshot::Snapshot;

const LOOK: &str = "look at it and move it away: readers of the whole folder count it, journeyql does not";

/// Reports what lies in `data/` and is named by no commit, and returns how many files a killed writer left: the next
/// one removes those, so they are no finding. While somebody writes, unfinished parts are neither.
pub(super) fn check_folder(
    layout: &Layout,
    catalog: &Catalog,
    snapshot: &Snapshot,
    findings: &mut Vec<Finding>,
) -> Result<usize, StoreError> {
    let announced = lock::look(layout)?;
    let writing = announced.is_none();
    let announced = announced.unwrap_or_default();
    let known = catalog.places()?;
    let mut left = 0;
    let mut report = |path: std::path::PathBuf, what: &str| {
        findings.push(Finding { file: Some(path), check: "folder", what: what.to_owned(), next: LOOK });
    };
    let list = |dir: std::path::PathBuf| Disk::names(&dir).map_err(|error| StoreError::io("listing", &dir, error));
    for name in list(layout.data())? {
        let Some(table) = Table::ALL.into_iter().find(|table| table.name() == name) else {
            report(layout.data().join(name), "it is no table of the store");
            continue;
        };
        for name in list(layout.table_dir(table))? {
            let Some(day) = PartPath::parse_day_dir(&name) else {
                report(layout.table_dir(table).join(name), "it is no day of the table");
                continue;
            };
            for name in list(layout.day_dir(table, day))? {
                let path = layout.day_dir(table, day).join(&name);
                match (PartName::parse(&name), PartName::parse_tmp(&name)) {
                    (Some(name), _) => {
                        let place = PartPath { table, day, name };
                        // The list may be older than the folder: a part of a later commit is no orphan.
                        if known.contains(&place) || writing || catalog.head()? != snapshot.id {
                            continue;
                        }
                        if announced.contains(&place) {
                            left += 1;
                        } else {
                            report(path, "no commit names it");
                        }
                    }
                    (None, Some(_)) => left += usize::from(!writing),
                    (None, None) => report(path, "it is no part of the store"),
                }
            }
        }
    }
    Ok(left)
}

/// xxh3-128 of the whole file.
pub(super) fn checksum(mut file: &File, part: &Part) -> Result<Checksum, StoreError> {
    let mut hash = Xxh3::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(|error| StoreError::io("reading", &part.path, error))? {
            0 => return Ok(Checksum(hash.digest128())),
            read => hash.update(&buffer[..read]),
        }
    }
}
