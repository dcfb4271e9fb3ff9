//! Every limit of the product in one place: a number, its unit, and why it is that number.

/// The default idle gap after which a session ends (SEMANTICS §2).
pub const SESSION_GAP_MICROS: i64 = 30 * 60 * 1_000_000;
/// Events before this are quarantined with reason `clock`: 1995-01-01, before any web log worth reading.
pub const EARLIEST_TS: i64 = 788_918_400_000_000;
/// Events later than receipt by more than this are quarantined with reason `clock`.
pub const FUTURE_MICROS: i64 = 24 * 3_600 * 1_000_000;
/// A longer line is quarantined with reason `too_long`, its first bytes kept. Ten times the longest that was seen.
pub const LINE_BYTES: usize = 64 << 20;
/// Memory for parsed rows that wait to be sorted and written, at most; a log in time order needs a quarter of it.
pub const INGEST_BUFFER_BYTES: usize = 512 << 20;
/// Lines after which a follower commits, however short the time: a commit of so many costs little more a line than a
/// larger one.
pub const FLUSH_ROWS: u64 = 500_000;
/// Rows of a row group: small enough that thirty open files stay within a few hundred megabytes.
pub const ROW_GROUP_ROWS: usize = 128 << 10;
/// Rows of a data page: the unit that a point lookup decodes.
pub const PAGE_ROWS: usize = 16 << 10;
/// Parts that one reader keeps open at a time.
pub const OPEN_PARTS: usize = 64;
/// Parts that one reader merges at a time, a quarter of a megabyte each; those beyond [`OPEN_PARTS`] are opened for
/// every page. With more, slices of ids are read into memory part by part, which reads most pages several times.
pub const MERGED_PARTS: usize = 512;
/// Share of refused lines above which `ingest` exits with 3.
pub const MAX_REJECTS: f64 = 0.05;
/// Rows of a batch between operators.
pub const BATCH_ROWS: usize = 8_192;
/// The longest SQL text that is planned: deeper ones could exhaust the planner's stack.
pub const SQL_BYTES: usize = 1 << 20;
/// Operators in a row of one expression: each is a level of the tree that planning and evaluation walk.
pub const SQL_OPERATORS: usize = 500;
/// Levels of brackets and subqueries.
pub const SQL_NESTING: usize = 64;
/// Stack of the thread that plans a statement, in bytes; a page is only taken when it is touched.
pub const PLANNING_STACK: usize = 256 << 20;
/// The longest name of a segment.
pub const NAME_BYTES: usize = 128;
/// Periods of one bracket of a retention: more than anybody has days of data.
pub const BRACKET_PERIODS: usize = 10_000;
/// Conditions of one funnel.
pub const FUNNEL_STEPS: usize = 64;
/// Different steps of a session whose pairs are looked at.
pub const FOLLOWS_STEPS: usize = 1_000;
/// Items of a sequence's pattern.
pub const PATTERN_ITEMS: usize = 64;
/// Rows of a histogram: nobody reads more, and a narrow bucket over a long time would ask for millions.
pub const HISTOGRAM_BUCKETS: i64 = 10_000;
/// Steps of a path that are spelled out; the rest is `…`.
pub const PATH_STEPS_SHOWN: usize = 50;
/// Memory that a query may hold before it spills or fails, in bytes.
pub const QUERY_MEMORY_BYTES: usize = 1 << 30;
