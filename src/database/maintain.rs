//! Days made anew, and what that does to the answers.

use std::sync::Arc;

use serde::Serialize;

use super::difference::{Difference, differences};
use super::{Database, Error};
use crate::config::Config;
use crate::engine::Engine;
use crate::ingest::{self, FromSource, Reread, Retried};
use crate::maintain::{self, Compacted, Dropped, MaintainError, Reprocess, Reprocessed, Retained};
use crate::store::{Meter, Refused, Snapshot};
use crate::time::{self, Day};

/// How days are made anew.
#[derive(Debug, Clone, Default)]
pub struct Anew {
    /// The rules that shape their rows, in place of those in force, which still answer queries.
    pub rules: Option<Config>,
    /// The lines are read again, not only their pages and steps derived.
    pub from_source: bool,
    /// Only say what would change.
    pub dry_run: bool,
}

/// What became of the rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Made {
    Derived(Reprocessed),
    Read(Reread),
}

/// A reprocess and what it does to the main views over its days.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reprocessing {
    #[serde(flatten)]
    pub made: Made,
    /// One for each view that moves.
    pub differences: Vec<Difference>,
}

impl Reprocessing {
    /// Days that were made anew.
    #[must_use]
    pub const fn days(&self) -> usize {
        match &self.made {
            Made::Derived(report) => report.days,
            Made::Read(report) => report.days,
        }
    }
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

    /// Makes the days `from` to `to`, both included, anew: pages and steps derived, or all lines read again; with
    /// `dry_run` it only says what would change.
    ///
    /// # Errors
    /// What [`MaintainError`] or [`ingest::IngestError`] says; or a view cannot be computed.
    pub async fn reprocess(&self, days: (Day, Day), how: Anew, meter: Meter) -> Result<Reprocessing, Error> {
        let config = Arc::new(self.shaped(&how)?);
        let (store, now) = (Arc::clone(&self.store), self.now.unwrap_or_else(time::now_micros));
        if !how.from_source {
            let prepared = blocking(move || Ok(Reprocess::prepare(&store, &config, days, &meter)?)).await?;
            let (report, after) = (prepared.report, prepared.as_if());
            let moves = report.pages_changed + report.steps_changed > 0;
            let differences = self.differences(days, moves.then_some((prepared.before(), &after))).await?;
            drop(after);
            if !how.dry_run {
                prepared.commit()?;
            }
            return Ok(Reprocessing { made: Made::Derived(report), differences });
        }
        if days.0 > days.1 {
            return Err(MaintainError::Backwards { from: days.0, to: days.1 }.into());
        }
        let prepared = blocking(move || Ok(FromSource::prepare(&store, &config, days, now, &meter)?)).await?;
        let report = prepared.report.clone();
        let moves = report.counts.lines > 0;
        let differences = self.differences(days, moves.then_some((prepared.before(), prepared.as_if()))).await?;
        if !how.dry_run {
            prepared.commit()?;
        }
        Ok(Reprocessing { made: Made::Read(report), differences })
    }

    /// The rules that days are made anew by.
    fn shaped(&self, how: &Anew) -> Result<Config, Error> {
        let Some(rules) = &how.rules else { return Ok(Config::clone(&self.config)) };
        if how.from_source && rules.privacy != self.config.privacy {
            let why = "these rules have another [privacy] than those in force: what is masked is for the store's own rules \
                       to say, in its journeyql.toml";
            return Err(MaintainError::Config(why.to_owned()).into());
        }
        Ok(self.config.shaped_by(rules))
    }

    /// What moves in the main views over some days; nothing where there is nothing to compare.
    async fn differences(
        &self,
        days: (Day, Day),
        snapshots: Option<(&Snapshot, &Snapshot)>,
    ) -> Result<Vec<Difference>, Error> {
        let Some((before, after)) = snapshots else { return Ok(Vec::new()) };
        differences(&self.over(before, days)?, &self.over(after, days)?).await
    }

    /// An engine whose reports take the sessions that begin on some days.
    fn over(&self, snapshot: &Snapshot, (from, to): (Day, Day)) -> Result<(Snapshot, Engine), Error> {
        let engine = self.engine(snapshot)?;
        engine.set("journeyql.from", &from.to_string())?;
        engine.set("journeyql.to", &Day(to.0.saturating_add(1)).to_string())?;
        Ok((snapshot.clone(), engine))
    }
}

/// Work that would hold up others, on a thread of its own.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Thread(error.to_string()))?
}
