//! Old days go.

use std::collections::BTreeSet;

use serde::Serialize;

use super::account::Account;
use super::error::MaintainError;
use crate::config::Config;
use crate::store::{CorrectionEdit, Linking, Part, Store, Table};
use crate::time::Day;

/// The rule that such lines are counted under.
const RULE: &str = "retention";

/// What went, or would go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Retained {
    /// Days of events that went.
    pub days: usize,
    /// Stored events that went.
    pub events: u64,
    /// Quarantined lines that went.
    pub quarantined: u64,
    pub files: usize,
    pub bytes: u64,
    /// Days whose reads through servers are listed no more.
    pub days_of_reads: usize,
}

/// Drops every event before the day `first`, and every refused line that was received before it. Their lines stay
/// counted, as dropped by the rule `retention`. An event is of the day that it is stored under, wherever a correction
/// places it; what was said of events that go, goes with them, as does what was read through servers before that day.
/// With `dry_run` nothing is changed.
///
/// # Errors
/// Somebody else writes, or a part cannot be read; the store is as it was then.
pub fn retain(store: &Store, config: &Config, first: Day, now: i64, dry_run: bool) -> Result<Retained, MaintainError> {
    let mut writer = store.writer(Linking::new(&config.identity))?;
    let snapshot = writer.snapshot()?;
    let old: Vec<&Part> =
        Table::ALL.into_iter().flat_map(|table| snapshot.parts(table)).filter(|part| part.day < first).collect();
    let rows = |table| old.iter().filter(|part| part.table == table).map(|part| part.rows).sum();
    let days: BTreeSet<Day> = old.iter().filter(|part| part.table == Table::Events).map(|part| part.day).collect();
    let report = Retained {
        days: days.len(),
        events: rows(Table::Events),
        quarantined: rows(Table::Quarantine),
        files: old.len(),
        bytes: old.iter().map(|part| part.bytes).sum(),
        days_of_reads: store.drop_reads(first, true)?,
    };
    if (old.is_empty() && report.days_of_reads == 0) || dry_run {
        return Ok(report);
    }
    let mut account = Account::default();
    for part in &old {
        account.part(part)?;
    }
    let sources = account.sources(snapshot.sources(), RULE, now)?;
    let remove: Vec<i64> = old.iter().map(|part| part.file_id).collect();
    let corrections = store.corrections(&snapshot)?;
    drop(snapshot);
    let mut commit = writer.begin();
    for correction in corrections {
        if correction.change.event().is_some_and(|anchor| Day::of(anchor.ts) < first) {
            commit.correct(CorrectionEdit::Remove { id: correction.id });
        }
    }
    commit.replace(remove, Vec::new());
    commit.loses_rows();
    commit.sheds_ids();
    for row in sources {
        commit.source(row);
    }
    let Retained { days, events, quarantined, .. } = report;
    commit.audit("retain", format!("before {first}: {days} days, {events} events, {quarantined} quarantined"));
    commit.commit()?;
    store.drop_reads(first, false)?;
    Ok(report)
}
