//! The settings of a session: `SET journeyql.session_gap = '20 minutes'` and its brothers.
//!
//! | name | value | default |
//! |---|---|---|
//! | `session_gap` | a length of time | `[session] gap` |
//! | `source_ids` | honour, ignore | `[session] source_ids` |
//! | `from`, `to` | a day or a time (UTC); sessions that begin in `[from, to)` | none |
//! | `user` | one person | none |
//! | `segment` | the people of a saved segment | none |
//! | `with_step` | a step: as if sessions without it were not there | none |
//! | `skip_flagged` | true: as if flagged sessions and people were not there | `[session] skip_flagged` |
//! | `label` | auto, page, event | `[journey] label` |
//! | `collapse` | true, false | `[journey] collapse` |
//! | `terminal_pages` | names, separated by commas or as a JSON list | `[journey] terminal_pages` |
//! | `top_n`, `max_steps` | counts for `flows` | 10, 6 |
//! | `path_steps` | paths look at the first so many steps; 0: at all | 0 |
//! | `anomaly_duration` | a length of time; a longer session is too long | 4 hours |
//! | `anomaly_events` | a count; a session of more events has too many | 500 |
//! | `anomaly_rate` | events a second; a session of more is no person's | 2 |
//! | `anomaly_odds` | a count; a path whose moves are less likely than one in so many, on the mean, is rare | 100 |
//! | `onboarding_steps`, `product_steps`, `cart_steps`, `checkout_steps`, `payment_steps`, `done_steps` | regular expressions: what the steps of a narrative are | `[narratives]` |
//! | `now` | a time; when open sessions are judged | the latest event |
//! | `native_aggregates` | false: let `DataFusion` aggregate (same answers, slower) | true |
//!
//! Invariants: a value is checked when it is set; views read the settings when they run, never when they are made.

use std::any::Any;
use std::sync::Arc;

use datafusion::common::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use datafusion::common::{Result, config_err};
use datafusion::config::ConfigOptions;

use crate::config::{Config, Label, Narratives, SourceIds};
use crate::error::closest;
use crate::journey::{Keep, Rules};
use crate::time;

/// What [`Settings`] are called in SQL: `journeyql.NAME`.
pub const PREFIX: &str = "journeyql";

/// What follows the names of `[narratives]` in the names of their settings.
const STEPS: &str = "_steps";

/// Name and description of every setting, in the order `SHOW ALL` lists them.
pub const NAMES: [(&str, &str); 26] = [
    ("session_gap", "the idle time after which a session ends"),
    ("source_ids", "honour or ignore session ids of the input"),
    ("from", "sessions that begin at this day or time or later"),
    ("to", "sessions that begin before this day or time"),
    ("user", "only this person"),
    ("segment", "only people of this segment"),
    ("with_step", "only sessions that have this step"),
    ("skip_flagged", "whether flagged sessions and people are left out"),
    ("label", "what a step is called: auto, page or event"),
    ("collapse", "whether consecutive equal steps are one"),
    ("terminal_pages", "pages where a journey may end without being a drop-off"),
    ("top_n", "steps shown per position of flows"),
    ("max_steps", "positions of flows"),
    ("path_steps", "how many first steps a path looks at; 0: all"),
    ("anomaly_duration", "a longer session is too long"),
    ("anomaly_events", "a session of more events has too many"),
    ("anomaly_rate", "a session of more events a second is no person's"),
    ("anomaly_odds", "a path whose moves are less likely than one in so many is rare"),
    ("onboarding_steps", "steps that lead somebody new in, as a regular expression"),
    ("product_steps", "steps that show a product, as a regular expression"),
    ("cart_steps", "steps by which something goes to the cart, as a regular expression"),
    ("checkout_steps", "steps of the checkout, as a regular expression"),
    ("payment_steps", "steps of the payment, as a regular expression"),
    ("done_steps", "steps by which what was begun is through, as a regular expression"),
    ("now", "the time at which open sessions are judged"),
    ("native_aggregates", "whether aggregates over journeys run inside the pass"),
];

/// The values in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Everything that ends a session; only the gap can be SET.
    pub rules: Rules,
    /// Labels or event names that close their session.
    pub end_events: Vec<String>,
    pub source_ids: SourceIds,
    /// Sessions that begin in `[from, to)`, µs.
    pub from: Option<i64>,
    pub to: Option<i64>,
    pub user: Option<String>,
    pub segment: Option<String>,
    pub with_step: Option<String>,
    /// The people of the segment, ascending, once they are known.
    pub people: Option<Arc<[String]>>,
    /// The segments whose queries are being answered, outermost first.
    pub inside: Vec<String>,
    pub skip_flagged: bool,
    pub label: Label,
    pub collapse: bool,
    pub terminal_pages: Vec<String>,
    pub top_n: u64,
    pub max_steps: u64,
    pub path_steps: u64,
    /// µs
    pub anomaly_duration: i64,
    pub anomaly_events: u64,
    pub anomaly_rate: u64,
    pub anomaly_odds: u64,
    pub narratives: Narratives,
    /// µs
    pub now: Option<i64>,
    pub native_aggregates: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self::new(&Config::default(), None)
    }
}

