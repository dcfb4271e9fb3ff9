//! Refused lines that are read again: they come in as themselves, once, and every line stays accounted for.

use journeyql::config::Config;
use journeyql::ingest::{Kept, Retried, Wanted, lines, retry};
use journeyql::maintain::drop_refused;
use journeyql::store::{Meter, Refused};
use proptest::prelude::*;

use super::{NOW, Place, line, log};
use crate::stage::cases;

/// The rule that was missing: these logs call a user `who`.
const FIXED: &str = "[fields]\nuser_id = \"who\"";
/// Later than every line in the future.
const LATER: i64 = NOW + 400 * 86_400_000_000;

/// The store with all lines that are meant retried under `rules`; the laws hold before and after.
#[track_caller]
fn again(place: &mut Place, rules: &str, now: i64, meant: &Refused) -> Retried {
    place.config = Config::parse(rules).unwrap();
    let (before, snapshot) = (place.tables(), place.store.snapshot().unwrap().id);
    let planned = retry(&place.store, &place.config, meant, now, true).unwrap();
    place.tables().assert_same(&before, "only asked");
    assert_eq!(place.store.snapshot().unwrap().id, snapshot);
    let told = retry(&place.store, &place.config, meant, now, false).unwrap();
    assert_eq!(told, planned, "what was promised");
    let kept: u64 = told.not_retried.values().sum();
    assert_eq!(told.lines, told.stored + told.dropped + told.duplicates + told.refused + kept, "{told:?}");
    let snapshot = place.store.snapshot().unwrap().id;
    let nothing = retry(&place.store, &place.config, meant, now, false).unwrap();
    assert!(!nothing.is_change(), "{nothing:?}");
    assert_eq!(place.store.snapshot().unwrap().id, snapshot, "nothing to do makes no snapshot");
    let report = place.store.verify(true, &Meter::silent()).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    told
}

#[track_caller]
fn all(place: &mut Place, rules: &str) -> Retried {
    again(place, rules, NOW, &Refused::default())
}

fn from_scratch(rules: &str, name: &str, text: impl AsRef<[u8]>) -> Place {
    let place = Place::with(rules);
    place.take(name, text);
    place
}

/// Events of somebody whom only the fixed rules know, every `known`th of somebody whom all know.
fn events(count: u64, known: u64) -> String {
    let name = |at| if at % known == 0 { "user_id" } else { "who" };
    let event = |at: u64| {
        let (minute, second) = (at / 60 % 60, at % 60);
        let name = name(at);
        format!(
            "{{\"ts\":\"2026-01-{:02}T10:{minute:02}:{second:02}Z\",\"{name}\":\"u{}\",\"page\":\"/{at}\"}}\n",
            1 + at % 9,
            at % 5
        )
    };
    (0..count).map(event).collect()
}

#[test]
fn lines_that_parse_under_new_rules_are_as_if_they_had_always_parsed() {
    let text = format!("{}no json\n{{\"who\":\"no time\"}}\n", events(400, 7));
    let mut place = from_scratch("", "app.ndjson", &text);
    let refused = place.tables().quarantine.len() as u64;
    assert_eq!(refused, 342 + 2);
    let told = all(&mut place, FIXED);
    assert_eq!((told.lines, told.stored, told.refused, told.reasons_changed, told.sources), (344, 342, 2, 0, 1));
    place.tables().assert_same(&from_scratch(FIXED, "app.ndjson", &text).tables(), "retried");
    // The same bytes again, under another name, and grown.
    assert_eq!(place.take("copy.ndjson", &text).total().duplicates, 402);
    assert_eq!(place.take("half.ndjson", &text[..text.len() / 3]).total().stored, 0);
    let grown = format!("{text}{}", events(420, 7));
    place.take("app.ndjson", &grown);
    place.tables().assert_same(&from_scratch(FIXED, "app.ndjson", &grown).tables(), "grown after");
}

#[test]
fn only_lines_that_are_meant_move() {
    let text = format!("{}no json\n", events(50, 10));
    let mut place = from_scratch("", "one.ndjson", &text);
    place.take("two.ndjson", text.replace("\"u", "\"v"));
    let two = Refused { source: Some("two".to_owned()), ..Refused::default() };
    assert_eq!(again(&mut place, FIXED, NOW, &two).stored, 45);
    let reason = Refused { reason: Some("json".to_owned()), ..Refused::default() };
    let told = again(&mut place, FIXED, NOW, &reason);
    assert_eq!((told.lines, told.refused), (2, 2));
    let never = Refused { received: (Some(NOW + 1), None), ..Refused::default() };
    assert_eq!(again(&mut place, FIXED, NOW, &never), Retried::default());
    assert_eq!(again(&mut place, FIXED, NOW, &Refused::default()).stored, 45);
}

