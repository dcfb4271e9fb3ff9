//! Parquet files as input.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use parquet::arrow::ArrowWriter;

use super::{Place, gzip};

/// A Parquet file of `rows` events; every tenth has no time.
pub fn parquet(rows: i64) -> Vec<u8> {
    let ts = (0..rows).map(|at| (at % 10 != 9).then_some(1_767_600_000_000_000 + at * 1_000_000));
    let columns: [(&str, ArrayRef); 4] = [
        ("user_id", Arc::new(StringArray::from_iter_values((0..rows).map(|at| format!("u{}", at % 7))))),
        ("ts", Arc::new(ts.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))),
        ("page", Arc::new(StringArray::from_iter_values((0..rows).map(|at| format!("/p/{}", at % 3))))),
        ("price", Arc::new((0..rows).map(|at| (at % 2 == 0).then_some(at)).collect::<Int64Array>())),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn rows_of_a_parquet_file_are_events_once() {
    let place = Place::new();
    let report = place.take("day.parquet", parquet(1_000));
    let source = &report.sources[0];
    assert_eq!((source.format.as_str(), source.counts.lines), ("parquet", 1_000));
    assert_eq!((source.counts.stored, source.counts.quarantined), (900, 100));
    let tables = place.tables();
    assert!(tables.events.iter().any(|row| row.contains("distinct_id=u1 ") && row.contains("page=/p/<id>")));
    assert!(
        tables.events.iter().any(|row| row.contains("properties={\"price\":8}") && row.contains("source_offset=8"))
    );
    assert!(tables.quarantine.iter().all(|row| row.contains("reason=time")));
    assert_eq!(source.problems[0].line_no, 10);
    let again = place.take("renamed", parquet(1_000));
    assert_eq!(again.sources[0].counts.duplicates, 1_000);
    place.tables().assert_same(&tables, "again");
    let both = [place.file("a", parquet(50)), place.file("b", parquet(50)), place.file("c", parquet(60))];
    let report = place.ingest(&both.iter().map(std::path::PathBuf::as_path).collect::<Vec<_>>());
    let stored: Vec<u64> = report.sources.iter().map(|source| source.counts.stored).collect();
    assert_eq!(stored, [45, 0, 54]);
}

#[test]
fn what_cannot_be_read_as_rows_is_refused() {
    let place = Place::new();
    let file = place.file("day.parquet", parquet(100));
    let error = place.try_ingest(&[&file], "combined").unwrap_err().to_string();
    assert!(error.contains("--format auto or parquet"), "{error}");
    let cut = parquet(100);
    let cut = place.file("cut.parquet", &cut[..cut.len() - 20]);
    assert!(place.try_ingest(&[&cut], "auto").unwrap_err().to_string().contains("cut.parquet"));
    let text = place.file("text.log", "no table\n");
    assert!(place.try_ingest(&[&text], "parquet").is_err());
    assert!(place.tables().sources.is_empty());
    let packed = place.file("packed.gz", gzip(&parquet(10)));
    assert!(place.try_ingest(&[&packed], "auto").is_err(), "a packed table has to be unpacked");
}
