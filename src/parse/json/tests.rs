//! Sample objects and the rules at the edges.

use super::*;
use crate::config::Fields;
use crate::parse::row::Records;
use crate::time;

fn with<T>(fields: &Fields, line: &str, look: impl FnOnce(Outcome<'_>) -> T) -> T {
    let names = Arc::new(Names::new(Records::Events, EVENTS, fields));
    let mut scratch = Vec::new();
    look(Json::new(names, 0).parse(line.as_bytes(), &mut scratch))
}

fn event<T>(line: &str, look: impl FnOnce(RawEvent<'_>) -> T) -> T {
    with(&Fields::default(), line, |outcome| match outcome {
        Outcome::Event(event) => look(event),
        other => panic!("{line}: {other:?}"),
    })
}

fn refused(line: &str) -> Reject {
    with(&Fields::default(), line, |outcome| match outcome {
        Outcome::Reject(reject) => reject,
        other => panic!("{line}: {other:?}"),
    })
}

fn properties(line: &str) -> Option<String> {
    event(line, |event| event.properties.map(|text| String::from_utf8_lossy(text).into_owned()))
}

const TS: i64 = 1_767_607_471_000_000;

#[test]
fn an_event_line() {
    let line =
        r#"{"ts":"2026-01-05T10:04:31Z","user_id":"u1","session_id":"s1","event":"view","page":"/a?b","plan":"pro"}"#;
    event(line, |event| {
        assert_eq!(
            event,
            RawEvent {
                ts: TS,
                user_id: Some(b"u1"),
                session_id: Some(b"s1"),
                event: Some(b"view"),
                target: Some(b"/a?b"),
                properties: Some(br#"{"plan":"pro"}"#),
                ..RawEvent::default()
            }
        );
    });
}

#[test]
fn every_usual_name() {
    for (role, usual) in EVENTS {
        for name in *usual {
            let value = match role {
                Role::Ts => "1767607471",
                Role::Status => "200",
                Role::Bytes => "512",
                Role::Method => "\"PUT\"",
                Role::Properties => "{\"a\":1}",
                _ => "\"x\"",
            };
            let ts = if *role == Role::Ts { "" } else { "\"ts\":1767607471," };
            event(&format!("{{{ts}\"{name}\":{value}}}"), |event| {
                assert_eq!(event.ts, TS, "{name}");
                assert_eq!(event.properties.is_some(), *role == Role::Properties, "{name}");
            });
        }
    }
}

#[test]
fn ids_are_their_text_and_null_is_absent() {
    event(r#"{"ts":1767607471,"user_id":42,"anonymous_id":true,"session_id":null,"event_id":""}"#, |event| {
        assert_eq!(event.user_id, Some(&b"42"[..]));
        assert_eq!(event.anonymous_id, Some(&b"true"[..]));
        assert_eq!((event.session_id, event.event_id), (None, None));
    });
    event(r#"{"ts":1767607471,"user_id":""}"#, |event| assert_eq!(event.user_id, Some(&b""[..])));
}

#[test]
fn escapes_are_undone() {
    let line = r#"{"ts":1767607471,"user_id":"a\"b\\\/\u00e9\ud83d\ude00\ud83d","page":"/x\ty","na\u006de":"n"}"#;
    event(line, |event| {
        assert_eq!(event.user_id, Some("a\"b\\/é😀\u{fffd}".as_bytes()));
        assert_eq!(event.target, Some(&b"/x\ty"[..]));
        assert_eq!(event.event, Some(&b"n"[..]));
    });
}

#[test]
fn of_equal_keys_the_last_counts() {
    let line = r#"{"ts":1,"ts":1767607471,"user_id":"a","user_id":"b","x":1,"x":2,"page":"/a","page":null}"#;
    event(line, |event| {
        assert_eq!((event.ts, event.user_id, event.target), (TS, Some(&b"b"[..]), None));
        assert_eq!(event.properties, Some(&br#"{"x":2}"#[..]));
    });
}

#[test]
fn of_several_names_the_best_counts_and_the_rest_stay() {
    assert_eq!(
        properties(r#"{"name":"n","ts":1767607471,"event":"e","url":"/u","page":"/p"}"#).unwrap(),
        r#"{"name":"n","url":"/u"}"#
    );
    assert_eq!(
        properties(r#"{"ts":1767607471,"page":{"path":"/p"},"status":"ok","method":"paypal","user_id":"u"}"#).unwrap(),
        r#"{"page":{"path":"/p"},"status":"ok","method":"paypal"}"#
    );
}

#[test]
fn properties_stay_slices() {
    for (line, expected) in [
        (r#"{"ts":1767607471,"properties":{ "a" : [1, {"b":null}] }}"#, Some(r#"{ "a" : [1, {"b":null}] }"#)),
        (r#"{"ts":1767607471,"k":1.50,"properties":{"a":1,"k":2}}"#, Some(r#"{"a":1,"k":2}"#)),
        (r#"{"ts":1767607471,"k":1.50,"properties":{"a":1}}"#, Some(r#"{"k":1.50,"a":1}"#)),
        (r#"{"ts":1767607471,"k":"\u0041","properties":null}"#, Some(r#"{"k":"\u0041"}"#)),
        (r#"{"ts":1767607471,"properties":"text"}"#, Some(r#"{"properties":"text"}"#)),
        (r#"{"ts":1767607471,"properties":{}}"#, None),
        (r#"{"ts":1767607471}"#, None),
    ] {
        assert_eq!(properties(line).as_deref(), expected, "{line}");
    }
}

#[test]
fn configured_names_come_first() {
    let fields =
        Fields { user_id: Some("user.id".to_owned()), page: Some("namespace".to_owned()), ..Fields::default() };
    let line = r#"{"time":"2026-01-05T10:04:31Z","user":{"id":7,"plan":"pro"},"namespace":"Talk","page":"Talk:X"}"#;
    with(&fields, line, |outcome| {
        let Outcome::Event(event) = outcome else { panic!("{outcome:?}") };
        assert_eq!((event.user_id, event.target), (Some(&b"7"[..]), Some(&b"Talk"[..])));
        assert_eq!(event.properties, Some(&br#"{"user":{"id":7,"plan":"pro"},"page":"Talk:X"}"#[..]));
    });
}

#[test]
fn lines_of_changing_shape() {
    let names = Arc::new(Names::new(Records::Events, EVENTS, &Fields::default()));
    let mut parser = Json::new(names, 0);
    for (line, user, properties) in [
        (r#"{"ts":1767607471,"user_id":"a","b":1,"c":2}"#, Some("a"), r#"{"b":1,"c":2}"#),
        (r#"{"ts":1767607471,"c":3}"#, None, r#"{"c":3}"#),
        (r#"{"ts":1767607471,"c":3,"c":4}"#, None, r#"{"c":4}"#),
        (r#"{"ts":1767607471,"c":3,"c":5}"#, None, r#"{"c":5}"#),
        (r#"{"c":9,"user_id":"z","ts":1767607471}"#, Some("z"), r#"{"c":9}"#),
    ] {
        let mut scratch = Vec::new();
        let Outcome::Event(event) = parser.parse(line.as_bytes(), &mut scratch) else { panic!("{line}") };
        assert_eq!(event.ts, TS);
        assert_eq!(event.user_id, user.map(str::as_bytes), "{line}");
        assert_eq!(event.properties, Some(properties.as_bytes()), "{line}");
    }
}

#[test]
fn refused_lines() {
    for (line, reason, matched) in [
        ("[1]", RejectReason::Json, 0),
        (r#"{"ts":1767607471"#, RejectReason::Json, 16),
        (r#"{"ts":1767607471}x"#, RejectReason::Json, 17),
        (r#"{"ts":1767607471,}"#, RejectReason::Json, 17),
        (r#"{"ts":1767607471,"a":[1,]}"#, RejectReason::Json, 24),
        (r#"{"ts":1767607471,"a":{"b" 1}}"#, RejectReason::Json, 26),
        (r#"{"ts":1767607471,"a":"x\q"}"#, RejectReason::Json, 23),
        (r#"{"ts":1767607471,"a":"never closed"#, RejectReason::Json, 34),
        (r#"{"ts":1767607471,"a":nul}"#, RejectReason::Json, 21),
        (r#"{"ts":1767607471,"a":1.}"#, RejectReason::Json, 23),
        (r#"{"a":1}"#, RejectReason::Time, 7),
        (r#"{"ts":"soon"}"#, RejectReason::Time, 7),
        (r#"{"ts":{"a":1}}"#, RejectReason::Time, 14),
    ] {
        assert_eq!(refused(line), Reject { reason, matched }, "{line}");
    }
    let deep = format!(r#"{{"ts":1767607471,"a":{}}}"#, "[".repeat(100_000));
    assert_eq!(refused(&deep).reason, RejectReason::Json);
    with(&Fields::default(), " \t", |outcome| assert_eq!(outcome, Outcome::Drop("blank")));
    event("{\"ts\":\"2026-01-05 10:04:31\",\"user_id\":\"\u{0}\"}", |event| assert_eq!(event.ts, TS));
    assert_eq!(time::iso(TS), "2026-01-05T10:04:31Z");
}
