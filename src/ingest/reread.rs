//! Stored events, read again from the files that their sources were last seen as, under the rules in force.
//!
//! ```text
//! parts of the days ─ of other rules? ─► their lines, by source ─► all bytes proved ─► read ─┬─► event, duplicate
//!                                                    └─► gone: an error that names it        └─► refused, dropped
//!
//! prepare ─► as_if(): what a reader would see ─► commit(), or dropped without a trace
//! ```
//!
//! Only the lines of stored events are read: what was refused, dropped, erased or a duplicate stays that. An event keeps
//! its source and its offset, and belongs to the day that its time says now, which may be another.
//!
//! Invariants: nothing is written before every source is proved; rows, refusals and the sources' accounts move in one
//! commit; every line that is read is counted in exactly one place.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Serialize;

use super::duplicates::Conflicts;
use super::error::IngestError;
use super::find;
use super::group::{Pending, Plan};
use super::press::Press;
use super::reading::Reading;
use super::report::{Counts, Quiet};
use super::rows::buffer::RowBuffer;
use super::run::{IngestOptions, Run};
use super::source::again;
use super::source::identify::{KnownSources, PARQUET};
use crate::config::Config;
use crate::event::Column;
use crate::parse::{self, Choice};
use crate::store::{Linking, Meter, Part, Snapshot, SourceRow, Store, Writer, other_columns};
use crate::time::Day;

/// What became of events that were read again, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reread {
    /// Days that held events of other rules.
    pub days: usize,
    pub sources: usize,
    /// `lines = stored + quarantined + dropped + duplicates`: the lines of those events, and where they are now.
    #[serde(flatten)]
    pub counts: Counts,
}

/// Events that are read again but not committed. It is the store's writer until it is dropped.
#[derive(Debug)]
pub struct FromSource {
    writer: Writer,
    before: Snapshot,
    after: Snapshot,
    days: (Day, Day),
    plan: Plan,
    rows: Vec<SourceRow>,
    pub report: Reread,
}

impl FromSource {
    /// Reads the events of the days `from` to `to`, both included, again under the rules of `config`, at the time `now`
    /// (µs). Those that these rules have read already stay as they are. `meter` is told of the bytes that are read.
    ///
    /// # Errors
    /// [`IngestError::SourceGone`] names the sources that cannot be read again; or somebody else writes, the disk is full,
    /// the rules make no sense, or the lines do not add up.
    pub fn prepare(
        store: &Store,
        config: &Config,
        days: (Day, Day),
        now: i64,
        meter: &Meter,
    ) -> Result<Self, IngestError> {
        let options = IngestOptions { now, ..IngestOptions::default() };
        let mut writer = store.writer(Linking::new(&config.identity))?;
        let run = Run::new(config, &options, &mut writer)?;
        let before = writer.snapshot()?;
        let parts = before.events().iter().filter(|part| (days.0..=days.1).contains(&part.day));
        let stale: Vec<&Part> = parts.filter(|part| part.rules != run.fingerprint).collect();
        let lines = lines(&stale)?;
        let sources = proved(lines, &run.known, meter)?;
        let press = Press { writer: &writer, rules: &run.rules, fingerprint: &run.fingerprint, now };
        let (mut conflicts, mut quiet) = (Conflicts::default(), Quiet);
        let mut group = thread::scope(|scope| {
            let buffer = RowBuffer::new(&run.rules);
            let mut reading = Reading::new(scope, &run, &before, press, buffer, (&mut conflicts, &mut quiet));
            reading.group.replaced = stale.iter().map(|part| part.file_id).collect();
            sources.iter().try_for_each(|(row, offsets)| reading.source_again(row, offsets))?;
            Ok::<_, IngestError>(reading.close()?.0)
        })?;
        let plan = group.plan(press, &before)?;
        let days_of: BTreeSet<Day> = stale.iter().map(|part| part.day).collect();
        let mut report = Reread { days: days_of.len(), sources: sources.len(), counts: Counts::default() };
        group.pending.iter().for_each(|pending| report.counts.add(&pending.tally));
        let rows = group.source_rows(now);
        let after = writer.as_if(&before, &plan.remove, &plan.add)?;
        Ok(Self { writer, before, after, days, plan, rows, report })
    }

    /// The store as it was when this began.
    #[must_use]
    pub fn before(&self) -> &Snapshot {
        &self.before
    }

