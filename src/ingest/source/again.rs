//! The text of a known source, read once more from the file that it was last seen as.
//!
//! A name proves nothing: what was read counts only if its bytes are the source's to the last one, and a file that has
//! grown is read as far as it was committed.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::digest::{Hasher, Seal};
use super::identify::{PARQUET, state_of};
use crate::ingest::error::IngestError;
use crate::ingest::input::chunks::{Chunks, Piece};
use crate::ingest::input::expand::Origin;
use crate::ingest::input::frame::{Record, Records};
use crate::ingest::input::plain::{Packing, Plain};
use crate::ingest::table;
use crate::parse::Framing;
use crate::store::SourceRow;

/// The format whose first record says what the others mean, and whose records may span lines.
pub const HEADED: &str = "csv";

/// Offsets of lines by source id.
pub type Wanted = HashMap<String, HashSet<u64>>;

/// Bytes that tell a format.
const HEAD_BYTES: usize = 256 << 10;

/// The lines of sources at these offsets, by source id, as far as the files that they were last seen as still have
/// them: not of sources that were ingested under masks, whose lines would show what is masked.
///
/// # Errors
/// A source was ingested by a newer program.
pub fn lines(known: &[SourceRow], wanted: &Wanted) -> Result<HashMap<(String, u64), Vec<u8>>, IngestError> {
    let mut lines = HashMap::new();
    for row in known.iter().filter(|row| row.format != PARQUET) {
        let Some(offsets) = wanted.get(&row.source_id).filter(|_| !matches!(state_of(row), Ok(state) if state.sealed))
        else {
            continue;
        };
        let framing = if row.format == HEADED { Framing::Csv } else { Framing::Lines };
        let mut found = Vec::new();
        let same = records(row, framing, &Seal::default(), |(offset, _), record| {
            if offsets.contains(&offset) {
                found.push(((row.source_id.clone(), offset), record.bytes.to_vec()));
            }
            Ok(())
        })?;
        if same {
            lines.extend(found);
        }
    }
    Ok(lines)
}

/// The first bytes of the file that `row` was last seen as; `None` where there is no such text.
pub fn head(row: &SourceRow) -> Option<Vec<u8>> {
    let mut plain = open(row)?;
    let mut head = vec![0; HEAD_BYTES];
    let read = plain.fill(&mut head).ok()?;
    head.truncate(read);
    Some(head)
}

/// Whether the file that `row` was last seen as still has all bytes of the source.
///
/// # Errors
/// The source was ingested by a newer program.
pub fn is_there(row: &SourceRow, seal: &Seal) -> Result<bool, IngestError> {
    if row.format != PARQUET {
        return records(row, Framing::Lines, seal, |_, _| Ok(()));
    }
    let file = path(row).and_then(|path| File::open(path).ok());
    let hash = file.and_then(|file| table::hash(&file).ok());
    Ok(hash.is_some_and(|(hash, _)| seal.tables(hash).contains(&row.digest)))
}

/// Shows `visit` every record of `row`'s text with its offset and the number of its first line, those that are too long
/// excepted. Whether the text is proved to be the source's; where it is not, what was shown is of no use.
///
/// # Errors
/// The source was ingested by a newer program, or `visit` fails.
pub fn records(
    row: &SourceRow,
    framing: Framing,
    seal: &Seal,
    mut visit: impl FnMut((u64, u64), &Record<'_>) -> Result<(), IngestError>,
) -> Result<bool, IngestError> {
    let state = if row.format == PARQUET { None } else { Some(state_of(row)?) };
    let (Some(plain), Some(state)) = (open(row), state) else { return Ok(false) };
    let mut chunks = Chunks::new(plain.up_to(row.offset), framing, Hasher::default(), Vec::new());
    let (mut buffer, mut lines) = (Vec::new(), 0);
    loop {
        // A file that cannot be read on is one that is not there.
        let Ok(piece) = chunks.next(std::mem::take(&mut buffer)) else { return Ok(false) };
        match piece {
            None => break,
            Some(Piece::TooLong { .. }) => lines += 1,
            Some(Piece::Records(chunk)) => {
                for record in Records::new(framing, chunk.bytes(), chunk.last) {
                    visit((chunk.start + record.start as u64, lines + 1), &record)?;
                    lines += record.lines(framing);
                }
                buffer = chunk.buffer;
            }
        }
    }
    let (hasher, _, _) = chunks.finish();
    Ok(hasher.position() == row.offset && state.is(state.whole, seal, (row.offset, hasher.hash())))
}

/// The file that `row` was last seen as; a pipe or a device would wait for somebody.
pub fn path(row: &SourceRow) -> Option<PathBuf> {
    Some(PathBuf::from(&row.name)).filter(|path| Path::is_file(path))
}

fn open(row: &SourceRow) -> Option<Plain> {
    let plain = Plain::open(&Origin::File(path(row)?), &row.name, &Arc::default()).ok()?;
    Some(plain).filter(|plain| plain.packing != Packing::Parquet)
}
