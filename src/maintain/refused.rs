//! Refused lines that a steward has looked at and does not want.

use std::collections::BTreeMap;

use arrow::compute::filter_record_batch;
use serde::Serialize;

use super::account::Account;
use super::error::MaintainError;
use super::rewrite::rewrite;
use crate::config::Config;
use crate::store::{Linking, Part, Refused, Store, Table};
use crate::time::Day;

/// The rule that such lines are counted under.
const RULE: &str = "steward";

/// What went, or would go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Dropped {
    pub lines: u64,
    pub sources: usize,
}

/// Drops the refused lines that are meant. They stay counted, as dropped by the rule `steward`. With `dry_run` nothing
/// is changed.
///
/// # Errors
/// Somebody else writes, a part cannot be read, or the disk is full; the store is as it was then.
pub fn drop_refused(
    store: &Store,
    config: &Config,
    meant: &Refused,
    now: i64,
    dry_run: bool,
) -> Result<Dropped, MaintainError> {
    let mut writer = store.writer(Linking::new(&config.identity))?;
    let snapshot = writer.snapshot()?;
    let sources = meant.sources(snapshot.sources());
    let mut days: BTreeMap<(Day, &str), Vec<&Part>> = BTreeMap::new();
    for part in snapshot.quarantine() {
        days.entry((part.day, &part.rules)).or_default().push(part);
    }
    let mut account = Account::default();
    let (mut add, mut remove, mut report) = (Vec::new(), Vec::new(), Dropped::default());
    for ((day, rules), parts) in days {
        let before = report.lines;
        let part = rewrite(&writer, (Table::Quarantine, day), &parts, rules, &mut |batch| {
            let goes = meant.chooses(batch, sources.as_ref());
            account.rows(Table::Quarantine, batch, |row| goes.value(row));
            report.lines += goes.true_count() as u64;
            Ok(filter_record_batch(batch, &arrow::compute::not(&goes)?)?)
        })?;
        // A day of which nothing goes keeps its files.
        if report.lines > before {
            remove.extend(parts.iter().map(|part| part.file_id));
            add.push(part);
        }
    }
    let rows = account.sources(snapshot.sources(), RULE, now)?;
    report.sources = rows.len();
    if report.lines == 0 || dry_run {
        return Ok(report);
    }
    drop(snapshot);
    let mut commit = writer.begin();
    commit.replace(remove, add);
    for row in rows {
        commit.source(row);
    }
    commit.audit("quarantine drop", format!("{} lines of {} sources", report.lines, report.sources));
    commit.commit()?;
    Ok(report)
}
