//! (being built)

pub mod functions;
pub mod scan;
