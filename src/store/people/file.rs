//! The bytes of `people.parquet`.
//!
//! | column | type | |
//! |---|---|---|
//! | `distinct_id` | Utf8 | ascending; an id comes once for each stretch of its time |
//! | `to_ts` | Timestamp µs UTC? | where the stretch ends; NULL: never |
//! | `person` | Utf8 | whose it is |
//! | `person_rank` | `UInt32` | place of the person among all by name, from 0 |
//!
//! The footer's keys say what it was made of and seal it: `journeyql.checksum` is the xxh3-128 of all bytes, with zeros
//! for its own digits.
//!
//! Invariants: what is decoded is a map whose persons are numbered by name; bytes that were changed are refused.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType, UInt32Type};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Encoding;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use xxhash_rust::xxh3::Xxh3;

use crate::identity::{Owner, People};
use crate::store::part::Checksum;

/// Offsets and sizes of what is one piece here have 31 bits: a map whose texts have more bytes is not written.
pub(super) const MOST_BYTES: usize = 1 << 30;

/// What the content means, and how it follows from the links: a file of another number is another program's. A test
/// below says when it must be another.
const VERSION: &str = "1";
/// The keys of the footer.
const KEYS: [&str; 5] =
    ["journeyql.version", "journeyql.links", "journeyql.link_rows", "journeyql.last_link", "journeyql.checksum"];
const ZEROS: &str = "00000000000000000000000000000000";

/// What a file says that it was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MadeOf {
    /// The mark of the links.
    pub mark: String,
    /// How many rows of links there were.
    pub rows: u64,
    /// How many had been written by then.
    pub last: u64,
}

/// A file whose footer was read.
pub(super) struct Opened {
    file: File,
    metadata: ArrowReaderMetadata,
}

impl Opened {
    /// Reads the footer.
    pub(super) fn new(file: File) -> Result<Self, String> {
        let metadata = ArrowReaderMetadata::load(&file, options()).map_err(|error| error.to_string())?;
        Ok(Self { file, metadata })
    }

    /// What it was made of; `None` for what another program wrote.
    pub(super) fn made_of(&self) -> Option<MadeOf> {
        let [version, mark, rows, last, _] = KEYS;
        let number = |key| self.fact(key)?.parse().ok();
        (self.fact(version)? == VERSION).then_some(())?;
        Some(MadeOf { mark: self.fact(mark)?.to_owned(), rows: number(rows)?, last: number(last)? })
    }

    fn fact(&self, key: &str) -> Option<&str> {
        let facts = self.metadata.metadata().file_metadata().key_value_metadata()?;
        facts.iter().find(|fact| fact.key == key)?.value.as_deref()
    }

    /// All bytes.
    pub(super) fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.rewind()?;
        self.file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The map that the bytes are.
    pub(super) fn read(&self, bytes: Vec<u8>) -> Result<People, String> {
        let [.., key] = KEYS;
        let sum = self.fact(key).unwrap_or_default();
        if checksum(&bytes, sum).is_none_or(|found| found != sum) {
            return Err("its bytes do not have its checksum".to_owned());
        }
        let metadata = Arc::clone(self.metadata.metadata());
        let rows = usize::try_from(metadata.file_metadata().num_rows()).unwrap_or(0);
        let metadata = ArrowReaderMetadata::try_new(metadata, options().with_schema(schema()));
        let metadata = metadata.map_err(|error| error.to_string())?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(Bytes::from(bytes), metadata);
        let mut batches = reader.with_batch_size(rows.max(1)).build().map_err(|error| error.to_string())?;
        let batch = batches.next().unwrap_or_else(|| Ok(RecordBatch::new_empty(schema())));
        let batch = batch.map_err(|error| error.to_string())?;
        let people = if batch.num_rows() == rows { decode(&batch) } else { None };
        people.ok_or_else(|| "its rows are no map from ids to persons".to_owned())
    }
}

fn options() -> ArrowReaderOptions {
    ArrowReaderOptions::new().with_skip_arrow_metadata(true)
}

fn schema() -> SchemaRef {
    let person = DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into());
    Arc::new(Schema::new(vec![
        Field::new("distinct_id", DataType::Utf8, false),
        Field::new("to_ts", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("person", person, false),
        Field::new("person_rank", DataType::UInt32, false),
    ]))
}

