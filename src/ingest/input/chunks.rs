//! Chunks: the plain text in large pieces of whole records, hashed on the way.
//!
//! ```text
//! plain ─ fill ─► [ whole records | begun ]        the begun record moves to the front of the next chunk
//!                 └─ hashed, sent ┘
//! ```
//!
//! Invariants: chunks concatenated are the text; a chunk ends where a record ends, except the last of a text; a
//! record longer than [`limits::LINE_BYTES`] is one [`Piece::TooLong`] with its first bytes.
//!
//! Deliberately not here: threads (`text/`); the lines of a chunk (`frame.rs`).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use memchr::memchr;

use super::frame;
use super::plain::Plain;
use crate::ingest::source::digest::Hasher;
use crate::limits;
use crate::parse::Framing;

/// Bytes of a chunk: large enough that handing one over costs nothing, small enough that those on their way are still
/// cached when they are parsed.
pub const CHUNK_BYTES: usize = 512 << 10;
/// Bytes kept of a record that is too long.
const LONG_HEAD_BYTES: usize = 64 << 10;

/// A part of the text.
#[derive(Debug)]
pub enum Piece {
    Records(Chunk),
    /// A record beyond the limit: where it starts, its first bytes, whether it ended with a newline.
    TooLong {
        start: u64,
        head: Vec<u8>,
        terminated: bool,
    },
}

/// Whole records.
#[derive(Debug)]
pub struct Chunk {
    /// The memory; only the first `len` bytes are text.
    pub buffer: Vec<u8>,
    pub len: usize,
    /// Plain offset of the first byte.
    pub start: u64,
    /// The text ends here.
    pub last: bool,
}

impl Chunk {
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

/// The plain text from some offset on, in pieces.
#[derive(Debug)]
pub struct Chunks {
    plain: Plain,
    framing: Framing,
    /// Has seen everything before the next piece.
    hasher: Hasher,
    /// Read, but not yet part of a piece.
    begun: Vec<u8>,
    /// Where the record begins that has no newline, and the hash of what is before it.
    tail: Option<(u64, u128)>,
    ended: bool,
    /// A last record without newline is left where it is.
    hold: bool,
    /// Set from outside: this is the last piece for now.
    enough: Arc<AtomicBool>,
}

impl Chunks {
    /// The text that goes on with `begun` and then `plain`; `hasher` has seen everything before.
    pub fn new(plain: Plain, framing: Framing, hasher: Hasher, begun: Vec<u8>) -> Self {
        Self { plain, framing, hasher, begun, tail: None, ended: false, hold: false, enough: Arc::default() }
    }

    /// Leaves a last record without newline where it is if `hold`, and ends early once `enough` is set.
    pub fn paced(self, hold: bool, enough: &Arc<AtomicBool>) -> Self {
        Self { hold, enough: Arc::clone(enough), ..self }
    }

    /// The next piece, in `buffer` if it suits; `None` after the last.
    ///
    /// # Errors
    /// The input cannot be read on.
    pub fn next(&mut self, mut buffer: Vec<u8>) -> io::Result<Option<Piece>> {
        if self.ended || self.enough.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut have = self.begun.len();
        if buffer.len() < CHUNK_BYTES.max(have * 2) {
            buffer.resize(CHUNK_BYTES.max(have * 2), 0);
        }
        buffer[..have].copy_from_slice(&self.begun);
        self.begun.clear();
        loop {
            have += self.plain.fill(&mut buffer[have..])?;
            let whole = frame::last_end(self.framing, &buffer[..have]);
            if have < buffer.len() {
                return Ok(self.last(buffer, whole, have));
            }
            if whole > 0 {
                self.begun.extend_from_slice(&buffer[whole..have]);
                return Ok(Some(self.records(buffer, whole, false)));
            }
            if have >= limits::LINE_BYTES {
                return self.too_long(&mut buffer, have).map(Some);
            }
            let more = (buffer.len() * 2).min(limits::LINE_BYTES);
            buffer.resize(more, 0);
        }
    }

    /// What the text was, once [`Chunks::next`] has given `None`: its hashes, and where an unterminated record begins
    /// with the hash of what is before it.
    pub fn finish(self) -> (Hasher, u64, u128) {
        let (tail, before_tail) = self.tail.unwrap_or((self.hasher.position(), self.hasher.hash()));
        (self.hasher, tail, before_tail)
    }

    fn records(&mut self, buffer: Vec<u8>, len: usize, last: bool) -> Piece {
        let start = self.hasher.position();
        self.hasher.update(&buffer[..len]);
        Piece::Records(Chunk { buffer, len, start, last })
    }

