//! The golden vectors of SEMANTICS §9 that ingest answers for.

use journeyql::config::Config;

use super::{Place, Tables, gzip, line, log};

/// The tables of one text in a fresh store.
fn built(bytes: &[u8]) -> Tables {
    let place = Place::new();
    place.take("whole.log", bytes);
    place.tables()
}

#[test]
fn v24_the_same_file_again_renamed_gzipped() {
    let text = log(0..2_000);
    let expected = built(&text);
    let place = Place::new();
    let first = place.take("access.log", &text);
    assert_eq!((first.sources[0].counts.stored, first.sources[0].counts.duplicates), (2_000, 0));
    let zstd = zstd::stream::encode_all(text.as_slice(), 1).unwrap();
    let halves = [gzip(&text[..text.len() / 2]), gzip(&text[text.len() / 2..])].concat();
    let copies: [(&str, Vec<u8>); 5] = [
        ("access.log", text.clone()),
        ("renamed.log", text.clone()),
        ("access.log.gz", gzip(&text)),
        ("members.gz", halves),
        ("access.zst", zstd),
    ];
    for (name, bytes) in copies {
        let again = place.take(name, bytes);
        assert_eq!((again.sources[0].counts.lines, again.sources[0].counts.duplicates), (2_000, 2_000), "{name}");
        assert_eq!(again.snapshot, first.snapshot, "nothing new, no commit: {name}");
        place.tables().assert_same(&expected, name);
    }
}

#[test]
fn v24_the_first_half_and_then_the_grown_file() {
    let text = log(0..2_000);
    let expected = built(&text);
    // At a line's end, inside a line, and at the end of a line whose newline has not come yet.
    let middle = text.len() / 2;
    let line_end = middle + text[middle..].iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for cut in [line_end, line_end - 1, line_end - 7, line_end - 60, line_end + 1, 40, 1] {
        let place = Place::new();
        // A head of less than a line tells no format.
        let half = place.file("access.log", &text[..cut]);
        place.try_ingest(&[&half], "combined").unwrap();
        place.take("access.log", &text);
        place.tables().assert_same(&expected, &format!("cut at {cut}"));
        place.take("again.log.gz", gzip(&text));
        place.tables().assert_same(&expected, &format!("cut at {cut}, again"));
    }
}

#[test]
fn v24_a_copy_that_is_shorter_adds_nothing() {
    let text = log(0..3_000);
    let place = Place::new();
    place.take("access.log", &text);
    let expected = place.tables();
    for cut in [text.len() - 1, text.len() - 30, text.len() / 2, 100_001, 3_000, 200, 64, 20] {
        let short = place.file("short.log", &text[..cut]);
        let report = place.try_ingest(&[&short], "combined").unwrap();
        let counts = &report.sources[0].counts;
        assert_eq!(counts.lines, counts.duplicates, "cut at {cut}");
        place.tables().assert_same(&expected, &format!("cut at {cut}"));
    }
}

#[test]
fn v3_any_order_and_batching_of_files() {
    let files: Vec<Vec<u8>> = (0..6).map(|at| log(at * 500..at * 500 + 500)).collect();
    let mut seen: Option<Tables> = None;
    let orders =
        [vec![vec![0, 1, 2, 3, 4, 5]], vec![vec![5], vec![3, 1], vec![0, 2, 4]], vec![vec![4, 0], vec![5, 3, 2, 1]]];
    for batches in orders {
        let place = Place::new();
        for batch in batches {
            let paths: Vec<_> = batch.iter().map(|at| place.file(&format!("{at}.log"), &files[*at])).collect();
            let paths: Vec<_> = paths.iter().map(std::path::PathBuf::as_path).collect();
            place.ingest(&paths);
        }
        let tables = place.tables();
        assert_eq!(tables.events.len(), 3_000);
        if let Some(seen) = &seen {
            seen.assert_same(&tables, "another order");
        }
        seen = Some(tables);
    }
}

#[test]
fn v3_lines_of_one_second_keep_their_order_in_the_file() {
    let at = |path: &str| line(0).replace("/p/0", path);
    let place = Place::new();
    place.take("a.log", [at("/second"), at("/first")].concat());
    let snapshot = place.store.snapshot().unwrap();
    let rows = super::rows(&snapshot.events()[0]);
    assert!(rows[0].contains("page=/second") && rows[0].contains("source_offset=0"), "{rows:?}");
    assert!(rows[1].contains("page=/first"), "{rows:?}");
}

#[test]
fn many_runs_of_a_day_become_one_part() {
    let text = log(0..60_000);
    let expected = built(&text);
    let mut place = Place::new();
    // A buffer of some two thousand rows: the log wraps around its four days, so every day gets several runs.
    place.buffer_bytes = 1 << 17;
    place.take("access.log", &text);
    place.tables().assert_same(&expected, "merged");
    assert!(place.days().values().all(|parts| *parts == 1), "{:?}", place.days());
    for at in 0..20 {
        place.take(&format!("{at}.log"), log(100_000 + at * 10..100_000 + at * 10 + 10));
    }
    assert!(place.days().values().all(|parts| *parts <= 9), "{:?}", place.days());
    assert_eq!(place.tables().events.len(), 60_200);
}

/// A merge under new rules made the rows of the old ones look as if they had been derived again.
#[test]
fn a_merge_does_not_forget_that_rows_are_of_other_rules() {
    let mut place = Place::new();
    place.take("0.log", log(0..10));
    place.config = Config::parse("[pages]\nids = false\n").unwrap();
    for at in 1..10 {
        place.take(&format!("{at}.log"), log(at * 10..at * 10 + 10));
    }
    let snapshot = place.store.snapshot().unwrap();
    assert!(snapshot.events().len() < 10, "they were merged");
    let (default, present) = (Config::default().rules_fingerprint(), place.config.rules_fingerprint());
    let merged = snapshot.events().iter().max_by_key(|part| part.rows).unwrap();
    // Neither set of rules made all of its rows, so it is up to date under none.
    assert!(merged.rules != default && merged.rules != present, "{merged:?}");
    assert_eq!(place.config.rederived_fingerprint(&merged.rules), present);
}
