//! Tab-separated values as databases exchange them: no quotes; tab, line feed, carriage return and backslash inside
//! a field are `\t`, `\n`, `\r`, `\\`; NULL is `\N`.

use arrow::datatypes::SchemaRef;

use super::delimited::{Delimited, Dialect};
use super::{Look, OutputError, Sink};

pub(super) fn open<'a>(schema: &SchemaRef, sink: Sink<'a>, look: Look) -> Result<Delimited<'a>, OutputError> {
    Delimited::new(Dialect { delimiter: '\t', null: "\\N", quote }, schema, sink, look)
}

fn quote(field: &str, out: &mut String) {
    for c in field.chars() {
        match c {
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\\' => out.push_str("\\\\"),
            c => out.push(c),
        }
    }
}
