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

/// Writes as somebody who keeps up the digest, or has none: what is found is found by what it says.
fn tamper(store: &Store, sql: &str) {
    let sql = format!("{sql}; DELETE FROM jq_meta WHERE key = 'digest'; PRAGMA user_version = 0");
    rusqlite::Connection::open(store.catalog_path()).unwrap().execute_batch(&sql).unwrap();
}

/// Every row of every table of a catalog but the digest, and the tables.
fn dump(catalog: &std::path::Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(catalog).unwrap();
    let read = |sql: &str| -> Vec<String> {
        let mut query = connection.prepare(sql).unwrap();
        let columns = query.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            Ok((0..columns).map(|at| format!("{:?}", row.get_ref(at).unwrap())).collect::<Vec<_>>().join(" "))
        };
        query.query_map([], row).unwrap().map(Result::unwrap).collect()
    };
    let tables = read("SELECT type, name, tbl_name, sql FROM sqlite_master");
    let names = connection
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        .unwrap()
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap()
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    let but = |name: &str| if name == "jq_meta" { "WHERE key <> 'digest'" } else { "" };
    let rows = names.iter().flat_map(|name| read(&format!("SELECT '{name}', * FROM \"{name}\" {}", but(name))));
    let mut all: Vec<String> = tables.into_iter().chain(rows).collect();
    all.sort();
    all
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

/// In three of two hundred and fifty-six places a bit could flip in a text of the catalog and nobody noticed: SQLite
/// checks its pages, not what they say.
#[test]
fn a_flipped_bit_anywhere_in_the_catalog_is_found_or_changes_nothing() {
    let (_dir, store) = filled();
    let (dir, catalog) = (store.dir().to_owned(), store.catalog_path());
    drop(store);
    let (bytes, whole) = (fs::read(&catalog).unwrap(), dump(&catalog));
    // Most of the file is room for more.
    let written: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let (mut found, mut harmless) = (0, 0);
    for (nth, at) in written.into_iter().enumerate().step_by(101) {
        let bit = nth % 8;
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << bit;
        for beside in ["-wal", "-shm"] {
            _ = fs::remove_file(dir.join(format!("catalog.sqlite{beside}")));
        }
        fs::write(&catalog, &flipped).unwrap();
        let verified = Store::open(&dir).and_then(|store| store.verify(false, &Meter::silent()));
        if verified.is_ok_and(|report| report.findings.is_empty()) {
            assert!(dump(&catalog) == whole, "nobody notices bit {bit} of byte {at}");
            harmless += 1;
        } else {
            found += 1;
        }
    }
    assert!(found > 100 && found > harmless, "{found} found, {harmless} changed nothing");
}

#[test]
fn the_digest_follows_every_change_of_a_row() {
    let (_dir, store) = filled();
    let digest = || -> String {
        let connection = rusqlite::Connection::open(store.catalog_path()).unwrap();
        connection.query_row("SELECT value FROM jq_meta WHERE key = 'digest'", [], |row| row.get(0)).unwrap()
    };
    let first = digest();
    let mut writer = store.writer(Linking::default()).unwrap();
    ingest(&mut writer, day("2026-01-07"), 30, "c").unwrap();
    writer.key(true).unwrap();
    assert_ne!(digest()[..32], first[..32]);
    assert_eq!((&digest()[32..], checks(&store, false)), (&first[32..], vec![]));
    // A store from before there was a digest gets one.
    tamper(&store, "");
    assert_eq!(checks(&store, false), Vec::<&str>::new());
    ingest(&mut writer, day("2026-01-08"), 30, "d").unwrap();
    assert_eq!((digest().len(), checks(&store, false)), (64, vec![]));
    let raw = rusqlite::Connection::open(store.catalog_path()).unwrap();
    raw.execute("UPDATE jq_sources SET name = 'another' WHERE name = (SELECT min(name) FROM jq_sources)", []).unwrap();
    assert_eq!(checks(&store, false), ["catalog"]);
    ingest(&mut writer, day("2026-01-09"), 30, "e").unwrap();
    assert_eq!(checks(&store, false), ["catalog"], "what comes later hides nothing");
    raw.execute("DELETE FROM jq_meta WHERE key = 'digest'", []).unwrap();
    ingest(&mut writer, day("2026-01-10"), 30, "f").unwrap();
    assert_eq!(checks(&store, false), ["catalog"], "nor does it that the digest is gone");
}
