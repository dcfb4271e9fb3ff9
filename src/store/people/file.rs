//! The bytes of `people.parquet`.
//!
//! | column | type | |
//! |---|---|---|
//! | `distinct_id` | Utf8 | ascending; an id comes once for each stretch of its time |
//! | `to_ts` | Timestamp µs UTC? | where the stretch ends; NULL: never |
//! | `person_rank` | `UInt32` | whose it is: place of the person among all by name, from 0 |
//! | `person_by_rank` | Utf8? | not of the row's id: the persons by name, from rank 0 in the first row; then NULL |
//!
//! The footer's keys say what it was made of and seal it: `journeyql.checksum` is the xxh3-128 of all bytes, with zeros
//! for its own digits.
//!
//! Invariants: what is decoded is a map whose persons are numbered by name, of as many rows as the footer says; bytes
//! that were changed are refused before they are decoded. They are read twice, once for the checksum: what changes in
//! between is found only where it is no map.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType, UInt32Type};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Encoding;
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use xxhash_rust::xxh3::Xxh3;

use crate::identity::{Owner, People, Rows, Texts};
use crate::limits;
use crate::store::part::Checksum;

/// Offsets and sizes of what is one piece here have 31 bits: a map whose texts have more bytes is not written.
pub(super) const MOST_BYTES: usize = 1 << 30;

/// What the content means, and how it follows from the links: a file of another number is another program's. A test
/// below says when it must be another.
const VERSION: &str = "2";
/// The keys of the footer.
const KEYS: [&str; 5] =
    ["journeyql.version", "journeyql.links", "journeyql.link_rows", "journeyql.last_link", "journeyql.checksum"];
/// Bytes of a page: a reader's memory for one goes on to the next.
const PAGE_BYTES: usize = 64 << 10;
/// Bytes that are read at once for the checksum.
const READ_BYTES: usize = 64 << 10;
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

    /// The file, if its bytes are those that were written.
    pub(super) fn whole(mut self) -> io::Result<Option<Whole>> {
        let [.., key] = KEYS;
        let sum = self.fact(key).unwrap_or_default().to_owned();
        let (mut hash, mut buffer) = (Xxh3::new(), vec![0; READ_BYTES]);
        let mut left = self.footer_start()?;
        self.file.rewind()?;
        while left > 0 {
            let most = usize::try_from(left).map_or(READ_BYTES, |left| left.min(READ_BYTES));
            let read = match self.file.read(&mut buffer[..most]) {
                Ok(0) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                other => other?,
            };
            hash.update(&buffer[..read]);
            left -= read as u64;
        }
        let mut footer = Vec::new();
        self.file.read_to_end(&mut footer)?;
        let is_whole = checksum(hash, &footer, &sum).is_some_and(|found| found == sum);
        Ok(is_whole.then_some(Whole(self)))
    }

    /// Where the footer begins: four bytes before the end say how long it is, and as many say what file it is.
    fn footer_start(&mut self) -> io::Result<u64> {
        let end = self.file.seek(SeekFrom::End(-8))?;
        let mut length = [0; 4];
        self.file.read_exact(&mut length)?;
        Ok(end.saturating_sub(u32::from_le_bytes(length).into()))
    }
}

/// A file with its checksum.
pub(super) struct Whole(Opened);

impl Whole {
    /// The map, read a little at a time: memory for all of it twice costs more than reading it.
    pub(super) fn read(self) -> Result<People, String> {
        let Opened { file, metadata } = self.0;
        let fail = |error: &dyn std::fmt::Display| error.to_string();
        let (footer, bytes) = (Arc::clone(metadata.metadata()), file.metadata().map_err(|e| fail(&e))?.len());
        let typed = options().with_schema(schema());
        let typed = ArrowReaderMetadata::try_new(Arc::clone(&footer), typed).map_err(|e| fail(&e))?;
        let mut map = Decoded::with_room_for(&footer, bytes);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, typed);
        let batches = reader.with_batch_size(limits::BATCH_ROWS).build().map_err(|e| fail(&e))?;
        let no_map = || "its rows are no map from ids to persons".to_owned();
        for batch in batches {
            map.add(&batch.map_err(|e| fail(&e))?).ok_or_else(no_map)?;
        }
        // The reader believes whichever of both is less.
        let groups = footer.row_groups().iter().try_fold(0_i64, |rows, group| rows.checked_add(group.num_rows()));
        let are_all = [groups, Some(footer.file_metadata().num_rows())].iter().all(|said| *said == Some(map.read));
        if !are_all {
            return Err("it has not as many rows as its footer says".to_owned());
        }
        map.rows.finish(map.names).filter(People::is_by_name).ok_or_else(no_map)
    }
}

fn options() -> ArrowReaderOptions {
    ArrowReaderOptions::new().with_skip_arrow_metadata(true)
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("distinct_id", DataType::Utf8, false),
        Field::new("to_ts", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("person_rank", DataType::UInt32, false),
        Field::new("person_by_rank", DataType::Utf8, true),
    ]))
}

