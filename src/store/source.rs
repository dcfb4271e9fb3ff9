//! One input ever seen: how far it was read and where its lines went.

use std::collections::BTreeMap;

/// Rules by which lines go that were stored or refused before.
pub const AFTERWARDS: [&str; 3] = ["retention", "erased", "steward"];

/// A row of `jq_sources`. `lines = stored + quarantined + dropped + duplicates`, always.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceRow {
    /// 16 hex digits, a hash of the first event line.
    pub source_id: String,
    /// The name it was last seen under.
    pub name: String,
    pub format: String,
    /// Bytes of plain text whose lines are committed.
    pub offset: u64,
    pub lines: u64,
    pub stored: u64,
    pub quarantined: u64,
    pub dropped: u64,
    pub duplicates: u64,
    /// Dropped lines by the rule that dropped them; the sum is `dropped`.
    pub dropped_by: BTreeMap<String, u64>,
    /// What ingest needs to recognise and resume the source; opaque here.
    pub digest: Vec<u8>,
    /// Microseconds, when it was first and last ingested.
    pub first_seen_ts: i64,
    pub updated_ts: i64,
}

impl SourceRow {
    /// Why the counters contradict each other; `None` when they do not.
    #[must_use]
    pub fn contradiction(&self) -> Option<String> {
        let sum = self.stored + self.quarantined + self.dropped + self.duplicates;
        let by_rule: u64 = self.dropped_by.values().sum();
        if sum != self.lines {
            return Some(format!(
                "lines {} is not stored {} + quarantined {} + dropped {} + duplicates {} = {sum}",
                self.lines, self.stored, self.quarantined, self.dropped, self.duplicates
            ));
        }
        (by_rule != self.dropped).then(|| format!("dropped {} is not the sum of its rules {by_rule}", self.dropped))
    }
}
