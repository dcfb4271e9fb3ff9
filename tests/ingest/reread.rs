//! Stored events that are read again from their sources: as if the rules had always been these, and nothing comes back.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use journeyql::config::Config;
use journeyql::ingest::{FromSource, IngestError, Reread, retry};
use journeyql::maintain::{Someone, forget};
use journeyql::store::{Meter, Refused};
use journeyql::time::Day;
use proptest::prelude::*;

use super::tables::parquet;
use super::{NOW, Place, gzip, line, log};
use crate::stage::cases;

/// A log that calls a user `who`, on some days, in some order.
fn events(count: u64) -> String {
    let event = |at: u64| {
        let (day, minute, second) = (1 + at % 9, at / 60 % 60, at % 60);
        format!(
            "{{\"ts\":\"2026-01-{day:02}T10:{minute:02}:{second:02}Z\",\"user_id\":\"u{}\",\"who\":\"w{}\",\"page\":\"/{at}\"}}\n",
            at % 5,
            at % 7
        )
    };
    (0..count).map(event).collect()
}

fn days(from: &str, to: &str) -> (Day, Day) {
    (Day::parse(from).unwrap(), Day::parse(to).unwrap())
}

const ALL: (&str, &str) = ("1995-01-01", "2027-01-01");

fn prepare(place: &Place, (from, to): (&str, &str)) -> Result<FromSource, IngestError> {
    FromSource::prepare(&place.store, &place.config, days(from, to), NOW, &Meter::silent())
}

/// The days read again under `rules`; the laws hold before and after.
#[track_caller]
fn reread(place: &mut Place, rules: &str, range: (&str, &str)) -> Reread {
    place.config = Config::parse(rules).unwrap();
    let (before, snapshot) = (place.tables(), place.store.snapshot().unwrap().id);
    let planned = prepare(place, range).unwrap().report;
    place.tables().assert_same(&before, "only asked");
    assert_eq!(place.store.snapshot().unwrap().id, snapshot);
    let prepared = prepare(place, range).unwrap();
    let (report, as_if) = (prepared.report.clone(), place.store.links(prepared.as_if()).unwrap());
    assert_eq!(report, planned, "what was promised");
    assert_eq!(report.counts.violation(), None, "{report:?}");
    prepared.commit().unwrap();
    let snapshot = place.store.snapshot().unwrap().id;
    assert_eq!(place.tables().links, as_if, "who is who was promised");
    let nothing = prepare(place, range).unwrap();
    assert_eq!(nothing.report, Reread::default(), "nothing is left to do");
    nothing.commit().unwrap();
    assert_eq!(place.store.snapshot().unwrap().id, snapshot, "nothing to do makes no snapshot");
    let report_of = place.store.verify(true, &Meter::silent()).unwrap();
    assert!(report_of.findings.is_empty(), "{:?}", report_of.findings);
    report
}

fn from_scratch(rules: &str, name: &str, bytes: impl AsRef<[u8]>) -> Place {
    let place = Place::with(rules);
    place.take(name, bytes);
    place
}

