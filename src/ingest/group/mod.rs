//! The commit group: sources whose rows, refusals and offsets become visible together.
//!
//! ```text
//! source 0 ─┐                        parts of a day ─ merge ─► one part ─┐
//! source 1 ─┼─ tallies, parts, edits                                     ├─► one commit
//! source n ─┘                        rows of the sources ────────────────┘
//! ```
//!
//! Invariants: a source's rows and its offset are in the same commit; the rows of the new parts are exactly the lines
//! that the tallies call stored and quarantined, else nothing is committed; a day gets at most one new part.

mod plan;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::press::Pressed;
use super::reading::Ended;
use super::report::{Counts, SourceReport};
use super::source::identify::KnownSources;
use crate::store::{Lines, NewPart, Part, SourceRow, Table};
use crate::time::Day;

pub use plan::Plan;

/// A line's place in the conservation law.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Stored,
    Quarantined,
    Duplicate,
}

/// A source of the group.
#[derive(Debug, Default)]
pub struct Pending {
    /// The source as the catalog has it, new or not.
    pub base: SourceRow,
    /// Lines that this group adds.
    pub tally: Counts,
    /// Lines that earlier commits have.
    pub known_lines: u64,
    pub report: SourceReport,
    /// There is something to commit.
    pub changed: bool,
}

