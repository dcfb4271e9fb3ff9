//! The integration tests, one binary: each binary links the engine again.

mod architecture;
mod cli;
mod duckdb;
mod ingest;
mod kill;
mod loglines;
mod oracle;
mod peercases;
mod readme;
mod scanners;
mod sql;
mod stage;
mod store_kill;
