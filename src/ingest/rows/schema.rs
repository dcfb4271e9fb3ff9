//! `[schema.EVENT]`: whether the properties of an event are those that were declared.
//!
//! What is checked is the object that a JSON line calls `properties`; without one, all that no column holds. Of what is
//! wrong the first is told: the properties in the order of their names, then what is not declared. The text names types
//! and never values; where lines are masked it names nothing that stands in them, for no erasure would find it.
//!
//! Formats that know texts alone (CSV, patterns) are met by a text that reads as what was declared.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;

use crate::config::{Declared, Kind, Schema};
use crate::event::{RawEvent, Refused, RejectReason};
use crate::privacy::json;
use crate::time;

/// Texts of a list that a reason names.
const NAMED: usize = 8;
/// Letters of an undeclared name that a reason has.
const NAME_CHARS: usize = 80;

/// All schemas, by the name of their event.
#[derive(Debug)]
pub struct Schemas {
    events: HashMap<Vec<u8>, Declaration, FixedState>,
}

#[derive(Debug)]
struct Declaration {
    event: String,
    properties: Vec<Property>,
    /// The first names of all ways, where there may be no others.
    only: Option<Vec<String>>,
    /// Whether lines are masked.
    masked: bool,
}

#[derive(Debug)]
struct Property {
    name: String,
    way: Vec<String>,
    declared: Declared,
    is_required: bool,
}

impl Schemas {
    /// `None` where nothing is declared; `masked` says that of a refused line only its shape is kept.
    pub fn new(schemas: &BTreeMap<String, Schema>, masked: bool) -> Option<Self> {
        let declaration =
            |(event, schema): (&String, &Schema)| (event.clone().into_bytes(), Declaration::new(event, schema, masked));
        let events = schemas.iter().map(declaration);
        (!schemas.is_empty()).then(|| Self { events: events.collect() })
    }

    /// Whether an event is as its schema, if it has one, declares it.
    ///
    /// # Errors
    /// It is not: the event, the property, what was expected and what was found.
    pub fn check(&self, event: &RawEvent<'_>) -> Result<(), Refused> {
        let Some(declaration) = event.event.and_then(|name| self.events.get(name)) else { return Ok(()) };
        let properties = event.own_properties.or(event.properties).unwrap_or(b"{}");
        match declaration.violation(properties, event.is_untyped) {
            None => Ok(()),
            Some(what) => {
                let detail = Some(format!("{}: {what}", declaration.event));
                Err(Refused { reason: RejectReason::Schema, detail })
            }
        }
    }
}

impl Declaration {
    fn new(event: &str, schema: &Schema, masked: bool) -> Self {
        let way = |name: &String| name.split('.').map(str::to_owned).collect();
        let property = |(name, declared): (&String, &Declared)| Property {
            name: name.clone(),
            way: way(name),
            declared: declared.clone(),
            is_required: schema.required.contains(name),
        };
        let properties: Vec<Property> = schema.properties.iter().map(property).collect();
        let only = properties.iter().filter_map(|property| property.way.first().cloned()).collect();
        Self { event: event.to_owned(), properties, only: (!schema.additional).then_some(only), masked }
    }

    /// The first thing that is wrong with an object of properties.
    fn violation(&self, object: &[u8], is_untyped: bool) -> Option<String> {
        for Property { name, way, declared, is_required } in &self.properties {
            let found = json::token(way, object).filter(|token| *token != b"null");
            let is_met = match found {
                Some(token) => declared_is(declared, token, is_untyped),
                None => !is_required,
            };
            if !is_met {
                return Some(format!("{name}: {} expected, {} found", expected(declared), named(declared, found)));
            }
        }
        let only = self.only.as_ref()?;
        let is_known = |key: &[u8]| only.iter().any(|name| name.as_bytes() == key);
        let (key, token) = json::members(object).find(|(key, _)| !is_known(key))?;
        let shown = |key: &[u8]| String::from_utf8_lossy(key).chars().take(NAME_CHARS).collect();
        let name = if self.masked { "a property".to_owned() } else { shown(&key) };
        Some(format!("{name}: nothing expected, {} found", kind(token).name()))
    }
}

/// The type of a value as JSON writes it.
fn kind(token: &[u8]) -> Kind {
    match token.first() {
        Some(b'"') => Kind::Text,
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::List,
        Some(b't' | b'f') => Kind::Boolean,
        _ if is_integer(token) => Kind::Integer,
        _ => Kind::Number,
    }
}

fn declared_is(declared: &Declared, token: &[u8], is_untyped: bool) -> bool {
    let wanted = match declared {
        Declared::Values(values) => {
            let text = (kind(token) == Kind::Text).then(|| json::unquote(token));
            return text.is_some_and(|text| values.iter().any(|value| value.as_bytes() == text.as_ref()));
        }
        Declared::Kind(wanted) => *wanted,
    };
    let found = kind(token);
    if is_untyped && found == Kind::Text {
        let text = json::unquote(token);
        return match wanted {
            Kind::Any | Kind::Text => true,
            Kind::Integer => is_integer(&text),
            Kind::Number => number(&text).is_some(),
            Kind::Boolean => text.eq_ignore_ascii_case(b"true") || text.eq_ignore_ascii_case(b"false"),
            Kind::Timestamp => time::parse_iso(&text, 0).is_some(),
            Kind::List | Kind::Object => false,
        };
    }
    match wanted {
        Kind::Any => true,
        Kind::Number => matches!(found, Kind::Integer | Kind::Number),
        Kind::Timestamp => found == Kind::Text && time::parse_iso(&json::unquote(token), 0).is_some(),
        wanted => wanted == found,
    }
}

