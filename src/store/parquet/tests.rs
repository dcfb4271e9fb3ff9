//! What is written is read back: by Arrow's reader, with its page index, for any mix of codes, NULLs and batches.

use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use ::parquet::file::metadata::{PageIndexPolicy, RowGroupMetaData};
use ::parquet::file::page_index::column_index::ColumnIndexMetaData;
use ::parquet::file::reader::FileReader;
use arrow::array::{ArrayRef, AsArray, DictionaryArray, Int32Array, StringArray};
use arrow::compute::concat_batches;
use proptest::prelude::*;

use super::*;
use crate::store::tests::{day, events, fresh};
use crate::store::{Linking, Store, Writer};

/// Puts a column of codes into a batch of events.
fn with_column(batch: &RecordBatch, at: usize, array: ArrayRef) -> RecordBatch {
    let mut columns = batch.columns().to_vec();
    let mut fields: Vec<Field> = batch.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    fields[at] = fields[at].clone().with_data_type(array.data_type().clone());
    columns[at] = array;
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn write_all(writer: &Writer, batches: &[RecordBatch]) -> NewPart {
    let mut part = PartWriter::new(writer.part(Table::Events, day("2026-01-05")).unwrap(), "r").unwrap();
    for batch in batches {
        part.write(batch).unwrap();
    }
    part.finish().unwrap()
}

fn read_all(part: &NewPart) -> (RecordBatch, ArrowReaderMetadata) {
    let file = std::fs::File::open(part.tmp_path()).unwrap();
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let footer = ArrowReaderMetadata::load(&file, options).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer.clone()).build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    (concat_batches(&crate::event::events(), &batches).unwrap(), footer)
}

/// The column is read as it was written, and every bound of a page and of a row group encloses it.
fn check_column(part: &NewPart, at: usize, expected: &[Option<String>]) {
    let (batch, footer) = read_all(part);
    let found: Vec<Option<String>> = batch.column(at).as_string::<i32>().iter().map(|v| v.map(str::to_owned)).collect();
    assert!(found == expected, "column {at} differs");
    let mut row = 0;
    for (number, group) in footer.metadata().row_groups().iter().enumerate() {
        let rows = usize::try_from(group.num_rows()).unwrap();
        let values = || expected[row..row + rows].iter().flatten();
        let stats = group.column(at).statistics().unwrap();
        let nulls = expected[row..row + rows].iter().filter(|value| value.is_none()).count();
        assert_eq!(stats.null_count_opt(), Some(nulls as u64));
        assert!(
            values()
                .all(|v| stats.min_bytes_opt().unwrap() <= v.as_bytes()
                    && v.as_bytes() <= stats.max_bytes_opt().unwrap())
        );
        let offsets = &footer.metadata().offset_index().unwrap()[number][at].page_locations;
        let ColumnIndexMetaData::BYTE_ARRAY(index) = &footer.metadata().column_index().unwrap()[number][at] else {
            panic!("no column index")
        };
        for (page, location) in offsets.iter().enumerate() {
            let first = usize::try_from(location.first_row_index).unwrap();
            let last = offsets.get(page + 1).map_or(rows, |next| usize::try_from(next.first_row_index).unwrap());
            assert!(last - first <= PAGE_ROWS);
            let page_rows = &expected[row + first..row + last];
            assert_eq!(index.is_null_page(page), page_rows.iter().all(Option::is_none));
            for value in page_rows.iter().flatten() {
                assert!(index.min_value(page).unwrap() <= value.as_bytes());
                assert!(index.max_value(page).unwrap() >= value.as_bytes());
            }
        }
        row += rows;
    }
}

