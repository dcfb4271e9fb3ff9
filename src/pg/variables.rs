//! What clients set of a connection: accepted where it changes nothing or has an effect here, refused otherwise.

use std::collections::BTreeMap;
use std::time::Duration;

use datafusion_postgres::pgwire::error::PgWireResult;

use super::fault::{self, IntoError};
use crate::time;

/// The version that clients are told: they look for what Postgres of that version has.
pub(crate) const VERSION: &str = concat!("15.0 (journeyql ", env!("CARGO_PKG_VERSION"), ")");

/// What a variable is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Any text.
    Free,
    /// Only these, by their first word.
    One(&'static [&'static str]),
    /// A length of time; 0 is none.
    Time,
    /// A time zone, which is UTC by any of its names.
    Zone,
    /// It says what is.
    Fixed,
}

/// A variable: its name as clients are told it, its value at first, and whether clients are told of changes.
type Variable = (&'static str, &'static str, Kind, bool);

const ON: Kind = Kind::One(&["on", "true", "yes", "1"]);
const READ_COMMITTED: Kind =
    Kind::One(&["read committed", "repeatable read", "serializable", "read uncommitted", "read"]);

const VARIABLES: [Variable; 45] = [
    ("application_name", "", Kind::Free, true),
    ("backslash_quote", "safe_encoding", Kind::Free, false),
    ("block_size", "8192", Kind::Fixed, false),
    ("bytea_output", "hex", Kind::One(&["hex"]), false),
    ("check_function_bodies", "on", Kind::Free, false),
    ("client_encoding", "UTF8", Kind::One(&["utf8", "utf-8", "unicode", "auto"]), true),
    ("client_min_messages", "notice", Kind::Free, false),
    ("DateStyle", "ISO, MDY", Kind::One(&["iso"]), true),
    ("default_tablespace", "", Kind::Free, false),
    ("default_transaction_deferrable", "off", Kind::Free, false),
    ("default_transaction_isolation", "repeatable read", READ_COMMITTED, false),
    ("default_transaction_read_only", "on", ON, true),
    ("escape_string_warning", "on", Kind::Free, false),
    ("extra_float_digits", "1", Kind::One(&["1", "2", "3", "0"]), false),
    ("idle_in_transaction_session_timeout", "0", Kind::Time, false),
    ("idle_session_timeout", "0", Kind::Time, false),
    ("in_hot_standby", "off", Kind::Fixed, true),
    ("integer_datetimes", "on", Kind::Fixed, true),
    ("IntervalStyle", "postgres", Kind::One(&["postgres"]), true),
    ("is_superuser", "off", Kind::Fixed, true),
    ("jit", "off", Kind::Free, false),
    ("lc_collate", "C", Kind::Fixed, false),
    ("lc_ctype", "C.UTF-8", Kind::Fixed, false),
    ("lc_messages", "C", Kind::Free, false),
    ("lc_monetary", "C", Kind::Free, false),
    ("lc_numeric", "C", Kind::Free, false),
    ("lc_time", "C", Kind::Free, false),
    ("lock_timeout", "0", Kind::Free, false),
    ("max_identifier_length", "63", Kind::Fixed, false),
    ("max_index_keys", "32", Kind::Fixed, false),
    ("row_security", "on", Kind::Free, false),
    ("search_path", "public", Kind::Free, true),
    ("server_encoding", "UTF8", Kind::Fixed, true),
    ("server_version", VERSION, Kind::Fixed, true),
    ("server_version_num", "150000", Kind::Fixed, false),
    ("session_authorization", "", Kind::Fixed, true),
    ("standard_conforming_strings", "on", ON, true),
    ("statement_timeout", "0", Kind::Time, false),
    ("synchronize_seqscans", "on", Kind::Free, false),
    ("synchronous_commit", "on", Kind::Free, false),
    ("TimeZone", "UTC", Kind::Zone, true),
    ("transaction_deferrable", "off", Kind::Free, false),
    ("transaction_isolation", "repeatable read", READ_COMMITTED, false),
    ("transaction_read_only", "on", ON, false),
    ("xmloption", "content", Kind::Free, false),
];

