//! The bytes of a part: a file that is held open, one that is opened for every page, or memory.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, Bytes};
use datafusion::common::Result;
use parquet::file::reader::{ChunkReader, Length};

use super::part::{PartFile, damaged};

/// How often a stored file was opened.
static OPENED: AtomicU64 = AtomicU64::new(0);

/// How often this process opened a stored file of events or refused lines to answer a query.
#[must_use]
pub fn parquet_reads() -> u64 {
    OPENED.load(Ordering::Relaxed)
}

/// Counts a file that is opened.
pub fn count_read() {
    OPENED.fetch_add(1, Ordering::Relaxed);
}

/// Where a part is read from.
#[derive(Debug)]
pub(super) enum Content {
    Held(File),
    /// Opened for every page and closed again, so that any number of parts can be merged.
    Unheld(Arc<PartFile>),
    Memory(Bytes),
}

impl Content {
    /// Opens a part and refuses one that is gone or not the committed size.
    pub(super) fn open(part: &PartFile) -> Result<Self> {
        match &part.memory {
            Some(bytes) => Ok(Self::Memory(bytes.clone())),
            None => open_checked(&part.path, part.bytes).map(Self::Held),
        }
    }

    /// A part that is not held open.
    pub(super) fn unheld(part: &Arc<PartFile>) -> Self {
        part.memory.clone().map_or_else(|| Self::Unheld(Arc::clone(part)), Self::Memory)
    }

    /// The same bytes for another reader.
    pub(super) fn try_clone(&self) -> std::io::Result<Self> {
        Ok(match self {
            Self::Held(file) => Self::Held(file.try_clone()?),
            Self::Unheld(part) => Self::Unheld(Arc::clone(part)),
            Self::Memory(bytes) => Self::Memory(bytes.clone()),
        })
    }
}

impl Length for Content {
    fn len(&self) -> u64 {
        match self {
            Self::Held(file) => Length::len(file),
            Self::Unheld(part) => part.bytes,
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }
}

impl ChunkReader for Content {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(match self {
            Self::Held(file) => Box::new(file.get_read(start)?),
            Self::Unheld(part) => {
                count_read();
                let mut file = File::open(&part.path)?;
                file.seek(SeekFrom::Start(start))?;
                Box::new(std::io::BufReader::new(file))
            }
            Self::Memory(bytes) => Box::new(bytes.get_bytes(start, rest(bytes, start))?.reader()),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        match self {
            Self::Held(file) => file.get_bytes(start, length),
            Self::Unheld(part) => {
                let mut bytes = vec![0; length];
                count_read();
                let mut file = File::open(&part.path)?;
                file.seek(SeekFrom::Start(start))?;
                file.read_exact(&mut bytes)?;
                Ok(bytes.into())
            }
            Self::Memory(bytes) => bytes.get_bytes(start, length),
        }
    }
}

fn rest(bytes: &Bytes, start: u64) -> usize {
    bytes.len().saturating_sub(usize::try_from(start).unwrap_or(usize::MAX))
}

fn open_checked(path: &Path, bytes: u64) -> Result<File> {
    count_read();
    let file = File::open(path).map_err(|error| damaged(path, &error))?;
    let found = file.metadata().map_err(|error| damaged(path, &error))?.len();
    if bytes != 0 && found != bytes {
        return Err(damaged(path, &format!("it has {found} bytes, {bytes} were committed")));
    }
    Ok(file)
}
