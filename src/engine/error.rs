//! Why a query was not answered, as a person can use it.

use std::fmt;

use datafusion::common::{DataFusionError, SchemaError};

use crate::error::closest;
use crate::store::StoreError;

use super::scan::Damage;

/// A place in the SQL text, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub line: u64,
    pub column: u64,
}

/// What kind of failure it is; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryErrorKind {
    /// The statement or a setting is wrong (exit code 2).
    Sql,
    /// The statement was right and something failed while it ran (1).
    Failed,
    /// It needs more memory than it may have (1).
    Memory,
    /// A file of the store is not as committed (5).
    Damaged,
}

/// A query's failure: what, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    pub kind: QueryErrorKind,
    pub message: String,
    /// Where in the text, if it is known.
    pub at: Option<Position>,
    /// What to try instead.
    pub hint: Option<String>,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(at) = self.at {
            write!(f, " – line {}, column {}", at.line, at.column)?;
        }
        match &self.hint {
            Some(hint) => write!(f, " – {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for QueryError {}

impl QueryError {
    /// A wrong statement.
    #[must_use]
    pub fn sql(message: impl Into<String>) -> Self {
        Self { kind: QueryErrorKind::Sql, message: message.into(), at: None, hint: None }
    }

    /// The same with advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with the place.
    #[must_use]
    pub fn with_position(mut self, at: Option<Position>) -> Self {
        self.at = self.at.or(at);
        self
    }

    /// What `DataFusion` says, in our words; `tables` are the names that could have been meant.
    #[must_use]
    pub fn from_datafusion(error: &DataFusionError, tables: &[String]) -> Self {
        let root = error.find_root();
        if let Some(message) = damage(root) {
            return Self { kind: QueryErrorKind::Damaged, message, at: None, hint: None };
        }
        let at = error
            .diagnostic()
            .and_then(|it| it.span)
            .map(|span| Position { line: span.start.line, column: span.start.column });
        match root {
            DataFusionError::SchemaError(schema, _) => schema_error(schema).with_position(at),
            DataFusionError::SQL(parser, _) => {
                let (message, found) = parser_place(&parser.to_string());
                Self::sql(message).with_position(found)
            }
            DataFusionError::Plan(message) => plan_error(message, tables).with_position(at),
            DataFusionError::NotImplemented(message) if is_subquery(message) => {
                Self::sql("IN (SELECT …) and EXISTS cannot stand inside an argument of a function")
                    .with_hint("join with its rows first, or write them out")
            }
            DataFusionError::Configuration(message) | DataFusionError::NotImplemented(message) => {
                Self::sql(lower(message))
            }
            DataFusionError::Execution(message) => execution_error(message).with_position(at),
            DataFusionError::ResourcesExhausted(message) => Self {
                kind: QueryErrorKind::Memory,
                message: format!("the query needs more memory than it may use: {}", first_line(message)),
                at: None,
                hint: Some(
                    "narrow it: fewer days (SET journeyql.from, journeyql.to), fewer columns, or fewer groups"
                        .to_owned(),
                ),
            },
            // Who makes a file wraps what the system says, and passes on its text alone.
            DataFusionError::IoError(io) if io.to_string().contains(TOO_MANY_FILES) => Self {
                kind: QueryErrorKind::Memory,
                message: "the query needs more memory than it may use, and more spill files than may be open"
                    .to_owned(),
                at: None,
                hint: Some("allow more (ulimit -n 20000), or narrow it: fewer days, columns or groups".to_owned()),
            },
            other => Self { kind: QueryErrorKind::Failed, message: lower(&other.strip_backtrace()), at, hint: None },
        }
    }
}

/// `EMFILE` of every Unix that we are built for.
const TOO_MANY_FILES: &str = "(os error 24)";

/// What is damaged, if that is the error.
fn damage(error: &DataFusionError) -> Option<String> {
    match error {
        DataFusionError::External(inner) => match inner.downcast_ref::<StoreError>() {
            Some(store) if store.is_damage() => Some(store.to_string()),
            _ => inner.downcast_ref::<Damage>().map(Damage::to_string),
        },
        DataFusionError::Shared(inner) => damage(inner.find_root()),
        _ => None,
    }
}

fn schema_error(error: &SchemaError) -> QueryError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let near = closest(&field.name, valid_fields.iter().map(|it| it.name.as_str()));
            let known: Vec<&str> = valid_fields.iter().map(|it| it.name.as_str()).collect();
            let wrong = QueryError::sql(format!("no column {}", field.name));
            match near {
                Some(near) => wrong.with_hint(format!("did you mean {near}?")),
                None if known.is_empty() => wrong,
                None => wrong.with_hint(format!("there are {}", known.join(", "))),
            }
        }
        other => QueryError::sql(lower(&other.to_string())),
    }
}