fn store() -> (tempfile::TempDir, Store) {
    fresh()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn codes_with_nulls_read_back(
        texts in prop::collection::vec("[a-zä]{0,3}|\\PC{60,80}", 1..40),
        codes in prop::collection::vec((any::<prop::sample::Index>(), 1_usize..30, any::<bool>()), 1..60),
        batch_rows in 1_usize..400,
    ) {
        let (_dir, store) = store();
        let codes: Vec<Option<i32>> = codes
            .into_iter()
            .flat_map(|(code, times, null)| {
                let code = i32::try_from(code.index(texts.len())).unwrap();
                std::iter::repeat_n((!null).then_some(code), times)
            })
            .collect();
        let expected: Vec<Option<String>> =
            codes.iter().map(|code| code.map(|code| texts[usize::try_from(code).unwrap()].clone())).collect();
        let array = DictionaryArray::new(Int32Array::from(codes), Arc::new(StringArray::from(texts)));
        let batch = with_column(&events(day("2026-01-05"), expected.len(), 3, "a"), Column::Referrer as usize, Arc::new(array));
        let batches: Vec<RecordBatch> = (0..batch.num_rows())
            .step_by(batch_rows)
            .map(|from| batch.slice(from, batch_rows.min(batch.num_rows() - from)))
            .collect();
        let writer = store.writer(Linking::default()).unwrap();
        let part = write_all(&writer, &batches);
        check_column(&part, Column::Referrer as usize, &expected);
    }
}

/// Several row groups and pages, a dictionary that is given up, and one that is not.
#[test]
fn many_rows_read_back() {
    let (_dir, store) = store();
    let writer = store.writer(Linking::default()).unwrap();
    let rows = ROW_GROUP_ROWS + 3 * PAGE_ROWS + 77;
    let base = events(day("2026-01-05"), rows, 5_000, "a");
    let long = |row: usize| format!("https://example.org/{row:050}");
    let wide: StringArray = (0..rows).map(|row| Some(long(row))).collect();
    let code = |row: usize| i32::try_from(row * 7 % rows).unwrap();
    let codes: Int32Array = (0..rows).map(|row| (row % 10 != 0).then_some(code(row))).collect();
    let batch = with_column(&base, Column::Path as usize, Arc::new(DictionaryArray::new(codes, Arc::new(wide))));
    let part = write_all(&writer, &[batch.slice(0, 1_000), batch.slice(1_000, rows - 1_000)]);
    let expected: Vec<Option<String>> = (0..rows).map(|row| (row % 10 != 0).then(|| long(row * 7 % rows))).collect();
    check_column(&part, Column::Path as usize, &expected);
    let people: Vec<Option<String>> = (0..rows).map(|row| Some(format!("user-{:06}", row * 5_000 / rows))).collect();
    check_column(&part, Column::DistinctId as usize, &people);
    let footer = read_all(&part).1;
    let encodings = |at: Column| footer.metadata().row_group(0).column(at as usize).encodings().collect::<Vec<_>>();
    assert!(!encodings(Column::Path).contains(&Encoding::RLE_DICTIONARY), "a large dictionary is given up");
    assert!(encodings(Column::DistinctId).contains(&Encoding::RLE_DICTIONARY));
    assert!(encodings(Column::Ts).contains(&Encoding::DELTA_BINARY_PACKED));
    let group = footer.metadata().row_group(0);
    assert!(group.column(Column::EventId as usize).bloom_filter_offset().is_some());
    assert!(group.column(Column::Referrer as usize).bloom_filter_offset().is_none());
    assert_eq!(group.sorting_columns().map(Vec::len), Some(4));
}

/// Batches whose dictionaries differ share one dictionary page; those that are coded only sometimes are spelled out.
#[test]
fn mixed_batches_read_back() {
    let (_dir, store) = store();
    let writer = store.writer(Linking::default()).unwrap();
    let at = Column::UserAgent as usize;
    let base = events(day("2026-01-05"), 300, 3, "a");
    let coded = |texts: &[&str]| -> ArrayRef {
        let codes: Int32Array = (0..100).map(|row| Some(row % i32::try_from(texts.len()).unwrap())).collect();
        Arc::new(DictionaryArray::new(codes, Arc::new(StringArray::from(texts.to_vec()))))
    };
    let batches = [
        with_column(&base.slice(0, 100), at, coded(&["a", "b"])),
        with_column(&base.slice(100, 100), at, coded(&["b", "c", "d"])),
        with_column(&base.slice(200, 100), at, Arc::new(StringArray::from(vec!["e"; 100]))),
    ];
    let expected = |row: usize| match row {
        0..100 => ["a", "b"][row % 2],
        100..200 => ["b", "c", "d"][(row - 100) % 3],
        _ => "e",
    };
    let expected: Vec<Option<String>> = (0..300).map(|row| Some(expected(row).to_owned())).collect();
    let part = write_all(&writer, &batches[..2]);
    check_column(&part, at, &expected[..200]);
    let reader =
        ::parquet::file::reader::SerializedFileReader::new(std::fs::File::open(part.tmp_path()).unwrap()).unwrap();
    let mut pages = reader.get_row_group(0).unwrap().get_column_page_reader(at).unwrap();
    assert_eq!(pages.get_next_page().unwrap().unwrap().num_values(), 4, "a b c d, each once");
    check_column(&write_all(&writer, &batches), at, &expected);
}

