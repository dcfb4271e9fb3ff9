//! The record: what a parser yields for one line, and the Arrow schemas of what is stored.
//!
//! ```text
//! RawEvent<'a>   slices of one input line, nothing decided yet        parse/  ─► ingest/
//! events()       the columns of a stored event, with field ids        ingest/ ─► store/ ─► engine/
//! quarantine()   the columns of a refused line                        ingest/ ─► store/ ─► engine/
//! ```
//!
//! Invariants: column order and field ids never change once released (field id = DuckLake column id = position
//! from 1); a column is only ever added at the end.
//!
//! Deliberately not here: how a label, a page or a person is derived (`normalize/`, `identity/`).

mod junk;
mod raw;
mod schema;

pub use junk::is_junk;
pub use raw::{RawEvent, Refused, Reject, RejectReason};
pub use schema::{Column, events, quarantine, utc_micros};
