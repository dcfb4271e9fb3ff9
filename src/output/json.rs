//! One JSON array of objects, an object a line, written as the rows come.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::ndjson::Keys;
use super::{OutputError, Sink, Writer};

pub(super) struct Json<'a> {
    keys: Keys,
    sink: Sink<'a>,
    lines: String,
    rows: u64,
}

impl<'a> Json<'a> {
    pub(super) fn new(schema: &SchemaRef, sink: Sink<'a>) -> Self {
        Self { keys: Keys::new(schema), sink, lines: String::new(), rows: 0 }
    }
}

impl Writer for Json<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        self.lines.clear();
        for row in 0..batch.num_rows() {
            self.lines.push_str(if self.rows == 0 { "[\n" } else { ",\n" });
            self.keys.write_row(batch, row, &mut self.lines)?;
            self.rows += 1;
        }
        Ok(self.sink.write_all(self.lines.as_bytes())?)
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        self.sink.write_all(if self.rows == 0 { b"[]\n" } else { b"\n]\n" })?;
        Ok(self.sink.flush()?)
    }
}
