//! What a steward says of single events and sessions, and what that does to the answers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::difference::{Difference, differences};
use super::{Answer, Database, Error, literal};
use crate::correction::{Anchor, Change, Correction, EventRef};
use crate::engine::Engine;
use crate::maintain::{self, MaintainError, Word};
use crate::time;

/// What corrections did, or would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Corrected {
    /// Their ids; none on a dry run.
    pub ids: Vec<i64>,
    pub corrections: usize,
    /// One for each view that moves; only a dry run looks.
    pub differences: Vec<Difference>,
}

/// A session and its step events, in the order in which they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEvents {
    pub session_id: String,
    pub user_id: String,
    pub session_index: i64,
    pub events: Vec<EventRef>,
}

/// Events that one statement asks for: its text stays short of what is planned.
pub(super) const EVENTS_OF_A_STATEMENT: usize = 20_000;

/// The rows of these events, and a few others of the same places.
fn stored_rows(events: &[EventRef]) -> String {
    let list = |texts: HashSet<String>| texts.into_iter().collect::<Vec<_>>().join(", ");
    let sources = list(events.iter().map(|event| literal(&event.source_id)).collect());
    let offsets = list(events.iter().map(|event| event.offset.to_string()).collect());
    format!(
        "SELECT source_id, source_offset, event_id, distinct_id, arrow_cast(ts, 'Int64') AS ts FROM events
         WHERE source_id IN ({sources}) AND source_offset IN ({offsets})"
    )
}

fn anchor(row: &Value) -> Option<(EventRef, Anchor)> {
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let event = EventRef { source_id: text("source_id"), offset: row["source_offset"].as_i64()? };
    let (event_id, distinct_id) = (row["event_id"].as_str().map(str::to_owned), text("distinct_id"));
    Some((event.clone(), Anchor { event, event_id, distinct_id, ts: row["ts"].as_i64()? }))
}

impl Database {
    /// Where events are stored.
    ///
    /// # Errors
    /// One of them is not in the store.
    pub async fn anchors(&self, events: &[EventRef]) -> Result<Vec<Anchor>, Error> {
        let snapshot = self.snapshot()?;
        // Anchors say where the stored row is, whatever was corrected before.
        let stored = self.engine_with(&snapshot, self.views_dir(), Some(Vec::new()))?;
        let mut found: HashMap<EventRef, Anchor> = HashMap::new();
        for some in events.chunks(EVENTS_OF_A_STATEMENT) {
            let rows = Answer::new(stored.query(&stored_rows(some)).await?, &snapshot).rows().await?;
            found.extend(rows.iter().filter_map(anchor));
        }
        let each = |event: &EventRef| {
            found.get(event).cloned().ok_or_else(|| MaintainError::NoEvent { event: event.to_string() }.into())
        };
        events.iter().map(each).collect()
    }

    /// A session by its id, with its events.
    ///
    /// # Errors
    /// There is none, or the store cannot be read.
    pub async fn session_events(&self, session_id: &str) -> Result<SessionEvents, Error> {
        let all = "SET journeyql.skip_flagged = false;";
        let sql =
            format!("{all} SELECT user_id, session_index FROM sessions WHERE session_id = {}", literal(session_id));
        let missing = || MaintainError::NoSession { session_id: session_id.to_owned() };
        let rows = self.rows(&sql).await?;
        let row = rows.first().ok_or_else(missing)?;
        let user_id = row["user_id"].as_str().unwrap_or_default().to_owned();
        let report = super::reports(self.dir())?.into_iter().find(|report| report.name == "inspect");
        let report = report.ok_or_else(|| Error::Rows("there is no report inspect".to_owned()))?;
        let inspect = report.sql(&BTreeMap::from([("user".to_owned(), user_id.clone())]))?;
        let events = self.rows(&format!("{all} {inspect}")).await?;
        let of_session = events.iter().filter(|row| row["session_id"].as_str() == Some(session_id));
        let events: Vec<EventRef> =
            of_session.filter_map(|row| EventRef::parse(row["event_ref"].as_str().unwrap_or_default())).collect();
        if events.is_empty() {
            return Err(missing().into());
        }
        let session_index = row["session_index"].as_i64().unwrap_or_default();
        Ok(SessionEvents { session_id: session_id.to_owned(), user_id, session_index, events })
    }

    /// Says these things; with `dry_run` it only says which views would move.
    ///
    /// # Errors
    /// What [`MaintainError`] says, the store is as it was then; or a view cannot be computed.
    pub async fn correct(&self, changes: Vec<Change>, word: Word, dry_run: bool) -> Result<Corrected, Error> {
        let corrections = changes.len();
        let now = self.now.unwrap_or_else(time::now_micros);
        if dry_run {
            changes.iter().try_for_each(|change| maintain::check(change, now))?;
            let snapshot = self.snapshot()?;
            let before = self.store.corrections(&snapshot)?;
            let next = before.last().map_or(1, |last| last.id + 1);
            let mut after = before.clone();
            after.extend((next..).zip(changes).map(|(id, change)| Correction {
                id,
                change,
                reason: word.reason.clone(),
                by: word.by.clone(),
                at: now,
                reverted: None,
            }));
            let side = |corrections| -> Result<(_, Engine), Error> {
                Ok((snapshot.clone(), self.engine_with(&snapshot, self.views_dir(), Some(corrections))?))
            };
            let differences = differences(&side(before)?, &side(after)?).await?;
            return Ok(Corrected { ids: Vec::new(), corrections, differences });
        }
        let (store, config) = (Arc::clone(&self.store), Arc::clone(&self.config));
        let saying = move || maintain::correct(&store, &config, changes, &word, now);
        let ids = tokio::task::spawn_blocking(saying).await.map_err(|error| Error::Thread(error.to_string()))??;
        Ok(Corrected { ids, corrections, differences: Vec::new() })
    }

    /// Takes corrections back, all or none.
    ///
    /// # Errors
    /// What [`MaintainError`] says; the store is as it was then.
    pub fn revert(&self, ids: &[i64], by: &str) -> Result<Vec<Correction>, Error> {
        Ok(maintain::revert(&self.store, &self.config, ids, by)?)
    }
}
