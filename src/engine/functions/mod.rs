//! The SQL functions of journeys.
//!
//! ```text
//! window_funnel(window, [mode…,] ts, c1, …)    aggregate   how far a person came, 0..=N       journey::funnel
//! window_funnel_events(…the same…)             aggregate   when: the time stamps of that way
//! sequence_match(pattern, ts, c1, …)           aggregate   whether a pattern is met; _count: how often;
//!                                                         sequence_match_events: when         journey::sequence
//! sequence_next_node(direction, base, ts, …)   aggregate   the event behind a chain of events
//! path_match(pattern, path)                   scalar      whether a path meets a pattern      journey::path_match
//! retention(c1, …)                             aggregate   c1 met, and with it each of the others
//! path_agg(label, ts [, tie] [, 'repeats'])    aggregate   the labels in order, collapsed
//! sessionize(ts, gap) OVER (…)                 window      the session number, from 1
//! funnel(step…, option => value…)              table       a row per step                     journey::funnel
//! paths_from(step, n), paths_to(step, n), paths_between(a, b), paths_instead(a, b, n),
//! path_ngrams(n), path_match(pattern)          table       pieces of sessions, counted          journey::pieces
//! follows()                                    table       what comes some time after what     journey::follows
//! diff_transitions(a, b)                       table       how two segments move differently
//! predict_next(step, n)                       table       what people do next                journey::predict
//! timeout_sweep(min, max, step)               table       sessions under other timeouts          journey::sweep
//! correlate(goal)                              table       what goes with reaching a goal          journey::correlate
//! conversion_score(goal), removal_effect(goal) table       how likely, and by which steps          journey::chain
//! markov(), markov_accuracy()                  table       what comes next, and how well it is told journey::markov
//! explain_session(id)                          table       why a session begins and ends           journey::explain_session
//! tie_report()                                 table       what the order of equal times decides   journey::tie_report
//! drill(view, key…)                            table       the steps behind a number of a view
//! replay(user, last => 5)                      table       a person's last sessions, event by event
//! retention_cohorts(start, return, …)          table       who comes back when                journey::retention
//! lifecycle(condition), stickiness(condition)  table       new, returning, dormant; days there journey::lifecycle
//! FROM … MATCH_RECOGNIZE (…)                   table       rows that meet a pattern             journey::row_pattern
//! ```
//! Each is described in `docs/NAME.md`, in the form that `docs.rs` shows; the list in `planner.rs` (table functions) or in
//! `docs.rs` (the others) names the file.
//!
//! Every table function has the option `segment => 'name'`: only the people of that saved group (see `segments.rs`).
//!
//! The scalar function, the aggregates and the window function work on any table; the table functions read the store's own events in one pass.
//!
//! Invariants: no answer depends on the order in which rows arrive; a row whose time is NULL is no event.
//!
//! Deliberately not here: the algorithms (`journey/`), the session context (`engine/`).

mod bounded;
mod call;
mod cohort_people;
mod conditions;
mod conversion;
mod correlate;
mod diff_transitions;
mod docs;
mod drill;
mod explain_session;
mod figures;
#[cfg(test)]
pub(in crate::engine) mod fixture;
mod follows;
mod funnel;
mod goal;
mod grouped;
mod leaf;
mod length;
mod lifecycle;
mod markov;
mod masked;
mod match_recognize;
mod path_agg;
mod path_match;
mod paths;
mod people;
mod percentile_cont;
mod planner;
mod predict_next;
mod replay;
mod retention;
mod retention_cohorts;
mod seen;
mod segment;
mod sequence;
mod sequence_next_node;
mod sessionize;
mod sessions;
mod stickiness;
mod table;
#[cfg(test)]
mod tests;
mod tie_report;
mod timeout_sweep;
mod walked;
mod window_funnel;

pub use docs::{ArgumentDoc, FunctionDoc, docs};
pub(in crate::engine) use docs::{documentation, table as docs_table};
pub use match_recognize::RowPatterns;
pub use percentile_cont::percentile;
pub use planner::TableFunctions;
pub(in crate::engine) use planner::names as table_function_names;

use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

/// Makes every function known to a session.
///
/// # Errors
/// The registry takes no functions.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    bounded::register(registry)?;
    for told in [window_funnel::Told::Level, window_funnel::Told::Events] {
        registry.register_udaf(AggregateUDF::new_from_impl(window_funnel::WindowFunnel::new(told)).into())?;
    }
    for told in [sequence::Told::Match, sequence::Told::Count, sequence::Told::Events] {
        registry.register_udaf(AggregateUDF::new_from_impl(sequence::Sequence::new(told)).into())?;
    }
    let next_node = sequence_next_node::SequenceNextNode::new();
    registry.register_udaf(AggregateUDF::new_from_impl(next_node).into())?;
    registry.register_udaf(AggregateUDF::new_from_impl(retention::Retention::new()).into())?;
    registry.register_udaf(AggregateUDF::new_from_impl(path_agg::PathAgg::new()).into())?;
    registry.register_udaf(AggregateUDF::new_from_impl(percentile_cont::ExactPercentile::default()).into())?;
    registry.register_udf(ScalarUDF::new_from_impl(path_match::PathMatch::new()).into())?;
    registry.register_udwf(WindowUDF::new_from_impl(sessionize::Sessionize::new()).into())?;
    Ok(())
}
