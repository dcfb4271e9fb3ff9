//! Parameters of reports: `$name` becomes a typed literal in the text before anything is planned.
//!
//! A literal and not a bound `$1`, because an argument of a table function cannot be a parameter. The text is cut at
//! tokens, never searched: `$name` inside a quoted text or a comment is left alone, and a value can only ever be a
//! literal, whatever is in it.

use std::collections::BTreeMap;
use std::fmt;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};

use serde_json::Value;

use crate::error::closest;
use crate::time;

use super::error::{Position, QueryError};
use super::header::{Header, Parameter};

/// The type of a parameter, or of the items of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Text,
    Integer,
    Number,
    Boolean,
    /// A length of time.
    Interval,
    Day,
    Timestamp,
}

/// The types, and a second name of some.
const ITEMS: [(Item, &str, &str); 7] = [
    (Item::Text, "text", "text"),
    (Item::Integer, "integer", "integer"),
    (Item::Number, "number", "double"),
    (Item::Boolean, "boolean", "boolean"),
    (Item::Interval, "interval", "interval"),
    (Item::Day, "day", "date"),
    (Item::Timestamp, "timestamp", "timestamp"),
];

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    item: Item,
    /// One or more of them; they become literals separated by commas: steps of a funnel, a list in brackets, `IN ($list)`.
    list: bool,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ITEMS.iter().find(|it| it.0 == self.item).map_or("text", |it| it.1);
        f.write_str(if self.list { "list of " } else { "" })?;
        f.write_str(name)
    }
}

impl Kind {
    /// Reads the name of a type; `text[]` is `list of text`.
    ///
    /// # Errors
    /// There is no such type.
    pub fn parse(text: &str) -> Result<Self, String> {
        let of = text.strip_prefix("list of ").or_else(|| text.strip_suffix("[]"));
        let (name, list) = of.map_or((text, false), |name| (name.trim(), true));
        let found = ITEMS.iter().find(|it| it.1 == name || it.2 == name);
        found.map(|it| Self { item: it.0, list }).ok_or_else(|| {
            let names: Vec<&str> = ITEMS.iter().map(|it| it.1).collect();
            format!("'{text}' is no type – there are {}, and list of each", names.join(", "))
        })
    }

    /// Checks a value as it is typed.
    ///
    /// # Errors
    /// It is none of this type.
    pub fn check(self, value: &str) -> Result<(), String> {
        self.literal(value).map(drop)
    }

    /// A value such as somebody may type.
    #[must_use]
    pub fn example(self) -> String {
        let item = match self.item {
            Item::Text => "text",
            Item::Integer => "10",
            Item::Number => "0.5",
            Item::Boolean => "true",
            Item::Interval => "7 days",
            Item::Day => "2026-01-05",
            Item::Timestamp => "2026-01-05T10:00:00Z",
        };
        if self.list { format!("{item},{item}") } else { item.to_owned() }
    }

    /// The value as SQL.
    fn literal(self, value: &str) -> Result<String, String> {
        if !self.list {
            return self.item.literal(value);
        }
        let literals: Result<Vec<String>, String> = items(value)?.iter().map(|item| self.item.literal(item)).collect();
        Ok(literals?.join(", "))
    }
}

impl Item {
    fn literal(self, value: &str) -> Result<String, String> {
        Ok(match self {
            Self::Text => quoted(value),
            Self::Integer => {
                value.trim().parse::<i64>().map_err(|_| format!("'{value}' is no whole number"))?.to_string()
            }
            Self::Number => {
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
            Self::Day => match time::Day::parse(value.trim()) {
                Some(day) => format!("DATE '{day}'"),
                None => return Err(format!("'{value}' is no day such as 2026-01-05")),
            },
            Self::Timestamp => match time::parse_iso(value.trim().as_bytes(), 0) {
                Some(ts) => format!("CAST('{}' AS TIMESTAMP WITH TIME ZONE)", time::iso(ts)),
                None => return Err(format!("'{value}' is no time such as 2026-01-05T10:00:00Z")),
            },
        })
    }
}

/// A text literal; the only special character in one is its quote.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn items(value: &str) -> Result<Vec<String>, String> {
    let items: Vec<String> = if value.trim_start().starts_with('[') {
        let items: Vec<Value> =
            serde_json::from_str(value).map_err(|error| format!("'{value}' is no JSON list: {error}"))?;
        let text = |item: Value| match item {
            Value::String(text) => Ok(text),
            Value::Number(_) | Value::Bool(_) => Ok(item.to_string()),
            other => Err(format!("'{value}' is no list of single values: {other} is none")),
        };
        items.into_iter().map(text).collect::<Result<_, _>>()?
    } else {
        value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    };
    if items.is_empty() { Err("the list is empty".to_owned()) } else { Ok(items) }
}

