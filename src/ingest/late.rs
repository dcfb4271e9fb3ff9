//! The ledger of late events: how late those of a commit are, and what they do to sessions that were there.
//!
//! ```text
//! new rows before the store's latest event ─► late, by visitor
//!     their days, a gap around them ─► stored rows of those visitors ─► sessions without and with the late rows
//! ```
//!
//! *Late* is an event earlier than the latest one that was stored when the ingest began; what it is late by is the
//! difference. A *session* here is what the gap of `[session]` makes of the step events of one `distinct_id` and session
//! id of the input: links between ids, end events and limits of length are not looked at. Sessions are those of the rows
//! that were stored (before), and of these with the late ones (after):
//! - *created*: one after that holds none before;
//! - *extended*: one after with late events that holds exactly one before;
//! - *merged*: one after that holds n before counts n - 1, so that after = before + created - merged.
//!
//! Invariants: without a late event nothing is read; of stored days those are read that late step events are on, a gap
//! around them, and such between as a session may go on through; of people only those with late events.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

use super::encode;
use super::error::IngestError;
use super::find;
use super::group::Group;
use crate::config::{Config, SourceIds};
use crate::event::Column;
use crate::limits;
use crate::store::{Late, Snapshot, Table, other_columns};
use crate::time::Day;

/// What says who did a step and when.
const COLUMNS: [&str; 4] = ["distinct_id", "ts", "is_step", "source_session_id"];
/// The same and which line it was.
const WITH_LINE: [&str; 6] = ["distinct_id", "ts", "is_step", "source_session_id", "source_id", "source_offset"];

/// The latest event of a snapshot, µs; before all times where it has none.
pub fn latest(snapshot: &Snapshot) -> i64 {
    snapshot.events().iter().map(|part| part.ts_max).max().unwrap_or(i64::MIN)
}

/// The step times of one visitor under one session id, µs.
#[derive(Debug, Default)]
struct Line {
    late: Vec<i64>,
    stored: Vec<i64>,
}

/// What late events do to one line: sessions that are created, extended and merged.
type Change = [u64; 3];

/// The work on one commit.
struct Ledger<'a> {
    snapshot: &'a Snapshot,
    gap: i64,
    /// Session ids of the input divide.
    honour: bool,
    /// By `distinct_id` and session id.
    visitors: HashMap<String, HashMap<Option<String>, Line>>,
    read: BTreeSet<Day>,
}

/// What the late events of a group do to the sessions of `snapshot`; `None` where no event is earlier than `before`.
///
/// # Errors
/// A part cannot be read.
pub fn ledger(group: &Group, snapshot: &Snapshot, before: i64, config: &Config) -> Result<Option<Late>, IngestError> {
    let gap = config.session.gap_micros().unwrap_or(limits::SESSION_GAP_MICROS);
    let honour = config.session.source_ids == SourceIds::Honour;
    let mut ledger = Ledger { snapshot, gap, honour, visitors: HashMap::new(), read: BTreeSet::new() };
    let mut lateness = ledger.late_rows(group, before)?;
    let Some(max) = lateness.iter().copied().max() else { return Ok(None) };
    ledger.around()?;
    let mut changes: Change = [0; 3];
    for line in ledger.lines() {
        let change = line.change(gap);
        changes.iter_mut().zip(change).for_each(|(sum, more)| *sum += more);
    }
    let [created, extended, merged] = changes;
    let (events, visitors) = (lateness.len() as u64, ledger.visitors.len() as u64);
    Ok(Some(Late { events, visitors, max, median: median(&mut lateness), created, extended, merged }))
}

