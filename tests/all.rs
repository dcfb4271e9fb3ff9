//! The integration tests, one binary: each binary links the engine again.

mod architecture;
mod cli;
mod duckdb;
mod ingest;
mod kill;
mod peercases;
mod readme;
