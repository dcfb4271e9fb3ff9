//! How late the events of a commit were, and what they did to sessions that were there.

/// What late events did: those earlier than the store's latest event before the ingest that brought them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Late {
    pub events: u64,
    /// Ids (`distinct_id`) that late events are of.
    pub visitors: u64,
    /// Microseconds that the latest and the median of them were late.
    pub max: i64,
    pub median: f64,
    /// Sessions of late events alone.
    pub created: u64,
    /// Sessions that were there and have late events now, no two of them joined.
    pub extended: u64,
    /// Sessions that are no more, because late events join them to one before.
    pub merged: u64,
}

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct LateRow {
    /// The snapshot that the commit made.
    pub snapshot: i64,
    /// Microseconds.
    pub at: i64,
    pub late: Late,
}
