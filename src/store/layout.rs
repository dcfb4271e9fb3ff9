//! Where everything lies. No path of a store is a string: each has a constructor here, and its parser beside it.
//!
//! | what | name | made by | read back by |
//! |---|---|---|---|
//! | table | `events`, `quarantine` | [`Table::name`] | [`Table::of_id`] |
//! | day folder | `day=2026-01-05` | [`PartPath::day_dir`] | [`PartPath::parse`] |
//! | part | `part-<14 hex><8 hex>.parquet` | [`PartName::fresh`] | [`PartName::parse`] |
//! | part being written | the same and `.tmp` | [`Layout::tmp`] | [`PartName::parse_tmp`] |
//! | received lines | `inbox/received-<14 hex><8 hex>.ndjson` | [`Layout::new_inbox_file`] | [`Layout::is_inbox_file`] |
//! | reads through servers | `reads/2026-01-05.ndjson` | [`Layout::reads_of`] | [`Layout::parse_reads_of`] |
//! | lease | `leases/42` | [`Layout::lease`] | [`Layout::parse_lease`] |

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;

use crate::event::{self, Column};
use crate::time::{Day, now_micros};

/// The two tables of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    Events,
    Quarantine,
}

impl Table {
    /// Both, in order of their ids.
    pub const ALL: [Self; 2] = [Self::Events, Self::Quarantine];

    /// The name in SQL and of the folder.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Quarantine => "quarantine",
        }
    }

    /// The DuckLake table id.
    #[must_use]
    pub const fn id(self) -> i64 {
        match self {
            Self::Events => 1,
            Self::Quarantine => 2,
        }
    }

    /// The table of a DuckLake table id.
    #[must_use]
    pub fn of_id(id: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.id() == id)
    }

    /// The schema of its rows.
    #[must_use]
    pub fn schema(self) -> SchemaRef {
        match self {
            Self::Events => event::events(),
            Self::Quarantine => event::quarantine(),
        }
    }

    /// The columns that its parts are sorted by, as positions in the schema.
    #[must_use]
    pub const fn sort_key(self) -> &'static [usize] {
        match self {
            Self::Events => &[
                Column::DistinctId as usize,
                Column::Ts as usize,
                Column::SourceId as usize,
                Column::SourceOffset as usize,
            ],
            Self::Quarantine => &[1, 2],
        }
    }

    /// The column that holds the row's time, as a position in the schema.
    #[must_use]
    pub const fn time_column(self) -> usize {
        match self {
            Self::Events => Column::Ts as usize,
            Self::Quarantine => 7,
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that was never used: the microsecond and 32 random bits.
fn unique() -> String {
    let random = RandomState::new().build_hasher().finish() >> 32;
    format!("{:014x}{random:08x}", now_micros())
}

/// Whether [`unique`] makes such texts.
fn is_unique(text: &str) -> bool {
    text.len() == 22 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The unique file name of a part, without folder: the microsecond of its creation and a random number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PartName(String);

impl PartName {
    /// A name that was never used: time and 32 random bits.
    pub(super) fn fresh() -> Self {
        Self(format!("part-{}.parquet", unique()))
    }

    /// Reads `part-….parquet`; `None` for any file that is not ours.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let stem = text.strip_prefix("part-")?.strip_suffix(".parquet")?;
        is_unique(stem).then(|| Self(text.to_owned()))
    }

    /// Reads `part-….parquet.tmp`.
    pub(super) fn parse_tmp(text: &str) -> Option<Self> {
        Self::parse(text.strip_suffix(".tmp")?)
    }
}

/// A part's place below `data/`: table, day and name. Shown as `events/day=2026-01-05/part-….parquet`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PartPath {
    pub table: Table,
    pub day: Day,
    pub name: PartName,
}

impl PartPath {
    /// The name of a day's folder.
    pub(super) fn day_dir(day: Day) -> String {
        format!("day={day}")
    }

    /// The day of a folder name; `None` for any other folder.
    pub(super) fn parse_day_dir(text: &str) -> Option<Day> {
        Day::parse(text.strip_prefix("day=")?)
    }

    /// The path that the catalog stores: below the table's folder.
    pub(super) fn in_table(&self) -> String {
        format!("{}/{}", Self::day_dir(self.day), self.name.0)
    }

    /// Reads what [`Self::in_table`] wrote.
    pub(super) fn parse_in_table(table: Table, text: &str) -> Option<Self> {
        let (dir, name) = text.split_once('/')?;
        Some(Self { table, day: Self::parse_day_dir(dir)?, name: PartName::parse(name)? })
    }

    /// Reads what `Display` wrote.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (table, rest) = text.split_once('/')?;
        let table = Table::ALL.into_iter().find(|known| known.name() == table)?;
        Self::parse_in_table(table, rest)
    }
}

impl fmt::Display for PartPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.table, self.in_table())
    }
}

