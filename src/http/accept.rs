//! Sockets: so many at a time, none that only waits, and an end that loses no answer.

use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::Server;
use super::collect::Peer;
use crate::limits;

/// What somebody is told for whom there is no room.
const FULL: &str = r#"{"error":{"limit":"connections","message":"there are too many connections"}}"#;
/// So many are told so at a time; others are just cut off.
const TOLD: usize = 64;

/// Accepts until `stop`.
pub(super) async fn serve(listener: TcpListener, router: Router, server: &Arc<Server>, stop: impl Future<Output = ()>) {
    let room = Arc::new(Semaphore::new(server.queries.limits().connections));
    let told = Arc::new(Semaphore::new(TOLD));
    let open = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of file handles, or somebody gone before we looked: neither ends the server.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        if let Ok(place) = Arc::clone(&room).try_acquire_owned() {
            connection(stream, router.clone().layer(Extension(Peer(peer.ip()))), place, &open);
            continue;
        }
        server.counters.refused("connections");
        if let Ok(place) = Arc::clone(&told).try_acquire_owned() {
            tokio::spawn(async move {
                let _place = place;
                let _ = timeout(Duration::from_secs(1), turn_away(stream)).await;
            });
        }
    }
    drop(listener);
    let _ = timeout(limits::HTTP_STOP, open.shutdown()).await;
}

fn connection(stream: TcpStream, router: Router, place: OwnedSemaphorePermit, open: &GracefulShutdown) {
    // Answers are written at once; a socket that does not know the option works too.
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits::HTTP_HEAD_TIME)
        .max_buf_size(limits::HTTP_HEAD_BYTES)
        .keep_alive(true);
    let served = open.watch(http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    tokio::spawn(async move {
        let _place = place;
        // Whoever takes no answer for so long is cut off, whatever is left of it.
        let _ = timeout(limits::HTTP_CONNECTION_TIME, served).await;
    });
}

/// Reads a little, so that the answer is not lost with what was not read, and answers.
async fn turn_away(mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = [0_u8; 4096];
    let _ = stream.read(&mut head).await?;
    let long = FULL.len();
    let told = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {long}\r\n\r\n{FULL}"
    );
    stream.write_all(told.as_bytes()).await?;
    stream.shutdown().await
}
