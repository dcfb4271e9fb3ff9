//! Small parts of a day become one.

use std::collections::BTreeMap;

use serde::Serialize;

use super::error::MaintainError;
use super::rewrite::rewrite;
use crate::config::Config;
use crate::store::{Linking, Meter, Part, Store, StoreError, Table};
use crate::time::Day;

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Compacted {
    /// Days of a table whose parts were merged.
    pub days: usize,
    pub files_before: usize,
    pub files_after: usize,
    pub bytes_before: u64,
    pub bytes_after: u64,
}

/// Merges the parts of each day that were shaped by the same rules, and makes the map of who is who anew. No row
/// changes, so no answer does.
/// `meter` is told of the bytes that are read.
///
/// # Errors
/// Somebody else writes, a part cannot be read, or the disk is full; the store is as it was then, or
/// [`StoreError::Untidy`] says that only the map is missing.
pub fn compact(store: &Store, config: &Config, meter: &Meter) -> Result<Compacted, MaintainError> {
    let mut writer = store.writer(Linking::new(&config.identity))?;
    let snapshot = writer.snapshot()?;
    let live = || Table::ALL.into_iter().flat_map(|table| snapshot.parts(table));
    let mut report = Compacted {
        files_before: live().count(),
        bytes_before: live().map(|part| part.bytes).sum(),
        ..Compacted::default()
    };
    // Parts of other rules stay apart: only deriving them again may say that they are up to date.
    let mut days: BTreeMap<(Table, Day, &str), Vec<&Part>> = BTreeMap::new();
    for part in live() {
        days.entry((part.table, part.day, &part.rules)).or_default().push(part);
    }
    (report.files_after, report.bytes_after) = (report.files_before, report.bytes_before);
    let (mut add, mut remove) = (Vec::new(), Vec::new());
    days.retain(|_, parts| parts.len() > 1);
    let done = meter.over(days.values().flatten().map(|part| part.bytes).sum());
    for ((table, day, rules), parts) in days {
        let part = rewrite(&writer, (table, day), &parts, rules, &mut |batch| Ok(batch.clone()))?;
        done(parts.iter().map(|part| part.bytes).sum());
        report.days += 1;
        report.files_after -= parts.len() - 1;
        report.bytes_after -= parts.iter().map(|part| part.bytes).sum::<u64>();
        report.bytes_after += part.bytes();
        remove.extend(parts.iter().map(|part| part.file_id));
        add.push(part);
    }
    if add.is_empty() {
        writer.renew_people()?;
        return Ok(report);
    }
    drop(snapshot);
    let mut commit = writer.begin();
    commit.replace(remove, add);
    commit.audit("compact", format!("{} days, {} files to {}", report.days, report.files_before, report.files_after));
    let snapshot = commit.commit()?;
    writer.renew_people().map_err(|source| StoreError::Untidy { snapshot, source: source.into() })?;
    Ok(report)
}
