//! A running query: rows are computed as they are taken, by threads of their own, under the connection's clock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
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
use crate::database::{Answer, Error, Full, Place, Queries, Work};

/// Rows that are handed on at a time.
const SLICE: usize = 1024;

/// The place of a query among those that compute. A query that waits for its client has none.
#[derive(Debug, Default)]
pub(super) struct Seat {
    place: std::sync::Mutex<Option<Place>>,
    /// Nobody takes rows any more; it computes until it hears of it, and has its place until then.
    left: AtomicBool,
}

impl Seat {
    /// Leaves the place to others until rows are asked for again.
    pub(super) fn pause(&self) {
        if !self.left.load(Ordering::Relaxed) {
            drop(self.take(None));
        }
    }

    fn take(&self, place: Option<Place>) -> Option<Place> {
        std::mem::replace(&mut *self.place.lock().unwrap_or_else(PoisonError::into_inner), place)
    }

    fn is_free(&self) -> bool {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

/// What comes of a query after its columns.
#[derive(Debug)]
enum Piece {
    Rows(RecordBatch),
    Failed(Error),
    /// Its end, and what is to be said beside the rows.
    End(Vec<String>),
}

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
    pub(super) notices: Arc<std::sync::Mutex<Vec<String>>>,
    _work: Option<Work<()>>,
}

impl Drop for Source {
    fn drop(&mut self) {
        self.seat.left.store(true, Ordering::Relaxed);
    }
}

/// A place in the queue is refused.
fn full(full: &Full) -> PgWireError {
    fault::hinted("53300", full.to_string(), "try again; serve --max-queries is the limit")
}

impl Source {
    /// Begins what `answer` answers.
    ///
    /// # Errors
    /// There is no room, it is refused, or it takes too long.
    pub(super) async fn begin(
        queries: &Arc<Queries>,
        clock: &Arc<Clock>,
        answer: impl Future<Output = Result<Answer, Error>> + Send + 'static,
        described: Option<SchemaRef>,
        blame: impl FnOnce(&Error) -> PgWireError,
    ) -> PgWireResult<Self> {
        let waiting = queries.enter().map_err(|it| full(&it))?;
        let seat = Arc::new(Seat::default());
        let (head, begun) = oneshot::channel();
        let (pieces, rest) = mpsc::channel(1);
        let mine = Arc::clone(&seat);
        let work = queries.begin(async move {
            mine.take(Some(waiting.turn().await));
            match answer.await {
                Ok(answer) => {
                    let _ = head.send(Ok(answer.schema()));
                    send(answer, &pieces).await;
                }
                Err(error) => drop(head.send(Err(error))),
            }
            drop(mine.take(None));
        });
        let schema = match clock.within(begun).await? {
            Ok(Ok(schema)) => schema,
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
            notices: Arc::default(),
            _work: Some(work),
        })
    }

    /// Rows that are there already.
    pub(super) fn of(queries: &Arc<Queries>, clock: &Arc<Clock>, batch: RecordBatch) -> PgWireResult<Self> {
        Ok(Self {
            columns: Columns::new(&batch.schema(), None)?,
            queries: Arc::clone(queries),
            clock: Arc::clone(clock),
            seat: Arc::default(),
            pieces: None,
            batch: Some((batch, 0)),
            taken: 0,
            notices: Arc::default(),
            _work: None,
        })
    }

    pub(super) fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }

    /// The next row: rows and the place of it in them.
    ///
    /// # Errors
    /// The query fails, takes too long, or has more rows than it may.
    pub(super) async fn next(&mut self) -> PgWireResult<Option<(&RecordBatch, usize)>> {
        while self.batch.as_ref().is_none_or(|(batch, at)| *at == batch.num_rows()) {
            self.batch = match self.piece().await? {
                Some(batch) => Some((self.columns.convert(&batch)?, 0)),
                None => return Ok(None),
            };
        }
        self.taken += 1;
        if let Some(most) = self.queries.limits().rows.filter(|most| self.taken > *most) {
            self.pieces = None;
            let message = format!("the answer has more than {most} rows");
            return Err(fault::hinted("54000", message, "add LIMIT; serve --max-rows is the limit"));
        }
        let Some((batch, at)) = &mut self.batch else { return Ok(None) };
        *at += 1;
        Ok(Some((batch, *at - 1)))
    }

    async fn piece(&mut self) -> PgWireResult<Option<RecordBatch>> {
        let Some(pieces) = &mut self.pieces else { return Ok(None) };
        if self.seat.is_free() && pieces.is_empty() && !pieces.is_closed() {
            let waiting = self.queries.enter().map_err(|it| full(&it))?;
            self.seat.take(Some(self.clock.within(waiting.turn()).await?));
        }
        let piece = match self.clock.within(pieces.recv()).await {
            Ok(piece) => piece,
            Err(error) => {
                self.pieces = None;
                return Err(error);
            }
        };
        match piece {
            Some(Piece::Rows(batch)) => return Ok(Some(batch)),
            Some(Piece::End(notices)) => {
                self.notices.lock().unwrap_or_else(PoisonError::into_inner).extend(notices);
            }
            failed => {
                self.pieces = None;
                return Err(match failed {
                    Some(Piece::Failed(error)) => fault::of(&error, None),
                    _ => inside(),
                });
            }
        }
        self.pieces = None;
        self.seat.take(None);
        Ok(None)
    }
}

/// A query that ended without saying how.
pub(super) fn inside() -> PgWireError {
    fault::error("XX000", "the query failed inside").into_error()
}

/// Hands on rows as they are taken.
async fn send(mut answer: Answer, pieces: &mpsc::Sender<Piece>) {
    while let Some(batch) = answer.next().await {
        let mut slices: VecDeque<Piece> = match batch {
            Ok(batch) => (0..batch.num_rows())
                .step_by(SLICE)
                .map(|from| Piece::Rows(batch.slice(from, SLICE.min(batch.num_rows() - from))))
                .collect(),
            Err(error) => VecDeque::from([Piece::Failed(error)]),
        };
        while let Some(piece) = slices.pop_front() {
            let is_last = matches!(piece, Piece::Failed(_));
            if pieces.send(piece).await.is_err() || is_last {
                return;
            }
        }
    }
    let _ = pieces.send(Piece::End(answer.notices())).await;
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
                match source.next().await {
                    Ok(None) => return None,
                    Ok(Some((batch, at))) => encode(&mut encoder, batch, at, &fields).map(|()| encoder.take_row()),
                    Err(error) => Err(error),
                }
            };
            let next = row.is_ok().then(|| (source, encoder, most.map(|most| most - 1)));
            Some((row, next))
        }
    })
}
