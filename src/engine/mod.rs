//! (being built)

pub mod functions;
