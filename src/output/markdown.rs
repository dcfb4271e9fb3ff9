//! A table in GitHub's Markdown. Numbers are set flush right; NULL is an empty cell.
//!
//! A value is text and nothing else: marks, links and tags in it are escaped, so that a referrer from a log can
//! neither style the document nor load a picture into it.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::value::{Value, is_number, value};
use super::{OutputError, Sink, Writer};
use crate::terminal::neutral;

pub(super) struct Markdown<'a> {
    sink: Sink<'a>,
    lines: String,
    field: String,
}

impl<'a> Markdown<'a> {
    pub(super) fn new(schema: &SchemaRef, sink: Sink<'a>) -> Result<Self, OutputError> {
        let mut lines = String::from("|");
        for column in schema.fields() {
            lines.push(' ');
            escape(column.name(), &mut lines);
            lines.push_str(" |");
        }
        lines.push_str("\n|");
        for column in schema.fields() {
            lines.push_str(if is_number(column.data_type()) { "---:|" } else { "---|" });
        }
        lines.push('\n');
        let mut writer = Self { sink, lines, field: String::new() };
        writer.sink.write_all(writer.lines.as_bytes())?;
        Ok(writer)
    }
}

impl Writer for Markdown<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        self.lines.clear();
        for row in 0..batch.num_rows() {
            self.lines.push('|');
            for column in batch.columns() {
                let cell = value(column.as_ref(), row)?;
                self.lines.push(' ');
                if !matches!(cell, Value::Null) {
                    self.field.clear();
                    cell.write_readable(&mut self.field)?;
                    escape(&self.field, &mut self.lines);
                    self.lines.push(' ');
                }
                self.lines.push('|');
            }
            self.lines.push('\n');
        }
        Ok(self.sink.write_all(self.lines.as_bytes())?)
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        Ok(self.sink.flush()?)
    }
}

/// Escapes what Markdown or HTML would take for a mark. An underscore inside a word is no mark.
fn escape(text: &str, out: &mut String) {
    let text = neutral(text);
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '_' if before.is_alphanumeric() && chars.peek().is_some_and(|next| next.is_alphanumeric()) => out.push('_'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' => out.extend(['\\', c]),
            c => out.push(c),
        }
        before = c;
    }
}
