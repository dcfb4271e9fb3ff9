//! `POST /api/sql`: a question of one's own, which reads and never writes.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use axum::http::{Response, StatusCode};
use futures::StreamExt;
use serde::Deserialize;
use tokio::time::timeout;

use super::Server;
use super::collect::Peer;
use super::compute::{Question, compute};
use super::reply::{Answered, Refusal, wants_csv};
use crate::limits;

/// The body as JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Posted {
    sql: String,
}

/// Answers the SQL of a body.
pub(super) async fn answer(
    server: &Server,
    (peer, headers): (Option<Peer>, &HeaderMap),
    body: Body,
) -> Result<Response<Body>, Refusal> {
    let sql = text(headers, body).await?;
    let csv = wants_csv(headers);
    let reader = server.queries.reader().await?;
    let client = server.reader(peer, headers);
    let made = compute(&server.queries, Question::Sql(sql.clone()), client, reader).await?;
    let body = if csv { made.csv } else { made.json };
    let tag = format!("W/\"{}\"", made.snapshot);
    Ok(Answered { body: body.into(), csv, tag: &tag, sql: &sql, snapshot: made.snapshot, age_s: 0 }.response())
}

/// The SQL: a JSON object that holds it, or the text itself.
async fn text(headers: &HeaderMap, body: Body) -> Result<String, Refusal> {
    let kind = headers.get(CONTENT_TYPE).map_or(Ok("text/plain"), |kind| kind.to_str()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = kind == "application/json";
    if !is_json && kind != "text/plain" {
        let refusal = Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "SQL comes as application/json or text/plain");
        return Err(refusal.hint("{\"sql\": \"SELECT * FROM stats\"}"));
    }
    let bytes = received(body, limits::HTTP_BODY_BYTES).await?;
    let wrong = |what: String| Refusal::new(StatusCode::BAD_REQUEST, what).hint("{\"sql\": \"SELECT * FROM stats\"}");
    if is_json {
        let posted: Result<Posted, _> = serde_json::from_slice(&bytes);
        return posted.map(|posted| posted.sql).map_err(|error| wrong(format!("the body is no such JSON: {error}")));
    }
    String::from_utf8(bytes).map_err(|_| wrong("the body is no UTF-8 text".to_owned()))
}

/// The bytes of a body that is neither slow nor longer than `most`.
pub(super) async fn received(body: Body, most: usize) -> Result<Vec<u8>, Refusal> {
    let slow = |_| Refusal::limit(StatusCode::REQUEST_TIMEOUT, "time", "the body came too slowly");
    timeout(limits::HTTP_BODY_TIME, whole(body, most)).await.map_err(slow)?
}

async fn whole(body: Body, most: usize) -> Result<Vec<u8>, Refusal> {
    let mut pieces = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next().await {
        bytes.extend(piece.map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "the body did not come whole"))?);
        if bytes.len() > most {
            return Err(Refusal::too_long(most));
        }
    }
    Ok(bytes)
}