/// The text of a reason, and the bytes that were understood.
type Reason = (Cow<'static, str>, u32);

/// What happens to stored rows of one day.
#[derive(Debug, Default)]
pub struct Edit {
    /// Lines whose rows of earlier commits go. The same line may come again: a last line that has grown.
    stored: Lines,
    /// Stored parts that hold one of them.
    files: BTreeSet<i64>,
    /// Lines whose rows of this group go.
    new: Lines,
    /// Refused lines that stay, and are refused for another reason now.
    reasons: HashMap<(String, u64), Reason>,
}

/// Everything between two commits.
#[derive(Debug, Default)]
pub struct Group {
    /// Source ids by number; empty while the first event line has not been seen.
    pub ids: Vec<String>,
    numbers: HashMap<String, usize>,
    pub pending: Vec<Pending>,
    pub parts: BTreeMap<(Table, Day), Vec<NewPart>>,
    pub edits: BTreeMap<(Table, Day), Edit>,
    /// Stored parts of events that go, every row of which this group reads again.
    pub replaced: BTreeSet<i64>,
    /// Sources of earlier commits whose counts change.
    pub touched: BTreeMap<String, SourceRow>,
    /// Lines that an earlier commit stored and that this one quarantines.
    pub moved_in: u64,
    /// Sources that turned out to be others of this group.
    pub forgotten: Vec<String>,
    /// What became of followed files.
    pub ended: Vec<Ended>,
}

impl Group {
    /// Adds a source and returns its number.
    pub fn add(&mut self, pending: Pending) -> usize {
        let number = self.pending.len();
        self.pending.push(pending);
        self.ids.push(String::new());
        number
    }

    /// Names a source.
    pub fn name(&mut self, number: usize, source_id: String) {
        if let Some(row) = self.touched.remove(&source_id) {
            // This group has taken rows of it out before it came to the source itself.
            let pending = &mut self.pending[number];
            (pending.base.stored, pending.base.quarantined) = (row.stored, row.quarantined);
            (pending.base.duplicates, pending.changed) = (row.duplicates, true);
        }
        self.numbers.insert(source_id.clone(), number);
        self.ids[number] = source_id;
    }

    /// Names an entry that reports on a source and adds nothing to it.
    pub fn name_again(&mut self, number: usize, source_id: String) {
        self.ids[number] = source_id;
    }

    /// The group's number of a source.
    pub fn number(&self, source_id: &str) -> Option<usize> {
        self.numbers.get(source_id).copied()
    }

    /// Counts a line that this group counted as `from` as `to`.
    pub fn recount_new(&mut self, source_id: &str, from: Place, to: Place) {
        if let Some(number) = self.number(source_id) {
            let tally = &mut self.pending[number].tally;
            *count(tally, from) -= 1;
            *count(tally, to) += 1;
        }
    }

    /// Counts a line that an earlier commit counted as `from` as `to`; `None`: it is no line any more.
    pub fn recount_stored(&mut self, source_id: &str, known: &KnownSources, from: Place, to: Option<Place>) {
        self.moved_in += u64::from(to == Some(Place::Quarantined));
        let row = match self.number(source_id) {
            Some(number) => &mut self.pending[number].base,
            None => match known.get(source_id) {
                Some(row) => self.touched.entry(source_id.to_owned()).or_insert_with(|| row.clone()),
                None => return,
            },
        };
        *field(row, from) -= 1;
        match to {
            Some(to) => *field(row, to) += 1,
            None => row.lines -= 1,
        }
    }

    /// Takes a stored row of an earlier commit out.
    pub fn remove_stored(&mut self, table: Table, part: &Part, source_id: &str, offset: u64) {
        let edit = self.edits.entry((table, part.day)).or_default();
        edit.stored.insert(source_id, offset);
        edit.files.insert(part.file_id);
    }

    /// Takes a row of this group's parts out.
    pub fn remove_new(&mut self, table: Table, day: Day, source_id: &str, offset: u64) {
        self.edits.entry((table, day)).or_default().new.insert(source_id, offset);
    }

    /// Gives a refused line of an earlier commit another reason.
    pub fn refuse_anew(&mut self, part: &Part, source_id: &str, offset: u64, reason: Reason) {
        let edit = self.edits.entry((Table::Quarantine, part.day)).or_default();
        edit.reasons.insert((source_id.to_owned(), offset), reason);
        edit.files.insert(part.file_id);
    }

    /// Whether the row of a line, stored earlier or by this group, was taken out already.
    pub fn is_removed(&self, (table, day): (Table, Day), stored: bool, source_id: &str, offset: u64) -> bool {
        self.edits.get(&(table, day)).is_some_and(|edit| {
            let lines = if stored { &edit.stored } else { &edit.new };
            lines.contains(source_id, offset)
        })
    }

    /// Takes over what a buffer became.
    pub fn take(&mut self, pressed: &mut Pressed, day_of_receipt: Day) {
        for (day, part) in pressed.events.drain(..) {
            self.parts.entry((Table::Events, day)).or_default().push(part);
        }
        if let Some(part) = pressed.quarantine.take() {
            self.parts.entry((Table::Quarantine, day_of_receipt)).or_default().push(part);
        }
    }

    /// The rows of all sources that this commit changes.
    pub fn source_rows(&mut self, now: i64) -> Vec<SourceRow> {
        let mut rows: Vec<SourceRow> = std::mem::take(&mut self.touched).into_values().collect();
        for (pending, id) in self.pending.iter().zip(&self.ids).filter(|(pending, _)| pending.changed) {
            let mut row = pending.base.clone();
            let tally = &pending.tally;
            row.source_id.clone_from(id);
            row.lines += tally.lines;
            row.stored += tally.stored;
            row.quarantined += tally.quarantined;
            row.dropped += tally.dropped;
            row.duplicates += tally.duplicates;
            for (rule, count) in &tally.dropped_by {
                *row.dropped_by.entry(rule.clone()).or_default() += count;
            }
            rows.push(row);
        }
        for row in &mut rows {
            row.updated_ts = now;
        }
        rows
    }

    /// One line for the audit.
    pub fn summary(&self) -> String {
        let mut total = Counts::default();
        self.pending.iter().for_each(|pending| total.add(&pending.tally));
        format!("{} sources, {} events, {} quarantined", self.pending.len(), total.stored, total.quarantined)
    }

    /// What became of each source, lines that were known before counted as duplicates.
    pub fn reports(self) -> Vec<SourceReport> {
        let told = |(pending, id): (Pending, String)| {
            let mut report = pending.report;
            report.source_id = id;
            report.counts = pending.tally;
            report.counts.lines += pending.known_lines;
            report.counts.duplicates += pending.known_lines;
            report
        };
        self.pending.into_iter().zip(self.ids).map(told).collect()
    }
}

fn count(tally: &mut Counts, place: Place) -> &mut u64 {
    match place {
        Place::Stored => &mut tally.stored,
        Place::Quarantined => &mut tally.quarantined,
        Place::Duplicate => &mut tally.duplicates,
    }
}

fn field(row: &mut SourceRow, place: Place) -> &mut u64 {
    match place {
        Place::Stored => &mut row.stored,
        Place::Quarantined => &mut row.quarantined,
        Place::Duplicate => &mut row.duplicates,
    }
}
