//! Why stored days could not be made anew.

use thiserror::Error;

use crate::store::StoreError;
use crate::time::Day;

/// Why nothing was changed.
#[derive(Debug, Error)]
pub enum MaintainError {
    #[error("--from {from} is after --to {to} – both days are included")]
    Backwards { from: Day, to: Day },
    #[error("{0}")]
    Config(String),
    #[error(
        "{day}: {written} rows written where {expected} were to be – nothing was committed; this is a bug, please report it"
    )]
    Conservation { day: Day, expected: u64, written: u64 },
    #[error("'{id}' is nobody's id – an address or a junk id never links")]
    NoPerson { id: String },
    #[error("'{id}' is a device of several people ({people}) – name one of them")]
    Several { id: String, people: String },
    #[error("nothing is known of '{id}' – journeyql identity list shows the ids that are linked")]
    Unknown { id: String },
    #[error("'{id}' is itself – name two ids")]
    SameId { id: String },
    #[error("'{id}' and '{other}' are one person already – journeyql identity list --user '{id}' says why")]
    AlreadyOne { id: String, other: String },
    #[error("nobody has said anything of '{id}' and '{other}' – journeyql identity list shows what was said")]
    NothingSaid { id: String, other: String },
    #[error("there is no event {event} in the store – journeyql inspect --user USER shows event_ref")]
    NoEvent { event: String },
    #[error("there is no session {session_id} – its id moves with its first event; journeyql trace USER shows them")]
    NoSession { session_id: String },
    #[error("{time} is no time of an event – between {earliest} and {latest}")]
    NoTime { time: String, earliest: String, latest: String },
    #[error("'{id}' was erased – nothing is said of them any more")]
    Erased { id: String },
    #[error("nothing to call it – give --page, --event or both, not empty")]
    NoLabel,
    #[error("that is said already – correction {id}, by {by}: {reason}")]
    SaidAlready { id: i64, by: String, reason: String },
    #[error("there is no correction {id} – journeyql corrections list shows them")]
    NoCorrection { id: i64 },
    #[error("correction {id} was reverted already – by {by} at {at}")]
    Reverted { id: i64, by: String, at: String },
    #[error("'{name}' is no name of a segment – a few words without control characters")]
    SegmentName { name: String },
    #[error("there is a segment '{name}' already – CREATE OR REPLACE SEGMENT gives it another query")]
    SegmentExists { name: String },
    #[error("no segment '{name}' – {hint}")]
    NoSegment { name: String, hint: String },
    #[error("the segment '{name}' would name somebody who was erased – nothing is said of them any more")]
    SegmentOfErased { name: String },
    #[error("source {source_id} has rows of which the catalog knows nothing – run journeyql verify")]
    UnknownSource { source_id: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot build the rows: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    #[error("cannot read back a part: {0}")]
    Part(#[from] parquet::errors::ParquetError),
}
