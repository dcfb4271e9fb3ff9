//! DuckDB 1.5.5 with its ducklake extension as an independent reader of a store: the same counts, bounds, day pruning
//! and time travel, after appends and after a replace. A statistic that is wrong shows here as a missing row.
//!
//! Needs a Python that can import `duckdb==1.5.5`, `duckdb-extension-ducklake` and `duckdb-extension-sqlite-scanner`:
//! the one that `JOURNEYQL_PYTHON` names, else `python3`. Without one the test says so and checks nothing.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, DictionaryArray, Int16Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use journeyql::event::{Column, quarantine};
use journeyql::store::{Linking, PartWriter, SourceRow, Store, Table, Writer};
use journeyql::time::Day;
use serde_json::Value;

use crate::batches::event_batch;

/// A check that did not happen must be seen.
#[expect(clippy::explicit_write, reason = "eprintln! would be captured by the test harness")]
fn not_run(why: &str) {
    writeln!(std::io::stderr(), "\nNOT RUN: the DuckDB check: {why}").unwrap();
}

/// Asks DuckDB; `None` when there is no DuckDB to ask.
fn ask(store: &Store, options: &str, questions: &[String]) -> Option<Vec<Value>> {
    let python = std::env::var("JOURNEYQL_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/duckdb.py");
    let child = Command::new(&python)
        .arg("-B")
        .arg(script)
        .arg(store.catalog_path())
        .arg(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        not_run(&format!("'{python}' cannot be started; set JOURNEYQL_PYTHON"));
        return None;
    };
    let text = serde_json::to_vec(questions).unwrap();
    child.stdin.take().unwrap().write_all(&text).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(3) {
        not_run(&format!("{python}: {}; pip install the three packages, or set JOURNEYQL_PYTHON", said.trim()));
        return None;
    }
    assert!(output.status.success(), "{said}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// One event of the test: minute of the day, status, name of the event.
type Row = (i64, Option<i16>, Option<&'static str>);

fn batch(day: Day, rows: &[Row]) -> RecordBatch {
    let n = rows.len();
    let minutes = |minute: i64| day.start() + minute * 60_000_000 + 1;
    // Coded, so that DuckDB reads pages that we encoded ourselves; the dictionary has texts that do not occur.
    let coded = |values: Vec<Option<&str>>| -> ArrayRef {
        let texts = ["unused", "ipua:1", "/a", "/a?b", "GET", "00000000000000aa", "buy", "sell"];
        let code = |text: &str| i32::try_from(texts.iter().position(|known| *known == text).unwrap()).unwrap();
        let codes: Int32Array = values.into_iter().map(|value| value.map(code)).collect();
        Arc::new(DictionaryArray::new(codes, Arc::new(StringArray::from(texts.to_vec()))))
    };
    let text = |value: &'static str| coded(vec![Some(value); n]);
    let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| minutes(row.0))).with_timezone("UTC");
    let given: [(Column, ArrayRef); 12] = [
        (Column::Day, Arc::new(Date32Array::from(vec![day.0; n]))),
        (Column::DistinctId, text("ipua:1")),
        (Column::Ts, Arc::new(times)),
        (Column::Event, coded(rows.iter().map(|row| row.2).collect())),
        (Column::Page, text("/a")),
        (Column::Path, text("/a?b")),
        (Column::IsStep, Arc::new(BooleanArray::from(vec![true; n]))),
        (Column::Status, Arc::new(rows.iter().map(|row| row.1).collect::<Int16Array>())),
        (Column::Bytes, Arc::new(rows.iter().map(|row| row.1.map(|it| i64::from(it) * 10)).collect::<Int64Array>())),
        (Column::Referrer, coded(vec![None; n])),
        (Column::SourceId, text("00000000000000aa")),
        (Column::SourceOffset, Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>())),
    ];
    event_batch(n, &given)
}

fn refused_batch(day: Day) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Date32Array::from(vec![day.0; 2])),
        Arc::new(StringArray::from(vec!["00000000000000aa"; 2])),
        Arc::new(Int64Array::from(vec![10, 20])),
        Arc::new(Int64Array::from(vec![1, 2])),
        Arc::new(StringArray::from(vec!["malformed"; 2])),
        Arc::new(Int64Array::from(vec![0, 3])),
        Arc::new(BinaryArray::from_vec(vec![b"\xff\x00", b"x"])),
        Arc::new(TimestampMicrosecondArray::from(vec![day.start() + 7; 2]).with_timezone("UTC")),
    ];
    RecordBatch::try_new(quarantine(), columns).unwrap()
}

