//! Bytes in, committed tables out.
//!
//! What is compared is everything that the store holds: all columns of all rows of both tables, and the counters and
//! offsets of the sources. The time of receipt is fixed.

mod bad_input;
mod duplicates;
mod golden;
mod growth;
mod late;
mod permutations;
mod privacy;
mod reread;
mod retry;
mod schema;
mod tables;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use arrow::util::display::{ArrayFormatter, FormatOptions};
use journeyql::config::Config;
use journeyql::correction::Change;
use journeyql::identity::Links;
use journeyql::ingest::{IngestError, IngestOptions, IngestReport, Quiet, ingest};
use journeyql::store::{Part, Store, Table};
use journeyql::time::Day;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// 2026-02-01, later than every line of these tests.
pub const NOW: i64 = 1_769_904_000_000_000;

/// A store in a folder of its own, with room for input files beside it.
pub struct Place {
    dir: tempfile::TempDir,
    pub store: Store,
    pub config: Config,
    pub buffer_bytes: usize,
}

/// All that a store holds, in an order of its own.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tables {
    pub events: Vec<String>,
    pub quarantine: Vec<String>,
    /// By source id: offset, lines, stored, quarantined, dropped, duplicates.
    pub sources: BTreeMap<String, [u64; 6]>,
    /// What is known about who is who.
    pub links: Links,
    /// What is said of events, and in force.
    pub corrections: Vec<Change>,
}

impl Tables {
    pub fn of(store: &Store) -> Self {
        let snapshot = store.snapshot().unwrap();
        let rows = |table| {
            let mut rows: Vec<String> = snapshot.parts(table).iter().flat_map(rows).collect();
            rows.sort();
            rows
        };
        let sources = snapshot.sources().iter().map(|row| {
            assert_eq!(row.contradiction(), None, "{}", row.name);
            let counts = [row.offset, row.lines, row.stored, row.quarantined, row.dropped, row.duplicates];
            (row.source_id.clone(), counts)
        });
        let (events, quarantine) = (rows(Table::Events), rows(Table::Quarantine));
        let links = store.links(&snapshot).unwrap();
        let said = store.corrections(&snapshot).unwrap().into_iter().filter(|said| said.reverted.is_none());
        let corrections = said.map(|said| said.change).collect();
        let tables = Self { events, quarantine, sources: sources.collect(), links, corrections };
        let sum = |at: usize| tables.sources.values().map(|counts| counts[at]).sum::<u64>();
        assert_eq!((tables.events.len() as u64, tables.quarantine.len() as u64), (sum(2), sum(3)));
        tables
    }

    /// Both are the same; else the first rows that only one of them has.
    #[track_caller]
    pub fn assert_same(&self, other: &Self, what: &str) {
        let only = |left: &[String], right: &[String]| {
            left.iter().filter(|row| !right.contains(row)).take(3).cloned().collect::<Vec<_>>()
        };
        assert_eq!(self.sources, other.sources, "{what}");
        assert_eq!(self.links, other.links, "{what}");
        assert_eq!(self.corrections, other.corrections, "{what}");
        for (left, right) in [(&self.events, &other.events), (&self.quarantine, &other.quarantine)] {
            assert!(
                left == right,
                "{what}: {} rows, {} rows\nonly left {:#?}\nonly right {:#?}",
                left.len(),
                right.len(),
                only(left, right),
                only(right, left)
            );
        }
    }
}

impl Place {
    pub fn new() -> Self {
        Self::with("")
    }

    pub fn with(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(&dir.path().join("store")).unwrap();
        Self { dir, store, config: Config::parse(config).unwrap(), buffer_bytes: 1 << 20 }
    }

    /// Writes an input file.
    #[expect(clippy::disallowed_methods, reason = "tests make their own input files")]
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub fn try_ingest(&self, paths: &[&Path], format: &str) -> Result<IngestReport, IngestError> {
        let options = IngestOptions {
            inputs: paths.iter().map(|path| path.display().to_string()).collect(),
            format: format.to_owned(),
            now: NOW,
            buffer_bytes: self.buffer_bytes,
            ..IngestOptions::default()
        };
        ingest(&self.store, &self.config, &options, &mut Quiet)
    }

    pub fn ingest(&self, paths: &[&Path]) -> IngestReport {
        let report = self.try_ingest(paths, "auto").unwrap();
        for source in &report.sources {
            assert_eq!(source.counts.violation(), None, "{}", source.name);
        }
        report
    }

    /// Writes `bytes` as a file and ingests it.
    pub fn take(&self, name: &str, bytes: impl AsRef<[u8]>) -> IngestReport {
        let path = self.file(name, bytes);
        self.ingest(&[&path])
    }

    pub fn tables(&self) -> Tables {
        Tables::of(&self.store)
    }

    /// Live parts of events, by day.
    pub fn days(&self) -> BTreeMap<Day, usize> {
        let mut days = BTreeMap::new();
        for part in self.store.snapshot().unwrap().events() {
            *days.entry(part.day).or_default() += 1;
        }
        days
    }
}

/// The rows of a part as text, `column=value` for every value that is there.
fn rows(part: &Part) -> Vec<String> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(part.open().unwrap()).unwrap().build().unwrap();
    let options = FormatOptions::default();
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let schema = batch.schema();
        let columns: Vec<ArrayFormatter<'_>> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for at in 0..batch.num_rows() {
            let there = (0..columns.len()).filter(|column| batch.column(*column).is_valid(at));
            let values: Vec<String> =
                there.map(|column| format!("{}={}", schema.field(column).name(), columns[column].value(at))).collect();
            rows.push(values.join(" "));
        }
    }
    assert_eq!(rows.len() as u64, part.rows);
    rows
}

/// Line `at` of a made-up access log: a few users, one every seven seconds, four days.
pub fn line(at: u64) -> String {
    let second = at * 7 % 345_600;
    let (day, clock) = (5 + second / 86_400, second % 86_400);
    format!(
        "10.0.0.{} - {} [{day:02}/Jan/2026:{:02}:{:02}:{:02} +0000] \"GET /p/{}?q={at} HTTP/1.1\" {} {} \"-\" \"Agent/{}\"\n",
        at % 9,
        ["ann", "bob", "-", "zoe"][usize::try_from(at % 4).unwrap()],
        clock / 3_600,
        clock / 60 % 60,
        clock % 60,
        at % 23,
        [200, 200, 404, 302][usize::try_from(at % 4).unwrap()],
        at * 31 % 5_000,
        at % 3,
    )
}

pub fn log(lines: std::ops::Range<u64>) -> Vec<u8> {
    lines.flat_map(|at| line(at).into_bytes()).collect()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
