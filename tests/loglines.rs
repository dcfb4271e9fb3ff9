//! Real log lines against what other programs read in them: peers' cases, and whole logs against a line expression.
//!
//! Cases and logs lie beside the repository (`$JOURNEYQL_SHARED`, else `../shared`); without them the tests say that
//! they were not run.

use std::io::Read as _;
use std::path::PathBuf;

use journeyql::config::{Config, Pages};
use journeyql::event::RawEvent;
use journeyql::normalize::PageNormalizer;
use journeyql::parse::{Choice, LineParser, Outcome, RejectReason, choose};
use journeyql::time;
use serde_json::Value;

fn shared(path: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("JOURNEYQL_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = shared.join(path);
    if path.is_file() {
        return Some(path);
    }
    println!("not run: {} is not there (set JOURNEYQL_SHARED)", path.display());
    None
}

fn parser(format: &str, head: &[u8], config: &str) -> (String, Box<dyn LineParser>) {
    match choose(format, head, &Config::parse(config).unwrap()) {
        Ok(Choice::Text(chosen)) => (chosen.name, chosen.parser),
        other => panic!("{format}: {other:?}"),
    }
}

fn text(text: Option<&[u8]>) -> Value {
    text.map_or(Value::Null, |text| String::from_utf8_lossy(text).into())
}

/// The event's answer to a fact of the cases; `None` for facts that we do not keep.
fn answer(event: &RawEvent<'_>, fact: &str) -> Option<Value> {
    let target = event.target;
    Some(match fact {
        "client" => text(event.ip),
        "user" => text(event.user_id),
        "ts" => time::iso(event.ts).into(),
        "method" => text(event.method),
        "status" => event.status.into(),
        "bytes" => event.bytes.into(),
        "referer" => text(event.referrer),
        "user_agent" => text(event.user_agent),
        "path" => {
            let rules = PageNormalizer::new(&Pages { ids: false, ..Pages::default() }).unwrap();
            let mut page = Vec::new();
            target.map_or(Value::Null, |target| {
                rules.page(target, &mut page);
                text(Some(&page))
            })
        }
        "query" => text(target.and_then(|target| target.split(|byte| *byte == b'?').nth(1))),
        _ => return None,
    })
}

#[test]
fn peers_read_the_same() {
    let Some(path) = shared("peercases/logline.json") else { return };
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut facts = 0;
    for case in cases.iter().filter(|case| case["tier"] == "core") {
        let (id, line) = (&case["id"], case["line"].as_str().unwrap());
        let format = case["format"].as_str().unwrap().split(' ').next().unwrap();
        let by_name = parser(format, line.as_bytes(), "");
        let by_auto = parser("auto", line.as_bytes(), "");
        assert_eq!(by_name.0, by_auto.0, "{id}: {line}");
        for (_, mut parser) in [by_name, by_auto] {
            let mut scratch = Vec::new();
            let Outcome::Event(event) = parser.parse(line.as_bytes(), &mut scratch) else { panic!("{id}: {line}") };
            for (fact, expected) in case["expected"].as_object().unwrap() {
                if let Some(answer) = answer(&event, fact) {
                    let expected = match (fact.as_str(), expected.as_str()) {
                        ("ts", Some(ts)) => time::iso(time::parse_iso(ts.as_bytes(), 0).unwrap()).into(),
                        _ => expected.clone(),
                    };
                    assert_eq!(answer, expected, "{id} {fact}: {line}");
                    facts += 1;
                }
            }
        }
    }
    assert!(facts > 200, "only {facts} facts were compared");
}

/// What the oracle of the real logs takes for a line: host, user, time, request, status, bytes.
const LINE: &str = concat!(
    r#"(?s-u)^(\S+) \S+ (\S+) \[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}|-) (\d+|-)"#,
    r#"(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"(.*))?\s*$"#
);

#[test]
fn real_logs_are_read_like_the_oracle_does() {
    let line = regex::bytes::Regex::new(LINE).unwrap();
    for (log, expected_good, expected_bad) in
        [("semicomplete_combined_10k.log.gz", 9_999, 1), ("hackers_combined.log.gz", 3_456, 0)]
    {
        let Some(path) = shared(&format!("data/access/{log}")) else { continue };
        let mut content = Vec::new();
        flate2::read::MultiGzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut content).unwrap();
        let (name, mut lax) = parser("auto", &content[..content.len().min(256 << 10)], "");
        assert_eq!(name, "combined");
        let (_, mut strict) = parser("combined", b"", "[parse]\nstrict = true");
        let (mut good, mut bad) = (0, 0);
        for text in content.split(|byte| *byte == b'\n').filter(|text| !text.is_empty()) {
            let mut scratch = Vec::new();
            let found = line.captures(text);
            match lax.parse(text, &mut scratch) {
                Outcome::Event(event) => {
                    let found = found.unwrap();
                    let present = |at: usize| found.get(at).map(|text| text.as_bytes()).filter(|text| *text != b"-");
                    assert_eq!(event.ip, present(1));
                    assert_eq!(event.user_id, present(2));
                    assert_eq!(event.bytes, present(6).map(|text| std::str::from_utf8(text).unwrap().parse().unwrap()));
                    assert!(found[4].windows(event.target.unwrap().len()).any(|part| Some(part) == event.target));
                    good += 1;
                }
                Outcome::Reject(reject) => {
                    assert_eq!(reject.reason, RejectReason::UnclosedQuote);
                    assert!(found.is_none());
                    bad += 1;
                }
                Outcome::Drop(rule) => panic!("{rule}: {}", text.escape_ascii()),
            }
            let mut strict_scratch = Vec::new();
            let is_strict = matches!(strict.parse(text, &mut strict_scratch), Outcome::Event(_));
            assert_eq!(is_strict, line.is_match(text), "{}", text.escape_ascii());
        }
        assert_eq!((good, bad), (expected_good, expected_bad), "{log}");
    }
}

