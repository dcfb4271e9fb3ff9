//! Rows of fields with a delimiter: what csv and tsv share.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::value::{Value, value};
use super::{Look, OutputError, Sink, Writer};
use crate::terminal::neutral;

/// How one of the two writes a field.
pub(super) struct Dialect {
    pub delimiter: char,
    /// The spelling of NULL.
    pub null: &'static str,
    /// Appends a field's text with what it needs around or inside it.
    pub quote: fn(&str, &mut String),
}

/// A header line, then a line per row.
pub(super) struct Delimited<'a> {
    dialect: Dialect,
    sink: Sink<'a>,
    terminal: bool,
    /// The rows of a batch, spelled, before they leave in one write.
    lines: String,
    field: String,
}

impl<'a> Delimited<'a> {
    pub(super) fn new(dialect: Dialect, schema: &SchemaRef, sink: Sink<'a>, look: Look) -> Result<Self, OutputError> {
        let mut writer = Self { dialect, sink, terminal: look.terminal, lines: String::new(), field: String::new() };
        for (at, column) in schema.fields().iter().enumerate() {
            if at > 0 {
                writer.lines.push(writer.dialect.delimiter);
            }
            (writer.dialect.quote)(column.name(), &mut writer.lines);
        }
        writer.lines.push('\n');
        writer.flush_lines()?;
        Ok(writer)
    }

    fn write_field(&mut self, cell: &Value<'_>) -> Result<(), OutputError> {
        if matches!(cell, Value::Null) {
            self.lines.push_str(self.dialect.null);
            return Ok(());
        }
        self.field.clear();
        cell.write_plain(&mut self.field)?;
        let text = if self.terminal { neutral(&self.field) } else { self.field.as_str().into() };
        (self.dialect.quote)(&text, &mut self.lines);
        Ok(())
    }

    fn flush_lines(&mut self) -> Result<(), OutputError> {
        self.sink.write_all(self.lines.as_bytes())?;
        self.lines.clear();
        Ok(())
    }
}

impl Writer for Delimited<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        for row in 0..batch.num_rows() {
            for (at, column) in batch.columns().iter().enumerate() {
                if at > 0 {
                    self.lines.push(self.dialect.delimiter);
                }
                self.write_field(&value(column.as_ref(), row)?)?;
            }
            self.lines.push('\n');
        }
        self.flush_lines()
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        Ok(self.sink.flush()?)
    }
}
