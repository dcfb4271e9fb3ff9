//! Sample lines of the three formats and of everything that stands in their place.

use super::*;
use crate::time;

const TAIL: &str =
    r#"[05/Jan/2026:10:04:31 +0100] "GET /a?b=1 HTTP/1.1" 200 512 "https://r.example/" "Mozilla/5.0 (X11)""#;

fn with<T>(shape: Shape, strict: bool, line: &str, look: impl FnOnce(Outcome<'_>) -> T) -> T {
    let mut scratch = Vec::new();
    look(Ncsa::new(shape, strict).parse(line.as_bytes(), &mut scratch))
}

fn event<T>(shape: Shape, line: &str, look: impl FnOnce(RawEvent<'_>) -> T) -> T {
    with(shape, false, line, |outcome| match outcome {
        Outcome::Event(event) => look(event),
        other => panic!("{line}: {other:?}"),
    })
}

fn reason(shape: Shape, strict: bool, line: &str) -> Option<RejectReason> {
    with(shape, strict, line, |outcome| match outcome {
        Outcome::Reject(reject) => Some(reject.reason),
        _ => None,
    })
}

#[test]
fn a_combined_line() {
    event(Shape::Combined, &format!("192.0.2.7 - frank {TAIL}"), |event| {
        assert_eq!(
            event,
            RawEvent {
                ts: time::parse_iso(b"2026-01-05T09:04:31Z", 0).unwrap(),
                user_id: Some(b"frank"),
                target: Some(b"/a?b=1"),
                method: Some(b"GET"),
                status: Some(200),
                bytes: Some(512),
                referrer: Some(b"https://r.example/"),
                user_agent: Some(b"Mozilla/5.0 (X11)"),
                ip: Some(b"192.0.2.7"),
                ..RawEvent::default()
            }
        );
    });
}

#[test]
fn absent_values() {
    let line = r#"- - - [05/Jan/2026:10:04:31 +0000] "-" - - "-" """#;
    event(Shape::Combined, line, |event| {
        let ts = time::parse_iso(b"2026-01-05T10:04:31Z", 0).unwrap();
        assert_eq!(event, RawEvent { ts, ..RawEvent::default() });
    });
    event(Shape::Combined, &format!("h - \"\" {TAIL}"), |event| assert_eq!(event.user_id, None));
}

#[test]
fn requests() {
    let cases: [(&str, Option<&str>); 10] = [
        ("GET / HTTP/1.1", Some("/")),
        ("GET http://www.example.com/x HTTP/1.0", Some("http://www.example.com/x")),
        ("CONNECT example.com:443 HTTP/1.1", Some("example.com:443")),
        ("GET /a b HTTP/1.1", Some("/a b")),
        ("GET /old", Some("/old")),
        (r#"GET /q?\"x\" HTTP/1.1"#, Some(r#"/q?"x""#)),
        ("", None),
        ("-", None),
        (r"\x16\x03\x01", None),
        ("get / HTTP/1.1", None),
    ];
    for (request, target) in cases {
        let line = format!("h - - [05/Jan/2026:10:04:31 +0000] \"{request}\" 400 0 \"-\" \"-\"");
        event(Shape::Combined, &line, |event| {
            assert_eq!(event.target.map(|text| String::from_utf8_lossy(text).into_owned()).as_deref(), target);
            assert_eq!(event.is_nameless(), target.is_none(), "{request}");
        });
        let strict = reason(Shape::Combined, true, &line);
        let is_exact = matches!(request, "GET / HTTP/1.1" | "GET http://www.example.com/x HTTP/1.0")
            || request.starts_with("CONNECT")
            || request.contains('"');
        if is_exact {
            assert_eq!(strict, None, "{request}");
        } else {
            assert!(strict.is_some(), "{request}");
        }
    }
}

#[test]
fn prefixes() {
    let cases = [
        ("192.0.2.7 - Frank N Furter", "192.0.2.7", Some("Frank N Furter")),
        ("192.0.2.7 some ident -", "192.0.2.7", None),
        ("10.0.0.2, 10.0.0.1, 85.181.35.98 - -", "85.181.35.98", None),
        ("2a03:0:10ff:f00f::8000, 10.225.192.17 10.2.2.121 - -", "2a03:0:10ff:f00f::8000", None),
        ("10.0.0.2, 10.0.0.1 - kim", "10.0.0.2", Some("kim")),
        ("[::1] - kim [admin]", "[::1]", Some("kim [admin]")),
        ("web.example.com - kim", "web.example.com", Some("kim")),
    ];
    for (prefix, ip, user) in cases {
        event(Shape::Combined, &format!("{prefix} {TAIL}"), |event| {
            assert_eq!(event.ip, Some(ip.as_bytes()), "{prefix}");
            assert_eq!(event.user_id, user.map(str::as_bytes), "{prefix}");
        });
    }
}

#[test]
fn virtual_hosts() {
    for vhost in ["www.example.com:443", "www.example.com"] {
        event(Shape::VhostCombined, &format!("{vhost} 192.0.2.7 - frank {TAIL}"), |event| {
            assert_eq!(event.ip, Some(&b"192.0.2.7"[..]));
            assert_eq!(event.properties, Some(format!("{{\"vhost\":\"{vhost}\"}}").as_bytes()));
        });
    }
    let plain = format!("192.0.2.7 - frank {TAIL}");
    assert_eq!(reason(Shape::VhostCombined, false, &plain), Some(RejectReason::Malformed));
}

#[test]
fn session_ids_and_extra_fields() {
    for (tail, id) in [
        (" \"sid=0f3a\"", Some("0f3a")),
        (" 0.012 \"sid=0f3a\" x", Some("0f3a")),
        (" \"-\"", None),
        (" \"sid=-\"", None),
        (" 12 \"never closed", None),
    ] {
        event(Shape::Combined, &format!("h - - {TAIL}{tail}"), |event| {
            assert_eq!(event.session_id, id.map(str::as_bytes), "{tail}");
        });
    }
    assert_eq!(reason(Shape::Combined, true, &format!("h - - {TAIL} \"sid=0f3a\"")), None);
    assert_eq!(reason(Shape::Combined, true, &format!("h - - {TAIL} 12")), Some(RejectReason::Malformed));
}

#[test]
fn common_takes_both() {
    let common = r#"::1 - - [26/Dec/2016:16:16:48 +0200] "-" 408 -"#;
    event(Shape::Common, common, |event| assert_eq!((event.status, event.bytes), (Some(408), None)));
    event(Shape::Common, &format!("h - - {TAIL}"), |event| assert!(event.user_agent.is_some()));
    assert_eq!(reason(Shape::Combined, false, common), Some(RejectReason::Malformed));
    assert_eq!(reason(Shape::Common, true, &format!("h - - {TAIL}")), Some(RejectReason::Malformed));
}

#[test]
fn refused_lines() {
    let cut = TAIL.strip_suffix('"').unwrap();
    for (line, reason_expected, matched) in [
        (format!("h - - {cut}"), RejectReason::UnclosedQuote, 86),
        ("h - - [-] \"GET / HTTP/1.1\" 200 5 \"-\" \"-\"".to_owned(), RejectReason::Time, 7),
        ("error: worker 7 exited".to_owned(), RejectReason::Malformed, 16),
        (format!("h {TAIL}"), RejectReason::Malformed, 0),
        (
            "h - - [05/Jan/2026:10:04:31 +0000] \"GET / HTTP/1.1\" 20 5 \"-\" \"-\"".to_owned(),
            RejectReason::Malformed,
            51,
        ),
    ] {
        with(Shape::Combined, false, &line, |outcome| {
            assert_eq!(outcome, Outcome::Reject(Reject { reason: reason_expected, matched }), "{line}");
        });
    }
    with(Shape::Combined, false, "  ", |outcome| assert_eq!(outcome, Outcome::Drop("blank")));
}
