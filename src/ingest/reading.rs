//! Reading the inputs of one group: which source each is, what its lines say, full buffers to the press.
//!
//! ```text
//! open ─ head ─► nobody's ───────────────────────────► new source ─┐
//!           └──► a candidate ─ verify ─► continues ────────────────┼─► lines ─► buffer ─ full ─► press
//!                                   ├─► shorter ─ prefix? ─► known │
//!                                   └─► differs ─► next candidate ─┘
//! ```
//!
//! Deliberately not here: single lines (`lines.rs`), the commit (`run.rs`).

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use super::duplicates::{self, Conflicts, Surroundings};
use super::error::IngestError;
use super::group::{Group, Pending};
use super::input::expand::{Input, Origin};
use super::input::plain::{Packing, Plain};
use super::lines::Begin;
use super::order;
use super::parts::find;
use super::prefix;
use super::press::{Press, Pressed};
use super::report::{Progress, SourceReport};
use super::rows::buffer::RowBuffer;
use super::rows::carry::carry;
use super::run::{Done, Run};
use super::source::identify::{KnownSources, state_of};
use super::source::verify::{Verdict, verify};
use crate::event::RejectReason;
use crate::parse::{self, Choice, Chosen};
use crate::store::{Snapshot, SourceRow, Table};
use crate::time::Day;

/// Bytes of an input that tell its format and its source.
const HEAD_BYTES: usize = 256 << 10;
/// Plain bytes after which a group is committed at the next end of a source.
const GROUP_BYTES: u64 = 512 << 20;
/// Sources of a group: their numbers are 16 bits wide in a row.
const GROUP_SOURCES: usize = 60_000;

/// An input in the queue, opened already if it is a stream that had to wait for a commit.
#[derive(Debug)]
pub struct Waiting {
    pub input: Input,
    pub opened: Option<Opened>,
}

/// An input with its first bytes read.
#[derive(Debug)]
pub struct Opened {
    pub plain: Plain,
    pub head: Vec<u8>,
}

/// What became of one input.
enum Next {
    /// Read to its end.
    Done,
    /// It may continue a source of this group, which has to be committed first.
    After(Opened),
}

/// The reading of one group.
pub struct Reading<'scope, 'env, 'r> {
    pub scope: &'scope Scope<'scope, 'env>,
    pub run: &'env Run<'env>,
    pub snapshot: &'env Snapshot,
    press: Press<'env>,
    pub group: Group,
    /// Complete sources of this group.
    pub fresh: KnownSources,
    pub buffer: RowBuffer,
    spare: Option<RowBuffer>,
    /// Bytes at which a buffer is full. It starts small, because memory that is touched once costs more than a run.
    limit: usize,
    pressing: Option<ScopedJoinHandle<'scope, Result<Pressed, IngestError>>>,
    conflicts: &'r mut Conflicts,
    progress: &'r mut dyn Progress,
    pub done: Done,
    pub raw_bytes: Arc<AtomicU64>,
    /// Memory for chunks, from one source to the next.
    pub chunk_buffers: Vec<Vec<u8>>,
    /// Plain bytes of this group.
    pub plain_bytes: u64,
}

impl<'scope, 'env, 'r> Reading<'scope, 'env, 'r> {
    /// `press` writes, `buffer` and `conflicts` are lent by the run.
    pub fn new(
        scope: &'scope Scope<'scope, 'env>,
        run: &'env Run<'env>,
        snapshot: &'env Snapshot,
        press: Press<'env>,
        buffer: RowBuffer,
        (conflicts, progress): (&'r mut Conflicts, &'r mut dyn Progress),
    ) -> Self {
        Self {
            scope,
            run,
            snapshot,
            press,
            group: Group::default(),
            fresh: KnownSources::default(),
            buffer,
            spare: None,
            limit: run.options.buffer_bytes / 8,
            pressing: None,
            conflicts,
            progress,
            done: run.done,
            raw_bytes: Arc::default(),
            chunk_buffers: Vec::new(),
            plain_bytes: 0,
        }
    }

