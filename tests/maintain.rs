//! Days made anew: no row is lost or invented, and everything is as if built from scratch.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use journeyql::config::Config;
use journeyql::database::{Database, Options};
use journeyql::event::Column;
use journeyql::ingest::Quiet;
use journeyql::maintain::{Dropped, MaintainError, Reprocess, Reprocessed, compact, drop_refused, retain};
use journeyql::store::{Checksum, Lines, Linking, Meter, PartWriter, Refused, Store, Table, merge};
use journeyql::time::Day;
use proptest::prelude::*;

use crate::ingest::{NOW, Place, Tables, gzip, log};
use crate::stage::cases;

/// Rules under which other pages come out, and other events are steps.
const OTHER: &str = "[pages]\nids = false\nquery = [\"q\"]\n[steps]\nredirects = true\nmethods = [\"GET\"]";

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

fn config(rules: &str) -> Config {
    Config::parse(rules).unwrap()
}

fn reprocess(place: &Place, from: &str, to: &str) -> Reprocessed {
    let prepared = Reprocess::prepare(&place.store, &place.config, (day(from), day(to)), &Meter::silent()).unwrap();
    let report = prepared.report;
    prepared.commit().unwrap();
    report
}

/// Path and bytes of every live part of events.
fn files(place: &Place) -> BTreeMap<PathBuf, Vec<u8>> {
    let snapshot = place.store.snapshot().unwrap();
    snapshot.events().iter().map(|part| (part.path.clone(), fs::read(&part.path).unwrap())).collect()
}

