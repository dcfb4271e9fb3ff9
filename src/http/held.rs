//! The answers of the last refresh: what the page shows is computed once for each snapshot, not for each visitor.
//!
//! Invariant: all held answers are of one snapshot.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::sleep;

use super::Server;
use super::compute::{Made, Question, prepare};
use super::reply::Refusal;
use crate::database::log;
use crate::database::panel::{Facts, Freshness, panels};
use crate::limits;
use crate::time;

/// Answers of one snapshot by their SQL.
#[derive(Debug)]
pub(super) struct Answers {
    pub snapshot: i64,
    /// When the refresh was done, µs.
    pub computed: i64,
    pub facts: Option<Facts>,
    /// How many refreshes there were with this one.
    pub number: u64,
    made: Mutex<HashMap<String, Arc<Made>>>,
}

impl Answers {
    /// The answer of this SQL.
    pub(super) fn get(&self, sql: &str) -> Option<Arc<Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).get(sql).cloned()
    }

    /// Keeps one that was asked for, if it is of this snapshot and there is room.
    pub(super) fn keep(&self, sql: &str, made: &Arc<Made>) {
        let mut all = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let held: usize = all.iter().map(|(sql, made)| sql.len() + made.size()).sum();
        if made.snapshot == self.snapshot && held + sql.len() + made.size() <= limits::HTTP_HELD_BYTES {
            all.insert(sql.to_owned(), Arc::clone(made));
        }
    }

    /// How fresh they are.
    pub(super) fn freshness(&self, server: &Server) -> Freshness {
        Freshness::new(self.computed, server.refresh.as_secs(), self.number)
    }
}

/// The newest answers; none before the first refresh.
#[derive(Debug)]
pub(super) struct Held {
    newest: watch::Sender<Option<Arc<Answers>>>,
}

impl Held {
    pub(super) fn new() -> Self {
        Self { newest: watch::Sender::new(None) }
    }

    /// The newest answers, once there are any.
    pub(super) async fn answers(&self) -> Option<Arc<Answers>> {
        let mut seen = self.newest.subscribe();
        let first = seen.wait_for(Option::is_some).await;
        first.ok().and_then(|answers| answers.clone())
    }

    /// The newest answers, if there are any.
    pub(super) fn now(&self) -> Option<Arc<Answers>> {
        self.newest.borrow().clone()
    }
}

/// Refreshes as long as the server is there, whenever the store's snapshot has moved.
pub(super) async fn keep(server: Arc<Server>) {
    let mut number = 0;
    loop {
        match refresh(&server, number + 1).await {
            Ok(Some(answers)) => {
                number += 1;
                server.held.newest.send_replace(Some(Arc::new(answers)));
            }
            Ok(None) => {}
            Err(refusal) => {
                server.counters.refresh_failed();
                log(&format!("no refresh: {}", refusal.inside.as_deref().unwrap_or("the store cannot be read")));
                // Nobody is to wait for what does not come; their own questions say what is wrong.
                let none = || Answers {
                    snapshot: -1,
                    computed: time::now_micros(),
                    facts: None,
                    number,
                    made: Mutex::default(),
                };
                server.held.newest.send_if_modified(|held| {
                    let first = held.is_none();
                    held.get_or_insert_with(|| Arc::new(none()));
                    first
                });
            }
        }
        sleep(server.refresh).await;
    }
}

/// The answers that everybody asks for; nothing where they are held already.
async fn refresh(server: &Server, number: u64) -> Result<Option<Answers>, Refusal> {
    let mut reader = server.queries.reader().await?;
    let snapshot = reader.snapshot().map_or(0, |snapshot| snapshot.id);
    if server.held.now().is_some_and(|held| held.snapshot == snapshot) {
        return Ok(None);
    }
    let mut made = HashMap::new();
    let mut failed_laws = None;
    for panel in panels() {
        // A panel that needs a value has no default.
        let Ok(asked) = panel.ask(&[]) else { continue };
        let (sql, path) = (asked.sql(), panel.path);
        match prepare(&server.queries, Question::Panel(asked), reader.reader().await?).await {
            Ok(answer) => {
                if path == "/api/invariants" {
                    failed_laws = serde_json::from_slice(&answer.json).ok().map(failed);
                }
                made.insert(sql, Arc::new(answer));
            }
            // It is computed for those who ask for it, and says to them what is wrong.
            Err(refusal) => log(&format!("{path} is not held: {refusal:?}")),
        }
    }
    let facts = Some(reader.facts(failed_laws).await?);
    Ok(Some(Answers { snapshot, computed: time::now_micros(), facts, number, made: Mutex::new(made) }))
}

/// A row of `invariants`.
#[derive(Debug, Deserialize)]
struct Law {
    name: String,
    ok: Option<bool>,
}

fn failed(laws: Vec<Law>) -> Vec<String> {
    laws.into_iter().filter(|law| law.ok != Some(true)).map(|law| law.name).collect()
}