impl Settings {
    /// The settings a store's configuration asks for. `now` overrides the latest event (µs).
    #[must_use]
    pub fn new(config: &Config, now: Option<i64>) -> Self {
        let session = &config.session;
        Self {
            rules: Rules {
                // A `Config` that exists is valid, so the fall-backs are never taken.
                gap: session.gap_micros().unwrap_or(crate::limits::SESSION_GAP_MICROS),
                max_duration: session.max_duration_micros().unwrap_or(0),
                max_events: session.max_events,
                split_at_midnight: session.split_at_midnight,
            },
            end_events: session.end_events.clone(),
            source_ids: session.source_ids,
            from: None,
            to: None,
            user: None,
            segment: None,
            with_step: None,
            people: None,
            inside: Vec::new(),
            skip_flagged: session.skip_flagged,
            label: config.journey.label,
            collapse: config.journey.collapse,
            terminal_pages: config.journey.terminal_pages.clone(),
            top_n: 10,
            max_steps: 6,
            path_steps: 0,
            anomaly_duration: 4 * time::HOUR,
            anomaly_events: 500,
            anomaly_rate: 2,
            anomaly_odds: 100,
            narratives: config.narratives.clone(),
            now,
            native_aggregates: true,
        }
    }

    /// The settings of a session's options; the defaults where the session has none of ours.
    #[must_use]
    pub fn of(options: &ConfigOptions) -> Self {
        options.extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// The range of session starts, µs.
    #[must_use]
    pub fn within(&self) -> (i64, i64) {
        (self.from.unwrap_or(i64::MIN), self.to.unwrap_or(i64::MAX))
    }

    /// The sessions that are taken; `code` knows the code of a label, where rows have it.
    #[must_use]
    pub fn keep(&self, code: impl Fn(&str) -> Option<u32>) -> Keep {
        let label = self.with_step.as_deref().map(|step| code(step).unwrap_or(Keep::NO_LABEL));
        Keep { within: self.within(), flagged: !self.skip_flagged, label }
    }

    /// The value of a setting as text, `None` if it is not set or there is no such setting.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        Some(match name {
            "session_gap" => time::duration_text(self.rules.gap),
            "source_ids" => match self.source_ids {
                SourceIds::Honour => "honour".to_owned(),
                SourceIds::Ignore => "ignore".to_owned(),
            },
            "from" => time::iso(self.from?),
            "to" => time::iso(self.to?),
            "user" => self.user.clone()?,
            "segment" => self.segment.clone()?,
            "with_step" => self.with_step.clone()?,
            "skip_flagged" => self.skip_flagged.to_string(),
            "label" => match self.label {
                Label::Auto => "auto".to_owned(),
                Label::Page => "page".to_owned(),
                Label::Event => "event".to_owned(),
            },
            "collapse" => self.collapse.to_string(),
            "terminal_pages" => self.terminal_pages.join(", "),
            "top_n" => self.top_n.to_string(),
            "max_steps" => self.max_steps.to_string(),
            "path_steps" => self.path_steps.to_string(),
            "anomaly_duration" => time::duration_text(self.anomaly_duration),
            "anomaly_events" => self.anomaly_events.to_string(),
            "anomaly_rate" => self.anomaly_rate.to_string(),
            "anomaly_odds" => self.anomaly_odds.to_string(),
            "now" => time::iso(self.now?),
            "native_aggregates" => self.native_aggregates.to_string(),
            _ => {
                let name = name.strip_suffix(STEPS)?;
                self.narratives.all().into_iter().find(|(known, _)| *known == name)?.1.to_owned()
            }
        })
    }

    /// Gives a setting the value it has in `base`.
    ///
    /// # Errors
    /// There is no such setting.
    pub fn reset(&mut self, name: &str, base: &Self) -> Result<(), String> {
        match name {
            "session_gap" => self.rules.gap = base.rules.gap,
            "from" => self.from = base.from,
            "to" => self.to = base.to,
            "user" => self.user.clone_from(&base.user),
            "segment" => self.segment.clone_from(&base.segment),
            "with_step" => self.with_step.clone_from(&base.with_step),
            "terminal_pages" => self.terminal_pages.clone_from(&base.terminal_pages),
            "now" => self.now = base.now,
            _ => match base.get(name) {
                Some(value) => self.put(name, &value)?,
                None => return Err(unknown(name)),
            },
        }
        Ok(())
    }

    fn put(&mut self, name: &str, given: &str) -> Result<(), String> {
        let value = given.trim();
        match name {
            "session_gap" => self.rules.gap = time::parse_duration(value)?,
            "source_ids" => {
                self.source_ids = choice(value, &[("honour", SourceIds::Honour), ("ignore", SourceIds::Ignore)])?;
            }
            "from" => self.from = moment(value)?,
            "to" => self.to = moment(value)?,
            "user" => self.user = optional(value),
            "segment" => self.segment = optional(value),
            // The name of a step is what it is, blanks and all.
            "with_step" => self.with_step = optional(given),
            "skip_flagged" => self.skip_flagged = truth(value)?,
            "label" => {
                self.label = choice(value, &[("auto", Label::Auto), ("page", Label::Page), ("event", Label::Event)])?;
            }
            "collapse" => self.collapse = truth(value)?,
            "terminal_pages" => self.terminal_pages = list(value)?,
            "top_n" => self.top_n = count(value, 1)?,
            "max_steps" => self.max_steps = count(value, 1)?,
            "path_steps" => self.path_steps = count(value, 0)?,
            "anomaly_duration" => self.anomaly_duration = time::parse_duration(value)?,
            "anomaly_events" => self.anomaly_events = count(value, 1)?,
            "anomaly_rate" => self.anomaly_rate = count(value, 1)?,
            "anomaly_odds" => self.anomaly_odds = count(value, 1)?,
            "now" => self.now = moment(value)?,
            "native_aggregates" => self.native_aggregates = truth(value)?,
            _ if NAMES.iter().any(|(known, _)| *known == name) => {
                self.narratives.put(name.strip_suffix(STEPS).unwrap_or(name), value)?;
            }
            _ => return Err(unknown(name)),
        }
        Ok(())
    }
}

