//! Errors as Postgres clients read them: a code, a message, a hint, a place.

use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};

use crate::database::{Error, Fault, log};
use crate::engine::{QueryError, QueryErrorKind};

/// An error that ends the connection.
pub(super) fn fatal(code: &str, message: &str) -> ErrorInfo {
    ErrorInfo::new("FATAL".to_owned(), code.to_owned(), message.to_owned())
}

/// An error of one statement.
pub(super) fn error(code: &str, message: impl Into<String>) -> ErrorInfo {
    ErrorInfo::new("ERROR".to_owned(), code.to_owned(), message.into())
}

/// The same with advice.
pub(super) fn hinted(code: &str, message: impl Into<String>, hint: impl Into<String>) -> PgWireError {
    let mut info = error(code, message);
    info.hint = Some(hint.into());
    info.into_error()
}

/// A warning, `what – hint`.
pub(super) fn warning(notice: &str) -> ErrorInfo {
    let (what, hint) = notice.split_once(" – ").map_or((notice, None), |(what, hint)| (what, Some(hint)));
    let mut info = ErrorInfo::new("WARNING".to_owned(), "01000".to_owned(), what.to_owned());
    info.hint = hint.map(str::to_owned);
    info
}

/// What may become an error of the protocol.
pub(super) trait IntoError {
    fn into_error(self) -> PgWireError;
}

impl IntoError for ErrorInfo {
    fn into_error(self) -> PgWireError {
        PgWireError::UserError(Box::new(self))
    }
}

/// An error of the database; `sql` is the text that it has a place in, and how many letters of the client's text stand
/// before it.
pub(super) fn of(failed: &Error, sql: Option<(&str, usize)>) -> PgWireError {
    // What is told to the operator is not told to whoever asked.
    let inside = || log(&failed.to_string());
    let info = match failed {
        _ if failed.fault() == Fault::Damaged => {
            inside();
            return hinted("XX001", "the store is damaged", "journeyql verify");
        }
        Error::Query(query) if query.kind == QueryErrorKind::Memory => {
            inside();
            return hinted(
                "53200",
                "the query needs more memory than it may use",
                "narrow it: fewer days, columns or groups",
            );
        }
        Error::Query(query) if !failed.is_inside() => {
            let mut info = error(code(query), query.message.clone());
            info.hint.clone_from(&query.hint);
            let place =
                query.at.zip(sql).and_then(|(at, (sql, before))| Some(before + letter(sql, at.line, at.column)?));
            info.position = place.map(|place| place.to_string());
            info
        }
        _ => {
            inside();
            error("XX000", "the query failed inside")
        }
    };
    info.into_error()
}

/// The place in letters from 1.
fn letter(sql: &str, line: u64, column: u64) -> Option<usize> {
    let before = usize::try_from(line).ok()?.checked_sub(1)?;
    let lines: usize = sql.split_inclusive('\n').take(before).map(|line| line.chars().count()).sum();
    Some(lines + usize::try_from(column).ok()?)
}

/// The code that says what kind of mistake it is.
fn code(query: &QueryError) -> &'static str {
    let message = query.message.as_str();
    let starts = |beginning: &str| message.starts_with(beginning);
    match query.kind {
        _ if message.contains("reads and never writes") || message.contains("only reading is possible") => "25006",
        QueryErrorKind::Sql if starts("no table") => "42P01",
        QueryErrorKind::Sql if starts("no column") => "42703",
        QueryErrorKind::Sql if starts("no function") => "42883",
        QueryErrorKind::Sql if starts("no setting") => "42704",
        QueryErrorKind::Sql if starts("journeyql.") => "22023",
        QueryErrorKind::Sql if message.contains(" are planned") || message.contains(" has more than ") => "54001",
        QueryErrorKind::Sql => "42601",
        _ if starts("divide by zero") || starts("arrow error: Divide by zero") => "22012",
        _ => "22000",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_letters() {
        assert_eq!(letter("SELECT 'ü',\n  x", 2, 3), Some(15));
        assert_eq!(letter("SELECT x", 1, 8), Some(8));
    }
}
