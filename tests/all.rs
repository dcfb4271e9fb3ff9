//! The integration tests, one binary: each binary links the engine again.

mod duckdb;
mod ingest;
mod peercases;
mod sql;
mod stage;
