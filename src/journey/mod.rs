//! Algorithms over plain slices of one person's events. Knows neither Arrow tables nor DataFusion.

pub mod funnel;
