//! Days derived again after the rules for pages and steps have changed.
//!
//! ```text
//! prepare ─► new parts beside the old ones ─► as_if(): what a reader would see ─► commit(), or dropped without a trace
//! ```
//!
//! Sessions are computed when they are read, so the journeys that touch the range follow by themselves.

use std::collections::BTreeMap;

use serde::Serialize;

use super::derive::Derivation;
use super::error::MaintainError;
use super::rewrite::rewrite;
use crate::config::Config;
use crate::store::{Linking, Meter, NewPart, Part, Snapshot, Store, Table, Writer};
use crate::time::Day;

/// What a reprocess changed, or would change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Reprocessed {
    /// Days that held rows of other rules.
    pub days: usize,
    /// Rows of those parts.
    pub events: u64,
    /// Rows whose page became another.
    pub pages_changed: u64,
    /// Rows that became a step, or no step any more.
    pub steps_changed: u64,
}

/// A reprocess that is written but not committed. It is the store's writer until it is dropped.
#[derive(Debug)]
pub struct Reprocess {
    writer: Writer,
    snapshot: Snapshot,
    days: (Day, Day),
    add: Vec<NewPart>,
    remove: Vec<i64>,
    pub report: Reprocessed,
}

impl Reprocess {
    /// Derives the events of the days `from` to `to`, both included, by the rules of `config`. Parts that these rules
    /// have shaped already stay as they are. `meter` is told of the bytes that are read.
    ///
    /// # Errors
    /// Somebody else writes, a part cannot be read, the disk is full, or the rules make no sense.
    pub fn prepare(
        store: &Store,
        config: &Config,
        (from, to): (Day, Day),
        meter: &Meter,
    ) -> Result<Self, MaintainError> {
        if from > to {
            return Err(MaintainError::Backwards { from, to });
        }
        let writer = store.writer(Linking::new(&config.identity))?;
        let snapshot = writer.snapshot()?;
        let mut derivation = Derivation::new(config)?;
        let mut stale: BTreeMap<(Day, String), Vec<&Part>> = BTreeMap::new();
        for part in snapshot.events().iter().filter(|part| (from..=to).contains(&part.day)) {
            // What the line was read by stays as it was.
            let rules = config.rederived_fingerprint(&part.rules);
            if rules != part.rules {
                stale.entry((part.day, rules)).or_default().push(part);
            }
        }
        let (mut add, mut remove, mut report) = (Vec::new(), Vec::new(), Reprocessed::default());
        let mut last = None;
        let done = meter.over(stale.values().flatten().map(|part| part.bytes).sum());
        for ((day, rules), parts) in stale {
            let change = &mut |batch: &_| derivation.batch(batch);
            add.push(rewrite(&writer, (Table::Events, day), &parts, &rules, change)?);
            done(parts.iter().map(|part| part.bytes).sum());
            remove.extend(parts.iter().map(|part| part.file_id));
            report.days += usize::from(last.replace(day) != Some(day));
            report.events += parts.iter().map(|part| part.rows).sum::<u64>();
        }
        [report.pages_changed, report.steps_changed] = derivation.moved;
        Ok(Self { writer, snapshot, days: (from, to), add, remove, report })
    }

    /// The store as it was when this began.
    #[must_use]
    pub fn before(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The store as it will be, for a look before it is.
    #[must_use]
    pub fn as_if(&self) -> Snapshot {
        self.snapshot.as_if(&self.remove, &self.add)
    }

    /// Makes it true at once: readers see the range before or after, never a mix.
    ///
    /// # Errors
    /// The disk is full, or the catalog was changed by another program; the store is as it was then.
    pub fn commit(self) -> Result<(), MaintainError> {
        let Self { mut writer, snapshot, days: (from, to), add, remove, report } = self;
        drop(snapshot);
        if add.is_empty() {
            return Ok(());
        }
        let mut commit = writer.begin();
        commit.replace(remove, add);
        let Reprocessed { days, pages_changed, steps_changed, .. } = report;
        commit.audit(
            "reprocess",
            format!("{from} to {to}: {days} days, {pages_changed} pages and {steps_changed} steps became others"),
        );
        commit.commit()?;
        Ok(())
    }
}
