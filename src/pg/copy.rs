//! COPY … TO STDOUT: the rows as text or CSV.

use bytes::{BufMut, Bytes, BytesMut};
use datafusion_postgres::arrow_pg::encoder::Encoder;
use datafusion_postgres::pgwire::api::results::FieldInfo;
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::types::ToSqlText;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use postgres_types::{IsNull, ToSql};

use super::command::{Words, unquoted};

/// How rows are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    csv: bool,
    pub(super) header: bool,
    delimiter: u8,
    quote: u8,
    escape: u8,
    null: String,
    /// Every text in quotes.
    force: bool,
}

impl Options {
    /// `(query) | table [(columns)] TO STDOUT [options]`; nothing where it reads or writes elsewhere, or asks for what
    /// there is not.
    pub(super) fn read(words: &mut Words<'_>) -> Option<(String, Self)> {
        let query = if words.peek() == Some("(") {
            words.brackets()?.to_owned()
        } else {
            let mut table = words.next()?.to_owned();
            while words.take(".") {
                table = format!("{table}.{}", words.next()?);
            }
            let columns = if words.peek() == Some("(") { words.brackets()? } else { "*" };
            format!("SELECT {columns} FROM {table}")
        };
        if !words.take("TO") || !words.take("STDOUT") {
            return None;
        }
        words.take("WITH");
        let inner = (words.peek() == Some("(")).then(|| words.brackets());
        let mut options = Self {
            csv: false,
            header: false,
            delimiter: b'\t',
            quote: b'"',
            escape: b'"',
            null: "\\N".to_owned(),
            force: false,
        };
        let list: Vec<String> = match inner {
            Some(inner) => crate::database::words(inner?).map(|(word, _)| word.to_owned()).collect(),
            None => std::iter::from_fn(|| words.next()).map(str::to_owned).collect(),
        };
        options.set(&list)?;
        Some((query, options))
    }

    fn set(&mut self, list: &[String]) -> Option<()> {
        let named = |name: &str| {
            let at = list.iter().position(|word| word.eq_ignore_ascii_case(name))?;
            let value = list[at + 1..].iter().find(|word| !word.eq_ignore_ascii_case("as"));
            Some(value.map(String::as_str).unwrap_or_default())
        };
        let known = [
            "format",
            "csv",
            "text",
            "header",
            "delimiter",
            "quote",
            "escape",
            "null",
            "force_quote",
            "force",
            "encoding",
            "as",
        ];
        let mut before = "";
        for word in list {
            let is_value =
                word.starts_with('\'') || before == "format" || before == "header" || before.starts_with("force");
            if !is_value && word != "," && !known.iter().any(|it| word.eq_ignore_ascii_case(it)) {
                return None;
            }
            before = known.iter().find(|it| word.eq_ignore_ascii_case(it)).copied().unwrap_or("");
        }
        let format = named("format").map(unquoted);
        self.csv = match format.as_deref() {
            Some("csv") => true,
            Some("text") => false,
            Some(_) => return None,
            None => named("csv").is_some(),
        };
        if self.csv {
            (self.delimiter, self.null) = (b',', String::new());
        }
        self.header =
            named("header").is_some_and(|value| !["false", "off", "0"].iter().any(|it| value.eq_ignore_ascii_case(it)));
        let one = |value: &str| match unquoted(value).as_bytes() {
            [byte] => Some(*byte),
            _ => None,
        };
        if let Some(value) = named("delimiter") {
            self.delimiter = one(value)?;
        }
        if let Some(value) = named("quote") {
            (self.quote, self.escape) = (one(value)?, one(value)?);
        }
        if let Some(value) = named("escape") {
            self.escape = one(value)?;
        }
        if let Some(value) = named("null") {
            self.null = unquoted(value);
        }
        self.force = named("force_quote").or_else(|| named("force")).is_some();
        Some(())
    }

    /// The line of the columns' names.
    pub(super) fn head(&self, fields: &[FieldInfo]) -> Bytes {
        let mut lines = Lines::new(self.clone());
        for field in fields {
            lines.put(field.name().as_bytes());
        }
        lines.take_row()
    }
}