fn commit(writer: &mut Writer, days: &[(Day, Vec<Row>)], replaced: &[i64]) -> i64 {
    let part = |table, day, batch: &RecordBatch| {
        let mut part = PartWriter::new(writer.part(table, day).unwrap(), "r").unwrap();
        part.write(batch).unwrap();
        part.finish().unwrap()
    };
    let mut parts: Vec<_> = days.iter().map(|(day, rows)| part(Table::Events, *day, &batch(*day, rows))).collect();
    if replaced.is_empty() {
        parts.push(part(Table::Quarantine, days[0].0, &refused_batch(days[0].0)));
    }
    let mut commit = writer.begin();
    for part in parts {
        commit.add(part);
    }
    for id in replaced {
        commit.remove(*id);
    }
    commit.source(SourceRow { source_id: "00000000000000aa".into(), name: "a.log".into(), ..SourceRow::default() });
    commit.audit("ingest", "a.log");
    commit.commit().unwrap()
}

fn one(value: &Value) -> Vec<Option<&str>> {
    let rows = value.as_array().unwrap_or_else(|| panic!("{value}"));
    rows[0].as_array().unwrap().iter().map(Value::as_str).collect()
}

/// What DuckDB must say about `live` events, whatever it answers from.
fn questions_about(live: &[(Day, Vec<Row>)]) -> Vec<(String, Vec<Option<String>>)> {
    let rows: Vec<(Day, Row)> = live.iter().flat_map(|(day, rows)| rows.iter().map(|row| (*day, *row))).collect();
    let text = |value: Option<i64>| value.map(|value| value.to_string());
    let count = |keep: &dyn Fn(&(Day, Row)) -> bool| Some(rows.iter().filter(|row| keep(row)).count().to_string());
    let status = || rows.iter().filter_map(|(_, row)| row.1).map(i64::from);
    let instant = |(day, row): &(Day, Row)| Some((day.start() + row.0 * 60_000_000 + 1).to_string());
    let mut asked = vec![
        ("SELECT count(*) FROM events".to_owned(), vec![count(&|_| true)]),
        ("SELECT count(status) FROM events".to_owned(), vec![count(&|row| row.1.1.is_some())]),
        ("SELECT count(*) FROM events WHERE status IS NULL".to_owned(), vec![count(&|row| row.1.1.is_none())]),
        ("SELECT count(*) FROM events WHERE event IS NULL".to_owned(), vec![count(&|row| row.1.2.is_none())]),
        (
            "SELECT count(event), count(properties), count(page) FROM events".to_owned(),
            vec![count(&|row| row.1.2.is_some()), Some("0".to_owned()), count(&|_| true)],
        ),
        ("SELECT min(status), max(status) FROM events".to_owned(), vec![text(status().min()), text(status().max())]),
        (
            "SELECT epoch_us(min(ts)), epoch_us(max(ts)) FROM events".to_owned(),
            vec![
                rows.iter().min_by_key(|(day, row)| (*day, row.0)).and_then(instant),
                rows.iter().max_by_key(|(day, row)| (*day, row.0)).and_then(instant),
            ],
        ),
        (
            "SELECT min(day), max(day) FROM events".to_owned(),
            vec![
                rows.iter().map(|row| row.0).min().map(|day| day.to_string()),
                rows.iter().map(|row| row.0).max().map(|day| day.to_string()),
            ],
        ),
        ("SELECT count(*) FROM events WHERE distinct_id = 'ipua:1' AND page = '/a'".to_owned(), vec![count(&|_| true)]),
        ("SELECT count(*) FROM events WHERE distinct_id > 'zzz'".to_owned(), vec![Some("0".to_owned())]),
        (
            "SELECT count(*) FROM quarantine WHERE octet_length(raw) > 0 AND reason = 'malformed'".to_owned(),
            vec![Some("4".to_owned())],
        ),
    ];
    for value in [200, 404, 500] {
        let sql = format!("SELECT count(*) FROM events WHERE status = {value}");
        asked.push((sql, vec![count(&|row| row.1.1 == Some(value))]));
    }
    for (day, _) in live {
        let sql = format!("SELECT count(*) FROM events WHERE day = '{day}'");
        asked.push((sql, vec![count(&|row| row.0 == *day)]));
        let sql = format!("SELECT count(*) FROM events WHERE ts >= '{day}' AND ts < DATE '{day}' + 1");
        asked.push((sql, vec![count(&|row| row.0 == *day)]));
    }
    asked
}