#[test]
fn a_line_refused_again_keeps_its_bytes_and_time_and_says_the_reason_of_now() {
    let good = r#"{"ts":"2026-01-05T10:00:00Z","user_id":"ann","page":"/"}"#;
    let text = format!("{good}\n{{\"ts\":\"2026-01-05T10:00:01Z\",\"at\":\"2999-01-01T00:00:00Z\",\"page\":\"/a\"}}\n");
    let mut place = from_scratch("", "app.ndjson", &text);
    let told = again(&mut place, "[fields]\nts = \"at\"", NOW + 5, &Refused::default());
    assert_eq!((told.stored, told.refused, told.reasons_changed), (0, 1, 1));
    let row = &place.tables().quarantine[0];
    assert!(
        row.contains("reason=clock")
            && row.contains("323939392d30312d")
            && row.contains("received_at=2026-02-01T00:00:00Z"),
        "{row}"
    );
}

#[test]
fn an_event_that_is_there_already_is_a_duplicate_or_a_conflict() {
    let event = |who: &str, page: &str, id: u32| {
        format!("{{\"ts\":\"2026-01-05T10:00:00Z\",\"{who}\":\"ann\",\"page\":\"{page}\",\"message_id\":\"m{id}\"}}\n")
    };
    let old = [event("user_id", "/a", 1), event("user_id", "/b", 2)].concat();
    let new = [event("user_id", "/z", 9), event("who", "/a", 1), event("who", "/c", 2), event("who", "/d", 3)].concat();
    let mut place = from_scratch("", "old.ndjson", &old);
    place.take("new.ndjson", &new);
    let told = all(&mut place, FIXED);
    assert_eq!((told.stored, told.duplicates, told.refused), (1, 1, 1));
    let straight = Place::with(FIXED);
    straight.take("old.ndjson", &old);
    straight.take("new.ndjson", &new);
    assert_eq!((place.tables().events, place.tables().sources), (straight.tables().events, straight.tables().sources));
    let told = all(&mut place, FIXED);
    assert_eq!(told.not_retried.get(&Kept::ConflictingDuplicate), Some(&1));
}

#[test]
fn a_half_last_line_that_came_in_by_a_retry_still_grows() {
    let half = format!("{}{{\"ts\":\"2026-01-05T10:00:01Z\",\"who\":\"ann\"}}", events(3, 2));
    let mut place = from_scratch("", "app.ndjson", &half);
    let told = all(&mut place, FIXED);
    assert_eq!((told.lines, told.stored), (2, 2));
    let grown = format!("{half}\n{}", events(9, 2));
    place.take("app.ndjson", &grown);
    place.tables().assert_same(&from_scratch(FIXED, "app.ndjson", &grown).tables(), "its newline came");
    let mut place = from_scratch("", "app.ndjson", &half);
    all(&mut place, "[privacy]\nrequire_consent = \"properties.consent = true\"\n[fields]\nuser_id = \"who\"");
    place.config = Config::parse(FIXED).unwrap();
    let longer = format!("{half} \n");
    place.take("app.ndjson", &longer);
    assert_eq!(place.tables().sources.len(), 1);
}

#[test]
fn formats_with_a_header_and_masked_lines_take_their_source() {
    let csv = "ts,user_id,page\n2026-01-05T10:00:00Z,ann,/a\n2026-03-05T10:00:00Z,ann,\"/b\nc\"\n";
    let w3c = "#Fields: date time c-ip cs-uri-stem\n2026-01-05 10:00:00 1.1.1.1 /a\n2026-03-05 10:00:00 1.1.1.1 /b\n\
               #Fields: c-ip date time cs-uri-stem\n1.1.1.1 2026-03-06 10:00:00 /c\n";
    for (name, text, late) in [("a.csv", csv, 1), ("a.w3c", w3c, 2)] {
        let mut place = from_scratch("", name, text);
        let path = place.file(name, [text, "and more"].concat());
        let told = again(&mut place, "", LATER, &Refused::default());
        assert_eq!((told.lines, told.stored), (late, late), "{name} {told:?}");
        let straight = Place::new();
        let options = journeyql::ingest::IngestOptions {
            inputs: vec![straight.file(name, text).display().to_string()],
            now: LATER,
            ..journeyql::ingest::IngestOptions::default()
        };
        journeyql::ingest::ingest(&straight.store, &straight.config, &options, &mut journeyql::ingest::Quiet).unwrap();
        place.tables().assert_same(&straight.tables(), name);

        let mut place = from_scratch("", name, text);
        place.file(name, text.replace("2026-01-05", "2026-01-06"));
        let told = again(&mut place, "", LATER, &Refused::default());
        assert_eq!(told.not_retried.get(&Kept::SourceGone), Some(&late), "changed");
        std::fs::remove_file(place.file(name, "")).unwrap();
        assert_eq!(again(&mut place, "", LATER, &Refused::default()).not_retried.get(&Kept::SourceGone), Some(&late));
        drop(path);
    }
    let masks = "[privacy]\nip = \"hash\"";
    let text = events(20, 5);
    let mut place = from_scratch(masks, "app.ndjson", &text);
    assert!(place.tables().quarantine[0].contains("raw=5b72656461637465"), "[redacte…, in hex");
    let fixed = [masks, FIXED].join("\n");
    std::fs::rename(place.file("app.ndjson", &text), place.file("gone.ndjson", "")).unwrap();
    assert_eq!(all(&mut place, &fixed).not_retried.get(&Kept::SourceGone), Some(&16));
    place.file("app.ndjson", &text);
    assert_eq!(all(&mut place, &fixed).stored, 16);
    assert!(place.tables().quarantine.is_empty());
}

