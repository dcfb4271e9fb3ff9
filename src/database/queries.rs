//! What the doors of a server share: threads for queries, how many there are at a time, the newest snapshot.
//!
//! Queries run on threads of their own, so that one that does not yield keeps nobody else from being heard.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error as ThisError;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};

use super::{Database, Error, Session};
use crate::engine::Raises;
use crate::limits;

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
    running: Arc<Semaphore>,
}

/// The right to compute; another has it when it is dropped.
#[derive(Debug)]
pub struct Place {
    _present: OwnedSemaphorePermit,
    _running: Option<OwnedSemaphorePermit>,
}

impl Waiting {
    /// Waits for one's turn.
    pub async fn turn(self) -> Place {
        // Nobody closes the semaphore.
        Place { _present: self.present, _running: self.running.acquire_owned().await.ok() }
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
        })
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
        Ok(Waiting { present, running: Arc::clone(&self.running) })
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
