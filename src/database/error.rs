//! Everything that can go wrong behind the façade, and what a person should read about it.

use std::path::Path;

use thiserror::Error;

use super::statement::{find_word, stretch_at};
use crate::config::ConfigError;
use crate::engine::{Position, QueryError, QueryErrorKind};
use crate::error::{Explanation, did_you_mean};
use crate::ingest::IngestError;
use crate::maintain::MaintainError;
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
    #[error(transparent)]
    Maintain(#[from] MaintainError),
    #[error("a thread failed – {0}")]
    Thread(String),
    #[error("cannot spell the rules: {0}")]
    Rules(String),
    #[error("cannot show the answer: {0}")]
    Output(#[from] crate::output::OutputError),
    #[error("cannot read the answer back: {0}")]
    Rows(String),
    #[error("{name} was received and cannot be ingested: {why}")]
    Inbox { name: String, why: String },
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
            Self::Store(error)
            | Self::Ingest(IngestError::Store(error))
            | Self::Maintain(MaintainError::Store(error)) => of_store(error),
            Self::Ingest(
                IngestError::Format { source: FormatError::Unknown { .. } | FormatError::Invalid { .. }, .. }
                | IngestError::NothingNamed
                | IngestError::Pattern { .. }
                | IngestError::Config(_),
            )
            | Self::Config(_)
            | Self::Maintain(
                MaintainError::Backwards { .. }
                | MaintainError::Config(_)
                | MaintainError::NoPerson { .. }
                | MaintainError::Several { .. }
                | MaintainError::Unknown { .. }
                | MaintainError::SameId { .. }
                | MaintainError::AlreadyOne { .. }
                | MaintainError::NothingSaid { .. }
                | MaintainError::NoEvent { .. }
                | MaintainError::NoSession { .. }
                | MaintainError::NoTime { .. }
                | MaintainError::NoLabel
                | MaintainError::Erased { .. }
                | MaintainError::SaidAlready { .. }
                | MaintainError::NoCorrection { .. }
                | MaintainError::Reverted { .. }
                | MaintainError::SegmentName { .. }
                | MaintainError::SegmentExists { .. }
                | MaintainError::NoSegment { .. }
                | MaintainError::SegmentOfErased { .. },
            ) => Fault::Usage,
            Self::Ingest(IngestError::Interrupted) => Fault::Interrupted,
            Self::Query(error) => match error.kind {
                QueryErrorKind::Sql => Fault::Usage,
                QueryErrorKind::Damaged => Fault::Damaged,
                QueryErrorKind::Failed | QueryErrorKind::Memory => Fault::Failed,
            },
            Self::Ingest(_)
            | Self::Maintain(_)
            | Self::Inbox { .. }
            | Self::Thread(_)
            | Self::Rules(_)
            | Self::Output(_)
            | Self::Rows(_)
            | Self::Closed => Fault::Failed,
        }
    }

    /// Whether it is about the inside of this program: files, sources, faults. That is for its operator to read.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        let signs = [
            ".rs:",
            ".parquet",
            "Internal error",
            "internal error",
            "Join Error",
            "panicked",
            "bug in DataFusion",
            ".sqlite",
        ];
        let message = self.to_string();
        !matches!(self, Self::Query(_)) || signs.iter().any(|sign| message.contains(sign))
    }

    /// Whether it is about the values that a report was given, and not about its text.
    #[must_use]
    pub fn is_about_values(&self) -> bool {
        matches!(self, Self::Query(error) if error.kind == QueryErrorKind::Sql && error.at.is_none())
    }

    /// The screen for people.
    #[must_use]
    pub fn explain(&self) -> Explanation {
        match self {
            Self::Store(error)
            | Self::Ingest(IngestError::Store(error))
            | Self::Maintain(MaintainError::Store(error)) => explain_store(error),
            Self::Config(ConfigError::Invalid { path, message }) => explain_rules(path, message),
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
        if let Some(hint) = &error.hint {
            explanation = explanation.hint(hint.clone());
        }
        if error.kind == QueryErrorKind::Damaged {
            explanation = explanation.next("journeyql verify");
        }
        explanation
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

/// A TOML error names line and column, and for an unknown key those that there are.
fn explain_rules(path: &Path, message: &str) -> Explanation {
    let name = path.display().to_string();
    let what = message.lines().last().unwrap_or_default();
    let mut explanation = match unknown_key(what) {
        Some((key, known)) => {
            let hint =
                did_you_mean(key, known.iter().copied()).unwrap_or_else(|| format!("there are {}", known.join(", ")));
            Explanation::new(&format!("unknown key '{key}' in {name}")).hint(hint)
        }
        None => Explanation::new(&format!("{name}: {what}")),
    };
    if let (Some(at), Ok(text)) = (toml_position(message), std::fs::read_to_string(path))
        && let Some(start) = offset(&text, at)
    {
        explanation = explanation.at(&name, &text, stretch_at(&text, start));
    }
    explanation.next("journeyql config show")
}

/// ``unknown field `gapp`, expected one of `gap`, `end_events` `` → `gapp`, and the others.
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let mut quoted = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    Some((quoted.next()?, quoted.collect()))
}

/// `TOML parse error at line 2, column 1` → 2, 1.
fn toml_position(message: &str) -> Option<Position> {
    let (line, rest) = message.strip_prefix("TOML parse error at line ")?.split_once(", column ")?;
    let column = rest.lines().next()?.trim();
    Some(Position { line: line.parse().ok()?, column: column.parse().ok()? })
}

fn is_missing(dir: &Path) -> bool {
    !dir.exists() || std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

/// The error of a statement, `part` of `sql`, with its place in the whole.
pub(super) fn in_whole(error: Error, sql: &str, part: std::ops::Range<usize>) -> Error {
    let Error::Query(mut error) = error else { return error };
    let statement = &sql[part.clone()];
    if let Some(found) = place(&error, statement) {
        error.at = Some(position(sql, part.start + found.start));
    }
    Error::Query(error)
}

/// The line and column of a byte.
pub(super) fn position(sql: &str, at: usize) -> Position {
    let before = &sql[..at];
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    Position { line: number(before.matches('\n').count() + 1), column: number(column) }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(error: QueryError, sql: &str) -> String {
        Error::from(error).explain_sql("query", sql).text(false)
    }

    #[test]
    fn the_place_is_the_named_one_or_the_word() {
        let at = QueryError::sql("no column pag").with_position(Some(Position { line: 2, column: 3 }));
        assert!(shown(at, "select\n  e.pag from events e").contains("2  |   e.pag from events e\n   |   ^^^^^\n"));
        let by_word = shown(QueryError::sql("no table evnets"), "select 'evnets' from evnets");
        assert!(by_word.contains("   |                      ^^^^^^"), "{by_word}");
        let at_end = shown(QueryError::sql("expected: an expression, found: EOF"), "select ");
        assert!(at_end.contains("query:1:7"), "{at_end}");
    }

    #[test]
    fn an_unknown_rule_is_shown_with_the_closest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journeyql.toml");
        #[expect(clippy::disallowed_methods, reason = "an input of the test")]
        std::fs::write(&path, "[session]\ngapp = \"5 minutes\"\n").unwrap();
        let error = Error::from(crate::config::Config::load(&path).unwrap_err());
        assert_eq!(error.fault(), Fault::Usage);
        let text = error.explain().text(false);
        assert!(text.contains("unknown key 'gapp'") && text.contains("did you mean 'gap'?"), "{text}");
        assert!(text.contains("2  | gapp = \"5 minutes\"\n   | ^^^^\n"), "{text}");
    }
}
