//! What a group's commit replaces: every day gets at most one new part.
//!
//! Invariant: the rows of the new parts are exactly the lines that the tallies call stored and quarantined.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;

use super::{Edit, Group, Reason};
use crate::config::common_fingerprint;
use crate::ingest::error::IngestError;
use crate::ingest::find;
use crate::ingest::press::Press;
use crate::limits;
use crate::store::{NewPart, Part, PartWriter, Snapshot, Table, merge, other_columns};
use crate::time::Day;

/// Live parts of a day from which on a commit merges those that are worth it.
const DAY_PARTS: usize = 8;

/// Parts that replace others, ready to be committed.
#[derive(Debug, Default)]
pub struct Plan {
    pub add: Vec<NewPart>,
    pub remove: Vec<i64>,
    /// Stored events go that do not come again as they were.
    pub loses: bool,
}

impl Group {
    /// Brings every day to at most one new part and says which stored parts it replaces.
    ///
    /// # Errors
    /// A part cannot be read or written, or the rows are not those that were counted.
    pub fn plan(&mut self, press: Press<'_>, snapshot: &Snapshot) -> Result<Plan, IngestError> {
        let remove = self.replaced.iter().copied().collect();
        let mut plan = Plan { remove, loses: !self.replaced.is_empty(), ..Plan::default() };
        let mut balance = Balance::default();
        let mut days: BTreeSet<(Table, Day)> = self.parts.keys().copied().collect();
        days.extend(self.edits.keys().copied());
        for (table, day) in days {
            let new = self.parts.remove(&(table, day)).unwrap_or_default();
            let edit = self.edits.remove(&(table, day)).unwrap_or_default();
            let stays = |part: &&Part| part.day == day && !self.replaced.contains(&part.file_id);
            let live: Vec<&Part> = snapshot.parts(table).iter().filter(stays).collect();
            let fresh = new.iter().map(NewPart::rows).sum();
            let largest = if fresh == 0 { 0 } else { merged_rows(live.iter().map(|part| part.rows).collect(), fresh) };
            let old: Vec<&Part> =
                live.into_iter().filter(|part| part.rows <= largest || edit.files.contains(&part.file_id)).collect();
            plan.remove.extend(old.iter().map(|part| part.file_id));
            let old_rows: u64 = old.iter().map(|part| part.rows).sum();
            let part = one_part(press, (table, day), new, &old, &edit)?;
            balance.add(table, part.as_ref().map_or(0, NewPart::rows), old_rows, edit.stored.len() as u64);
            plan.loses |= table == Table::Events && !edit.stored.is_empty();
            plan.add.extend(part);
        }
        self.check(&balance)?;
        Ok(plan)
    }

    /// The law of conservation, per source and for the rows that were written.
    fn check(&self, balance: &Balance) -> Result<(), IngestError> {
        for pending in &self.pending {
            if let Some(detail) = pending.tally.violation() {
                return Err(IngestError::Conservation { name: pending.report.name.clone(), detail });
            }
        }
        let stored: u64 = self.pending.iter().map(|pending| pending.tally.stored).sum();
        let refused: u64 = self.pending.iter().map(|pending| pending.tally.quarantined).sum();
        let refused = refused + self.moved_in;
        if balance.event_rows == stored.cast_signed() && balance.quarantine_rows == refused.cast_signed() {
            return Ok(());
        }
        let (events, quarantine) = (balance.event_rows, balance.quarantine_rows);
        let detail = format!("{stored} stored and {refused} quarantined, but {events} and {quarantine} rows written");
        Err(IngestError::Conservation { name: "the commit".to_owned(), detail })
    }
}

/// The rows of the largest live part of a day that the `fresh` rows are merged with; 0: with none.
///
/// A crowded day keeps only parts that are larger than all smaller ones together, so that there are never many, and
/// every row that is written again lands in a part of at least twice the size: a day of n commits is written
/// log₂ n times at most, not n / 8 times.
fn merged_rows(mut live: Vec<u64>, fresh: u64) -> u64 {
    if live.len() < DAY_PARTS {
        return 0;
    }
    live.sort_unstable();
    let (mut smaller, mut largest) = (fresh, 0);
    for rows in live {
        if rows <= smaller {
            largest = rows;
        }
        smaller += rows;
    }
    largest
}

/// Rows written beyond those that were there.
#[derive(Debug, Default)]
struct Balance {
    /// New event rows.
    event_rows: i64,
    /// New quarantine rows.
    quarantine_rows: i64,
}

impl Balance {
    fn add(&mut self, table: Table, rows: u64, old_rows: u64, lost: u64) {
        let fresh = rows.cast_signed() - old_rows.cast_signed() + lost.cast_signed();
        match table {
            Table::Events => self.event_rows += fresh,
            Table::Quarantine => self.quarantine_rows += fresh,
        }
    }
}

