//! The last line of a text that has no newline yet: remembered, and undone when it has grown.
//!
//! If the input has grown when it is seen again, what became of the tail is undone and the longer line takes its place.
//! So a file that was read while somebody wrote to it ends up like one that was read when it was complete.

use super::{Became, Text};
use crate::event::RejectReason;
use crate::ingest::error::IngestError;
use crate::ingest::find;
use crate::ingest::group::Place;
use crate::ingest::input::frame::Record;
use crate::ingest::reading::Reading;
use crate::ingest::source::digest::{Fate, Tail};
use crate::store::{AFTERWARDS, Part, Table};
use crate::time::Day;

impl Reading<'_, '_, '_> {
    /// A record at the end of the text, or where the known text ended.
    #[cold]
    pub(super) fn at_tail(
        &mut self,
        text: &mut Text,
        offset: u64,
        record: &Record<'_>,
        before: u64,
    ) -> Result<(), IngestError> {
        let parser_state = text.parser.state();
        let mut fate = None;
        if let Some((tail, bytes)) = text.known_tail.take() {
            if bytes.strip_suffix(b"\r").unwrap_or(&bytes) == record.bytes {
                // Known, and still the same line: at most its newline came.
                text.parser.parse(record.bytes, &mut text.scratch);
                fate = tail.fate;
            } else {
                self.undo(text.number, tail)?;
            }
        }
        let fate = if let Some(fate) = fate {
            fate
        } else {
            let became = self.line(text, (offset, before + 1), record.bytes);
            self.fate(became)
        };
        if !record.terminated {
            text.tail = Some((fate, parser_state, before));
        }
        Ok(())
    }

    pub(super) fn too_long(&mut self, text: &mut Text, offset: u64, record: &Record<'_>) -> Result<(), IngestError> {
        let (parser, before) = (text.parser.state(), text.lines);
        text.lines += 1;
        if let Some((tail, _)) = text.known_tail.take() {
            self.undo(text.number, tail)?;
        }
        self.group.pending[text.number].tally.lines += 1;
        self.name(text, offset, Some((record.bytes, true)));
        let refused = (RejectReason::TooLong.into(), 0);
        let became = self.refuse(text.number, (offset, before + 1), &refused, record.bytes);
        text.tail = (!record.terminated).then_some((self.fate(became), parser, before));
        Ok(())
    }

    /// As it is remembered.
    pub(super) fn fate(&self, became: Became) -> Fate {
        match became {
            Became::Stored(day) => Fate::Stored(day.0),
            Became::Quarantined => Fate::Quarantined(Day::of(self.run.now).0),
            Became::Dropped(rule) => Fate::Dropped(rule.to_owned()),
        }
    }

    /// Takes out what became of the source's tail, because the line has grown.
    fn undo(&mut self, number: usize, tail: Tail) -> Result<(), IngestError> {
        let id = self.group.ids[number].clone();
        let (run, line) = (self.run, tail.start);
        let holds = |part: &Part| -> Result<bool, IngestError> {
            let mut found = false;
            find::by_line(&part.open()?, &id, line..line + 1, |_, _, _| {
                found = true;
                Ok(())
            })?;
            Ok(found)
        };
        let (places, day) = match tail.fate {
            None => return Ok(()),
            Some(Fate::Dropped(rule)) => {
                let base = &mut self.group.pending[number].base;
                base.dropped -= 1;
                base.lines -= 1;
                base.dropped_by.entry(rule).and_modify(|count| *count -= 1);
                self.group.pending[number].known_lines -= 1;
                return Ok(());
            }
            Some(Fate::Stored(day)) => ([(Table::Events, Place::Stored), (Table::Quarantine, Place::Quarantined)], day),
            Some(Fate::Quarantined(day)) => {
                ([(Table::Quarantine, Place::Quarantined), (Table::Events, Place::Stored)], day)
            }
        };
        self.group.pending[number].known_lines -= 1;
        for (at, (table, place)) in places.into_iter().enumerate() {
            for part in self.snapshot.parts(table).iter().filter(|part| at > 0 || part.day.0 == day) {
                if holds(part)? {
                    self.group.remove_stored(table, part, &id, line);
                    self.group.recount_stored(&id, &run.known, place, None);
                    return Ok(());
                }
            }
        }
        // There is no row: it lost against a copy elsewhere, or a rule has dropped it since.
        let base = &mut self.group.pending[number].base;
        let rule = AFTERWARDS.into_iter().find(|rule| base.dropped_by.get(*rule).is_some_and(|it| *it > 0));
        match rule.filter(|_| base.duplicates == 0) {
            Some(rule) => {
                base.dropped -= 1;
                base.lines -= 1;
                base.dropped_by.entry(rule.to_owned()).and_modify(|count| *count -= 1);
            }
            None => self.group.recount_stored(&id, &run.known, Place::Duplicate, None),
        }
        Ok(())
    }
}

impl Text {
    /// The tail of a text that was read to `offset`.
    pub(super) fn end(self, start: u64, offset: u64) -> Tail {
        match self.tail {
            Some((fate, parser, lines)) if start < offset => {
                Tail { start, fate: Some(fate), lines, parser, named: self.named }
            }
            _ => Tail { start, fate: None, lines: self.lines, parser: self.parser.state(), named: self.named },
        }
    }
}
