//! What every message to a person has in common: its layout, and the closest name to a mistyped one.
//!
//! A message reads `what – where – limit – hint`, in lower case and without a full stop; the last part names the
//! next thing to type. The rooms own their error types, [`crate::database`] turns them into [`Explanation`]s, and
//! [`crate::cli`] gives the exit codes.

mod closest;
mod explanation;

pub use closest::{closest, did_you_mean};
pub use explanation::Explanation;
