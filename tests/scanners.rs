//! The byte scanners against plain definitions of the same thing, over lines that are broken at random.
//!
//! NCSA: a regular expression and a library's time parser. JSON: a library's parser. All formats: nothing panics.

use std::sync::LazyLock;

use chrono::DateTime;
use journeyql::config::Config;
use journeyql::parse::{Choice, LineParser, Outcome, RejectReason, choose, formats};
use proptest::prelude::*;
use proptest::test_runner::Config as Cases;
use regex::bytes::{Captures, Regex};

fn parser(format: &str, head: &[u8], strict: bool) -> Box<dyn LineParser> {
    let config = Config::parse(&format!("[parse]\nstrict = {strict}")).unwrap();
    match choose(format, head, &config) {
        Ok(Choice::Text(chosen)) => chosen.parser,
        other => panic!("{format}: {other:?}"),
    }
}

const LINES: &[&str] = &[
    r#"192.0.2.7 - frank [05/Jan/2026:10:04:31 +0100] "GET /a?b=1 HTTP/1.1" 200 512 "https://r.example/" "Mozilla/5.0 (X11)""#,
    r#"192.0.2.7 - - [05/Jan/2026:10:04:31 +0000] "GET / HTTP/1.1" 200 5 "-" "-" "sid=0f3a91""#,
    r#"h i u [29/Feb/2024:23:59:60 -0330] "POST /a b HTTP/1.0" - - "a\"b" "\\" x "sid=1" "y""#,
    r#"h i u [05/Jan/2026:10:04:31 +0000] "-" 408 0 "-" "-""#,
    r#"h - u v w [05/Jan/2026:10:04:31 +0000] "" 400 0 "" """#,
    r#"10.0.0.2, 192.0.2.7 - - [05/Jan/2026:10:04:31 +0000] "GET /old" 304 - "-" "\x16" "#,
];

/// A line with some bytes replaced, inserted, removed or doubled; the bytes are those that matter to a scanner.
fn broken(lines: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop::sample::select(&b" \"\\-[]/:+09aZ{},.=\xff\xc3\x7fHux"[..]);
    let edit = (any::<prop::sample::Index>(), 0..4_u8, bytes);
    (prop::sample::select(lines), prop::collection::vec(edit, 0..4)).prop_map(|(line, edits)| {
        let mut line = line.as_bytes().to_vec();
        for (at, kind, byte) in edits {
            if line.is_empty() {
                break;
            }
            let at = at.index(line.len());
            match kind {
                0 => line[at] = byte,
                1 => line.insert(at, byte),
                2 => drop(line.remove(at)),
                _ => line.truncate(at),
            }
        }
        line
    })
}

fn cases(cases: u32) -> Cases {
    Cases { cases, failure_persistence: None, ..Cases::default() }
}

static USUAL: LazyLock<regex::Regex> = LazyLock::new(|| {
    regex::Regex::new(r"^\d{2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:[0-5]\d [+-](0\d|1[0-4])[0-5]\d$").unwrap()
});

/// The time of a line's bracket in the usual notation; `None` where it is no time or written unusually.
fn usual_time(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let time = USUAL.is_match(text).then(|| DateTime::parse_from_str(text, "%d/%b/%Y:%H:%M:%S %z").ok())??;
    Some(time.timestamp_micros())
}

/// Group `at`, `-` and nothing being absent.
fn group<'a>(found: &Captures<'a>, at: usize) -> Option<&'a [u8]> {
    found.get(at).map(|text| text.as_bytes()).filter(|text| !matches!(*text, b"" | b"-"))
}

const LAX: &str = concat!(
    r#"(?s-u)^(\S+) (\S+) (\S+) \[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}|-) (\d+|-)"#,
    r#" "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"(.*)\s*$"#
);
/// The same with a user of several words, or a list of hosts.
const LOOSE: &str = concat!(
    r#"(?s-u)^\S+ \S+ .+? \[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}|-) (\d+|-)"#,
    r#" "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"(.*)\s*$"#
);
const STRICT: &str = concat!(
    r#"(?-u)^(\S+) \S+ (\S+) \[(\d{2}/[A-Za-z]{3}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4})\] "([A-Z]+) (\S+) HTTP/[0-9.]+""#,
    r#" (\d{3}) (\d+|-) "([^"]*)" "([^"]*)"(?: "sid=([^"]*)")?$"#
);

#[test]
fn lax_lines_are_those_of_the_expression() {
    let (lax, loose) = (Regex::new(LAX).unwrap(), Regex::new(LOOSE).unwrap());
    let combined = parser("combined", b"", false);
    let request = Regex::new(r"(?s-u)^([A-Z]+) (\S.*?)(?: (HTTP/[0-9.]+))?$").unwrap();
    proptest!(cases(6_000), |(line in broken(LINES))| {
        let shown = line.escape_ascii().to_string();
        let mut scratch = Vec::new();
        let outcome = combined.fork().parse(&line, &mut scratch);
        let expected = lax.captures(&line).and_then(|found| Some((usual_time(&found[4])?, found)));
        let Outcome::Event(event) = outcome else {
            prop_assert!(expected.is_none(), "refused: {shown}");
            return Ok(());
        };
        let Some((ts, found)) = expected else {
            prop_assert!(loose.is_match(&line), "taken: {shown}");
            return Ok(());
        };
        prop_assert_eq!(event.ts, ts);
        prop_assert_eq!(event.ip, group(&found, 1), "{}", shown);
        prop_assert_eq!(event.user_id, group(&found, 3), "{}", shown);
        prop_assert_eq!(event.status.map(|status| format!("{status:03}").into_bytes()), group(&found, 6).map(<[u8]>::to_vec));
        let target = request.captures(&found[5]).map(|found| found[2].to_vec());
        prop_assert_eq!(event.is_nameless(), target.is_none());
        if !found[5].contains(&b'\\') {
            prop_assert_eq!(event.target.map(<[u8]>::to_vec), target);
        }
        if !found[9].contains(&b'\\') {
            prop_assert_eq!(event.user_agent, group(&found, 9));
        }
    });
}