    /// Reads inputs until a commit is due; `taken` is what was begun, the last of it perhaps with an error, `failures`
    /// are inputs that were refused before any of their rows was taken.
    ///
    /// # Errors
    /// An input cannot be read on, or the store fails.
    pub fn inputs(
        &mut self,
        waiting: &mut VecDeque<Waiting>,
        taken: &mut Vec<Input>,
        failures: &mut Vec<(Input, IngestError)>,
    ) -> Result<(), IngestError> {
        while let Some(Waiting { input, opened }) = waiting.pop_front() {
            let stream = !matches!(input.origin, Origin::File(_));
            let before = (self.group.pending.len(), self.group.forgotten.len());
            taken.push(input.clone());
            let opened = opened.map_or_else(|| self.open(&input), Ok);
            match opened.and_then(|opened| self.input(&input, opened)) {
                Ok(Next::Done) => self.done.raw_bytes += self.raw_bytes.swap(0, Ordering::Relaxed),
                Ok(Next::After(opened)) => {
                    taken.pop();
                    waiting.push_front(Waiting { opened: stream.then_some(opened), input });
                    return Ok(());
                }
                Err(error)
                    if error.is_about_one_input()
                        && before == (self.group.pending.len(), self.group.forgotten.len()) =>
                {
                    taken.pop();
                    failures.push((input, error));
                }
                Err(error) => return Err(error),
            }
            if stream || self.plain_bytes >= GROUP_BYTES || self.group.pending.len() >= GROUP_SOURCES {
                break;
            }
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
            self.buffer.refusals.push(at, RejectReason::ConflictingDuplicate, matched, &json);
        }
        self.hand_over(sources, false)?;
        self.wait()?;
        Ok((self.group, self.spare.unwrap_or(self.buffer), self.done))
    }

    fn open(&self, input: &Input) -> Result<Opened, IngestError> {
        let mut plain = Plain::open(&input.origin, &input.name, &self.raw_bytes)?;
        let mut head = vec![0; HEAD_BYTES];
        let read = plain.fill(&mut head).map_err(|error| unreadable(input, &error))?;
        head.truncate(read);
        Ok(Opened { plain, head })
    }

    fn input(&mut self, input: &Input, opened: Opened) -> Result<Next, IngestError> {
        if opened.head.is_empty() {
            return Err(IngestError::Empty { name: input.name.clone() });
        }
        if opened.plain.packing == Packing::Parquet {
            let input = self.rereadable(input, opened)?;
            return self.table(&input).map(|()| Next::Done);
        }
        if !self.fresh.candidates(&opened.head)?.is_empty() {
            return Ok(Next::After(opened));
        }
        let candidates = self.run.known.candidates(&opened.head)?;
        if candidates.is_empty() {
            return self.new_source(input, opened).map(|()| Next::Done);
        }
        let input = &self.rereadable(input, opened)?;
        for row in candidates {
            if self.known(input, row)? {
                return Ok(Next::Done);
            }
        }
        let opened = self.open(input)?;
        self.new_source(input, opened).map(|()| Next::Done)
    }

    /// Reads `input` as the source `row` if it is that; `false` where it is another.
    fn known(&mut self, input: &Input, row: SourceRow) -> Result<bool, IngestError> {
        let state = state_of(&row)?;
        let opened = self.open(input)?;
        let plain = Plain::open(&input.origin, &input.name, &self.raw_bytes)?;
        match verify(plain, &state, row.offset).map_err(|error| unreadable(input, &error))? {
            Verdict::Continues(mut position) => {
                if !state.tail.named && position.goes_on().map_err(|error| unreadable(input, &error))? {
                    self.forget(&row)?;
                    return Ok(false);
                }
                let chosen = self.choose(input, &opened.head, Some(&row.format))?;
                let pending = pending(input, &chosen, row);
                self.text(input, chosen, pending, Begin::at(*position, state.tail))?;
                Ok(true)
            }
            Verdict::Shorter { verified } => {
                let chosen = self.choose(input, &opened.head, Some(&row.format))?;
                let (format, why) = (chosen.name.clone(), chosen.why.clone());
                let Some((lines, bytes)) =
                    prefix::lines((self.run, self.snapshot), input, chosen, opened, &row, verified)?
                else {
                    return Ok(false);
                };
                let report = SourceReport { name: input.name.clone(), format, why, bytes, ..SourceReport::default() };
                let id = row.source_id.clone();
                let number = self.group.add(Pending { base: row, known_lines: lines, report, ..Pending::default() });
                self.group.name_again(number, id);
                Ok(true)
            }
            Verdict::Differs => Ok(false),
        }
    }