/// Texts as codes of a dictionary that has them in another order, and more of them.
fn backwards(texts: &StringArray) -> ArrayRef {
    let count = i32::try_from(texts.len()).unwrap();
    let values: StringArray = texts.iter().chain([Some("anon:nobody")]).collect::<Vec<_>>().into_iter().rev().collect();
    let codes: Int32Array = (0..count).map(|row| Some(count - row)).collect();
    Arc::new(DictionaryArray::new(codes, Arc::new(values)))
}

/// Many anonymous ids have row groups of their own, however the batches fall; few are written with the others.
#[test]
fn anonymous_ids_have_row_groups_of_their_own() {
    let groups_of = |before: usize, anonymous: usize, behind: usize| {
        let (_dir, store) = store();
        let writer = store.writer(Linking::default()).unwrap();
        let starts = [("a", before), ("anon:", anonymous), ("sid:", behind)]
            .map(|(start, rows)| std::iter::repeat_n(start, rows));
        let ids: StringArray =
            starts.into_iter().flatten().enumerate().map(|(row, it)| Some(format!("{it}{row:06}"))).collect();
        let expected: Vec<Option<String>> = ids.iter().map(|id| id.map(str::to_owned)).collect();
        let base = events(day("2026-01-05"), expected.len(), 1, "a");
        let coded = backwards(&ids);
        let [batch, coded] =
            [Arc::new(ids) as ArrayRef, coded].map(|ids| with_column(&base, Column::DistinctId as usize, ids));
        let all = batch.num_rows();
        let mut found = Vec::new();
        for (batch, rows) in
            [(&batch, all), (&coded, all), (&batch, 1_000), (&coded, before + anonymous), (&batch, before.max(1_000))]
        {
            let from = (0..all).step_by(rows);
            let batches: Vec<_> = from.map(|from| batch.slice(from, rows.min(all - from))).collect();
            let part = write_all(&writer, &batches);
            let (read, footer) = read_all(&part);
            let ids = read.column(Column::DistinctId as usize).as_string::<i32>();
            assert!(
                ids.iter().eq(expected.iter().map(Option::as_deref)),
                "{before} {anonymous} {behind}, {rows} a batch"
            );
            let groups = footer.metadata().row_groups().iter().map(RowGroupMetaData::num_rows).collect();
            found.push(groups);
        }
        assert!(found.iter().all(|groups: &Vec<i64>| *groups == found[0]), "{found:?}");
        found.swap_remove(0)
    };
    assert_eq!(groups_of(0, 5_000, 3), [5_000, 3]);
    assert_eq!(groups_of(4_500, 5_000, 6_000), [4_500, 5_000, 6_000]);
    assert_eq!(groups_of(40, 5_000, 6_000), [5_040, 6_000]);
    assert_eq!(groups_of(5_000, 70, 6_000), [5_000, 6_070]);
    assert_eq!(groups_of(70, 80, 6_000), [6_150]);
    assert_eq!(groups_of(0, 6_000, 0), [6_000]);
    let most = i64::try_from(ROW_GROUP_ROWS).unwrap();
    assert_eq!(groups_of(ROW_GROUP_ROWS + 10, 5_000, 1), [most, 5_010, 1]);
    assert_eq!(groups_of(ROW_GROUP_ROWS, 5_000, 1), [most, 5_000, 1]);
}
