//! Collecting: messages are durable in the inbox when they are answered, and are ingested from there again and again.
//!
//! ```text
//! take ─► inbox (fsync) ─► answered          every flush_interval: files of the inbox ─► an ordinary ingest ─► one commit
//! ```
//!
//! Invariants: there is no second way into the store; what was answered for is committed by this process, or by the
//! next one that collects into the store; a flush that cannot commit (another command writes) leaves everything where
//! it is and tries again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;
use thiserror::Error;

use super::{Database, Error};
use crate::ingest::{IngestError, IngestReport, Quiet};
use crate::limits;
use crate::parse::message::{self, BodyError, Call, Receipt, Shaped};
use crate::store::{Inbox, StoreError, Waiting};
use crate::time::Stopwatch;

/// Collects messages into a store until it is dropped or [`Collector::stop`]ped.
#[derive(Debug)]
pub struct Collector {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    database: Database,
    inbox: Inbox,
    interval: Duration,
    state: Mutex<State>,
    woken: Condvar,
    stop: AtomicBool,
    messages: AtomicU64,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes in the inbox that no commit has, at least.
    waiting: u64,
    /// Why the last flush did not commit.
    error: Option<String>,
    /// Flushes that have failed since the last one that did not.
    failures: u64,
    commits: u64,
}

/// Flushes in a row that may fail, as they do while another command writes.
const PATIENCE: u64 = 3;

/// How it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Collecting {
    /// Messages that were taken since the start, those included that no ingest takes for an event.
    pub messages: u64,
    pub refused: u64,
    /// Bytes that wait for a commit.
    pub waiting_bytes: u64,
    pub commits: u64,
    /// Flushes in a row that could not commit, and why the last one could not.
    pub failures: u64,
    pub error: Option<String>,
}

impl Collecting {
    /// Why nothing has been committed for some time.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.error.as_deref().filter(|_| self.failures >= PATIENCE)
    }
}

