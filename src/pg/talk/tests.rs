//! A client that asks for nothing keeps its settings and no snapshot.

use datafusion_postgres::pgwire::api::ConnectionManager;
use futures::StreamExt;
use tokio::net::TcpListener;

use super::*;
use crate::database::{Database, Limits, Options, Queries};

async fn talk(dir: &std::path::Path) -> Talk {
    let database = Database::create(dir, Options::default()).unwrap();
    let queries = Arc::new(Queries::start(&database, Limits::default()).unwrap());
    let server = Server {
        traffic: Arc::clone(queries.count_postgres()),
        queries,
        secret: None,
        connections: Arc::new(ConnectionManager::new()),
        keys: Arc::default(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    // The other side stays open to the end.
    let (other, _) = listener.accept().await.unwrap();
    std::mem::forget(other);
    let talk = Talk::new(Arc::new(server), Arc::new(stream));
    talk.clock.begin(Duration::from_mins(1), None).await;
    talk
}

/// How many rows a statement has.
async fn rows(talk: &Talk, sql: &str) -> usize {
    let reply = talk.answer(&Command::read(sql), &Format::UnifiedText, None, None).await.unwrap();
    let Response::Query(mut rows) = reply.response else { return 0 };
    let mut count = 0;
    while let Some(row) = rows.data_rows().next().await {
        row.unwrap();
        count += 1;
    }
    count
}

#[test]
fn who_is_silent_lets_go_of_the_snapshot_and_keeps_its_settings() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let talk = talk(&dir.path().join("store")).await;
        let holds = async || talk.session.lock().await.is_some();
        rows(&talk, "SET journeyql.session_gap = '7 minutes'").await;
        assert_eq!(rows(&talk, "SELECT * FROM stats").await, 1);
        assert!(holds().await);
        talk.rest().await;
        assert!(!holds().await, "its files could not be removed");
        let said = talk.texts("SELECT setting('session_gap')").await.unwrap().concat();
        assert_eq!(said, ["7 minutes"]);
        // What goes on is not taken away.
        for (begin, end) in
            [("BEGIN", "COMMIT"), ("DECLARE c CURSOR WITH HOLD FOR SELECT * FROM generate_series(1, 9)", "CLOSE c")]
        {
            rows(&talk, begin).await;
            talk.rest().await;
            assert!(holds().await, "{begin}");
            rows(&talk, end).await;
            talk.rest().await;
            assert!(!holds().await, "{end}");
        }
        assert_eq!(rows(&talk, "SELECT * FROM stats").await, 1);
    });
}