fn is_clean(place: &Place) {
    let report = place.store.verify(true, &Meter::silent()).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

/// A store of four days, read in under some rules in pieces of one log.
fn grown(rules: &str, lines: &[u64]) -> Place {
    let place = Place::with(rules);
    for end in lines {
        let path = place.file("access.log", log(0..*end));
        place.try_ingest(&[&path], "combined").unwrap();
    }
    place
}

fn from_scratch(rules: &str, lines: u64) -> Tables {
    grown(rules, &[lines]).tables()
}

#[test]
fn compact_merges_files_and_changes_no_row() {
    let place = grown("", &[4_000, 4_500, 5_000, 11_000, 50_000]);
    let before = place.tables();
    assert!(place.days().values().any(|parts| *parts > 2));
    let done = compact(&place.store, &Config::default(), &Meter::silent()).unwrap();
    assert!(done.days > 0 && done.files_after < done.files_before, "{done:?}");
    assert!(place.days().values().all(|parts| *parts == 1));
    place.tables().assert_same(&before, "compacted");
    is_clean(&place);
    let snapshot = place.store.snapshot().unwrap().id;
    assert_eq!(compact(&place.store, &Config::default(), &Meter::silent()).unwrap().days, 0);
    assert_eq!(place.store.snapshot().unwrap().id, snapshot, "nothing to do makes no snapshot");
}

#[test]
fn compact_goes_in_levels_beyond_the_files_that_may_be_open() {
    let place = Place::new();
    let quiet: Vec<u64> = (1..=7).collect();
    for end in quiet {
        let path = place.file("access.log", log(0..end * 20));
        place.try_ingest(&[&path], "combined").unwrap();
    }
    assert_eq!(place.days().len(), 1);
    let before = place.tables();
    compact(&place.store, &Config::default(), &Meter::silent()).unwrap();
    place.tables().assert_same(&before, "one day");
}

#[test]
fn reprocess_is_as_if_the_rules_had_always_been_these() {
    let mut place = grown("", &[20_000, 45_000]);
    place.config = config(OTHER);
    let report = reprocess(&place, "2026-01-01", "2026-02-01");
    assert_eq!((report.days, report.events), (4, place.tables().events.len() as u64));
    assert!(report.pages_changed > 0 && report.steps_changed > 0, "{report:?}");
    place.tables().assert_same(&from_scratch(OTHER, 45_000), "reprocessed");
    is_clean(&place);
    assert_eq!(reprocess(&place, "2026-01-01", "2026-02-01"), Reprocessed::default(), "nothing is left to do");
    place.config = config("");
    reprocess(&place, "2026-01-01", "2026-02-01");
    place.tables().assert_same(&from_scratch("", 45_000), "and back");
}

#[test]
fn reprocess_leaves_other_days_byte_for_byte() {
    let mut place = grown("", &[45_000]);
    let before = files(&place);
    place.config = config(OTHER);
    let report = reprocess(&place, "2026-01-06", "2026-01-06");
    assert_eq!(report.days, 1);
    let after = files(&place);
    let kept = before.iter().filter(|(path, bytes)| after.get(*path) == Some(*bytes)).count();
    assert_eq!((before.len(), after.len(), kept), (4, 4, 3));
    let (old, new) = (from_scratch("", 45_000), from_scratch(OTHER, 45_000));
    let of = |tables: &Tables, inside: bool| -> Vec<String> {
        tables.events.iter().filter(|row| row.contains("day=2026-01-06 ") == inside).cloned().collect()
    };
    let mixed = place.tables();
    assert_eq!(of(&mixed, true), of(&new, true));
    assert_eq!(of(&mixed, false), of(&old, false));
}

#[test]
fn a_reprocess_that_is_dropped_leaves_nothing() {
    let mut place = grown("", &[20_000]);
    let (before, snapshot) = (files(&place), place.store.snapshot().unwrap().id);
    place.config = config(OTHER);
    let prepared =
        Reprocess::prepare(&place.store, &place.config, (day("2026-01-01"), day("2026-02-01")), &Meter::silent())
            .unwrap();
    let as_if = prepared.as_if();
    let checksums =
        |parts: &[journeyql::store::Part]| parts.iter().map(|part| part.checksum).collect::<Vec<Checksum>>();
    assert_ne!(checksums(as_if.events()), checksums(prepared.before().events()));
    assert!(as_if.events().iter().all(|part| part.open().is_ok()), "it can be read before it is true");
    drop((as_if, prepared));
    assert_eq!((files(&place), place.store.snapshot().unwrap().id), (before, snapshot));
    is_clean(&place);
    let backwards =
        Reprocess::prepare(&place.store, &place.config, (day("2026-01-02"), day("2026-01-01")), &Meter::silent());
    assert!(matches!(backwards, Err(MaintainError::Backwards { .. })));
}

#[test]
fn a_reader_of_the_old_snapshot_reads_on_while_days_are_reprocessed() {
    let mut place = grown("", &[20_000]);
    let old = place.store.snapshot().unwrap();
    place.config = config(OTHER);
    reprocess(&place, "2026-01-01", "2026-02-01");
    assert!(old.events().iter().all(|part| part.open().is_ok()));
}

#[test]
fn retain_drops_days_and_keeps_the_account() {
    let place = grown("", &[45_000]);
    let before = place.tables();
    let would = retain(&place.store, &Config::default(), day("2026-01-07"), NOW, true).unwrap();
    place.tables().assert_same(&before, "a dry run");
    let gone = retain(&place.store, &Config::default(), day("2026-01-07"), NOW, false).unwrap();
    assert_eq!((gone, gone.days), (would, 2));
    let after = place.tables();
    let kept: Vec<String> = before.events.iter().filter(|row| !row.contains("day=2026-01-05 ")).cloned().collect();
    let kept: Vec<String> = kept.into_iter().filter(|row| !row.contains("day=2026-01-06 ")).collect();
    assert_eq!(after.events, kept);
    let source = place.store.snapshot().unwrap().sources()[0].clone();
    assert_eq!(source.dropped_by["retention"], gone.events);
    is_clean(&place);
    // The old log again, as it was, packed, and grown: nothing of the dropped days comes back.
    for (name, bytes) in [("access.log", log(0..45_000)), ("old.log.gz", gzip(&log(0..45_000)))] {
        let path = place.file(name, bytes);
        place.try_ingest(&[&path], "combined").unwrap();
        place.tables().assert_same(&after, name);
    }
    let path = place.file("access.log", log(0..46_000));
    place.try_ingest(&[&path], "combined").unwrap();
    assert!(!place.tables().events.iter().any(|row| row.contains("day=2026-01-06 ")));
}

#[test]
fn refused_lines_are_dropped_by_source_and_reason_and_stay_counted() {
    let place = Place::new();
    let lines = |name: &str, from: u64| {
        let mut text = log(from..from + 50);
        text.extend_from_slice(
            b"garbage\n10.0.0.1 - ann [05/Jan/1990:00:00:00 +0000] \"GET /a HTTP/1.1\" 200 1 \"-\" \"-\"\n",
        );
        let path = place.file(name, &text);
        place.try_ingest(&[&path], "combined").unwrap();
    };
    lines("one.log", 0);
    lines("two.log", 1_000);
    let before = place.tables();
    assert_eq!(before.quarantine.len(), 4);
    let meant =
        Refused { source: Some("one".to_owned()), reason: Some("malformed".to_owned()), received: (None, None) };
    assert_eq!(
        drop_refused(&place.store, &Config::default(), &meant, NOW, true).unwrap(),
        Dropped { lines: 1, sources: 1 }
    );
    place.tables().assert_same(&before, "a dry run");
    drop_refused(&place.store, &Config::default(), &meant, NOW, false).unwrap();
    let after = place.tables();
    assert_eq!((after.quarantine.len(), &after.events), (3, &before.events));
    is_clean(&place);
    lines("one.log", 0);
    place.tables().assert_same(&after, "the log again");
    assert_eq!(drop_refused(&place.store, &Config::default(), &meant, NOW, false).unwrap(), Dropped::default());
    let never = Refused { received: (Some(NOW + 1), None), ..Refused::default() };
    assert_eq!(drop_refused(&place.store, &Config::default(), &never, NOW, false).unwrap().lines, 0);
    drop_refused(&place.store, &Config::default(), &Refused::default(), NOW, false).unwrap();
    let source = place.store.snapshot().unwrap().sources()[0].clone();
    assert_eq!((place.tables().quarantine.len(), source.dropped_by["steward"]), (0, 2));
    is_clean(&place);
}

/// A part that says something else than its events do: written through the store's own door, so every checksum fits.
#[test]
fn verify_from_scratch_names_the_row_that_no_event_makes() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("store");
    let log = dir.path().join("access.log");
    fs::write(&log, crate::ingest::log(0..400)).unwrap();
    let database = Database::create(&place, Options::default()).unwrap();
    let options = database.ingest_options(vec![log.display().to_string()], "combined".to_owned(), Arc::default());
    database.ingest(&options, &mut Quiet).unwrap();
    let checks = || crate::stage::wait(database.verify_from_scratch(&Meter::silent())).unwrap();
    assert!(checks().iter().all(|check| check.ok), "{:?}", checks());

    let store = Store::open(&place).unwrap();
    let mut writer = store.writer(Linking::default()).unwrap();
    let part = writer.snapshot().unwrap().events()[0].clone();
    let mut forged = PartWriter::new(writer.part(Table::Events, part.day).unwrap(), &part.rules).unwrap();
    let nothing = Lines::default();
    merge(Table::Events, vec![(part.open().unwrap(), &nothing)], |batch| {
        let pages: Vec<Option<String>> =
            (0..batch.num_rows()).map(|row| Some(format!("/forged/{}", row % 2))).collect();
        let mut columns = batch.columns().to_vec();
        columns[Column::Page as usize] = Arc::new(arrow::array::StringArray::from(pages));
        forged.write(&arrow::array::RecordBatch::try_new(batch.schema(), columns).unwrap()).unwrap();
        Ok::<_, MaintainError>(())
    })
    .unwrap();
    let forged = forged.finish().unwrap();
    let mut commit = writer.begin();
    commit.remove(part.file_id);
    commit.add(forged);
    commit.commit().unwrap();
    drop(writer);

    assert!(
        database.verify(true, &Meter::silent()).unwrap().iter().all(|check| check.ok),
        "bytes, order and sums are as they should be"
    );
    let failed: Vec<_> = checks().into_iter().filter(|check| !check.ok).collect();
    let names: Vec<&str> = failed.iter().map(|check| check.name.as_str()).collect();
    assert!(names.contains(&"events") && names.contains(&"transitions") && !names.contains(&"sources"), "{names:?}");
    assert!(failed.iter().any(|check| check.detail.contains("page=/forged/")), "{failed:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(12), ..ProptestConfig::default() })]

    /// Any batches, rules that change on the way, compactions and reprocesses of any days in between: in the end the
    /// tables are those of one ingest under the last rules.
    #[test]
    fn any_history_ends_like_one_ingest(
        steps in prop::collection::vec((1u64..9_000, 0u8..4, 0i32..5, 0i32..5), 1..7),
    ) {
        let mut place = Place::new();
        let (mut end, mut rules) = (0, "");
        for (more, kind, from, days) in steps {
            end += more;
            let path = place.file("access.log", log(0..end));
            place.try_ingest(&[&path], "combined").unwrap();
            match kind {
                0 => {
                    compact(&place.store, &Config::default(), &Meter::silent()).unwrap();
                }
                1 => {
                    rules = if rules.is_empty() { OTHER } else { "" };
                    place.config = config(rules);
                }
                2 => {
                    let from = Day(day("2026-01-04").0 + from);
                    let range = (from, Day(from.0 + days));
                    Reprocess::prepare(&place.store, &place.config, range, &Meter::silent()).unwrap().commit().unwrap();
                }
                _ => {}
            }
        }
        reprocess(&place, "1995-01-01", "2027-01-01");
        place.tables().assert_same(&from_scratch(rules, end), "history");
    }
}
