//! Files that grow, fork, and share their beginnings.

use super::{Place, gzip, line, log};

#[test]
fn a_file_that_grows_again_and_again() {
    let text = log(0..600);
    let whole = Place::new();
    whole.take("w.log", &text);
    let place = Place::new();
    let mut cut = 300;
    while cut < text.len() {
        place.take("access.log", &text[..cut]);
        // Steps of odd sizes: cuts fall anywhere in a line.
        cut += 3_777;
    }
    place.take("access.log", &text);
    place.tables().assert_same(&whole.tables(), "grown in steps");
}

#[test]
fn a_fork_is_another_source_and_nothing_is_lost() {
    let place = Place::new();
    let shared = log(0..100);
    place.take("a.log", [shared.clone(), log(1_000..1_100)].concat());
    let fork = place.take("b.log", [shared.clone(), log(2_000..2_050)].concat());
    assert_eq!((fork.sources[0].counts.stored, fork.sources[0].counts.duplicates), (150, 0));
    assert_eq!(place.tables().events.len(), 350);
    // Both are known from now on, whichever is seen.
    let again = place.take("c.log.gz", gzip(&[shared.clone(), log(2_000..2_050)].concat()));
    assert_eq!(again.sources[0].counts.duplicates, 150);
    let grown = place.take("a.log", [shared.clone(), log(1_000..1_101)].concat());
    assert_eq!((grown.sources[0].counts.stored, grown.sources[0].counts.duplicates), (1, 200));
    // A fork that ends before the known text does, and differs only behind the last checkpoint.
    let short = place.take("d.log", [shared, log(1_000..1_040), log(3_000..3_001)].concat());
    assert_eq!((short.sources[0].counts.stored, short.sources[0].counts.duplicates), (141, 0));
}

#[test]
fn a_copy_in_the_same_command_is_known() {
    let place = Place::new();
    let paths = [
        place.file("a.log", log(0..50)),
        place.file("b.log", log(0..50)),
        place.file("c.log.gz", gzip(&log(0..80))),
        place.file("d.log", log(0..20)),
    ];
    let report = place.ingest(&paths.iter().map(std::path::PathBuf::as_path).collect::<Vec<_>>());
    let counts: Vec<(u64, u64)> =
        report.sources.iter().map(|source| (source.counts.stored, source.counts.duplicates)).collect();
    assert_eq!(counts, [(50, 0), (0, 50), (30, 50), (0, 20)]);
    assert_eq!(place.tables().sources.len(), 1);
}

#[test]
fn a_last_line_that_becomes_another_line() {
    let place = Place::new();
    // The last line is complete by its looks, but goes on: the reply had more digits.
    let (begun, whole) = ("10.0.0.1 - ann [05/Jan/2026:10:00:00 +0000] \"GET /a HTTP/1.1\" 200 1", "2345\n");
    let first = place.file("c.log", [line(0).as_str(), begun].concat());
    place.try_ingest(&[&first], "combined").unwrap();
    assert_eq!(place.tables().events.len(), 1, "the begun line is no combined line");
    assert_eq!(place.tables().quarantine.len(), 1);
    let place = Place::new();
    let common = |text: &str| place.take("common.log", text);
    common(begun);
    assert!(place.tables().events[0].contains("bytes=1 "));
    let grown = common(&[begun, whole].concat());
    assert_eq!((grown.total().lines, grown.total().stored), (1, 1));
    assert!(place.tables().events[0].contains("bytes=12345 "), "{:?}", place.tables());
    let ended = common(&[begun, whole].concat());
    assert_eq!((ended.total().stored, ended.total().duplicates), (0, 1));
}

#[test]
fn rows_and_rules_of_csv() {
    let place = Place::new();
    let head = "user_id,ts,event,page\n";
    let rows = "u1,2026-01-05T10:00:00Z,view,/a\nu2,2026-01-05T10:00:05Z,view,\"/b,\"\"c\"\"\nd\"\n";
    let first = place.take("e.csv", [head, rows].concat());
    let counts = &first.sources[0].counts;
    assert_eq!((counts.lines, counts.stored, counts.dropped), (3, 2, 1));
    let more = place.take("e.csv", [head, rows, "u3,2026-01-05T10:00:09Z,click,/e\n"].concat());
    assert_eq!((more.total().stored, more.total().duplicates), (1, 3));
    let whole = Place::new();
    whole.take("f.csv", [head, rows, "u3,2026-01-05T10:00:09Z,click,/e\n"].concat());
    place.tables().assert_same(&whole.tables(), "grown csv");
}
