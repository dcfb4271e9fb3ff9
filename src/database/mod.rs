//! The façade: what the doors, the porch and a program that embeds journeyql use. Everything below is behind it.
//!
//! ```text
//! Database ──ingest──► ingest/          status, files, verify ──► store/
//!     └──session──► Session ──query──► Answer (Arrow batches)  ──► engine/
//! ```
//! Invariants: a session's statement sees the newest snapshot at its start and that one to its end; every error
//! carries what a person should read ([`Error::explain`]).
//!
//! Deliberately not here: printing, exit codes (`cli/`).

mod collect;
mod correct;
mod difference;
mod error;
mod files;
mod forget;
mod identity;
mod inspect;
mod maintain;
pub mod panel;
mod queries;
mod reads;
mod report;
mod scratch;
mod segment;
mod session;
mod statement;
mod status;
mod trace;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::config::Config;
use crate::ingest::{self, IngestOptions, IngestReport, Progress};
use crate::store::{Snapshot, Store, StoreError};
use crate::time;

pub use crate::engine::expect::{Expectation, Expected, expectations, table_lines};
pub use crate::engine::functions::{ArgumentDoc, FunctionDoc, docs as functions};
pub use crate::engine::header::Header;
pub use crate::engine::{Described, Raises, Stop, bind_numbered, literal as literal_of};
pub use crate::parse::message::{BodyError, Call, Receipt, Shaped};
pub use collect::{CollectError, Collecting, Collector};
pub use correct::{Corrected, SessionEvents};
pub use difference::{Difference, Moved};
pub use error::{Error, Fault};
pub use files::{Files, LiveFile};
pub use inspect::Inspected;
pub use maintain::{Anew, Made, Reprocessing};
pub use queries::{Full, Limits, Place, Queries, Traffic, Turns, Unguarded, Waiting, Work, guarded, log};
pub use reads::{Asker, Reads};
pub use report::{Report, reports};
pub use scratch::Temporary;
pub use session::{Answer, RelationInfo, Session};
pub use statement::{is_complete as is_complete_statement, literal, split as split_statements, split_ranges, words};
pub use status::{SourceStatus, Status};
pub use trace::{Trace, TracedStep, Visit};
pub use verify::Check;

/// The rules file in a store.
const RULES: &str = "journeyql.toml";

/// What a database is opened with, beside its folder.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Rules in place of the store's own.
    pub config: Option<Arc<Config>>,
    /// The time to take for now, microseconds; `None`: the clock.
    pub now: Option<i64>,
}

/// An opened store with its rules. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    store: Arc<Store>,
    config: Arc<Config>,
    now: Option<i64>,
}

impl Database {
    /// Opens a store.
    ///
    /// # Errors
    /// It is missing, of a newer version, damaged, or its rules make no sense.
    pub fn open(dir: &Path, options: Options) -> Result<Self, Error> {
        let store = Store::open(dir)?;
        let config = match options.config {
            Some(config) => config,
            None => Arc::new(stored_rules(dir)?.unwrap_or_default()),
        };
        Ok(Self { store: Arc::new(store), config, now: options.now })
    }

    /// Creates a store in a new or empty folder. The rules in `options`, if any, become the store's own, so that
    /// later commands mean the same.
    ///
    /// # Errors
    /// There is a store already, the folder holds other files, or it cannot be written to.
    pub fn create(dir: &Path, options: Options) -> Result<Self, Error> {
        match (&options.config, stored_rules(dir)?) {
            (Some(config), None) => Store::create_with_rules(dir, &rules_text(config)?)?,
            _ => Store::create(dir)?,
        };
        Self::open(dir, options)
    }

    /// Whether a folder holds a store, of whatever version and health: then nothing may be created over it.
    #[must_use]
    pub fn exists(dir: &Path) -> bool {
        !matches!(Store::open(dir), Err(StoreError::NotAStore { .. }))
    }

    /// Removes a store that was just made and that nothing was committed to, and its folder where `folder` says so.
    ///
    /// # Errors
    /// Somebody writes to it, or it cannot be removed.
    pub fn discard(dir: &Path, folder: bool) -> Result<(), Error> {
        Store::open(dir)?.discard(folder)?;
        Ok(())
    }

    /// The rules of the store in a folder: its `journeyql.toml`, or `None` where it has none.
    ///
    /// # Errors
    /// The file cannot be read or makes no sense.
    pub fn rules_of(dir: &Path) -> Result<Option<Config>, Error> {
        stored_rules(dir)
    }

    /// The store's folder, absolute.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.store.dir()
    }

    /// The rules in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The newest snapshot, leased.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        Ok(self.store.snapshot()?)
    }

    /// Tries what a commit needs, and leaves nothing of it.
    ///
    /// # Errors
    /// The store cannot be read, or could not be written to.
    pub fn could_commit(&self) -> Result<(), Error> {
        Ok(self.store.could_commit()?)
    }

    /// Options of an ingest at this database's time. `stop` ends it early when set.
    #[must_use]
    pub fn ingest_options(&self, inputs: Vec<String>, format: String, stop: Arc<AtomicBool>) -> IngestOptions {
        let now = self.now.unwrap_or_else(time::now_micros);
        IngestOptions { inputs, format, now, stop, ..IngestOptions::default() }
    }

    /// Ingests what the options name.
    ///
    /// # Errors
    /// What [`ingest::IngestError`] says; what was committed before stays.
    pub fn ingest(&self, options: &IngestOptions, progress: &mut dyn Progress) -> Result<IngestReport, Error> {
        Ok(ingest::ingest(&self.store, &self.config, options, progress)?)
    }

    /// A conversation in SQL: settings last from statement to statement.
    #[must_use]
    pub fn session(&self) -> Session {
        Session::new(self.clone())
    }

    /// The rows of an answer as JSON objects, for small answers.
    ///
    /// # Errors
    /// The query fails.
    pub async fn rows(&self, sql: &str) -> Result<Vec<serde_json::Value>, Error> {
        self.session().query(sql).await?.rows().await
    }

    /// Views that override ours lie here.
    fn views_dir(&self) -> PathBuf {
        self.dir().join("queries").join("views")
    }
}

fn stored_rules(dir: &Path) -> Result<Option<Config>, Error> {
    let path = dir.join(RULES);
    if path.exists() { Ok(Some(Config::load(&path)?)) } else { Ok(None) }
}

fn rules_text(config: &Config) -> Result<String, Error> {
    toml::to_string_pretty(config).map_err(|error| Error::Rules(error.to_string()))
}
