//! What a panel may be asked with: each parameter has a kind that checks a value and spells it as SQL.
//!
//! Invariant: what [`Kind::sql`] gives is a literal or a name out of a list of ours, whatever the value was.

use std::fmt;

use crate::database::literal;
use crate::error::did_you_mean;
use crate::limits;
use crate::time;

/// A parameter of a panel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub name: &'static str,
    pub kind: Kind,
    /// What is taken where it is not given; `None`: nothing.
    pub default: Option<&'static str>,
    /// Without it there is no answer.
    pub required: bool,
    pub what: &'static str,
    /// The setting that it is; `None`: a part of the query.
    pub setting: Option<&'static str>,
}

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A day or a time.
    Moment,
    /// A length of time.
    Length,
    Text,
    /// A saved group of people.
    Segment,
    /// A whole number from 1 to this one.
    Count(u32),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// One of these columns.
    Column(&'static [&'static str]),
    /// Labels of steps, given several times.
    Labels,
    /// A table or view.
    Relation,
}

/// Why a question makes no sense: the parameter, what is wrong, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    pub parameter: String,
    pub message: String,
    pub hint: Option<String>,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.parameter, self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " – {hint}"))
    }
}

impl std::error::Error for Wrong {}

impl Wrong {
    pub(super) fn new(parameter: &str, message: impl Into<String>) -> Self {
        Self { parameter: parameter.to_owned(), message: message.into(), hint: None }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Parameter {
    /// Whether it chooses sessions, and takes all of them where it has no value.
    #[must_use]
    pub const fn is_filter(&self) -> bool {
        self.setting.is_some() && self.default.is_none()
    }

    /// The values as SQL; several are possible for labels only.
    pub(super) fn sql(&self, values: &[&str]) -> Result<String, Wrong> {
        let wrong = |message: String| Wrong::new(self.name, message);
        match values {
            _ if self.kind == Kind::Labels => labels(values).map_err(wrong),
            [value] => {
                let sql = self.kind.sql(value).map_err(wrong);
                match self.kind.hint(value) {
                    Some(hint) => sql.map_err(|wrong| wrong.with_hint(hint)),
                    None => sql,
                }
            }
            _ => Err(wrong("it is given twice".to_owned())),
        }
    }
}

impl Kind {
    /// A value as SQL.
    fn sql(self, value: &str) -> Result<String, String> {
        match self {
            Self::Moment => match time::parse_iso(value.as_bytes(), 0) {
                Some(_) => Ok(literal(value)),
                None => Err(format!("'{value}' is no day or time")),
            },
            Self::Length => match time::parse_duration(value)? {
                0 => Err(format!("'{value}' is no time at all")),
                _ => Ok(literal(value)),
            },
            Self::Text | Self::Segment => Ok(literal(value)),
            Self::Count(most) => match value.parse::<u32>() {
                Ok(count) if (1..=most).contains(&count) && !value.starts_with('+') => Ok(count.to_string()),
                _ => Err(format!("'{value}' is no whole number from 1 to {most}")),
            },
            Self::Choice(words) if words.contains(&value) => Ok(literal(value)),
            Self::Column(names) if names.contains(&value) => Ok(value.to_owned()),
            Self::Choice(names) | Self::Column(names) => Err(format!("'{value}' is none of {}", names.join(", "))),
            Self::Labels => labels(&[value]),
            Self::Relation => Ok(format!("\"{}\"", value.replace('"', "\"\""))),
        }
    }

    /// What to write in place of a value that makes no sense.
    fn hint(self, value: &str) -> Option<String> {
        match self {
            Self::Moment => Some("write 2026-01-05 or 2026-01-05T10:00:00Z".to_owned()),
            Self::Length => Some("write 30 minutes or 7 days".to_owned()),
            Self::Choice(names) | Self::Column(names) => did_you_mean(value, names.iter().copied()),
            _ => None,
        }
    }
}

/// Labels as literals with commas between them.
fn labels(values: &[&str]) -> Result<String, String> {
    match values.len() {
        0 => Err("no step is given".to_owned()),
        _ if values.contains(&"") => Err("a step has no name".to_owned()),
        count if count > limits::FUNNEL_STEPS => {
            Err(format!("{count} steps are given, at most {} are possible", limits::FUNNEL_STEPS))
        }
        _ => Ok(values.iter().map(|label| literal(label)).collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_a_value() {
        assert_eq!(Kind::Text.sql("o'x'; DROP --").unwrap(), "'o''x''; DROP --'");
        assert_eq!(Kind::Relation.sql("a\" , b").unwrap(), "\"a\"\" , b\"");
        assert_eq!(labels(&["/a", "it's"]).unwrap(), "'/a', 'it''s'");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (kind, value) in [
            (Kind::Moment, "yesterday"),
            (Kind::Moment, "2026-02-30"),
            (Kind::Length, "5"),
            (Kind::Length, "0"),
            (Kind::Count(10), "11"),
            (Kind::Count(10), "0"),
            (Kind::Count(10), "1; DROP"),
            (Kind::Choice(&["user"]), "people"),
            (Kind::Column(&["event"]), "event, 1"),
        ] {
            assert!(kind.sql(value).is_err(), "{value}");
        }
        assert!(labels(&["/a"; 100]).is_err());
    }
}
