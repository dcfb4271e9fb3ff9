//! Days made anew, and what that does to the answers.

use serde::Serialize;

use super::difference::{Difference, differences};
use super::{Database, Error};
use crate::engine::Engine;
use crate::ingest::{self, Retried};
use crate::maintain::{self, Compacted, Dropped, MaintainError, Reprocess, Reprocessed, Retained};
use crate::store::{Meter, Refused, Snapshot};
use crate::time::{self, Day};

/// A reprocess and what it does to the main views over its days.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reprocessing {
    #[serde(flatten)]
    pub report: Reprocessed,
    /// One for each view that moves.
    pub differences: Vec<Difference>,
}

impl Database {
    /// Merges the parts of each day.
    ///
    /// # Errors
    /// What [`MaintainError`] says; the store is as it was then.
    pub fn compact(&self, meter: &Meter) -> Result<Compacted, Error> {
        Ok(maintain::compact(&self.store, &self.config, meter)?)
    }

    /// Keeps the last `days` days up to now, and drops the rest; with `dry_run` it only says what would go.
    ///
    /// # Errors
    /// What [`MaintainError`] says; the store is as it was then.
    pub fn retain(&self, days: u32, dry_run: bool) -> Result<(Day, Retained), Error> {
        let now = self.now.unwrap_or_else(time::now_micros);
        // Today is one of them.
        let first = Day(Day::of(now).0.saturating_sub_unsigned(days.saturating_sub(1)));
        Ok((first, maintain::retain(&self.store, &self.config, first, now, dry_run)?))
    }

    /// Drops the refused lines that are meant; with `dry_run` it only says how many would go.
    ///
    /// # Errors
    /// What [`MaintainError`] says; the store is as it was then.
    pub fn drop_refused(&self, meant: &Refused, dry_run: bool) -> Result<Dropped, Error> {
        let now = self.now.unwrap_or_else(time::now_micros);
        Ok(maintain::drop_refused(&self.store, &self.config, meant, now, dry_run)?)
    }

    /// Reads the refused lines that are meant again, under the rules in force: those that are events now come in as
    /// themselves. With `dry_run` it only says what would become of them.
    ///
    /// # Errors
    /// What [`ingest::IngestError`] says; the store is as it was then.
    pub fn retry_refused(&self, meant: &Refused, dry_run: bool) -> Result<Retried, Error> {
        let now = self.now.unwrap_or_else(time::now_micros);
        Ok(ingest::retry(&self.store, &self.config, meant, now, dry_run)?)
    }

    /// Derives the pages and steps of the days `from` to `to`, both included, by the rules in force; with `dry_run` it
    /// only says what would change.
    ///
    /// # Errors
    /// What [`MaintainError`] says, the store is as it was then; or a view cannot be computed.
    pub async fn reprocess(&self, days: (Day, Day), dry_run: bool, meter: Meter) -> Result<Reprocessing, Error> {
        let (store, config) = (std::sync::Arc::clone(&self.store), std::sync::Arc::clone(&self.config));
        let prepare = move || Reprocess::prepare(&store, &config, days, &meter);
        let prepared: Result<Reprocess, MaintainError> =
            tokio::task::spawn_blocking(prepare).await.map_err(|error| Error::Thread(error.to_string()))?;
        let prepared = prepared?;
        let report = prepared.report;
        let differences = if report.pages_changed + report.steps_changed > 0 {
            let before = self.over(prepared.before(), days)?;
            let after = self.over(&prepared.as_if(), days)?;
            differences(&before, &after).await?
        } else {
            Vec::new()
        };
        if !dry_run {
            prepared.commit()?;
        }
        Ok(Reprocessing { report, differences })
    }

    /// An engine whose reports take the sessions that begin on some days.
    fn over(&self, snapshot: &Snapshot, (from, to): (Day, Day)) -> Result<(Snapshot, Engine), Error> {
        let engine = self.engine(snapshot)?;
        engine.set("journeyql.from", &from.to_string())?;
        engine.set("journeyql.to", &Day(to.0.saturating_add(1)).to_string())?;
        Ok((snapshot.clone(), engine))
    }
}
