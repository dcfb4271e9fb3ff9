//! `/healthz` and `/metrics`: whether it works, and how much.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::http::{Response, StatusCode};

use super::Server;
use super::reply::{JSON, Refusal};
use crate::database::Database;
use crate::database::panel::parquet_reads;
use crate::limits;
use crate::time;

/// What is counted, and what the store says of itself.
#[derive(Debug)]
pub(super) struct Counters {
    database: Database,
    /// When the server began, µs.
    began: i64,
    answered: Mutex<BTreeMap<u16, u64>>,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    refreshes_failed: AtomicU64,
    /// What the store said last, and when (µs).
    health: Mutex<(i64, Result<(), String>)>,
}

impl Counters {
    pub(super) fn new(database: Database) -> Self {
        Self {
            database,
            began: time::now_micros(),
            answered: Mutex::default(),
            refused: Mutex::default(),
            refreshes_failed: AtomicU64::new(0),
            health: Mutex::new((i64::MIN, Ok(()))),
        }
    }

    /// When the server began, µs.
    pub(super) const fn began(&self) -> i64 {
        self.began
    }

    pub(super) fn answered(&self, status: StatusCode) {
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner).entry(status.as_u16()).or_default() += 1;
    }

    /// A limit was reached.
    pub(super) fn refused(&self, limit: &'static str) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner).entry(limit).or_default() += 1;
    }

    pub(super) fn refresh_failed(&self) {
        self.refreshes_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the store can be read and could be written to; asked of the disk once in a while.
    fn health(&self) -> Result<(), String> {
        let mut known = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let now = time::now_micros();
        if now.saturating_sub(known.0) > limits::HTTP_HEALTH_MICROS {
            *known = (now, self.database.could_commit().map_err(|error| error.to_string()));
        }
        known.1.clone()
    }
}

/// `GET /healthz`
pub(super) async fn healthz(server: Arc<Server>) -> Result<Response<Body>, Refusal> {
    let failed = |why: String| Refusal::inside(StatusCode::SERVICE_UNAVAILABLE, "the store cannot be used", why);
    let collecting = server.collector.as_ref().map(|collector| collector.status());
    let asked = tokio::task::spawn_blocking(move || server.counters.health()).await;
    asked.map_err(|error| failed(error.to_string()))?.map_err(failed)?;
    if let Some(why) = collecting.as_ref().and_then(|it| it.trouble()) {
        let message = "what was collected cannot be committed";
        return Err(Refusal::inside(StatusCode::SERVICE_UNAVAILABLE, message, why));
    }
    let mut response = Response::new(Body::from("{\"status\":\"ok\"}\n"));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// `GET /metrics`
pub(super) fn metrics(server: &Server) -> Response<Body> {
    let mut text = String::new();
    let counters = &server.counters;
    let answered = counters.answered.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let answered = answered.into_iter().map(|(code, count)| (format!("{{code=\"{code}\"}}"), count));
    metric(&mut text, "http_responses_total", "counter", "Answers by status", answered);
    let refused = counters.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let refused = refused.into_iter().map(|(limit, count)| (format!("{{limit=\"{limit}\"}}"), count));
    metric(&mut text, "limits_reached_total", "counter", "Questions that reached a limit", refused);
    let (running, waiting) = server.queries.load();
    let held = server.held.now();
    let number = |value: usize| value as u64;
    for (name, kind, what, value) in [
        ("queries_running", "gauge", "Questions being computed", number(running)),
        ("queries_waiting", "gauge", "Questions in the queue", number(waiting)),
        ("parquet_reads_total", "counter", "Stored files opened", parquet_reads()),
        ("unlisted_reads_total", "counter", "Reads that the audit has not", server.queries.reads().unlisted()),
        ("refreshes_total", "counter", "Snapshots computed", held.as_ref().map_or(0, |held| held.number)),
        (
            "refreshes_failed_total",
            "counter",
            "Refreshes that failed",
            counters.refreshes_failed.load(Ordering::Relaxed),
        ),
        (
            "snapshot",
            "gauge",
            "Number of the snapshot that is held",
            held.as_ref().map_or(0, |held| held.snapshot.max(0).unsigned_abs()),
        ),
        (
            "snapshot_age_seconds",
            "gauge",
            "Age of the snapshot that is held",
            held.as_ref().map_or(0, |held| held.freshness(server, held.computed).age_s),
        ),
        (
            "quarantined_lines",
            "gauge",
            "Refused lines",
            held.as_ref().and_then(|held| held.facts.as_ref()).map_or(0, |facts| facts.quarantined),
        ),
    ] {
        metric(&mut text, name, kind, what, [(String::new(), value)]);
    }
    if let Some(it) = server.queries.postgres() {
        for (name, kind, what, value) in [
            ("pg_connections", "gauge", "Postgres clients that are connected", &it.connections),
            ("pg_connections_total", "counter", "Postgres clients that came", &it.accepted),
            ("pg_connections_refused_total", "counter", "Postgres clients without room", &it.turned_away),
            ("pg_statements_total", "counter", "Statements of Postgres clients", &it.statements),
            ("pg_errors_total", "counter", "Errors that Postgres clients were told", &it.failed),
        ] {
            metric(&mut text, name, kind, what, [(String::new(), value.load(Ordering::Relaxed))]);
        }
    }
    if let Some(it) = server.collector.as_ref().map(|collector| collector.status()) {
        for (name, kind, what, value) in [
            ("messages_total", "counter", "Messages that were taken", it.messages),
            ("messages_refused_total", "counter", "Those of them that are no events", it.refused),
            ("inbox_bytes", "gauge", "Bytes that wait for a commit", it.waiting_bytes),
            ("commits_total", "counter", "Commits of messages", it.commits),
            ("commits_failed", "gauge", "Commits that failed since the last one that did not", it.failures),
        ] {
            metric(&mut text, name, kind, what, [(String::new(), value)]);
        }
    }
    let mut response = Response::new(Body::from(text));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn metric(text: &mut String, name: &str, kind: &str, what: &str, values: impl IntoIterator<Item = (String, u64)>) {
    // Writing to a text cannot fail.
    let _ = writeln!(text, "# HELP journeyql_{name} {what}\n# TYPE journeyql_{name} {kind}");
    for (labels, value) in values {
        let _ = writeln!(text, "journeyql_{name}{labels} {value}");
    }
}
