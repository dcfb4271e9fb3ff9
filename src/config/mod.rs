//! `journeyql.toml`: the rules that turn lines into journeys. Every key is optional, an unknown key is an error.
//!
//! ```text
//! read at ingest     [parse] [fields] [pages] [identity] [privacy] [format.*] [schema.*] [steps] but where   the stored row
//! read at query      [session] [journey] [narratives] [steps] where                                          what SQL shows
//! ```
//!
//! Invariants: a `Config` that exists is valid; [`Config::rules_fingerprint`] changes exactly when a rule that is
//! read at ingest changes.
//!
//! Deliberately not here: the meaning of the rules (each in the room that applies it).

mod condition;
mod narratives;
mod privacy;
mod schema;
mod section;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

pub use condition::{Condition, Field, Literal, Plain};
pub use narratives::Narratives;
pub use privacy::{IdMask, IpMask, Privacy, Scrub};
pub use schema::{Declared, Kind, Schema};
pub use section::{
    Assets, Fields, Format, Identity, Journey, Label, PageRule, Pages, Parse, Query, Session, SourceIds, Steps, Visitor,
};

/// All rules of a store.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub parse: Parse,
    pub fields: Fields,
    pub session: Session,
    pub pages: Pages,
    pub steps: Steps,
    pub journey: Journey,
    pub narratives: Narratives,
    pub identity: Identity,
    pub privacy: Privacy,
    /// `[format.NAME]`: the user's own line formats.
    pub format: BTreeMap<String, Format>,
    /// `[schema.EVENT]`: what the properties of events must be.
    pub schema: BTreeMap<String, Schema>,
}

/// Digits of a fingerprint that stand for the rules that read a line.
const READING_DIGITS: usize = 16;

/// The fingerprint of a part whose rows come from parts with these: a half that they do not share is of no rules, so that
/// such rows count as up to date under none.
#[must_use]
pub fn common_fingerprint<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut parts = parts.into_iter();
    let mut common = parts.next().unwrap_or_default().to_owned();
    for other in parts {
        for half in [0..READING_DIGITS, READING_DIGITS..2 * READING_DIGITS] {
            if common.get(half.clone()) != other.get(half.clone()) && common.get(half.clone()).is_some() {
                common.replace_range(half, &"-".repeat(READING_DIGITS));
            }
        }
    }
    common
}

fn fingerprint(rules: &impl Serialize) -> String {
    let text = serde_json::to_string(rules).unwrap_or_default();
    format!("{:016x}", xxh3_64(text.as_bytes()))
}

