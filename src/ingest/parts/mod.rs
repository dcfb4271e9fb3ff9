//! Parts in hand: reading sorted parts back, merging them, finding rows in them.
//!
//! ```text
//! several runs of one day ─ merge ─► one part          stored part + rows to remove ─ merge ─► the part without them
//! ```
//!
//! Deliberately not here: which parts count (`group/`), writing bytes (`store/`).

pub mod cursor;
pub mod find;
pub mod merge;
