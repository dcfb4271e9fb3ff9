//! `FROM steps MATCH_RECOGNIZE (…)`: rows that meet a pattern, as SQL:2016 defines it.
//!
//! ```text
//! PARTITION BY columns  ORDER BY expressions
//! MEASURES  expression AS name, …     x, A.x, FIRST|LAST(A.x [, n]), PREV|NEXT(… [, n]), CLASSIFIER(), MATCH_NUMBER(),
//!                                     COUNT|SUM|MIN|MAX|AVG(x | A.x), COUNT(*), COUNT(A.*)
//! ONE ROW PER MATCH
//! AFTER MATCH SKIP PAST LAST ROW | TO NEXT ROW | TO FIRST A | TO LAST A
//! PATTERN   (A B* C+? (D | E){1,3} $)                                                     journey::row_pattern
//! DEFINE    B AS price < PREV(price), …                   a variable without a definition is any row
//! ```
//! ```text
//! syntax ─► Spec + a projection of what it reads ─► node (logical) ─► exec: whole partitions, sorted ─► matches ─► rows
//! ```
//! The answer has the PARTITION BY columns and the measures; an empty match is a row too. `CLASSIFIER()` is the variable
//! as PATTERN spells it. Rows of equal ORDER BY values come in the total order where the rows tell it (`events`: source and
//! offset, `steps`: session and step), then by whatever else is read, so that the answer is a function of the data.
//!
//! Anything else of the standard is refused by name: ALL ROWS PER MATCH, PERMUTE, {- -}, SUBSET, FINAL and RUNNING.

mod apart;
mod define;
mod exec;
mod input;
mod node;
mod syntax;
mod term;

pub use node::RowPatterns;
pub(super) use syntax::plan;
