//! The integration tests, one binary: each binary links the engine again.

mod duckdb;
mod ingest;
mod loglines;
mod peercases;
mod scanners;
mod sql;
mod stage;
mod store_kill;