fn plan_error(message: &str, tables: &[String]) -> QueryError {
    let missing = message.strip_prefix("table '").and_then(|rest| rest.split_once("' not found"));
    if let Some((name, _)) = missing {
        let name = name.rsplit('.').next().unwrap_or(name);
        let wrong = QueryError::sql(format!("no table {name}"));
        return match closest(name, tables.iter().map(String::as_str)) {
            Some(near) => wrong.with_hint(format!("did you mean {near}?")),
            None => wrong.with_hint("SHOW TABLES lists them"),
        };
    }
    let called = message.strip_prefix("table function '").or_else(|| message.strip_prefix("Table function '"));
    if let Some((name, _)) = called.and_then(|rest| rest.split_once("' not found")) {
        return QueryError::sql(format!("no function {name}"));
    }
    let function = message.strip_prefix("Invalid function '").and_then(|rest| rest.split_once('\''));
    if let Some((name, rest)) = function {
        let near = rest.split("Did you mean '").nth(1).and_then(|it| it.split('\'').next());
        let wrong = QueryError::sql(format!("no function {name}"));
        return match near {
            Some(near) => wrong.with_hint(format!("did you mean {near}?")),
            None => wrong,
        };
    }
    QueryError::sql(lower(own_words(message)))
}

/// What failed while it ran, as far as that is no mistake of the statement.
fn execution_error(message: &str) -> QueryError {
    let parameter = message.strip_prefix("Placeholder '").and_then(|rest| rest.split_once("' was not provided"));
    if let Some((name, _)) = parameter {
        return QueryError::sql(format!("{name} has no value")).with_hint(
            "parameters belong into a file with a line `-- parameter: …` in its head: journeyql run FILE.sql",
        );
    }
    QueryError { kind: QueryErrorKind::Failed, ..QueryError::sql(lower(message)) }
}

/// Whether a subquery stands where none is planned.
fn is_subquery(message: &str) -> bool {
    ["InSubquery(", "Exists(", "SetComparison("].iter().any(|it| message.contains(&format!("logical expression {it}")))
}

/// What a function says of its arguments, without what is put around it.
fn own_words(message: &str) -> &str {
    let inner = message.split_once("user-defined coercion failed with: ").map_or(message, |(_, why)| why);
    let inner = inner.strip_prefix("Error during planning: ").unwrap_or(inner);
    inner.split(". No function matches the given name").next().unwrap_or(inner)
}

/// Splits `… at Line: 1, Column: 8` off a parser's message.
fn parser_place(message: &str) -> (String, Option<Position>) {
    let message = message.strip_prefix("sql parser error: ").unwrap_or(message);
    let Some((what, place)) = message.rsplit_once(" at Line: ") else { return (lower(message), None) };
    let numbers = place.split_once(", Column: ");
    let at = numbers.and_then(|(line, column)| {
        let column = column.trim_end_matches(|it: char| !it.is_ascii_digit());
        Some(Position { line: line.parse().ok()?, column: column.parse().ok()? })
    });
    (lower(what), at)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or(text)
}

/// The message's first line, beginning as ours do: with a small letter unless the word is a name.
fn lower(message: &str) -> String {
    let message = message.trim();
    let mut letters = message.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            format!("{}{}", first.to_lowercase(), &message[first.len_utf8()..])
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_table_is_guessed() {
        let error = DataFusionError::Plan("table 'journeyql.public.transitons' not found".into());
        let tables = ["transitions".to_owned(), "steps".to_owned()];
        let said = QueryError::from_datafusion(&error, &tables).to_string();
        assert_eq!(said, "no table transitons – did you mean transitions?");
    }

    #[test]
    fn too_many_spill_files_are_a_limit_of_memory() {
        let system = std::io::Error::from_raw_os_error(24);
        let around = std::io::Error::new(system.kind(), format!("{system} at path \"/tmp/.tmpz5sWMU\""));
        for io in [system, around] {
            let said = QueryError::from_datafusion(&DataFusionError::IoError(io), &[]);
            assert_eq!(said.kind, QueryErrorKind::Memory, "{said}");
            assert!(said.hint.is_some_and(|hint| hint.contains("ulimit -n")));
        }
    }

    #[test]
    fn a_function_speaks_for_itself() {
        let around = "Execution error: Function 'f' user-defined coercion failed with: Error during planning: f: argument 1 is \
                      wrong. No function matches the given name and argument types 'f(Int64)'. You might …";
        let said = QueryError::from_datafusion(&DataFusionError::Plan(around.into()), &[]);
        assert_eq!((said.kind, said.message.as_str()), (QueryErrorKind::Sql, "f: argument 1 is wrong"));
    }

    #[test]
    fn a_parser_error_has_its_place() {
        let (what, at) = parser_place("sql parser error: Expected: an expression, found: FROM at Line: 2, Column: 8");
        assert_eq!(what, "expected: an expression, found: FROM");
        assert_eq!(at, Some(Position { line: 2, column: 8 }));
    }
}