/// The bytes of a map.
pub(super) fn encode(people: &People, of: &MadeOf) -> Result<Vec<u8>, ParquetError> {
    seal(&rows(people)?, of)
}

fn seal(rows: &RecordBatch, of: &MadeOf) -> Result<Vec<u8>, ParquetError> {
    let facts = [VERSION, &of.mark, &of.rows.to_string(), &of.last.to_string(), ZEROS].map(str::to_owned);
    let facts = KEYS.into_iter().zip(facts).map(|(key, value)| KeyValue::new(key.to_owned(), value)).collect();
    let properties = WriterProperties::builder()
        .set_created_by(concat!("journeyql version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(facts))
        .set_max_row_group_row_count(None)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_encoding("to_ts".into(), Encoding::DELTA_BINARY_PACKED)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema(), Some(properties))?;
    writer.write(rows)?;
    let mut bytes = writer.into_inner()?;
    let at = place(&bytes, ZEROS).ok_or_else(|| ParquetError::General("the footer has no checksum".to_owned()))?;
    let sum = checksum(Xxh3::new(), &bytes, ZEROS).unwrap_or_default();
    bytes[at..at + sum.len()].copy_from_slice(sum.as_bytes());
    Ok(bytes)
}

fn rows(people: &People) -> Result<RecordBatch, ParquetError> {
    let ids: StringArray = people.rows().map(|row| Some(row.0)).collect();
    let to = |owner: Owner| (owner.to != i64::MAX).then_some(owner.to);
    let ends: TimestampMicrosecondArray = people.rows().map(|row| to(row.1)).collect();
    let mut by_name: Vec<u32> = (0..).zip(people.names()).map(|(person, _)| person).collect();
    people.sort(&mut by_name);
    let mut ranks = vec![0; by_name.len()];
    for (rank, &person) in (0..).zip(&by_name) {
        ranks[person as usize] = rank;
    }
    let ranks = UInt32Array::from_iter_values(people.rows().map(|(_, owner)| ranks[owner.person as usize]));
    // Each person has a row at least.
    let names: StringArray = (0..ids.len()).map(|row| by_name.get(row).map(|&person| people.name(person))).collect();
    let columns: Vec<ArrayRef> =
        vec![Arc::new(ids), Arc::new(ends.with_timezone("UTC")), Arc::new(ranks), Arc::new(names)];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

/// The map while its rows come.
struct Decoded {
    rows: Rows,
    names: Texts,
    has_all_names: bool,
    /// How many rows came.
    read: i64,
}

impl Decoded {
    /// What a footer says is no reason to have more memory than a file of so many bytes can fill: nothing is compressed.
    fn with_room_for(footer: &ParquetMetaData, most: u64) -> Self {
        let most = usize::try_from(most).unwrap_or(MOST_BYTES);
        let rows = usize::try_from(footer.file_metadata().num_rows()).unwrap_or(0);
        let bytes = |column: usize| -> usize {
            let sizes = footer.row_groups().iter().map(|group| group.column(column).uncompressed_size());
            usize::try_from(sizes.fold(0, i64::saturating_add)).unwrap_or(0).min(most)
        };
        let (ids, names) = (bytes(0), bytes(3));
        // Before each text stands its length.
        let room = rows.min(ids / 4);
        Self {
            rows: Rows::with_capacity(room, ids - room * 4),
            names: Texts::with_capacity(room.min(names / 4), names),
            has_all_names: false,
            read: 0,
        }
    }

    /// Adds rows; `None`: they are no part of a map.
    fn add(&mut self, batch: &RecordBatch) -> Option<()> {
        let ids: &StringArray = batch.column(0).as_string_opt()?;
        let ends = batch.column(1).as_primitive_opt::<TimestampMicrosecondType>()?;
        let ranks = batch.column(2).as_primitive_opt::<UInt32Type>()?;
        let names: &StringArray = batch.column(3).as_string_opt()?;
        if ids.null_count() + ranks.null_count() > 0 {
            return None;
        }
        for row in 0..ids.len() {
            let to = if ends.is_valid(row) { ends.value(row) } else { i64::MAX };
            self.rows.add(ids.value(row), Owner { to, person: ranks.value(row) }).then_some(())?;
        }
        // Behind the last name there is none.
        let come = if self.has_all_names { 0 } else { names.iter().take_while(Option::is_some).count() };
        if come + names.null_count() < names.len() {
            return None;
        }
        self.has_all_names |= come < names.len();
        names.iter().flatten().for_each(|name| self.names.push(name));
        self.read += i64::try_from(ids.len()).ok()?;
        Some(())
    }
}

/// Where the digits of the checksum are: the footer comes last.
fn place(bytes: &[u8], digits: &str) -> Option<usize> {
    memchr::memmem::rfind(bytes, digits.as_bytes()).filter(|_| digits.len() == ZEROS.len())
}

/// The checksum of a file that ends with these bytes, among which are these digits of it, and that begins with what was
/// hashed.
fn checksum(mut hash: Xxh3, bytes: &[u8], digits: &str) -> Option<String> {
    let at = place(bytes, digits)?;
    hash.update(&bytes[..at]);
    hash.update(ZEROS.as_bytes());
    hash.update(&bytes[at + digits.len()..]);
    Some(Checksum(hash.digest128()).to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::ops::Not as _;

    use proptest::prelude::*;

    use super::*;
    use crate::identity::{Alias, Links, MOST_LINKS, Match, Run};

    fn opened(bytes: &[u8]) -> Result<Opened, String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Opened::new(file)
    }

    /// Reads a file whose checksum must be right.
    fn read(bytes: &[u8]) -> Result<People, String> {
        opened(bytes)?.whole().unwrap().expect("the checksum is right").read()
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
            let bytes = encode(&people, &of).unwrap();
            prop_assert_eq!(opened(&bytes).unwrap().made_of(), Some(of));
            let read = read(&bytes).unwrap();
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
        let bytes = encode(&People::new(&links), &of()).unwrap();
        assert_eq!(said(&read(&bytes).unwrap()), map);
        let metadata = opened(&bytes).unwrap().metadata;
        let columns = metadata.schema().fields().iter().map(|field| format!("{} {}", field.name(), field.data_type()));
        let expected =
            ["distinct_id Utf8", "to_ts Timestamp(µs, \"UTC\")", "person_rank UInt32", "person_by_rank Utf8"];
        assert_eq!(columns.collect::<Vec<_>>(), expected);
    }

    /// More than one batch of rows, one page of each column and one piece for the checksum; ids whose stretches lie in
    /// two batches.
    #[test]
    fn a_large_map_is_read_as_it_was_written() {
        let mut links = Links::default();
        for device in 0..7_001 {
            let id = format!("{device:06}-of-an-id-that-is-as-long-as-those-of-browsers");
            for (at, user) in [(10, "x"), (20, "y"), (30, "z")] {
                let user = format!("{user}-{device}");
                links.devices.push(&id, Run { first: at, out: false, user: &user, last: at });
            }
        }
        links.devices.sort();
        let people = People::new(&links);
        assert!(people.rows().count() > 2 * limits::BATCH_ROWS && people.rows().count().is_multiple_of(3));
        let bytes = encode(&people, &of()).unwrap();
        assert!(bytes.len() > 10 * READ_BYTES);
        assert_eq!(said(&read(&bytes).unwrap()), said(&people));
        let middle = bytes.len() / 2;
        let changed = [&bytes[..middle], &[bytes[middle] ^ 1], &bytes[middle + 1..]].concat();
        assert!(opened(&changed).unwrap().whole().unwrap().is_none());
    }

    #[test]
    fn persons_that_are_not_those_of_the_rows_are_refused() {
        let ids: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
        let ends: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![None; 3]).with_timezone("UTC"));
        let read = |ranks: [u32; 3], names: [Option<&str>; 3]| {
            let ranks: ArrayRef = Arc::new(UInt32Array::from(ranks.to_vec()));
            let names: ArrayRef = Arc::new(StringArray::from(names.to_vec()));
            let columns = vec![Arc::clone(&ids), Arc::clone(&ends), ranks, names];
            let rows = RecordBatch::try_new(schema(), columns).unwrap();
            read(&seal(&rows, &of()).unwrap())
        };
        assert_eq!(said(&read([0, 1, 0], [Some("x"), Some("y"), None]).unwrap())[1].2, "y");
        let no_map = "its rows are no map from ids to persons";
        assert_eq!(read([0, 1, 0], [Some("x"), None, Some("y")]).unwrap_err(), no_map, "a name behind none");
        assert_eq!(read([0, 0, 0], [None, Some("x"), None]).unwrap_err(), no_map);
        assert_eq!(read([0, 1, 0], [Some("y"), Some("x"), None]).unwrap_err(), no_map, "out of order");
        assert_eq!(read([0, 2, 0], [Some("x"), Some("y"), None]).unwrap_err(), no_map, "nobody");
        assert_eq!(read([0, 0, 0], [Some("x"), Some("y"), None]).unwrap_err(), no_map, "a name too many");
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
            let mut all = Rows::default();
            let are_added = rows.iter().all(|&(id, owner)| all.add(id, owner));
            let names = || ["x", "y"].into_iter().collect();
            assert!(!are_added || all.finish(names()).is_none(), "{rows:?}");
        }
    }

    #[test]
    fn no_byte_can_be_changed_or_left_out() {
        let people = People::new(&links(&[(1, 1, 0), (1, 2, 5), (2, 1, 3)], &[(1, 3)]));
        let bytes = encode(&people, &of()).unwrap();
        let is_refused = |bytes: &[u8]| opened(bytes).is_ok_and(|file| file.whole().unwrap().is_some()).not();
        assert!(!is_refused(&bytes));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(is_refused(&changed), "byte {at} of {}", bytes.len());
            assert!(is_refused(&bytes[..at]), "{at} bytes of {}", bytes.len());
        }
    }
}
