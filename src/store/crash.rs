//! Crash tests: the same few commits, stopped before every single step that touches the disk.
//!
//! Pass 1 counts the steps. Pass 2 stops at each of them, in two ways: a *killed process* (the disk keeps everything
//! that was done) and a *power cut* (unsynced bytes and names are lost). Then the store is reopened and must be exactly
//! the state that was acknowledged last, or the one that was being committed; the next writer leaves nothing that a
//! reader of the whole folder would count, and work goes on.
//!
//! What this would catch, and did while it was written: a day folder that is created but whose parent is not synced
//! loses a committed part in a power cut; a part renamed before its bytes are synced is committed empty.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::disk::fuse::Fuse;
use super::tests::{day, events, ingest, refused, source, write};
use super::*;

/// What identifies a state: every part by its content, every source, the audit.
type State = (Vec<(Table, String, Checksum)>, Vec<SourceRow>, usize);

fn state(store: &Store) -> State {
    let snapshot = store.snapshot().unwrap();
    let parts = snapshot.events().iter().chain(snapshot.quarantine());
    let parts = parts.map(|part| (part.table, part.day.to_string(), part.checksum)).collect();
    (parts, snapshot.sources().to_vec(), store.audit().unwrap().len())
}

pub(super) fn on(fuse: &Arc<Fuse>) -> Disk {
    Disk { fuse: Some(Arc::clone(fuse)) }
}

/// The commits under test: a new day, a replaced day, and a day taken out. `done` counts the acknowledged ones.
fn work(store: &Store, done: &Cell<usize>) -> Result<(), StoreError> {
    let mut writer = store.writer(Linking::default())?;
    ingest(&mut writer, day("2026-01-06"), 40, "b")?;
    done.set(1);
    let monday = day("2026-01-05");
    let old: Vec<i64> = live(&writer, monday)?;
    let anew = write(&writer, Table::Events, monday, &events(monday, 90, 9, "a"))?;
    let mut commit = writer.begin();
    commit.add(anew);
    for id in old {
        commit.remove(id);
    }
    commit.source(after_drop(source("a", 90, 3), "erased", 10));
    commit.audit("forget", "…");
    commit.commit()?;
    done.set(2);
    let old: Vec<i64> = live(&writer, day("2026-01-06"))?;
    let more = write(&writer, Table::Quarantine, monday, &refused(monday, 3, "c"))?;
    let mut commit = writer.begin();
    for id in old {
        commit.remove(id);
    }
    commit.add(more);
    commit.source(after_drop(source("b", 0, 3), "retention", 40));
    commit.source(source("c", 0, 3));
    commit.commit()?;
    done.set(3);
    Ok(())
}

/// The row of a source that lost stored rows to a rule.
fn after_drop(mut source: SourceRow, rule: &str, rows: u64) -> SourceRow {
    source.lines += rows;
    source.dropped += rows;
    source.dropped_by.insert(rule.to_owned(), rows);
    source
}

fn live(writer: &Writer, day: crate::time::Day) -> Result<Vec<i64>, StoreError> {
    Ok(writer.snapshot()?.events().iter().filter(|part| part.day == day).map(|part| part.file_id).collect())
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).map(drop).unwrap();
        }
    }
}

/// Rows that a reader of the whole folder sees, by table.
fn naive_rows(store: &Store) -> Vec<u64> {
    let rows = |table: Table| {
        let pattern = format!("{}/data/{table}/**/*.parquet", store.dir().display());
        glob::glob(&pattern).unwrap().map(|path| {
            let file = fs::File::open(path.unwrap()).unwrap();
            let reader = ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap()
        })
    };
    Table::ALL.into_iter().map(|table| rows(table).sum()).collect()
}

