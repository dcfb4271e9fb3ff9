//! The integration tests, one binary: each binary links the engine again.

mod loglines;
mod peercases;
mod scanners;
