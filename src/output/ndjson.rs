//! One JSON object a line. A column without a value is there, as null: every line has the same keys.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::value::{value, write_json_text};
use super::{OutputError, Sink, Writer};

/// The keys of a row's object, spelled once.
pub(super) struct Keys(Vec<String>);

impl Keys {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        let key = |name: &str| {
            let mut text = String::new();
            write_json_text(name, &mut text);
            text.push(':');
            text
        };
        Self(schema.fields().iter().map(|field| key(field.name())).collect())
    }

    /// Appends the row as an object.
    pub(super) fn write_row(&self, batch: &RecordBatch, row: usize, out: &mut String) -> Result<(), ArrowError> {
        out.push('{');
        for (at, (key, column)) in self.0.iter().zip(batch.columns()).enumerate() {
            if at > 0 {
                out.push(',');
            }
            out.push_str(key);
            value(column.as_ref(), row)?.write_json(out)?;
        }
        out.push('}');
        Ok(())
    }
}

pub(super) struct Ndjson<'a> {
    keys: Keys,
    sink: Sink<'a>,
    lines: String,
}

impl<'a> Ndjson<'a> {
    pub(super) fn new(schema: &SchemaRef, sink: Sink<'a>) -> Self {
        Self { keys: Keys::new(schema), sink, lines: String::new() }
    }
}

impl Writer for Ndjson<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        self.lines.clear();
        for row in 0..batch.num_rows() {
            self.keys.write_row(batch, row, &mut self.lines)?;
            self.lines.push('\n');
        }
        Ok(self.sink.write_all(self.lines.as_bytes())?)
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        Ok(self.sink.flush()?)
    }
}
