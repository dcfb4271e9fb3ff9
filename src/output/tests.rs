//! All formats side by side on one answer that has everything: NULL, hostile text, lists, times, wide characters.

use std::io;
use std::sync::{Arc, Mutex};

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, DictionaryArray, Float64Array, Int64Array, ListArray, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, Int64Type, Schema};

use super::{Format, Look, Measure, open};

/// A sink that the test can read afterwards.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn answer() -> RecordBatch {
    let step: DictionaryArray<Int32Type> = [Some("/"), Some("a,\"b\"\n=1+1"), None].into_iter().collect();
    let path = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    let ts = TimestampMicrosecondArray::from(vec![Some(1_767_607_200_000_000), Some(1_767_607_200_000_001), None])
        .with_timezone("UTC");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("from_step", Arc::new(step)),
        ("n", Arc::new(Int64Array::from(vec![Some(12), None, Some(-5)]))),
        ("share", Arc::new(Float64Array::from(vec![Some(0.1), Some(1.0), None]))),
        ("ts", Arc::new(ts)),
        ("pages", Arc::new(path)),
        ("note", Arc::new(StringArray::from(vec!["\x1b[31m|東京", "", "<b>_x_ a_b"]))),
        ("ok", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        ("raw", Arc::new(BinaryArray::from(vec![b"GET /\xff".as_slice(), b"", b"x"]))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn written(format: Format, batches: &[RecordBatch], look: Look) -> Vec<u8> {
    let sink = Shared::default();
    let mut writer = open(format, &batches[0].schema(), Box::new(sink.clone()), look).unwrap();
    for batch in batches {
        writer.batch(batch).unwrap();
    }
    writer.finish().unwrap();
    drop(writer);
    sink.0.lock().unwrap().clone()
}

fn text(format: Format, look: Look) -> String {
    String::from_utf8(written(format, &[answer()], look)).unwrap()
}

#[test]
fn table() {
    assert_eq!(
        text(Format::Table, Look::default()),
        "\
┌─────────────┬──────┬───────┬─────────────────────────────┬───────────┬───────────────┬───────┬───────────┐
│ from_step   │    n │ share │ ts                          │ pages     │ note          │ ok    │ raw       │
├─────────────┼──────┼───────┼─────────────────────────────┼───────────┼───────────────┼───────┼───────────┤
│ /           │   12 │   0.1 │ 2026-01-05T10:00:00Z        │ [1, NULL] │ \\x1b[31m|東京 │ true  │ GET /\\xff │
│ a,\"b\"\\n=1+1 │ NULL │   1.0 │ 2026-01-05T10:00:00.000001Z │ NULL      │               │ false │           │
│ NULL        │   -5 │  NULL │ NULL                        │ []        │ <b>_x_ a_b    │ NULL  │ x         │
└─────────────┴──────┴───────┴─────────────────────────────┴───────────┴───────────────┴───────┴───────────┘
3 rows
"
    );
}

#[test]
fn csv() {
    assert_eq!(
        text(Format::Csv, Look::default()),
        "from_step,n,share,ts,pages,note,ok,raw\n\
         /,12,0.1,2026-01-05T10:00:00Z,\"[1,null]\",\x1b[31m|東京,true,GET /\\xff\n\
         \"a,\"\"b\"\"\n=1+1\",,1.0,2026-01-05T10:00:00.000001Z,,\"\",false,\"\"\n\
         ,-5,,,[],<b>_x_ a_b,,x\n"
    );
}

#[test]
fn tsv() {
    assert_eq!(
        text(Format::Tsv, Look::default()),
        "from_step\tn\tshare\tts\tpages\tnote\tok\traw\n\
         /\t12\t0.1\t2026-01-05T10:00:00Z\t[1,null]\t\x1b[31m|東京\ttrue\tGET /\\\\xff\n\
         a,\"b\"\\n=1+1\t\\N\t1.0\t2026-01-05T10:00:00.000001Z\t\\N\t\tfalse\t\n\
         \\N\t-5\t\\N\t\\N\t[]\t<b>_x_ a_b\t\\N\tx\n"
    );
}

#[test]
fn ndjson() {
    assert_eq!(
        text(Format::Ndjson, Look::default()),
        r#"{"from_step":"/","n":12,"share":0.1,"ts":"2026-01-05T10:00:00Z","pages":[1,null],"note":"\u001b[31m|東京","ok":true,"raw":"GET /\\xff"}
{"from_step":"a,\"b\"\n=1+1","n":null,"share":1.0,"ts":"2026-01-05T10:00:00.000001Z","pages":null,"note":"","ok":false,"raw":""}
{"from_step":null,"n":-5,"share":null,"ts":null,"pages":[],"note":"<b>_x_ a_b","ok":null,"raw":"x"}
"#
    );
}

#[test]
fn json_is_an_array_of_the_same_objects() {
    let json: Vec<serde_json::Value> = serde_json::from_str(&text(Format::Json, Look::default())).unwrap();
    let lines: Vec<serde_json::Value> =
        text(Format::Ndjson, Look::default()).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json, lines);
    assert_eq!(written(Format::Json, &[answer().slice(0, 0)], Look::default()), b"[]\n");
}

#[test]
fn markdown() {
    assert_eq!(
        text(Format::Markdown, Look::default()),
        "| from_step | n | share | ts | pages | note | ok | raw |\n\
         |---|---:|---:|---|---|---|---|---|\n\
         | / | 12 | 0.1 | 2026-01-05T10:00:00Z | \\[1, NULL\\] | \\\\x1b\\[31m\\|東京 | true | GET /\\\\xff |\n\
         | a,\"b\"\\\\n=1+1 | | 1.0 | 2026-01-05T10:00:00.000001Z | |  | false |  |\n\
         | | -5 | | | \\[\\] | &lt;b&gt;\\_x\\_ a_b | | x |\n"
    );
}

#[test]
fn parquet_reads_back() {
    let bytes = written(Format::Parquet, &[answer(), answer()], Look::default());
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes))
        .unwrap()
        .build()
        .unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 6);
    assert_eq!(csv_of(&batches), csv_of(&[answer(), answer()]));
}

