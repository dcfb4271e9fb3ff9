//! The algorithms of journeys on plain slices: sessions, steps, paths, funnels.
//!
//! ```text
//! ts, labels of one person ─► sessionize ─► collapse ─► Walk: sessions and steps as positions
//!                                                        ├─► dwell, paths, pieces of paths, what follows what
//!                                                        └─► funnel (its own order over uncollapsed events)
//! ts, masks of one person ─► sequence: patterns of conditions
//! labels of one session ─► path_match: patterns of steps
//! rows of one partition ─► row_pattern: patterns of conditions on rows, as MATCH_RECOGNIZE has them
//! labels of one session ─► predict: what follows a path
//! labels of all sessions ─► chain: the way to a goal as a Markov chain; markov: of which order; correlate: what goes with it
//! borders of one person ─► explain_session: why sessions begin and end; tie_report: what equal times leave open
//! ts of one person ─► sweep: sessions under many gaps at once
//! ts, kinds of one person ─► retention: cohorts and the periods they come back in; lifecycle, stickiness
//! ```
//!
//! Invariants: nothing here allocates per event or knows where the slices come from; times are µs and rise.
//!
//! Deliberately not here: Arrow, DataFusion, files (`engine/` has a bridge of the same name for each algorithm).

pub mod chain;
pub mod collapse;
pub mod correlate;
pub mod explain_session;
pub mod follows;
mod front;
pub mod funnel;
pub mod lifecycle;
pub mod markov;
pub mod path;
pub mod path_match;
pub mod period;
pub mod pieces;
pub mod predict;
pub mod retention;
pub mod row_pattern;
pub mod sequence;
pub mod sessionize;
pub mod sweep;
pub mod tie_report;
pub mod walk;

pub use collapse::{UNKNOWN, dwell};
pub use path::Paths;
pub use sessionize::{Edge, EndedBy, Rules, sessionize};
pub use walk::{Columns, Keep, Session, Walk, sessions};
