//! One buffered event in 56 bytes: numbers and codes, no text.

use super::interner::Code;

/// No status.
pub const NO_STATUS: i16 = i16::MIN;
/// No response size.
pub const NO_BYTES: u32 = u32::MAX;
/// The response size does not fit 32 bits and stands in the row's [`Extra`].
pub const WIDE_BYTES: u32 = u32::MAX - 1;

/// A buffered event. Codes belong to the buffer's [`super::buffer::Texts`]; 0 is "absent".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Microseconds since 1970 UTC.
    pub ts: i64,
    /// Byte offset of the line in the plain text, or the row number of a Parquet input.
    pub offset: u64,
    /// Code of the visit ([`super::who::Whos`]).
    pub who: Code,
    /// The target as written; the page is a function of it ([`super::buffer::RowBuffer::page`]).
    pub path: Code,
    pub event: Code,
    pub referrer: Code,
    pub properties: Code,
    /// Index into the buffer's extras; 0: none of them.
    pub extra: u32,
    /// Response size in bytes, or [`NO_BYTES`], or [`WIDE_BYTES`].
    pub bytes: u32,
    pub method: Code,
    pub status: i16,
    /// The source's number within the commit group.
    pub source: u16,
}

/// What access logs hardly ever have, kept out of the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extra {
    pub event_id: Code,
    /// The response size where it is [`WIDE_BYTES`].
    pub bytes: i64,
}

const _: () = assert!(size_of::<Row>() == 56);
