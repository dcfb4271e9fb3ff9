//! What an ingest tells: counts per source, what was chosen and why, the first problems; and the progress on the way.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::event::Refused;

/// Refused lines that are shown per source.
const PROBLEMS: usize = 5;
/// Bytes of a refused line that are shown.
const SNIPPET_BYTES: usize = 160;

/// Watches an ingest. Called from the thread that called `ingest`, at most once per chunk.
pub trait Progress {
    /// The work ahead: bytes on disk, 0 where nobody knows.
    fn start(&mut self, _total_bytes: u64) {}
    /// Bytes read so far over all inputs as they lie on disk, lines seen so far, and the input at work.
    fn advance(&mut self, _bytes: u64, _lines: u64, _name: &str) {}
    /// All read; what is left is sorting, writing and the commit.
    fn finishing(&mut self) {}
    /// A follower has committed, or looked and found nothing.
    fn flushed(&mut self, _so_far: &Flushed) {}
    /// Something that a person should know although the work goes on.
    fn remark(&mut self, _text: &str) {}
}

/// Where a follower is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Flushed {
    /// Files and streams that are followed.
    pub files: usize,
    /// Lines committed since the start.
    pub lines: u64,
    /// Bytes that were there and not committed when it looked last.
    pub behind: u64,
}

/// Watches nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Quiet;

impl Progress for Quiet {}

/// The outcome of one ingest.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub struct IngestReport {
    pub sources: Vec<SourceReport>,
    /// Inputs that were passed over, with the reason.
    pub skipped: Vec<Skipped>,
    /// The snapshot that holds everything; the one before where nothing was new.
    pub snapshot: i64,
}

/// An input that gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    pub name: String,
    pub why: String,
    /// It was named by hand, so this is a failure and not a note.
    pub failed: bool,
}

/// What became of one input: `lines = stored + quarantined + dropped + duplicates`, lines that were known included
/// (as duplicates).
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct SourceReport {
    pub name: String,
    pub source_id: String,
    pub format: String,
    /// Why this format.
    pub why: String,
    /// Bytes of plain text.
    pub bytes: u64,
    #[serde(flatten)]
    pub counts: Counts,
    pub problems: Vec<Problem>,
}

/// The conservation law's terms.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub lines: u64,
    pub stored: u64,
    pub quarantined: u64,
    pub dropped: u64,
    pub duplicates: u64,
    /// By rule; the sum is `dropped`.
    pub dropped_by: BTreeMap<String, u64>,
}

impl Counts {
    /// What breaks the law, if anything does.
    #[must_use]
    pub fn violation(&self) -> Option<String> {
        let parts = [self.stored, self.quarantined, self.dropped, self.duplicates];
        let by_rule: u64 = self.dropped_by.values().sum();
        if parts.iter().sum::<u64>() == self.lines && by_rule == self.dropped {
            return None;
        }
        Some(format!(
            "{} lines, {} stored + {} quarantined + {} dropped ({by_rule} by rules) + {} duplicates",
            self.lines, self.stored, self.quarantined, self.dropped, self.duplicates
        ))
    }

    /// Counts one line that the rule drops.
    pub fn drop_by(&mut self, rule: &str) {
        self.dropped += 1;
        if let Some(count) = self.dropped_by.get_mut(rule) {
            *count += 1;
        } else {
            self.dropped_by.insert(rule.to_owned(), 1);
        }
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.lines += other.lines;
        self.stored += other.stored;
        self.quarantined += other.quarantined;
        self.dropped += other.dropped;
        self.duplicates += other.duplicates;
        for (rule, count) in &other.dropped_by {
            *self.dropped_by.entry(rule.clone()).or_default() += count;
        }
    }
}

/// One refused line, to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub line_no: u64,
    pub reason: Cow<'static, str>,
    /// Bytes of the line that were understood.
    pub matched: u32,
    /// The line, cut.
    pub text: String,
}

impl SourceReport {
    /// Adds refused lines that came later.
    pub fn add_problems(&mut self, later: Vec<Problem>) {
        self.problems.extend(later);
        self.problems.truncate(PROBLEMS);
    }

    /// Keeps a refused line if it is among the first.
    pub fn problem(&mut self, line_no: u64, reason: &Refused, matched: u32, raw: &[u8]) {
        if self.problems.len() < PROBLEMS {
            let text = String::from_utf8_lossy(&raw[..raw.len().min(SNIPPET_BYTES)]).into_owned();
            self.problems.push(Problem { line_no, reason: reason.text(), matched, text });
        }
    }
}

impl IngestReport {
    /// The counts of all sources together.
    #[must_use]
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.sources.iter().for_each(|source| total.add(&source.counts));
        total
    }

    /// Whether a larger share than `limit` (0 to 1) of the lines that were not known before was quarantined.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share of lines")]
    pub fn too_many_rejects(&self, limit: f64) -> bool {
        let total = self.total();
        let fresh = total.lines - total.duplicates;
        total.quarantined > 0 && total.quarantined as f64 > limit * fresh as f64
    }

    /// Whether an input that was named by hand gave nothing.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.skipped.iter().any(|skipped| skipped.failed)
    }
}
