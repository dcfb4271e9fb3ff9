//! The store as a whole: create, ingest, read, replace, lock, lease.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, DictionaryArray, Int16Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};

use super::*;
use crate::time::{DAY, Day};

pub(super) fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

/// `rows` sorted events of a day by `people` people; every third has no status, every fifth an event id.
pub(super) fn events(day: Day, rows: usize, people: usize, source: &str) -> RecordBatch {
    let person = |row: usize| row * people / rows.max(1);
    let text = |value: &dyn Fn(usize) -> Option<String>| -> ArrayRef {
        Arc::new((0..rows).map(value).collect::<StringArray>())
    };
    let none = || -> ArrayRef { Arc::new((0..rows).map(|_| None::<&str>).collect::<StringArray>()) };
    let names: StringArray = (0..people).map(|n| Some(format!("user-{n:06}"))).collect();
    let codes: Int32Array = (0..rows).map(|row| i32::try_from(person(row)).unwrap()).collect::<Vec<_>>().into();
    let step = (DAY - 1) / i64::try_from(rows.max(1)).unwrap();
    let number = |row: usize| i64::try_from(row).unwrap();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Date32Array::from(vec![day.0; rows])),
        Arc::new(DictionaryArray::new(codes, Arc::new(names))),
        Arc::new(
            TimestampMicrosecondArray::from_iter_values((0..rows).map(|row| day.start() + number(row) * step))
                .with_timezone("UTC"),
        ),
        none(),
        text(&|row| Some(format!("/page/{}", row % 7))),
        text(&|row| Some(format!("/page/{}?q={row}", row % 7))),
        Arc::new((0..rows).map(|row| Some(row % 4 != 0)).collect::<BooleanArray>()),
        text(&|_| Some("GET".to_owned())),
        Arc::new((0..rows).map(|row| (row % 3 != 0).then_some(200)).collect::<Int16Array>()),
        Arc::new((0..rows).map(|row| Some(number(row) * 10)).collect::<Int64Array>()),
        none(),
        none(),
        none(),
        none(),
        none(),
        none(),
        text(&|row| (row % 5 == 0).then(|| format!("{source}-{row}"))),
        none(),
        text(&|_| Some(source.to_owned())),
        Arc::new((0..rows).map(|row| Some(number(row) * 100)).collect::<Int64Array>()),
    ];
    let kinds: Vec<_> = columns.iter().map(|column| column.data_type().clone()).collect();
    let fields: Vec<_> = crate::event::events()
        .fields()
        .iter()
        .zip(kinds)
        .map(|(field, kind)| field.as_ref().clone().with_data_type(kind))
        .collect();
    RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), columns).unwrap()
}

/// Refused lines of a day.
pub(super) fn refused(day: Day, rows: usize, source: &str) -> RecordBatch {
    let number = |row: usize| i64::try_from(row).unwrap();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Date32Array::from(vec![day.0; rows])),
        Arc::new(StringArray::from(vec![source; rows])),
        Arc::new((0..rows).map(|row| Some(number(row))).collect::<Int64Array>()),
        Arc::new((0..rows).map(|row| Some(number(row) + 1)).collect::<Int64Array>()),
        Arc::new(StringArray::from(vec!["malformed"; rows])),
        Arc::new(Int64Array::from(vec![3; rows])),
        Arc::new(BinaryArray::from_iter_values((0..rows).map(|_| b"\xff\x00bad"))),
        Arc::new(TimestampMicrosecondArray::from(vec![day.start() + 5; rows]).with_timezone("UTC")),
    ];
    RecordBatch::try_new(crate::event::quarantine(), columns).unwrap()
}

/// Writes one part.
pub(super) fn write(writer: &Writer, table: Table, day: Day, batch: &RecordBatch) -> Result<NewPart, StoreError> {
    let mut part = PartWriter::new(writer.part(table, day)?, "rules")?;
    part.write(batch)?;
    part.finish()
}

/// A source that stored and quarantined so many lines.
pub(super) fn source(id: &str, stored: u64, quarantined: u64) -> SourceRow {
    SourceRow {
        source_id: id.to_owned(),
        name: format!("{id}.log"),
        format: "combined".to_owned(),
        offset: 100 * (stored + quarantined),
        lines: stored + quarantined + 2,
        stored,
        quarantined,
        dropped: 2,
        dropped_by: [("blank".to_owned(), 2)].into(),
        ..SourceRow::default()
    }
}

