//! Rows in memory: what is buffered between parsing and sorting.
//!
//! ```text
//! RawEvent ─ intake ─► Row (56 bytes, codes) + texts of each column once     ─► order ─► encode
//!            ├ who     ► who did it, looked up as one key
//!            └ refuse ► Refusal (raw bytes)
//! ```
//!
//! Invariants: a buffer owns every text its rows speak of; what it holds is counted against one budget; nothing here
//! knows files, threads or the store.

pub mod buffer;
pub mod carry;
pub mod interner;
pub mod refusals;
pub mod row;
pub mod rules;
pub mod schema;
pub mod texts;
pub mod who;
