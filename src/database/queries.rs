//! What the doors of a server share: threads for queries, how many there are at a time, the newest snapshot.
//!
//! Queries run on threads of their own, so that one that does not yield keeps nobody else from being heard.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use thiserror::Error as ThisError;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};

use super::reads::Reads;
use super::{Database, Error, Session};
use crate::engine::Raises;
use crate::terminal::neutral;
use crate::{limits, time};

/// Why a door is not opened: anybody could come in.
#[derive(Debug, ThisError)]
pub enum Unguarded {
    #[error("{0} can be reached by others: a token must say who may ask – give --token-file FILE")]
    Open(SocketAddr),
    #[error("a token has at least {} letters – head -c 32 /dev/urandom | base64 > token", limits::HTTP_TOKEN_BYTES)]
    ShortToken,
}

/// Whether a door may be opened at an address with this token.
///
/// # Errors
/// Others reach the address and there is no token, or it could be guessed.
pub fn guarded(address: SocketAddr, token: Option<&str>) -> Result<(), Unguarded> {
    match token {
        None if !address.ip().is_loopback() => Err(Unguarded::Open(address)),
        Some(token) if token.len() < limits::HTTP_TOKEN_BYTES => Err(Unguarded::ShortToken),
        _ => Ok(()),
    }
}

/// Tells the operator of a server, who reads stderr.
pub fn log(what: &str) {
    // A closed stderr is nobody's failure.
    let _ = writeln!(io::stderr(), "{} {}", time::iso(time::now_micros()), neutral(what));
}

/// What the Postgres door counts, for the page of figures that the other one has.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Connections that are open.
    pub connections: AtomicU64,
    pub accepted: AtomicU64,
    /// Those for whom there was no room.
    pub turned_away: AtomicU64,
    pub statements: AtomicU64,
    pub failed: AtomicU64,
}

/// What one server and one query may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections of a door at a time.
    pub connections: usize,
    /// Queries that are computed at a time.
    pub queries: usize,
    /// How long a query may take, its time in the queue included.
    pub time: Duration,
    /// Rows of an answer; where none is given each door has its own.
    pub rows: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: limits::HTTP_CONNECTIONS,
            queries: limits::HTTP_QUERIES,
            time: limits::HTTP_QUERY_TIME,
            rows: None,
        }
    }
}

/// Threads that end with the server, whatever they compute.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Where queries are computed.
#[derive(Debug)]
pub struct Queries {
    _threads: Threads,
    handle: Handle,
    /// At the newest snapshot; whoever asks has a reader made of it.
    newest: Mutex<Session>,
    running: Arc<Semaphore>,
    /// Those that run and those that wait.
    present: Arc<Semaphore>,
    limits: Limits,
    postgres: OnceLock<Arc<Traffic>>,
    reads: Arc<Reads>,
}

/// So many are computed and so many wait that there is no room for another.
#[derive(Debug, ThisError)]
#[error("{running} questions are answered and {waiting} wait")]
pub struct Full {
    running: usize,
    waiting: usize,
}

/// Somebody in the queue.
#[derive(Debug)]
pub struct Waiting {
    present: OwnedSemaphorePermit,
    turns: Turns,
}

/// Where those who were let in before wait for another turn.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Semaphore>);

/// The right to compute; another has it when it is dropped.
#[derive(Debug)]
pub struct Place {
    _present: Option<OwnedSemaphorePermit>,
    _running: Option<OwnedSemaphorePermit>,
}

impl Waiting {
    /// Waits for one's turn.
    pub async fn turn(self) -> Place {
        Place { _present: Some(self.present), ..self.turns.turn().await }
    }
}

impl Turns {
    /// Waits for one's turn.
    pub async fn turn(&self) -> Place {
        // Nobody closes the semaphore.
        Place { _present: None, _running: Arc::clone(&self.0).acquire_owned().await.ok() }
    }
}

impl Queries {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system gives none.
    pub fn start(database: &Database, limits: Limits) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().thread_name("query").enable_all().build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            _threads: Threads(Some(runtime)),
            newest: Mutex::new(database.session()),
            running: Arc::new(Semaphore::new(limits.queries)),
            present: Arc::new(Semaphore::new(limits.queries + limits::HTTP_WAITING)),
            limits,
            postgres: OnceLock::new(),
            reads: Arc::new(Reads::new(&database.store)),
        })
    }

    /// What the Postgres door counts; it is there from now on.
    #[must_use]
    pub fn count_postgres(&self) -> &Arc<Traffic> {
        self.postgres.get_or_init(Arc::default)
    }

    /// What the Postgres door counts, where there is one.
    #[must_use]
    pub fn postgres(&self) -> Option<&Traffic> {
        self.postgres.get().map(AsRef::as_ref)
    }

    /// Where it is noted what was read.
    #[must_use]
    pub const fn reads(&self) -> &Arc<Reads> {
        &self.reads
    }

    /// What a query may use.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A session of its own over the newest snapshot.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn reader(&self) -> Result<Session, Error> {
        self.newest.lock().await.reader().await
    }

    /// Moves a reader to the newest snapshot.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn follow(&self, reader: &mut Session) -> Result<(), Error> {
        reader.follow(&mut *self.newest.lock().await).await
    }

    /// Those that run, and those that wait.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        let running = self.limits.queries - self.running.available_permits();
        let present = self.limits.queries + limits::HTTP_WAITING - self.present.available_permits();
        (running, present.saturating_sub(running))
    }

    /// Takes a place in the queue.
    ///
    /// # Errors
    /// The queue is full.
    pub fn enter(&self) -> Result<Waiting, Full> {
        let full = |_| Full { running: self.limits.queries, waiting: limits::HTTP_WAITING };
        let present = Arc::clone(&self.present).try_acquire_owned().map_err(full)?;
        Ok(Waiting { present, turns: self.turns() })
    }

    /// Where a query that was begun waits to go on.
    #[must_use]
    pub fn turns(&self) -> Turns {
        Turns(Arc::clone(&self.running))
    }

    /// Begins work on the threads for queries.
    pub fn begin<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Work<T> {
        let (mut task, raises) = (JoinSet::new(), Raises::default());
        task.spawn_on(raises.stop().during(work), &self.handle);
        Work { task, _raises: raises }
    }
}

/// Work on the threads for queries. It ends when this is dropped: where it yields, or in the middle of a join.
#[derive(Debug)]
pub struct Work<T> {
    task: JoinSet<T>,
    _raises: Raises,
}

impl<T: 'static> Work<T> {
    /// What it came to; `None` once it was said.
    ///
    /// # Errors
    /// It failed inside.
    pub async fn end(&mut self) -> Option<Result<T, JoinError>> {
        self.task.join_next().await
    }
}
