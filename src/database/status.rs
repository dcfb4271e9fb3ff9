//! What is in the store, and where every line went.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Database, Error};
use crate::store::{Linking, SourceRow};
use crate::time;

/// What is said of links by other rules.
const STALE_LINKS: &str = "links were made by another [identity] – the next command that writes makes them again";

/// One source, or the sum of all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SourceStatus {
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub format: String,
    /// Plain bytes.
    pub bytes: u64,
    pub lines: u64,
    pub stored: u64,
    pub quarantined: u64,
    pub dropped: u64,
    pub duplicates: u64,
    pub dropped_by: BTreeMap<String, u64>,
    /// `lines = stored + quarantined + dropped + duplicates`.
    pub balanced: bool,
}

impl From<&SourceRow> for SourceStatus {
    fn from(row: &SourceRow) -> Self {
        Self {
            name: row.name.clone(),
            source_id: row.source_id.clone(),
            format: row.format.clone(),
            bytes: row.offset,
            lines: row.lines,
            stored: row.stored,
            quarantined: row.quarantined,
            dropped: row.dropped,
            duplicates: row.duplicates,
            dropped_by: row.dropped_by.clone(),
            balanced: row.contradiction().is_none(),
        }
    }
}

/// The state of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    pub store: String,
    pub snapshot: i64,
    /// ISO-8601.
    pub committed_at: Option<String>,
    /// Rows of `events`.
    pub events: u64,
    /// Rows of `quarantine`.
    pub quarantined: u64,
    /// UTC days with events.
    pub days: usize,
    pub first_day: Option<String>,
    pub last_day: Option<String>,
    /// Live Parquet files, and their size.
    pub files: usize,
    pub bytes: u64,
    /// The largest time stored, ISO-8601.
    pub watermark: Option<String>,
    /// Days whose rows were shaped by other rules than those in force.
    pub stale_rules: Option<String>,
    /// Links that other rules made than those in force.
    pub stale_links: Option<String>,
    /// Corrections in force, and flags: the table `events` has what they say, these counts what is stored.
    pub corrections: usize,
    pub flags: usize,
    pub sources: Vec<SourceStatus>,
    pub total: SourceStatus,
    /// The account of every source balances, and the tables hold what the sources say.
    pub balanced: bool,
}

impl Database {
    /// The state of the newest snapshot, from the catalog alone.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn status(&self) -> Result<Status, Error> {
        let snapshot = self.snapshot()?;
        let sources: Vec<SourceStatus> = snapshot.sources().iter().map(SourceStatus::from).collect();
        let total = total(&sources);
        let days: BTreeSet<_> = snapshot.events().iter().map(|part| part.day).collect();
        let events = snapshot.events().iter().map(|part| part.rows).sum();
        let quarantined = snapshot.quarantine().iter().map(|part| part.rows).sum();
        let said = self.store.corrections(&snapshot)?.into_iter().filter(|said| said.reverted.is_none());
        let (flags, corrections): (Vec<_>, Vec<_>) = said.partition(|said| said.change.is_flag());
        let (flags, corrections) = (flags.len(), corrections.len());
        let parts = || snapshot.events().iter().chain(snapshot.quarantine());
        Ok(Status {
            store: self.dir().display().to_string(),
            snapshot: snapshot.id,
            committed_at: (snapshot.committed_at() > 0).then(|| time::iso(snapshot.committed_at())),
            events,
            quarantined,
            days: days.len(),
            first_day: days.first().map(ToString::to_string),
            last_day: days.last().map(ToString::to_string),
            files: parts().count(),
            bytes: parts().map(|part| part.bytes).sum(),
            watermark: snapshot.watermark().map(time::iso),
            stale_rules: self.stale_rules(&snapshot),
            stale_links: (!self.store.is_linked_by(&Linking::new(&self.config.identity))?)
                .then(|| STALE_LINKS.to_owned()),
            corrections,
            flags,
            balanced: total.balanced && events == total.stored && quarantined == total.quarantined,
            sources,
            total,
        })
    }

    fn stale_rules(&self, snapshot: &crate::store::Snapshot) -> Option<String> {
        let present = self.config.rules_fingerprint();
        let stale: BTreeSet<_> =
            snapshot.events().iter().filter(|part| part.rules != present).map(|part| part.day).collect();
        let (first, last) = (stale.first()?, stale.last()?);
        // What the lines were read by is not derived again.
        let derived = |part: &crate::store::Part| {
            part.rules == present || self.config.rederived_fingerprint(&part.rules) == present
        };
        let (what, next) = if snapshot.events().iter().all(derived) {
            ("pages and steps", format!("try: journeyql reprocess --from {first} --to {last}"))
        } else {
            ("lines that were read", format!("try: journeyql reprocess --from-source --from {first} --to {last}"))
        };
        Some(format!(
            "{} day{} ({first} to {last}) hold {what} by other rules than those in force – {next}",
            stale.len(),
            if stale.len() == 1 { "" } else { "s" }
        ))
    }
}

fn total(sources: &[SourceStatus]) -> SourceStatus {
    let mut total = SourceStatus { name: "all".to_owned(), balanced: true, ..SourceStatus::default() };
    for source in sources {
        total.bytes += source.bytes;
        total.lines += source.lines;
        total.stored += source.stored;
        total.quarantined += source.quarantined;
        total.dropped += source.dropped;
        total.duplicates += source.duplicates;
        total.balanced &= source.balanced;
        for (rule, count) in &source.dropped_by {
            *total.dropped_by.entry(rule.clone()).or_default() += count;
        }
    }
    total
}
