//! The live files of a store, for every other tool.

use serde::Serialize;

use super::statement::literal;
use super::{Database, Error};
use crate::store::Part;

/// A file that is data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LiveFile {
    pub table: &'static str,
    /// The UTC day of all its rows, `2026-01-05`.
    pub day: String,
    pub rows: u64,
    pub bytes: u64,
    /// Absolute.
    pub path: String,
}

/// The live files of a snapshot, and the way in for DuckDB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Files {
    pub snapshot: i64,
    pub files: Vec<LiveFile>,
    /// The statement that attaches the store in DuckDB.
    pub duckdb: String,
    /// The same for a store that lies elsewhere than when it was last written to.
    pub duckdb_moved: String,
}

impl Database {
    /// The live files of the newest snapshot.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn files(&self) -> Result<Files, Error> {
        let snapshot = self.snapshot()?;
        let files = snapshot.events().iter().chain(snapshot.quarantine()).map(live_file).collect();
        let catalog = format!("ducklake:sqlite:{}", self.store.catalog_path().display());
        let data = format!("{}/", self.dir().join("data").display());
        Ok(Files {
            snapshot: snapshot.id,
            files,
            duckdb: format!("ATTACH {} AS journey (READ_ONLY);", literal(&catalog)),
            duckdb_moved: format!(
                "ATTACH {} AS journey (READ_ONLY, DATA_PATH {}, OVERRIDE_DATA_PATH true);",
                literal(&catalog),
                literal(&data)
            ),
        })
    }
}

fn live_file(part: &Part) -> LiveFile {
    LiveFile {
        table: part.table.name(),
        day: part.day.to_string(),
        rows: part.rows,
        bytes: part.bytes,
        path: part.path.display().to_string(),
    }
}
