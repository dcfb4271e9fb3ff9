//! Saved reports: a SELECT with a header that people and the machine read, and parameters.

use std::collections::BTreeMap;
use std::path::Path;

use super::Error;
use crate::engine::QueryError;
use crate::engine::header::Header;
use crate::engine::params::bind;
use crate::engine::views::Queries;

use super::statement::{literal, parameters};

/// The kinds of values a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Integer,
    Number,
    Boolean,
    Date,
    Timestamp,
    Interval,
    TextList,
}

impl Kind {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Text, "text"),
        (Self::Integer, "integer"),
        (Self::Number, "number"),
        (Self::Boolean, "boolean"),
        (Self::Date, "date"),
        (Self::Timestamp, "timestamp"),
        (Self::Interval, "interval"),
        (Self::TextList, "text list"),
    ];

    /// The word in the header.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// The value as SQL, or what is wrong with it.
    fn literal(self, value: &str) -> Result<String, String> {
        let wrong = || format!("'{value}' is no {}", self.name());
        match self {
            Self::Text => Ok(literal(value)),
            Self::TextList => {
                let items: Vec<String> = items(value)?.iter().map(|item| literal(item)).collect();
                if items.is_empty() { Err("the list is empty".to_owned()) } else { Ok(items.join(", ")) }
            }
            Self::Integer => value.trim().parse::<i64>().map(|number| number.to_string()).map_err(|_| wrong()),
            Self::Number => {
                let number = value.trim().parse::<f64>().ok().filter(|number| number.is_finite());
                number.map(|number| format!("{number:?}")).ok_or_else(wrong)
            }
            Self::Boolean => match value.trim().to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" => Ok("true".to_owned()),
                "false" | "no" | "0" => Ok("false".to_owned()),
                _ => Err(wrong()),
            },
            Self::Date => time::Day::parse(value.trim())
                .map(|day| format!("DATE '{day}'"))
                .ok_or_else(|| wrong() + " such as 2026-01-05"),
            Self::Timestamp => time::parse_iso(value.trim().as_bytes(), 0)
                .map(|ts| format!("TIMESTAMP '{}'", time::iso(ts)))
                .ok_or_else(|| wrong() + " such as 2026-01-05T10:00:00Z"),
            Self::Interval => time::parse_duration(value).map(|micros| format!("INTERVAL '{}'", interval_text(micros))),
        }
    }
}

fn interval_text(micros: i64) -> String {
    if micros == 0 { "0 seconds".to_owned() } else { time::duration_text(micros) }
}

/// The items of a list as typed: a JSON array of texts, or texts between commas (`\,` is a comma).
fn items(value: &str) -> Result<Vec<String>, String> {
    if value.trim_start().starts_with('[') {
        return serde_json::from_str(value).map_err(|error| format!("the list is no JSON array of texts: {error}"));
    }
    let mut items = vec![String::new()];
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&',') => {
                chars.next();
                if let Some(last) = items.last_mut() {
                    last.push(',');
                }
            }
            ',' => items.push(String::new()),
            c => {
                if let Some(last) = items.last_mut() {
                    last.push(c);
                }
            }
        }
    }
    Ok(items.into_iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect())
}

/// A parameter as its header line declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub kind: Kind,
    /// The default as a value of `-p`, `None` where one must be given.
    pub default: Option<String>,
    pub what: String,
}

/// A report: its text and what the header says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub name: String,
    pub text: String,
    pub header: Header,
}

impl Report {
    /// A report of one's own.
    ///
    /// # Errors
    /// A header line is not as it should be.
    pub fn new(name: &str, text: String) -> Result<Self, Error> {
        let header = Header::parse(&text).map_err(|why| QueryError::sql(format!("{name}: {why}")))?;
        Ok(Self { name: name.to_owned(), text, header })
    }

    /// The text with every parameter replaced by its value or its default, as a literal of its type.
    ///
    /// # Errors
    /// A parameter is missing, unknown or of another type.
    pub fn sql(&self, values: &BTreeMap<String, String>) -> Result<String, Error> {
        Ok(bind(&self.text, values)?)
    }
}

/// The bundled reports by name, with those in the store's `queries/` in their place or beside them.
///
/// # Errors
/// A report of the store cannot be read or has a malformed header.
pub fn reports(store: &Path) -> Result<Vec<Report>, Error> {
    let folder = store.join("queries");
    let reports = Queries::reports(Some(&folder))?;
    let report = |query: &crate::engine::views::Query| Report {
        name: query.name.clone(),
        text: query.sql.clone(),
        header: query.header.clone(),
    };
    Some(Parameter { name: name.to_owned(), kind, default, what: what.trim().to_owned() })
}

