//! From what was typed to plain bytes in chunks of whole records.
//!
//! ```text
//! typed ─ expand ─► Input ─ plain ─► plain bytes ─ frame + chunks ─► chunks of whole records, with their offsets
//! ```
//!
//! Deliberately not here: what a record means (`parse/`), which source it belongs to (`source/`).

pub mod chunks;
pub mod cut;
pub mod expand;
pub mod frame;
pub mod plain;
