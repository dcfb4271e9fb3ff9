//! Which source an input is, and how far it is already known.
//!
//! ```text
//! head ─ identify ─► candidates ─ verify ─► continues at tail │ is a prefix │ differs ─► new source
//! ```
//!
//! A source is known by its bytes, not by its name, its packing or the configuration: an input continues a source if
//! and only if the first `offset` plain bytes have the hash that was stored. Its *name* in the data, `source_id`, is a
//! hash of its first event line; where two different sources begin with the same event line, the one that came later
//! is numbered (`identify::source_id`).
//!
//! `again.rs` reads a known source once more from the file that it was last seen as, if its bytes are still the same.
//!
//! Deliberately not here: reading (`input/`), what the lines say (`parse/`).

pub mod again;
pub mod digest;
pub mod identify;
pub mod verify;