/// Commits `rows` events and 3 refused lines of a day, and their source.
pub(super) fn ingest(writer: &mut Writer, day: Day, rows: usize, id: &str) -> Result<i64, StoreError> {
    let part = write(writer, Table::Events, day, &events(day, rows, 10, id))?;
    let bad = write(writer, Table::Quarantine, day, &refused(day, 3, id))?;
    let mut commit = writer.begin();
    commit.add(part);
    commit.add(bad);
    commit.source(source(id, rows as u64, 3));
    commit.audit("ingest", id);
    commit.commit()
}

pub(super) fn fresh() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(&dir.path().join("s")).unwrap();
    (dir, store)
}

fn parquet_files(store: &Store) -> Vec<String> {
    let pattern = format!("{}/data/**/*", store.dir().display());
    let mut names: Vec<String> = glob::glob(&pattern)
        .unwrap()
        .map(Result::unwrap)
        .filter(|p| p.is_file())
        .map(|p| p.display().to_string())
        .collect();
    names.sort();
    names
}

#[test]
fn a_commit_is_seen_whole_and_reads_back() {
    let (_dir, store) = fresh();
    let before = store.snapshot().unwrap();
    assert_eq!((before.id, before.events().len(), before.watermark()), (1, 0, None));
    let mut writer = store.writer(Linking::default()).unwrap();
    let monday = day("2026-01-05");
    assert_eq!(ingest(&mut writer, monday, 1_000, "a").unwrap(), 2);
    let after = store.snapshot().unwrap();
    let part = &after.events()[0];
    assert_eq!((part.rows, part.day, part.event_ids, part.rules.as_str()), (1_000, monday, 200, "rules"));
    assert_eq!((part.ts_min, Day::of(part.ts_max)), (monday.start(), monday));
    assert_eq!(after.quarantine()[0].rows, 3);
    assert_eq!(after.sources(), [source("a", 1_000, 3)]);
    assert_eq!(store.audit().unwrap()[0].what, "ingest");
    assert!(before.events().is_empty());
    let reader =
        ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(part.open().unwrap()).unwrap();
    for (wanted, found) in crate::event::events().fields().iter().zip(reader.schema().fields()) {
        assert_eq!(wanted, found);
    }
    let rows: usize = reader.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 1_000);
}

#[test]
fn nothing_to_commit_is_no_snapshot() {
    let (_dir, store) = fresh();
    let mut writer = store.writer(Linking::default()).unwrap();
    assert_eq!(writer.begin().commit().unwrap(), 1);
    let empty = write(&writer, Table::Events, day("2026-01-05"), &events(day("2026-01-05"), 0, 0, "a")).unwrap();
    let mut commit = writer.begin();
    commit.add(empty);
    assert_eq!(commit.commit().unwrap(), 1);
    assert!(parquet_files(&store).is_empty());
}

#[test]
fn a_dropped_commit_leaves_nothing() {
    let (_dir, store) = fresh();
    let mut writer = store.writer(Linking::default()).unwrap();
    let monday = day("2026-01-05");
    let part = write(&writer, Table::Events, monday, &events(monday, 10, 2, "a")).unwrap();
    assert_eq!(parquet_files(&store).len(), 1);
    let mut commit = writer.begin();
    commit.add(part);
    drop(commit);
    assert!(parquet_files(&store).is_empty());
}

#[test]
fn a_replaced_part_goes_when_its_last_lease_does() {
    let (_dir, store) = fresh();
    let mut writer = store.writer(Linking::default()).unwrap();
    let monday = day("2026-01-05");
    ingest(&mut writer, monday, 100, "a").unwrap();
    let reader = store.snapshot().unwrap();
    let other = reader.clone();
    let replace = |writer: &mut Writer, old: i64, rows| {
        let part = write(writer, Table::Events, monday, &events(monday, rows, 4, "a")).unwrap();
        let mut commit = writer.begin();
        commit.remove(old);
        commit.add(part);
        commit.commit().unwrap()
    };
    assert_eq!(replace(&mut writer, reader.events()[0].file_id, 100), 3);
    drop(reader);
    assert!(other.events()[0].open().is_ok(), "a clone keeps the lease");
    let old = other.events()[0].path.clone();
    drop(other);
    assert!(old.exists(), "nobody has swept yet");
    let second = store.snapshot().unwrap().events()[0].clone();
    replace(&mut writer, second.file_id, 100);
    assert!(!old.exists() && !second.path.exists());
    assert_eq!(parquet_files(&store).len(), 2, "one part of each table");
    assert_eq!(store.snapshot().unwrap().events()[0].rows, 100);
}

