//! One question under four limits: time, memory, rows, concurrency.
//!
//! Whoever goes away drops the task, and with it the readers.

use std::io;
use std::time::Duration;

use arrow::array::Array;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use axum::http::StatusCode;
use bytes::Bytes;

use super::reply::Refusal;
use crate::database::panel::Asked;
use crate::database::{Answer, Asker, Error, Queries, Session};
use crate::limits;
use crate::output::{self, Format, Look, OutputError};
use crate::time;

/// What is asked.
#[derive(Debug, Clone)]
pub(super) enum Question {
    Panel(Asked),
    Sql(String),
}

/// An answer in both formats.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub json: Bytes,
    pub csv: Bytes,
    pub snapshot: i64,
    /// When, µs.
    pub computed: i64,
}

impl Made {
    /// Bytes that it holds.
    pub(super) fn size(&self) -> usize {
        self.json.len() + self.csv.len()
    }
}

/// Answers under all limits.
pub(super) async fn compute(
    queries: &Queries,
    question: Question,
    client: Asker,
    reader: Session,
) -> Result<Made, Refusal> {
    let waiting = queries.enter().map_err(|full| {
        Refusal::limit(StatusCode::TOO_MANY_REQUESTS, "concurrency", full.to_string()).hint("try again")
    })?;
    let most = most_rows(queries);
    let work = async move {
        // It is held to the very end, also of a question that nobody waits for any more.
        let _place = waiting.turn().await;
        make(question, Some(client), reader, most).await
    };
    within(queries, queries.limits().time, work).await
}

/// Answers however long it takes: what everybody is going to ask for.
pub(super) async fn prepare(queries: &Queries, question: Question, reader: Session) -> Result<Made, Refusal> {
    let most = most_rows(queries);
    within(queries, Duration::MAX, async move { make(question, None, reader, most).await }).await
}

fn most_rows(queries: &Queries) -> usize {
    queries.limits().rows.unwrap_or(limits::HTTP_ROWS)
}

async fn within(
    queries: &Queries,
    time: Duration,
    work: impl Future<Output = Result<Made, Refusal>> + Send + 'static,
) -> Result<Made, Refusal> {
    let mut work = queries.begin(work);
    match tokio::time::timeout(time, work.end()).await {
        Ok(Some(Ok(made))) => made,
        Ok(Some(Err(failed))) => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Err(Refusal::inside(status, "the query failed inside", failed.to_string()))
        }
        Ok(None) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the query was not begun")),
        Err(_) => {
            let message = format!("the query took longer than {} s", time.as_secs());
            let refusal = Refusal::limit(StatusCode::SERVICE_UNAVAILABLE, "time", message);
            Err(refusal.hint("narrow it: fewer days, or a LIMIT"))
        }
    }
}

async fn make(question: Question, client: Option<Asker>, mut reader: Session, most: usize) -> Result<Made, Refusal> {
    let (sql, answer, asked) = match question {
        Question::Panel(asked) => (asked.sql(), asked.answer(&mut reader).await?, Some(asked)),
        Question::Sql(sql) => (sql.clone(), reader.query(&sql).await?, None),
    };
    // Before the first row: the message of an error may tell of it too.
    if let (Some(client), Some(snapshot)) = (client, answer.reads()) {
        client.note(&sql, snapshot).await;
    }
    let schema = answer.schema();
    let batches = rows(answer, most).await?;
    let json = text(Format::Json, &schema, &batches)?;
    let json = match asked {
        Some(asked) => asked.shaped(json, None)?,
        None => json,
    };
    let csv = text(Format::Csv, &schema, &batches)?;
    let snapshot = reader.snapshot().map_or(0, |snapshot| snapshot.id);
    Ok(Made { json: json.into(), csv: csv.into(), snapshot, computed: time::now_micros() })
}

/// All rows, unless they are too many or too large.
async fn rows(mut answer: Answer, most: usize) -> Result<Vec<RecordBatch>, Refusal> {
    let (mut batches, mut count, mut bytes) = (Vec::new(), 0, 0);
    while let Some(batch) = answer.next().await {
        let batch = batch?;
        count += batch.num_rows();
        bytes += batch.columns().iter().map(|column| size(column.as_ref())).sum::<usize>();
        if count > most {
            let message = format!("the answer has more than {most} rows");
            return Err(Refusal::limit(StatusCode::BAD_REQUEST, "rows", message).hint("add LIMIT"));
        }
        if bytes > limits::HTTP_ANSWER_BYTES {
            return Err(too_large());
        }
        batches.push(batch);
    }
    Ok(batches)
}

/// Bytes of the values, whatever else their buffers hold.
fn size(column: &dyn Array) -> usize {
    column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size())
}

fn too_large() -> Refusal {
    let message = format!("the answer has more than {} MiB", limits::HTTP_ANSWER_BYTES >> 20);
    Refusal::limit(StatusCode::BAD_REQUEST, "rows", message).hint("ask for fewer rows or columns")
}

/// The rows as the command line prints them.
fn text(format: Format, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<String, Refusal> {
    let mut sink = Limited(Vec::new());
    let written = (|| -> Result<(), OutputError> {
        let mut writer = output::open(format, schema, Box::new(&mut sink), Look::default())?;
        for batch in batches {
            for from in (0..batch.num_rows()).step_by(SLICE) {
                writer.batch(&batch.slice(from, SLICE.min(batch.num_rows() - from)))?;
            }
        }
        writer.finish()
    })();
    match written {
        Ok(()) => Ok(String::from_utf8_lossy(&sink.0).into_owned()),
        Err(OutputError::Io(_)) => Err(too_large()),
        Err(error) => Err(Error::from(error).into()),
    }
}

/// Rows that are spelled before anybody looks how long the text is.
const SLICE: usize = 256;

/// Takes so many bytes and no more.
#[derive(Debug)]
struct Limited(Vec<u8>);

impl io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > limits::HTTP_ANSWER_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