/// The message for a name that is no setting.
#[must_use]
pub fn unknown(name: &str) -> String {
    let names = NAMES.iter().map(|(name, _)| *name);
    match closest(name, names) {
        Some(near) => format!("no setting {PREFIX}.{name} – did you mean {PREFIX}.{near}?"),
        None => format!("no setting {PREFIX}.{name} – SHOW ALL lists them"),
    }
}

fn optional(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn choice<T: Copy>(value: &str, all: &[(&str, T)]) -> Result<T, String> {
    let found = all.iter().find(|(name, _)| name.eq_ignore_ascii_case(value));
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    found.map(|(_, value)| *value).ok_or_else(|| format!("'{value}' is none of {}", names.join(", ")))
}

fn truth(value: &str) -> Result<bool, String> {
    choice(value, &[("true", true), ("false", false), ("on", true), ("off", false), ("1", true), ("0", false)])
        .map_err(|_| format!("'{value}' is neither true nor false"))
}

fn count(value: &str, least: u64) -> Result<u64, String> {
    match value.parse() {
        Ok(count) if count >= least => Ok(count),
        _ => Err(format!("'{value}' is no whole number from {least}")),
    }
}

fn moment(value: &str) -> Result<Option<i64>, String> {
    if value.is_empty() {
        return Ok(None);
    }
    time::parse_iso(value.as_bytes(), 0)
        .map(Some)
        .ok_or_else(|| format!("'{value}' is no day or time such as 2026-01-05 or 2026-01-05T10:00:00Z"))
}

fn list(value: &str) -> Result<Vec<String>, String> {
    if value.starts_with('[') {
        return serde_json::from_str(value).map_err(|error| format!("'{value}' is no JSON list of texts: {error}"));
    }
    Ok(value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

impl ConfigExtension for Settings {
    const PREFIX: &'static str = PREFIX;
}

impl ExtensionOptions for Settings {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        match self.put(key, value) {
            Ok(()) => Ok(()),
            Err(why) if NAMES.iter().any(|(name, _)| *name == key) => config_err!("{PREFIX}.{key}: {why}"),
            Err(why) => config_err!("{why}"),
        }
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        NAMES
            .iter()
            .map(|&(name, description)| ConfigEntry {
                key: format!("{PREFIX}.{name}"),
                value: self.get(name),
                description,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_shown() {
        let mut settings = Settings::default();
        for (name, value, shown) in [
            ("session_gap", "20 minutes", "20 minutes"),
            ("from", "2026-01-05", "2026-01-05T00:00:00Z"),
            ("terminal_pages", "/thanks, /done", "/thanks, /done"),
            ("terminal_pages", r#"["/a,b"]"#, "/a,b"),
            ("collapse", "off", "false"),
            ("label", "page", "page"),
            ("top_n", "3", "3"),
        ] {
            settings.set(name, value).unwrap();
            assert_eq!(settings.get(name).as_deref(), Some(shown), "{name}");
        }
        assert_eq!(settings.entries().len(), NAMES.len());
    }

    #[test]
    fn a_wrong_value_says_what_is_wrong() {
        let mut settings = Settings::default();
        for (name, value, why) in [
            ("session_gap", "20", "no unit"),
            ("collapse", "maybe", "neither true nor false"),
            ("sesion_gap", "1 hour", "did you mean journeyql.session_gap?"),
            ("from", "yesterday", "no day or time"),
            ("top_n", "0", "no whole number from 1"),
        ] {
            let message = settings.set(name, value).unwrap_err().to_string();
            assert!(message.contains(why), "{name}: {message}");
        }
        assert_eq!(settings, Settings::default());
    }
}
