//! Why the store said no: each error names the file, the check and the next step.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Every way a store refuses. [`StoreError::is_damage`] and [`StoreError::is_in_use`] decide the exit code.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("{dir} is no journeyql store: {why} – create one with `journeyql ingest FILE --store {dir}`")]
    NotAStore { dir: PathBuf, why: &'static str },
    #[error("{dir} is already a journeyql store")]
    AlreadyAStore { dir: PathBuf },
    #[error("{dir} holds other files ({found}): a new store needs an empty folder – choose another --store")]
    NotEmpty { dir: PathBuf, found: String },
    #[error(
        "{dir} was written by a newer journeyql: store format {found}, this program knows up to {known} – upgrade journeyql"
    )]
    NewerVersion { dir: PathBuf, found: String, known: u32 },
    #[error(
        "{catalog} was changed by another program: {what} – only journeyql may write to a store; restore a copy from before, or ingest the logs into a new store"
    )]
    ForeignWrites { catalog: PathBuf, what: String },
    #[error(
        "{path} is missing, but the catalog lists it with {rows} rows – restore the file; `journeyql verify` lists all damage"
    )]
    MissingPart { path: PathBuf, rows: u64 },
    #[error(
        "{path} has {found} bytes, the catalog says {expected} – restore the file; `journeyql verify` lists all damage"
    )]
    TruncatedPart { path: PathBuf, expected: u64, found: u64 },
    #[error("{path} is damaged ({check}): {detail} – restore the file; `journeyql verify` lists all damage")]
    DamagedPart { path: PathBuf, check: &'static str, detail: String },
    #[error(
        "{path} is damaged: {detail} – nothing is lost, it follows from the catalog: `journeyql compact` makes it anew"
    )]
    DamagedPeople { path: PathBuf, detail: String },
    #[error("the catalog {catalog} is damaged: {detail} – restore the store from a copy")]
    DamagedCatalog { catalog: PathBuf, detail: String },
    #[error(
        "{path} {what} – put the store's own key back; without it nothing that comes is masked as what is there, so a new store is the other way"
    )]
    Key { path: PathBuf, what: &'static str },
    #[error("the store {dir} is in use: {holder} is writing to it – wait for it to end")]
    InUse { dir: PathBuf, holder: String },
    #[error(
        "no space left on the disk while {doing} {path} – the store is as it was before; free some space and repeat"
    )]
    DiskFull { path: PathBuf, doing: &'static str },
    #[error("no permission for {doing} {path} – a store needs read and write permission, also for its readers")]
    Permission { path: PathBuf, doing: &'static str },
    #[error("{doing} {path}: {source}")]
    Io { path: PathBuf, doing: &'static str, source: io::Error },
    #[error("the catalog {catalog}: {doing}: {source}")]
    Catalog { catalog: PathBuf, doing: &'static str, source: rusqlite::Error },
    #[error("encoding {path}: {source}")]
    Encode { path: PathBuf, source: parquet::errors::ParquetError },
    #[error("rows for {path} cannot be stored: {detail}")]
    Rows { path: PathBuf, detail: String },
    #[error("the counters of source {source_id} ({name}) do not add up: {detail} – nothing was committed; report this")]
    Counters { source_id: String, name: String, detail: String },
    #[error("the store changed since the commit was planned: {what} – repeat the command")]
    Moved { what: String },
    #[error(
        "the change is made (snapshot {snapshot}), but tidying up after it failed: {} – do not repeat it; files and rows of before are left, and the next command that writes removes them: journeyql compact",
        source.cause()
    )]
    Untidy { snapshot: i64, source: Box<Self> },
    #[error("an earlier commit of this writer failed and its outcome is unknown – repeat the command")]
    Unknown,
}

/// Our own statements do not fit what they find, so it is not what we wrote.
const fn is_misread(error: &rusqlite::Error) -> bool {
    use rusqlite::Error as E;
    matches!(
        error,
        E::SqlInputError { .. }
            | E::FromSqlConversionFailure(..)
            | E::IntegralValueOutOfRange(..)
            | E::InvalidColumnType(..)
            | E::QueryReturnedNoRows
            | E::Utf8Error(..)
    )
}

impl StoreError {
    /// The store, not the request, is at fault: exit code 5.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::ForeignWrites { .. }
                | Self::MissingPart { .. }
                | Self::TruncatedPart { .. }
                | Self::DamagedPart { .. }
                | Self::DamagedPeople { .. }
                | Self::DamagedCatalog { .. }
                | Self::Key { .. }
        )
    }

    /// Another process writes: exit code 4.
    #[must_use]
    pub const fn is_in_use(&self) -> bool {
        matches!(self, Self::InUse { .. })
    }

    /// What happened, without what it would mean before a commit.
    fn cause(&self) -> String {
        let text = self.to_string();
        text.split(" – ").next().unwrap_or_default().to_owned()
    }

    /// Names the cause of a failed file operation.
    pub(super) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path, doing },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Permission { path, doing },
            _ => Self::Io { path, doing, source },
        }
    }

    /// Names the cause of a failed catalog operation.
    pub(super) fn catalog(doing: &'static str, catalog: &Path, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let path = catalog.to_owned();
        // SQLite's memory shared between processes is a file, and has no other error for a disk that is full.
        let shared =
            source.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE);
        match source.sqlite_error_code() {
            _ if shared => Self::DiskFull { path, doing },
            Some(ErrorCode::DiskFull) => Self::DiskFull { path, doing },
            Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
                Self::Permission { path, doing }
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::DamagedCatalog { catalog: path, detail: source.to_string() }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse {
                dir: catalog.parent().unwrap_or(catalog).to_owned(),
                holder: "another program (it holds the catalog's lock)".to_owned(),
            },
            _ if is_misread(&source) => Self::DamagedCatalog { catalog: path, detail: format!("{doing}: {source}") },
            _ => Self::Catalog { catalog: path, doing, source },
        }
    }

    /// Names the cause of a failed encoding: a full disk hides inside the Parquet error.
    pub(super) fn encode(path: &Path, source: parquet::errors::ParquetError) -> Self {
        if let parquet::errors::ParquetError::External(inner) = source {
            return match inner.downcast::<io::Error>() {
                Ok(cause) => Self::io("writing", path, *cause),
                Err(inner) => {
                    Self::Encode { path: path.to_owned(), source: parquet::errors::ParquetError::External(inner) }
                }
            };
        }
        Self::Encode { path: path.to_owned(), source }
    }
}
