//! `GET /api/…`: a panel from memory, or computed.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode};
use bytes::Bytes;
use tokio::time::timeout;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Server;
use super::collect::Peer;
use super::compute::{Made, Question, compute};
use super::held::Answers;
use super::reply::{Answered, Refusal, knows, unchanged, wants_csv};
use crate::database::panel::{Asked, Panel, Shape};
use crate::time;

/// Answers a panel; `given` are the parameters of path and query.
pub(super) async fn answer(
    server: &Server,
    panel: &'static Panel,
    given: Vec<(String, String)>,
    (peer, headers): (Option<Peer>, &HeaderMap),
) -> Result<Response<Body>, Refusal> {
    let asked = panel.ask(&given)?;
    let sql = asked.sql();
    let client = server.reader(peer, headers);
    let csv = wants_csv(headers);
    let answers = answers(server, &asked, &sql).await?;
    let held = answers.as_ref().and_then(|answers| answers.get(&sql));
    let (made, age_s) = if let Some(made) = held {
        client.note(&sql, made.snapshot).await;
        let age = time::now_micros().saturating_sub(made.computed) / time::SECOND;
        (made, age.max(0).unsigned_abs())
    } else {
        let reader = server.queries.reader().await?;
        let snapshot = reader.snapshot().map_or(0, |snapshot| snapshot.id);
        let tag = tag(server, snapshot, csv, sql.as_bytes());
        if knows(headers, &tag) && !asked.is_live() {
            client.note(&sql, snapshot).await;
            return Ok(unchanged(&tag, snapshot));
        }
        let made = compute(&server.queries, Question::Panel(asked.clone()), client, reader).await;
        let made = Arc::new(made.map_err(|refusal| of_path(asked.panel, refusal))?);
        if let Some(answers) = answers.as_ref().filter(|_| !asked.is_live()) {
            answers.keep(&sql, &made);
        }
        (made, 0)
    };
    let body = if csv { made.csv.clone() } else { body(server, &asked, &made, answers.as_deref())? };
    // What stands beside the figures of `stats` changes from second to second.
    let of = if asked.panel.shape == Shape::Stats || asked.is_live() { &body[..] } else { sql.as_bytes() };
    let tag = tag(server, made.snapshot, csv, of);
    if knows(headers, &tag) {
        return Ok(unchanged(&tag, made.snapshot));
    }
    Ok(Answered { body: body.into(), csv, tag: &tag, sql: &sql, snapshot: made.snapshot, age_s }.response())
}

/// What is held. Who asks what everybody asks waits for the first refresh, which is about to answer it.
async fn answers(server: &Server, asked: &Asked, sql: &str) -> Result<Option<Arc<Answers>>, Refusal> {
    let by_default = asked.panel.ask(&[]).is_ok_and(|usual| usual == *asked);
    if !by_default && asked.panel.shape != Shape::Stats {
        return Ok(server.held.now());
    }
    let late = |_| {
        let refusal = Refusal::limit(StatusCode::SERVICE_UNAVAILABLE, "time", "the first figures are being computed");
        refusal.hint("try again")
    };
    timeout(server.queries.limits().time, server.held.answers(by_default.then_some(sql))).await.map_err(late)
}

/// The JSON; beside the figures of `stats` stands what is true at this moment.
fn body(server: &Server, asked: &Asked, made: &Made, answers: Option<&Answers>) -> Result<Bytes, Refusal> {
    let facts = answers.and_then(|answers| Some((answers.facts.as_ref()?, answers.freshness(server, made.computed))));
    match facts {
        Some((facts, fresh)) if asked.panel.shape == Shape::Stats => {
            let row = String::from_utf8_lossy(&made.json).into_owned();
            Ok(asked.shaped(row, Some((facts, &fresh)))?.into())
        }
        None if asked.panel.shape == Shape::Stats => {
            Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the store could not be read yet")
                .hint("journeyql verify"))
        }
        _ => Ok(made.json.clone()),
    }
}

/// What a path names and is not there is not found.
fn of_path(panel: &Panel, mut refusal: Refusal) -> Refusal {
    let named = panel.parameters().filter(|known| panel.has_in_path(known));
    if named.into_iter().any(|known| refusal.is_about(known.name)) {
        refusal.status = StatusCode::NOT_FOUND;
    }
    refusal
}

/// The tag of an answer of a snapshot; weak, since its age is in the head. Another server's answers have others.
fn tag(server: &Server, snapshot: i64, csv: bool, of: &[u8]) -> String {
    let of = xxh3_64_with_seed(of, server.counters.began().unsigned_abs() ^ u64::from(csv));
    format!("W/\"{snapshot}-{of:016x}\"")
}