#[test]
fn a_plan_that_is_out_of_date_is_refused_and_leaves_nothing() {
    let (_dir, store) = fresh();
    let mut writer = store.writer(Linking::default()).unwrap();
    let monday = day("2026-01-05");
    ingest(&mut writer, monday, 100, "a").unwrap();
    let part = write(&writer, Table::Events, monday, &events(monday, 10, 2, "a")).unwrap();
    let mut commit = writer.begin();
    commit.add(part);
    commit.remove(77);
    assert!(matches!(commit.commit(), Err(StoreError::Moved { .. })));
    let mut commit = writer.begin();
    commit.source(SourceRow { lines: 5, ..source("a", 100, 3) });
    assert!(commit.commit().unwrap_err().to_string().contains("do not add up"));
    assert_eq!(parquet_files(&store).len(), 2);
    assert_eq!(ingest(&mut writer, monday, 100, "b").unwrap(), 3, "the writer goes on");
}

#[test]
fn the_second_writer_is_told_who_writes() {
    let (_dir, store) = fresh();
    let writer = store.writer(Linking::default()).unwrap();
    let error = Store::open(store.dir()).unwrap().writer(Linking::default()).unwrap_err();
    assert!(error.is_in_use() && error.to_string().contains(&std::process::id().to_string()), "{error}");
    drop(writer);
    assert!(store.writer(Linking::default()).is_ok());
}

#[test]
fn what_is_no_store_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let error = |path: &Path| Store::open(path).unwrap_err().to_string();
    assert!(error(&dir.path().join("x")).contains("no such folder"));
    assert!(error(dir.path()).contains("no catalog.sqlite"));
    std::fs::write(dir.path().join("catalog.sqlite"), "").unwrap();
    assert!(error(dir.path()).contains("not made by journeyql"));
    std::fs::remove_file(dir.path().join("catalog.sqlite")).unwrap();
    let store = Store::create(dir.path()).unwrap();
    assert!(matches!(Store::create(store.dir()), Err(StoreError::AlreadyAStore { .. })));
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("thesis.doc"), "").unwrap();
    assert!(Store::create(home.path()).unwrap_err().to_string().contains("thesis.doc"));
    std::fs::write(dir.path().join("catalog.sqlite"), "not a database at all, far from it").unwrap();
    let _ = std::fs::remove_file(dir.path().join("catalog.sqlite-wal"));
    assert!(Store::open(dir.path()).unwrap_err().is_damage());
}

/// Killed while SQLite changed its journal mode, a catalog had a hot journal that no reader may roll back.
#[test]
fn a_creation_killed_halfway_leaves_no_store_and_is_repeated() {
    let dir = tempfile::tempdir().unwrap();
    for left in ["catalog.sqlite.new", "catalog.sqlite.new-journal", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        std::fs::write(dir.path().join(left), "half of it").unwrap();
    }
    assert!(matches!(Store::open(dir.path()), Err(StoreError::NotAStore { .. })));
    let store = Store::create(dir.path()).unwrap();
    assert_eq!(store.verify(true, &Meter::silent()).unwrap().findings, []);
    assert!(!dir.path().join("catalog.sqlite.new").exists());
}

/// SQLite reads what is missing of its last page as zeros, and says nothing where it could not remove a file.
#[test]
fn a_catalog_cut_in_its_last_page_is_refused_and_leavings_of_its_making_are_swept() {
    let (_dir, store) = fresh();
    ingest(&mut store.writer(Linking::default()).unwrap(), day("2026-01-05"), 100, "a").unwrap();
    let left = store.dir().join("catalog.sqlite.new-shm");
    std::fs::write(&left, "").unwrap();
    drop(store.writer(Linking::default()).unwrap());
    assert!(!left.exists());
    let catalog = std::fs::File::options().write(true).open(store.catalog_path()).unwrap();
    for missing in [1, 7, 4_000] {
        let whole = std::fs::read(store.catalog_path()).unwrap();
        catalog.set_len(whole.len() as u64 - missing).unwrap();
        let error = Store::open(store.dir()).unwrap_err();
        assert!(error.is_damage() && error.to_string().contains("no whole pages"), "{error}");
        std::fs::write(store.catalog_path(), whole).unwrap();
    }
    assert!(Store::open(store.dir()).is_ok());
}