/// Why messages were not taken.
#[derive(Debug, Error)]
pub enum CollectError {
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("{waiting} bytes wait for a commit, at most {} may – send it again later", limits::INBOX_WAITING_BYTES)]
    Full { waiting: u64 },
    #[error("nothing was taken: {0}")]
    Store(#[from] StoreError),
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Database {
    /// Starts to collect, with a commit every `interval` in which something came.
    ///
    /// # Errors
    /// The inbox cannot be created, or no thread started.
    pub fn collect(&self, interval: Duration) -> Result<Collector, Error> {
        let shared = Arc::new(Shared {
            inbox: self.store.inbox()?,
            database: self.clone(),
            interval,
            state: Mutex::default(),
            woken: Condvar::new(),
            stop: AtomicBool::new(false),
            messages: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("collect".to_owned()).spawn(move || own.run());
        let thread = thread.map_err(|error| Error::Thread(error.to_string()))?;
        Ok(Collector { thread: Mutex::new(Some(thread)), shared })
    }

    /// Commits all that was received so far and has its files put away, also those that a server writes to at the
    /// moment: it is asked to, and waited for. What it does not put away in time stays where it is.
    pub(super) fn empty_inbox(&self) -> Result<(), Error> {
        let Some(inbox) = self.store.known_inbox()? else { return Ok(()) };
        let before = inbox.files()?;
        if before.is_empty() {
            return Ok(());
        }
        // A server may have died; its lines are as good as any.
        self.collect(IDLE)?.stop()?;
        inbox.ask_to_seal()?;
        let since = Stopwatch::start();
        let is_old = |file: &Waiting| before.iter().any(|old| old.path == file.path);
        while inbox.files()?.iter().any(is_old) && since.seconds() < PATIENCE_SECONDS {
            std::thread::sleep(Duration::from_millis(50));
        }
        inbox.was_asked_to_seal()?;
        Ok(())
    }
}

/// The time between two flushes of somebody who collects nothing.
const IDLE: Duration = Duration::from_hours(1);
/// How long a server may take to put a file away: a few of its usual intervals.
const PATIENCE_SECONDS: f64 = 20.0;

impl Collector {
    /// Takes the messages of a body. They are durable when this returns; it waits for the disk.
    ///
    /// # Errors
    /// The body has no messages, too much waits for a commit, or the disk fails; nothing was taken.
    pub fn take(&self, call: Call, body: &[u8], receipt: &Receipt) -> Result<Shaped, CollectError> {
        let waiting = locked(&self.shared.state).waiting;
        if waiting >= limits::INBOX_WAITING_BYTES {
            return Err(CollectError::Full { waiting });
        }
        let mut lines = Vec::with_capacity(body.len() + 256);
        let shaped = message::shape(call, body, receipt, &mut lines)?;
        if shaped.messages > 0 {
            self.shared.inbox.append(&lines)?;
            locked(&self.shared.state).waiting += lines.len() as u64;
        }
        self.shared.messages.fetch_add(shaped.messages as u64, Ordering::Relaxed);
        self.shared.refused.fetch_add(shaped.refused as u64, Ordering::Relaxed);
        Ok(shaped)
    }

    /// How it goes.
    #[must_use]
    pub fn status(&self) -> Collecting {
        let state = locked(&self.shared.state);
        Collecting {
            messages: self.shared.messages.load(Ordering::Relaxed),
            refused: self.shared.refused.load(Ordering::Relaxed),
            waiting_bytes: state.waiting,
            commits: state.commits,
            failures: state.failures,
            error: state.error.clone(),
        }
    }

    /// Commits what has come and ends. What comes after it waits for the next one who collects.
    ///
    /// # Errors
    /// The last commit fails; what waits stays in the inbox for the next one who collects.
    pub fn stop(&self) -> Result<(), Error> {
        self.join();
        self.shared.flush(true)
    }

    fn join(&self) {
        {
            // Under the lock, or the thread could be about to wait.
            let _state = locked(&self.shared.state);
            self.shared.stop.store(true, Ordering::SeqCst);
        }
        self.shared.woken.notify_all();
        let thread = locked(&self.thread).take();
        if let Some(thread) = thread {
            // A panic of the thread shows in what waits.
            let _ = thread.join();
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.join();
    }
}

impl Shared {
    fn run(&self) {
        // What an earlier process has left comes at once.
        while !self.stop.load(Ordering::SeqCst) {
            let flushed = self.flush(false);
            let mut state = locked(&self.state);
            match flushed {
                Ok(()) => (state.error, state.failures) = (None, 0),
                Err(error) => {
                    state.error = Some(error.to_string());
                    state.failures += 1;
                }
            }
            if !self.stop.load(Ordering::SeqCst) {
                drop(self.woken.wait_timeout(state, self.interval).unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    /// Commits what lies in the inbox.
    fn flush(&self, last: bool) -> Result<(), Error> {
        let known = locked(&self.state).waiting;
        self.inbox.seal(last)?;
        let files: Vec<_> = self.inbox.files()?.into_iter().filter(|file| file.bytes > 0 || file.is_sealed).collect();
        if known == 0 && !files.iter().any(|file| file.is_sealed) {
            return Ok(());
        }
        let inputs: Vec<String> =
            files.iter().filter(|file| file.bytes > 0).map(|file| file.path.display().to_string()).collect();
        let report = if inputs.is_empty() { IngestReport::default() } else { self.ingest(inputs)? };
        for file in files.iter().filter(|file| file.is_sealed) {
            let name = file.path.display().to_string();
            match report.skipped.iter().find(|skipped| skipped.name == name) {
                Some(skipped) => return Err(Error::Inbox { name, why: skipped.why.clone() }),
                None => self.inbox.remove(file)?,
            }
        }
        let mut state = locked(&self.state);
        state.waiting = state.waiting.saturating_sub(known);
        state.commits += 1;
        Ok(())
    }

    fn ingest(&self, inputs: Vec<String>) -> Result<IngestReport, Error> {
        let options = self.database.ingest_options(inputs, "ndjson".to_owned(), Arc::default());
        match self.database.ingest(&options, &mut Quiet) {
            // A file whose first line is begun and not ended is nothing yet.
            Err(Error::Ingest(IngestError::Empty { .. })) => Ok(IngestReport::default()),
            report => report,
        }
    }
}