/// Rows as lines.
#[derive(Debug)]
pub(super) struct Lines {
    options: Options,
    line: BytesMut,
    columns: usize,
    /// A value as it is before it is written; kept for its memory.
    text: BytesMut,
    format: FormatOptions,
}

impl Lines {
    pub(super) fn new(options: Options) -> Self {
        Self { options, line: BytesMut::new(), columns: 0, text: BytesMut::new(), format: FormatOptions::default() }
    }

    fn separate(&mut self) {
        if self.columns > 0 {
            self.line.put_u8(self.options.delimiter);
        }
        self.columns += 1;
    }

    fn put(&mut self, value: &[u8]) {
        self.separate();
        let Options { csv, delimiter, quote, escape, .. } = self.options;
        if !csv {
            if !value.iter().any(|byte| [b'\n', b'\r', b'\t', b'\\', delimiter].contains(byte)) {
                self.line.put_slice(value);
                return;
            }
            for &byte in value {
                match byte {
                    b'\n' => self.line.put_slice(b"\\n"),
                    b'\r' => self.line.put_slice(b"\\r"),
                    b'\t' => self.line.put_slice(b"\\t"),
                    byte if byte == b'\\' || byte == delimiter => self.line.put_slice(&[b'\\', byte]),
                    byte => self.line.put_u8(byte),
                }
            }
            return;
        }
        let special = |byte: &u8| [delimiter, quote, b'\n', b'\r'].contains(byte);
        // What would be read as nothing, or as the end, stands in quotes.
        let empty = value == self.options.null.as_bytes();
        let end = self.columns == 1 && value == b"\\.";
        if !(self.options.force || empty || end || value.iter().any(special)) {
            self.line.put_slice(value);
            return;
        }
        self.line.put_u8(quote);
        for &byte in value {
            if byte == quote || byte == escape {
                self.line.put_u8(escape);
            }
            self.line.put_u8(byte);
        }
        self.line.put_u8(quote);
    }
}

impl Encoder for Lines {
    type Item = Bytes;

    fn encode_field<T>(&mut self, value: &T, field: &FieldInfo) -> PgWireResult<()>
    where
        T: ToSql + ToSqlText + Sized,
    {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        match value.to_sql_text(field.datatype(), &mut text, &self.format).map_err(PgWireError::ApiError)? {
            IsNull::Yes => {
                self.separate();
                self.line.put_slice(self.options.null.as_bytes());
            }
            IsNull::No => self.put(&text),
        }
        self.text = text;
        Ok(())
    }

    fn take_row(&mut self) -> Bytes {
        self.line.put_u8(b'\n');
        self.columns = 0;
        self.line.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::Command;
    use super::*;

    fn options(sql: &str) -> (String, Options) {
        let Command::Copy { query, options } = Command::read(sql) else { panic!("{sql}") };
        (query, options)
    }

    #[test]
    fn values_are_told_from_nothing() {
        let (query, csv) = options("COPY (select ')' from (select 1) t) TO STDOUT WITH (FORMAT csv, HEADER)");
        assert_eq!((query.as_str(), csv.csv, csv.header), ("select ')' from (select 1) t", true, true));
        let mut lines = Lines::new(csv);
        for value in ["", "a,b", "\"", "x"] {
            lines.put(value.as_bytes());
        }
        assert_eq!(lines.take_row(), "\"\",\"a,b\",\"\"\"\",x\n");
        let mut lines = Lines::new(options("copy public.events (page, ts) to stdout").1);
        for value in ["a\tb", "\\N", ""] {
            lines.put(value.as_bytes());
        }
        assert_eq!(lines.take_row(), "a\\tb\t\\\\N\t\n");
        assert_eq!(options("copy events to stdout csv header delimiter ';'").1.delimiter, b';');
    }

    #[test]
    fn files_and_programs_are_refused() {
        for sql in [
            "COPY (SELECT 1) TO '/tmp/x'",
            "COPY (SELECT 1) TO PROGRAM 'sh'",
            "COPY events FROM STDIN",
            "COPY (SELECT 1) TO STDOUT (FORMAT binary)",
            "COPY (SELECT 1) TO STDOUT (FORMAT parquet)",
        ] {
            assert_eq!(Command::read(sql), Command::Refused("COPY".to_owned()), "{sql}");
        }
    }
}
