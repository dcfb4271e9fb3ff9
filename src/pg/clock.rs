//! The clock of a connection: until when the statement that runs may run, and who may stop it before.

use std::sync::Arc;
use std::time::Duration;

use datafusion_postgres::pgwire::error::PgWireError;
use futures::channel::oneshot;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use super::fault::{self, IntoError};
use super::wire;

/// One statement's time.
#[derive(Debug)]
struct Turn {
    limit: Duration,
    end: Option<Instant>,
    /// Somebody with the right key asks to stop; the sender goes with the next statement.
    cancel: Option<oneshot::Receiver<()>>,
}

/// The clock; a statement's rows run on it too.
#[derive(Debug)]
pub(super) struct Clock {
    stream: Arc<TcpStream>,
    turn: Mutex<Turn>,
}

impl Clock {
    pub(super) fn new(stream: Arc<TcpStream>) -> Self {
        Self { stream, turn: Mutex::new(Turn { limit: Duration::MAX, end: None, cancel: None }) }
    }

    /// A statement begins.
    pub(super) async fn begin(&self, limit: Duration, cancel: Option<oneshot::Receiver<()>>) {
        *self.turn.lock().await = Turn { limit, end: Instant::now().checked_add(limit), cancel };
    }

    /// The work's end, unless its time is over, it is cancelled, or the client goes away before.
    ///
    /// # Errors
    /// One of these.
    pub(super) async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, PgWireError> {
        let turn = &mut *self.turn.lock().await;
        let (limit, end) = (turn.limit, turn.end);
        let over = async {
            match end {
                Some(end) => sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        let cancelled = async {
            if let Some(cancel) = &mut turn.cancel
                && cancel.await == Ok(())
            {
                return;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = cancelled => {
                turn.cancel = None;
                Err(PgWireError::QueryCanceled)
            }
            () = over => Err(late(limit)),
            done = work => Ok(done),
            () = wire::gone(&self.stream) => Err(fault::fatal("08006", "the client is gone").into_error()),
        }
    }
}

fn late(limit: Duration) -> PgWireError {
    let seconds = limit.as_secs_f64();
    let message = format!("canceling statement due to statement timeout: it took longer than {seconds} s");
    fault::hinted(
        "57014",
        message,
        "narrow it: fewer days, or a LIMIT; serve --timeout and statement_timeout are the limits",
    )
}
