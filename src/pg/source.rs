//! A running query: rows are computed as they are taken, by threads of their own, under the connection's clock.

use std::sync::{Arc, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion_postgres::arrow_pg::encoder::Encoder;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{CopyResponse, DataRowEncoder, FieldInfo, QueryResponse};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::copy::CopyData;
use futures::{Stream, StreamExt};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::clock::Clock;
use super::columns::{Columns, encode};
use super::copy::{Lines, Options};
use super::fault::{self, IntoError};
use super::seat::{Piece, Seat};
use crate::database::{Answer, Error, Full, Queries, Work};

/// A query that was begun. Dropping it stops the query.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) columns: Columns,
    queries: Arc<Queries>,
    clock: Arc<Clock>,
    seat: Arc<Seat>,
    pieces: Option<mpsc::Receiver<Piece>>,
    /// Rows that came and were not taken, and the place in them.
    batch: Option<(RecordBatch, usize)>,
    taken: usize,
    failed: bool,
    /// Where that goes which is to be said beside the rows.
    notices: Notices,
    work: Option<Work<()>>,
    /// The snapshot that it reads, where it reads what is stored.
    pub(super) reads: Option<i64>,
}

/// What is to be said beside an answer.
pub(super) type Notices = Arc<std::sync::Mutex<Vec<String>>>;

impl Source {
    /// Begins what `answer` answers.
    ///
    /// # Errors
    /// There is no room, it is refused, or it takes too long.
    pub(super) async fn begin(
        queries: &Arc<Queries>,
        clock: &Arc<Clock>,
        notices: &Notices,
        answer: impl Future<Output = Result<Answer, Error>> + Send + 'static,
        described: Option<SchemaRef>,
        blame: impl FnOnce(&Error) -> PgWireError,
    ) -> PgWireResult<Self> {
        let full = |full: Full| fault::hinted("53300", full.to_string(), "try again; serve --max-queries is the limit");
        let (waiting, turns) = (queries.enter().map_err(full)?, queries.turns());
        let seat = Seat::new();
        let (head, begun) = oneshot::channel();
        let (pieces, rest) = mpsc::channel(1);
        let mine = Arc::downgrade(&seat);
        let work = queries.begin(async move {
            let place = waiting.turn().await;
            match answer.await {
                Ok(answer) => {
                    let _ = head.send(Ok((answer.schema(), answer.reads())));
                    if let Some(worker) = mine.upgrade().map(|seat| seat.worker(turns, place)) {
                        worker.work(answer, &pieces).await;
                    }
                }
                Err(error) => drop(head.send(Err(error))),
            }
        });
        let (schema, reads) = match clock.within(begun).await? {
            Ok(Ok(head)) => head,
            Ok(Err(error)) => return Err(blame(&error)),
            Err(_) => return Err(inside()),
        };
        Ok(Self {
            columns: Columns::new(&schema, described)?,
            queries: Arc::clone(queries),
            clock: Arc::clone(clock),
            seat,
            pieces: Some(rest),
            batch: None,
            taken: 0,
            failed: false,
            notices: Arc::clone(notices),
            work: Some(work),
            reads,
        })
    }

    /// Rows that are there already.
    ///
    /// # Errors
    /// There are too many columns.
    pub(super) fn of(queries: &Arc<Queries>, clock: &Arc<Clock>, batch: RecordBatch) -> PgWireResult<Self> {
        Ok(Self {
            columns: Columns::new(&batch.schema(), None)?,
            queries: Arc::clone(queries),
            clock: Arc::clone(clock),
            seat: Seat::new(),
            pieces: None,
            batch: Some((batch, 0)),
            taken: 0,
            failed: false,
            notices: Arc::default(),
            work: None,
            reads: None,
        })
    }