#[test]
fn events_that_are_read_again_are_as_if_the_rules_had_always_been_these() {
    let csv = "ts,user_id,page,who\n2026-01-05T10:00:00,ann,\"/b\nc\",bea\n2026-01-05T23:30:00,ann,/d,bea\n";
    let w3c = "#Fields: date time c-ip cs-uri-stem\n2026-01-05 10:00:00 1.1.1.1 /a\n\
               #Fields: c-ip date time cs-uri-stem\n1.1.1.1 2026-01-06 23:00:00 /c";
    let common = String::from_utf8(log(0..900)).unwrap();
    let (app, packed) = (events(500), gzip(events(300).as_bytes()));
    let inputs: [(&str, &[u8]); 6] = [
        ("app.ndjson", app.as_bytes()),
        ("app.ndjson.gz", &packed),
        ("a.csv", csv.as_bytes()),
        ("a.w3c", w3c.as_bytes()),
        ("access.log", common.as_bytes()),
        ("day.parquet", &parquet(700)),
    ];
    for rules in [
        "[fields]\nuser_id = \"who\"\n[pages]\nids = false",
        "[parse]\ntime_zone = \"+05:00\"\n[identity]\nvisitor = \"ip\"",
        "[privacy]\nuser_id = \"hash\"\nip = \"truncate\"\nscrub_query = [\"q\"]",
    ] {
        for (name, bytes) in inputs {
            let mut place = from_scratch("", name, bytes);
            place.file(
                name,
                [bytes, if name.ends_with("gz") || name.ends_with("parquet") { b"" } else { b"x" }].concat(),
            );
            let count = place.tables().events.len() as u64;
            if rules.starts_with("[privacy]") {
                // One key, one hash.
                let straight = from_scratch(rules, name, bytes);
                fs::copy(straight.store.dir().join("privacy.key"), place.store.dir().join("privacy.key")).unwrap();
                let told = reread(&mut place, rules, ALL);
                assert_eq!((told.counts.lines, told.counts.stored), (count, count), "{name}");
                assert_eq!(place.tables().events.len(), straight.tables().events.len());
                let ids = |place: &Place| {
                    let mut rows = place.tables().events;
                    for row in &mut rows {
                        row.truncate(row.find(" source_id=").unwrap());
                    }
                    rows.sort();
                    rows
                };
                assert_eq!(ids(&place), ids(&straight), "{name}");
                continue;
            }
            let told = reread(&mut place, rules, ALL);
            assert_eq!((told.sources, told.counts.lines, told.counts.stored), (1, count, count), "{name}");
            place.tables().assert_same(&from_scratch(rules, name, bytes).tables(), name);
            reread(&mut place, "", ALL);
            place.tables().assert_same(&from_scratch("", name, bytes).tables(), "and back");
        }
    }
}

#[test]
fn a_half_last_line_still_grows_after_it_was_read_again() {
    let half = format!("{}{{\"ts\":\"2026-01-05T10:00:01Z\",\"user_id\":\"u\",\"who\":\"ann\"}}", events(3));
    for rules in ["[fields]\nuser_id = \"who\"", "[privacy]\nrequire_consent = \"properties.consent = true\""] {
        let mut place = from_scratch("", "app.ndjson", &half);
        reread(&mut place, rules, ALL);
        let grown = format!("{half}\n{}", events(9));
        place.take("app.ndjson", &grown);
        // A masked source has a name of its own.
        let counts = |place: &Place| place.tables().sources.into_values().collect::<Vec<_>>();
        let straight = from_scratch(rules, "app.ndjson", &grown);
        assert_eq!(counts(&place), counts(&straight), "{rules}");
        assert_eq!(place.tables().events.len(), straight.tables().events.len());
        let mut place = from_scratch("", "app.ndjson", &half);
        reread(&mut place, rules, ALL);
        place.take("app.ndjson", half.replace("ann\"}", "ann\" }\n"));
        assert_eq!(place.tables().sources.len(), 2, "another text");
    }
}

#[test]
fn only_the_days_that_are_meant_are_read_and_other_files_stay() {
    let mut place = from_scratch("", "app.ndjson", events(500));
    let files = |place: &Place| -> BTreeSet<String> {
        let snapshot = place.store.snapshot().unwrap();
        snapshot.events().iter().map(|part| part.path.display().to_string()).collect()
    };
    let before = files(&place);
    let told = reread(&mut place, "[fields]\nuser_id = \"who\"", ("2026-01-03", "2026-01-04"));
    assert_eq!((told.days, before.intersection(&files(&place)).count()), (2, 7));
    let (old, new) = (
        from_scratch("", "app.ndjson", events(500)),
        from_scratch("[fields]\nuser_id = \"who\"", "app.ndjson", events(500)),
    );
    let of = |place: &Place, inside: bool| -> Vec<String> {
        let meant = |row: &&String| (row.contains("day=2026-01-03 ") || row.contains("day=2026-01-04 ")) == inside;
        place.tables().events.iter().filter(meant).cloned().collect()
    };
    assert_eq!((of(&place, true), of(&place, false)), (of(&new, true), of(&old, false)));
    reread(&mut place, "[fields]\nuser_id = \"who\"", ALL);
    place.tables().assert_same(&new.tables(), "the rest");
}

