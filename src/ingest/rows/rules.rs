//! The rules that turn a parsed line into a stored row, compiled once for an ingest.

use crate::config::{Config, SourceIds, Visitor};
use crate::limits;
use crate::normalize::{PageNormalizer, StepRules};

/// Everything that decides about a row besides the line itself.
#[derive(Debug)]
pub struct Rules {
    pub pages: PageNormalizer,
    pub steps: StepRules,
    pub visitor: Visitor,
    pub source_ids: SourceIds,
    /// Accepted times in microseconds, both ends included (SEMANTICS §1).
    pub earliest_ts: i64,
    pub latest_ts: i64,
}

impl Rules {
    /// Compiles the configuration for lines received at `now` (µs).
    ///
    /// # Errors
    /// A page rule is no regular expression.
    pub fn new(config: &Config, now: i64) -> Result<Self, String> {
        Ok(Self {
            pages: PageNormalizer::new(&config.pages)?,
            steps: StepRules::new(&config.steps),
            visitor: config.identity.visitor,
            source_ids: config.session.source_ids,
            earliest_ts: limits::EARLIEST_TS,
            latest_ts: now.saturating_add(limits::FUTURE_MICROS),
        })
    }
}