#[test]
fn what_no_rule_can_change_is_said_and_stays() {
    let mut place = Place::with("[format.mine]\nregex = '(?<ip>\\S+) (?<ts>\\S+) (?<page>\\S+)'");
    let path = place.file("mine.log", "1.1.1.1 2026-01-05T10:00:00Z /a\n1.1.1.1 2026-03-05T10:00:00Z /b\nbroken\n");
    place.try_ingest(&[&path], "mine").unwrap();
    let told = again(&mut place, "", LATER, &Refused::default());
    assert_eq!(told.not_retried.get(&Kept::UnknownFormat), Some(&2));
    let kept: Vec<String> =
        [Kept::TooLong, Kept::ParquetRow, Kept::UnknownFormat].iter().map(|it| it.why().to_owned()).collect();
    assert!(kept.iter().all(|why| !why.is_empty()));
}

/// A refused half of a line that was dropped from the quarantine, and then grew, was counted as a duplicate fewer.
#[test]
fn a_half_last_line_that_a_steward_dropped_still_grows() {
    let half = format!("{}{{\"ts\":\"2026", events(3, 1));
    let place = from_scratch("", "app.ndjson", &half);
    drop_refused(&place.store, &place.config, &Refused::default(), NOW, false).unwrap();
    let whole = format!("{half}-01-05T10:00:01Z\",\"user_id\":\"ann\"}}\n");
    place.take("app.ndjson", &whole);
    assert_eq!(place.tables().events.len(), 4);
}

#[test]
fn lines_of_events_are_read_from_their_source_or_not_at_all() {
    let csv = "ts,user_id,page\n2026-01-05T10:00:00Z,ann,\"/b\nc\"\n2026-01-05T10:00:01Z,ann,/d\n";
    let read = |place: &Place| {
        let known = place.store.snapshot().unwrap().sources().to_vec();
        let wanted: Wanted = known.iter().map(|row| (row.source_id.clone(), [16, 48].into())).collect();
        let mut lines: Vec<_> = lines(&known, &wanted).unwrap().into_values().collect();
        lines.sort();
        lines.into_iter().map(|line| String::from_utf8(line).unwrap()).collect::<Vec<_>>()
    };
    let both = ["2026-01-05T10:00:00Z,ann,\"/b\nc\"", "2026-01-05T10:00:01Z,ann,/d"];
    let place = from_scratch("", "a.csv", csv);
    assert_eq!(read(&place), both);
    place.file("a.csv", [csv, "grown"].concat());
    assert_eq!(read(&place), both, "grown");
    place.file("a.csv", csv.replace("/d", "/e"));
    assert!(read(&place).is_empty(), "changed");
    place.file("a.csv", &csv[..40]);
    assert!(read(&place).is_empty(), "cut");
    assert!(read(&from_scratch("[privacy]\nuser_id = \"hash\"", "a.csv", csv)).is_empty(), "masked");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(24), ..ProptestConfig::default() })]

    /// Ingest in pieces under the old rules, retry in between, the rest under the new ones: as if all were new.
    #[test]
    fn any_log_in_pieces_with_retries_between(kinds in prop::collection::vec(0u8..12, 1..80), cuts in prop::collection::vec(0usize..80, 0..4), retried in 0usize..5) {
        let lines = kinds.iter().zip(1u64..).map(|(kind, at)| match kind {
            0 => format!("garbage {at}\n"),
            1..4 => line(at).replace("\"GET ", "\""),
            4 => "\n".to_owned(),
            5 => line(at).replace("/2026:", "/1990:"),
            _ => line(at),
        });
        let text: Vec<String> = std::iter::once(line(0)).chain(lines).collect();
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut > 0 && *cut < text.len()).collect();
        cuts.sort_unstable();
        cuts.push(text.len());
        let mut place = Place::with("[parse]\nstrict = true");
        for (number, cut) in cuts.iter().enumerate() {
            if number == retried {
                all(&mut place, "");
            }
            let path = place.file("access.log", text[..*cut].concat());
            place.try_ingest(&[&path], "combined").unwrap();
        }
        all(&mut place, "");
        let straight = Place::new();
        let path = straight.file("access.log", text.concat());
        straight.try_ingest(&[&path], "combined").unwrap();
        place.tables().assert_same(&straight.tables(), "retried in between");
    }
}

#[test]
fn many_lines_go_through_small_buffers() {
    let text = [line(0).into_bytes(), log(1..20_000)].concat();
    let broken = String::from_utf8(text.clone()).unwrap().replace("\"GET ", "\"");
    let mut place = Place::with("[parse]\nstrict = true");
    let path = place.file("access.log", [line(0), broken].concat());
    place.try_ingest(&[&path], "combined").unwrap();
    assert_eq!(all(&mut place, "").stored, 20_000);
    assert!(place.days().values().all(|parts| *parts <= 2));
}
