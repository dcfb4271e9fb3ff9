//! Parameters of reports: `$name` becomes a typed literal in the text before anything is planned.
//!
//! A literal and not a bound `$1`, because an argument of a table function cannot be a parameter. The text is cut at
//! tokens, never searched: `$name` inside a quoted text or a comment is left alone, and a value can only ever be a
//! literal, whatever is in it.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};

use crate::error::closest;
use crate::time;

use super::error::QueryError;
use super::header::{Header, Parameter};

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Integer,
    Double,
    Boolean,
    /// A length of time.
    Interval,
    Date,
    Timestamp,
    /// One or more texts; they become a list of literals separated by commas.
    Texts,
}

impl Kind {
    const NAMES: [(&'static str, Self); 8] = [
        ("text", Self::Text),
        ("integer", Self::Integer),
        ("double", Self::Double),
        ("boolean", Self::Boolean),
        ("interval", Self::Interval),
        ("date", Self::Date),
        ("timestamp", Self::Timestamp),
        ("text[]", Self::Texts),
    ];

    /// Reads the name of a type.
    ///
    /// # Errors
    /// There is no such type.
    pub fn parse(name: &str) -> Result<Self, String> {
        let names: Vec<&str> = Self::NAMES.iter().map(|(name, _)| *name).collect();
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, kind)| *kind).ok_or_else(|| format!("'{name}' is none of {}", names.join(", ")))
    }

    /// The name of the type.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, kind)| *kind == self).map_or("text", |(name, _)| *name)
    }

    /// The value as SQL.
    fn literal(self, value: &str) -> Result<String, String> {
        Ok(match self {
            Self::Text => quoted(value),
            Self::Integer => {
                value.trim().parse::<i64>().map_err(|_| format!("'{value}' is no whole number"))?.to_string()
            }
            Self::Double => {
                let number: f64 = value.trim().parse().map_err(|_| format!("'{value}' is no number"))?;
                if !number.is_finite() {
                    return Err(format!("'{value}' is no finite number"));
                }
                format!("CAST({} AS DOUBLE)", quoted(&format!("{number:?}")))
            }
            Self::Boolean => match value.trim().to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => "TRUE".to_owned(),
                "false" | "no" | "off" | "0" => "FALSE".to_owned(),
                _ => return Err(format!("'{value}' is neither true nor false")),
            },
            Self::Interval => {
                let micros = time::parse_duration(value)?;
                format!("INTERVAL '{micros} microseconds'")
            }
            Self::Date => match time::Day::parse(value.trim()) {
                Some(day) => format!("DATE '{day}'"),
                None => return Err(format!("'{value}' is no day such as 2026-01-05")),
            },
            Self::Timestamp => match time::parse_iso(value.trim().as_bytes(), 0) {
                Some(ts) => format!("CAST('{}' AS TIMESTAMP WITH TIME ZONE)", time::iso(ts)),
                None => return Err(format!("'{value}' is no time such as 2026-01-05T10:00:00Z")),
            },
            Self::Texts => {
                let items = items(value)?;
                items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", ")
            }
        })
    }
}

/// A text literal; the only special character in one is its quote.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn items(value: &str) -> Result<Vec<String>, String> {
    let items: Vec<String> = if value.trim_start().starts_with('[') {
        serde_json::from_str(value).map_err(|error| format!("'{value}' is no JSON list of texts: {error}"))?
    } else {
        value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    };
    if items.is_empty() { Err("the list is empty".to_owned()) } else { Ok(items) }
}

/// The report's text with every parameter replaced by its value or default.
///
/// # Errors
/// A parameter is missing, unknown, of the wrong type, or used without being declared.
pub fn bind(sql: &str, given: &BTreeMap<String, String>) -> Result<String, QueryError> {
    let header = Header::parse(sql).map_err(QueryError::sql)?;
    for name in given.keys() {
        if !header.parameters.iter().any(|it| it.name == *name) {
            return Err(unknown(name, &header.parameters));
        }
    }
    let mut literals = BTreeMap::new();
    for parameter in &header.parameters {
        let Some(value) = given.get(&parameter.name).or(parameter.default.as_ref()) else { continue };
        let literal = parameter.kind.literal(value).map_err(|why| {
            QueryError::sql(format!("parameter {} ({}): {why}", parameter.name, parameter.kind.name()))
        })?;
        literals.insert(parameter.name.as_str(), literal);
    }
    splice(sql, &header.parameters, &literals)
}

