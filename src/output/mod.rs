//! Answers as text and files: Arrow batches in, bytes out, one format a file.
//!
//! ```text
//! format     for           NULL        list               binary on a terminal   hostile text
//! table      people        NULL        [/a, /b]           –                      neutralised
//! markdown   documents     (empty)     [/a, /b]           –                      neutralised, marks escaped
//! csv        programs      (nothing)   ["/a","/b"]        –                      faithful (see csv.rs)
//! tsv        programs      \N          ["/a","/b"]        –                      faithful, \t \n \r \\ escaped
//! json       programs      null        ["/a","/b"]        –                      escaped by JSON
//! ndjson     programs      null        ["/a","/b"]        –                      escaped by JSON
//! parquet    programs      null        list               refused                faithful
//! arrow      programs      null        list               refused                faithful
//! ```
//!
//! Invariants: a format holds at most one batch (table: the rows it measures its columns by), so an answer of any
//! length streams; times are ISO-8601 in UTC; a float has the fewest digits that read back as the same float; a
//! text that came from a log never reaches a terminal with a control character in it.
//!
//! Deliberately not here: where the bytes go, and what a terminal is (`cli/`).

mod arrow;
mod csv;
mod delimited;
mod json;
mod markdown;
mod ndjson;
mod parquet;
mod table;
#[cfg(test)]
mod tests;
mod tsv;
mod value;

use std::fmt;
use std::io::{self, Write};

use ::arrow::array::RecordBatch;
use ::arrow::datatypes::SchemaRef;
use ::arrow::error::ArrowError;
use ::parquet::errors::ParquetError;
use thiserror::Error;

use crate::error::did_you_mean;

pub use table::Measure;

/// The output formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Table,
    Csv,
    Tsv,
    Json,
    Ndjson,
    Markdown,
    Parquet,
    Arrow,
}

impl Format {
    /// Every format in the order that help texts list them.
    pub const ALL: [Self; 8] =
        [Self::Table, Self::Csv, Self::Tsv, Self::Json, Self::Ndjson, Self::Markdown, Self::Parquet, Self::Arrow];

    /// The name that `--format` takes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Markdown => "markdown",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        }
    }

    /// Bytes that are no text and would garble a terminal.
    #[must_use]
    pub const fn is_binary(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow)
    }

    /// The format that a file's extension asks for.
    #[must_use]
    pub fn of_extension(extension: &str) -> Option<Self> {
        Some(match extension.to_ascii_lowercase().as_str() {
            "txt" => Self::Table,
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            "json" => Self::Json,
            "ndjson" | "jsonl" => Self::Ndjson,
            "md" | "markdown" => Self::Markdown,
            "parquet" => Self::Parquet,
            "arrow" | "feather" => Self::Arrow,
            _ => return None,
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::name);
        Self::ALL.into_iter().find(|format| format.name().eq_ignore_ascii_case(text)).ok_or_else(|| {
            let hint = did_you_mean(text, names).map(|hint| format!(" – {hint}")).unwrap_or_default();
            format!("unknown output format '{text}' – one of {}{hint}", names.join(", "))
        })
    }
}

/// How an answer should look: what the writer cannot know of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// Columns of the terminal; `None` where there is none (cells are then cut at `table::CELL_WIDTH`).
    pub width: Option<usize>,
    /// Whether escape sequences for colour may be written.
    pub color: bool,
    /// The bytes go to a terminal: control characters in values are neutralised in every text format.
    pub terminal: bool,
}

/// Why an answer could not be written.
#[derive(Debug, Error)]
pub enum OutputError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("cannot show the answer: {0}")]
    Arrow(ArrowError),
    #[error("cannot write Parquet: {0}")]
    Parquet(ParquetError),
}

impl From<ArrowError> for OutputError {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, source) => Self::Io(source),
            other => Self::Arrow(other),
        }
    }
}

impl From<ParquetError> for OutputError {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(source) => match source.downcast::<io::Error>() {
                Ok(io) => Self::Io(*io),
                Err(source) => Self::Parquet(ParquetError::External(source)),
            },
            other => Self::Parquet(other),
        }
    }
}

impl OutputError {
    /// The reader went away (`| head`): nobody is left to tell, so it is no failure.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// One format at work on one answer.
pub trait Writer {
    /// Writes the rows of a batch. Its columns are those of the schema that the writer was opened with.
    ///
    /// # Errors
    /// The sink refuses, or a value cannot be shown.
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), OutputError>;

    /// Writes what comes last (a footer, a closing bracket) and flushes.
    ///
    /// # Errors
    /// The sink refuses.
    fn finish(&mut self) -> Result<(), OutputError>;
}

/// The sink of an answer.
pub type Sink<'a> = Box<dyn Write + Send + 'a>;

/// Opens a writer of `format` for answers of `schema`.
///
/// # Errors
/// The sink refuses the head of the file, or the format cannot hold a column's type.
pub fn open<'a>(
    format: Format,
    schema: &SchemaRef,
    sink: Sink<'a>,
    look: Look,
) -> Result<Box<dyn Writer + 'a>, OutputError> {
    Ok(match format {
        Format::Table => Box::new(table::Table::new(schema, sink, look)),
        Format::Csv => Box::new(csv::open(schema, sink, look)?),
        Format::Tsv => Box::new(tsv::open(schema, sink, look)?),
        Format::Json => Box::new(json::Json::new(schema, sink)),
        Format::Ndjson => Box::new(ndjson::Ndjson::new(schema, sink)),
        Format::Markdown => Box::new(markdown::Markdown::new(schema, sink)?),
        Format::Parquet => Box::new(parquet::Parquet::new(schema, sink)?),
        Format::Arrow => Box::new(arrow::Arrow::new(schema, sink)?),
    })
}