#[test]
fn arrow_reads_back() {
    let bytes = written(Format::Arrow, &[answer(), answer()], Look::default());
    let reader = arrow::ipc::reader::FileReader::try_new(io::Cursor::new(bytes), None).unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_eq!(csv_of(&batches), csv_of(&[answer(), answer()]));
}

fn csv_of(batches: &[RecordBatch]) -> String {
    String::from_utf8(written(Format::Csv, batches, Look::default())).unwrap()
}

#[test]
fn a_terminal_sees_no_control_character_in_any_text_format() {
    let look = Look { width: Some(80), color: false, terminal: true };
    for format in Format::ALL.into_iter().filter(|format| !format.is_binary()) {
        let shown = text(format, look);
        let bad = shown.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
        assert_eq!(bad, None, "{format}: {shown}");
    }
}

#[test]
fn a_narrow_terminal_squeezes_texts_and_then_turns_rows_into_records() {
    let long = StringArray::from(vec!["/a/very/long/page/that/nobody/reads"]);
    let batch = RecordBatch::try_from_iter([
        ("page", Arc::new(long) as ArrayRef),
        ("views", Arc::new(Int64Array::from(vec![1_234_567])) as ArrayRef),
    ])
    .unwrap();
    let at = |width| {
        let look = Look { width: Some(width), ..Look::default() };
        String::from_utf8(written(Format::Table, std::slice::from_ref(&batch), look)).unwrap()
    };
    assert!(at(34).contains("│ /a/very/long/page/t… │ 1234567 │"), "{}", at(34));
    assert!(at(34).lines().all(|line| unicode_width::UnicodeWidthStr::width(line) <= 34), "{}", at(34));
    assert!(at(20).contains("── row 1 ──\npage   /a/very/long…\nviews  1234567\n1 row\n"), "{}", at(20));
}

#[test]
fn rows_beyond_the_measured_ones_stream_in_the_same_widths() {
    let batch = |from: i64| {
        let numbers: Int64Array = (from..from + 900).map(Some).collect();
        RecordBatch::try_from_iter([("n", Arc::new(numbers) as ArrayRef)]).unwrap()
    };
    let shown =
        String::from_utf8(written(Format::Table, &[batch(0), batch(900), batch(1_800)], Look::default())).unwrap();
    assert_eq!(shown.lines().count(), 3 + 2_700 + 2);
    assert!(shown.ends_with("│ 2699 │\n└──────┘\n2700 rows\n") || shown.contains("2700 rows"), "{shown}");
}

#[test]
fn an_answer_without_rows_still_has_its_head() {
    let schema =
        Arc::new(Schema::new(vec![arrow::datatypes::Field::new("n", arrow::datatypes::DataType::Int64, true)]));
    let empty = RecordBatch::new_empty(schema);
    let shown = String::from_utf8(written(Format::Table, std::slice::from_ref(&empty), Look::default())).unwrap();
    assert_eq!(shown, "┌───┐\n│ n │\n├───┤\n└───┘\n0 rows\n");
    assert_eq!(written(Format::Csv, &[empty], Look::default()), b"n\n");
}

#[test]
fn unknown_formats_are_named_with_the_closest() {
    let message = "tabel".parse::<Format>().unwrap_err();
    assert_eq!(
        message,
        "unknown output format 'tabel' – one of table, csv, tsv, json, ndjson, markdown, parquet, arrow – did you mean 'table'?"
    );
    for format in Format::ALL {
        assert_eq!(format.name().parse(), Ok(format));
    }
}

#[test]
fn a_text_that_is_too_long_is_cut_at_the_end_that_matters_less() {
    assert_eq!(Measure::cut("/var/log/shop/access.log", 10), "/var/log/…");
    assert_eq!(Measure::cut_start("/var/log/shop/access.log", 11), "…access.log");
    assert_eq!((Measure::cut("東京都", 5), Measure::cut_start("東京都", 5)), ("東京…".into(), "…京都".into()));
    assert_eq!((Measure::cut("abc", 3), Measure::cut_start("abc", 3)), ("abc".into(), "abc".into()));
}
