//! What a followed file had when it was looked at: an open handle and how far it goes.
//!
//! The handle outlives the name: a log that was renamed or removed is read on through it. Reading is positional, so
//! that a stream's file can be written to meanwhile.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

/// The first `end` bytes of an open file.
#[derive(Debug, Clone)]
pub struct Cut {
    /// Which of the followed files it is.
    pub key: u64,
    pub file: Arc<File>,
    /// Bytes on disk before the plain text: its byte order mark.
    pub mark: u64,
    /// Plain offset of the file's first byte: more than 0 where what is committed of a stream was put away.
    pub base: u64,
    pub end: u64,
    /// It is no packed text: it can be read from any offset on.
    pub is_plain: bool,
    /// A last record without newline waits for its newline.
    pub hold: bool,
    /// The first plain bytes, where the file has them no more.
    pub head: Option<Arc<[u8]>>,
}

impl Cut {
    /// From the first byte.
    pub fn whole(&self) -> CutReader {
        CutReader { file: Arc::clone(&self.file), at: 0, end: self.end }
    }

    /// From a plain offset on.
    pub fn from(&self, offset: u64) -> CutReader {
        CutReader { file: Arc::clone(&self.file), at: offset.saturating_sub(self.base) + self.mark, end: self.end }
    }
}

/// Reads a stretch of a file without moving its cursor.
#[derive(Debug)]
pub struct CutReader {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for CutReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let want = buffer.len().min(left);
        let read = read_at(&self.file, &mut buffer[..want], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Reads at a position.
#[cfg(unix)]
pub fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

#[cfg(windows)]
pub fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, at)
}

/// Writes all of `bytes` at a position.
#[cfg(unix)]
pub fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(windows)]
pub fn write_at(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, at)?;
        bytes = &bytes[written..];
        at += written as u64;
    }
    Ok(())
}
