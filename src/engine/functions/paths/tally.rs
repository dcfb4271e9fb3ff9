//! What is counted of equal pieces, and the table it becomes.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::exec_err;
use datafusion::error::Result;

use crate::engine::functions::figures::{quantile, share};
use crate::engine::scan::{NONE, Names};
use crate::journey::Paths;
use crate::journey::path::spell;
use crate::limits;

/// The column that takes every piece's duration.
pub(super) const DURATION: &str = "median_duration_s";

/// The columns of the answer.
pub(super) fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let column = |(name, kind)| Field::new(name, kind, name == DURATION);
        let columns = [
            ("path", DataType::Utf8),
            ("steps", DataType::Int64),
            ("sessions", DataType::Int64),
            ("share", DataType::Float64),
            ("users", DataType::Int64),
            (DURATION, DataType::Float64),
            ("truncated", DataType::Boolean),
            ("occurrences", DataType::Int64),
        ];
        Arc::new(Schema::new(columns.map(column).to_vec()))
    });
    Arc::clone(&SCHEMA)
}

/// What a reader hands over: its counts, and the names behind its codes.
pub(super) type Counted = (Names, Tally);

/// What is known of one piece.
#[derive(Debug, Clone, Default)]
struct Count {
    steps: usize,
    occurrences: u64,
    sessions: u64,
    users: u64,
    /// The last session and person that it was counted for, by number from 1.
    session: u64,
    user: u64,
    /// µs
    durations: Vec<i64>,
}

/// The pieces of one reader. Those of a session come together, and so do the sessions of a person.
#[derive(Debug)]
pub(super) struct Tally {
    paths: Paths,
    counts: Vec<Count>,
    /// Whether durations are kept.
    timed: bool,
    sessions: u64,
    users: u64,
    /// Durations kept.
    kept: usize,
}

impl Tally {
    pub(super) fn new(timed: bool) -> Self {
        Self { paths: Paths::default(), counts: Vec::new(), timed, sessions: 0, users: 0, kept: 0 }
    }

    /// The pieces that come are of another session; perhaps of another person.
    pub(super) fn session(&mut self, of_another: bool) {
        self.sessions += 1;
        self.users += u64::from(of_another);
    }

    /// Counts a piece; `ends` stand before and behind its labels.
    pub(super) fn piece(
        &mut self,
        ends: (Option<u32>, Option<u32>),
        labels: impl ExactSizeIterator<Item = u32>,
        duration: i64,
    ) {
        let steps = labels.len();
        let code = self.paths.code(ends.0.into_iter().chain(labels).chain(ends.1), false) as usize;
        if code == self.counts.len() {
            self.counts.push(Count { steps, ..Count::default() });
        }
        let count = &mut self.counts[code];
        count.occurrences += 1;
        count.sessions += u64::from(count.session != self.sessions);
        count.users += u64::from(count.user != self.users);
        (count.session, count.user) = (self.sessions, self.users);
        if self.timed {
            count.durations.push(duration);
            self.kept += 1;
        }
    }

    /// Adds what another reader counted, whose codes mean these names; its people are others.
    fn merge(&mut self, names: &mut Names, (theirs, other): Counted) {
        let known: Vec<u32> = (0..u32::try_from(theirs.len()).unwrap_or(u32::MAX))
            .map(|code| if code == NONE { NONE } else { names.code(theirs.text(code)) })
            .collect();
        for (code, count) in (0..).zip(other.counts) {
            let labels = other.paths.labels(code).iter().map(|&label| known[label as usize]);
            let at = self.paths.code(labels, false) as usize;
            if at == self.counts.len() {
                self.counts.push(count);
                continue;
            }
            let sum = &mut self.counts[at];
            sum.occurrences += count.occurrences;
            sum.sessions += count.sessions;
            sum.users += count.users;
            sum.durations.extend(count.durations);
        }
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        self.paths.size() + self.counts.capacity() * size_of::<Count>() + self.kept * size_of::<i64>()
    }
}

/// What all readers counted, the most frequent pieces first.
pub(super) fn table(counted: Vec<Counted>) -> Result<RecordBatch> {
    let mut readers = counted.into_iter();
    let (mut names, mut all) = readers.next().unwrap_or_else(|| (Names::default(), Tally::new(false)));
    readers.for_each(|reader| all.merge(&mut names, reader));
    if names.is_full() {
        return exec_err!("the names of these paths have more than 2 GiB of text");
    }
    let whole = all.counts.iter().map(|count| count.occurrences).sum();
    let mut rows: Vec<(String, bool, Count)> = (0..)
        .zip(all.counts)
        .map(|(code, count)| {
            let (labels, mut path) = (all.paths.labels(code), String::new());
            spell(labels.iter().map(|&label| names.text(label)), limits::PATH_STEPS_SHOWN, &mut path);
            (path, labels.len() > limits::PATH_STEPS_SHOWN, count)
        })
        .collect();
    rows.sort_by(|a, b| (b.2.occurrences, a.2.steps, &a.0).cmp(&(a.2.occurrences, b.2.steps, &b.0)));
    let median = |times: &mut Vec<i64>| (!times.is_empty()).then(|| quantile(times, 1, 2));
    let medians: Float64Array = rows.iter_mut().map(|row| median(&mut row.2.durations)).collect();
    let wholes = |value: fn(&Count) -> u64| -> ArrayRef {
        Arc::new(rows.iter().map(|row| i64::try_from(value(&row.2)).ok()).collect::<Int64Array>())
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.0))),
        wholes(|count| count.steps as u64),
        wholes(|count| count.sessions),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| share(row.2.occurrences, whole)))),
        wholes(|count| count.users),
        Arc::new(medians),
        Arc::new(rows.iter().map(|row| Some(row.1)).collect::<BooleanArray>()),
        wholes(|count| count.occurrences),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