#[test]
fn samples_of_other_programs() {
    for (file, format, good, bad) in [
        ("logfile_access_log.0", "combined", 3, 0),
        ("logfile_bad_access_log.0", "combined", 2, 1),
        ("logfile_regexp_access_log.0", "vhost_combined", 2, 0),
        ("logfile_caddy_log.1", "caddy", 4, 0),
        ("logfile_cloudflare.1", "cloudflare", 15, 0),
        ("logfile_haproxy.0", "haproxy", 13, 4),
        ("logfile_w3c.0", "w3c", 1, 0),
        ("logfile_w3c.2", "w3c", 14, 0),
        ("logfile_w3c.3", "w3c", 3, 0),
        ("logfile_w3c.6", "w3c", 1, 0),
        ("logfile_uwsgi.0", "uwsgi", 19, 0),
        ("logfile_invalid_json.json", "ndjson", 4, 1),
    ] {
        let Some(path) = shared(&format!("data/formats/lnav/{file}")) else { continue };
        let content = std::fs::read(path).unwrap();
        let (name, mut parser) = parser("auto", &content, "");
        assert_eq!(name, format, "{file}");
        let mut counts = (0, 0);
        for text in content.split(|byte| *byte == b'\n') {
            let mut scratch = Vec::new();
            match parser.parse(text, &mut scratch) {
                Outcome::Event(_) => counts.0 += 1,
                Outcome::Reject(_) => counts.1 += 1,
                Outcome::Drop(_) => {}
            }
        }
        assert_eq!(counts, (good, bad), "{file}");
    }
    for file in ["logfile_crlf.0", "logfile_epoch.0", "logfile_invalid_utf8.0", "logfile_invalid_tz.0"] {
        let Some(path) = shared(&format!("data/formats/lnav/{file}")) else { continue };
        let content = std::fs::read(path).unwrap();
        let error = choose("auto", &content, &Config::default()).unwrap_err().to_string();
        assert!(error.starts_with("no format fits the first "), "{file}: {error}");
    }
}
