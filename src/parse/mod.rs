//! One record of text in, one [`RawEvent`] out.
//!
//! ```text
//! head of a source ─► choose ─► Chosen { parser, framing }          once per source
//! record ──────────► LineParser::parse ─► Event | Reject | Drop     once per record
//!
//! formats/   the built-in formats, one file each, with samples
//! ncsa/      common, combined, vhost_combined      byte scanner
//! json/      ndjson and JSON access logs           byte scanner over a table of field names
//! w3c.rs     logs that name their fields           csv.rs      a header and records
//! columns/   rows of Parquet batches               the same names as ndjson
//! pattern.rs regular expressions with named groups, the user's and the shipped ones
//! ```
//!
//! Invariants: no parser panics, allocates per record in the steady state, or decides anything but what the record
//! says; every record gets exactly one [`Outcome`]; the same parser state and bytes give the same outcome.
//!
//! Deliberately not here: where records begin and end (`ingest/` frames them), pages, steps, people (`normalize/`,
//! `identity/`), the accepted range of times (`ingest/`).

mod choose;
mod clock;
mod columns;
mod csv;
mod error;
mod formats;
mod json;
mod layout;
mod ncsa;
mod pattern;
mod reach;
mod row;
mod scan;
mod span;
mod w3c;

use std::fmt;

pub use choose::choose;
pub use columns::ColumnParser;
pub use error::{Attempt, FormatError};
pub use formats::{FormatInfo, Sample, formats};
pub use json::message;

pub use crate::event::{RawEvent, Reject, RejectReason};

/// A parser of one format. It may learn from what it reads (a header, the last date) but never looks ahead.
pub trait LineParser: Send + fmt::Debug {
    /// Reads one record without its terminator (a trailing CR is already cut). `scratch` is an arena for text whose
    /// escapes had to be undone; the parser clears it first.
    fn parse<'a>(&mut self, line: &'a [u8], scratch: &'a mut Vec<u8>) -> Outcome<'a>;

    /// A second parser in the same state, for another thread.
    fn fork(&self) -> Box<dyn LineParser>;

    /// Whether a record's meaning depends on earlier records (W3C directives): such a source is read in order, by
    /// one parser, and [`LineParser::state`] is kept where reading may resume.
    fn is_ordered(&self) -> bool {
        false
    }

    /// What the earlier records have set, for [`LineParser::restore`]. Empty for most formats.
    fn state(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Goes on from an earlier [`LineParser::state`]; an unreadable one is ignored.
    fn restore(&mut self, _state: &[u8]) {}
}

/// What became of one record.
#[expect(
    clippy::large_enum_variant,
    reason = "it lives on the stack for one line; a box would be an allocation a line"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    Event(RawEvent<'a>),
    Reject(Reject),
    /// Not an event by the format's own rules; the name of the rule: `blank`, `header`, `comment`.
    Drop(&'static str),
}

/// Where records end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// At every line feed.
    Lines,
    /// At a line feed outside of double quotes.
    Csv,
}

/// The format that a source is read with.
#[derive(Debug)]
pub struct Chosen {
    pub name: String,
    pub framing: Framing,
    /// One clause for people: `named`, `198 of the first 200 lines match`.
    pub why: String,
    pub parser: Box<dyn LineParser>,
}

/// What [`choose`] found the source to be.
#[derive(Debug)]
pub enum Choice {
    Text(Chosen),
    /// A Parquet file: rows, not lines.
    Parquet {
        why: String,
    },
}

/// A refusal at byte `at` of the record.
#[must_use]
pub(crate) fn refuse(reason: RejectReason, at: usize) -> Reject {
    Reject { reason, matched: u32::try_from(at).unwrap_or(u32::MAX) }
}