#[test]
fn a_writer_that_stops_anywhere_leaves_a_state_before_or_after() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("base");
    let store = Store::create(&base).unwrap();
    ingest(&mut store.writer(Linking::default()).unwrap(), day("2026-01-05"), 100, "a").unwrap();
    let mut states = vec![state(&store)];
    drop(store);

    // Pass 1: how many steps there are, and where they lead.
    let whole = dir.path().join("whole");
    copy(&base, &whole);
    let counter = Arc::new(Fuse::new(u64::MAX));
    let done = Cell::new(0);
    work(&Store::open_on(&whole, &on(&counter)).unwrap(), &done).unwrap();
    let last = state(&Store::open(&whole).unwrap());
    assert_eq!(Store::open(&whole).unwrap().verify(true, &Meter::silent()).unwrap().findings, []);
    let steps = counter.taken();
    assert!(steps > 40, "{steps} steps");

    // Pass 2: stop before each.
    let mut untidy = 0;
    for stop in 1..=steps + 1 {
        for power_cut in [false, true] {
            let path = dir.path().join(format!("{stop}-{power_cut}"));
            copy(&base, &path);
            let fuse = Arc::new(Fuse::new(stop));
            let done = Cell::new(0);
            let outcome = work(&Store::open_on(&path, &on(&fuse)).unwrap(), &done);
            assert_eq!(outcome.is_ok(), stop > steps, "step {stop}");
            let is_made = matches!(outcome, Err(StoreError::Untidy { .. }));
            untidy += usize::from(is_made);
            if power_cut {
                fuse.cut_power().unwrap();
            }
            let store = Store::open(&path).unwrap();
            let found = state(&store);
            if !states.contains(&found) {
                states.push(found.clone());
            }
            let at = states.iter().position(|state| *state == found).unwrap();
            let acknowledged = done.get();
            assert!(
                at == acknowledged || at == acknowledged + 1,
                "step {stop}: state {at} after {acknowledged} commits"
            );
            assert!(!is_made || at == acknowledged + 1, "step {stop}: it says that the change is made");
            drop(store.writer(Linking::default()).unwrap());
            let report = store.verify(true, &Meter::silent()).unwrap();
            assert_eq!(report.findings, [], "step {stop}, power cut {power_cut}");
            let snapshot = store.snapshot().unwrap();
            let rows: Vec<u64> =
                Table::ALL.iter().map(|table| snapshot.parts(*table).iter().map(|part| part.rows).sum()).collect();
            assert_eq!(naive_rows(&store), rows, "step {stop}, power cut {power_cut}");
            drop(snapshot);
            ingest(&mut store.writer(Linking::default()).unwrap(), day("2026-01-08"), 10, "z").unwrap();
            fs::remove_dir_all(&path).unwrap();
        }
    }
    assert!(untidy > 10, "it was stopped {untidy} times while it tidied up");
    assert_eq!(states.len(), 4, "exactly the four states");
    assert_eq!(states[3], last);
}

#[test]
fn a_disk_that_fills_up_is_named_and_leaves_a_whole_store() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("base");
    let store = Store::create(&base).unwrap();
    ingest(&mut store.writer(Linking::default()).unwrap(), day("2026-01-05"), 100, "a").unwrap();
    drop(store);
    for from in (1..).step_by(3) {
        let path = dir.path().join(from.to_string());
        copy(&base, &path);
        let fuse = Arc::new(Fuse::full(from));
        let full = Store::open_on(&path, &on(&fuse)).unwrap();
        let Err(error) = work(&full, &Cell::new(0)) else { break };
        let made = matches!(error, StoreError::Untidy { .. });
        assert!(made || matches!(error, StoreError::DiskFull { .. }), "step {from}: {error}");
        let text = error.to_string();
        assert!(text.contains("no space left") && text.contains("as it was before") != made, "{text}");
        drop(full);
        // Without any sweep: a failed command cleans up behind itself, and what stays is whole.
        let store = Store::open(&path).unwrap();
        assert_eq!(store.verify(true, &Meter::silent()).unwrap().findings, [], "step {from}");
        ingest(&mut store.writer(Linking::default()).unwrap(), day("2026-01-08"), 10, "z").unwrap();
        let report = store.verify(true, &Meter::silent()).unwrap();
        assert_eq!((report.findings, report.left), (Vec::new(), 0), "step {from}");
    }
}

#[test]
fn a_creation_that_stops_anywhere_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let counter = Arc::new(Fuse::new(u64::MAX));
    Store::create_on(&dir.path().join("whole/deep"), &on(&counter), Some("[session]\n")).unwrap();
    for stop in 1..=counter.taken() {
        let path = dir.path().join(format!("{stop}/deep"));
        let fuse = Arc::new(Fuse::new(stop));
        let outcome = Store::create_on(&path, &on(&fuse), Some("[session]\n"));
        drop(outcome);
        let store = match Store::open(&path) {
            Ok(store) => store,
            Err(StoreError::NotAStore { .. }) => Store::create(&path).unwrap(),
            Err(error) => panic!("step {stop}: {error}"),
        };
        assert_eq!(store.verify(true, &Meter::silent()).unwrap().findings, []);
        ingest(&mut store.writer(Linking::default()).unwrap(), day("2026-01-08"), 10, "z").unwrap();
    }
}
