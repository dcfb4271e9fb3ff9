//! Which rows of the quarantine a steward means.

use std::collections::HashSet;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;

use super::source::SourceRow;
use crate::event::Column;

/// Which refused lines are meant: those that meet all that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refused {
    /// Part of the source's name or id.
    pub source: Option<String>,
    /// The reason, or what it begins with before a colon.
    pub reason: Option<String>,
    /// Microseconds of receipt: from, and before.
    pub received: (Option<i64>, Option<i64>),
}

impl Refused {
    /// The ids of the sources that are meant; `None`: all.
    #[must_use]
    pub fn sources(&self, known: &[SourceRow]) -> Option<HashSet<String>> {
        let text = self.source.as_ref()?;
        let meant = known.iter().filter(|row| row.name.contains(text) || row.source_id.contains(text));
        Some(meant.map(|row| row.source_id.clone()).collect())
    }

    /// Which rows of a batch of quarantine are meant; `sources` as [`Refused::sources`] found them.
    #[must_use]
    pub fn chooses(&self, batch: &RecordBatch, sources: Option<&HashSet<String>>) -> BooleanArray {
        let text = |name: &str| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        let (ids, reasons) = (text(Column::SourceId.name()), text("reason"));
        let received = batch.column_by_name("received_at");
        let received = received.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let (from, before) = self.received;
        let meets = |row: usize| {
            let at = received.map(|times| times.value(row));
            sources.is_none_or(|meant| ids.is_some_and(|ids| meant.contains(ids.value(row))))
                && self.reason.as_ref().is_none_or(|reason| reasons.is_some_and(|it| is_of(it.value(row), reason)))
                && from.is_none_or(|from| at.is_some_and(|at| at >= from))
                && before.is_none_or(|before| at.is_some_and(|at| at < before))
        };
        (0..batch.num_rows()).map(|row| Some(meets(row))).collect()
    }
}

/// Whether the text of a reason is `wanted`, or that with a detail.
fn is_of(text: &str, wanted: &str) -> bool {
    text.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with(": "))
}