/// Why a configuration was refused.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: {message}")]
    Invalid { path: PathBuf, message: String },
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, has an unknown key or a value that makes no sense.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|message| ConfigError::Invalid { path: path.to_owned(), message })
    }

    /// Reads and checks the text of a configuration.
    ///
    /// # Errors
    /// What is wrong and where, as a person would say it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        self.session.gap_micros()?;
        self.session.max_duration_micros()?;
        self.parse.zone_micros()?;
        self.privacy.consent()?;
        self.identity.matches()?;
        self.narratives.check()?;
        for rule in &self.pages.rules {
            rule.regex()
                .map_err(|error| format!("[pages] rules: '{}' is no regular expression: {error}", rule.r#match))?;
        }
        for (name, format) in &self.format {
            regex::bytes::Regex::new(&format.regex).map_err(|error| format!("[format.{name}] regex: {error}"))?;
        }
        self.schema.iter().try_for_each(|(event, schema)| schema.check(event))
    }

    /// A fingerprint of every rule that shapes a stored row: 16 hex digits of those that read a line, then 16 of those
    /// that derive its page and whether it is a step, which can be done again without the line.
    #[must_use]
    pub fn rules_fingerprint(&self) -> String {
        let who = (self.identity.visitor, self.session.source_ids);
        let masks = self.privacy.is_on().then_some(&self.privacy);
        let reading = (&self.parse, &self.fields, who, &self.format, masks);
        let reading =
            if self.schema.is_empty() { fingerprint(&reading) } else { fingerprint(&(reading, &self.schema)) };
        reading + &self.derived_fingerprint()
    }

    /// The fingerprint of a row that was stored under the rules `stored` and derived again under these.
    #[must_use]
    pub fn rederived_fingerprint(&self, stored: &str) -> String {
        stored.chars().take(READING_DIGITS).collect::<String>() + &self.derived_fingerprint()
    }

    /// These rules, but those that shape a stored row are the ones of `other`: what [`Config::rules_fingerprint`] is of.
    #[must_use]
    pub fn shaped_by(&self, other: &Self) -> Self {
        Self {
            parse: other.parse.clone(),
            fields: other.fields.clone(),
            session: Session { source_ids: other.session.source_ids, ..self.session.clone() },
            pages: other.pages.clone(),
            steps: Steps { r#where: self.steps.r#where.clone(), ..other.steps.clone() },
            journey: self.journey.clone(),
            narratives: self.narratives.clone(),
            identity: Identity { visitor: other.identity.visitor, ..self.identity.clone() },
            privacy: other.privacy.clone(),
            format: other.format.clone(),
            schema: other.schema.clone(),
        }
    }

    fn derived_fingerprint(&self) -> String {
        fingerprint(&(&self.pages, self.steps.stored_rules()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_text_is_the_defaults() {
        assert_eq!(Config::parse("").unwrap(), Config::default());
        assert_eq!(Config::default().session.gap_micros(), Ok(crate::limits::SESSION_GAP_MICROS));
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        let message = Config::parse("[session]\ngapp = \"5 minutes\"").unwrap_err();
        assert!(message.contains("gapp"), "{message}");
    }

    #[test]
    fn only_stored_rules_move_the_fingerprint() {
        let base = Config::default().rules_fingerprint();
        let gap = Config::parse("[session]\ngap = \"5 minutes\"").unwrap();
        let ids = Config::parse("[pages]\nids = false").unwrap();
        assert_eq!(gap.rules_fingerprint(), base);
        assert_ne!(ids.rules_fingerprint(), base);
        let sources = Config::parse("[session]\nsource_ids = \"ignore\"").unwrap();
        assert_ne!(sources.rules_fingerprint(), base, "it decides who did what");
        assert_eq!(ids.rederived_fingerprint(&base), ids.rules_fingerprint());
        let mixed = common_fingerprint([base.as_str(), ids.rules_fingerprint().as_str()]);
        assert!(mixed != base && mixed != ids.rules_fingerprint() && mixed.starts_with(&base[..READING_DIGITS]));
        assert_eq!(ids.rederived_fingerprint(&mixed), ids.rules_fingerprint());
        assert_eq!(common_fingerprint([base.as_str(), base.as_str()]), base);
        assert_ne!(ids.rederived_fingerprint(&sources.rules_fingerprint()), ids.rules_fingerprint());
        let masks = Config::parse("[privacy]\nip = \"drop\"").unwrap();
        assert_ne!(masks.rules_fingerprint(), base);
        let all = Config::parse("[session]\ngap = \"1 minute\"\nsource_ids = \"ignore\"\n[pages]\nids = false\n[fields]\nts = \"at\"\n[identity]\nvisitor = \"ip\"\nlog_outs = []").unwrap();
        let shaped = Config::default().shaped_by(&all);
        assert_eq!(shaped.rules_fingerprint(), all.rules_fingerprint());
        assert_eq!(shaped.shaped_by(&Config::default()), Config::default(), "nothing else is taken over");
        let none = Config::parse("[privacy]\nip = \"keep\"").unwrap();
        assert_eq!(none.rules_fingerprint(), base);
    }

    #[test]
    fn a_consent_rule_is_read_with_the_rest() {
        let message = Config::parse("[privacy]\nrequire_consent = \"consent = true\"").unwrap_err();
        assert!(message.starts_with("[privacy] require_consent: no field 'consent'"), "{message}");
    }
}
