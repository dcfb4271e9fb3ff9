//! Parts: the immutable files that hold rows.
//!
//! ```text
//! Writer::part ─► PartFile (bytes go in, a checksum comes along) ─► PartWriter (rows go in) ─► NewPart ─► Commit::add
//!                                                                                    Snapshot::events ─► Part ─► open
//! ```
//!
//! A `PartFile` or `NewPart` that is dropped without a commit takes its temporary file with it.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::StoreError;
use super::catalog::stats::ColumnStats;
use super::disk::Disk;
use super::layout::{Layout, PartName, PartPath, Table};
use crate::time::Day;

/// xxh3-128 of a whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checksum(pub u128);

impl std::fmt::Display for Checksum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Checksum {
    /// Reads 32 hex digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        (text.len() == 32).then(|| u128::from_str_radix(text, 16).ok().map(Self))?
    }
}

/// A committed part of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub table: Table,
    pub file_id: i64,
    /// The UTC day of all its rows.
    pub day: Day,
    /// Absolute.
    pub path: PathBuf,
    pub rows: u64,
    /// The file's size.
    pub bytes: u64,
    /// Bytes of the Parquet footer's metadata, without the 8 bytes that end the file.
    pub footer_bytes: u64,
    pub checksum: Checksum,
    /// Exact smallest and largest time of its rows, microseconds.
    pub ts_min: i64,
    pub ts_max: i64,
    /// Fingerprint of the rules that shaped its rows.
    pub rules: String,
    /// Rows with a given event id.
    pub event_ids: u64,
}

impl Part {
    /// Opens the file and checks that it is whole: its size and its last 8 bytes.
    ///
    /// # Errors
    /// [`StoreError::MissingPart`], [`StoreError::TruncatedPart`], [`StoreError::DamagedPart`], or it cannot be read.
    pub fn open(&self) -> Result<File, StoreError> {
        let file = File::open(&self.path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::MissingPart { path: self.path.clone(), rows: self.rows },
            _ => StoreError::io("reading", &self.path, error),
        })?;
        let found = file.metadata().map_err(|error| StoreError::io("reading", &self.path, error))?.len();
        if found != self.bytes {
            return Err(StoreError::TruncatedPart { path: self.path.clone(), expected: self.bytes, found });
        }
        let mut tail = [0; 8];
        file.read_exact_at(&mut tail, found.saturating_sub(8))
            .map_err(|error| StoreError::io("reading", &self.path, error))?;
        if &tail[4..] != b"PAR1" || footer_bytes(tail) != self.footer_bytes {
            let detail = format!("the last 8 bytes are no Parquet ending with a footer of {} bytes", self.footer_bytes);
            return Err(StoreError::DamagedPart { path: self.path.clone(), check: "footer", detail });
        }
        Ok(file)
    }
}

/// The bytes of a part while they are written: a `.tmp` file with a running checksum.
pub struct PartFile {
    pub(super) place: PartPath,
    file: File,
    tmp: TmpFile,
    hash: Box<Xxh3>,
    bytes: u64,
    /// The last 8 bytes written.
    tail: [u8; 8],
}

/// Removes the temporary file when dropped, unless it was published or handed over.
#[derive(Debug)]
pub(super) struct TmpFile {
    pub(super) path: PathBuf,
    pub(super) disk: Disk,
    pub(super) published: bool,
}

impl TmpFile {
    /// Passes the duty on.
    fn hand_over(&mut self) -> Self {
        let heir = Self { path: self.path.clone(), disk: self.disk.clone(), published: self.published };
        self.published = true;
        heir
    }
}

impl Drop for TmpFile {
    fn drop(&mut self) {
        if !self.published {
            // Best effort: what stays behind is swept by the next writer.
            drop(self.disk.remove(&self.path));
        }
    }
}

