//! A stream whose batches come from a blocking thread, and which stops when nobody listens.

use arrow::array::RecordBatch;
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
