//! Lines to committed days: the hot path from bytes to a commit.
//!
//! ```text
//! typed ─ input/ ─► plain chunks ─ parse ─► rows/ ─ order ─ encode ─► parts, a day each ─ group ─► one commit
//!          source/: known by its bytes ▲      └─ duplicates: one row per event id
//!
//! threads   reader: read, unpack, hash, cut │ caller: parse, intern │ press: sort, encode, write
//! ```
//!
//! retry/:    refused lines of the quarantine take the same way once more, after the rules have changed
//! reread.rs: and so do the lines of stored events
//!
//! Invariants (each is checked before a commit, a violation is an error and no commit):
//! - every line of a source is stored, quarantined, dropped by a named rule, or a duplicate;
//! - a source's offset moves in the commit that brings its rows: a killed ingest leaves the one state or the other;
//! - the tables are a function of the set of lines, not of the order, the batching or the names they came in;
//! - memory is bounded by the buffer's budget, not by the input.
//!
//! Deliberately not here: what a line means (`parse/`), what a page or a person is (`normalize/`, `identity/`), how
//! bytes get to the disk (`store/`), any printing.

mod content;
mod duplicates;
mod encode;
mod error;
mod find;
mod follow;
mod group;
mod input;
mod late;
mod order;

mod prefix;
mod press;
mod reading;
mod report;
mod reread;
mod retry;
mod rows;
mod run;
mod source;
mod table;
mod text;

pub use error::IngestError;
pub use report::{Counts, Flushed, IngestReport, Problem, Progress, Quiet, Skipped, SourceReport};
pub use reread::{FromSource, Reread};
pub use retry::{Kept, Retried, retry};
pub use run::{Follow, IngestOptions, ingest};
pub use source::again::{Wanted, lines};
