//! Columns of every type that stands for something.

use std::sync::Arc;

use arrow::array::{
    BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array, StringArray, StringViewArray, StructArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::{Field, Int32Type};

use super::*;
use crate::time;

const TS: &str = "2026-01-05T10:04:31Z";

fn parser(batch: &RecordBatch, config: &str) -> ColumnParser {
    let mut parser = ColumnParser::new(&batch.schema(), &Config::parse(config).unwrap()).unwrap();
    parser.bind(batch).unwrap();
    parser
}

fn rows(parser: &ColumnParser, rows: usize) -> Vec<String> {
    let text = |text: Option<&[u8]>| text.map_or("-".to_owned(), |text| String::from_utf8_lossy(text).into_owned());
    let mut scratch = Vec::new();
    (0..rows)
        .map(|row| match parser.row(row, &mut scratch) {
            Outcome::Event(event) => format!(
                "{} {} {} {} {:?} {}",
                time::iso(event.ts),
                text(event.user_id),
                text(event.event),
                text(event.target),
                event.status,
                text(event.properties)
            ),
            other => format!("{other:?}"),
        })
        .collect()
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

#[test]
fn columns_map_like_ndjson() {
    let ts = time::parse_iso(TS.as_bytes(), 0).unwrap() / 1_000;
    let event: DictionaryArray<Int32Type> = [Some("view"), None, Some("buy"), Some("view")].into_iter().collect();
    let batch = batch(vec![
        ("ts", Arc::new(TimestampMillisecondArray::from(vec![Some(ts), Some(ts), None, Some(ts)]))),
        ("user_id", Arc::new(Float64Array::from(vec![Some(42.0), None, Some(1.5), Some(f64::NAN)]))),
        ("distinct_id", Arc::new(StringViewArray::from(vec![Some("d1"), Some("d2"), None, None]))),
        ("event", Arc::new(event)),
        ("page", Arc::new(StringArray::from(vec![Some("/a"), None, Some("/b"), Some("")]))),
        ("status", Arc::new(Int64Array::from(vec![Some(200), Some(99_999), None, Some(404)]))),
        ("paid", Arc::new(BooleanArray::from(vec![Some(true), None, None, Some(false)]))),
        ("note", Arc::new(StringArray::from(vec![Some("a\"b"), None, None, None]))),
    ]);
    assert_eq!(
        rows(&parser(&batch, ""), 4),
        [
            format!("{TS} 42 view /a Some(200) {{\"distinct_id\":\"d1\",\"paid\":true,\"note\":\"a\\\"b\"}}"),
            format!("{TS} d2 - - None {{\"status\":99999}}"),
            "Reject(Reject { reason: Time, matched: 0 })".to_owned(),
            format!("{TS} - view - Some(404) {{\"paid\":false}}"),
        ]
    );
}

#[test]
fn times_of_every_kind() {
    let seconds = time::parse_iso(TS.as_bytes(), 0).unwrap() / time::SECOND;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![seconds])),
        Arc::new(Int64Array::from(vec![seconds * 1_000])),
        Arc::new(Int64Array::from(vec![seconds * 1_000_000_000])),
        Arc::new(Int32Array::from(vec![i32::try_from(seconds).unwrap()])),
        Arc::new(Float64Array::from(vec![1_767_607_471.0])),
        Arc::new(StringArray::from(vec!["2026-01-05 10:04:31"])),
        Arc::new(TimestampMillisecondArray::from(vec![seconds * 1_000]).with_timezone("Europe/Berlin")),
        Arc::new(StringArray::from(vec!["x"]).slice(0, 0)),
    ];
    for column in columns {
        let rows_expected = column.len();
        let batch = batch(vec![("time", column)]);
        let found = rows(&parser(&batch, ""), rows_expected);
        assert!(found.iter().all(|row| row.starts_with(TS)), "{found:?}");
    }
    let local = batch(vec![("time", Arc::new(StringArray::from(vec!["2026-01-05 11:04:31"])))]);
    assert!(rows(&parser(&local, "[parse]\ntime_zone = \"+01:00\""), 1)[0].starts_with(TS));
}

#[test]
fn structs_are_reached_into() {
    let id: ArrayRef = Arc::new(Int32Array::from(vec![7, 8]));
    let plan: ArrayRef = Arc::new(StringArray::from(vec!["pro", "free"]));
    let fields = vec![Field::new("id", DataType::Int32, true), Field::new("plan", DataType::Utf8, true)];
    let nulls = Some(NullBuffer::from(vec![true, false]));
    let user = StructArray::new(fields.into(), vec![id, plan], nulls);
    let given = StructArray::from(vec![(
        Arc::new(Field::new("n", DataType::Int32, true)),
        Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef,
    )]);
    let batch = batch(vec![
        ("ts", Arc::new(StringArray::from(vec![TS, TS]))),
        ("user", Arc::new(user)),
        ("properties", Arc::new(given)),
    ]);
    assert_eq!(
        rows(&parser(&batch, "[fields]\nuser_id = \"user.id\""), 2),
        [
            format!("{TS} 7 - - None {{\"user\":{{\"id\":7,\"plan\":\"pro\"}},\"n\":1}}"),
            format!("{TS} - - - None {{\"n\":2}}"),
        ]
    );
    let text = batch_of_properties("{\"a\":[1]}");
    assert_eq!(rows(&parser(&text, ""), 1), [format!("{TS} - - - None {{\"a\":[1]}}")]);
    let text = batch_of_properties("no json");
    assert_eq!(rows(&parser(&text, ""), 1), [format!("{TS} - - - None {{\"properties\":\"no json\"}}")]);
}

fn batch_of_properties(text: &str) -> RecordBatch {
    batch(vec![("ts", Arc::new(StringArray::from(vec![TS]))), ("properties", Arc::new(StringArray::from(vec![text])))])
}

#[test]
fn schemas_without_time_are_refused() {
    let none = batch(vec![("a", Arc::new(Int32Array::from(vec![1])))]);
    let error = ColumnParser::new(&none.schema(), &Config::default()).unwrap_err().to_string();
    assert!(error.contains("no column names the time") && error.ends_with("but: a"), "{error}");
    let odd = batch(vec![("ts", Arc::new(BooleanArray::from(vec![true])))]);
    let error = ColumnParser::new(&odd.schema(), &Config::default()).unwrap_err().to_string();
    assert!(error.contains("the column ts of type Boolean is no time"), "{error}");
}
