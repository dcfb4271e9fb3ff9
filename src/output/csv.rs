//! Comma-separated values after RFC 4180, with line feeds.
//!
//! A field is quoted where it holds a comma, a quote, a line break or a blank at an edge, and where it is the empty
//! text: `""` is empty, nothing at all is NULL.
//!
//! A page named `=HYPERLINK(…)` stays as it is. Spreadsheets may run such a cell; a quote or blank put in front of it
//! would change every program's data for the sake of one reader, and `-5` with it. Open foreign logs in a
//! spreadsheet by its text import.

use arrow::datatypes::SchemaRef;

use super::delimited::{Delimited, Dialect};
use super::{Look, OutputError, Sink};

pub(super) fn open<'a>(schema: &SchemaRef, sink: Sink<'a>, look: Look) -> Result<Delimited<'a>, OutputError> {
    Delimited::new(Dialect { delimiter: ',', null: "", quote }, schema, sink, look)
}

fn quote(field: &str, out: &mut String) {
    let edge = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let plain = !field.is_empty()
        && !edge(field.as_bytes().first())
        && !edge(field.as_bytes().last())
        && !field.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'));
    if plain {
        out.push_str(field);
        return;
    }
    out.push('"');
    for c in field.chars() {
        if c == '"' {
            out.push('"');
        }
        out.push(c);
    }
    out.push('"');
}
