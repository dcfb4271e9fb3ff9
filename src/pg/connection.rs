//! One connection from its first byte to its last.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use datafusion_postgres::pgwire::api::cancel::DefaultCancelHandler;
use datafusion_postgres::pgwire::api::{ClientInfo, DefaultClient, NoopHandler, PgWireConnectionState};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};
use datafusion_postgres::pgwire::messages::response::{GssEncResponse, SslResponse};
use datafusion_postgres::pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage, SslNegotiationMetaMessage};
use datafusion_postgres::pgwire::tokio::server::{PgWireMessageServerCodec, process_error, process_message};
use futures::{FutureExt, SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::codec::Framed;

use super::Server;
use super::fault::{self, IntoError};
use super::gate::Gate;
use super::handler::Handler;
use super::prepared::Prepared;
use super::talk::Talk;
use super::wire::{self, Wire};
use crate::limits;

type Socket = Framed<Wire, PgWireMessageServerCodec<Arc<Prepared>>>;

/// How long somebody waits who did not know the token.
const PENANCE: Duration = Duration::from_secs(1);
/// Requests for encryption of one connection.
const NEGOTIATIONS: usize = 3;

/// What handles the messages of one connection.
struct Connection {
    socket: Socket,
    unread: Arc<AtomicUsize>,
    gate: Arc<Gate>,
    handler: Arc<Handler>,
    copy: Arc<NoopHandler>,
    cancel: Arc<DefaultCancelHandler>,
}

/// Serves one client.
pub(super) async fn serve(server: Arc<Server>, stream: TcpStream, mut ends: watch::Receiver<bool>) {
    let Ok(peer) = stream.peer_addr() else { return };
    let _ = stream.set_nodelay(true);
    let (stream, unread) = (Arc::new(stream), Arc::new(AtomicUsize::new(0)));
    let wire = Wire::new(Arc::clone(&stream), Arc::clone(&unread));
    let mut connection = Connection {
        socket: Framed::new(wire, PgWireMessageServerCodec::new(DefaultClient::new(peer, false))),
        unread,
        gate: Arc::new(Gate::new(&server)),
        handler: Arc::new(Handler::new(Arc::new(Talk::new(Arc::clone(&server), Arc::clone(&stream))))),
        copy: Arc::new(NoopHandler),
        cancel: Arc::new(DefaultCancelHandler::new(Arc::clone(&server.connections))),
    };
    // Messages that make no sense make some of their decoders panic.
    let talked = AssertUnwindSafe(connection.converse(&mut ends)).catch_unwind().await;
    if let Err(last) = talked.unwrap_or_else(|_| Err(Last::told("08P01", "a message makes no sense"))) {
        let _ = timeout(Duration::from_secs(1), connection.say_last(last)).await;
        wire::drain(&stream).await;
    }
}

/// Why a connection ends; a client that goes away is told nothing.
enum Last {
    Gone,
    Told(Box<ErrorInfo>),
}

impl Last {
    fn told(code: &str, message: &str) -> Self {
        Self::Told(Box::new(fault::fatal(code, message)))
    }
}

impl From<PgWireError> for Last {
    fn from(error: PgWireError) -> Self {
        match error {
            PgWireError::IoError(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                let message = format!("a message has more than {} MiB", limits::PG_MESSAGE_BYTES >> 20);
                Self::told("54000", &message)
            }
            PgWireError::IoError(_) => Self::Gone,
            error => {
                let mut info = ErrorInfo::from(error);
                "FATAL".clone_into(&mut info.severity);
                Self::Told(Box::new(info))
            }
        }
    }
}

impl From<io::Error> for Last {
    fn from(error: io::Error) -> Self {
        Self::from(PgWireError::IoError(error))
    }
}

impl Connection {
    async fn say_last(&mut self, last: Last) {
        if let Last::Told(info) = last {
            let _ = self.socket.send(PgWireBackendMessage::ErrorResponse((*info).into())).await;
        }
    }

    async fn converse(&mut self, ends: &mut watch::Receiver<bool>) -> Result<(), Last> {
        timeout(limits::PG_STARTUP, self.greet()).await.unwrap_or(Err(Last::Gone))?;
        if matches!(self.socket.state(), PgWireConnectionState::AwaitingStartup) {
            // A request to cancel another one's statement, which was handled.
            return Ok(());
        }
        self.handler.talk.pid.store(self.socket.pid_and_secret_key().0, Ordering::Relaxed);
        let startup = self.socket.metadata().clone();
        let mut greeting = self.handler.talk.greet(&startup).await.err();
        loop {
            let message = tokio::select! {
                message = self.next() => message?,
                _ = ends.wait_for(|ends| *ends) => {
                    return Err(Last::told("57P01", "the server comes to its end"));
                }
            };
            let Some(message) = message else { return Ok(()) };
            if matches!(message, PgWireFrontendMessage::Terminate(_)) {
                return Ok(());
            }
            let extended = message.is_extended_query();
            let done = match greeting.take() {
                Some(error) => Err(error),
                None => self.process(message).await,
            };
            if let Err(error) = done {
                if let PgWireError::IoError(error) = error {
                    return Err(error.into());
                }
                let info = ErrorInfo::from(error);
                if info.is_fatal() {
                    return Err(Last::Told(Box::new(info)));
                }
                process_error(&mut self.socket, info.into_error(), extended).await?;
            }
        }
    }

    /// Until the client is known.
    async fn greet(&mut self) -> Result<(), Last> {
        let mut negotiations = 0;
        loop {
            let Some(message) = self.next().await? else { return Err(Last::Gone) };
            match message {
                PgWireFrontendMessage::SslNegotiation(asked) => {
                    let answer = match asked {
                        SslNegotiationMetaMessage::None => {
                            self.socket.set_state(PgWireConnectionState::AwaitingStartup);
                            continue;
                        }
                        SslNegotiationMetaMessage::PostgresSsl(_) => {
                            PgWireBackendMessage::SslResponse(SslResponse::Refuse)
                        }
                        SslNegotiationMetaMessage::PostgresGss(_) => {
                            PgWireBackendMessage::GssEncResponse(GssEncResponse::Refuse)
                        }
                    };
                    negotiations += 1;
                    if negotiations > NEGOTIATIONS {
                        return Err(Last::Gone);
                    }
                    self.socket.send(answer).await?;
                }
                PgWireFrontendMessage::CancelRequest(_) => {
                    self.process(message).await?;
                    return Ok(());
                }
                message => {
                    if let Err(error) = self.process(message).await {
                        let last = Last::from(error);
                        if matches!(&last, Last::Told(info) if info.code == "28P01") {
                            sleep(PENANCE).await;
                        }
                        return Err(last);
                    }
                }
            }
            if matches!(self.socket.state(), PgWireConnectionState::ReadyForQuery) {
                return Ok(());
            }
        }
    }

    async fn process(&mut self, message: PgWireFrontendMessage) -> Result<(), PgWireError> {
        let Self { socket, gate, handler, copy, cancel, .. } = self;
        let (gate, handler, copy, cancel) =
            (Arc::clone(gate), Arc::clone(handler), Arc::clone(copy), Arc::clone(cancel));
        process_message(message, socket, gate, Arc::clone(&handler), handler, copy, cancel).await
    }

    /// The next message: nothing when the client has gone.
    async fn next(&mut self) -> Result<Option<PgWireFrontendMessage>, Last> {
        let idle = Instant::now() + limits::PG_IDLE;
        let mut half = Instant::now() + limits::PG_HALF;
        loop {
            match timeout_at(half.min(idle), self.socket.next()).await {
                Ok(message) => {
                    self.unread.store(self.socket.read_buffer().len(), Ordering::Relaxed);
                    return message.transpose().map_err(Last::from);
                }
                Err(_) if !self.socket.read_buffer().is_empty() => {
                    return Err(Last::told("08P01", "half a message came, and nothing for a while"));
                }
                Err(_) if Instant::now() >= idle => {
                    return Err(Last::told("57P05", "the connection was silent for too long"));
                }
                Err(_) => {
                    self.handler.talk.rest().await;
                    half = Instant::now() + limits::PG_HALF;
                }
            }
        }
    }
}
