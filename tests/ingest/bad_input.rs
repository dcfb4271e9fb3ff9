//! Bad input gets one clear message, and the store is as it was or has everything good in it and the rest counted.

use journeyql::ingest::IngestError;

use super::{NOW, Place, gzip, line, log};

/// The error of ingesting a file with these bytes, after which the store holds nothing.
fn refusal(name: &str, bytes: impl AsRef<[u8]>, format: &str) -> String {
    let place = Place::new();
    let path = place.file(name, bytes);
    let error = place.try_ingest(&[&path], format).unwrap_err().to_string();
    assert!(place.tables().events.is_empty() && place.tables().sources.is_empty(), "{name}");
    assert!(error.contains(name), "{error}");
    error
}

#[test]
fn what_is_no_log_is_refused() {
    assert!(refusal("empty.log", "", "auto").contains("is empty"));
    assert!(refusal("empty.log.gz", gzip(b""), "auto").contains("is empty"));
    assert!(refusal("prose.txt", "Once upon a time\nthere was a log.\n".repeat(50), "auto").contains("combined"));
    assert!(refusal("typo.log", log(0..9), "combinde").contains("combined"));
    assert!(refusal("packed.log.xz", b"\xfd7zXZ\0 and more", "auto").contains("xzcat"));
    let packed = gzip(&log(0..5_000));
    assert!(refusal("cut.log.gz", &packed[..packed.len() / 2], "auto").contains("cut.log.gz"));
}

#[test]
fn what_is_not_there_is_named() {
    let place = Place::new();
    let path = place.file("access.log", log(0..9));
    let missing = path.with_file_name("acess.log");
    let error = place.try_ingest(&[&missing], "auto").unwrap_err().to_string();
    assert!(error.contains("no such file") && error.contains("access.log"), "{error}");
    assert!(matches!(place.try_ingest(&[], "auto"), Err(IngestError::NothingNamed)));
}

#[test]
fn a_damaged_file_among_good_ones_is_left_out() {
    let place = Place::new();
    let packed = gzip(&log(100..5_000));
    let paths = [
        place.file("logs/a.log", log(0..100)),
        place.file("logs/b.log.gz", &packed[..packed.len() / 2]),
        place.file("logs/c.log", log(5_000..5_100)),
        place.file("logs/readme.txt", "nothing to see\n"),
        place.file("logs/z.log", ""),
    ];
    let report = place.ingest(&[paths[0].parent().unwrap()]);
    assert_eq!(report.sources.len(), 2);
    let skipped: Vec<(bool, &str)> =
        report.skipped.iter().map(|skipped| (skipped.failed, skipped.name.rsplit('/').next().unwrap())).collect();
    assert_eq!(skipped, [(true, "b.log.gz"), (false, "readme.txt"), (false, "z.log")]);
    assert_eq!(place.tables().events.len(), 200);
}

#[test]
fn only_malformed_lines_are_counted_when_the_format_is_named() {
    let place = Place::new();
    let path = place.file("bad.log", "one\ntwo\nthree\n");
    let report = place.try_ingest(&[&path], "combined").unwrap();
    assert_eq!((report.total().lines, report.total().quarantined), (3, 3));
    assert!(report.too_many_rejects(0.05));
    assert_eq!(report.sources[0].problems[1].line_no, 2);
    let tables = place.tables();
    assert!(tables.quarantine[0].contains("reason=malformed") && tables.quarantine[0].contains("line_no=1"));
    place.ingest(&[&path]);
    assert_eq!(place.tables(), tables);
}

#[test]
fn odd_bytes_survive() {
    let place = Place::new();
    let good = line(1);
    let latin = line(2).replace("/p/2", "/caf\u{e9}").into_bytes();
    let latin: Vec<u8> = latin.into_iter().filter(|byte| *byte != 0xc3).collect();
    let long = line(3).replace("/p/3", &format!("/{}", "x".repeat(10 << 20)));
    let text = [
        b"\xef\xbb\xbf".to_vec(),
        good.replace('\n', "\r\n").into_bytes(),
        b"\n".to_vec(),
        latin,
        b"nul \0 line\n".to_vec(),
        long.into_bytes(),
        line(4).trim_end().as_bytes().to_vec(),
    ]
    .concat();
    let report = place.take("odd.log", text);
    let counts = &report.sources[0].counts;
    assert_eq!((counts.lines, counts.stored, counts.quarantined, counts.dropped), (6, 4, 1, 1));
    assert_eq!(counts.dropped_by["blank"], 1);
    let events = place.tables().events;
    assert!(events.iter().any(|row| row.contains("path=/caf\u{fffd}?q=2")), "invalid UTF-8 is replaced");
    assert!(events.iter().any(|row| row.contains("source_offset=0") && row.contains("Agent/1 ")), "no mark, no CR");
    assert!(events.iter().any(|row| row.len() > 10 << 20));
}

#[test]
fn times_out_of_range_and_nobody_are_quarantined() {
    let place = Place::new();
    let at = |year: &str| line(0).replace("/2026:", &format!("/{year}:"));
    let nobody = line(2).replace("10.0.0.2", "-");
    let report = place.take("t.log", [line(0), at("1994"), at("2027"), at("1995"), nobody].concat());
    assert_eq!((report.total().stored, report.total().quarantined), (2, 3));
    let reasons: Vec<bool> = place.tables().quarantine.iter().map(|row| row.contains("reason=clock")).collect();
    assert_eq!(reasons.iter().filter(|clock| **clock).count(), 2);
    assert!(place.tables().quarantine.iter().any(|row| row.contains("reason=no_identity")));
    assert!(place.store.snapshot().unwrap().quarantine().iter().all(|part| part.day == journeyql::time::Day::of(NOW)));
}