/// The default in front of `, what it is`: quoted texts, for a list several, or a bare word.
fn default_value(text: &str, kind: Kind) -> Option<(String, &str)> {
    let mut values = Vec::new();
    let mut rest = text;
    loop {
        let (value, after) = one_default(rest)?;
        values.push(value);
        rest = after.trim_start();
        let Some(after) = rest.strip_prefix(',') else { break };
        rest = after.trim_start();
        if kind != Kind::TextList || !rest.starts_with('\'') {
            break;
        }
    }
    let value = match kind {
        Kind::TextList => serde_json::to_string(&values).ok()?,
        _ => values.into_iter().next()?,
    };
    Some((value, rest))
}

fn one_default(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('\'') else {
        let end = text.find(',').unwrap_or(text.len());
        return Some((text[..end].trim().to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '\'' {
            value.push(c);
        } else if chars.peek().is_some_and(|(_, next)| *next == '\'') {
            chars.next();
            value.push('\'');
        } else {
            return Some((value, &quoted[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUNNEL: &str = "\
-- How many get from each step to the next.
-- parameter: steps text list = '/', '/it''s', '/thanks', the steps in order
-- parameter: window interval = '7 days', from first to last
-- parameter: top integer = 10, rows
-- parameter: user text, whose
-- columns:
--   step_no integer
SELECT * FROM funnel($steps, window => $window) WHERE u = $user LIMIT $top -- $steps
";

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_header_is_read() {
        let report = Report::parse(FUNNEL).unwrap();
        assert_eq!(report.title, "How many get from each step to the next.");
        let names: Vec<_> =
            report.parameters.iter().map(|p| (p.name.as_str(), p.kind.name(), p.default.as_deref())).collect();
        assert_eq!(
            names,
            [
                ("steps", "text list", Some("[\"/\",\"/it's\",\"/thanks\"]")),
                ("window", "interval", Some("7 days")),
                ("top", "integer", Some("10")),
                ("user", "text", None),
            ]
        );
        assert_eq!(report.parameters[0].what, "the steps in order");
        assert!(Report::parse("-- parameter: broken").unwrap_err().contains("line 1"));
    }

    #[test]
    fn values_become_literals_and_nothing_else() {
        let report = Report::parse(FUNNEL).unwrap();
        let sql = report.with(&values(&[("user", "o'neil'); --"), ("steps", "/,/a b,x\\,y")])).unwrap();
        assert!(
            sql.contains(
                "funnel('/', '/a b', 'x,y', window => INTERVAL '1 week') WHERE u = 'o''neil''); --' LIMIT 10 -- $steps"
            ),
            "{sql}"
        );
    }

    #[test]
    fn wrong_values_are_refused_by_name() {
        let report = Report::parse(FUNNEL).unwrap();
        let refused = |pairs: &[(&str, &str)]| report.with(&values(pairs)).unwrap_err();
        assert_eq!(refused(&[]), "parameter 'user' (whose) has no value – add -p user=…");
        assert_eq!(
            refused(&[("user", "u"), ("widow", "1 day")]),
            "no parameter 'widow' – the report has steps, window, top, user – did you mean 'window'?"
        );
        assert_eq!(refused(&[("user", "u"), ("top", "ten")]), "parameter 'top': 'ten' is no integer");
        assert!(refused(&[("user", "u"), ("window", "1 month")]).contains("no fixed length"));
    }

    #[test]
    fn every_kind_has_a_literal() {
        for (kind, value, literal) in [
            (Kind::Number, "0.5", "0.5"),
            (Kind::Boolean, "yes", "true"),
            (Kind::Date, "2026-01-05", "DATE '2026-01-05'"),
            (Kind::Timestamp, "2026-01-05T10:00", "TIMESTAMP '2026-01-05T10:00:00Z'"),
            (Kind::TextList, "[\"a,b\"]", "'a,b'"),
        ] {
            assert_eq!(kind.literal(value).as_deref(), Ok(literal));
        }
        assert!(Kind::Number.literal("inf").is_err());
        assert!(Kind::Date.literal("2026-13-01").is_err());
    }

    #[test]
    fn a_text_without_parameters_takes_any() {
        let report = Report::parse("select 1").unwrap();
        assert_eq!(report.with(&values(&[("user", "u")])).as_deref(), Ok("select 1"));
        let undeclared = Report::parse("select $a").unwrap();
        assert_eq!(undeclared.with(&values(&[("a", "it's")])).as_deref(), Ok("select 'it''s'"));
    }
}