fn splice(sql: &str, declared: &[Parameter], literals: &BTreeMap<&str, String>) -> Result<String, QueryError> {
    // A text that cannot be cut into tokens has no parameters; the parser says what is wrong with it.
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location() else {
        return Ok(sql.to_owned());
    };
    let places = Places::of(sql);
    let mut bound = String::with_capacity(sql.len());
    let mut copied = 0;
    for token in tokens {
        let Token::Placeholder(text) = &token.token else { continue };
        let Some(name) = text.strip_prefix('$').filter(|name| !name.starts_with(|it: char| it.is_ascii_digit())) else {
            continue;
        };
        let Some(literal) = literals.get(name) else {
            return Err(match declared.iter().find(|it| it.name == name) {
                Some(it) => QueryError::sql(format!("parameter {name} ({}) is missing: {}", it.kind.name(), it.what))
                    .with_hint(format!("give it with -p {name}=…")),
                None => unknown(name, declared),
            });
        };
        let from = places.offset(token.span.start);
        bound.push_str(&sql[copied..from]);
        bound.push_str(literal);
        copied = from + text.len();
    }
    bound.push_str(&sql[copied..]);
    Ok(bound)
}

fn unknown(name: &str, declared: &[Parameter]) -> QueryError {
    let wrong = QueryError::sql(format!("no parameter {name}"));
    match closest(name, declared.iter().map(|it| it.name.as_str())) {
        Some(near) => wrong.with_hint(format!("did you mean {near}?")),
        None if declared.is_empty() => wrong.with_hint("this report has none"),
        None => {
            let names: Vec<&str> = declared.iter().map(|it| it.name.as_str()).collect();
            wrong.with_hint(format!("there are {}", names.join(", ")))
        }
    }
}

/// Where lines begin, to turn a token's place into a byte offset.
struct Places<'a> {
    sql: &'a str,
    lines: Vec<usize>,
}

impl<'a> Places<'a> {
    fn of(sql: &'a str) -> Self {
        let ends = sql.match_indices('\n').map(|(at, _)| at + 1);
        Self { sql, lines: std::iter::once(0).chain(ends).collect() }
    }

    /// Lines and columns count from 1, columns in characters.
    fn offset(&self, place: Location) -> usize {
        let line = usize::try_from(place.line).unwrap_or(1).saturating_sub(1);
        let column = usize::try_from(place.column).unwrap_or(1).saturating_sub(1);
        let start = self.lines.get(line).copied().unwrap_or(self.sql.len());
        let rest = &self.sql[start..];
        start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn values_become_literals_and_stay_values() {
        let sql = "-- x\n-- parameter: user text, who\n-- parameter: steps text[] = '/a', them\n\
                   SELECT 'ü $user' AS a, $user -- $user\nFROM f($steps) WHERE x = \"$user\"";
        let bound = bind(sql, &given(&[("user", "o'x'; DROP --"), ("steps", "/ä, /b")])).unwrap();
        assert!(bound.contains("SELECT 'ü $user' AS a, 'o''x''; DROP --' -- $user\nFROM f('/ä', '/b')"), "{bound}");
        assert!(bound.ends_with("\"$user\""));
    }

    #[test]
    fn types_are_checked() {
        for (kind, good, sql) in [
            ("integer", "5", "5"),
            ("boolean", "yes", "TRUE"),
            ("interval", "7 days", "INTERVAL '604800000000 microseconds'"),
            ("date", "2026-01-05", "DATE '2026-01-05'"),
            ("double", "0.5", "CAST('0.5' AS DOUBLE)"),
            ("text", "a", "'a'"),
        ] {
            assert_eq!(Kind::parse(kind).unwrap().literal(good).as_deref(), Ok(sql));
        }
        for (kind, bad) in
            [("integer", "5.5"), ("boolean", "x"), ("interval", "1 month"), ("date", "x"), ("text[]", " ")]
        {
            assert!(Kind::parse(kind).unwrap().literal(bad).is_err(), "{kind}");
        }
    }

    #[test]
    fn what_is_missing_or_unknown_is_said() {
        let sql = "-- parameter: window interval, the window\nSELECT $window";
        let said = bind(sql, &given(&[])).unwrap_err().to_string();
        assert!(said.contains("parameter window (interval) is missing"), "{said}");
        let said = bind(sql, &given(&[("windw", "1 day")])).unwrap_err().to_string();
        assert!(said.contains("did you mean window?"), "{said}");
        let said = bind(sql, &given(&[("window", "x")])).unwrap_err().to_string();
        assert!(said.starts_with("parameter window (interval): "), "{said}");
    }
}
