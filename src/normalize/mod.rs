//! From the target of a request to its page, and from an event to whether it is a step.
//!
//! ```text
//! https://shop.example/product/123/?utm=x#top ─► page.rs  ─► /product/<id>
//! page, user agent, method, status            ─► steps.rs ─► counts, or does not
//! ```
//!
//! Invariants: pure functions of their input and the rules, so that callers may remember the answer per distinct
//! value; without user rules the page of a page is that page.
//!
//! Deliberately not here: percent-decoding, case folding, `index.html`: what a server may tell apart stays apart.

mod bots;
mod page;
mod steps;

pub use page::PageNormalizer;
pub use steps::StepRules;
