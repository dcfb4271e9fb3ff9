//! A full buffer becomes sorted parts, one per day and one for the refused lines.
//!
//! ```text
//! RowBuffer ─ order::by_day ─► rows of each day ─ encode ─► row groups ─ PartWriter ─► NewPart
//! ```
//!
//! Runs beside the thread that parses. Invariants: nothing written here counts before the group's commit; a part that
//! is dropped on the way leaves no file.

use super::encode::{self, Encoder, QuarantineRow};
use super::error::IngestError;
use super::order;
use super::rows::buffer::RowBuffer;
use super::rows::refusals::Refusals;
use super::rows::rules::Rules;
use crate::limits;
use crate::store::{NewPart, PartWriter, Table, Writer};
use crate::time::Day;

/// Raw bytes of refused lines that go into one batch.
const REFUSED_BYTES: usize = 16 << 20;

/// What writing needs to know besides the rows.
#[derive(Debug, Clone, Copy)]
pub struct Press<'a> {
    pub writer: &'a Writer,
    pub rules: &'a Rules,
    /// Fingerprint of the rules, kept with every part.
    pub fingerprint: &'a str,
    /// Time of receipt in microseconds.
    pub now: i64,
}

/// The parts of a buffer, and the buffer for further use.
#[derive(Debug)]
pub struct Pressed {
    pub buffer: RowBuffer,
    pub events: Vec<(Day, NewPart)>,
    pub quarantine: Option<NewPart>,
}

impl Press<'_> {
    /// Writes everything in `buffer`, whose sources have the ids `sources`.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn run(self, mut buffer: RowBuffer, sources: &[String]) -> Result<Pressed, IngestError> {
        let mut encoder = Encoder::new(&buffer, self.rules, sources)?;
        let mut events = Vec::new();
        for day in order::by_day(&buffer, sources) {
            let mut part = PartWriter::new(self.writer.part(Table::Events, day.day)?, self.fingerprint)?;
            // As many as the second-level cache holds.
            for rows in day.rows.chunks(limits::PAGE_ROWS) {
                part.write(&encoder.events(day.day, rows)?)?;
            }
            events.push((day.day, part.finish()?));
        }
        let quarantine = self.quarantine(&buffer.refusals, sources)?;
        buffer.clear();
        Ok(Pressed { buffer, events, quarantine })
    }

    fn quarantine(self, refusals: &Refusals, sources: &[String]) -> Result<Option<NewPart>, IngestError> {
        if refusals.items.is_empty() {
            return Ok(None);
        }
        let mut rows: Vec<QuarantineRow<'_>> = refusals
            .items
            .iter()
            .map(|refusal| QuarantineRow { source_id: &sources[refusal.source as usize], refusal, refusals })
            .collect();
        rows.sort_unstable_by_key(|row| (row.source_id, row.refusal.offset));
        let mut part = PartWriter::new(self.writer.part(Table::Quarantine, Day::of(self.now))?, self.fingerprint)?;
        let mut rest = rows.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |row: &QuarantineRow<'_>| {
                bytes += row.refusals.raw(row.refusal).len();
                bytes <= REFUSED_BYTES
            };
            let take = rest.iter().take(limits::BATCH_ROWS).copied().take_while(fits).count().max(1);
            part.write(&encode::quarantine(&rest[..take], self.now)?)?;
            rest = &rest[take..];
        }
        Ok(Some(part.finish()?))
    }
}
