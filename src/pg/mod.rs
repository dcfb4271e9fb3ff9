//! The Postgres door: what speaks to Postgres reads the figures.
//!
//! ```text
//! accept      sockets: how many, and an end without losses
//! wire        bytes: how long is waited for who takes none
//! frame       messages as bytes: where one ends, and whether it is one
//! connection  messages in, answers out          gate     who may ask: SCRAM, or anybody on this machine
//! handler     the simple and the extended protocol (pgwire)   prepared    statements before they have values
//! talk        what one connection is: session, transaction, cursors, settings
//!   command     which kind of statement a text is       variables   SET and SHOW of what clients set
//!   source      a running query: clock, cancel, rows    columns     Arrow values as Postgres values
//!   seat        whether it computes
//!   copy        COPY (…) TO STDOUT                      fault       errors with codes, places and hints
//!   values      what parameters are
//! ```
//! Invariants: nothing here changes the store but the list of what was read; a connection has a session of its own, and no setting outlives it or is
//! seen by another; a statement is under one clock from its first byte to its last row, and its end stops the query;
//! what a client does not take is not computed.
//!
//! Deliberately not here: the protocol's messages (the crate `pgwire`), what `pg_catalog` holds (`engine::postgres`),
//! encryption: a proxy or a tunnel has it.

mod accept;
mod clock;
mod columns;
mod command;
mod connection;
mod copy;
mod cursor;
mod fault;
mod frame;
mod gate;
mod handler;
mod prepared;
mod seat;
mod source;
mod talk;
mod values;
mod variables;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;

use datafusion_postgres::pgwire::api::{ConnectionManager, RandomPidSecretKeyGenerator};
use thiserror::Error;
use tokio::net::TcpListener;

use crate::database::{Queries, Traffic, Unguarded, guarded};

use gate::Secret;

/// How the door is opened.
#[derive(Debug, Clone)]
pub struct Options {
    pub address: SocketAddr,
    /// Who knows it may ask: it is the password of every user. Anybody where there is none.
    pub token: Option<String>,
}

/// Why there is no server.
#[derive(Debug, Error)]
pub enum PgError {
    #[error("cannot listen on {address}: {error}")]
    Listen { address: SocketAddr, error: std::io::Error },
    #[error(transparent)]
    Unguarded(#[from] Unguarded),
    #[error("there are no random numbers: {0}")]
    Random(getrandom::Error),
}

/// What all connections share.
#[derive(Debug)]
struct Server {
    queries: Arc<Queries>,
    traffic: Arc<Traffic>,
    secret: Option<Arc<Secret>>,
    /// Which connection a request to cancel is about.
    connections: Arc<ConnectionManager>,
    keys: Arc<RandomPidSecretKeyGenerator>,
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
    pub async fn open(queries: Arc<Queries>, options: Options) -> Result<Self, PgError> {
        guarded(options.address, options.token.as_deref())?;
        let secret = options.token.as_deref().map(Secret::new).transpose().map_err(PgError::Random)?;
        let fail = |error| PgError::Listen { address: options.address, error };
        let listener = TcpListener::bind(options.address).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let server = Server {
            traffic: Arc::clone(queries.count_postgres()),
            queries,
            secret: secret.map(Arc::new),
            connections: Arc::new(ConnectionManager::new()),
            keys: Arc::default(),
        };
        Ok(Self { listener, address, server: Arc::new(server) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`, then ends what was begun, within a few seconds.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        accept::serve(self.listener, &self.server, stop).await;
    }
}
