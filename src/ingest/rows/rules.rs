//! The rules that turn a parsed line into a stored row, compiled once for an ingest.

use std::borrow::Cow;

use super::schema::Schemas;
use crate::config::{Config, SourceIds, Visitor};
use crate::limits;
use crate::normalize::{PageNormalizer, StepRules};
use crate::privacy::{Forgotten, Key, Privacy};

/// Everything that decides about a row besides the line itself.
#[derive(Debug)]
pub struct Rules {
    pub pages: PageNormalizer,
    pub steps: StepRules,
    pub visitor: Visitor,
    pub source_ids: SourceIds,
    /// Where any of its rules is on.
    pub privacy: Option<Privacy>,
    /// Where any is declared.
    pub schemas: Option<Schemas>,
    /// Where anybody was.
    pub forgotten: Option<Forgotten>,
    /// Accepted times in microseconds, both ends included (SEMANTICS §1).
    pub earliest_ts: i64,
    pub latest_ts: i64,
}

impl Rules {
    /// Compiles the configuration for lines received at `now` (µs); `key` is the store's.
    ///
    /// # Errors
    /// A page rule is no regular expression, or there are masks and no key.
    pub fn new(config: &Config, now: i64, key: Option<&Key>) -> Result<Self, String> {
        let privacy = match key {
            Some(key) => Privacy::new(config, key)?,
            None if config.privacy.is_on() => return Err("[privacy] is on, and the store has no key".to_owned()),
            None => None,
        };
        Ok(Self {
            pages: PageNormalizer::new(&config.pages)?,
            steps: StepRules::new(&config.steps),
            visitor: config.identity.visitor,
            source_ids: config.session.source_ids,
            schemas: Schemas::new(&config.schema, privacy.is_some()),
            privacy,
            forgotten: None,
            earliest_ts: limits::EARLIEST_TS,
            latest_ts: now.saturating_add(limits::FUTURE_MICROS),
        })
    }

    /// Whether a refused line names somebody who was erased: it goes like their events.
    pub fn is_forgotten(&self, line: &[u8]) -> bool {
        self.forgotten.as_ref().is_some_and(|forgotten| forgotten.names(line))
    }

    /// What the quarantine and the messages have of a refused line.
    pub fn kept<'a>(&self, line: &'a [u8]) -> Cow<'a, [u8]> {
        self.privacy.as_ref().map_or(Cow::Borrowed(line), |privacy| Cow::Owned(privacy.line(line)))
    }
}
