//! An input as plain text: opened, unpacked by content, the byte order mark cut.
//!
//! ```text
//! 1f 8b        gzip, every member          28 b5 2f fd   zstd, every frame
//! 50 41 52 31  Parquet (PAR1)              ef bb bf      UTF-8 byte order mark, cut and not counted
//! ```
//!
//! Invariants: names decide nothing; plain offset 0 is the first byte after the mark; a packed stream that ends early
//! is an error, never a shorter text.

use std::fs::File;
use std::io::{self, BufReader, Chain, Cursor, Read, Seek};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::cut::Cut;
use super::expand::Origin;
use crate::ingest::error::IngestError;

/// Bytes that tell the packing and the mark.
const MAGIC: usize = 8;
/// The byte order mark of UTF-8.
pub const MARK: &[u8] = b"\xef\xbb\xbf";
/// Packed bytes read at a time.
const PACKED_CHUNK: usize = 256 << 10;

/// How the input is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Gzip,
    Zstd,
    /// No text at all.
    Parquet,
}

impl Packing {
    /// What a file's first bytes say.
    pub fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [b'P', b'A', b'R', b'1', ..] => Self::Parquet,
            _ => Self::Plain,
        }
    }
}

/// A readable plain text.
pub struct Plain {
    pub packing: Packing,
    reader: Box<dyn Read + Send>,
}

impl std::fmt::Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plain").field("packing", &self.packing).finish_non_exhaustive()
    }
}

impl Plain {
    /// Opens an input; `raw_bytes` counts from 0 what is read of it.
    ///
    /// # Errors
    /// It cannot be read, or is packed in a way that is not understood.
    pub fn open(origin: &Origin, name: &str, raw_bytes: &Arc<AtomicU64>) -> Result<Self, IngestError> {
        raw_bytes.store(0, Ordering::Relaxed);
        let failed = |error: io::Error| IngestError::read(Path::new(name), &error);
        let source: Box<dyn Read + Send> = match origin {
            Origin::File(path) | Origin::Pipe(path) => Box::new(File::open(path).map_err(failed)?),
            Origin::Stdin => Box::new(io::stdin()),
            Origin::Followed(cut) => Box::new(cut.whole()),
            Origin::Spool(file) => {
                let mut again = file.try_clone().map_err(failed)?;
                again.rewind().map_err(failed)?;
                Box::new(again)
            }
        };
        Self::over(source, name, raw_bytes)
    }

    /// The plain text of a followed file from an offset on; `raw_bytes` counts from 0 what is read of it.
    pub fn from(cut: &Cut, offset: u64, raw_bytes: &Arc<AtomicU64>) -> Self {
        raw_bytes.store(0, Ordering::Relaxed);
        let reader = Counted { source: Box::new(cut.from(offset)), count: Arc::clone(raw_bytes) };
        Self { packing: Packing::Plain, reader: Box::new(reader) }
    }

    /// The plain text of `source`.
    ///
    /// # Errors
    /// It cannot be read, or is packed in a way that is not understood.
    pub fn over(source: Box<dyn Read + Send>, name: &str, raw_bytes: &Arc<AtomicU64>) -> Result<Self, IngestError> {
        let failed = |error: io::Error| IngestError::read(Path::new(name), &error);
        let counted = Counted { source, count: Arc::clone(raw_bytes) };
        let (head, rest) = peek(counted).map_err(failed)?;
        if let Some(tool) = foreign(&head) {
            return Err(IngestError::Packing { name: name.to_owned(), tool });
        }
        let packing = Packing::of(&head);
        let reader: Box<dyn Read + Send> = match packing {
            Packing::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(PACKED_CHUNK, rest))),
            Packing::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(rest).map_err(failed)?;
                // Frames of `--long=31` are still read; the memory is the frame's own window.
                decoder.window_log_max(31).map_err(failed)?;
                Box::new(decoder)
            }
            Packing::Plain | Packing::Parquet => Box::new(rest),
        };
        let reader = if packing == Packing::Parquet { reader } else { cut_mark(reader).map_err(failed)? };
        Ok(Self { packing, reader })
    }

    /// The text up to a plain offset.
    pub fn up_to(self, end: u64) -> Self {
        Self { packing: self.packing, reader: Box::new(self.reader.take(end)) }
    }

    /// Fills `buffer` as far as the text goes and returns how far.
    ///
    /// # Errors
    /// The medium fails or the packing is damaged.
    pub fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

/// A source with the bytes that were taken from it put back in front.
type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

/// The first bytes, and everything with them in front.
fn peek<R: Read>(mut source: R) -> io::Result<(Vec<u8>, Whole<R>)> {
    let mut head = Vec::with_capacity(MAGIC);
    source.by_ref().take(MAGIC as u64).read_to_end(&mut head)?;
    Ok((head.clone(), Cursor::new(head).chain(source)))
}

fn cut_mark(reader: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let (head, mut rest) = peek(reader)?;
    if head.starts_with(MARK) {
        rest.read_exact(&mut [0; 3])?;
    }
    Ok(Box::new(rest))
}

/// The tool that unpacks what is not unpacked here.
fn foreign(head: &[u8]) -> Option<&'static str> {
    match head {
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some("bzcat"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some("xzcat"),
        [b'P', b'K', 3, 4, ..] => Some("unzip -p"),
        [0x04, 0x22, 0x4d, 0x18, ..] => Some("lz4cat"),
        [0xff, 0xfe, ..] => Some("iconv -f UTF-16LE -t UTF-8"),
        [0xfe, 0xff, ..] => Some("iconv -f UTF-16BE -t UTF-8"),
        _ => None,
    }
}

struct Counted<R> {
    source: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(bytes: Vec<u8>) -> Result<(Packing, Vec<u8>), String> {
        let mut plain =
            Plain::over(Box::new(Cursor::new(bytes)), "t", &Arc::default()).map_err(|error| error.to_string())?;
        let mut text = vec![0; 1 << 16];
        let filled = plain.fill(&mut text).map_err(|error| error.to_string())?;
        text.truncate(filled);
        Ok((plain.packing, text))
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_packing_gives_the_same_text() {
        let (one, two) = (b"\xef\xbb\xbffirst\n".as_slice(), b"second\n".as_slice());
        let text = b"first\nsecond\n".to_vec();
        assert_eq!(read([one, two].concat()), Ok((Packing::Plain, text.clone())));
        assert_eq!(read([gzip(one), gzip(two)].concat()), Ok((Packing::Gzip, text.clone())));
        let frame = |text| zstd::stream::encode_all(text, 1).unwrap();
        assert_eq!(read([frame(one), frame(two)].concat()), Ok((Packing::Zstd, text)));
        assert_eq!(read(Vec::new()), Ok((Packing::Plain, Vec::new())));
        assert_eq!(read(b"a".to_vec()), Ok((Packing::Plain, b"a".to_vec())));
        assert_eq!(read(b"PAR1....".to_vec()).unwrap().0, Packing::Parquet);
    }

    #[test]
    fn a_cut_or_foreign_packing_is_an_error() {
        let packed = gzip(&b"a long enough text\n".repeat(50));
        assert!(read(packed[..packed.len() - 9].to_vec()).is_err());
        assert!(read(b"\xfd7zXZ\0..".to_vec()).unwrap_err().contains("xzcat"));
    }
}