    /// Takes out a source that was named before any of its lines was an event: the text has grown, and gets the name
    /// that it would have had from the start.
    fn forget(&mut self, row: &SourceRow) -> Result<(), IngestError> {
        let snapshot = self.snapshot;
        for part in snapshot.parts(Table::Quarantine).iter().chain(snapshot.parts(Table::Events)) {
            find::by_line(&part.open()?, &row.source_id, 0..u64::MAX, |offset, _, _| {
                self.group.remove_stored(part.table, part, &row.source_id, offset);
                Ok(())
            })?;
        }
        self.group.forgotten.push(row.source_id.clone());
        Ok(())
    }

    fn new_source(&mut self, input: &Input, opened: Opened) -> Result<(), IngestError> {
        let chosen = self.choose(input, &opened.head, None)?;
        let base = SourceRow { first_seen_ts: self.run.options.now, ..SourceRow::default() };
        let pending = pending(input, &chosen, base);
        self.text(input, chosen, pending, Begin::new(opened))
    }

    /// The format of an input: the one that was asked for; with `auto` the one that a known source had.
    fn choose(&self, input: &Input, head: &[u8], known: Option<&str>) -> Result<Chosen, IngestError> {
        let (requested, config) = (self.run.options.format.as_str(), self.run.config);
        let again = known.filter(|_| requested == "auto").and_then(|known| parse::choose(known, head, config).ok());
        let chosen = match again {
            Some(chosen) => Ok(chosen),
            None => parse::choose(requested, head, config),
        };
        match chosen.map_err(|source| IngestError::Format { name: input.name.clone(), source })? {
            Choice::Text(chosen) => Ok(chosen),
            Choice::Parquet { .. } => {
                let why = "it is packed, and only text is unpacked here – unpack it first".to_owned();
                Err(IngestError::Parquet { name: input.name.clone(), why })
            }
        }
    }

    /// The input, put aside first if it can be read only once: it may have to be read again as something else.
    fn rereadable(&self, input: &Input, opened: Opened) -> Result<Input, IngestError> {
        if matches!(input.origin, Origin::File(_)) {
            return Ok(input.clone());
        }
        let Opened { mut plain, mut head } = opened;
        let mut file = self.press.writer.spool()?;
        let mut read = head.len();
        head.resize(HEAD_BYTES, 0);
        while read > 0 {
            file.write_all(&head[..read]).map_err(|error| unreadable(input, &error))?;
            read = plain.fill(&mut head).map_err(|error| unreadable(input, &error))?;
        }
        Ok(Input { origin: Origin::Spool(Arc::new(file)), ..input.clone() })
    }

    /// After each chunk: stop if told so, tell the progress, hand over a full buffer.
    pub fn breathe(&mut self, input: &Input, lines: u64) -> Result<(), IngestError> {
        if self.run.options.stop.load(Ordering::Relaxed) {
            return Err(IngestError::Interrupted);
        }
        let raw_bytes = self.done.raw_bytes + self.raw_bytes.load(Ordering::Relaxed);
        self.progress.advance(raw_bytes, self.done.lines + lines, &input.name);
        if self.buffer.memory_bytes() >= self.limit && !self.grow() {
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
            self.group.take(&mut pressed, Day::of(self.run.options.now));
            self.spare = Some(pressed.buffer);
        }
        Ok(())
    }

    /// A complete source of this group, so that a copy of it in the same command is known again.
    pub fn complete(&mut self, number: usize) -> Result<(), IngestError> {
        let mut row = self.group.pending[number].base.clone();
        row.source_id.clone_from(&self.group.ids[number]);
        self.fresh.put(row)
    }
}

/// A source that is about to be read.
fn pending(input: &Input, chosen: &Chosen, base: SourceRow) -> Pending {
    let report = SourceReport {
        name: input.name.clone(),
        format: chosen.name.clone(),
        why: chosen.why.clone(),
        ..SourceReport::default()
    };
    let base = SourceRow { name: input.name.clone(), format: chosen.name.clone(), ..base };
    Pending { known_lines: base.lines, base, report, ..Pending::default() }
}

/// An input that cannot be read on.
pub fn unreadable(input: &Input, error: &io::Error) -> IngestError {
    IngestError::read(Path::new(&input.name), error)
}