/// The report's text with every parameter replaced by its value or default. Nothing is planned before all are right.
///
/// # Errors
/// A parameter is missing, unknown, of the wrong type, or used without being declared.
pub fn bind(sql: &str, given: &BTreeMap<String, String>) -> Result<String, QueryError> {
    let declared = Header::parse(sql).map_err(QueryError::sql)?.parameters;
    for name in given.keys() {
        if !declared.iter().any(|it| it.name == *name) {
            return Err(unknown(name, &declared));
        }
    }
    let mut literals = BTreeMap::new();
    for it in &declared {
        let Some(value) = given.get(&it.name).or(it.default.as_ref()) else {
            let what = format!("parameter {} ({}) is missing: {}", it.name, it.kind, it.what);
            return Err(QueryError::sql(what).with_hint(list(&declared)));
        };
        let literal = it.kind.literal(value).map_err(|why| {
            QueryError::sql(format!("parameter {} ({}): {why}", it.name, it.kind)).with_hint(list(&declared))
        })?;
        literals.insert(it.name.as_str(), literal);
    }
    splice(sql, &declared, &literals)
}

/// What may be given, for messages.
fn list(declared: &[Parameter]) -> String {
    let one = |it: &Parameter| match &it.default {
        Some(default) => format!("{} ({}) = {default}", it.name, it.kind),
        None => format!("{} ({}), required", it.name, it.kind),
    };
    let all: Vec<String> = declared.iter().map(one).collect();
    if all.is_empty() { "it takes no parameters".to_owned() } else { format!("it takes {}", all.join("; ")) }
}

fn splice(sql: &str, declared: &[Parameter], literals: &BTreeMap<&str, String>) -> Result<String, QueryError> {
    replaced(sql, |name, at| {
        if name.starts_with(|it: char| it.is_ascii_digit()) {
            return Ok(None);
        }
        if let Some(literal) = literals.get(name) {
            return Ok(Some(literal.clone()));
        }
        let wrong = QueryError::sql(format!("${name} is not declared")).with_position(Some(at));
        Err(match closest(name, declared.iter().map(|it| it.name.as_str())) {
            Some(near) => wrong.with_hint(format!("did you mean ${near}?\n{}", list(declared))),
            None => wrong.with_hint(format!("put this line at the head: -- parameter: {name} text, what it is")),
        })
    })
}

/// The text with what `literal` gives in place of each `$name`, if it gives something.
pub(super) fn replaced(
    sql: &str,
    mut literal: impl FnMut(&str, Position) -> Result<Option<String>, QueryError>,
) -> Result<String, QueryError> {
    // A text that cannot be cut into tokens has no parameters; the parser says what is wrong with it.
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location() else {
        return Ok(sql.to_owned());
    };
    let mut walk = Walk::of(sql);
    let mut bound = String::with_capacity(sql.len());
    let mut copied = 0;
    for token in tokens {
        let Token::Placeholder(text) = &token.token else { continue };
        let Some(name) = text.strip_prefix('$') else { continue };
        let at = Position { line: token.span.start.line, column: token.span.start.column };
        let Some(literal) = literal(name, at)? else { continue };
        let from = walk.offset(token.span.start);
        bound.push_str(&sql[copied..from]);
        bound.push_str(&literal);
        copied = from + text.len();
    }
    bound.push_str(&sql[copied..]);
    Ok(bound)
}

fn unknown(name: &str, declared: &[Parameter]) -> QueryError {
    let wrong = QueryError::sql(format!("no parameter {name}"));
    match closest(name, declared.iter().map(|it| it.name.as_str())) {
        Some(near) => wrong.with_hint(format!("did you mean {near}?\n{}", list(declared))),
        None => wrong.with_hint(list(declared)),
    }
}

/// A walk through a text, to turn the places of tokens, which come in order, into byte offsets.
struct Walk<'a> {
    rest: std::str::CharIndices<'a>,
    end: usize,
    line: u64,
    column: u64,
}

impl<'a> Walk<'a> {
    fn of(sql: &'a str) -> Self {
        Self { rest: sql.char_indices(), end: sql.len(), line: 1, column: 1 }
    }

    /// Lines and columns count from 1, columns in characters.
    fn offset(&mut self, place: Location) -> usize {
        while (self.line, self.column) < (place.line, place.column) {
            match self.rest.next() {
                Some((_, '\n')) => (self.line, self.column) = (self.line + 1, 1),
                Some(_) => self.column += 1,
                None => return self.end,
            }
        }
        self.rest.clone().next().map_or(self.end, |(at, _)| at)
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
            ("day", "2026-01-05", "DATE '2026-01-05'"),
            ("number", "0.5", "CAST('0.5' AS DOUBLE)"),
            ("double", "2", "CAST('2.0' AS DOUBLE)"),
            ("text", "a", "'a'"),
            ("list of text", "[\"a, b\", \"c\"]", "'a, b', 'c'"),
            ("text[]", "a, b", "'a', 'b'"),
            ("list of integer", "[1, 2]", "1, 2"),
            ("list of day", "2026-01-05,2026-01-06", "DATE '2026-01-05', DATE '2026-01-06'"),
        ] {
            assert_eq!(Kind::parse(kind).unwrap().literal(good).as_deref(), Ok(sql));
        }
        for (kind, bad) in [
            ("integer", "5.5"),
            ("boolean", "x"),
            ("interval", "1 month"),
            ("day", "x"),
            ("text[]", " "),
            ("integer[]", "1,x"),
        ] {
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
        let said = bind("-- parameter: a text, it\nSELECT 1,\n  $b", &given(&[("a", "x")])).unwrap_err();
        assert_eq!((said.message.as_str(), said.at), ("$b is not declared", Some(Position { line: 3, column: 3 })));
    }
}
