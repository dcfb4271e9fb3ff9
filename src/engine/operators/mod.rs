//! Physical operators of our own.
//!
//! Deliberately not here: what their columns are (`relations/`), the reading of parts (`scan/`).

pub mod by_value;
pub mod events_exec;
pub mod fused;
pub mod journey_exec;
pub mod leaf;
pub mod projections;
pub mod stream;
pub mod yielding;

pub use by_value::FilterByValue;
pub use events_exec::EventsExec;
pub use fused::{FuseAggregates, KeepDistinct};
pub use journey_exec::{JourneyExec, Legend, SharedPass};
pub use projections::KeepProjections;
pub use stream::{Packer, Sink, blocking_stream};
pub use yielding::{JoinsYield, stoppable};