fn tamper(store: &Store, sql: &str) {
    rusqlite::Connection::open(store.catalog_path()).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn newer_and_foreign_catalogs_are_refused() {
    let (_dir, store) = fresh();
    ingest(&mut store.writer(Linking::default()).unwrap(), day("2026-01-05"), 100, "a").unwrap();
    tamper(&store, "INSERT INTO ducklake_snapshot SELECT 9, snapshot_time, 1, 7, 9 FROM ducklake_snapshot LIMIT 1");
    let error = store.snapshot().unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("last snapshot is 9"), "{error}");
    assert!(matches!(store.writer(Linking::default()), Err(StoreError::ForeignWrites { .. })));
    tamper(
        &store,
        "DELETE FROM ducklake_snapshot WHERE snapshot_id = 9; INSERT INTO ducklake_delete_file(delete_file_id) VALUES (1)",
    );
    assert!(store.snapshot().unwrap_err().to_string().contains("delete files"));
    tamper(&store, "DELETE FROM ducklake_delete_file; UPDATE ducklake_data_file SET partial_max = 2");
    assert!(store.snapshot().unwrap_err().to_string().contains("data files"));
    tamper(
        &store,
        "UPDATE ducklake_data_file SET partial_max = NULL; UPDATE jq_meta SET value = '2' WHERE key = 'format'",
    );
    assert!(matches!(Store::open(store.dir()), Err(StoreError::NewerVersion { .. })));
}

/// One flipped bit in the log took every commit in it away, and the store was a sound, empty one.
#[test]
fn a_catalog_that_lost_its_log_is_damaged_not_older() {
    let (dir, store) = fresh();
    ingest(&mut store.writer(Linking::default()).unwrap(), day("2026-01-05"), 100, "a").unwrap();
    let log = store.dir().join("catalog.sqlite-wal");
    assert_eq!(std::fs::metadata(&log).map_or(0, |log| log.len()), 0, "a commit leaves the catalog whole");
    // Not while somebody reads.
    let reader = rusqlite::Connection::open(store.catalog_path()).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM jq_meta").unwrap();
    ingest(&mut store.writer(Linking::default()).unwrap(), day("2026-01-05"), 100, "b").unwrap();
    for at in [None, Some(9), Some(4_200)] {
        let copy = dir.path().join(format!("{at:?}"));
        crash::copy(store.dir(), &copy);
        std::fs::remove_file(copy.join("catalog.sqlite-shm")).unwrap();
        let log = copy.join("catalog.sqlite-wal");
        let mut bytes = std::fs::read(&log).unwrap();
        match at {
            None => bytes.clear(),
            Some(at) => bytes[at] ^= 1,
        }
        std::fs::write(&log, bytes).unwrap();
        let lost = Store::open(&copy).unwrap();
        for error in [lost.snapshot().unwrap_err(), lost.writer(Linking::default()).unwrap_err()] {
            assert!(error.is_damage() && error.to_string().contains("catalog.sqlite-wal"), "{at:?}: {error}");
        }
    }
}

#[test]
fn a_snapshot_whose_time_is_no_time_is_damage_not_1970() {
    let (_dir, store) = fresh();
    tamper(&store, "UPDATE ducklake_snapshot SET snapshot_time = 'soon'");
    let error = store.snapshot().unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("'soon'"), "{error}");
}

#[test]
fn a_part_that_is_gone_cut_or_garbled_is_named() {
    let (_dir, store) = fresh();
    ingest(&mut store.writer(Linking::default()).unwrap(), day("2026-01-05"), 100, "a").unwrap();
    let part = store.snapshot().unwrap().events()[0].clone();
    let bytes = std::fs::read(&part.path).unwrap();
    std::fs::write(&part.path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(matches!(part.open(), Err(StoreError::TruncatedPart { .. })));
    std::fs::write(&part.path, vec![0; bytes.len()]).unwrap();
    assert!(matches!(part.open(), Err(StoreError::DamagedPart { check: "footer", .. })));
    std::fs::remove_file(&part.path).unwrap();
    let error = part.open().unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("100 rows"), "{error}");
}

#[test]
fn rows_that_break_the_contract_are_refused() {
    let (_dir, store) = fresh();
    let writer = store.writer(Linking::default()).unwrap();
    let monday = day("2026-01-05");
    let batch = events(monday, 100, 5, "a");
    let refusal = |table, day, batch: &RecordBatch| write(&writer, table, day, batch).unwrap_err().to_string();
    assert!(refusal(Table::Quarantine, monday, &batch).contains("20 columns instead of 8"));
    assert!(refusal(Table::Events, day("2026-01-06"), &batch).contains("not all of day 2026-01-06"));
    let backwards =
        arrow::compute::concat_batches(&batch.schema(), &[batch.slice(50, 50), batch.slice(0, 50)]).unwrap();
    assert!(refusal(Table::Events, monday, &backwards).contains("row 50 is before"));
    let mut part = PartWriter::new(writer.part(Table::Events, monday).unwrap(), "r").unwrap();
    part.write(&batch.slice(50, 50)).unwrap();
    assert!(part.write(&batch.slice(0, 50)).unwrap_err().to_string().contains("row 50 is before"));
    drop(part);
    assert!(parquet_files(&store).is_empty());
}
