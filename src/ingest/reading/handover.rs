//! Full buffers to the press, and what it made of them into the group.
//!
//! ```text
//! buffer ─ full ─ duplicates settled ─► press (a thread of its own) ─► parts ─► group
//!    ▲────────────── the other buffer, emptied ──────┘
//! ```
//!
//! Deliberately not here: sorting and encoding (`press.rs`), the commit (`run.rs`).

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::thread::Builder;

use super::Reading;
use crate::event::RejectReason;
use crate::ingest::duplicates::{self, Surroundings};
use crate::ingest::error::IngestError;
use crate::ingest::group::Group;
use crate::ingest::input::expand::Input;
use crate::ingest::order;
use crate::ingest::rows::buffer::RowBuffer;
use crate::ingest::rows::carry::carry;
use crate::ingest::run::Done;
use crate::store::Table;
use crate::time::{self, Day};

/// How old a day is when the days before it are handed over.
const NEW_DAY: Range<i64> = time::HOUR..6 * time::HOUR;

impl Reading<'_, '_, '_> {
    /// After each chunk: stop if told so, tell the progress, hand over a full buffer.
    pub fn breathe(&mut self, input: &Input, lines: u64) -> Result<(), IngestError> {
        // A follower ends with a commit of its own.
        if self.run.options.follow.is_none() && self.run.options.stop.load(Ordering::Relaxed) {
            return Err(IngestError::Interrupted);
        }
        let raw_bytes = self.done.raw_bytes + self.raw_bytes.load(Ordering::Relaxed);
        self.progress.advance(raw_bytes, self.done.lines + lines, &input.name);
        self.relieve()
    }

    /// Hands over a full buffer.
    pub fn relieve(&mut self) -> Result<(), IngestError> {
        // Refused lines of a source that has no name yet must wait for it.
        let named = self.group.ids.last().is_none_or(|id| !id.is_empty());
        let memory = self.buffer.memory_bytes();
        let worth_it = memory >= self.run.options.buffer_bytes / 16;
        if named && ((memory >= self.limit && !self.grow()) || (worth_it && self.at_new_day())) {
            self.settle()?;
            self.hand_over(self.group.ids.clone(), true)?;
        }
        Ok(())
    }

    /// Lets a full buffer grow where writing it now would cut days into runs that have to be merged again: most of it
    /// is of the newest day, or it is of days that have runs already, because the log is in no order.
    fn grow(&mut self) -> bool {
        let most = self.run.options.buffer_bytes / 2;
        if self.limit >= most {
            return false;
        }
        let days = order::days(&self.buffer.rows);
        let newest = days.last().map_or(0, |(_, rows)| *rows);
        let begun = days.iter().filter(|(day, _)| self.group.parts.contains_key(&(Table::Events, *day))).count();
        if newest <= self.buffer.rows.len() / 2 && begun <= 2 {
            return false;
        }
        self.limit = (self.limit * 2).min(most);
        self.buffer.reserve(self.limit);
        true
    }

    /// The best moment to hand over: a new day is so young that hardly a row stays behind, and so old that hardly one of
    /// the day before is still to come.
    fn at_new_day(&mut self) -> bool {
        let Some(last) = self.buffer.rows.last() else { return false };
        let day = Day::of(last.ts);
        if self.asked == Some(day) || !NEW_DAY.contains(&(last.ts - day.start())) {
            return false;
        }
        self.asked = Some(day);
        let newest = self.buffer.rows.iter().filter(|row| row.ts >= day.start()).count();
        newest <= self.buffer.rows.len() / 8
    }

    fn settle(&mut self) -> Result<(), IngestError> {
        if self.buffer.texts.event_id.len() > 1 {
            self.wait()?;
            let around = Surroundings { snapshot: self.snapshot, known: &self.run.known };
            duplicates::settle(&mut self.buffer, &mut self.group, self.conflicts, around)?;
        }
        Ok(())
    }

    /// Gives the buffer to the press and takes the other one; where more comes, the newest day stays here if it is the
    /// smaller part.
    fn hand_over(&mut self, sources: Vec<String>, more: bool) -> Result<(), IngestError> {
        self.wait()?;
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut next = self.spare.take().unwrap_or_else(|| RowBuffer::new(&self.run.rules));
        if more {
            next.reserve(self.limit);
            if let Some((newest, rows)) = order::days(&self.buffer.rows).pop()
                && rows <= self.buffer.rows.len() / 2
            {
                carry(&mut self.buffer, &mut next, newest.start(), &self.run.rules);
            }
        }
        let full = std::mem::replace(&mut self.buffer, next);
        let press = self.press;
        let thread = Builder::new().name("press".to_owned());
        let pressing = thread.spawn_scoped(self.scope, move || press.run(full, &sources));
        self.pressing = Some(pressing.map_err(|_| IngestError::Thread)?);
        Ok(())
    }

    /// Takes over what the press has made.
    fn wait(&mut self) -> Result<(), IngestError> {
        if let Some(pressing) = self.pressing.take() {
            let mut pressed = pressing.join().map_err(|_| IngestError::Thread)??;
            self.group.take(&mut pressed, Day::of(self.run.now));
            self.spare = Some(pressed.buffer);
        }
        Ok(())
    }

    /// Writes what is left and gives back the group, the buffer and what is done.
    ///
    /// # Errors
    /// The store fails.
    pub fn close(mut self) -> Result<(Group, RowBuffer, Done), IngestError> {
        self.settle()?;
        let mut sources = self.group.ids.clone();
        for ((source_id, offset), json) in self.conflicts.take_fresh() {
            let number = self.group.number(&source_id).unwrap_or_else(|| {
                sources.push(source_id);
                sources.len() - 1
            });
            let at = (u32::try_from(number).unwrap_or(u32::MAX), offset, 0);
            let matched = u32::try_from(json.len()).unwrap_or(u32::MAX);
            self.buffer.refusals.push(at, &RejectReason::ConflictingDuplicate.into(), matched, &json);
        }
        self.hand_over(sources, false)?;
        self.wait()?;
        Ok((self.group, self.spare.unwrap_or(self.buffer), self.done))
    }
}
