//! The integration tests, one binary: each binary links the engine again.

mod duckdb;
mod peercases;
mod store_kill;
