//! What became of refused lines that were read again.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ingest::report::Counts;

/// Why a refused line was not read again; the name is what the report calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// Another event has its id: no rule can change that.
    ConflictingDuplicate,
    /// The quarantine has only its first bytes.
    TooLong,
    /// It is a row of a Parquet file, which the quarantine has as text alone.
    ParquetRow,
    /// The format that its source was read with is not among the rules any more.
    UnknownFormat,
    /// What it says takes its source (its bytes are masked, or the format has a header or directives), and no file of
    /// the source's name has the source's bytes.
    SourceGone,
}

impl Kept {
    /// For people.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::ConflictingDuplicate => "another event has their id",
            Self::TooLong => "only their first bytes are kept",
            Self::ParquetRow => "they are rows of a Parquet file",
            Self::UnknownFormat => "the format of their source is not among the rules",
            Self::SourceGone => {
                "they are masked, or of a format with a header, so that it takes their source, and that is not where it \
                 was, or has changed"
            }
        }
    }
}

/// What became of the refused lines that were meant:
/// `lines = stored + dropped + duplicates + refused + not_retried`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Retried {
    pub lines: u64,
    /// Sources whose account moved.
    pub sources: usize,
    /// Lines that are events now.
    pub stored: u64,
    pub dropped: u64,
    /// By rule; the sum is `dropped`.
    pub dropped_by: BTreeMap<String, u64>,
    /// Lines whose event is there already.
    pub duplicates: u64,
    /// Lines that stay, refused again.
    pub refused: u64,
    /// Of these, those that have another reason now.
    pub reasons_changed: u64,
    /// Lines that stay, by why they were not read again.
    pub not_retried: BTreeMap<Kept, u64>,
}

impl Retried {
    pub(super) fn keep(&mut self, why: Kept, lines: usize) {
        *self.not_retried.entry(why).or_default() += lines as u64;
    }

    /// Takes over what the lines of a source came to.
    pub(super) fn add(&mut self, tally: &Counts) {
        self.sources += 1;
        self.stored += tally.stored;
        self.dropped += tally.dropped;
        self.duplicates += tally.duplicates;
        // With the id of another event: it goes back as that.
        self.refused += tally.quarantined;
        self.reasons_changed += tally.quarantined;
        for (rule, count) in &tally.dropped_by {
            *self.dropped_by.entry(rule.clone()).or_default() += count;
        }
    }

    /// Something changes.
    #[must_use]
    pub const fn is_change(&self) -> bool {
        self.stored + self.dropped + self.duplicates + self.reasons_changed > 0
    }
}
