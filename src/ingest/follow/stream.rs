//! A stream that is followed: a thread puts it aside in a nameless file of the store, which is followed like any other.
//!
//! ```text
//! stdin ─ pump ─► spool |─ committed ─|─ waiting ─|     full (LIMIT): the pump waits, and so does who writes to us
//!                       └─ put away ──┘
//! ```
//!
//! Invariants: the bytes of the spool are those of the stream from plain offset `base` on; only what is committed is
//! put away.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use crate::ingest::error::IngestError;
use crate::ingest::input::cut::{read_at, write_at};
use crate::ingest::input::expand::Origin;

/// Bytes that a stream may be ahead of the commits, unless it has to be seen further to know which source it is.
pub const LIMIT: u64 = 64 << 20;
/// Committed bytes that are worth being put away.
pub const PUT_AWAY: u64 = 8 << 20;
/// Bytes read at a time.
const CHUNK: usize = 256 << 10;

/// The spool as both sides see it.
#[derive(Debug)]
struct Spool {
    file: Arc<File>,
    /// Plain offset of its first byte.
    base: u64,
    len: u64,
    /// The stream is over; with what went wrong, if something did.
    ended: Option<Result<(), String>>,
    /// Bytes at which the pump waits.
    limit: u64,
}

#[derive(Debug)]
struct Shared {
    spool: Mutex<Spool>,
    room: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Spool> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies the stream until it ends.
    fn pump(&self, mut source: impl Read) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = match source.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let full = |spool: &mut Spool| spool.len >= spool.limit;
            let mut spool = self.room.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner);
            write_at(&spool.file, &buffer[..read], spool.len)?;
            spool.len += read as u64;
        }
    }
}

/// How far a stream has come.
#[derive(Debug, Clone)]
pub struct Reach {
    pub file: Arc<File>,
    pub base: u64,
    pub len: u64,
    pub ended: bool,
    /// The stream waits for a commit.
    pub full: bool,
    /// Why it ended, where it should not have.
    pub error: Option<String>,
}

/// The follower's side of a stream.
#[derive(Debug)]
pub struct Stream {
    shared: Arc<Shared>,
}

impl Stream {
    /// Starts to copy `origin` into `file`. The thread ends with the stream or with the process.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(origin: &Origin, file: File) -> Result<Self, IngestError> {
        let spool = Spool { file: Arc::new(file), base: 0, len: 0, ended: None, limit: LIMIT };
        let shared = Arc::new(Shared { spool: Mutex::new(spool), room: Condvar::new() });
        let (pump, origin) = (Arc::clone(&shared), origin.clone());
        let copy = move || {
            let copied = match &origin {
                Origin::Pipe(path) => File::open::<&Path>(path).and_then(|file| pump.pump(file)),
                _ => pump.pump(io::stdin().lock()),
            };
            pump.lock().ended = Some(copied.map_err(|error| error.to_string()));
        };
        Builder::new().name("stream".to_owned()).spawn(copy).map_err(|_| IngestError::Thread)?;
        Ok(Self { shared })
    }

    pub fn reach(&self) -> Reach {
        let spool = self.shared.lock();
        Reach {
            file: Arc::clone(&spool.file),
            base: spool.base,
            len: spool.len,
            ended: spool.ended.is_some(),
            full: spool.len >= spool.limit,
            error: spool.ended.clone().and_then(Result::err),
        }
    }

    /// Lets the spool become as large as this.
    pub fn limit(&self, limit: u64) {
        self.shared.lock().limit = limit;
        self.shared.room.notify_all();
    }

    /// Puts away the spool's first `bytes` bytes, up to plain offset `base`. Nobody reads the spool meanwhile.
    ///
    /// # Errors
    /// The disk fails.
    pub fn put_away(&self, bytes: u64, base: u64) -> io::Result<()> {
        let mut spool = self.shared.lock();
        let (rest, mut moved) = (spool.len - bytes, 0);
        let mut buffer = vec![0; CHUNK];
        while moved < rest {
            let read = read_at(&spool.file, &mut buffer, bytes + moved)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            write_at(&spool.file, &buffer[..read], moved)?;
            moved += read as u64;
        }
        spool.file.set_len(rest)?;
        (spool.len, spool.base) = (rest, base);
        self.shared.room.notify_all();
        Ok(())
    }
}