/// What was set, by names in small letters.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables(BTreeMap<String, String>);

fn known(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name))
}

fn unknown(name: &str) -> datafusion_postgres::pgwire::error::PgWireError {
    let message = format!("unrecognized configuration parameter \"{name}\"");
    fault::hinted("42704", message, "SHOW ALL lists those that there are")
}

impl Variables {
    /// What clients are told at first.
    pub(super) fn reported(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let told = VARIABLES.iter().filter(|(.., told)| *told);
        told.map(|(name, first, ..)| ((*name).to_owned(), self.value(name).unwrap_or_else(|| (*first).to_owned())))
    }

    fn value(&self, name: &str) -> Option<String> {
        self.0.get(&name.to_lowercase()).cloned()
    }

    /// The value of a variable.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn get(&self, name: &str) -> PgWireResult<String> {
        let (name, first, ..) = known(name).ok_or_else(|| unknown(name))?;
        Ok(self.value(name).unwrap_or_else(|| (*first).to_owned()))
    }

    /// The name as it is written, for a column.
    pub(super) fn written(name: &str) -> &str {
        known(name).map_or(name, |(name, ..)| name)
    }

    /// Every variable with its value.
    pub(super) fn all(&self) -> Vec<(String, String)> {
        let value = |(name, first, ..): &Variable| {
            ((*name).to_owned(), self.value(name).unwrap_or_else(|| (*first).to_owned()))
        };
        VARIABLES.iter().map(value).collect()
    }

    /// Sets a variable, or with no value makes it what it was at first; what the client is to be told of it.
    ///
    /// # Errors
    /// There is none of the name, or it is not possible here.
    pub(super) fn set(&mut self, name: &str, value: Option<&str>) -> PgWireResult<Option<(String, String)>> {
        let &(name, first, kind, told) = known(name).ok_or_else(|| unknown(name))?;
        let refused = |what: String| Err(fault::hinted("22023", what, "it cannot be anything else here"));
        if let Some(value) = value {
            let word = value.trim().trim_matches('\'').to_lowercase();
            let word = word.split([',', ' ']).next().unwrap_or_default();
            match kind {
                Kind::Fixed if value != first => return refused(format!("{name} is {first}")),
                Kind::One(some) if !some.contains(&word) => return refused(format!("{name} is {first}, not {value}")),
                Kind::Time => drop(duration(value)?),
                Kind::Zone if !time::is_utc(value) => {
                    return Err(fault::hinted("22023", format!("{name} is {first}, not {value}"), elsewhere(value)));
                }
                _ => {}
            }
        }
        let value = match (kind, value) {
            (Kind::Free | Kind::Time, Some(value)) => value,
            (Kind::One(_), Some(value)) if name == "extra_float_digits" => value,
            _ => first,
        };
        self.0.insert(name.to_lowercase(), value.to_owned());
        Ok(told.then(|| (name.to_owned(), value.to_owned())))
    }

    /// As [`Self::set`], of a client that connects; a warning where it asked for another time zone: many always do, and it
    /// is told the one that there is.
    ///
    /// # Errors
    /// There is none of the name, or it is not possible here.
    pub(super) fn greet(&mut self, name: &str, value: &str) -> PgWireResult<Option<String>> {
        match self.set(name, Some(value)) {
            Err(_) if name.eq_ignore_ascii_case("timezone") => {
                Ok(Some(format!("TimeZone is UTC, not {value} – {}", elsewhere(value))))
            }
            done => done.map(|_| None),
        }
    }

    /// Says who has connected.
    pub(super) fn is_of(&mut self, user: &str) {
        self.0.insert("session_authorization".to_owned(), user.to_owned());
    }

    /// Makes all what they were at first; what the client is to be told.
    pub(super) fn reset(&mut self) -> Vec<(String, String)> {
        let user = self.0.remove("session_authorization");
        self.0.clear();
        self.0.extend(user.map(|user| ("session_authorization".to_owned(), user)));
        self.reported().collect()
    }

    /// How long something may take, if the client said so: `statement_timeout` and the like.
    pub(super) fn time(&self, name: &str) -> Option<Duration> {
        let value = self.0.get(name)?;
        duration(value).ok().flatten()
    }
}

