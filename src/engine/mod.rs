//! (being built)

pub mod scan;
