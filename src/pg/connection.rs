//! One connection from its first byte to its last.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use datafusion_postgres::pgwire::api::cancel::DefaultCancelHandler;
use datafusion_postgres::pgwire::api::{ClientInfo, DefaultClient, NoopHandler, PgWireConnectionState};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};
use datafusion_postgres::pgwire::messages::response::{GssEncResponse, SslResponse};
use datafusion_postgres::pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage, SslNegotiationMetaMessage};
use datafusion_postgres::pgwire::tokio::server::{PgWireMessageServerCodec, process_error, process_message};
use futures::{FutureExt, SinkExt};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::codec::{Decoder, Framed};

use super::Server;
use super::fault::{self, IntoError};
use super::frame::{self, Bad, Kind};
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
    /// What has come and is no whole message yet.
    bytes: BytesMut,
    /// Whether the next password is the first.
    first: bool,
    gate: Arc<Gate>,
    handler: Arc<Handler>,
    copy: Arc<NoopHandler>,
    cancel: Arc<DefaultCancelHandler>,
}

/// Serves one client.
pub(super) async fn serve(server: Arc<Server>, stream: TcpStream, mut ends: watch::Receiver<bool>) {
    let Ok(peer) = stream.peer_addr() else { return };
    let _ = stream.set_nodelay(true);
    let stream = Arc::new(stream);
    let codec = PgWireMessageServerCodec::new(DefaultClient::new(peer, false));
    // Messages are read and cut here; the codec has no buffer of its own for them, and none to write before it writes.
    let mut socket = Framed::with_capacity(Wire::new(Arc::clone(&stream)), codec, 0);
    socket.set_backpressure_boundary(limits::PG_WRITE_BYTES);
    let mut connection = Connection {
        socket,
        bytes: BytesMut::new(),
        first: true,
        gate: Arc::new(Gate::new(&server)),
        handler: Arc::new(Handler::new(Arc::new(Talk::new(Arc::clone(&server), Arc::clone(&stream))))),
        copy: Arc::new(NoopHandler),
        cancel: Arc::new(DefaultCancelHandler::new(Arc::clone(&server.connections))),
    };
    let talked = AssertUnwindSafe(connection.converse(&mut ends)).catch_unwind().await;
    if let Err(last) = talked.unwrap_or_else(|_| Err(Last::told("XX000", "the connection failed inside"))) {
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
            PgWireError::IoError(_) => Self::Gone,
            error => {
                let mut info = ErrorInfo::from(error);
                "FATAL".clone_into(&mut info.severity);
                Self::Told(Box::new(info))
            }
        }
    }
}

impl From<Bad> for Last {
    fn from(bad: Bad) -> Self {
        match bad {
            Bad::TooLong => {
                Self::told("54000", &format!("a message has more than {} MiB", limits::PG_MESSAGE_BYTES >> 20))
            }
            Bad::Shape => Self::told("08P01", "a message makes no sense"),
            Bad::Text => Self::told("22021", "a text is not UTF-8"),
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
            self.handler.talk.count(|traffic| &traffic.failed);
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
        self.handler.talk.greet(&startup).await?;
        self.handler.warn(&mut self.socket).await?;
        SinkExt::<PgWireBackendMessage>::flush(&mut self.socket).await?;
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
            if let Err(error) = self.process(message).await {
                if let PgWireError::IoError(error) = error {
                    return Err(error.into());
                }
                let info = ErrorInfo::from(error);
                if info.is_fatal() {
                    return Err(Last::Told(Box::new(info)));
                }
                self.handler.talk.count(|traffic| &traffic.failed);
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
                    let answer = if matches!(asked, SslNegotiationMetaMessage::PostgresSsl(_)) {
                        PgWireBackendMessage::SslResponse(SslResponse::Refuse)
                    } else {
                        PgWireBackendMessage::GssEncResponse(GssEncResponse::Refuse)
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
        let (patience, code) = self.handler.talk.patience().await;
        let (idle, mut rest) = (Instant::now() + patience, Instant::now() + limits::PG_REST);
        let mut whole = None;
        loop {
            if let Some(message) = self.message()? {
                return Ok(Some(message));
            }
            let until = if self.bytes.is_empty() {
                rest.min(idle)
            } else {
                *whole.get_or_insert_with(|| Instant::now() + limits::PG_HALF)
            };
            match timeout_at(until, self.socket.get_mut().read_buf(&mut self.bytes)).await {
                Ok(Ok(0)) => return Ok(None),
                Ok(read) => _ = read?,
                Err(_) if whole.is_some() => {
                    return Err(Last::told("08P01", "half a message came, and nothing for a while"));
                }
                Err(_) if Instant::now() >= idle => {
                    return Err(Last::told(code, "the connection was silent for too long"));
                }
                Err(_) => {
                    // What a long message took is not kept for the next one.
                    self.bytes = BytesMut::new();
                    self.handler.talk.rest().await;
                    rest = Instant::now() + limits::PG_REST;
                }
            }
        }
    }

    /// The message that what has come begins with, if it is whole.
    fn message(&mut self) -> Result<Option<PgWireFrontendMessage>, Last> {
        let kind = match self.socket.state() {
            PgWireConnectionState::AwaitingSslRequest | PgWireConnectionState::AwaitingStartup => Kind::Greeting,
            PgWireConnectionState::AuthenticationInProgress if self.first => Kind::FirstPassword,
            _ => Kind::Any,
        };
        let Some(mut frame) = frame::cut(&mut self.bytes, kind)? else { return Ok(None) };
        self.first &= kind != Kind::FirstPassword;
        loop {
            match self.socket.codec_mut().decode(&mut frame)? {
                // No encryption is asked for: it is the greeting itself.
                Some(PgWireFrontendMessage::SslNegotiation(SslNegotiationMetaMessage::None)) => {
                    self.socket.set_state(PgWireConnectionState::AwaitingStartup);
                }
                Some(message) => return Ok(Some(message)),
                None => return Err(Bad::Shape.into()),
            }
        }
    }
}