/// How times of another zone are had.
fn elsewhere(zone: &str) -> String {
    let zone = if zone.starts_with(|it: char| it.is_ascii_alphabetic()) { zone } else { "Europe/Berlin" };
    format!("times are UTC; ts AT TIME ZONE '{zone}' is the time there")
}

/// What a client asks for as it connects: variables by name, and those of `options`: `-c name=value`.
pub(super) fn wanted<'a>(startup: impl IntoIterator<Item = (&'a String, &'a String)>) -> Vec<(String, String)> {
    let no_variables = ["user", "database", "options", "replication"];
    let (mut wanted, mut options) = (Vec::new(), String::new());
    for (name, value) in startup {
        if name == "options" {
            options = value.replace("\\ ", "\u{1}");
        } else if !no_variables.contains(&name.as_str()) && !name.starts_with("_pq_.") {
            wanted.push((name.clone(), value.clone()));
        }
    }
    let mut words = options.split_whitespace();
    while let Some(word) = words.next() {
        let pair = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c").filter(|rest| !rest.is_empty())) {
            Some(pair) => Some(pair),
            None if word == "-c" => words.next(),
            None => None,
        };
        if let Some((name, value)) = pair.and_then(|pair| pair.split_once('=')) {
            wanted.push((name.replace('-', "_"), value.replace('\u{1}', " ")));
        }
    }
    wanted
}

/// `500`, `500ms`, `2s`, `1 min`: milliseconds without a unit; 0 is none.
fn duration(text: &str) -> PgWireResult<Option<Duration>> {
    let wrong =
        || fault::error("22023", format!("\"{text}\" is no length of time such as 500, 2s or 1min")).into_error();
    let text = text.trim();
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number: f64 = text[..text.len() - unit.len()].parse().map_err(|_| wrong())?;
    let micros = match unit.trim() {
        "us" => 1,
        "" | "ms" => 1_000,
        "s" => time::SECOND,
        "min" => 60 * time::SECOND,
        "h" => time::HOUR,
        "d" => time::DAY,
        _ => return Err(wrong()),
    };
    #[expect(clippy::cast_precision_loss, reason = "a unit is far below 2^53")]
    let seconds = number * micros as f64 / 1e6;
    let length = Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
    Ok((!length.is_zero()).then_some(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read() {
        for (text, millis) in [("500", 500), ("500ms", 500), ("2s", 2_000), ("1 min", 60_000), ("1.5s", 1_500)] {
            assert_eq!(duration(text).unwrap(), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(duration("0").unwrap(), None);
        for text in ["", "x", "5 years", "-1", "1e999s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_what_is_so_here_can_be_set() {
        let mut variables = Variables::default();
        for (name, value) in [("datestyle", "ISO, DMY"), ("client_encoding", "utf8"), ("application_name", "x")] {
            assert!(variables.set(name, Some(value)).is_ok(), "{name}");
        }
        for (name, value) in
            [("DateStyle", "German"), ("client_encoding", "LATIN1"), ("work_mem_x", "1"), ("server_version", "9")]
        {
            assert!(variables.set(name, Some(value)).is_err(), "{name}");
        }
        for utc in ["UTC", "etc/utc", "GMT", "Z", "0", "+00:00", "UTC+0"] {
            assert!(variables.set("timezone", Some(utc)).is_ok(), "{utc}");
            assert_eq!(variables.get("TimeZone").unwrap(), "UTC");
        }
        for other in ["Europe/Berlin", "+02", "UTC+2", "nonsense", ""] {
            assert!(variables.set("timezone", Some(other)).is_err(), "{other}");
            assert!(variables.greet("TIMEZONE", other).unwrap().is_some(), "{other}");
        }
        assert_eq!(variables.get("TimeZone").unwrap(), "UTC");
        assert_eq!(variables.get("DATESTYLE").unwrap(), "ISO, MDY");
        assert_eq!(variables.get("application_name").unwrap(), "x");
        variables.reset();
        assert_eq!(variables.get("application_name").unwrap(), "");
    }
}