    pub(super) fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }

    /// The next row: rows and the place of it in them.
    ///
    /// # Errors
    /// The query fails or has failed before, takes too long, or has more rows than it may.
    pub(super) async fn next(&mut self) -> PgWireResult<Option<(&RecordBatch, usize)>> {
        if self.failed {
            // What is left of its rows is not known: that is not their end.
            return Err(fault::error("55000", "the query has failed before, and has no more rows").into_error());
        }
        let there = match self.advance().await {
            Ok(there) => there,
            Err(error) => {
                self.fail();
                return Err(error);
            }
        };
        let Some((batch, at)) = self.batch.as_mut().filter(|_| there) else { return Ok(None) };
        *at += 1;
        Ok(Some((batch, *at - 1)))
    }

    fn fail(&mut self) {
        (self.failed, self.pieces, self.batch, self.work) = (true, None, None, None);
    }

    /// Goes to the next row, if there is one.
    async fn advance(&mut self) -> PgWireResult<bool> {
        while self.batch.as_ref().is_none_or(|(batch, at)| *at == batch.num_rows()) {
            self.batch = match self.piece().await? {
                Some(batch) => Some((self.columns.convert(&batch)?, 0)),
                None => return Ok(false),
            };
        }
        self.taken += 1;
        if let Some(most) = self.queries.limits().rows.filter(|most| self.taken > *most) {
            let message = format!("the answer has more than {most} rows");
            return Err(fault::hinted("54000", message, "add LIMIT; serve --max-rows is the limit"));
        }
        Ok(true)
    }

    async fn piece(&mut self) -> PgWireResult<Option<RecordBatch>> {
        let Some(pieces) = &mut self.pieces else { return Ok(None) };
        self.seat.ask();
        match self.clock.within(pieces.recv()).await? {
            Some(Piece::Rows(batch)) => Ok(Some(batch)),
            Some(Piece::End(notices)) => {
                self.notices.lock().unwrap_or_else(PoisonError::into_inner).extend(notices);
                self.pieces = None;
                Ok(None)
            }
            Some(Piece::Failed(error)) => Err(fault::of(&error, None)),
            None => Err(inside()),
        }
    }
}

/// A query that ended without saying how.
pub(super) fn inside() -> PgWireError {
    fault::error("XX000", "the query failed inside").into_error()
}

/// Rows of a source as the protocol sends them: so many, or all that are left.
///
/// # Errors
/// The client asked for formats that do not fit.
pub(super) async fn rows(
    source: Arc<Mutex<Source>>,
    format: &Format,
    most: Option<usize>,
) -> PgWireResult<QueryResponse> {
    let fields = Arc::new(source.lock().await.columns.fields(format)?);
    let encoder = DataRowEncoder::new(Arc::clone(&fields));
    let rows = encoded(source, encoder, Arc::clone(&fields), most);
    Ok(QueryResponse::new(fields, rows))
}

/// All rows of a source as COPY sends them.
///
/// # Errors
/// A column has no type.
pub(super) fn copied(source: Source, options: Options) -> PgWireResult<CopyResponse> {
    let fields = Arc::new(source.columns.fields(&Format::UnifiedText)?);
    let head = options.header.then(|| Ok(CopyData::new(options.head(&fields))));
    let lines = encoded(Arc::new(Mutex::new(source)), Lines::new(options), Arc::clone(&fields), None);
    let lines = futures::stream::iter(head).chain(lines.map(|line| line.map(CopyData::new)));
    Ok(CopyResponse::new(0, fields.len(), lines))
}

fn encoded<E: Encoder + Send>(
    source: Arc<Mutex<Source>>,
    encoder: E,
    fields: Arc<Vec<FieldInfo>>,
    most: Option<usize>,
) -> impl Stream<Item = PgWireResult<E::Item>> {
    futures::stream::unfold(Some((source, encoder, most)), move |state| {
        let fields = Arc::clone(&fields);
        async move {
            let (source, mut encoder, most) = state.filter(|(_, _, most)| *most != Some(0))?;
            let row = {
                let mut source = source.lock().await;
                let row = match source.next().await {
                    Ok(None) => return None,
                    Ok(Some((batch, at))) => encode(&mut encoder, batch, at, &fields).map(|()| encoder.take_row()),
                    Err(error) => Err(error),
                };
                if row.is_err() {
                    source.fail();
                }
                row
            };
            Some((row, Some((source, encoder, most.map(|most| most - 1)))))
        }
    })
}
