//! Sockets: so many at a time, and an end that loses no answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Server, connection, fault};
use crate::database::Traffic;
use crate::limits;

/// So many for whom there is no room are told so at a time; others are just cut off.
const TOLD: usize = 64;

/// Accepts until `stop`.
pub(super) async fn serve(listener: TcpListener, server: &Arc<Server>, stop: impl Future<Output = ()>) {
    let room = Arc::new(Semaphore::new(server.queries.limits().connections));
    let told = Arc::new(Semaphore::new(TOLD));
    let (ending, ends) = watch::channel(false);
    let mut open = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = open.join_next() => continue,
            () = &mut stop => break,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file handles, or somebody gone before we looked: neither ends the server.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        if let Ok(place) = Arc::clone(&room).try_acquire_owned() {
            let (server, ends) = (Arc::clone(server), ends.clone());
            open.spawn(async move {
                let _place = place;
                let _open = Open::new(&server.traffic);
                Box::pin(connection::serve(server, stream, ends)).await;
            });
            continue;
        }
        server.traffic.turned_away.fetch_add(1, Ordering::Relaxed);
        if let Ok(place) = Arc::clone(&told).try_acquire_owned() {
            tokio::spawn(async move {
                let _place = place;
                let _ = timeout(Duration::from_secs(1), turn_away(stream)).await;
            });
        }
    }
    drop(listener);
    // Nobody listens where there are no connections.
    let _ = ending.send(true);
    let _ = timeout(limits::HTTP_STOP, async { while open.join_next().await.is_some() {} }).await;
}

/// A connection that is counted while it is open.
struct Open(Arc<Traffic>);

impl Open {
    fn new(traffic: &Arc<Traffic>) -> Self {
        traffic.accepted.fetch_add(1, Ordering::Relaxed);
        traffic.connections.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(traffic))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Reads a little, so that the answer is not lost with what was not read, and answers.
async fn turn_away(mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = [0_u8; 4096];
    let _ = stream.read(&mut head).await?;
    let full = fault::fatal("53300", "there are too many connections");
    let mut bytes = BytesMut::new();
    PgWireBackendMessage::ErrorResponse(full.into()).encode(&mut bytes)?;
    stream.write_all(&bytes).await?;
    stream.shutdown().await
}
