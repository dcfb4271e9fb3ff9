//! What a page tells beside its figures: which data they are of, how fresh they are, and what is wrong.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::database::{Error, Session};
use crate::engine::QueryError;
use crate::output::{Format, Look};
use crate::time;

pub use crate::engine::parquet_reads;

/// About a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    pub version: &'static str,
    pub time_zone: &'static str,
    pub snapshot: i64,
    /// Refused lines.
    pub quarantined: u64,
    /// The laws that figures break, each a fault of ours; null where nobody has looked yet or they cannot be told.
    pub failed_invariants: Option<Vec<String>>,
    pub goals: Vec<String>,
    pub segments: Vec<String>,
    pub session_gap: String,
    pub first_day: Option<String>,
    pub last_day: Option<String>,
}

/// How fresh an answer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Freshness {
    /// ISO-8601.
    pub refreshed_at: String,
    pub age_s: u64,
    /// Seconds between two looks for new data; 0: none.
    pub refresh_s: u64,
    /// Snapshots that were computed so far.
    pub refreshes: u64,
    /// Stored files that were opened so far.
    pub parquet_reads: u64,
}

impl Freshness {
    /// Of an answer that was computed at a time (µs).
    #[must_use]
    pub fn new(computed: i64, interval_s: u64, refreshes: u64) -> Self {
        let age = time::now_micros().saturating_sub(computed).max(0) / time::SECOND;
        Self {
            refreshed_at: time::iso(computed),
            age_s: age.unsigned_abs(),
            refresh_s: interval_s,
            refreshes,
            parquet_reads: parquet_reads(),
        }
    }
}

impl Session {
    /// The laws that the figures of the newest snapshot break, or of that of a reader; of all people and days.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn failed_invariants(&mut self) -> Result<Vec<String>, Error> {
        self.reader().await?.names_of("SELECT name FROM invariants WHERE ok IS NOT TRUE").await
    }

    /// What is to be told of the newest snapshot, or of that of a reader, without a look at the invariants.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn facts(&mut self) -> Result<Facts, Error> {
        let mut reader = self.reader().await?;
        let segments = reader.names_of("SELECT name FROM segments ORDER BY name").await?;
        let (snapshot, engine) = reader.opened()?;
        let days: BTreeSet<_> = snapshot.events().iter().map(|part| part.day).collect();
        Ok(Facts {
            version: env!("CARGO_PKG_VERSION"),
            time_zone: "UTC",
            snapshot: snapshot.id,
            quarantined: snapshot.quarantine().iter().map(|part| part.rows).sum(),
            failed_invariants: None,
            goals: reader.config().journey.goals.keys().cloned().collect(),
            segments,
            session_gap: time::duration_text(engine.settings().rules.gap),
            first_day: days.first().map(ToString::to_string),
            last_day: days.last().map(ToString::to_string),
        })
    }

    /// The first column as texts.
    async fn names_of(&mut self, sql: &str) -> Result<Vec<String>, Error> {
        #[derive(serde::Deserialize)]
        struct Row {
            name: String,
        }
        let text = self.query(sql).await?.text(Format::Json, Look::default()).await?;
        let rows: Vec<Row> = serde_json::from_str(&text).map_err(|error| Error::Rows(error.to_string()))?;
        Ok(rows.into_iter().map(|row| row.name).collect())
    }
}

/// A row of figures with what is to be told beside it: `{"events": …, "journeyql": {…}}`.
pub(super) fn told(row: &str, facts: &Facts, fresh: &Freshness) -> Result<String, Error> {
    #[derive(Serialize)]
    struct Beside<'a> {
        #[serde(flatten)]
        facts: &'a Facts,
        #[serde(flatten)]
        fresh: &'a Freshness,
    }
    let beside = serde_json::to_string(&Beside { facts, fresh }).map_err(|error| Error::Rows(error.to_string()))?;
    let row = row.trim_end().trim_start_matches("[\n").trim_end_matches("\n]");
    let Some(figures) = row.strip_suffix('}') else {
        return Err(QueryError::sql("stats has no row").with_hint("a view of the store took its place").into());
    };
    Ok(format!("{figures},\"journeyql\":{beside}}}\n"))
}
