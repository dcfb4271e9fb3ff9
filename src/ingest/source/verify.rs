//! Proves how an input stands to a known source by hashing as much of it as the source has.

use std::io;

use super::digest::{Hasher, Seal, State};
use crate::ingest::input::chunks::CHUNK_BYTES;
use crate::ingest::input::plain::Plain;

/// How an input stands to a known source.
#[derive(Debug)]
pub enum Verdict {
    /// It begins with everything the source has. The reading goes on at the source's `tail`.
    Continues(Box<Position>),
    /// It ends before the source does; its first `verified` bytes are the source's.
    Shorter { verified: u64 },
    /// It is another text.
    Differs,
}

/// A place in a text that was read up to a source's `offset`.
#[derive(Debug)]
pub struct Position {
    pub plain: Plain,
    /// Has seen everything before `tail`.
    pub hasher: Hasher,
    /// The bytes from `tail` to `offset`.
    pub begun: Vec<u8>,
}

impl Position {
    /// Whether the text has more than the source.
    ///
    /// # Errors
    /// The input cannot be read.
    pub fn goes_on(&mut self) -> io::Result<bool> {
        let mut next = [0];
        let more = self.plain.fill(&mut next)? > 0;
        self.begun.extend_from_slice(&next[..usize::from(more)]);
        Ok(more)
    }
}

/// Reads `plain` from its start and compares it with a source of `offset` bytes in `state`, kept under `seal`.
///
/// # Errors
/// The input cannot be read.
pub fn verify(mut plain: Plain, state: &State, offset: u64, seal: &Seal) -> io::Result<Verdict> {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; CHUNK_BYTES];
    advance(&mut plain, &mut hasher, state.tail.start, &mut buffer, |_| {})?;
    let mut begun = Vec::new();
    let mut whole = hasher.clone();
    if hasher.position() == state.tail.start {
        advance(&mut plain, &mut whole, offset, &mut buffer, |bytes| begun.extend_from_slice(bytes))?;
    }
    if whole.position() == offset {
        let same = state.is(state.whole, seal, (offset, whole.hash()))
            && state.is(state.before_tail, seal, (state.tail.start, hasher.hash()));
        return Ok(if same {
            Verdict::Continues(Box::new(Position { plain, hasher, begun }))
        } else {
            Verdict::Differs
        });
    }
    let len = whole.position();
    let Some((verified, hash)) = state.last_at_most(len, offset) else {
        return Ok(Verdict::Shorter { verified: 0 });
    };
    let own = if verified == len {
        Some(whole.hash())
    } else if verified == hasher.position() {
        Some(hasher.hash())
    } else {
        whole.checkpoints().iter().find(|(at, _)| *at == verified).map(|(_, hash)| hash)
    };
    let same = own.is_some_and(|own| state.is(hash, seal, (verified, own)));
    Ok(if same { Verdict::Shorter { verified } } else { Verdict::Differs })
}

/// Hashes up to `end` or the end of the text.
fn advance(
    plain: &mut Plain,
    hasher: &mut Hasher,
    end: u64,
    buffer: &mut [u8],
    mut seen: impl FnMut(&[u8]),
) -> io::Result<()> {
    while hasher.position() < end {
        let want = usize::try_from(end - hasher.position()).unwrap_or(usize::MAX).min(buffer.len());
        let read = plain.fill(&mut buffer[..want])?;
        hasher.update(&buffer[..read]);
        seen(&buffer[..read]);
        if read < want {
            break;
        }
    }
    Ok(())
}
