//! Whether an event meets a condition, in SQL's three-valued logic: what is absent is neither equal nor unequal, and
//! only what is true counts.
//!
//! Values are compared by their text: `true` is met by a JSON `true` and by the text `TRUE` (csv has no other), a
//! number by any spelling of its value.

use std::borrow::Cow;

use super::json;
use crate::config::{Condition, Field, Literal, Plain};
use crate::event::RawEvent;

/// Whether the event meets the condition; `None`: nobody knows.
pub(super) fn holds(condition: &Condition, event: &RawEvent<'_>) -> Option<bool> {
    match condition {
        Condition::Any(either) => decide(either, event, true),
        Condition::All(both) => decide(both, event, false),
        Condition::Not(inner) => holds(inner, event).map(|held| !held),
        Condition::IsNull(field) => Some(value(field, event).is_none()),
        Condition::In(field, literals) => {
            value(field, event).map(|value| literals.iter().any(|literal| equals(&value, literal)))
        }
    }
}

/// One that is `decisive` decides; else one that is unknown does.
fn decide(conditions: &[Condition], event: &RawEvent<'_>, decisive: bool) -> Option<bool> {
    let mut all = Some(!decisive);
    for condition in conditions {
        match holds(condition, event) {
            Some(held) if held == decisive => return Some(decisive),
            Some(_) => {}
            None => all = None,
        }
    }
    all
}

fn equals(value: &[u8], literal: &Literal) -> bool {
    match literal {
        Literal::Text(text) => value == text.as_bytes(),
        Literal::Bool(wanted) => value.eq_ignore_ascii_case(if *wanted { b"true" } else { b"false" }),
        #[expect(clippy::float_cmp, reason = "spellings of one number, not results of a calculation")]
        Literal::Number(text, number) => {
            value == text.as_bytes()
                || std::str::from_utf8(value)
                    .is_ok_and(|value| value.parse::<f64>().is_ok_and(|value| value == *number))
        }
    }
}

/// The text of a field; `None` where the event has none.
fn value<'a>(field: &Field, event: &RawEvent<'a>) -> Option<Cow<'a, [u8]>> {
    let number = |number: Option<i64>| number.map(|number| Cow::Owned(number.to_string().into_bytes()));
    let text = match field {
        Field::Property(names) => return json::property(names, event.properties?),
        Field::Plain(Plain::Status) => return number(event.status.map(i64::from)),
        Field::Plain(Plain::Bytes) => return number(event.bytes),
        Field::Plain(Plain::Event) => event.event,
        Field::Plain(Plain::Path) => event.target,
        Field::Plain(Plain::Method) => event.method,
        Field::Plain(Plain::Referrer) => event.referrer,
        Field::Plain(Plain::UserAgent) => event.user_agent,
        Field::Plain(Plain::Ip) => event.ip,
        Field::Plain(Plain::UserId) => event.user_id,
        Field::Plain(Plain::AnonymousId) => event.anonymous_id,
        Field::Plain(Plain::SessionId) => event.session_id,
        Field::Plain(Plain::EventId) => event.event_id,
    };
    text.map(Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_as_sql_decides_them() {
        let event = RawEvent {
            event: Some(b"login"),
            status: Some(200),
            properties: Some(
                br#"{"consent":true,"csv":"TRUE","n":1.0,"t":"1","none":null,"o":{"ads":"no","deep":{"x":"y\u007a"}}}"#,
            ),
            ..RawEvent::default()
        };
        for (text, expected) in [
            ("properties.consent = true", Some(true)),
            ("properties.csv = true", Some(true)),
            ("properties.consent = 'true'", Some(true)),
            ("properties.consent = false", Some(false)),
            ("properties.consent != false", Some(true)),
            ("properties.missing = true", None),
            ("properties.missing != true", None),
            ("NOT properties.missing = true", None),
            ("properties.none IS NULL", Some(true)),
            ("properties.o IS NOT NULL", Some(true)),
            ("properties.o.ads IN ('yes', 'some')", Some(false)),
            ("properties.o.ads NOT IN ('yes', 'some')", Some(true)),
            ("properties.o.deep.x = 'yz'", Some(true)),
            ("properties.consent.x = 1", None),
            ("properties.n = 1 AND properties.t = 1", Some(true)),
            ("properties.n = '1.0'", Some(true)),
            ("event = 'login' AND status = 200", Some(true)),
            ("event = 'login' AND ip = 'x'", None),
            ("event = 'logout' AND ip = 'x'", Some(false)),
            ("event = 'login' OR ip = 'x'", Some(true)),
            ("event = 'logout' OR ip = 'x'", None),
            ("NOT (event = 'logout' OR status = 404)", Some(true)),
        ] {
            assert_eq!(holds(&Condition::parse(text).unwrap(), &event), expected, "{text}");
        }
    }
}
