//! An Arrow IPC file (what `.arrow` means; also called Feather 2). Its body is a stream of batches and its footer
//! comes last, so it can be written to a pipe.

use std::io::Write as _;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::FileWriter;

use super::parquet::Plain;
use super::{OutputError, Sink, Writer};

pub(super) struct Arrow<'a> {
    plain: Plain,
    writer: FileWriter<Sink<'a>>,
}

impl<'a> Arrow<'a> {
    pub(super) fn new(schema: &SchemaRef, sink: Sink<'a>) -> Result<Self, OutputError> {
        let plain = Plain::new(schema);
        let writer = FileWriter::try_new(sink, plain.schema())?;
        Ok(Self { plain, writer })
    }
}

impl Writer for Arrow<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        Ok(self.writer.write(&self.plain.batch(batch)?)?)
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        self.writer.finish()?;
        Ok(self.writer.get_mut().flush()?)
    }
}