/// The folder of a store and every place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// `root` must be absolute: readers of the catalog resolve `data_path` against their own working directory.
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn catalog(&self) -> PathBuf {
        self.root.join("catalog.sqlite")
    }

    /// A catalog that is being created: it gets its name when it is whole.
    pub(super) fn new_catalog(&self) -> PathBuf {
        self.root.join("catalog.sqlite.new")
    }

    /// A database and the files that SQLite keeps beside it.
    pub(super) fn database_files(database: &Path) -> [PathBuf; 4] {
        ["", "-journal", "-wal", "-shm"].map(|suffix| {
            let mut name = database.as_os_str().to_owned();
            name.push(suffix);
            name.into()
        })
    }

    pub(super) fn rules(&self) -> PathBuf {
        self.root.join("journeyql.toml")
    }

    /// The key of the masks, for nobody but who ingests.
    pub(super) fn key(&self) -> PathBuf {
        self.root.join("privacy.key")
    }

    pub(super) fn writer_lock(&self) -> PathBuf {
        self.root.join("writer.lock")
    }

    pub(super) fn leases(&self) -> PathBuf {
        self.root.join("leases")
    }

    /// Nameless again as soon as it is open; found only where a writer was killed in between.
    pub(super) fn spool(&self) -> PathBuf {
        self.root.join("spool.tmp")
    }

    /// Written, synced and removed to see that the disk takes bytes.
    pub(super) fn probe(&self) -> PathBuf {
        self.root.join("probe.tmp")
    }

    /// Whose ids are whose, as it follows from the catalog.
    pub(super) fn people(&self) -> PathBuf {
        self.root.join("people.parquet")
    }

    /// One that is being written.
    pub(super) fn new_people(&self) -> PathBuf {
        self.root.join("people.parquet.tmp")
    }

    /// What was received and is not committed.
    pub(super) fn inbox(&self) -> PathBuf {
        self.root.join("inbox")
    }

    pub(super) fn new_inbox_file(&self) -> PathBuf {
        self.inbox().join(format!("received-{}.ndjson", unique()))
    }

    /// Asks whoever writes to a file of the inbox to begin another.
    pub(super) fn inbox_request(&self) -> PathBuf {
        self.inbox().join("end-file")
    }

    pub(super) fn is_inbox_file(name: &str) -> bool {
        name.strip_prefix("received-").and_then(|name| name.strip_suffix(".ndjson")).is_some_and(is_unique)
    }

    /// What servers were asked.
    pub(super) fn reads(&self) -> PathBuf {
        self.root.join("reads")
    }

    pub(super) fn reads_lock(&self) -> PathBuf {
        self.reads().join("lock")
    }

    pub(super) fn reads_of(&self, day: Day) -> PathBuf {
        self.reads().join(format!("{day}.ndjson"))
    }

    pub(super) fn parse_reads_of(name: &str) -> Option<Day> {
        Day::parse(name.strip_suffix(".ndjson")?).filter(|day| format!("{day}.ndjson") == name)
    }

    pub(super) fn lease(&self, snapshot: i64) -> PathBuf {
        self.leases().join(snapshot.to_string())
    }

    pub(super) fn parse_lease(file_name: &str) -> Option<i64> {
        file_name.parse().ok().filter(|id: &i64| *id >= 0 && id.to_string() == file_name)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// `data_path` as the catalog spells it: absolute, ending in a slash.
    pub(super) fn data_path(&self) -> String {
        format!("{}/", self.data().display())
    }

    pub(super) fn table_dir(&self, table: Table) -> PathBuf {
        self.data().join(table.name())
    }

    pub(super) fn day_dir(&self, table: Table, day: Day) -> PathBuf {
        self.table_dir(table).join(PartPath::day_dir(day))
    }

    pub(super) fn part(&self, part: &PartPath) -> PathBuf {
        self.day_dir(part.table, part.day).join(&part.name.0)
    }

    pub(super) fn tmp(&self, part: &PartPath) -> PathBuf {
        self.day_dir(part.table, part.day).join(format!("{}.tmp", part.name.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_reads_back() {
        let part =
            PartPath { table: Table::Quarantine, day: Day::parse("2026-01-05").unwrap(), name: PartName::fresh() };
        assert_eq!(PartPath::parse(&part.to_string()), Some(part.clone()));
        assert_eq!(PartPath::parse_in_table(Table::Quarantine, &part.in_table()), Some(part.clone()));
        let layout = Layout::new("/s".into());
        let received = layout.new_inbox_file();
        assert!(received.starts_with(layout.inbox()));
        assert!(Layout::is_inbox_file(received.file_name().unwrap().to_str().unwrap()));
        assert!(!Layout::is_inbox_file("received-.ndjson"));
        assert!(layout.reads_of(part.day).starts_with(layout.reads()));
        assert_eq!(Layout::parse_reads_of("2026-01-05.ndjson"), Some(part.day));
        assert_eq!((Layout::parse_reads_of("2026-1-5.ndjson"), Layout::parse_reads_of("lock")), (None, None));
        let tmp = layout.tmp(&part);
        assert_eq!(PartName::parse_tmp(tmp.file_name().unwrap().to_str().unwrap()), Some(part.name.clone()));
        assert_eq!(layout.part(&part), Path::new("/s/data").join(part.to_string()));
        assert_eq!(Layout::parse_lease("42"), Some(42));
        for foreign in ["042", "-1", "x", ""] {
            assert_eq!(Layout::parse_lease(foreign), None, "{foreign}");
        }
        for foreign in ["part-1.parquet", "ducklake-0193.parquet", "part-0123456789abcdef012345.parquet.tmp", "x"] {
            assert_eq!(PartName::parse(foreign), None, "{foreign}");
        }
        assert_ne!(PartName::fresh(), PartName::fresh());
    }
}
