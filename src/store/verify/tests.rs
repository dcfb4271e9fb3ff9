//! Each kind of damage is found, and named by its check.

use std::fs;

use super::super::tests::{day, events, fresh, ingest, refused, source, write};
use super::*;
use crate::store::{Linking, PartWriter};

fn checks(store: &Store, deep: bool) -> Vec<&'static str> {
    let mut checks: Vec<_> =
        store.verify(deep, &Meter::silent()).unwrap().findings.iter().map(|finding| finding.check).collect();
    checks.dedup();
    checks
}

fn tamper(store: &Store, sql: &str) {
    rusqlite::Connection::open(store.catalog_path()).unwrap().execute_batch(sql).unwrap();
}

fn filled() -> (tempfile::TempDir, Store) {
    let (dir, store) = fresh();
    let mut writer = store.writer(Linking::default()).unwrap();
    ingest(&mut writer, day("2026-01-05"), 1_000, "a").unwrap();
    ingest(&mut writer, day("2026-01-06"), 300, "b").unwrap();
    drop(writer);
    (dir, store)
}

#[test]
fn a_sound_store_has_no_findings() {
    let (_dir, store) = filled();
    let report = store.verify(true, &Meter::silent()).unwrap();
    assert_eq!(report.findings, []);
    assert_eq!((report.parts, report.rows, report.sources, report.deep), (4, 1_306, 2, true));
    let _writer = store.writer(Linking::default()).unwrap();
    assert_eq!(checks(&store, true), Vec::<&str>::new(), "verify works while somebody writes");
}

#[test]
fn a_flipped_byte_a_cut_file_and_a_missing_one() {
    let (_dir, store) = filled();
    let part = store.snapshot().unwrap().events()[0].clone();
    let bytes = fs::read(&part.path).unwrap();
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 3] ^= 1;
    fs::write(&part.path, flipped).unwrap();
    assert_eq!(
        (checks(&store, false), checks(&store, true)),
        (vec![], vec!["checksum"]),
        "conservation is not to blame"
    );
    fs::write(&part.path, &bytes[1..]).unwrap();
    assert_eq!(checks(&store, false), ["file"]);
    fs::remove_file(&part.path).unwrap();
    let finding = &store.verify(false, &Meter::silent()).unwrap().findings[0];
    assert!(finding.file.as_ref() == Some(&part.path) && finding.what.contains("missing"), "{finding:?}");
}

#[test]
fn what_no_commit_names() {
    let (_dir, store) = filled();
    let day = store.snapshot().unwrap().events()[0].path.parent().unwrap().to_owned();
    for (name, what) in [("part-0000000000000000000000.parquet", "no commit names it"), ("export.parquet", "no part")] {
        fs::write(day.join(name), "x").unwrap();
        let findings = store.verify(false, &Meter::silent()).unwrap().findings;
        assert!(
            findings.len() == 1 && findings[0].check == "folder" && findings[0].what.contains(what),
            "{findings:?}"
        );
        fs::remove_file(day.join(name)).unwrap();
    }
    let tmp = day.join("part-0000000000000000000000.parquet.tmp");
    fs::write(&tmp, "x").unwrap();
    let report = store.verify(false, &Meter::silent()).unwrap();
    assert_eq!((report.findings.len(), report.left), (0, 1), "what the next writer removes is no damage");
    fs::remove_file(tmp).unwrap();
    fs::write(store.dir().join("data/export.csv"), "x").unwrap();
    fs::write(store.dir().join("data/events/notes"), "x").unwrap();
    assert_eq!(store.verify(false, &Meter::silent()).unwrap().findings.len(), 2);
}

#[test]
fn counters_that_do_not_add_up() {
    let (_dir, store) = filled();
    tamper(&store, "UPDATE jq_sources SET lines = lines + 1 WHERE source_id = 'a'");
    assert_eq!(checks(&store, false), ["conservation"]);
    tamper(&store, "UPDATE jq_sources SET stored = stored + 1 WHERE source_id = 'a'");
    assert_eq!(
        store.verify(false, &Meter::silent()).unwrap().findings.len(),
        1,
        "the source adds up again, the table does not"
    );
    tamper(&store, "UPDATE jq_sources SET stored = stored - 1, lines = lines - 1 WHERE source_id = 'b'");
    assert_eq!(checks(&store, false), Vec::<&str>::new(), "the sums hide it");
    assert_eq!(store.verify(true, &Meter::silent()).unwrap().findings.len(), 2, "the rows do not");
    tamper(&store, "DELETE FROM jq_sources WHERE source_id = 'b'");
    assert!(
        store.verify(true, &Meter::silent()).unwrap().findings.iter().any(|finding| finding.what.contains("not known"))
    );
}

#[test]
fn statistics_that_lose_rows() {
    let (_dir, store) = filled();
    tamper(
        &store,
        "UPDATE ducklake_table_column_stats SET max_value = '2026-01-05' WHERE column_id = 1 AND table_id = 1",
    );
    assert_eq!(checks(&store, false), ["totals"]);
    tamper(
        &store,
        "UPDATE ducklake_table_column_stats SET max_value = '2027-01-05' WHERE column_id = 1 AND table_id = 1",
    );
    assert_eq!(checks(&store, false), Vec::<&str>::new(), "wider is allowed");
    tamper(&store, "UPDATE ducklake_table_column_stats SET contains_null = 0 WHERE column_id = 9");
    assert_eq!(checks(&store, false), ["totals"]);
    tamper(&store, "UPDATE ducklake_table_column_stats SET contains_null = 1");
    tamper(&store, "UPDATE ducklake_file_column_stats SET max_value = '199' WHERE column_id = 9 AND table_id = 1");
    assert_eq!(checks(&store, true), ["statistics"]);
    tamper(&store, "UPDATE ducklake_file_column_stats SET column_id = 0 WHERE column_id = 20 AND table_id = 1");
    assert!(store.verify(false, &Meter::silent()).is_err(), "statistics of no column are not those of the first");
}

#[test]
fn rows_out_of_order() {
    let (_dir, store) = filled();
    let mut writer = store.writer(Linking::default()).unwrap();
    let monday = day("2026-01-05");
    let batch = events(monday, 100, 10, "c");
    let backwards =
        arrow::compute::concat_batches(&batch.schema(), &[batch.slice(50, 50), batch.slice(0, 50)]).unwrap();
    let mut part = PartWriter::new(writer.part(Table::Events, monday).unwrap(), "r").unwrap();
    part.trust_order();
    part.write(&backwards).unwrap();
    let part = part.finish().unwrap();
    let bad = write(&writer, Table::Quarantine, monday, &refused(monday, 1, "c")).unwrap();
    let mut commit = writer.begin();
    commit.add(part);
    commit.add(bad);
    commit.source(source("c", 100, 1));
    commit.commit().unwrap();
    assert_eq!(checks(&store, true), ["order"]);
}
