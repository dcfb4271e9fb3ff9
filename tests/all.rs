//! The integration tests, one binary: each binary links the engine again.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, says what was not run, and makes its own files"
)]

mod architecture;
mod batches;
mod cancel;
mod cli;
mod collect;
mod corrections;
mod dashboard;
mod days;
mod duckdb;
mod faults;
mod follow;
mod forget;
mod functions;
mod http;
mod identity;
mod ingest;
mod loglines;
mod maintain;
mod messages;
mod native;
mod oracle;
mod panels;
mod peercases;
#[cfg(feature = "pg")]
mod pg;
mod readme;
mod scanners;
mod segments;
mod sql;
mod stage;
mod ways;
