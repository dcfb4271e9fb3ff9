//! Whether a text that ends before a known source does is a prefix of it.
//!
//! Hashes exist at checkpoints only. What lies between the last one within the text and its end is compared row by
//! row with what the store has of the source: every line must be there at its offset with the same content, and none
//! in between; of rows that other rules shaped, masks perhaps among them, what no mask touches. The bytes after the last newline are the begun copy of a line that is known whole, and count as known.
//!
//! Deliberately not here: the hashes themselves (`source/verify.rs`).

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_128;

use super::content::Content;
use super::error::IngestError;
use super::find;
use super::input::chunks::{Chunks, Piece};
use super::input::expand::Input;
use super::input::frame::Records;
use super::reading::{Opened, unreadable};
use super::rows::buffer::{RowBuffer, Taken};
use super::run::Run;
use super::source::digest::Hasher;
use crate::parse::{Chosen, Framing, LineParser, Outcome};
use crate::store::{Snapshot, SourceRow, Table};

/// The lines of a text that are not proved by a hash: what each says, by its offset.
struct Unproved {
    events: HashMap<u64, Event>,
    /// Hashes of lines that must be in quarantine.
    refused: HashMap<u64, u128>,
}

/// An event that must be stored.
struct Event {
    content: u128,
    /// The same of what no mask touches.
    unmasked: u128,
    /// Its id was given, so it may be missing: it was a copy.
    given: bool,
}

/// The number of lines and of plain bytes of the text if it is a prefix of the source `row`, whose first `verified`
/// bytes it is known to have.
///
/// # Errors
/// The text or a part cannot be read.
pub fn lines(
    (run, snapshot): (&Run<'_>, &Snapshot),
    input: &Input,
    chosen: Chosen,
    opened: Opened,
    row: &SourceRow,
    verified: u64,
) -> Result<Option<(u64, u64)>, IngestError> {
    let Chosen { framing, mut parser, .. } = chosen;
    let mut chunks = Chunks::new(opened.plain, framing, Hasher::default(), opened.head);
    let mut unproved = Unproved { events: HashMap::new(), refused: HashMap::new() };
    let mut rows = RowBuffer::new(&run.rules);
    let (mut count, mut buffer) = (0, Vec::new());
    while let Some(piece) = chunks.next(std::mem::take(&mut buffer)).map_err(|error| unreadable(input, &error))? {
        match piece {
            Piece::Records(chunk) => {
                count += unproved.take(
                    run,
                    &mut rows,
                    parser.as_mut(),
                    (framing, chunk.bytes(), chunk.last),
                    chunk.start,
                    verified,
                );
                buffer = chunk.buffer;
            }
            Piece::TooLong { start, head, terminated } => {
                count += 1;
                if terminated && start >= verified {
                    unproved.refused.insert(start, xxh3_128(&run.rules.kept(&head)));
                }
            }
        }
    }
    let (hasher, _, _) = chunks.finish();
    let bytes = hasher.position();
    Ok(unproved.are_stored((run, snapshot), row, bytes)?.then_some((count, bytes)))
}

impl Unproved {
    /// Counts the records of a chunk and keeps those that end behind `verified`.
    fn take(
        &mut self,
        run: &Run<'_>,
        rows: &mut RowBuffer,
        parser: &mut dyn LineParser,
        chunk: (Framing, &[u8], bool),
        start: u64,
        verified: u64,
    ) -> u64 {
        let (framing, bytes, last) = chunk;
        let (mut count, mut scratch) = (0, Vec::new());
        for record in Records::new(framing, bytes, last) {
            count += 1;
            let offset = start + record.start as u64;
            let outcome = parser.parse(record.bytes, &mut scratch);
            if !record.terminated || offset + record.bytes.len() as u64 <= verified {
                continue;
            }
            let taken = match outcome {
                Outcome::Event(raw) => rows.push(&raw, 0, offset, &run.rules).ok(),
                Outcome::Reject(_) => None,
                Outcome::Drop(rule) => Some(Taken::Dropped(rule)),
            };
            match taken {
                Some(Taken::Stored) => {
                    let given = rows.texts.event_id.len() > 1;
                    if let Some(row) = rows.rows.last() {
                        let content = Content::of_row(rows, row);
                        let (content, unmasked) = (content.hash(), content.unmasked().hash());
                        self.events.insert(offset, Event { content, unmasked, given });
                    }
                    rows.clear();
                }
                Some(Taken::Dropped(_)) => {}
                None => {
                    self.refused.insert(offset, xxh3_128(&run.rules.kept(record.bytes)));
                }
            }
        }
        count
    }

    /// Whether the store has exactly these lines of the source between the first of them and `end`.
    fn are_stored(
        mut self,
        (run, snapshot): (&Run<'_>, &Snapshot),
        row: &SourceRow,
        end: u64,
    ) -> Result<bool, IngestError> {
        let offsets = || self.events.keys().chain(self.refused.keys());
        let (Some(first), Some(last)) = (offsets().min().copied(), offsets().max().copied()) else { return Ok(true) };
        let (range, mut same) = (first..(last + 1).min(end), true);
        for part in snapshot.parts(Table::Events) {
            find::by_line(&part.open()?, &row.source_id, range.clone(), |offset, batch, at| {
                same &= self.events.remove(&offset).zip(Content::of_stored(batch, at)).is_some_and(|(own, stored)| {
                    own.content == stored.hash()
                        || (part.rules != run.fingerprint && own.unmasked == stored.unmasked().hash())
                });
                Ok(())
            })?;
        }
        for part in snapshot.parts(Table::Quarantine) {
            find::by_line(&part.open()?, &row.source_id, range.clone(), |offset, batch, at| {
                let own = self.refused.remove(&offset).or_else(|| self.events.remove(&offset).map(|_| 0));
                let is_own = |own| find::raw(batch, at).is_some_and(|raw| own == xxh3_128(raw));
                same &= own.is_some_and(|own| own == 0 || is_own(own) || part.rules != run.fingerprint);
                Ok(())
            })?;
        }
        Ok(same && self.refused.is_empty() && self.events.values().all(|event| event.given))
    }
}
