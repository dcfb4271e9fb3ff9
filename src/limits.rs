//! Every limit of the product in one place: a number, its unit, and why it is that number.

use std::time::Duration;

/// The default idle gap after which a session ends (SEMANTICS §2).
pub const SESSION_GAP_MICROS: i64 = 30 * 60 * 1_000_000;
/// Events before this are quarantined with reason `clock`: 1995-01-01, before any web log worth reading.
pub const EARLIEST_TS: i64 = 788_918_400_000_000;
/// Events later than receipt by more than this are quarantined with reason `clock`.
pub const FUTURE_MICROS: i64 = 24 * 3_600 * 1_000_000;
/// A longer line is quarantined with reason `too_long`, its first bytes kept. Ten times the longest that was seen.
pub const LINE_BYTES: usize = 64 << 20;
/// The longest message that is collected; Segment's limit.
pub const MESSAGE_BYTES: usize = 32 << 10;
/// The longest body of messages, before and after unpacking; Segment's limit.
pub const BATCH_BYTES: usize = 500 << 10;
/// Bytes of a file of the inbox after which the next one begins, and the longest time that one is written to.
pub const INBOX_BYTES: u64 = 64 << 20;
pub const INBOX_SECONDS: f64 = 3_600.0;
/// Bytes that may wait in the inbox for a commit; more is refused until there is room again.
pub const INBOX_WAITING_BYTES: u64 = 1 << 30;
/// Memory for parsed rows that wait to be sorted and written, at most; a log in time order needs a quarter of it.
pub const INGEST_BUFFER_BYTES: usize = 512 << 20;
/// Lines after which a follower commits, however short the time: a commit of so many costs little more a line than a
/// larger one.
pub const FLUSH_ROWS: u64 = 500_000;
/// Rows of a row group: small enough that thirty open files stay within a few hundred megabytes.
pub const ROW_GROUP_ROWS: usize = 128 << 10;
/// Rows that are worth a row group of their own: its part of the footer, 4 KiB, is a twentieth of their bytes.
pub const LEAST_GROUP_ROWS: usize = 4 << 10;
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
/// Nodes of a plan before views are put in: hundreds of unions, thousands of times what anybody writes.
pub const PLAN_NODES: usize = 10_000;
/// Bytes that one call of a function may make of much smaller arguments (`repeat`).
pub const VALUE_BYTES: usize = 64 << 20;
/// The longest name of a segment.
pub const NAME_BYTES: usize = 128;
/// Periods of one bracket of a retention: more than anybody has days of data.
pub const BRACKET_PERIODS: usize = 10_000;
/// Conditions of one funnel.
pub const FUNNEL_STEPS: usize = 64;
/// Ways to give events that meet several steps to them, of one unit of a funnel in any order: well below a second.
pub const FUNNEL_CHOICES: usize = 100_000;
/// Different steps of a session whose pairs are looked at.
pub const FOLLOWS_STEPS: usize = 1_000;
/// Items of a sequence's pattern.
pub const PATTERN_ITEMS: usize = 64;
/// Steps of a row pattern with its repetitions spelled out.
pub const ROW_PATTERN_STEPS: usize = 10_000;
/// Ways between the places of a row pattern: what a search looks through.
pub const ROW_PATTERN_WAYS: usize = 1_000_000;
/// Tests of a row pattern from one row where they depend on the match so far: a few seconds.
pub const ROW_PATTERN_TESTS: usize = 1_000_000;
/// Rows of a histogram: nobody reads more, and a narrow bucket over a long time would ask for millions.
pub const HISTOGRAM_BUCKETS: i64 = 10_000;
/// Steps of a path that are spelled out; the rest is `…`.
pub const PATH_STEPS_SHOWN: usize = 50;
/// Memory that a query may hold before it spills or fails, in bytes.
pub const QUERY_MEMORY_BYTES: usize = 1 << 30;
/// Connections that a server has at a time: below the number of files that a process may usually have open.
pub const HTTP_CONNECTIONS: usize = 512;
/// Bytes of a day's list of reads; what is read beyond that is counted and not listed.
pub const READS_DAY_BYTES: u64 = 64 << 20;
/// Bytes of a question that the list of reads has.
pub const READ_BYTES: usize = 8 << 10;
/// Kinds of reads of which a server counts how often they come.
pub const READ_KINDS: usize = 10_000;
/// Queries that a server computes at a time; each has a share of the memory for queries.
pub const HTTP_QUERIES: usize = 4;
/// Queries that wait for their turn; whoever comes then is told to come again.
pub const HTTP_WAITING: usize = 32;
/// How long a query of a server may take.
pub const HTTP_QUERY_TIME: Duration = Duration::from_secs(30);
/// Rows of a server's answer: more belongs into a file.
pub const HTTP_ROWS: usize = 100_000;
/// Bytes of a server's answer, in memory and as text.
pub const HTTP_ANSWER_BYTES: usize = 64 << 20;
/// Bytes of the answers that a server holds for those who ask the same.
pub const HTTP_HELD_BYTES: usize = 64 << 20;
/// Seconds between a server's looks for new data.
pub const HTTP_REFRESH_SECONDS: u64 = 10;
/// How long the head of a request may take to come; also how long a connection may be idle.
pub const HTTP_HEAD_TIME: Duration = Duration::from_secs(15);
/// Bytes of the head of a request.
pub const HTTP_HEAD_BYTES: usize = 64 << 10;
/// How long the body of a request may take to come.
pub const HTTP_BODY_TIME: Duration = Duration::from_secs(10);
/// Bytes of the body of a request.
pub const HTTP_BODY_BYTES: usize = 256 << 10;
/// How long a connection may last, whatever it is used for.
pub const HTTP_CONNECTION_TIME: Duration = Duration::from_mins(10);
/// How long answers that are under way have to end when the server is to stop.
pub const HTTP_STOP: Duration = Duration::from_secs(5);
/// Letters of a token: fewer could be guessed.
pub const HTTP_TOKEN_BYTES: usize = 16;
/// How long the disk is not asked again whether it can be written to, in µs.
pub const HTTP_HEALTH_MICROS: i64 = 2_000_000;
/// How long a client of the Postgres wire has from its first byte to its first statement.
pub const PG_STARTUP: Duration = Duration::from_secs(15);
/// How long a client of the Postgres wire may be silent before the snapshot that it reads is let go.
pub const PG_REST: Duration = Duration::from_secs(30);
/// How long half a message of the Postgres wire is waited for.
pub const PG_HALF: Duration = Duration::from_secs(30);
/// How long a connection of the Postgres wire may be silent: pools hold theirs for minutes.
pub const PG_IDLE: Duration = Duration::from_hours(1);
/// How long a client may take nothing of an answer before it is cut off.
pub const PG_STALL: Duration = Duration::from_mins(1);
/// Bytes of answers that are gathered before they are written to a Postgres client.
pub const PG_WRITE_BYTES: usize = 16 << 10;
/// The longest message of a client: a statement of [`SQL_BYTES`] and its parameters.
pub const PG_MESSAGE_BYTES: usize = 4 << 20;
/// Text of the prepared statements of one connection.
pub const PG_PREPARED_BYTES: usize = 8 << 20;
/// Answers of one connection that are begun and not at their end: cursors, suspended portals.
pub const PG_OPEN_ANSWERS: usize = 32;
/// Portals of one connection: each may hold parameters of a megabyte.
pub const PG_PORTALS: usize = 64;
/// Columns of an answer; as in Postgres.
pub const PG_COLUMNS: usize = 1_664;