/// Asks everything about the live events and one plan per day; `false` when there is no DuckDB.
fn check(store: &Store, options: &str, live: &[(Day, Vec<Row>)], parts_of_day: &[(Day, usize)]) -> bool {
    let asked = questions_about(live);
    let mut questions: Vec<String> = asked.iter().map(|(sql, _)| sql.clone()).collect();
    questions.extend(
        parts_of_day
            .iter()
            .map(|(day, _)| format!("EXPLAIN ANALYZE SELECT sum(source_offset) FROM events WHERE day = '{day}'")),
    );
    let Some(answers) = ask(store, options, &questions) else { return false };
    for ((sql, expected), answer) in asked.iter().zip(&answers) {
        let expected: Vec<Option<&str>> = expected.iter().map(Option::as_deref).collect();
        assert_eq!(one(answer), expected, "{sql}");
    }
    for ((day, parts), plan) in parts_of_day.iter().zip(&answers[asked.len()..]) {
        let plan = plan.to_string();
        assert!(plan.contains(&format!("Total Files Read: {parts}")), "{day}: {plan}");
    }
    true
}

#[test]
fn duckdb_reads_the_same_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(&dir.path().join("s")).unwrap();
    let [monday, tuesday, wednesday] = ["2026-01-05", "2026-01-06", "2026-01-07"].map(|day| Day::parse(day).unwrap());
    let mut writer = store.writer(Linking::default()).unwrap();

    // Nothing yet: every total is that of no rows.
    if ask(&store, "READ_ONLY", &["SELECT count(*), min(ts), max(day) FROM events".into()]).is_none() {
        return;
    }

    // The first part has no NULL and no event name; the second, of another day, has both kinds.
    let first = (monday, vec![(1, Some(200), None), (2, Some(200), None), (700, Some(302), None)]);
    let second = (tuesday, vec![(0, None, None), (1, Some(404), Some("buy")), (1_439, None, Some("sell"))]);
    let two = commit(&mut writer, std::slice::from_ref(&first), &[]);
    let three = commit(&mut writer, std::slice::from_ref(&second), &[]);
    let live = [first.clone(), second.clone()];
    assert!(check(&store, "READ_ONLY", &live, &[(monday, 1), (tuesday, 1)]));

    // Time travel over the appends; the snapshots tell who and what.
    let asked = [
        format!("SELECT count(*), max(status) FROM events AT (VERSION => {two})"),
        format!("SELECT count(*), max(status) FROM events AT (VERSION => {three})"),
        format!("SELECT author, commit_message FROM ducklake_snapshots('j') WHERE snapshot_id = {three}"),
    ];
    let answers = ask(&store, "READ_ONLY", &asked).unwrap();
    assert_eq!(one(&answers[0]), [Some("3"), Some("302")]);
    assert_eq!(one(&answers[1]), [Some("6"), Some("404")]);
    assert_eq!(one(&answers[2]), [Some("journeyql"), Some("ingest")]);

    // A replace: what is narrower now must be narrow, what is new must be found, and the old parts must be gone.
    let gone: Vec<i64> =
        store.snapshot().unwrap().events().iter().filter(|part| part.day == tuesday).map(|part| part.file_id).collect();
    let anew = (tuesday, vec![(5, Some(500), Some("buy"))]);
    let third = (wednesday, vec![(3, None, None), (4, None, None)]);
    let four = commit(&mut writer, &[anew.clone(), third.clone()], &gone);
    let live = [first.clone(), anew, third];
    assert!(check(&store, "READ_ONLY", &live, &[(monday, 1), (tuesday, 1), (wednesday, 1)]));
    let asked = [
        format!("SELECT count(*) FROM events AT (VERSION => {three})"),
        format!("SELECT count(*) FROM events AT (VERSION => {four})"),
        // A naive reader of the folder sees the same rows: nobody leases the replaced part.
        format!("SELECT count(*) FROM read_parquet('{}/data/events/**/*.parquet')", store.dir().display()),
    ];
    let answers = ask(&store, "READ_ONLY", &asked).unwrap();
    assert!(answers[0].get("error").is_some(), "an expired snapshot is refused: {}", answers[0]);
    assert_eq!((one(&answers[1]), one(&answers[2])), (vec![Some("6")], vec![Some("6")]));

    // A moved store is read with the path given, and without it once a writer has been there.
    drop(writer);
    let moved = dir.path().join("moved");
    std::fs::rename(store.dir(), &moved).unwrap();
    let store = Store::open(&moved).unwrap();
    let options = format!("READ_ONLY, DATA_PATH '{}/data/', OVERRIDE_DATA_PATH true", store.dir().display());
    assert!(check(&store, &options, &live, &[]));
    drop(store.writer(Linking::default()).unwrap());
    assert!(check(&store, "READ_ONLY", &live, &[]));
}
