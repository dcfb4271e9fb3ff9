//! Funnels: how far a person came through an ordered list of conditions inside a window (SEMANTICS §5).
//!
//! ```text
//! a person's events, sorted by time        Rules                        what comes out
//! ts    [ 0    0    5    9 ]         ┌─ window, ties, entry ─┐    Levels::run    the longest chain, 0..=k
//! masks [ 001  010  010  100 ]  ───► │  modes                │ ──►
//!         bit i = condition i+1      └───────────────────────┘    chain          the events of that chain
//! ```
//! One state suffices: for each level the *latest* entry time of any chain of that length that is still alive. Two
//! attempts on the same level have the same future except for the window, and there a later entry is never worse. So
//! every entry is tried in `O(events × steps)`.
//!
//! | rule | a chain e1 ≤ e2 ≤ … is refused when |
//! |---|---|
//! | window | `ts(ek) > ts(e1) + window` (equal is inside) |
//! | `strict_increase` | two of its time stamps are equal |
//! | `strict_once` | one event fills two steps |
//! | `strict_deduplication` | between `ei` and `ei+1` lies an event that meets one of `c1..ci+1` |
//! | `strict_order` | between `ei` and `ei+1` lies an event that does not meet `ci` (`allow_reentry`: nor `c1`) |
//! | both of the last two | anything lies between `ei` and `ei+1` |
//! | step windows | `ts(ei+1) > ts(ei) +` the window of step `i` (equal is inside; [`Search`] and [`AnyOrder`] only) |
//! | excluded events | one lies between `e1` and `ek`; it fills no step ([`Search`] and [`AnyOrder`] only) |
//! | `grace` | `ts(ei+1) < ts(ei) - grace`, instead of e1 ≤ e2 ≤ … ([`AnyOrder`] only) |
//! | `unordered` | (no order: the most conditions met in one window; with `strict_once` by distinct events; [`InParts`] with excluded events) |
//!
//! With [`Ties::Any`] a chain counts if *some* order of the events with equal time stamps admits it; without
//! `strict_once` an event may be taken several times at its time stamp. With [`Ties::Order`] the order of the slice is
//! the order.
//!
//! Invariants: time stamps never decrease; a mask of 0 matters to `strict_order` only. Each rule is held against a
//! search over all orders in `funnel/brute.rs`.
//!
//! Deliberately not here: what a condition is (`engine/`), who a person is, percentiles of the durations.

mod any_order;
#[cfg(test)]
mod any_order_brute;
#[cfg(test)]
mod brute;
mod chain;
mod in_parts;
mod levels;
mod rules;
mod search;
#[cfg(test)]
mod search_brute;
mod stop;
mod ties;
mod unordered;

pub use any_order::{AnyOrder, Undecided};
pub use chain::Chains;
pub use in_parts::{Filled, InParts, unfilled};
pub use levels::Levels;
pub use rules::{Entry, Mode, Modes, Rules, Ties};
pub use search::Search;
pub use stop::Stop;