#[test]
fn a_source_that_is_gone_or_changed_is_named_before_anything_is_written() {
    let rules = "[fields]\nuser_id = \"who\"";
    for (name, bytes) in [("app.ndjson", events(50).into_bytes()), ("day.parquet", parquet(50))] {
        let mut place = from_scratch("", name, &bytes);
        place.take("other.ndjson", events(40).replace('/', "/x"));
        place.config = Config::parse(rules).unwrap();
        let (before, snapshot) = (place.tables(), place.store.snapshot().unwrap().id);
        let path = place.file(name, &bytes);
        let refused = |what: &str| {
            let error = prepare(&place, ALL).unwrap_err();
            assert!(
                matches!(&error, IngestError::SourceGone { names } if *names == [path.display().to_string()]),
                "{what}: {error}"
            );
            assert!(error.to_string().contains("put that back"), "{error}");
            place.tables().assert_same(&before, what);
            assert_eq!(place.store.snapshot().unwrap().id, snapshot);
        };
        let mut other = bytes.clone();
        other[20] ^= 1;
        place.file(name, other);
        refused("changed");
        place.file(name, &bytes[..bytes.len() - 9]);
        refused("cut");
        fs::remove_file(&path).unwrap();
        refused("gone");
        fs::create_dir(&path).unwrap();
        refused("a folder");
        fs::remove_dir(&path).unwrap();
        place.file(name, &bytes);
        assert_eq!(prepare(&place, ALL).unwrap().report.sources, 2);
    }
}

#[test]
fn what_was_refused_dropped_or_a_duplicate_stays_that() {
    let event = |who: &str, id: &str, more: &str| {
        format!(
            "{{\"ts\":\"2026-01-05T10:00:00Z\",\"user_id\":\"{who}\",\"message_id\":\"{id}\",\"no\":\"{id}{who}\"{more}}}\n"
        )
    };
    let text = [
        event("ann", "1", ",\"consent\":true"),
        event("bob", "2", ""),
        event("ann", "1", ",\"consent\":true"),
        "no json\n".to_owned(),
        event("cid", "3", ",\"consent\":true"),
    ]
    .concat();
    let consent = "[privacy]\nrequire_consent = \"properties.consent = true\"\n";
    let mut place = from_scratch(consent, "app.ndjson", &text);
    let counts = |place: &Place| place.tables().sources.values().next().copied().unwrap();
    assert_eq!(counts(&place)[1..], [5, 2, 1, 1, 1]);
    // Neither the event without consent nor the copy comes back, although these rules would take both.
    let told = reread(&mut place, "[fields]\nevent_id = \"no\"", ALL);
    assert_eq!((told.counts.lines, told.counts.stored), (2, 2));
    assert_eq!(counts(&place)[1..], [5, 2, 1, 1, 1]);
    // And consent that is asked for now takes out who has not given it.
    let mut place = from_scratch("", "app.ndjson", &text);
    let told = reread(&mut place, consent, ALL);
    assert_eq!((told.counts.stored, told.counts.dropped_by.get("consent")), (2, Some(&1)));
    assert_eq!(counts(&place)[1..], [5, 2, 1, 1, 1]);
    retry(&place.store, &place.config, &Refused::default(), NOW, false).unwrap();
}

#[test]
fn who_was_erased_does_not_come_back_under_another_name_for_the_field() {
    let text = "{\"ts\":\"2026-01-05T10:00:00Z\",\"user_id\":\"alice-0123\",\"page\":\"/\"}\n\
                {\"ts\":\"2026-01-05T10:00:01Z\",\"who\":\"alice-0123\",\"anonymous_id\":\"device-1\",\"page\":\"/a\"}\n\
                {\"ts\":\"2026-01-05T10:00:02Z\",\"who\":\"bob\",\"anonymous_id\":\"device-2\",\"page\":\"/b\"}\n";
    let mut place = from_scratch("", "app.ndjson", text);
    let alice = Someone { person: "alice-0123".to_owned(), spellings: Vec::new() };
    forget(&place.store, &place.config, &alice, NOW, false).unwrap();
    let told = reread(&mut place, "[fields]\nuser_id = \"who\"", ALL);
    assert_eq!((told.counts.stored, told.counts.dropped_by.get("erased")), (1, Some(&1)), "{told:?}");
    assert!(place.tables().events.iter().all(|row| !row.contains("alice")));
}

