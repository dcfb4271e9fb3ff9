//! The lines of one text: a reader thread cuts and hashes, this thread parses and counts.
//!
//! ```text
//! reader thread: chunks ─ full ─► records ─ parse ─► event ─► buffer │ refusal │ dropped by a rule
//!                   ◄── empty ──┘
//! ```
//!
//! A last line without newline counts as a line, and is remembered as the source's *tail*: if the input has grown
//! when it is seen again, what became of the tail is undone and the longer line takes its place. So a file that was
//! read while somebody wrote to it ends up like one that was read when it was complete.
//!
//! Invariants: each record is counted once, in exactly one place.

use std::sync::mpsc;
use std::thread::Builder;

use super::error::IngestError;
use super::group::{Pending, Place};
use super::input::chunks::{CHUNK_BYTES, Chunks, Piece};
use super::input::expand::Input;
use super::input::frame::{Record, Records};
use super::input::plain::Plain;
use super::parts::find;
use super::reading::{Opened, Reading, unreadable};
use super::source::digest::{Fate, Hasher, State, Tail};
use super::source::verify::Position;
use crate::event::{Reject, RejectReason};
use crate::parse::{Chosen, Framing, LineParser, Outcome};
use crate::store::{Part, Table};
use crate::time::Day;

/// Chunks that the reader may be ahead.
const AHEAD: usize = 4;
/// A source is named by its first event line among the records that start within this many bytes, else by its first
/// record that the format does not drop, else by its first record.
const NAMING_BYTES: u64 = 4 << 20;

/// What became of a record.
#[derive(Debug, Clone, Copy)]
enum Became {
    /// An event of this day.
    Stored(Day),
    Quarantined,
    Dropped(&'static str),
}

/// Where the reading begins.
#[derive(Debug)]
pub struct Begin {
    plain: Plain,
    hasher: Hasher,
    begun: Vec<u8>,
    tail: Option<Tail>,
}

impl Begin {
    /// At the start of a new source.
    pub fn new(opened: Opened) -> Self {
        Self { plain: opened.plain, hasher: Hasher::default(), begun: opened.head, tail: None }
    }

    /// Where a known source ended.
    pub fn at(position: Position, tail: Tail) -> Self {
        Self { plain: position.plain, hasher: position.hasher, begun: position.begun, tail: Some(tail) }
    }
}

/// The text at work.
struct Text {
    number: usize,
    parser: Box<dyn LineParser>,
    framing: Framing,
    scratch: Vec<u8>,
    /// Physical lines before the record at hand.
    lines: u64,
    /// The records that may name the source: first kept, first of all; `None` once it is named.
    naming: Option<(Option<Vec<u8>>, Option<Vec<u8>>)>,
    /// It was named by an event line.
    named: bool,
    /// The known source's tail and its bytes.
    known_tail: Option<(Tail, Vec<u8>)>,
    /// What became of the record without newline, the parser's state and the lines before it.
    tail: Option<(Fate, Vec<u8>, u64)>,
}

impl<'scope> Reading<'scope, '_, '_> {
    /// Reads a text from `begin` to its end into the buffer.
    ///
    /// # Errors
    /// It cannot be read on, or the store fails.
    pub fn text(&mut self, input: &Input, chosen: Chosen, pending: Pending, begin: Begin) -> Result<(), IngestError> {
        let Chosen { framing, mut parser, .. } = chosen;
        let Begin { plain, hasher, begun, tail } = begin;
        let (known_offset, known_id) = (pending.base.offset, pending.base.source_id.clone());
        let number = self.group.add(pending);
        let mut text = Text {
            number,
            framing,
            scratch: Vec::new(),
            lines: tail.as_ref().map_or(0, |tail| tail.lines),
            naming: tail.is_none().then_some((None, None)),
            named: tail.as_ref().is_none_or(|tail| tail.named),
            known_tail: None,
            tail: None,
            parser: {
                tail.iter().for_each(|tail| parser.restore(&tail.parser));
                parser
            },
        };
        if let Some(tail) = tail {
            self.group.name(number, known_id);
            text.known_tail = (tail.start < known_offset).then(|| (tail, begun.clone()));
        }
        let start = hasher.position();
        let (hasher, tail_start, before_tail) =
            self.pieces(input, Chunks::new(plain, framing, hasher, begun), &mut text)?;
        self.name(&mut text, u64::MAX, None);
        if self.group.pending[number].tally.lines == 0 && hasher.position() == known_offset {
            // Nothing new: the catalog's state stays as it is.
            self.group.pending[number].report.bytes = known_offset;
            return Ok(());
        }
        let tail = text.end(tail_start, hasher.position());
        let state = State { checkpoints: hasher.checkpoints().clone(), whole: hasher.hash(), tail, before_tail };
        let pending = &mut self.group.pending[number];
        pending.report.bytes = hasher.position();
        pending.changed = true;
        pending.base.offset = hasher.position();
        pending.base.digest = state.encode();
        self.done.lines += pending.tally.lines;
        self.plain_bytes += hasher.position() - start;
        self.complete(number)
    }

