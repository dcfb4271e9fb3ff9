//! The HTTP door: the page, its figures as JSON and CSV, and SQL that reads.
//!
//! ```text
//! accept   sockets: how many, how long a head may take, an end without losses
//! guard    who may ask: Host, Origin, token; what browsers are told
//! routes   the table of routes, which openapi.rs describes
//!   panels   GET /api/…      held (from memory, as long as the store stands still) or computed
//!   sql      POST /api/sql   a question of one's own
//!   page     the page and its files
//!   collect  POST /v1/…      messages of products and pages; /j.js
//!   health   /healthz, /metrics
//! compute  one question under four limits: time, memory, rows, concurrency
//! held     the answers of the last refresh, and the task that makes them
//! reply    errors as JSON, tags, formats
//! ```
//! Invariants: nothing here changes the store but messages that are collected and the list of what was read; a request
//! has a session of its own, so no setting outlives it; an error tells the request's fault and nothing about this machine; whoever goes away is not computed for any longer.
//!
//! Deliberately not here: SQL (`database::panel` has it), what the page looks like (`dashboard/`).

mod accept;
mod collect;
mod compute;
mod guard;
mod health;
mod held;
mod openapi;
mod page;
mod panels;
mod reply;
mod routes;
mod sql;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;

use crate::database::{Collector, Database, Error, Queries, Unguarded, guarded};

pub use collect::Collect;
use guard::Guard;
use health::Counters;
use held::Held;

/// How the door is opened.
#[derive(Debug, Clone)]
pub struct Options {
    pub address: SocketAddr,
    /// Names under which the server is reached, beside `localhost` and its address.
    pub hosts: Vec<String>,
    /// Who knows it may ask; anybody where there is none.
    pub token: Option<String>,
    /// The time between two looks for new data.
    pub refresh: Duration,
    /// The last `X-Forwarded-For` is who asks: a proxy stands before the server.
    pub behind_proxy: bool,
    /// How messages are taken, and how often they are committed; none are where this is none.
    pub collect: Option<(Collect, Duration)>,
}

/// Why there is no server.
#[derive(Debug, Error)]
pub enum HttpError {
    #[error("cannot listen on {address}: {error}")]
    Listen { address: SocketAddr, error: std::io::Error },
    #[error(transparent)]
    Unguarded(#[from] Unguarded),
    #[error("cannot collect messages: {0} – --no-collect serves without")]
    Collect(Box<Error>),
}

/// What all requests share.
#[derive(Debug)]
struct Server {
    guard: Guard,
    queries: Arc<Queries>,
    held: Held,
    counters: Counters,
    refresh: Duration,
    behind_proxy: bool,
    collector: Option<Arc<Collector>>,
    collect: Collect,
}

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    address: SocketAddr,
    server: Arc<Server>,
}

impl Door {
    /// Takes the address.
    ///
    /// # Errors
    /// The address is taken, or open to others without a token.
    pub async fn open(database: Database, queries: Arc<Queries>, options: Options) -> Result<Self, HttpError> {
        guarded(options.address, options.token.as_deref())?;
        let fail = |error| HttpError::Listen { address: options.address, error };
        let listener = TcpListener::bind(options.address).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let (collect, interval) = options.collect.unzip();
        let collector = interval.map(|interval| database.collect(interval)).transpose();
        let collector = collector.map_err(|error| HttpError::Collect(Box::new(error)))?.map(Arc::new);
        let server = Server {
            collector,
            collect: collect.unwrap_or_default(),
            guard: Guard::new(address.ip(), &options.hosts, options.token.as_deref()),
            queries,
            held: Held::new(),
            counters: Counters::new(database),
            refresh: options.refresh,
            behind_proxy: options.behind_proxy,
        };
        Ok(Self { listener, address, server: Arc::new(server) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`, then ends what was begun, within a few seconds, and commits what was collected.
    ///
    /// # Errors
    /// The last commit fails; what waits is committed by the next server.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let refresher = tokio::spawn(held::keep(Arc::clone(&self.server)));
        let router = routes::router(&self.server);
        accept::serve(self.listener, router, &self.server, stop).await;
        refresher.abort();
        let Some(collector) = self.server.collector.clone() else { return Ok(()) };
        let last = tokio::task::spawn_blocking(move || collector.stop()).await;
        last.map_err(|error| Error::Thread(error.to_string()))?
    }
}