/// The bytes of a map.
pub(super) fn encode(people: &People, of: &MadeOf) -> Result<Vec<u8>, ParquetError> {
    let facts = [VERSION, &of.mark, &of.rows.to_string(), &of.last.to_string(), ZEROS].map(str::to_owned);
    let facts = KEYS.into_iter().zip(facts).map(|(key, value)| KeyValue::new(key.to_owned(), value)).collect();
    let properties = WriterProperties::builder()
        .set_created_by(concat!("journeyql version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(facts))
        // One dictionary for all, so that it is read as one.
        .set_max_row_group_row_count(None)
        .set_dictionary_page_size_limit(MOST_BYTES)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_dictionary_enabled("distinct_id".into(), false)
        .set_column_dictionary_enabled("to_ts".into(), false)
        .set_column_encoding("to_ts".into(), Encoding::DELTA_BINARY_PACKED)
        .set_column_dictionary_enabled("person_rank".into(), false)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema(), Some(properties))?;
    writer.write(&rows(people)?)?;
    let mut bytes = writer.into_inner()?;
    let at = place(&bytes, ZEROS).ok_or_else(|| ParquetError::General("the footer has no checksum".to_owned()))?;
    let sum = checksum(&bytes, ZEROS).unwrap_or_default();
    bytes[at..at + sum.len()].copy_from_slice(sum.as_bytes());
    Ok(bytes)
}

fn rows(people: &People) -> Result<RecordBatch, ParquetError> {
    let ids: StringArray = people.rows().map(|row| Some(row.0)).collect();
    let to = |owner: Owner| (owner.to != i64::MAX).then_some(owner.to);
    let ends: TimestampMicrosecondArray = people.rows().map(|row| to(row.1)).collect();
    let numbers: Int32Array = people.rows().map(|(_, owner)| i32::try_from(owner.person).ok()).collect();
    let names: StringArray = people.names().map(Some).collect();
    let persons = DictionaryArray::<Int32Type>::try_new(numbers, Arc::new(names))?;
    let mut by_name: Vec<u32> = (0..).zip(people.names()).map(|(person, _)| person).collect();
    people.sort(&mut by_name);
    let mut ranks = vec![0; by_name.len()];
    (0..).zip(by_name).for_each(|(rank, person)| ranks[person as usize] = rank);
    let ranks = UInt32Array::from_iter_values(people.rows().map(|(_, owner)| ranks[owner.person as usize]));
    let columns: Vec<ArrayRef> =
        vec![Arc::new(ids), Arc::new(ends.with_timezone("UTC")), Arc::new(persons), Arc::new(ranks)];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

fn decode(batch: &RecordBatch) -> Option<People> {
    let ids: &StringArray = batch.column(0).as_string_opt()?;
    let ends = batch.column(1).as_primitive_opt::<TimestampMicrosecondType>()?;
    let persons = batch.column(2).as_dictionary_opt::<Int32Type>()?;
    let names: &StringArray = persons.values().as_string_opt()?;
    let ranks = batch.column(3).as_primitive_opt::<UInt32Type>()?;
    if ids.null_count() + persons.null_count() + names.null_count() + ranks.null_count() > 0 {
        return None;
    }
    let ranks = ranks.values();
    let most = ranks.iter().fold(0, |most, &rank| most.max(rank as usize + 1));
    if most > names.len() {
        return None;
    }
    let mut by_rank = vec![""; most];
    for (&rank, &name) in ranks.iter().zip(persons.keys().values()) {
        by_rank[rank as usize] = names.value(usize::try_from(name).ok().filter(|&name| name < names.len())?);
    }
    let row = |row: usize| {
        let to = if ends.is_valid(row) { ends.value(row) } else { i64::MAX };
        (ids.value(row), Owner { to, person: ranks[row] })
    };
    // Every rank is somebody's, and nobody has two: so no other name is empty, and none comes twice.
    let is_named = by_rank.first().is_none_or(|name| !name.is_empty());
    let people = People::from_rows(by_rank.iter().copied(), (0..ids.len()).map(row));
    people.filter(|people| is_named && people.is_by_name())
}

/// Where the digits of the checksum are.
fn place(bytes: &[u8], digits: &str) -> Option<usize> {
    memchr::memmem::rfind(bytes, digits.as_bytes()).filter(|_| digits.len() == ZEROS.len())
}

/// The checksum of a file in which these are its digits.
fn checksum(bytes: &[u8], digits: &str) -> Option<String> {
    let at = place(bytes, digits)?;
    let mut hash = Xxh3::new();
    hash.update(&bytes[..at]);
    hash.update(ZEROS.as_bytes());
    hash.update(&bytes[at + digits.len()..]);
    Some(Checksum(hash.digest128()).to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;
    use crate::identity::{Alias, Links, MOST_LINKS, Match, Run};

    fn opened(bytes: &[u8]) -> Result<Opened, String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Opened::new(file)
    }

    fn said(people: &People) -> Vec<(String, i64, String)> {
        people.rows().map(|(id, owner)| (id.to_owned(), owner.to, people.name(owner.person).to_owned())).collect()
    }

    fn links(runs: &[(u8, u8, i64)], aliases: &[(u8, u8)]) -> Links {
        let mut links = Links::default();
        for &(device, user, at) in runs {
            // Nobody is a log-out.
            let user = if user == 0 { String::new() } else { format!("u{user}") };
            links.devices.push(&format!("d{device}"), Run { first: at, out: user.is_empty(), user: &user, last: at });
        }
        links.devices.sort();
        let alias = |&(one, other): &(u8, u8)| Alias {
            distinct_id: format!("u{one}"),
            person: format!("u{other}"),
            since: 0,
            evidence: String::new(),
        };
        links.aliases = aliases.iter().filter(|(one, other)| one != other).map(alias).collect();
        links
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            runs in prop::collection::vec((0_u8..12, 0_u8..9, 0_i64..1_000), 0..60),
            aliases in prop::collection::vec((0_u8..12, 0_u8..12), 0..6),
        ) {
            let people = People::new(&links(&runs, &aliases));
            let of = MadeOf { mark: "7-00".to_owned(), rows: 60, last: 99 };
            let mut file = opened(&encode(&people, &of).unwrap()).unwrap();
            prop_assert_eq!(file.made_of(), Some(of));
            let bytes = file.bytes().unwrap();
            let read = file.read(bytes).unwrap();
            prop_assert_eq!(said(&read), said(&people));
            prop_assert!(read.is_by_name());
            prop_assert_eq!(read.joins(), people.joins());
            let mut persons: Vec<u32> = (0..).zip(people.names()).map(|one| one.0).collect();
            people.sort(&mut persons);
            prop_assert!(persons.iter().map(|&person| people.name(person)).eq(read.names()));
        }
    }

    fn of() -> MadeOf {
        MadeOf { mark: "7-00".to_owned(), rows: 3, last: 3 }
    }

    /// Where this has to change, files of before say something else: give [`VERSION`] another number.
    #[test]
    fn what_follows_from_links_is_what_the_version_says() {
        let many: Vec<_> = (50_u8..).take(MOST_LINKS + 1).map(|device| (device, 77, 5)).collect();
        let runs =
            [&[(1, 1, 10), (1, 0, 20), (1, 2, 30), (2, 3, 5), (3, 0, 7), (4, 5, 1), (4, 6, 9)][..], &many].concat();
        let mut links = links(&runs, &[(3, 1), (8, 9)]);
        let hash = |id: &str| Match { hash: "h".to_owned(), distinct_id: id.to_owned(), since: 0 };
        links.matches = vec![hash("u5"), hash("u9")];
        let map = [
            ("anon:d1", 21, "u1"),
            ("anon:d1", i64::MAX, "u2"),
            ("anon:d2", i64::MAX, "u1"),
            ("anon:d4", 9, "u9"),
            ("anon:d4", i64::MAX, "u6"),
            ("u3", i64::MAX, "u1"),
            ("u5", i64::MAX, "u9"),
            ("u8", i64::MAX, "u9"),
        ];
        let map = map.map(|(id, to, person)| (id.to_owned(), to, person.to_owned()));
        assert_eq!(said(&People::new(&links)), map);
        let read = opened(&encode(&People::new(&links), &of()).unwrap()).and_then(|mut file| {
            let bytes = file.bytes().unwrap();
            file.read(bytes)
        });
        assert_eq!(said(&read.unwrap()), map);
    }

    #[test]
    fn rows_that_are_no_map_are_refused() {
        let owner = |to, person| Owner { to, person };
        let end = i64::MAX;
        for rows in [
            &[("anon:aaaa1", owner(end, 0)), ("b", owner(end, 0)), ("anon:aaaa2", owner(end, 0))][..],
            &[("a", owner(end, 0)), ("a", owner(end, 0))],
            &[("a", owner(5, 0)), ("a", owner(5, 0)), ("a", owner(end, 0))],
            &[("a", owner(5, 0)), ("b", owner(end, 0))],
            &[("a", owner(5, 0))],
            &[("a", owner(end, 2))],
        ] {
            assert!(People::from_rows(["x", "y"].into_iter(), rows.iter().copied()).is_none(), "{rows:?}");
        }
    }

    #[test]
    fn no_byte_can_be_changed_or_left_out() {
        let people = People::new(&links(&[(1, 1, 0), (1, 2, 5), (2, 1, 3)], &[(1, 3)]));
        let bytes = encode(&people, &of()).unwrap();
        let is_refused = |bytes: &[u8]| opened(bytes).and_then(|file| file.read(bytes.to_vec())).is_err();
        assert!(!is_refused(&bytes));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(is_refused(&changed), "byte {at} of {}", bytes.len());
            assert!(is_refused(&bytes[..at]), "{at} bytes of {}", bytes.len());
        }
    }
}
