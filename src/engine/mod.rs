//! SQL over a snapshot: native relations, views, settings, functions.
//!
//! ```text
//! session    Engine: one snapshot, one session; state   statement, params   text before planning
//! catalog    names: tables, views                       settings, setting   SET journeyql.…
//! tables     providers: filters → bounds → operators    views, header, expect   queries/*.sql
//! operators  physical operators, relations: columns     source, prune       which parts, which people
//! scan       sorted parts merged by whole people        functions           our own SQL functions
//! segments   saved groups of people                  goals               [journey] goals as views
//! planning   how deep and large a plan may be         bound       $1 of a client's statement
//! postgres   the catalog that Postgres clients ask for stop               nobody waits any more
//! ```
//!
//! Invariants: nothing here writes; the `SessionState` of queries is built in `state` only; settings are read when a query runs;
//! every native operator stops when its reader is gone and registers the memory it holds.
//!
//! Deliberately not here: the algorithms (`journey/`), files and snapshots (`store/`), output formats (`output/`).

pub mod answer;
pub mod bound;
pub mod catalog;
pub mod error;
pub mod expect;
pub mod functions;
pub mod goals;
pub mod header;
pub mod members;
pub mod notices;
pub mod operators;
pub mod params;
mod planning;
#[cfg(feature = "pg")]
pub mod postgres;
pub mod predicate;
pub mod prune;
pub mod relations;
pub mod scan;
pub mod segments;
pub mod session;
pub mod setting;
pub mod settings;
pub mod source;
mod state;
pub mod statement;
pub mod stop;
pub mod stored;
pub mod tables;
pub mod views;

pub use answer::{Answer, type_name};
pub use bound::{Described, bind_numbered, literal};
pub use error::{Position, QueryError, QueryErrorKind};
pub use header::{ColumnDoc, Header, Parameter};
pub use params::{Kind, bind};
pub use scan::parquet_reads;
pub use session::{Engine, EngineOptions, only_the_last};
pub use settings::Settings;
pub use stop::{Raises, Stop};
pub use views::{Queries, Query};

/// The saved reports of the program: name and text.
#[must_use]
pub const fn bundled_reports() -> &'static [(&'static str, &'static str)] {
    views::REPORTS
}
