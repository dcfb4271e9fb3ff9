//! Aggregates that run inside the pass: GROUP BY over a native relation, on codes instead of text.
//!
//! ```text
//! AggregateExec(final) ◄ AggregateExec(partial) ◄ Filter/Projection* ◄ JourneyExec
//!                                   │ rule.rs
//!                                   ▼
//! FusedAggregateExec   per reader, in its thread:  batch ─ stages ─► keys → codes → group ─► accumulators
//!                      then:                       readers merged by the meaning of their codes ─► rows
//! PersonAggregateExec  by person or session, where a group is whole in a batch: any aggregate, batch by batch
//! ```
//! What makes it fast: keys are dense codes and a group is a table lookup; rows of one session or person lie together,
//! so that counting them distinct compares with the last one seen; a path is one number until the answer is spelled.
//!
//! Invariants: anything the rule does not recognise stays as `DataFusion` planned it, and both give equal answers
//! (`tests/engine/`); `SET journeyql.native_aggregates = false` switches the rule off.
//!
//! Deliberately not here: what the relations are (`relations/`), the pass (`scan/`).

mod accumulate;
mod distinct;
mod exec;
mod groups;
mod keys;
mod person;
mod rule;
mod stages;
mod values;

pub use distinct::KeepDistinct;
pub use exec::FusedAggregateExec;
pub use rule::FuseAggregates;