/// One part with all rows of `new` and `old` but those that `edit` takes out; `None` where nothing is left.
fn one_part(
    press: Press<'_>,
    place: (Table, Day),
    mut new: Vec<NewPart>,
    old: &[&Part],
    edit: &Edit,
) -> Result<Option<NewPart>, IngestError> {
    if new.len() == 1 && old.is_empty() && edit.new.is_empty() {
        return Ok(new.pop());
    }
    // In levels, so that a day of any number of runs keeps a bounded number of files open.
    while new.len() > 1 && new.len() + old.len() > limits::OPEN_PARTS {
        let level = new.split_off(new.len().saturating_sub(limits::OPEN_PARTS));
        new.insert(0, merged(press, place, &level, &[], &Edit::default())?);
    }
    let part = merged(press, place, &new, old, edit)?;
    Ok((part.rows() > 0).then_some(part))
}

fn merged(
    press: Press<'_>,
    (table, day): (Table, Day),
    new: &[NewPart],
    old: &[&Part],
    edit: &Edit,
) -> Result<NewPart, IngestError> {
    let mut files = Vec::with_capacity(new.len() + old.len());
    for part in new {
        files.push((part.open()?, &edit.new));
    }
    for part in old {
        files.push((part.open()?, &edit.stored));
    }
    // Rows of other rules stay marked as such: only deriving them again may say that they are up to date.
    let fresh = (!new.is_empty()).then_some(press.fingerprint);
    let rules = common_fingerprint(old.iter().map(|part| part.rules.as_str()).chain(fresh));
    let mut writer = PartWriter::new(press.writer.part(table, day)?, &rules)?;
    merge(table, files, |batch| {
        if edit.reasons.is_empty() {
            return Ok(writer.write(batch)?);
        }
        Ok::<_, IngestError>(writer.write(&with_reasons(batch, &edit.reasons)?)?)
    })?;
    Ok(writer.finish()?)
}

/// Refused lines with the reasons that they have now.
fn with_reasons(batch: &RecordBatch, reasons: &HashMap<(String, u64), Reason>) -> Result<RecordBatch, IngestError> {
    let missing = other_columns;
    let at = |name: &str| batch.schema().index_of(name);
    let (reason, matched) = (at("reason")?, at("matched_bytes")?);
    let old = batch.column(reason).as_string_opt::<i32>().ok_or_else(missing)?;
    let reach = batch.column(matched).as_primitive_opt::<Int64Type>().ok_or_else(missing)?;
    let (mut names, mut bytes) = (Vec::with_capacity(old.len()), Vec::with_capacity(old.len()));
    for row in 0..batch.num_rows() {
        let (source, offset) = find::line(batch, row).ok_or_else(missing)?;
        let now = reasons.get(&(source.to_owned(), offset));
        names.push(now.map_or(old.value(row), |(text, _)| text.as_ref()));
        bytes.push(now.map_or(reach.value(row), |(_, matched)| i64::from(*matched)));
    }
    let mut columns = batch.columns().to_vec();
    columns[reason] = Arc::new(StringArray::from(names));
    columns[matched] = Arc::new(Int64Array::from(bytes));
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commits of `batch` rows each: the live parts at the end, the most there ever were, and the rows written.
    fn day(commits: u64, batch: u64) -> (Vec<u64>, usize, u64) {
        let (mut live, mut most, mut written): (Vec<u64>, _, _) = (Vec::new(), 0, 0);
        for _ in 0..commits {
            let largest = merged_rows(live.clone(), batch);
            let merged: u64 = live.iter().filter(|rows| **rows <= largest).sum();
            live.retain(|rows| *rows > largest);
            live.push(batch + merged);
            written += batch + merged;
            most = most.max(live.len());
        }
        (live, most, written)
    }

    #[test]
    fn a_day_of_many_commits_is_not_written_again_and_again() {
        for (commits, batch) in [(17_280, 500), (100, 100_000), (9, 1)] {
            let (live, most, written) = day(commits, batch);
            let rows = commits * batch;
            assert_eq!(live.iter().sum::<u64>(), rows);
            assert!(most <= DAY_PARTS + 8, "{most} parts");
            let times = f64::from(u32::try_from(written / batch).unwrap()) / f64::from(u32::try_from(commits).unwrap());
            assert!(times <= f64::from(u32::try_from(commits).unwrap()).log2(), "each row is written {times} times");
        }
    }

    #[test]
    fn late_rows_leave_a_large_part_alone() {
        let live = vec![1_000_000, 10, 10, 10, 10, 10, 10, 10];
        assert_eq!(merged_rows(live, 10), 10);
        assert_eq!(merged_rows(vec![5; 7], 10), 0, "not crowded");
    }
}