#[test]
fn strict_lines_are_those_of_the_expression() {
    let strict = Regex::new(STRICT).unwrap();
    let combined = parser("combined", b"", true);
    proptest!(cases(6_000), |(line in broken(LINES))| {
        let shown = line.escape_ascii().to_string();
        let mut scratch = Vec::new();
        let outcome = combined.fork().parse(&line, &mut scratch);
        let Some(found) = strict.captures(&line) else {
            prop_assert!(!matches!(outcome, Outcome::Event(_)), "taken: {}", shown);
            return Ok(());
        };
        let Outcome::Event(event) = outcome else {
            prop_assert!(usual_time(&found[3]).is_none(), "refused: {}", shown);
            return Ok(());
        };
        if let Some(ts) = usual_time(&found[3]) {
            prop_assert_eq!(event.ts, ts);
        }
        prop_assert_eq!(event.ip, group(&found, 1));
        prop_assert_eq!(event.user_id, group(&found, 2));
        prop_assert_eq!((event.method, event.target), (Some(&found[4]), Some(&found[5])));
        prop_assert_eq!(event.session_id, group(&found, 10));
        prop_assert_eq!(event.user_agent, group(&found, 9));
    });
}

const OBJECTS: &[&str] = &[
    r#"{"ts":1767607471,"user_id":"u\u00e91\"","page":"/a","a":[1,-2.5e3,{"b":null}],"properties":{"c":"d","e":[]}}"#,
    r#" { "ts" : "2026-01-05T10:04:31Z" , "x" : { } , "y" : true , "z" : 0.1 , "event" : "e\\" } "#,
    r#"{"ts":1,"properties":{"k":{"k":[[[]]]}},"k":0,"name":"\/\b\f\n\r\t"}"#,
];

#[test]
fn json_is_what_json_is() {
    let ndjson = parser("ndjson", b"", false);
    proptest!(cases(6_000), |(line in broken(OBJECTS))| {
        let shown = line.escape_ascii().to_string();
        let mut scratch = Vec::new();
        let outcome = ndjson.fork().parse(&line, &mut scratch);
        let is_object = line.trim_ascii_start().starts_with(b"{")
            && serde_json::from_slice::<serde::de::IgnoredAny>(&line).is_ok();
        let is_refused = matches!(outcome, Outcome::Reject(reject) if reject.reason == RejectReason::Json);
        let is_blank = matches!(outcome, Outcome::Drop("blank"));
        prop_assert_eq!(is_object, !is_refused && !is_blank, "{}", shown);
        if let Outcome::Event(event) = outcome {
            if let Some(properties) = event.properties {
                let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(properties);
                prop_assert!(properties.starts_with(b"{") && parsed.is_ok(), "{}", shown);
            }
            if let Ok(object) = serde_json::from_slice::<serde_json::Value>(&line)
                && let Some(user) = object["user_id"].as_str()
            {
                prop_assert_eq!(event.user_id, Some(user.as_bytes()), "{}", shown);
            }
        }
    });
}

/// One parser of every format that reads lines, as its first sample sets it up.
fn parsers() -> Vec<Box<dyn LineParser>> {
    let samples = formats().iter().filter_map(|format| Some((format.name, format.samples.first()?)));
    samples.map(|(name, sample)| parser(name, sample.text.as_bytes(), false)).collect()
}

#[test]
fn nothing_panics_on_bytes() {
    let parsers = parsers();
    proptest!(cases(400), |(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..6))| {
        for parser in &parsers {
            let mut parser = parser.fork();
            let mut scratch = Vec::new();
            for line in &lines {
                parser.parse(line, &mut scratch);
            }
            let state = parser.state();
            parser.fork().restore(&state);
        }
    });
    proptest!(cases(20), |(head in prop::collection::vec(any::<u8>(), 0..400))| {
        // Any answer is a good one.
        let _ = choose("auto", &head, &Config::default());
    });
}

#[test]
fn nothing_panics_on_broken_samples() {
    let samples: Vec<&'static str> =
        formats().iter().flat_map(|format| format.samples.iter().flat_map(|sample| sample.text.lines())).collect();
    let samples: &'static [&'static str] = samples.leak();
    let parsers = parsers();
    proptest!(cases(600), |(line in broken(samples))| {
        for parser in &parsers {
            let mut parser = parser.fork();
            let mut scratch = Vec::new();
            parser.parse(&line, &mut scratch);
        }
    });
}
