//! The pass over the events that everything native rests on: sorted parts merged by whole runs of one person.
//!
//! ```text
//! parts of day 1 ─ Cursor ─┐  chunks of codes, cut
//! parts of day 2 ─ Cursor ─┼─ into runs of one id ─► PersonRuns ─► Block: ids, ts, label, page, event, marks, rows
//! parts of day 3 ─ Cursor ─┘                          one reader = one range of ids, cut by rows, not by names
//! ```
//!
//! ```text
//! let pass = ScanPlan::new(parts).with_labels(Label::Auto).with_marks(conditions)?.open(threads)?;
//! let mut runs = pass.runs(reader)?;                       // in a blocking thread, one per reader
//! while runs.next_block()? {
//!     let (block, names) = runs.block_and_names();
//!     for person in block.people() { algorithm(&block.ts()[person.rows.clone()], …) }
//! }
//! ```
//!
//! Invariants: a person is whole in one block and in one reader; rows of a person are in the total order
//! `(ts, source_id, source_offset, event_id)`; a code means one text for the whole life of a reader, 0 is NULL; at most
//! [`crate::limits::OPEN_PARTS`] parts are open per reader (more are opened page by page, and beyond
//! [`crate::limits::MERGED_PARTS`] slices of ids are read part by part into memory), and as many of those after the
//! range; a part that is not sorted as committed is refused.
//!
//! Ids that are linked are one person of a block, see `moved.rs`, `sorted.rs` and
//! `beside.rs`; a pass knows of them by [`ScanPlan::with_people`].
//!
//! Deliberately not here: sessions (`journey/`), Arrow output (`engine/operators/`), any write.

mod batches;
mod beside;
mod block;
mod chunk;
mod content;
mod cursor;
mod label;
mod later;
mod moved;
mod names;
mod overlay;
mod part;
mod persons;
mod plan;
mod range;
mod rows;
mod runs;
mod sorted;
mod source_hashes;
mod ties;

pub use batches::truth;
pub use block::{Block, Person};
pub use content::{count_read, parquet_reads};
pub use label::{is_page_view, page_view_names};
pub use names::{NONE, Names};
pub use overlay::{Edges, Overlay};
pub(in crate::engine) use part::damaged;
pub use part::{Damage, Opened, PartFile, read_schema, read_type, text_codes};
pub use persons::PersonColumn;
pub use plan::{ScanPlan, bind, columns_of, names_person};
pub use range::{IdRange, ScanRanges};
pub use rows::StoredRows;
pub use runs::PersonRuns;