    /// Runs the reader thread and takes its pieces; gives back the hasher, the start of the tail and its hash.
    fn pieces(
        &mut self,
        input: &Input,
        mut chunks: Chunks,
        text: &mut Text,
    ) -> Result<(Hasher, u64, u128), IngestError> {
        let (send_full, full) = mpsc::sync_channel(AHEAD);
        let (send_empty, empty) = mpsc::channel();
        self.chunk_buffers.drain(..).try_for_each(|buffer| send_empty.send(buffer)).map_err(|_| IngestError::Thread)?;
        let thread = Builder::new().name("reader".to_owned());
        let reader = thread.spawn_scoped(self.scope, move || {
            while let Some(piece) = chunks.next(empty.try_recv().unwrap_or_default())? {
                if send_full.send(piece).is_err() {
                    break;
                }
            }
            Ok(chunks.finish())
        });
        let reader = reader.map_err(|_| IngestError::Thread)?;
        for piece in &full {
            match piece {
                Piece::Records(chunk) => {
                    for record in Records::new(text.framing, chunk.bytes(), chunk.last) {
                        self.record(text, chunk.start + record.start as u64, &record)?;
                    }
                    if chunk.last {
                        self.chunk_buffers.push(chunk.buffer);
                    } else if chunk.buffer.len() <= 4 * CHUNK_BYTES {
                        // The reader may have ended; then nobody wants the buffer.
                        let _ = send_empty.send(chunk.buffer);
                    }
                }
                Piece::TooLong { start, head, terminated } => {
                    let record = Record { start: 0, bytes: &head, terminated };
                    self.too_long(text, start, &record)?;
                }
            }
            self.breathe(input, self.group.pending[text.number].tally.lines)?;
        }
        reader.join().map_err(|_| IngestError::Thread)?.map_err(|error| unreadable(input, &error))
    }

    #[inline]
    fn record(&mut self, text: &mut Text, offset: u64, record: &Record<'_>) -> Result<(), IngestError> {
        let before = text.lines;
        text.lines += 1;
        if text.framing == Framing::Csv {
            text.lines += memchr::memchr_iter(b'\n', record.bytes).count() as u64;
        }
        if record.terminated && text.known_tail.is_none() {
            self.line(text, (offset, before + 1), record.bytes);
            return Ok(());
        }
        self.at_tail(text, offset, record, before)
    }

    /// A record at the end of the text, or where the known text ended.
    #[cold]
    fn at_tail(&mut self, text: &mut Text, offset: u64, record: &Record<'_>, before: u64) -> Result<(), IngestError> {
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
        let fate = match fate {
            Some(fate) => fate,
            None => {
                let became = self.line(text, (offset, before + 1), record.bytes);
                self.fate(became)
            }
        };
        if !record.terminated {
            text.tail = Some((fate, parser_state, before));
        }
        Ok(())
    }