/// A number as JSON and logs write it; neither `inf` nor `NaN`.
fn number(text: &[u8]) -> Option<f64> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E');
    let text = Some(text).filter(|text| text.iter().all(is_digit))?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `3`, `-3`, `3.0` and `3e2`.
fn is_integer(text: &[u8]) -> bool {
    number(text).is_some_and(|number| number.fract() == 0.0)
}

/// What was declared, for people.
fn expected(declared: &Declared) -> String {
    match declared {
        Declared::Kind(Kind::Any) => "something".to_owned(),
        Declared::Kind(kind) => kind.name().to_owned(),
        Declared::Values(values) => {
            let named: Vec<String> = values.iter().take(NAMED).map(|value| format!("'{value}'")).collect();
            format!("{}{}", named.join(" or "), if values.len() > NAMED { " or …" } else { "" })
        }
    }
}

/// What was found, for people.
fn named(declared: &Declared, found: Option<&[u8]>) -> &'static str {
    let Some(found) = found.map(kind) else { return "nothing" };
    let may_be_text = matches!(declared, Declared::Values(_) | Declared::Kind(Kind::Timestamp));
    if found == Kind::Text && may_be_text { "another text" } else { found.name() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const BUY: &str = r#"
        [schema.buy]
        required = ["total", "plan"]
        additional = false
        [schema.buy.properties]
        total = "number"
        plan = ["free", "pro"]
        at = "timestamp"
        n = "integer"
        gift = "boolean"
        "address.zip" = "text"
        tags = "list"
        extra = "any"
    "#;

    fn why(properties: &str, own: Option<&str>, is_untyped: bool) -> Option<String> {
        let schemas = Schemas::new(&Config::parse(BUY).unwrap().schema, false).unwrap();
        let event = RawEvent {
            event: Some(b"buy"),
            properties: Some(properties.as_bytes()),
            own_properties: own.map(str::as_bytes),
            is_untyped,
            ..RawEvent::default()
        };
        schemas.check(&event).err().map(|refused| refused.text().into_owned())
    }

    #[test]
    fn a_violation_names_event_property_expected_and_found() {
        let whole =
            r#"{"total":1.5,"plan":"pro","at":"2026-01-05","n":3,"gift":false,"address":{"zip":"1"},"tags":[]}"#;
        assert_eq!(why(whole, None, false), None);
        assert_eq!(why(r#"{"plan":"free","total":2,"n":3.0,"gift":null,"extra":{}}"#, None, false), None);
        for (properties, said) in [
            (r#"{"total":"1.5","plan":"pro"}"#, "schema: buy: total: number expected, text found"),
            (r#"{"plan":"pro"}"#, "schema: buy: total: number expected, nothing found"),
            (r#"{"plan":"pro","total":null}"#, "schema: buy: total: number expected, nothing found"),
            (r#"{"total":1,"plan":"gold"}"#, "schema: buy: plan: 'free' or 'pro' expected, another text found"),
            (r#"{"total":1,"plan":1}"#, "schema: buy: plan: 'free' or 'pro' expected, integer found"),
            (r#"{"total":1,"plan":"pro","n":1.5}"#, "schema: buy: n: integer expected, number found"),
            (r#"{"total":1,"plan":"pro","at":"soon"}"#, "schema: buy: at: timestamp expected, another text found"),
            (
                r#"{"total":1,"plan":"pro","address":{"zip":[1]}}"#,
                "schema: buy: address.zip: text expected, list found",
            ),
            (r#"{"total":1,"plan":"pro","gift":"true"}"#, "schema: buy: gift: boolean expected, text found"),
            (r#"{"total":1,"plan":"pro","color":{}}"#, "schema: buy: color: nothing expected, object found"),
        ] {
            assert_eq!(why(properties, None, false).as_deref(), Some(said), "{properties}");
        }
    }

    #[test]
    fn a_format_without_types_is_met_by_how_a_text_reads() {
        let row = r#"{"total":"1.5","plan":"pro","n":"3","gift":"TRUE","at":"2026-01-05T10:00:00Z"}"#;
        assert_eq!(why(row, None, true), None);
        let said = why(r#"{"total":"inf","plan":"pro"}"#, None, true);
        assert_eq!(said.as_deref(), Some("schema: buy: total: number expected, text found"));
    }

    #[test]
    fn what_stands_around_the_properties_is_not_of_them() {
        let own = Some(r#"{"total":1,"plan":"pro"}"#);
        assert_eq!(why(r#"{"type":"track","context":{},"total":1,"plan":"pro"}"#, own, false), None);
        assert_eq!(Schemas::new(&BTreeMap::new(), false).map(|_| ()), None);
    }

    #[test]
    fn events_without_a_schema_are_as_they_are() {
        let schemas = Schemas::new(&Config::parse(BUY).unwrap().schema, false).unwrap();
        for event in [None, Some(&b"sell"[..])] {
            assert_eq!(schemas.check(&RawEvent { event, ..RawEvent::default() }), Ok(()));
        }
    }
}
