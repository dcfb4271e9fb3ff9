//! The answers of the last refresh: what the page shows is computed once for each snapshot, not for each visitor.
//!
//! ```text
//! first refresh   after each answer: what there is so far ─► whoever waits for it
//! later ones      all answers at once, in place of those before
//! ```
//!
//! Invariant: all held answers are of one snapshot.

use std::collections::{HashMap, HashSet};
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
    /// When the refresh was done, or its newest answer, µs.
    pub computed: i64,
    pub facts: Option<Facts>,
    /// How many refreshes were done with this one; 0 as long as the first one goes on.
    pub number: u64,
    /// Whether nothing more comes.
    is_whole: bool,
    /// SQL that has no answer here: it is computed for those who ask for it, and says to them what is wrong.
    failed: HashSet<String>,
    made: Mutex<HashMap<String, Arc<Made>>>,
}

impl Answers {
    /// Of a store that could not be read.
    fn none() -> Self {
        let (made, failed) = (Mutex::default(), HashSet::new());
        Self { snapshot: -1, computed: time::now_micros(), facts: None, number: 0, is_whole: true, failed, made }
    }

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

    /// How fresh one of them is that was computed at a time (µs).
    pub(super) fn freshness(&self, server: &Server, computed: i64) -> Freshness {
        Freshness::new(computed, server.refresh.as_secs(), self.number)
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

    /// The newest answers, once this SQL is among them or nothing more comes; without SQL, once there are any.
    pub(super) async fn answers(&self, sql: Option<&str>) -> Option<Arc<Answers>> {
        let knows = |answers: &Answers, sql: &str| answers.failed.contains(sql) || answers.get(sql).is_some();
        let has = |answers: &Arc<Answers>| answers.is_whole || sql.is_none_or(|sql| knows(answers, sql));
        let mut seen = self.newest.subscribe();
        let first = seen.wait_for(|answers| answers.as_ref().is_some_and(has)).await;
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
        match Box::pin(refresh(&server, number + 1)).await {
            Ok(Some(answers)) => {
                number += 1;
                server.held.newest.send_replace(Some(Arc::new(answers)));
            }
            Ok(None) => {}
            Err(refusal) => {
                server.counters.refresh_failed();
                log(&format!("no refresh: {}", refusal.inside.as_deref().unwrap_or("the store cannot be read")));
                // Nobody is to wait for what does not come; their own questions say what is wrong.
                server.held.newest.send_if_modified(|held| {
                    let nothing = held.is_none();
                    held.get_or_insert_with(|| Arc::new(Answers::none()));
                    nothing
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
    if server.held.now().is_some_and(|held| held.snapshot == snapshot && held.is_whole) {
        return Ok(None);
    }
    let mut facts = reader.facts().await?;
    let (mut made, mut without) = (HashMap::new(), HashSet::new());
    let answers = |facts: &Facts, made: &HashMap<_, _>, without: &HashSet<_>, number, is_whole| {
        let (facts, made, failed) = (Some(facts.clone()), Mutex::new(made.clone()), without.clone());
        Answers { snapshot, computed: time::now_micros(), facts, number, is_whole, failed, made }
    };
    for panel in panels() {
        // A panel that needs a value has no default.
        let Ok(asked) = panel.ask(&[]) else { continue };
        let (sql, path) = (asked.sql(), panel.path);
        match prepare(&server.queries, Question::Panel(asked), reader.reader().await?).await {
            Ok(answer) => {
                if path == "/api/invariants" {
                    facts.failed_invariants = serde_json::from_slice(&answer.json).ok().map(failed);
                }
                made.insert(sql, Arc::new(answer));
            }
            Err(refusal) => {
                log(&format!("{path} is not held: {refusal:?}"));
                without.insert(sql);
            }
        }
        if server.held.now().is_none_or(|held| held.number == 0) {
            server.held.newest.send_replace(Some(Arc::new(answers(&facts, &made, &without, 0, false))));
        }
    }
    if facts.failed_invariants.is_none() {
        // The panel has limits of rows.
        match reader.failed_invariants().await {
            Ok(names) => facts.failed_invariants = Some(names),
            Err(error) => {
                server.counters.refresh_failed();
                log(&format!("the invariants cannot be told: {error}"));
            }
        }
    }
    Ok(Some(answers(&facts, &made, &without, number, true)))
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

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::{Answers, Arc, Held, Made, Mutex};

    fn answers(sql: &[&str], is_whole: bool) -> Arc<Answers> {
        let made = |_: &&str| Arc::new(Made { json: "[]".into(), csv: "".into(), snapshot: 3, computed: 5 });
        let made: HashMap<_, _> = sql.iter().map(|sql| ((*sql).to_owned(), made(sql))).collect();
        let made = Mutex::new(made);
        let failed = HashSet::from(["SELECT 3".to_owned()]);
        Arc::new(Answers { snapshot: 3, computed: 5, facts: None, number: 0, is_whole, failed, made })
    }

    #[tokio::test]
    async fn who_waits_for_an_answer_gets_it_before_the_others_are_there() {
        let held = Held::new();
        let soon = |sql: Option<&'static str>| timeout(Duration::from_millis(20), held.answers(sql));
        assert!(soon(None).await.is_err());
        held.newest.send_replace(Some(answers(&["SELECT 1"], false)));
        assert!(soon(None).await.unwrap().is_some());
        assert!(soon(Some("SELECT 1")).await.unwrap().is_some());
        assert!(soon(Some("SELECT 2")).await.is_err());
        assert!(soon(Some("SELECT 3")).await.unwrap().unwrap().get("SELECT 3").is_none());
        // Nothing more comes: it is to be computed.
        held.newest.send_replace(Some(answers(&["SELECT 1"], true)));
        assert!(soon(Some("SELECT 2")).await.unwrap().unwrap().get("SELECT 2").is_none());
    }
}