impl Ledger<'_> {
    /// Takes the late rows of the group's parts, and says how late each is.
    fn late_rows(&mut self, group: &Group, before: i64) -> Result<Vec<i64>, IngestError> {
        let mut lateness = Vec::new();
        for ((table, day), parts) in group.parts.iter().filter(|((table, _), _)| *table == Table::Events) {
            for part in parts.iter().filter(|part| part.ts_range().0 < before) {
                let is_late = |batch: &RecordBatch, at: usize| ts(batch, at).is_some_and(|ts| ts < before);
                let every = Select { wanted: &mut { is_late }, by: "ts", shown: &WITH_LINE };
                select(&part.open()?, every, |batch, at, id| {
                    let row = Row::of(batch, at)?;
                    if find::coded_line(batch, at)
                        .is_some_and(|(source, offset)| group.is_removed((*table, *day), false, source, offset))
                    {
                        return Some(());
                    }
                    lateness.push(before - row.ts);
                    let sessions = match self.visitors.get_mut(id) {
                        Some(sessions) => sessions,
                        None => self.visitors.entry(id.to_owned()).or_default(),
                    };
                    if row.is_step {
                        let session = row.session.filter(|_| self.honour).map(str::to_owned);
                        sessions.entry(session).or_default().late.push(row.ts);
                    }
                    Some(())
                })?;
            }
        }
        self.lines_mut().for_each(|line| line.late.sort_unstable());
        Ok(lateness)
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        self.visitors.values().flat_map(HashMap::values)
    }

    fn lines_mut(&mut self) -> impl Iterator<Item = &mut Line> {
        self.visitors.values_mut().flat_map(HashMap::values_mut)
    }

    /// Reads the stored days that late steps are on, and others as long as a session may go on through them to a later
    /// one.
    fn around(&mut self) -> Result<(), IngestError> {
        let days = |from: i64, to: i64| Day::of(from).0..=Day::of(to).0;
        let gap = self.gap;
        let known: HashSet<String> = self.visitors.keys().cloned().collect();
        let mut next: BTreeSet<i32> =
            self.lines().flat_map(|line| &line.late).flat_map(|ts| days(ts - gap, ts.saturating_add(gap))).collect();
        while !next.is_empty() {
            for day in next {
                self.day(Day(day), &known)?;
            }
            self.lines_mut().for_each(|line| line.stored.sort_unstable());
            let read = &self.read;
            let unread = |ts: i64| days(ts, ts.saturating_add(gap)).filter(|day| !read.contains(&Day(*day)));
            next = self.lines().flat_map(|line| line.going_on(gap)).flat_map(unread).collect();
        }
        Ok(())
    }

    /// Takes the stored rows of a day that are of `known` visitors.
    fn day(&mut self, day: Day, known: &HashSet<String>) -> Result<(), IngestError> {
        if !self.read.insert(day) {
            return Ok(());
        }
        let (snapshot, honour, visitors) = (self.snapshot, self.honour, &mut self.visitors);
        for part in snapshot.events().iter().filter(|part| part.day == day) {
            // Rows come in runs of one id.
            let (mut last, mut wanted) = (None, false);
            let mut is_known = |batch: &RecordBatch, at: usize| {
                // The only column of this reading, and nearly every row only compares its code.
                let Some(codes) = batch.column(0).as_dictionary_opt::<Int32Type>() else { return false };
                let key = codes.keys().value(at);
                if at == 0 || last != Some(key) {
                    last = Some(key);
                    wanted = text(batch, Column::DistinctId, at).is_some_and(|(_, id)| known.contains(id));
                }
                wanted
            };
            let theirs = Select { wanted: &mut is_known, by: "distinct_id", shown: &COLUMNS };
            select(&part.open()?, theirs, |batch, at, id| {
                let row = Row::of(batch, at)?;
                let sessions = visitors.get_mut(id)?;
                let session = row.session.filter(|_| honour).map(str::to_owned);
                if let Some(line) = sessions.get_mut(&session).filter(|_| row.is_step) {
                    line.stored.push(row.ts);
                }
                Some(())
            })?;
        }
        Ok(())
    }
}

impl Line {
    /// Both kinds of times in order, with which are late.
    fn all(&self) -> Vec<(i64, bool)> {
        let stored = self.stored.iter().map(|ts| (*ts, false));
        let mut all: Vec<(i64, bool)> = stored.chain(self.late.iter().map(|ts| (*ts, true))).collect();
        all.sort_unstable();
        all
    }

