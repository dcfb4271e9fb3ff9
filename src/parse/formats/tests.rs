//! Every sample of every format says what it is said to say, by its name and by `auto`.

use super::*;
use crate::config::Config;
use crate::event::RawEvent;
use crate::parse::{Choice, Outcome, choose};
use crate::time;

fn says(event: &RawEvent<'_>) -> Vec<(&'static str, String)> {
    let text = |text: Option<&[u8]>| text.map(|text| String::from_utf8_lossy(text).into_owned());
    let fields = [
        ("ts", Some(time::iso(event.ts))),
        ("ip", text(event.ip)),
        ("user_id", text(event.user_id)),
        ("anonymous_id", text(event.anonymous_id)),
        ("session_id", text(event.session_id)),
        ("event_id", text(event.event_id)),
        ("event", text(event.event)),
        ("method", text(event.method)),
        ("target", text(event.target)),
        ("status", event.status.map(|status| status.to_string())),
        ("bytes", event.bytes.map(|bytes| bytes.to_string())),
        ("referrer", text(event.referrer)),
        ("user_agent", text(event.user_agent)),
        ("nameless", event.is_nameless().then(|| "true".to_owned())),
        ("properties", text(event.properties)),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn check(requested: &str, format: &FormatInfo, sample: &Sample) {
    let choice = choose(requested, sample.text.as_bytes(), &Config::default());
    let Ok(Choice::Text(mut chosen)) = choice else { panic!("{requested} {}: {choice:?}", sample.text) };
    assert_eq!(chosen.name, format.name, "{}", sample.text);
    let (header, last) = sample.text.rsplit_once('\n').unwrap_or(("", sample.text));
    for line in header.lines() {
        let mut scratch = Vec::new();
        assert!(matches!(chosen.parser.parse(line.as_bytes(), &mut scratch), Outcome::Drop(_)), "{line}");
    }
    let mut scratch = Vec::new();
    let outcome = chosen.parser.fork().parse(last.as_bytes(), &mut scratch);
    let Outcome::Event(event) = outcome else { panic!("{last}: {outcome:?}") };
    let mut found = says(&event);
    if let Some(properties) = event.properties {
        let _: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(properties).unwrap();
    }
    if !sample.says.iter().any(|(name, _)| *name == "properties") {
        found.retain(|(name, _)| *name != "properties");
    }
    let expected: Vec<(&str, String)> = sample.says.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    assert_eq!(found, expected, "{}", sample.text);
}

#[test]
fn samples_say_what_they_say() {
    for format in formats() {
        assert!(!format.samples.is_empty() || format.name == "parquet", "{} has no sample", format.name);
        for sample in format.samples {
            check(format.name, format, sample);
            check("auto", format, sample);
        }
    }
}

#[test]
fn names_are_unique_and_any_spelling_is_found() {
    let mut names: Vec<&str> =
        formats().iter().flat_map(|format| [format.name].into_iter().chain(format.aliases.iter().copied())).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    assert_eq!(format("VHOST-Combined").map(|format| format.name), Some("vhost_combined"));
    assert_eq!(format("iis").map(|format| format.name), Some("w3c"));
    assert!(format("nope").is_none());
}
