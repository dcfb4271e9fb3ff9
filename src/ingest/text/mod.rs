//! The lines of one text: a reader thread cuts and hashes, this thread parses and counts.
//!
//! ```text
//! reader thread: chunks ─ full ─► records ─ parse ─► event ─► buffer │ refusal │ dropped by a rule
//!                   ◄── empty ──┘
//! ```
//!
//! A last line without newline counts as a line, and is remembered as the source's *tail* (`tail.rs`).
//!
//! Invariants: each record is counted once, in exactly one place.

mod again;
mod naming;
mod tail;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::Builder;

use super::error::IngestError;
use super::group::Pending;
use super::input::chunks::{CHUNK_BYTES, Chunks, Piece};
use super::input::expand::{Input, Origin};
use super::input::frame::{Record, Records};
use super::input::plain::Plain;
use super::reading::{Ended, Opened, Reading, Resume, unreadable};
use super::rows::buffer::Taken;
use super::source::digest::{Fate, Hasher, State, Tail};
use super::source::verify::Position;
use crate::event::{Refused, Reject};
use crate::parse::{Chosen, Framing, LineParser, Outcome};
use crate::privacy::ERASED;
use crate::time::Day;
use naming::Naming;

/// Chunks that the reader may be ahead.
const AHEAD: usize = 2;

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
    /// The records that may name the source; `None` once it is named.
    naming: Option<Naming>,
    /// It was named by an event line.
    named: bool,
    /// The known source's tail and its bytes.
    known_tail: Option<(Tail, Vec<u8>)>,
    /// What became of the record without newline, the parser's state and the lines before it.
    tail: Option<(Fate, Vec<u8>, u64)>,
}

impl Reading<'_, '_, '_> {
    /// Reads a text from `begin` to its end into the buffer.
    ///
    /// # Errors
    /// It cannot be read on, or the store fails.
    pub fn text(&mut self, input: &Input, chosen: Chosen, pending: Pending, begin: Begin) -> Result<(), IngestError> {
        let Chosen { framing, mut parser, .. } = chosen;
        let Begin { plain, hasher, begun, tail } = begin;
        let (known_offset, known_id) = (pending.base.offset, pending.base.source_id.clone());
        let number = self.group.add(pending);
        if let Some(tail) = &tail {
            parser.restore(&tail.parser);
        }
        let mut text = Text {
            number,
            framing,
            scratch: Vec::new(),
            lines: tail.as_ref().map_or(0, |tail| tail.lines),
            naming: tail.is_none().then(Naming::default),
            named: tail.as_ref().is_none_or(|tail| tail.named),
            known_tail: None,
            tail: None,
            parser,
        };
        if let Some(tail) = tail {
            self.group.name(number, known_id);
            text.known_tail = (tail.start < known_offset).then(|| (tail, begun.clone()));
        }
        let start = hasher.position();
        let enough = Arc::default();
        let chunks = Chunks::new(plain, framing, hasher, begun).paced(input.origin.holds(), &enough);
        let (hasher, tail_start, before_tail) = self.pieces(input, chunks, &enough, &mut text)?;
        let nothing_new = self.group.pending[number].tally.lines == 0 && hasher.position() <= known_offset;
        if !nothing_new {
            self.name(&mut text, u64::MAX, None);
        }
        let at_record = tail_start == hasher.position() && hasher.position() >= known_offset;
        self.ended(input, &text, at_record.then_some(&hasher), enough.load(Ordering::Relaxed));
        if nothing_new {
            // The catalog's state stays as it is; what a follower waits for may have begun.
            self.group.pending[number].report.bytes = known_offset;
            return Ok(());
        }
        let tail = text.end(tail_start, hasher.position());
        let state = State::new(&hasher, tail, before_tail, &self.run.known.seal);
        let pending = &mut self.group.pending[number];
        pending.report.bytes = hasher.position();
        pending.changed = true;
        pending.base.offset = hasher.position();
        pending.base.digest = state.encode();
        self.done.lines += pending.tally.lines;
        self.plain_bytes += hasher.position() - start;
        self.complete(number)
    }

    /// Remembers where a followed file goes on: behind a whole record of a source with its final name.
    fn ended(&mut self, input: &Input, text: &Text, hasher: Option<&Hasher>, more: bool) {
        let Origin::Followed(cut) = &input.origin else { return };
        let source_id = self.group.ids[text.number].clone();
        let hasher = hasher.filter(|_| text.named && text.naming.is_none() && cut.is_plain);
        let resume = hasher.map(|hasher| Resume { source_id, hasher: hasher.clone() });
        self.group.ended.push(Ended { key: cut.key, resume, more });
    }

    /// Runs the reader thread and takes its pieces; gives back the hasher, the start of the tail and its hash.
    fn pieces(
        &mut self,
        input: &Input,
        mut chunks: Chunks,
        enough: &AtomicBool,
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
            let lines = self.group.pending[text.number].tally.lines;
            self.breathe(input, lines)?;
            if self.is_enough(lines) {
                enough.store(true, Ordering::Relaxed);
            }
        }
        reader.join().map_err(|_| IngestError::Thread)?.map_err(|error| unreadable(input, &error))
    }

    #[inline]
    fn record(&mut self, text: &mut Text, offset: u64, record: &Record<'_>) -> Result<(), IngestError> {
        let before = text.lines;
        text.lines += record.lines(text.framing);
        if record.terminated && text.known_tail.is_none() {
            self.line(text, (offset, before + 1), record.bytes);
            return Ok(());
        }
        self.at_tail(text, offset, record, before)
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
                    Ok(Taken::Stored) => {
                        self.group.pending[text.number].tally.stored += 1;
                        return Became::Stored(day);
                    }
                    Ok(Taken::Dropped(rule)) => {
                        self.group.pending[text.number].tally.drop_by(rule);
                        return Became::Dropped(rule);
                    }
                    Err(refused) => (refused, u32::try_from(line.len()).unwrap_or(u32::MAX)),
                }
            }
            Outcome::Reject(Reject { reason, matched }) => (reason.into(), matched),
            Outcome::Drop(rule) => {
                self.group.pending[text.number].tally.drop_by(rule);
                self.name(text, at.0, Some((line, false)));
                return Became::Dropped(rule);
            }
        };
        self.name(text, at.0, Some((line, true)));
        self.refuse(text.number, at, &refused, line)
    }

    /// `refused` is why, and how many bytes were understood.
    fn refuse(&mut self, number: usize, at: (u64, u64), refused: &(Refused, u32), line: &[u8]) -> Became {
        let (offset, line_no) = at;
        let (reason, matched) = (&refused.0, refused.1);
        let source = u32::try_from(number).unwrap_or(u32::MAX);
        if self.run.rules.is_forgotten(line) {
            self.group.pending[number].tally.drop_by(ERASED);
            return Became::Dropped(ERASED);
        }
        let kept = self.run.rules.kept(line);
        self.buffer.refusals.push((source, offset, line_no), reason, matched, &kept);
        let pending = &mut self.group.pending[number];
        pending.tally.quarantined += 1;
        pending.report.problem(line_no, reason, matched, &kept);
        Became::Quarantined
    }
}
