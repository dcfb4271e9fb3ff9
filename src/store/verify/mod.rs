//! Everything against everything: the catalog, the files, the rows and the counters.
//!
//! | check | quick | deep |
//! |---|---|---|
//! | `catalog` pages of the SQLite file, and the digest of every row | ✓ | ✓ |
//! | `file` every part is there, whole, with its footer | ✓ | ✓ |
//! | `folder` nothing lies in `data/` that no commit names | ✓ | ✓ |
//! | `totals` of a table over its parts | ✓ | ✓ |
//! | `conservation` lines = stored + quarantined + dropped + duplicates, and the sums of the tables | ✓ | ✓ |
//! | `key` of the masks is the store's own | ✓ | ✓ |
//! | `people` the map of who is who says what the catalog does | ✓ | ✓ |
//! | `checksum` of every byte | | ✓ |
//! | `schema`, `day`, `order`, `statistics` of every row | | ✓ |
//! | `conservation` stored and quarantined rows of every source | | ✓ |
//!
//! Looks only: nothing is repaired, nothing deleted. A finding names the file, the check and the next step.

mod files;
mod rows;
mod sources;
mod totals;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::catalog::{Catalog, FileStats};
use super::layout::Table;
use super::part::Part;
use super::snapshot::Snapshot;
use super::{Meter, Store, StoreError};

/// One thing that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file concerned, where it is one.
    pub file: Option<PathBuf>,
    /// The check that failed, a name of the table above.
    pub check: &'static str,
    /// What was expected and what was found.
    pub what: String,
    /// What to do about it.
    pub next: &'static str,
}

/// What [`Store::verify`] looked at and found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    pub snapshot: i64,
    pub parts: usize,
    pub rows: u64,
    pub bytes: u64,
    pub sources: usize,
    /// Files of a killed writer that the next one removes: no damage.
    pub left: usize,
    /// Every byte and row was read.
    pub deep: bool,
    /// In order of the checks; empty when all is well.
    pub findings: Vec<Finding>,
}

pub(super) const RESTORE: &str = "restore the file from a copy of the store, or ingest the logs into a new store";
pub(super) const REPORT: &str =
    "ingest the logs into a new store, and report this: journeyql never writes such a state";

impl Store {
    /// Checks the store against itself; `deep` reads every byte of every part, and tells `meter`.
    ///
    /// # Errors
    /// The catalog cannot be read, or was written to by another program: nothing below it can be judged then.
    pub fn verify(&self, deep: bool, meter: &Meter) -> Result<VerifyReport, StoreError> {
        let snapshot = self.snapshot()?;
        let mut findings = Vec::new();
        let left;
        let stats = {
            let catalog = self.catalog();
            check_catalog(&catalog, &mut findings)?;
            left = files::check_folder(&self.layout, &catalog, &snapshot, &mut findings)?;
            totals::check(&catalog, &snapshot, &mut findings)?;
            if deep { catalog.file_stats()? } else { BTreeMap::new() }
        };
        sources::check_sums(&snapshot, &mut findings);
        check_key(self, &mut findings)?;
        self.check_people(&snapshot, &mut findings)?;
        let parts: Vec<&Part> = snapshot.events().iter().chain(snapshot.quarantine()).collect();
        let mut counted = BTreeMap::new();
        let mut all_read = deep;
        for (part, result) in parts.iter().zip(look_at(&parts, &stats, deep, meter)) {
            let seen = result?;
            all_read &= !seen.unread;
            findings.extend(seen.findings);
            for (source, rows) in seen.by_source {
                *counted.entry((part.table, source)).or_insert(0) += rows;
            }
        }
        // Rows that could not be read are not missing: the file is to blame, not the law.
        if all_read {
            sources::check_rows(&snapshot, &counted, &mut findings);
        }
        Ok(VerifyReport {
            snapshot: snapshot.id,
            parts: parts.len(),
            rows: parts.iter().map(|part| part.rows).sum(),
            bytes: parts.iter().map(|part| part.bytes).sum(),
            sources: snapshot.sources().len(),
            left,
            deep,
            findings,
        })
    }
}

/// What was seen in one part.
#[derive(Debug, Default)]
struct Seen {
    findings: Vec<Finding>,
    /// The rows could not be read.
    unread: bool,
    by_source: BTreeMap<String, u64>,
}

fn finding(part: &Part, check: &'static str, what: impl Into<String>, next: &'static str) -> Finding {
    Finding { file: Some(part.path.clone()), check, what: what.into(), next }
}

fn check_catalog(catalog: &Catalog, findings: &mut Vec<Finding>) -> Result<(), StoreError> {
    let torn = catalog.integrity()?;
    let altered = if torn.is_none() { catalog.altered()? } else { None };
    if let Some(what) = torn.or(altered) {
        let file = Some(catalog.path().to_owned());
        findings.push(Finding { file, check: "catalog", what, next: "restore the store from a copy" });
    }
    Ok(())
}

/// The key of the masks is the one that the catalog knows, where it knows one.
fn check_key(store: &Store, findings: &mut Vec<Finding>) -> Result<(), StoreError> {
    match store.key() {
        Err(error) if error.is_damage() => {
            let next = "put the store's own key back from a copy";
            findings.push(Finding { file: Some(store.layout.key()), check: "key", what: error.to_string(), next });
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Looks at every part, on as many threads as there are cores; results in order of the parts.
fn look_at(
    parts: &[&Part],
    stats: &BTreeMap<i64, FileStats>,
    deep: bool,
    meter: &Meter,
) -> Vec<Result<Seen, StoreError>> {
    let done = meter.over(parts.iter().map(|part| part.bytes).sum());
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(parts.len().max(1));
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(part) = parts.get(at) else { break };
                    let seen = look_at_part(part, stats.get(&part.file_id), deep);
                    done(part.bytes);
                    results.lock().unwrap_or_else(PoisonError::into_inner).insert(at, seen);
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

fn look_at_part(part: &Part, stats: Option<&FileStats>, deep: bool) -> Result<Seen, StoreError> {
    let mut seen = Seen::default();
    let file = match part.open() {
        Ok(file) => file,
        Err(error) if error.is_damage() => {
            seen.findings.push(finding(part, "file", error.to_string(), RESTORE));
            seen.unread = true;
            return Ok(seen);
        }
        Err(error) => return Err(error),
    };
    if !deep {
        return Ok(seen);
    }
    let whole = files::checksum(&file, part)?;
    if whole != part.checksum {
        let what = format!("its bytes have the checksum {whole}, the catalog says {}", part.checksum);
        seen.findings.push(finding(part, "checksum", what, RESTORE));
        seen.unread = true;
        return Ok(seen);
    }
    rows::check(&file, part, stats, &mut seen)?;
    Ok(seen)
}

/// The rows of a table that its sources claim.
fn claimed(snapshot: &Snapshot, table: Table) -> u64 {
    snapshot
        .sources()
        .iter()
        .map(|source| if table == Table::Events { source.stored } else { source.quarantined })
        .sum()
}
