//! The native relations: one pass over the events, seen as steps, moves, sessions or journeys.
//!
//! ```text
//! Block ─► Walk (journey/) ─► Tape ─┬─► steps      a row per step
//!                                   ├─► edges      a row per move, START and EXIT included
//!                                   ├─► sessions   a row per session
//!                                   ├─► journeys   a row per session with its path
//!                                   └─► people     a row per person
//! ```
//!
//! Invariants: the rows of a session lie together and those of a person too, in every relation and every reader; only
//! the columns that a query asks for are built.
//!
//! Deliberately not here: what the columns mean (SEMANTICS), aggregation (`operators/`), plain `events` rows' reading
//! order (there is none).

pub mod arrays;
pub mod edges;
pub mod events;
pub mod journeys;
pub mod people;
pub mod sessions;
pub mod steps;
pub mod tape;
pub mod walker;

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{Result, internal_err};

use crate::event::Column;

use self::tape::Tape;

/// A relation over the pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    Steps,
    Edges,
    Sessions,
    Journeys,
    People,
}

/// A column of a relation: name, type, whether it can be NULL.
pub type ColumnDef = (&'static str, DataType, bool);

impl Relation {
    /// Every relation.
    pub const ALL: [Self; 5] = [Self::Steps, Self::Edges, Self::Sessions, Self::Journeys, Self::People];

    /// The table's name in SQL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Edges => "edges",
            Self::Sessions => "sessions",
            Self::Journeys => "journeys",
            Self::People => "people",
        }
    }

    /// All columns.
    #[must_use]
    pub fn schema(self) -> SchemaRef {
        let columns = match self {
            Self::Steps => steps::columns(),
            Self::Edges => edges::columns(),
            Self::Sessions => sessions::columns(),
            Self::Journeys => journeys::columns(),
            Self::People => people::columns(),
        };
        let fields: Vec<Field> =
            columns.into_iter().map(|(name, kind, nullable)| Field::new(name, kind, nullable)).collect();
        Arc::new(Schema::new(fields))
    }

    /// The name of the column that holds a session's start; empty where rows are no part of one session.
    #[must_use]
    pub const fn start_column(self) -> &'static str {
        match self {
            Self::Steps | Self::Edges => "session_start",
            Self::Sessions | Self::Journeys => "started_at",
            Self::People => "",
        }
    }

    /// Rows of the relation on the tape.
    pub(super) fn rows(self, tape: &Tape<'_>) -> usize {
        match self {
            Self::Steps => tape.walk.steps.len(),
            Self::Edges => tape.walk.steps.len() + tape.walk.sessions.len(),
            Self::Sessions | Self::Journeys => tape.walk.sessions.len(),
            Self::People => people::count(tape),
        }
    }

    /// One column of the relation; `coded` asks for the number instead of the text (see [`Relation::codes`]).
    pub(super) fn column(self, name: &str, coded: bool, tape: &mut Tape<'_>) -> Result<ArrayRef> {
        let built = match self {
            Self::Steps => steps::column(name, coded, tape)?,
            Self::Edges => edges::column(name, coded, tape)?,
            Self::Sessions => sessions::column(name, coded, tape)?,
            Self::Journeys => journeys::column(name, coded, tape)?,
            Self::People => people::column(name, coded, tape)?,
        };
        built.map_or_else(|| internal_err!("no column {name} in {}", self.name()), Ok)
    }

    /// The type of the number that can stand for a column's text: unique among people (`user_id`), sessions
    /// (`session_id`) or paths of one reader. `None`: the column has no such number.
    #[must_use]
    pub fn codes(self, name: &str) -> Option<DataType> {
        match name {
            "user_id" => Some(DataType::UInt64),
            "session_id" if self != Self::People => Some(DataType::UInt64),
            "path" | "path_id" if self == Self::Journeys => Some(DataType::UInt32),
            _ => None,
        }
    }

    /// Whether `name` is about pages, of which a pass must then have the codes.
    #[must_use]
    pub fn tells_pages(name: &str) -> bool {
        matches!(name, "page" | "prev_page" | "next_page" | "is_view" | "dwell_s" | "top_page")
    }

    /// The stored columns that must stay reachable per row for `name`.
    #[must_use]
    pub fn needs(self, name: &str) -> &'static [Column] {
        match name {
            "session_id" => &[Column::SourceSessionId, Column::EventId, Column::SourceId, Column::SourceOffset],
            "source_session_id" => &[Column::SourceSessionId],
            "method" => &[Column::Method],
            "status" => &[Column::Status],
            "referrer" | "entry_referrer" => &[Column::Referrer],
            "properties" => &[Column::Properties],
            "anonymous_id" => &[Column::AnonymousId],
            "user_agent" => &[Column::UserAgent],
            "devices" => &[Column::AnonymousId, Column::UserAgent],
            _ => &[],
        }
    }
}
