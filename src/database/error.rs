//! Everything that can go wrong behind the façade, and what a person should read about it.

use std::path::Path;

use thiserror::Error;

use super::statement::{find_word, stretch_at};
use crate::config::ConfigError;
use crate::engine::{Position, QueryError, QueryErrorKind};
use crate::error::Explanation;
use crate::ingest::IngestError;
use crate::parse::FormatError;
use crate::store::StoreError;

/// Why the database said no.
#[derive(Debug, Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Ingest(#[from] IngestError),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot spell the rules: {0}")]
    Rules(String),
    #[error("cannot show the answer: {0}")]
    Output(#[from] crate::output::OutputError),
    #[error("cannot read the answer back: {0}")]
    Rows(String),
    #[error("the session has no snapshot")]
    Closed,
}

/// Whose fault it is; a porch makes an exit code or a status of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What was asked for makes no sense: SQL, a format, rules.
    Usage,
    /// Another process writes to the store.
    InUse,
    /// The store is damaged.
    Damaged,
    Interrupted,
    Failed,
}

impl Error {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Store(error) | Self::Ingest(IngestError::Store(error)) => of_store(error),
            Self::Ingest(
                IngestError::Format { source: FormatError::Unknown { .. } | FormatError::Invalid { .. }, .. }
                | IngestError::NothingNamed
                | IngestError::Pattern { .. }
                | IngestError::Config(_),
            )
            | Self::Config(_) => Fault::Usage,
            Self::Ingest(IngestError::Interrupted) => Fault::Interrupted,
            Self::Query(error) => match error.kind {
                QueryErrorKind::Sql => Fault::Usage,
                QueryErrorKind::Damaged => Fault::Damaged,
                QueryErrorKind::Failed | QueryErrorKind::Memory => Fault::Failed,
            },
            Self::Ingest(_) | Self::Rules(_) | Self::Output(_) | Self::Rows(_) | Self::Closed => Fault::Failed,
        }
    }

    /// The screen for people.
    #[must_use]
    pub fn explain(&self) -> Explanation {
        match self {
            Self::Store(error) => explain_store(error),
            Self::Ingest(IngestError::Store(error)) => explain_store(error),
            other => Explanation::new(&other.to_string()),
        }
    }

    /// The screen for people about SQL that was run; `name` is its file, or `query`.
    #[must_use]
    pub fn explain_sql(&self, name: &str, sql: &str) -> Explanation {
        let Self::Query(error) = self else { return self.explain() };
        let mut explanation = Explanation::new(&error.message);
        if let Some(range) = place(error, sql) {
            explanation = explanation.at(name, sql, range);
        }
        match &error.hint {
            Some(hint) => explanation.hint(hint.clone()),
            None => explanation,
        }
    }
}

const fn of_store(error: &StoreError) -> Fault {
    match error {
        error if error.is_in_use() => Fault::InUse,
        error if error.is_damage() => Fault::Damaged,
        _ => Fault::Failed,
    }
}

fn explain_store(error: &StoreError) -> Explanation {
    match error {
        StoreError::NotAStore { dir, .. } if is_missing(dir) => {
            Explanation::new(&format!("there is no store at {}", dir.display()))
                .next(format!("journeyql --store {} ingest access.log", dir.display()))
                .next("journeyql demo")
        }
        other => Explanation::new(&other.to_string()),
    }
}

fn is_missing(dir: &Path) -> bool {
    !dir.exists() || std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

/// The bytes that the error speaks of: the place it names, else the word that it calls unknown.
fn place(error: &QueryError, sql: &str) -> Option<std::ops::Range<usize>> {
    if let Some(at) = error.at {
        return Some(qualified(sql, stretch_at(sql, offset(sql, at)?)));
    }
    if error.message.ends_with("found: EOF") {
        let end = sql.trim_end().len();
        return Some(end..end);
    }
    let unknown = ["no table ", "no column ", "no function ", "no setting "];
    let name = unknown.iter().find_map(|start| error.message.strip_prefix(start))?;
    find_word(sql, name.split_whitespace().next()?.trim_matches('\''))
}

/// The whole of a qualified name that begins at `range`: `e.pag`, not `e`.
fn qualified(sql: &str, mut range: std::ops::Range<usize>) -> std::ops::Range<usize> {
    while sql[range.end..].starts_with('.') {
        let part = stretch_at(sql, range.end + 1);
        if part.start != range.end + 1 {
            break;
        }
        range.end = part.end;
    }
    range
}

/// The byte of a line and column, both from 1, columns in characters.
fn offset(sql: &str, at: Position) -> Option<usize> {
    let line = usize::try_from(at.line).ok()?.checked_sub(1)?;
    let column = usize::try_from(at.column).ok()?.checked_sub(1)?;
    let start = sql.split_inclusive('\n').take(line).map(str::len).sum::<usize>();
    let rest = sql.get(start..)?;
    Some(start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at))
}