    /// One line that was not known: `at` is its offset and number.
    #[inline]
    fn line(&mut self, text: &mut Text, at: (u64, u64), line: &[u8]) -> Became {
        self.group.pending[text.number].tally.lines += 1;
        #[expect(clippy::cast_possible_truncation, reason = "a group has fewer sources than 2^16")]
        let number = text.number as u16;
        let refused = match text.parser.parse(line, &mut text.scratch) {
            Outcome::Event(raw) => {
                let day = Day::of(raw.ts);
                let pushed = self.buffer.push(&raw, number, at.0, &self.run.rules);
                if text.naming.is_some() {
                    self.name_by(text, line);
                }
                match pushed {
                    Ok(()) => {
                        self.group.pending[text.number].tally.stored += 1;
                        return Became::Stored(day);
                    }
                    Err(reason) => Reject { reason, matched: u32::try_from(line.len()).unwrap_or(u32::MAX) },
                }
            }
            Outcome::Reject(reject) => reject,
            Outcome::Drop(rule) => {
                self.group.pending[text.number].tally.drop_by(rule);
                self.name(text, at.0, Some((line, false)));
                return Became::Dropped(rule);
            }
        };
        self.name(text, at.0, Some((line, true)));
        self.refuse(text.number, at, refused, line)
    }

    fn too_long(&mut self, text: &mut Text, offset: u64, record: &Record<'_>) -> Result<(), IngestError> {
        let (parser, before) = (text.parser.state(), text.lines);
        text.lines += 1;
        if let Some((tail, _)) = text.known_tail.take() {
            self.undo(text.number, tail)?;
        }
        self.group.pending[text.number].tally.lines += 1;
        self.name(text, offset, Some((record.bytes, true)));
        let reject = Reject { reason: RejectReason::TooLong, matched: 0 };
        let became = self.refuse(text.number, (offset, before + 1), reject, record.bytes);
        text.tail = (!record.terminated).then_some((self.fate(became), parser, before));
        Ok(())
    }

    fn refuse(&mut self, number: usize, at: (u64, u64), reject: Reject, line: &[u8]) -> Became {
        let (offset, line_no) = at;
        let Reject { reason, matched } = reject;
        let source = u32::try_from(number).unwrap_or(u32::MAX);
        self.buffer.refusals.push((source, offset, line_no), reason, matched, line);
        let pending = &mut self.group.pending[number];
        pending.tally.quarantined += 1;
        pending.report.problem(line_no, reason, matched, line);
        Became::Quarantined
    }

    /// As it is remembered.
    fn fate(&self, became: Became) -> Fate {
        match became {
            Became::Stored(day) => Fate::Stored(day.0),
            Became::Quarantined => Fate::Quarantined(Day::of(self.run.options.now).0),
            Became::Dropped(rule) => Fate::Dropped(rule.to_owned()),
        }
    }

    /// Names the source by its first event line.
    #[cold]
    fn name_by(&mut self, text: &mut Text, line: &[u8]) {
        let forgotten = &self.group.forgotten;
        let free = |id: &str, known: bool| {
            self.group.number(id).is_none() && (!known || forgotten.iter().any(|forgotten| forgotten == id))
        };
        let id = self.run.known.source_id(line, free);
        self.group.name(text.number, id);
        text.naming = None;
    }

    /// Remembers a record that is no event (and whether the format keeps it), or settles for one of those where no
    /// event came in time.
    fn name(&mut self, text: &mut Text, offset: u64, seen: Option<(&[u8], bool)>) {
        let Some((kept, any)) = &mut text.naming else { return };
        if let Some((line, keep)) = seen {
            any.get_or_insert_with(|| line.to_vec());
            if keep {
                kept.get_or_insert_with(|| line.to_vec());
            }
        }
        if offset >= NAMING_BYTES {
            text.named = false;
            let line = kept.take().or_else(|| any.take()).unwrap_or_default();
            self.name_by(text, &line);
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
        // It lost against a copy elsewhere: there is no row.
        self.group.recount_stored(&id, &run.known, Place::Duplicate, None);
        Ok(())
    }
}

impl Text {
    /// The tail of a text that was read to `offset`.
    fn end(self, start: u64, offset: u64) -> Tail {
        match self.tail {
            Some((fate, parser, lines)) if start < offset => {
                Tail { start, fate: Some(fate), lines, parser, named: self.named }
            }
            _ => Tail { start, fate: None, lines: self.lines, parser: self.parser.state(), named: self.named },
        }
    }
}
