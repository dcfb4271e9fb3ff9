//! Stored days made anew: merged, derived again, dropped.
//!
//! ```text
//! live parts of a day ─ merge ─► rows ─ changed? ─► one part ─┐
//! …                                                           ├─► one commit: readers see before or after
//! sources whose rows went: counted as dropped by a rule ──────┘
//!
//! compact     small parts of a day become one                    no row changes
//! reprocess   pages and steps are derived again under new rules  no row comes or goes
//! retain      days before a day go                               counted as dropped by the rule `retention`
//! refused     refused lines that nobody wants go                 counted as dropped by the rule `steward`
//! link        what somebody says of who is who                   no file comes or goes
//! correct     what somebody says of single events                no file comes or goes
//! segment     groups of people are saved or dropped           no file comes or goes
//! forget      somebody goes, with all ids                        counted as dropped by the rule `erased`
//! rebuild     every day from its stored events, elsewhere        for verify to compare with
//! ```
//!
//! Invariants: days that are not asked for keep their files byte for byte; a command that has nothing to change makes
//! no snapshot; the law of conservation holds before and after.
//!
//! Deliberately not here: what a rule says (`normalize/`), new lines (`ingest/`), what queries make of the rows.

mod account;
mod compact;
mod correct;
mod derive;
mod error;
mod forget;
mod link;
mod rebuild;
mod refused;
mod reprocess;
mod retain;
mod rewrite;
mod segment;

pub use compact::{Compacted, compact};
pub use correct::{Word, check, correct, revert};
pub use error::MaintainError;
pub use forget::{Erased, Someone, forget, identifiers, note_export};
pub use link::{Say, say};
pub use rebuild::rebuild;
pub use refused::{Dropped, drop_refused};
pub use reprocess::{Reprocess, Reprocessed};
pub use retain::{Retained, retain};
pub use segment::{Existing, drop_segment, save_segment};
