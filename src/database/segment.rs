//! `CREATE SEGMENT`, `DROP SEGMENT`: the statements that change the store.
//!
//! ```text
//! CREATE [OR REPLACE] SEGMENT [IF NOT EXISTS] name AS SELECT user_id …
//! DROP SEGMENT [IF EXISTS] name
//! ```

use std::ops::Range;
use std::sync::Arc;

use super::error::position;
use super::statement::words;
use super::{Database, Error};
use crate::engine::QueryError;
use crate::maintain::{self, Existing, MaintainError};

/// A statement about a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SegmentStatement {
    Create { name: String, sql: String, existing: Existing },
    Drop { name: String, if_exists: bool },
}

impl SegmentStatement {
    /// Reads a statement; `None` where it is another one.
    pub(super) fn read(statement: &str) -> Result<Option<Self>, Error> {
        let mut words = words(statement);
        let first = words.clone().next().map_or(0, |(_, range)| range.start);
        let wrong = |form: &str| -> Error {
            let wrong = QueryError::sql("this is no statement about a segment").with_hint(format!("write {form}"));
            wrong.with_position(Some(position(statement, first))).into()
        };
        if takes(&mut words, &["drop", "segment"]) {
            let if_exists = takes(&mut words, &["if", "exists"]);
            let name = words.next().and_then(|(text, _)| name(text)).ok_or_else(|| wrong(DROP))?;
            if words.next().is_some() {
                return Err(wrong(DROP));
            }
            return Ok(Some(Self::Drop { name, if_exists }));
        }
        let replace = takes(&mut words, &["create", "or", "replace", "segment"]);
        if !replace && !takes(&mut words, &["create", "segment"]) {
            return Ok(None);
        }
        let keep = takes(&mut words, &["if", "not", "exists"]);
        let existing = match (replace, keep) {
            (true, true) => return Err(wrong(CREATE)),
            (true, false) => Existing::Replace,
            (false, true) => Existing::Keep,
            (false, false) => Existing::Refuse,
        };
        let name = words.next().and_then(|(text, _)| name(text)).ok_or_else(|| wrong(CREATE))?;
        match words.next() {
            Some((word, range)) if word.eq_ignore_ascii_case("as") => {
                let sql = statement[range.end..].trim().to_owned();
                Ok(Some(Self::Create { name, sql, existing }))
            }
            _ => Err(wrong(CREATE)),
        }
    }
}

/// Goes over these words if all of them stand here.
fn takes<'a>(words: &mut (impl Iterator<Item = (&'a str, Range<usize>)> + Clone), expected: &[&str]) -> bool {
    let mut ahead = words.clone();
    let all = expected.iter().all(|word| ahead.next().is_some_and(|(text, _)| text.eq_ignore_ascii_case(word)));
    if all {
        *words = ahead;
    }
    all
}

const CREATE: &str = "CREATE [OR REPLACE] SEGMENT [IF NOT EXISTS] name AS SELECT user_id …";
const DROP: &str = "DROP SEGMENT [IF EXISTS] name";

/// A name: bare (then in small letters) or in double quotes.
fn name(text: &str) -> Option<String> {
    if let Some(quoted) = text.strip_prefix('"') {
        return Some(quoted.strip_suffix('"')?.replace("\"\"", "\""));
    }
    text.starts_with(|first: char| first.is_alphabetic() || first == '_').then(|| text.to_lowercase())
}

impl Database {
    /// Does what a statement about a segment says, whose query was checked.
    pub(super) async fn change_segment(&self, statement: SegmentStatement) -> Result<(), Error> {
        let (store, config) = (Arc::clone(&self.store), Arc::clone(&self.config));
        let work = move || -> Result<(), MaintainError> {
            match statement {
                SegmentStatement::Create { name, sql, existing } => {
                    maintain::save_segment(&store, &config, &name, &sql, existing)
                }
                SegmentStatement::Drop { name, if_exists } => maintain::drop_segment(&store, &config, &name, if_exists),
            }
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| Error::Thread(error.to_string()))??;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(statement: &str) -> Option<SegmentStatement> {
        SegmentStatement::read(statement).unwrap()
    }

    #[test]
    fn statements_are_read_with_comments_and_quotes() {
        let create = |name: &str, sql: &str, existing| {
            Some(SegmentStatement::Create { name: name.to_owned(), sql: sql.to_owned(), existing })
        };
        let sql = "SELECT user_id FROM steps -- all";
        let text = format!("-- who\ncreate SEGMENT Power_Users /* of */ as {sql}");
        assert_eq!(read(&text), create("power_users", sql, Existing::Refuse));
        let text = "CREATE OR REPLACE SEGMENT \"Über \"\"uns\"\"\" AS(SELECT 1)";
        assert_eq!(read(text), create("Über \"uns\"", "(SELECT 1)", Existing::Replace));
        assert_eq!(read("CREATE SEGMENT IF NOT EXISTS a AS b"), create("a", "b", Existing::Keep));
        let drop = |if_exists| Some(SegmentStatement::Drop { name: "a".to_owned(), if_exists });
        assert_eq!((read("DROP SEGMENT a"), read("drop segment if exists A")), (drop(false), drop(true)));
        for other in ["SELECT 'CREATE SEGMENT a AS b'", "CREATE TABLE segment (a INT)", "SHOW SEGMENTS", ""] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn a_malformed_one_is_told_how_it_is_written() {
        for wrong in
            ["CREATE SEGMENT", "CREATE SEGMENT a", "CREATE SEGMENT 'a' AS b", "DROP SEGMENT a b", "DROP SEGMENT"]
        {
            let said = SegmentStatement::read(wrong).unwrap_err().to_string();
            assert!(said.contains("SEGMENT ["), "{wrong}: {said}");
        }
    }
}