#[test]
fn an_event_that_is_none_under_these_rules_is_quarantined_or_a_duplicate() {
    let broken = line(3).replace("\"GET ", "\"");
    let text = [line(0), broken, line(1), line(2)].concat();
    let place = Place::with("");
    let path = place.file("access.log", &text);
    place.try_ingest(&[&path], "combined").unwrap();
    let mut place = place;
    let told = reread(&mut place, "[parse]\nstrict = true", ALL);
    assert_eq!((told.counts.lines, told.counts.quarantined), (4, 1));
    let straight = Place::with("[parse]\nstrict = true");
    let path = straight.file("access.log", &text);
    straight.try_ingest(&[&path], "combined").unwrap();
    place.tables().assert_same(&straight.tables(), "strict");
    assert!(place.tables().quarantine[0].contains("line_no=2 "), "{:?}", place.tables().quarantine);

    let event = |page: &str, at: u32| {
        format!("{{\"ts\":\"2026-01-0{at}T10:00:00Z\",\"user_id\":\"ann\",\"page\":\"{page}\",\"key\":\"k{page}\"}}\n")
    };
    let text = [event("/a", 5), event("/a", 5), event("/b", 5), event("/b", 6)].concat();
    let rules = "[fields]\nevent_id = \"key\"";
    let mut place = from_scratch("", "app.ndjson", &text);
    let told = reread(&mut place, rules, ALL);
    assert_eq!((told.counts.stored, told.counts.duplicates, told.counts.quarantined), (2, 1, 1));
    place.tables().assert_same(&from_scratch(rules, "app.ndjson", &text).tables(), "one row per event id");
}

#[test]
fn a_source_in_a_format_that_is_no_more_is_an_error() {
    let mut place = Place::with("[format.mine]\nregex = '(?<ip>\\S+) (?<ts>\\S+) (?<page>\\S+)'");
    let path = place.file("mine.log", "1.1.1.1 2026-01-05T10:00:00Z /a\n");
    place.try_ingest(&[&path], "mine").unwrap();
    place.config = Config::default();
    let error = prepare(&place, ALL).unwrap_err().to_string();
    assert!(error.contains("mine.log") && error.contains("'mine'"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(8), ..ProptestConfig::default() })]

    /// Any pieces of a log, under any of the rules, read again in between, range by range: as if all were the last rules.
    #[test]
    fn any_log_in_pieces_read_again_between(cuts in prop::collection::vec(1usize..200, 1..4), steps in prop::collection::vec((0usize..3, 5u8..9, 0u8..4), 0..5)) {
        let rules = ["", "[parse]\ntime_zone = \"+09:00\"\nstrict = true\n[identity]\nvisitor = \"ip\"", "[pages]\nids = false\n[fields]\nuser_id = \"who\""];
        let lines: Vec<String> = (0..200).map(|at| if at % 11 == 3 { line(at * 170).replace("\"GET ", "\"") } else { line(at * 170) }).collect();
        let mut place = Place::new();
        place.buffer_bytes = 64 << 10;
        let mut cuts: Vec<usize> = cuts;
        cuts.sort_unstable();
        cuts.push(200);
        let mut steps = steps.into_iter();
        for cut in cuts {
            let path = place.file("access.log", lines[..cut].concat());
            place.try_ingest(&[&path], "combined").unwrap();
            if let Some((rule, from, more)) = steps.next() {
                let (from, to) = (format!("2026-01-{from:02}"), format!("2026-01-{:02}", from + more));
                reread(&mut place, rules[rule], (&from, &to));
            }
        }
        let refused = place.tables().quarantine.len();
        for rule in rules {
            reread(&mut place, rule, ALL);
        }
        retry(&place.store, &place.config, &Refused::default(), NOW, false).unwrap();
        let straight = Place::with(rules[2]);
        let path = straight.file("access.log", lines.concat());
        straight.try_ingest(&[&path], "combined").unwrap();
        place.tables().assert_same(&straight.tables(), &format!("{refused} were refused"));
        prop_assert!(Path::new(&path).exists());
    }
}