impl std::fmt::Debug for PartFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartFile").field("path", &self.tmp.path).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl PartFile {
    pub(super) fn create(disk: &Disk, layout: &Layout, table: Table, day: Day) -> Result<Self, StoreError> {
        let dir = layout.day_dir(table, day);
        disk.create_dir(&dir).map_err(|error| StoreError::io("creating", &dir, error))?;
        let place = PartPath { table, day, name: PartName::fresh() };
        let path = layout.tmp(&place);
        let file = disk.create(&path).map_err(|error| StoreError::io("creating", &path, error))?;
        let tmp = TmpFile { path, disk: disk.clone(), published: false };
        Ok(Self { place, file, tmp, hash: Box::new(Xxh3::new()), bytes: 0, tail: [0; 8] })
    }

    /// The table that the part belongs to.
    #[must_use]
    pub const fn table(&self) -> Table {
        self.place.table
    }

    /// The day that the part belongs to.
    #[must_use]
    pub const fn day(&self) -> Day {
        self.place.day
    }

    /// Bytes written so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn path(&self) -> &Path {
        &self.tmp.path
    }

    /// Makes the bytes durable; the name follows with the commit.
    pub(super) fn seal(&mut self) -> Result<SealedFile, StoreError> {
        let path = &self.tmp.path;
        self.tmp.disk.sync_file(&self.file, path).map_err(|error| StoreError::io("syncing", path, error))?;
        Ok(SealedFile {
            place: self.place.clone(),
            tmp: self.tmp.hand_over(),
            bytes: self.bytes,
            footer_bytes: footer_bytes(self.tail),
            checksum: Checksum(self.hash.digest128()),
        })
    }
}

impl Write for PartFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tmp.disk.write_all(&self.file, &self.tmp.path, bytes)?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        let kept = bytes.len().min(8);
        self.tail.rotate_left(kept);
        self.tail[8 - kept..].copy_from_slice(&bytes[bytes.len() - kept..]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The footer's length, which stands in the 8 bytes that end a Parquet file.
fn footer_bytes(tail: [u8; 8]) -> u64 {
    u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]))
}

/// A temporary file whose bytes are durable.
#[derive(Debug)]
pub(super) struct SealedFile {
    pub place: PartPath,
    pub tmp: TmpFile,
    pub bytes: u64,
    pub footer_bytes: u64,
    pub checksum: Checksum,
}

/// A written and synced part that no commit names yet.
#[derive(Debug)]
pub struct NewPart {
    pub(super) file: SealedFile,
    pub(super) rows: u64,
    pub(super) ts: (i64, i64),
    pub(super) event_ids: u64,
    pub(super) rules: Arc<str>,
    /// One per column, in schema order.
    pub(super) columns: Vec<ColumnStats>,
}

impl NewPart {
    #[must_use]
    pub const fn table(&self) -> Table {
        self.file.place.table
    }

    #[must_use]
    pub const fn day(&self) -> Day {
        self.file.place.day
    }

    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// The file's size.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.file.bytes
    }

    /// Exact smallest and largest time of its rows, microseconds.
    #[must_use]
    pub const fn ts_range(&self) -> (i64, i64) {
        self.ts
    }

    /// The part as a reader would have it after the commit, where its temporary file still lies.
    pub(super) fn as_if(&self, file_id: i64) -> Part {
        Part {
            table: self.table(),
            file_id,
            day: self.day(),
            path: self.file.tmp.path.clone(),
            rows: self.rows,
            bytes: self.file.bytes,
            footer_bytes: self.file.footer_bytes,
            checksum: self.file.checksum,
            ts_min: self.ts.0,
            ts_max: self.ts.1,
            rules: self.rules.to_string(),
            event_ids: self.event_ids,
        }
    }

    /// Opens the temporary file.
    ///
    /// # Errors
    /// Somebody removed it.
    pub fn open(&self) -> Result<File, StoreError> {
        let path = &self.file.tmp.path;
        File::open(path).map_err(|error| StoreError::io("reading", path, error))
    }

    /// The temporary file, readable until the commit (to look up event ids of the same run, for instance).
    #[must_use]
    pub fn tmp_path(&self) -> &Path {
        &self.file.tmp.path
    }
}