    /// Times after which nothing is known for a gap although late steps come later.
    fn going_on(&self, gap: i64) -> Vec<i64> {
        let last = self.late.last().copied().unwrap_or(i64::MIN);
        let all = self.all();
        let is_last = |pair: &&[(i64, bool)]| pair[1].0.saturating_sub(pair[0].0) > gap && pair[0].0 < last;
        all.windows(2).filter(is_last).map(|pair| pair[0].0).collect()
    }

    /// What the late times change.
    fn change(&self, gap: i64) -> Change {
        let [mut created, mut extended, mut merged] = [0; 3];
        for session in self.all().chunk_by(|left, right| right.0.saturating_sub(left.0) <= gap) {
            let stored: Vec<i64> = session.iter().filter(|(_, late)| !late).map(|(ts, _)| *ts).collect();
            let breaks = stored.windows(2).filter(|pair| pair[1].saturating_sub(pair[0]) > gap).count() as u64;
            match (stored.len() == session.len(), stored.is_empty(), breaks) {
                (true, _, _) => {}
                (_, true, _) => created += 1,
                (_, _, 0) => extended += 1,
                (_, _, breaks) => merged += breaks,
            }
        }
        [created, extended, merged]
    }
}

/// What a row says.
struct Row<'a> {
    ts: i64,
    is_step: bool,
    session: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn of(batch: &'a RecordBatch, at: usize) -> Option<Self> {
        let is_step = batch.column_by_name(Column::IsStep.name())?.as_boolean_opt()?.value(at);
        Some(Self {
            ts: ts(batch, at)?,
            is_step,
            session: text(batch, Column::SourceSessionId, at).map(|(_, text)| text),
        })
    }
}

fn ts(batch: &RecordBatch, at: usize) -> Option<i64> {
    Some(batch.column_by_name(Column::Ts.name())?.as_primitive_opt::<TimestampMicrosecondType>()?.value(at))
}

/// Code and text of a row; `None` for NULL too.
fn text(batch: &RecordBatch, column: Column, at: usize) -> Option<(i32, &str)> {
    let codes = batch.column_by_name(column.name())?.as_dictionary_opt::<Int32Type>()?;
    let key = codes.key(at)?;
    let text = codes.values().as_string_opt::<i32>()?.value(key);
    Some((codes.keys().value(at), text))
}

/// Which rows of a part, told by a column alone, and what is shown of them.
struct Select<'a> {
    wanted: &'a mut dyn FnMut(&RecordBatch, usize) -> bool,
    by: &'a str,
    shown: &'a [&'a str],
}

/// Shows `visit` those rows with their `distinct_id`.
fn select(
    file: &std::fs::File,
    select: Select<'_>,
    mut visit: impl FnMut(&RecordBatch, usize, &str) -> Option<()>,
) -> Result<(), IngestError> {
    let meta = find::footer(file)?;
    let groups: Vec<usize> = (0..meta.metadata().num_row_groups()).collect();
    let options = ArrowReaderOptions::new().with_schema(encode::schema());
    let coded = ArrowReaderMetadata::try_new(Arc::clone(meta.metadata()), options)?;
    find::rows(file, &coded, &groups, (&[select.by], Some(select.shown)), select.wanted, |batch, at| {
        let id = text(batch, Column::DistinctId, at).map(|(_, id)| id);
        id.and_then(|id| visit(batch, at, id)).ok_or_else(|| other_columns().into())
    })
}

/// The mean of the two middle values.
fn median(values: &mut [i64]) -> f64 {
    let middle = values.len() / 2;
    let odd = values.len() % 2 == 1;
    let (below, upper, _) = values.select_nth_unstable(middle);
    let upper = *upper;
    let lower = below.iter().copied().max().filter(|_| !odd).unwrap_or(upper);
    #[expect(clippy::cast_precision_loss, reason = "microseconds of some millennia")]
    let sum = (i128::from(lower) + i128::from(upper)) as f64;
    sum / 2.0
}
