//! The sections of `journeyql.toml`, one type each, with their defaults.

use serde::{Deserialize, Serialize};

use super::condition::Field;
use crate::time;

/// `[parse]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parse {
    /// A request that is no `METHOD target PROTOCOL` is quarantined instead of stored as an event without path.
    pub strict: bool,
    /// The zone of times that name none: `UTC` or an offset such as `+01:00`.
    pub time_zone: String,
}

impl Default for Parse {
    fn default() -> Self {
        Self { strict: false, time_zone: "UTC".to_owned() }
    }
}

impl Parse {
    /// Microseconds east of UTC.
    ///
    /// # Errors
    /// The zone is neither `UTC` nor an offset.
    pub fn zone_micros(&self) -> Result<i64, String> {
        time::parse_zone(self.time_zone.as_bytes()).ok_or_else(|| {
            format!("[parse] time_zone: '{}' is neither UTC nor an offset such as '+01:00'", self.time_zone)
        })
    }
}

/// `[fields]`: the input's names for our fields, tried before the usual names. A dot reaches into an object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fields {
    pub user_id: Option<String>,
    pub page: Option<String>,
    pub event: Option<String>,
    pub ts: Option<String>,
    pub session_id: Option<String>,
    pub anonymous_id: Option<String>,
    pub event_id: Option<String>,
}

/// Whether session ids of the input split sessions, and come before the visitor in telling who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceIds {
    #[default]
    Honour,
    Ignore,
}

/// `[session]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Session {
    /// The idle gap after which a session ends.
    pub gap: String,
    /// Steps with one of these labels end their session.
    pub end_events: Vec<String>,
    pub source_ids: SourceIds,
    /// The longest session, `0` for no limit.
    pub max_duration: String,
    /// The most events of a session, `0` for no limit.
    pub max_events: u64,
    pub split_at_midnight: bool,
    /// Whether sessions and people that somebody flagged are left out.
    pub skip_flagged: bool,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            gap: "30 minutes".to_owned(),
            end_events: Vec::new(),
            source_ids: SourceIds::Honour,
            max_duration: "0".to_owned(),
            max_events: 0,
            split_at_midnight: false,
            skip_flagged: false,
        }
    }
}

impl Session {
    /// The gap in microseconds.
    ///
    /// # Errors
    /// The text is no length of time.
    pub fn gap_micros(&self) -> Result<i64, String> {
        time::parse_duration(&self.gap).map_err(|error| format!("[session] gap: {error}"))
    }

    /// The longest session in microseconds, 0 for no limit.
    ///
    /// # Errors
    /// The text is no length of time.
    pub fn max_duration_micros(&self) -> Result<i64, String> {
        time::parse_duration(&self.max_duration).map_err(|error| format!("[session] max_duration: {error}"))
    }
}

/// What happens to the query string of a page: stripped, kept, or only some parameters kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Query {
    #[default]
    Strip,
    Keep,
    #[serde(untagged)]
    Only(Vec<String>),
}

/// A user's page rule: the first match of `match` in the page is replaced by `page`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PageRule {
    pub r#match: String,
    pub page: String,
}

impl PageRule {
    /// The compiled pattern.
    ///
    /// # Errors
    /// The pattern is no regular expression.
    pub fn regex(&self) -> Result<regex::Regex, regex::Error> {
        regex::Regex::new(&self.r#match)
    }
}

/// `[pages]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pages {
    /// `false`: the page is the target as written.
    pub normalize: bool,
    /// Path segments that are numbers, UUIDs, long hex or dates become `<id>`.
    pub ids: bool,
    pub query: Query,
    pub rules: Vec<PageRule>,
}

impl Default for Pages {
    fn default() -> Self {
        Self { normalize: true, ids: true, query: Query::Strip, rules: Vec::new() }
    }
}

/// Which files are assets: the built-in list (`false`), none (`true`: assets are steps too), or these extensions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Assets {
    AreSteps(bool),
    Extensions(Vec<String>),
}

/// `[steps]`: which events are steps.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Steps {
    pub assets: Assets,
    pub redirects: bool,
    pub bots: bool,
    /// Only these methods; empty: all.
    pub methods: Vec<String>,
    /// An extra SQL predicate over `events` that a step must meet, applied when read.
    pub r#where: String,
}

impl Default for Steps {
    fn default() -> Self {
        Self {
            assets: Assets::AreSteps(false),
            redirects: false,
            bots: false,
            methods: Vec::new(),
            r#where: String::new(),
        }
    }
}

impl Steps {
    /// The rules that are stored with the row, which is all but `where`.
    #[must_use]
    pub fn stored_rules(&self) -> (&Assets, bool, bool, &[String]) {
        (&self.assets, self.redirects, self.bots, &self.methods)
    }
}

/// What a step is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// The page of a page view, else the event's name.
    #[default]
    Auto,
    /// The page where there is one, else the event's name.
    Page,
    /// The event's name where there is one, else the page.
    Event,
}

/// `[journey]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Journey {
    pub label: Label,
    pub collapse: bool,
    pub terminal_pages: Vec<String>,
    /// Name → SQL predicate over `steps`.
    pub goals: std::collections::BTreeMap<String, String>,
}

impl Default for Journey {
    fn default() -> Self {
        Self {
            label: Label::Auto,
            collapse: true,
            terminal_pages: Vec::new(),
            goals: std::collections::BTreeMap::new(),
        }
    }
}

/// Who an event without any id belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
pub enum Visitor {
    #[default]
    #[serde(rename = "ip+user_agent")]
    IpAndUserAgent,
    #[serde(rename = "ip")]
    Ip,
}

/// `[identity]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    pub visitor: Visitor,
    /// Event names after which a device is nobody's until somebody logs in on it; case does not matter.
    pub log_outs: Vec<String>,
    /// Fields of properties whose equal values link ids, by their keyed hash: `properties.email`. None unless asked for.
    pub matches: Vec<String>,
}

impl Default for Identity {
    fn default() -> Self {
        let names =
            ["logout", "log_out", "logged_out", "logged out", "signout", "sign_out", "signed_out", "signed out"];
        Self { visitor: Visitor::default(), log_outs: names.map(str::to_owned).into(), matches: Vec::new() }
    }
}

impl Identity {
    /// The fields whose equal values link.
    ///
    /// # Errors
    /// One is no field of properties.
    pub fn matches(&self) -> Result<Vec<Vec<String>>, String> {
        let way = |name: &String| match Field::parse(name)? {
            Field::Property(way) => Ok(way),
            Field::Plain(_) => Err(format!("'{name}' is no field of properties, such as properties.email")),
        };
        let ways = self.matches.iter().map(way).collect::<Result<_, String>>();
        ways.map_err(|error| format!("[identity] matches: {error}"))
    }
}

/// `[format.NAME]`: a line format of the user's own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Format {
    /// A regular expression with named groups: `ts`, `user_id`, `ip`, `method`, `page`, `request`, `status`, ….
    pub regex: String,
    /// The time's layout in strftime notation; absent: ISO-8601 or epoch.
    #[serde(default)]
    pub time: Option<String>,
    /// Lines that must match.
    #[serde(default)]
    pub samples: Vec<String>,
}