    fn last(&mut self, buffer: Vec<u8>, whole: usize, have: usize) -> Option<Piece> {
        self.ended = true;
        if self.hold {
            return (whole > 0).then(|| self.records(buffer, whole, false));
        }
        if have == 0 {
            return None;
        }
        let start = self.hasher.position();
        self.hasher.update(&buffer[..whole]);
        if whole < have {
            self.tail = Some((self.hasher.position(), self.hasher.hash()));
            self.hasher.update(&buffer[whole..have]);
        }
        Some(Piece::Records(Chunk { buffer, len: have, start, last: true }))
    }

    /// Passes over the rest of a record that fills the whole buffer.
    fn too_long(&mut self, buffer: &mut Vec<u8>, mut have: usize) -> io::Result<Piece> {
        let (start, before) = (self.hasher.position(), self.hasher.hash());
        let head = buffer[..LONG_HEAD_BYTES.min(have)].to_vec();
        let mut from = 0;
        loop {
            if let Some(newline) = memchr(b'\n', &buffer[from..have]) {
                let end = from + newline + 1;
                self.hasher.update(&buffer[..end]);
                self.begun.extend_from_slice(&buffer[end..have]);
                return Ok(Piece::TooLong { start, head, terminated: true });
            }
            self.hasher.update(&buffer[..have]);
            buffer.truncate(CHUNK_BYTES);
            from = 0;
            have = self.plain.fill(buffer)?;
            if have == 0 {
                self.tail = Some((start, before));
                self.ended = true;
                return Ok(Piece::TooLong { start, head, terminated: false });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::Arc;

    use super::*;

    fn chunks(text: &[u8]) -> Chunks {
        let plain = Plain::over(Box::new(Cursor::new(text.to_vec())), "t", &Arc::default()).unwrap();
        Chunks::new(plain, Framing::Lines, Hasher::default(), Vec::new())
    }

    /// The text, the start and length of each record that is too long, and where text and tail end.
    type Collected = (Vec<u8>, Vec<(u64, usize)>, (u64, u64));

    fn collect(mut chunks: Chunks) -> Collected {
        let (mut text, mut long) = (Vec::new(), Vec::new());
        while let Some(piece) = chunks.next(Vec::new()).unwrap() {
            match piece {
                Piece::Records(chunk) => {
                    assert_eq!(chunk.start, text.len() as u64 + long.iter().map(|(_, len)| *len as u64).sum::<u64>());
                    assert!(chunk.last || chunk.bytes().ends_with(b"\n"));
                    text.extend_from_slice(chunk.bytes());
                }
                Piece::TooLong { start, head, .. } => long.push((start, head.len())),
            }
        }
        let (hasher, tail, _) = chunks.finish();
        (text, long, (hasher.position(), tail))
    }

    #[test]
    fn chunks_concatenated_are_the_text() {
        let mut text: Vec<u8> = (0..300_000).flat_map(|at| format!("line {at}\n").into_bytes()).collect();
        let lines = text.len() as u64;
        let (seen, _, end) = collect(chunks(&text));
        assert!(seen == text && end == (lines, lines));
        text.extend_from_slice(b"no newline");
        let (seen, _, end) = collect(chunks(&text));
        assert!(seen == text && end == (lines + 10, lines));
        assert_eq!(collect(chunks(b"")).2, (0, 0));
    }

    #[test]
    fn a_ten_megabyte_line_is_a_record() {
        let text = [b"a\n".to_vec(), vec![b'x'; 10 << 20], b"\nb\n".to_vec()].concat();
        let (seen, long, _) = collect(chunks(&text));
        assert!(seen == text && long.is_empty());
    }

    #[test]
    fn a_record_beyond_the_limit_keeps_its_first_bytes() {
        let long = vec![b'x'; limits::LINE_BYTES + 5_000_000];
        let mut chunks = chunks(&[b"a\n".to_vec(), long.clone(), b"\nb\n".to_vec()].concat());
        let Some(Piece::Records(first)) = chunks.next(Vec::new()).unwrap() else { panic!("a record") };
        assert_eq!(first.bytes(), b"a\n");
        let Some(Piece::TooLong { start, head, terminated }) = chunks.next(Vec::new()).unwrap() else {
            panic!("too long")
        };
        assert_eq!((start, head.len(), terminated), (2, LONG_HEAD_BYTES, true));
        let Some(Piece::Records(last)) = chunks.next(Vec::new()).unwrap() else { panic!("a record") };
        assert_eq!((last.bytes(), last.start), (&b"b\n"[..], 2 + long.len() as u64 + 1));
        assert!(chunks.next(Vec::new()).unwrap().is_none());
    }
}
