//! A stream whose batches come from a blocking thread, and which stops when nobody listens.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use tokio::sync::mpsc::Sender;

use crate::limits;

/// Batches on their way before the thread waits.
const AHEAD: usize = 2;

/// Where the thread puts its batches.
#[derive(Debug)]
pub struct Sink {
    to: Sender<Result<RecordBatch>>,
}

impl Sink {
    /// Whether somebody still listens.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        !self.to.is_closed()
    }

    /// Sends a batch, in pieces if it is much larger than a batch should be. `false`: the reader is gone (the query was
    /// cancelled or has enough).
    #[must_use]
    pub fn send(&self, batch: &RecordBatch) -> bool {
        let rows = batch.num_rows();
        if rows == 0 {
            return self.is_wanted();
        }
        if rows <= 2 * limits::BATCH_ROWS {
            return self.to.blocking_send(Ok(batch.clone())).is_ok();
        }
        (0..rows).step_by(limits::BATCH_ROWS).all(|from| {
            let piece = batch.slice(from, limits::BATCH_ROWS.min(rows - from));
            self.to.blocking_send(Ok(piece)).is_ok()
        })
    }
}

/// Small batches on their way to a [`Sink`], packed into larger ones: whoever takes them works and wakes for each.
#[derive(Debug)]
pub struct Packer<'a> {
    sink: &'a Sink,
    held: Vec<RecordBatch>,
    rows: usize,
    sent: usize,
}

impl<'a> Packer<'a> {
    /// Nothing yet.
    #[must_use]
    pub fn new(sink: &'a Sink) -> Self {
        Self { sink, held: Vec::new(), rows: 0, sent: 0 }
    }

    /// Takes a batch. It waits until there are as many rows as were sent before, so that who wants only the first ones
    /// has them at once. `false`: the reader is gone.
    ///
    /// # Errors
    /// The batches do not fit together.
    pub fn send(&mut self, batch: RecordBatch) -> Result<bool> {
        self.rows += batch.num_rows();
        self.held.push(batch);
        if self.rows < self.sent.min(limits::BATCH_ROWS) { Ok(self.sink.is_wanted()) } else { self.flush() }
    }

    /// Sends what waits. `false`: the reader is gone.
    ///
    /// # Errors
    /// The batches do not fit together.
    pub fn flush(&mut self) -> Result<bool> {
        let Some(first) = self.held.first() else { return Ok(self.sink.is_wanted()) };
        let batch = concat_batches(&first.schema(), &self.held)?;
        self.sent += self.rows;
        self.rows = 0;
        self.held.clear();
        Ok(self.sink.send(&batch))
    }
}

/// Runs `work` in a blocking thread; its error ends the stream.
pub fn blocking_stream(
    schema: SchemaRef,
    work: impl FnOnce(&Sink) -> Result<()> + Send + 'static,
) -> SendableRecordBatchStream {
    let mut builder = RecordBatchReceiverStreamBuilder::new(schema, AHEAD);
    let sink = Sink { to: builder.tx() };
    builder.spawn_blocking(move || work(&sink));
    builder.build()
}
