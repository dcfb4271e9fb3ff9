//! Refused lines, read again after the rules have changed.
//!
//! ```text
//! quarantine ─ meant? ─┬─ its bytes say it all ──────────────► parse ─┬─► event, duplicate, dropped ─► leaves the quarantine
//!                      └─ masked, header, directives ─ source ─► parse ─┴─► refused again ─► stays, with its reason of now
//! ```
//!
//! A line comes in as itself, under the source and at the offset that it was refused at, so that ties, duplicates and
//! the growth of its source are what they would have been. It keeps its source's name: a name is taken from the first
//! event line, once, when the source is first seen.
//!
//! Invariants: rows, refusals and the sources' accounts move in one commit; a line that stays keeps its bytes and its
//! time of receipt; every line that is meant is counted in exactly one place of the [`Retried`].

mod again;
mod report;

use std::collections::HashMap;
use std::thread;

use super::duplicates::Conflicts;
use super::error::IngestError;
use super::late;
use super::press::Press;
use super::reading::Reading;
use super::report::Quiet;
use super::rows::buffer::RowBuffer;
use super::run::{IngestOptions, Run};
use crate::config::Config;
use crate::store::{Linking, Refused, Store};

pub use report::{Kept, Retried};

use again::Again;

/// Reads the refused lines that are meant again, under the rules of `config`, at the time `now` (µs). With `dry_run`
/// nothing is changed.
///
/// # Errors
/// Somebody else writes, a part cannot be read, the disk is full, the rules make no sense, or the lines do not add up;
/// the store is as it was then.
pub fn retry(store: &Store, config: &Config, meant: &Refused, now: i64, dry_run: bool) -> Result<Retried, IngestError> {
    let options = IngestOptions { now, ..IngestOptions::default() };
    let mut writer = store.writer(Linking::new(&config.identity))?;
    let run = Run::new(config, &options, &mut writer)?;
    let snapshot = writer.snapshot()?;
    let press = Press { writer: &writer, rules: &run.rules, fingerprint: &run.fingerprint, now };
    let (mut conflicts, mut quiet) = (Conflicts::default(), Quiet);
    let (mut group, mut report) = thread::scope(|scope| {
        let buffer = RowBuffer::new(&run.rules);
        let reading = Reading::new(scope, &run, &snapshot, press, buffer, (&mut conflicts, &mut quiet));
        let mut again = Again { reading, sources: HashMap::new(), report: Retried::default() };
        again.lines(meant)?;
        again.in_sources()?;
        again.accounts()?;
        let Again { reading, report, .. } = again;
        Ok::<_, IngestError>((reading.close()?.0, report))
    })?;
    let late = late::ledger(&group, &snapshot, late::latest(&snapshot), config)?;
    let plan = group.plan(press, &snapshot)?;
    group.pending.iter().filter(|pending| pending.changed).for_each(|pending| report.add(&pending.tally));
    let rows = group.source_rows(now);
    if dry_run || !report.is_change() {
        return Ok(report);
    }
    // Our own lease would keep the files that the commit replaces.
    drop(snapshot);
    let mut commit = writer.begin();
    commit.replace(plan.remove, plan.add);
    if plan.loses {
        commit.loses_rows();
    }
    for row in rows {
        commit.source(row);
    }
    commit.late(late);
    let Retried { lines, stored, dropped, duplicates, .. } = report;
    let detail = format!("{lines} lines: {stored} stored, {dropped} dropped, {duplicates} duplicates");
    commit.audit("quarantine retry", detail);
    commit.commit()?;
    Ok(report)
}