    /// The store as it will be, for a look before it is.
    #[must_use]
    pub fn as_if(&self) -> &Snapshot {
        &self.after
    }

    /// Makes it true at once: readers see the range before or after, never a mix.
    ///
    /// # Errors
    /// The disk is full, or the catalog was changed by another program.
    pub fn commit(self) -> Result<(), IngestError> {
        let Self { mut writer, before, after, days: (from, to), plan, rows, report } = self;
        // Our own lease would keep the files that the commit replaces.
        drop((before, after));
        if plan.remove.is_empty() {
            return Ok(());
        }
        let mut commit = writer.begin();
        commit.replace(plan.remove, plan.add);
        commit.loses_rows();
        commit.sheds_ids();
        for row in rows {
            commit.source(row);
        }
        let Counts { lines, stored, quarantined, dropped, duplicates, .. } = report.counts;
        commit.audit(
            "reprocess",
            format!(
                "{from} to {to} from {} sources: {lines} lines: {stored} stored, {quarantined} quarantined, \
                 {dropped} dropped, {duplicates} duplicates",
                report.sources
            ),
        );
        commit.commit()?;
        Ok(())
    }
}

/// The offsets of the events of parts, ascending, by source id.
fn lines(parts: &[&Part]) -> Result<BTreeMap<String, Vec<u64>>, IngestError> {
    let mut lines: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for part in parts {
        let file = part.open()?;
        find::footer(&file)?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        let columns = [Column::SourceId.name(), Column::SourceOffset.name()];
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
        for batch in builder.with_projection(mask).build()? {
            let batch = batch?;
            for at in 0..batch.num_rows() {
                let (source_id, offset) = find::line(&batch, at).ok_or_else(other_columns)?;
                match lines.get_mut(source_id) {
                    Some(offsets) => offsets.push(offset),
                    None => drop(lines.insert(source_id.to_owned(), vec![offset])),
                }
            }
        }
    }
    for offsets in lines.values_mut() {
        offsets.sort_unstable();
    }
    Ok(lines)
}

/// The sources of lines, each proved to be where it was last seen.
fn proved(
    lines: BTreeMap<String, Vec<u64>>,
    known: &KnownSources,
    meter: &Meter,
) -> Result<Vec<(SourceRow, Vec<u64>)>, IngestError> {
    let mut sources = Vec::with_capacity(lines.len());
    for (source_id, offsets) in lines {
        let row = known.get(&source_id).cloned().ok_or_else(|| {
            let detail = "events of which the catalog knows no source".to_owned();
            IngestError::Conservation { name: source_id, detail }
        })?;
        sources.push((row, offsets));
    }
    let done = meter.over(sources.iter().map(|(row, _)| row.offset).sum());
    let mut names = Vec::new();
    for (row, _) in &sources {
        if !again::is_there(row, &known.seal)? {
            names.push(row.name.clone());
        }
        done(row.offset);
    }
    if names.is_empty() { Ok(sources) } else { Err(IngestError::SourceGone { names }) }
}

impl Reading<'_, '_, '_> {
    /// Takes the events at `offsets` of a proved source anew.
    fn source_again(&mut self, row: &SourceRow, offsets: &[u64]) -> Result<(), IngestError> {
        let count = offsets.len() as u64;
        let mut base = row.clone();
        let Some(stored) = base.stored.checked_sub(count) else {
            let detail = format!("{} stored, and {count} events", base.stored);
            return Err(IngestError::Conservation { name: base.name, detail });
        };
        (base.stored, base.lines) = (stored, base.lines - count);
        let number = self.group.add(Pending { base, changed: true, ..Pending::default() });
        if u16::try_from(number).is_err() {
            return Err(IngestError::ManySources);
        }
        self.group.name(number, row.source_id.clone());
        if row.format == PARQUET {
            return self.table_again(row, number, offsets);
        }
        let head = again::head(row).ok_or_else(|| IngestError::Changed { name: row.name.clone() })?;
        match parse::choose(&row.format, &head, self.run.config) {
            Ok(Choice::Text(chosen)) => self.text_again(row, chosen, number, offsets),
            Ok(Choice::Parquet { .. }) => Err(IngestError::Changed { name: row.name.clone() }),
            Err(source) => Err(IngestError::Format { name: row.name.clone(), source }),
        }
    }
}
