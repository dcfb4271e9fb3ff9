//! The journeys of one person.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int16Type, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use serde::{Serialize, Serializer};

use super::statement::literal;
use super::{Database, Error};
use crate::error::closest;
use crate::ingest::IngestError;
use crate::privacy::Privacy;
use crate::time;

/// A step of a journey.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TracedStep {
    /// From 1.
    pub step_index: i64,
    /// Microseconds.
    #[serde(serialize_with = "as_iso")]
    pub ts: i64,
    /// The label.
    pub step: String,
    pub page: Option<String>,
    pub event: Option<String>,
    pub status: Option<i16>,
    /// Equal steps that became this one.
    pub repeats: i64,
    /// Seconds until the next step; `None` where nobody knows.
    pub dwell_s: Option<f64>,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Visit {
    pub session_id: String,
    /// Microseconds.
    #[serde(serialize_with = "as_iso")]
    pub started_at: i64,
    /// The path as the steps' labels.
    pub path: Vec<String>,
    pub steps: Vec<TracedStep>,
}

/// Everything that one person did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trace {
    pub user_id: String,
    /// In order of time.
    pub sessions: Vec<Visit>,
    /// Somebody with a similar id, where nobody has this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closest: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn as_iso<S: Serializer>(ts: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time::iso(*ts))
}

impl Database {
    /// One person's sessions and steps. Where masks hide ids, the person is also found by the id that the input had.
    ///
    /// # Errors
    /// The store cannot be read, its key included where there is one.
    pub async fn trace(&self, user: &str) -> Result<Trace, Error> {
        let trace = self.trace_as(user).await?;
        let stored = self.stored_id(user)?;
        if trace.sessions.is_empty() && stored != user { self.trace_as(&stored).await } else { Ok(trace) }
    }

    /// The `distinct_id` that somebody has in the store, by the one that the input has.
    pub(super) fn stored_id(&self, id: &str) -> Result<String, Error> {
        let Some(key) = self.store.key()? else { return Ok(id.to_owned()) };
        let privacy = Privacy::new(&self.config, &key).map_err(IngestError::Config)?;
        Ok(privacy.map_or_else(|| id.to_owned(), |privacy| privacy.distinct_id(id)))
    }

    async fn trace_as(&self, user: &str) -> Result<Trace, Error> {
        let sql = format!(
            "SELECT session_id, session_start, CAST(step_index AS BIGINT) AS step_index, ts, step, page, event, status,
                    CAST(repeats AS BIGINT) AS repeats, dwell_s
             FROM steps WHERE user_id = {} ORDER BY session_start, session_id, step_index",
            literal(user)
        );
        let answer = self.session().query(&sql).await?;
        let mut sessions: Vec<Visit> = Vec::new();
        for batch in answer.collect().await? {
            add_steps(&batch, &mut sessions)
                .ok_or_else(|| Error::Rows("a column of steps has another type than it should".to_owned()))?;
        }
        let closest = if sessions.is_empty() { self.similar_user(user).await? } else { None };
        Ok(Trace { user_id: user.to_owned(), sessions, closest })
    }

    pub(super) async fn similar_user(&self, user: &str) -> Result<Option<String>, Error> {
        let rows = self.rows("SELECT DISTINCT user_id FROM sessions LIMIT 100000").await?;
        Ok(closest(user, rows.iter().filter_map(|row| row["user_id"].as_str())).map(str::to_owned))
    }
}

/// Rows come by session and step, as the query orders them; `None` where a column has another type.
fn add_steps(batch: &RecordBatch, sessions: &mut Vec<Visit>) -> Option<()> {
    let text = |column: usize, row: usize| text_at(batch.column(column).as_ref(), row);
    let numbers = |column: usize| batch.column(column).as_primitive_opt::<Int64Type>();
    let times = |column: usize| batch.column(column).as_primitive_opt::<TimestampMicrosecondType>();
    let (started_at, step_index, ts, repeats) = (times(1)?, numbers(2)?, times(3)?, numbers(8)?);
    let status = batch.column(7).as_primitive_opt::<Int16Type>()?;
    let dwell = batch.column(9).as_primitive_opt::<Float64Type>()?;
    for row in 0..batch.num_rows() {
        let session_id = text(0, row)?;
        let step = TracedStep {
            step_index: step_index.value(row),
            ts: ts.value(row),
            step: text(4, row).unwrap_or_default(),
            page: text(5, row),
            event: text(6, row),
            status: status.is_valid(row).then(|| status.value(row)),
            repeats: repeats.value(row),
            dwell_s: dwell.is_valid(row).then(|| dwell.value(row)),
        };
        if sessions.last().is_none_or(|last| last.session_id != session_id) {
            let started_at = started_at.value(row);
            sessions.push(Visit { session_id, started_at, path: Vec::new(), steps: Vec::new() });
        }
        if let Some(session) = sessions.last_mut() {
            session.path.push(step.step.clone());
            session.steps.push(step);
        }
    }
    Some(())
}

/// A text of a plain or dictionary column; `None` for NULL.
fn text_at(array: &dyn Array, row: usize) -> Option<String> {
    let plain = arrow::compute::cast(&array.slice(row, 1), &arrow::datatypes::DataType::Utf8).ok()?;
    let plain = plain.as_string_opt::<i32>()?;
    plain.is_valid(0).then(|| plain.value(0).to_owned())
}
