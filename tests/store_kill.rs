//! A writer is killed with -9 at moments of no one's choosing, while a reader in another process looks on.
//!
//! The child is this very test binary, started on one test with a variable that makes it the writer: it appends days and
//! replaces them until it is killed. The parent reads all the time: every snapshot it gets must be whole. After each
//! kill the store must be the last acknowledged commit or the next one, and sound to the last byte once a writer has
//! swept. (`src/store/crash.rs` stops at every step on purpose; this finds what that did not think of.)

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use journeyql::event::Column;
use journeyql::store::{Linking, Meter, NewPart, PartWriter, SourceRow, Store, StoreError, Table, Writer};
use journeyql::time::Day;

use crate::batches::event_batch;

const STORE: &str = "JOURNEYQL_TEST_KILLED_STORE";
const DAYS: i32 = 5;

fn rows(day: Day, rows: usize) -> RecordBatch {
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value; rows])) };
    let number = |row: usize| i64::try_from(row).unwrap();
    let times = (0..rows).map(|row| day.start() + number(row));
    let given: [(Column, ArrayRef); 7] = [
        (Column::Day, Arc::new(Date32Array::from(vec![day.0; rows]))),
        (Column::DistinctId, text("u")),
        (Column::Ts, Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))),
        (Column::Page, text("/a")),
        (Column::IsStep, Arc::new(BooleanArray::from(vec![true; rows]))),
        (Column::SourceId, text(&day.to_string())),
        (Column::SourceOffset, Arc::new((0..rows).map(|row| Some(number(row))).collect::<Int64Array>())),
    ];
    event_batch(rows, &given)
}

fn part(writer: &Writer, day: Day, count: usize) -> Result<NewPart, StoreError> {
    let mut part = PartWriter::new(writer.part(Table::Events, day)?, "r")?;
    part.write(&rows(day, count))?;
    part.finish()
}

/// Appends to every day in turn and, each fifth time, replaces a day by one part. Says each snapshot it reached.
fn write_forever(dir: &Path) -> Result<(), StoreError> {
    let store = Store::open(dir)?;
    let mut writer = store.writer(Linking::default())?;
    for turn in 0.. {
        let snapshot = writer.snapshot()?;
        let day = Day(20_000 + turn % DAYS);
        let source = day.to_string();
        let known = snapshot.sources().iter().find(|row| row.source_id == source).cloned();
        let mut known = known.unwrap_or(SourceRow { source_id: source, ..SourceRow::default() });
        let replace = turn % 5 == 4;
        let mut added = vec![part(&writer, day, if replace { usize::try_from(known.stored).unwrap() } else { 50 })?];
        if !replace {
            let next = Day(day.0 + DAYS);
            added.push(part(&writer, next, 7)?);
            known.stored += 50;
            known.lines += 50;
        }
        let mut commit = writer.begin();
        let mut sources = vec![known];
        if replace {
            snapshot.events().iter().filter(|part| part.day == day).for_each(|part| commit.remove(part.file_id));
        } else {
            let next = Day(day.0 + DAYS).to_string();
            let other = snapshot.sources().iter().find(|row| row.source_id == next).cloned();
            let mut other = other.unwrap_or(SourceRow { source_id: next, ..SourceRow::default() });
            other.stored += 7;
            other.lines += 7;
            sources.push(other);
        }
        drop(snapshot);
        for part in added {
            commit.add(part);
        }
        for row in sources {
            commit.source(row);
        }
        commit.audit("turn", turn.to_string());
        // On a line of its own: the test harness has begun one with the test's name.
        println!("\nat {}", commit.commit()?);
    }
    Ok(())
}

#[test]
fn the_writer_to_be_killed() {
    if let Some(dir) = std::env::var_os(STORE) {
        write_forever(Path::new(&dir)).unwrap();
    }
}

/// A snapshot is whole: every part opens, and rows are what the sources account for.
fn check_whole(store: &Store) -> i64 {
    let snapshot = store.snapshot().unwrap();
    snapshot.events().iter().for_each(|part| drop(part.open().unwrap()));
    let rows: u64 = snapshot.events().iter().map(|part| part.rows).sum();
    assert_eq!(rows, snapshot.sources().iter().map(|source| source.stored).sum::<u64>(), "snapshot {}", snapshot.id);
    snapshot.id
}

fn folder(store: &Store) -> usize {
    let days = fs::read_dir(store.dir().join("data/events")).unwrap();
    days.map(|day| fs::read_dir(day.unwrap().path()).unwrap().count()).sum()
}

#[test]
fn killed_writers_leave_whole_snapshots() {
    if std::env::var_os(STORE).is_some() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(&dir.path().join("s")).unwrap();
    let mut commits = 0;
    for round in 0..12_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["the_writer_to_be_killed", "--nocapture", "--test-threads=1"])
            .env(STORE, store.dir())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let said = std::thread::spawn(move || {
            let said = output.lines().map_while(Result::ok);
            said.filter_map(|line| line.strip_prefix("at ")?.parse().ok()).max().unwrap_or(0)
        });
        // Not before it works, then at a moment that differs from round to round.
        let base = check_whole(&store);
        while check_whole(&store) < base + 2 {
            std::thread::sleep(Duration::from_millis(1));
        }
        for _ in 0..round % 4 * 3 {
            check_whole(&store);
        }
        std::thread::sleep(Duration::from_micros(round * 1_371 % 9_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let acknowledged: i64 = said.join().unwrap();
        let found = check_whole(&store);
        assert!(found == acknowledged || found == acknowledged + 1, "{found} after {acknowledged} was acknowledged");
        commits = found;
        drop(store.writer(Linking::default()).unwrap());
        assert_eq!(store.verify(true, &Meter::silent()).unwrap().findings, [], "round {round}");
        assert_eq!(folder(&store), store.snapshot().unwrap().events().len(), "nothing but live parts lies there");
    }
    assert!(commits > 24, "{commits} commits");
}
