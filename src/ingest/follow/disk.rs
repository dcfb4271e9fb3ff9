//! What is asked of a file on the disk: who it is, and whether it is still what was read.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use xxhash_rust::xxh3::xxh3_128;

use crate::ingest::input::cut::read_at;
use crate::ingest::reading::Resume;

/// First bytes that are compared, at most, to notice that a file was rewritten in place.
const COMPARED: u64 = 4 << 10;

/// What tells a file from all others that are there at the same time.
pub type FileId = (u64, u64);

/// The identity of a file that was found at a path.
#[cfg(unix)]
pub fn file_id(_: &Path, meta: &Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt;
    (meta.dev(), meta.ino())
}

/// Where no inode can be had, the name and the time of its creation: a renamed file is then known by its bytes only.
#[cfg(not(unix))]
pub fn file_id(path: &Path, meta: &Metadata) -> FileId {
    let name = xxhash_rust::xxh3::xxh3_64(path.as_os_str().as_encoded_bytes());
    (name, meta.created().map_or(0, |created| micros(created).cast_unsigned()))
}

/// Microseconds since 1970.
pub fn micros(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Whether the file still begins, and still ends before the committed offset, with the bytes that were read.
pub fn is_as_read(file: &File, resume: &Resume, mark: u64) -> io::Result<bool> {
    let hasher = &resume.hasher;
    let first = hasher.checkpoints().iter().take_while(|(at, _)| *at <= COMPARED).last();
    if let Some((at, hash)) = first
        && xxh3_128(&stretch(file, mark, at)?) != hash
    {
        return Ok(false);
    }
    let recent = hasher.recent();
    let start = mark + hasher.position() - recent.len() as u64;
    Ok(stretch(file, start, recent.len() as u64)? == recent)
}

/// Bytes of a file, fewer where it ends.
fn stretch(file: &File, at: u64, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    let mut have = 0;
    while have < bytes.len() {
        match read_at(file, &mut bytes[have..], at + have as u64)? {
            0 => break,
            read => have += read,
        }
    }
    bytes.truncate(have);
    Ok(bytes)
}
