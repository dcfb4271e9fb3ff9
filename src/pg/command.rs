//! Which kind of statement a text is: queries go to the session, what Postgres clients say of the connection is done here.

use std::ops::Range;

use super::copy::Options as CopyOptions;
use super::cursor::Fetch;
use crate::database::words;

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Begin,
    /// COMMIT (true) or ROLLBACK.
    End(bool),
    /// SAVEPOINT, RELEASE: with one snapshot and nothing written there is nothing to keep.
    Savepoint(&'static str),
    /// ROLLBACK TO SAVEPOINT also mends a failed transaction.
    RollbackTo,
    Set {
        name: String,
        value: Option<String>,
        local: bool,
    },
    Show(String),
    DiscardAll,
    /// DEALLOCATE of a name, or of all.
    Deallocate(Option<String>),
    /// What has no effect here, with the word that it is answered with.
    Nothing(&'static str),
    Declare {
        name: String,
        query: String,
        /// It outlives its transaction.
        hold: bool,
    },
    Fetch(Fetch),
    /// CLOSE of a cursor, or of all.
    Close(Option<String>),
    Copy {
        query: String,
        options: CopyOptions,
    },
    /// What writes, by its first word.
    Refused(String),
    Query {
        sql: String,
        /// About the catalog of Postgres.
        catalog: bool,
    },
}

/// A statement in pieces: its words with their places.
#[derive(Debug, Clone)]
pub(super) struct Words<'a> {
    sql: &'a str,
    rest: std::vec::IntoIter<(&'a str, Range<usize>)>,
}

impl<'a> Words<'a> {
    fn of(sql: &'a str) -> Self {
        Self { sql, rest: words(sql).collect::<Vec<_>>().into_iter() }
    }

    pub(super) fn peek(&self) -> Option<&'a str> {
        self.rest.as_slice().first().map(|(word, _)| *word)
    }

    /// The next word as it is written.
    pub(super) fn next(&mut self) -> Option<&'a str> {
        self.rest.next().map(|(word, _)| word)
    }

    /// Takes the next word if it is this one.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|next| next.eq_ignore_ascii_case(word));
        if found {
            self.next();
        }
        found
    }

    /// The next name, without quotes and, where it has none, in small letters.
    pub(super) fn name(&mut self) -> Option<String> {
        self.next().map(unquoted)
    }

    /// The text behind the words so far.
    pub(super) fn text(&self) -> &'a str {
        self.rest.as_slice().first().map_or("", |(_, at)| self.sql[at.start..].trim_end())
    }

    /// The text of the brackets that open here, which are taken.
    pub(super) fn brackets(&mut self) -> Option<&'a str> {
        let (_, open) = self.rest.next().filter(|(word, _)| *word == "(")?;
        let mut depth = 1;
        for (word, at) in self.rest.by_ref() {
            match word {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Some(&self.sql[open.end..at.start]);
            }
        }
        None
    }
}

/// A name or value without its quotes; a bare name in small letters.
pub(super) fn unquoted(word: &str) -> String {
    for quote in ['\'', '"'] {
        if let Some(inner) = word.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner.replace(&format!("{quote}{quote}"), &quote.to_string());
        }
    }
    word.to_lowercase()
}

impl Command {
    /// Reads one statement; what is not known is a query, which the engine's parser refuses where it is none.
    pub(super) fn read(sql: &str) -> Self {
        let query = || Self::Query { sql: sql.to_owned(), catalog: is_about_catalog(sql) };
        let mut words = Words::of(sql);
        let Some(first) = words.next() else { return query() };
        let first = first.to_ascii_uppercase();
        match first.as_str() {
            "BEGIN" | "START" => Self::Begin,
            "COMMIT" | "END" => Self::End(true),
            "ROLLBACK" | "ABORT" => {
                let _ = words.take("TRANSACTION") || words.take("WORK");
                if words.take("TO") { Self::RollbackTo } else { Self::End(false) }
            }
            "SAVEPOINT" => Self::Savepoint("SAVEPOINT"),
            "RELEASE" => Self::Savepoint("RELEASE"),
            "SET" => set(&mut words).unwrap_or_else(query),
            "RESET" => match words.text() {
                "" => query(),
                name => Self::Set { name: variable(name), value: None, local: false },
            },
            "SHOW" => match words.text() {
                "" => query(),
                name if is_listing(name) => query(),
                name => Self::Show(variable(name)),
            },
            "DISCARD" => Self::DiscardAll,
            "DEALLOCATE" => {
                words.take("PREPARE");
                Self::Deallocate(words.name().filter(|name| name != "all"))
            }
            "TABLE" => {
                let sql = format!("SELECT * FROM {}", words.text());
                Self::Query { catalog: is_about_catalog(&sql), sql }
            }
            "UNLISTEN" => Self::Nothing("UNLISTEN"),
            "LISTEN" => Self::Nothing("LISTEN"),
            "DECLARE" => declare(&mut words).unwrap_or_else(query),
            "FETCH" => Fetch::read(&mut words, false).map_or_else(query, Self::Fetch),
            "MOVE" => Fetch::read(&mut words, true).map_or_else(query, Self::Fetch),
            "CLOSE" => Self::Close(words.name().filter(|name| name != "all")),
            "COPY" => CopyOptions::read(&mut words)
                .map_or_else(|| Self::Refused("COPY".to_owned()), |(query, options)| Self::Copy { query, options }),
            verb if WRITES.contains(&verb) => Self::Refused(verb.to_owned()),
            _ => query(),
        }
    }

    /// Whether it is a query of this very text, so that places in it are places in the text.
    pub(super) fn is_as(&self, text: &str) -> bool {
        matches!(self, Self::Query { sql, .. } if sql == text)
    }

    /// Whether it may run in a transaction that has failed.
    pub(super) const fn mends(&self) -> bool {
        matches!(self, Self::End(_) | Self::RollbackTo)
    }

    /// The query in it, and whether that is about the catalog.
    pub(super) fn query(&self) -> Option<(&str, bool)> {
        match self {
            Self::Query { sql, catalog } => Some((sql, *catalog)),
            Self::Declare { query, .. } | Self::Copy { query, .. } => Some((query, is_about_catalog(query))),
            _ => None,
        }
    }
}

/// What changes something, here or elsewhere.
const WRITES: [&str; 35] = [
    "INSERT",
    "UPDATE",
    "DELETE",
    "MERGE",
    "TRUNCATE",
    "CREATE",
    "ALTER",
    "DROP",
    "GRANT",
    "REVOKE",
    "COMMENT",
    "VACUUM",
    "ANALYZE",
    "REINDEX",
    "CLUSTER",
    "REFRESH",
    "CALL",
    "DO",
    "IMPORT",
    "SECURITY",
    "LOCK",
    "NOTIFY",
    "CHECKPOINT",
    "LOAD",
    "PREPARE",
    "EXECUTE",
    "REASSIGN",
    "UNLOAD",
    "ATTACH",
    "DETACH",
    "INSTALL",
    "EXPORT",
    "USE",
    "PRAGMA",
    "KILL",
];

/// `name TO value`, `name = value`, `TIME ZONE value` and the like.
fn set(words: &mut Words<'_>) -> Option<Command> {
    let local = words.take("LOCAL");
    if !local && words.take("SESSION") {
        if words.take("CHARACTERISTICS") {
            return Some(Command::Nothing("SET"));
        }
        if words.take("AUTHORIZATION") {
            return Some(Command::Refused("SET SESSION AUTHORIZATION".to_owned()));
        }
    }
    if words.take("TRANSACTION") {
        return Some(Command::Nothing("SET"));
    }
    let name = if words.take("TIME") {
        words.take("ZONE").then(|| "timezone".to_owned())?
    } else if words.take("NAMES") {
        "client_encoding".to_owned()
    } else {
        let mut name = words.name()?;
        while words.take(".") {
            name = format!("{name}.{}", words.name()?);
        }
        if !words.take("=") && !words.take("TO") {
            return None;
        }
        name
    };
    let value = words.text();
    let list: Vec<String> =
        words.rest.by_ref().map(|(word, _)| word).filter(|word| *word != ",").map(value_of).collect();
    // A list, or one value that is made of several marks: −5, 1.5, UTC+1.
    let text = if list.len() > 1 && !value.contains(',') { value.to_owned() } else { list.join(", ") };
    let is_first = |word: &str| value.eq_ignore_ascii_case(word);
    let value = if is_first("default") || name == "timezone" && is_first("local") { None } else { Some(text) };
    Some(Command::Set { name, value, local })
}

fn value_of(word: &str) -> String {
    if word.starts_with(['\'', '"']) { unquoted(word) } else { word.to_owned() }
}

/// The name of a setting: SHOW TIME ZONE is of `timezone`.
fn variable(text: &str) -> String {
    let parts: Vec<String> = words(text).map(|(word, _)| unquoted(word)).collect();
    match parts.join("").as_str() {
        "timezone" => "timezone".to_owned(),
        "transactionisolationlevel" => "transaction_isolation".to_owned(),
        "sessionauthorization" => "session_authorization".to_owned(),
        name => name.to_owned(),
    }
}

/// SHOW of what is no setting.
fn is_listing(text: &str) -> bool {
    let first = words(text).next().map_or("", |(word, _)| word);
    ["tables", "columns", "functions", "segments", "schemas", "databases"]
        .iter()
        .any(|it| first.eq_ignore_ascii_case(it))
}

/// `name [options] CURSOR [options] FOR query`
fn declare(words: &mut Words<'_>) -> Option<Command> {
    let name = words.name()?;
    while !words.take("CURSOR") {
        words.next()?;
    }
    let mut hold = false;
    while !words.take("FOR") {
        hold |= words.take("WITH");
        if words.peek().is_some_and(|word| !word.eq_ignore_ascii_case("FOR")) {
            words.next();
        }
        words.peek()?;
    }
    Some(Command::Declare { name, query: words.text().to_owned(), hold })
}

/// Names that only the catalog of Postgres has; functions are named with their bracket.
const OF_CATALOG: [&str; 34] = [
    "version(",
    "current_setting(",
    "set_config(",
    "current_schema(",
    "current_schemas(",
    "current_database(",
    "session_user",
    "current_user",
    "current_role",
    "current_catalog",
    "current_schema",
    "has_table_privilege(",
    "has_schema_privilege(",
    "has_database_privilege(",
    "has_any_column_privilege(",
    "has_column_privilege(",
    "has_function_privilege(",
    "obj_description(",
    "col_description(",
    "shobj_description(",
    "format_type(",
    "to_regclass(",
    "to_regtype(",
    "inet_server_addr(",
    "inet_server_port(",
    "inet_client_addr(",
    "inet_client_port(",
    "txid_current(",
    "quote_ident(",
    "regclass",
    "regtype",
    "regproc",
    "regnamespace",
    "row_security_active(",
];

/// Whether a statement asks what Postgres says of itself.
pub(super) fn is_about_catalog(sql: &str) -> bool {
    let mut words = words(sql).map(|(word, _)| word).peekable();
    while let Some(word) = words.next() {
        if word.starts_with('\'') {
            continue;
        }
        let name = word.trim_matches('"').to_ascii_lowercase();
        if name.starts_with("pg_") || name == "information_schema" || OF_CATALOG.contains(&name.as_str()) {
            return true;
        }
        let called = format!("{name}(");
        if words.peek() == Some(&"(") && OF_CATALOG.contains(&called.as_str()) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(sql: &str, catalog: bool) -> Command {
        Command::Query { sql: sql.to_owned(), catalog }
    }

    fn set_to(name: &str, value: Option<&str>, local: bool) -> Command {
        Command::Set { name: name.to_owned(), value: value.map(str::to_owned), local }
    }

    #[test]
    fn statements_are_told_apart() {
        for (sql, command) in [
            ("select 1", query("select 1", false)),
            ("SELECT version()", query("SELECT version()", true)),
            ("SELECT version FROM t", query("SELECT version FROM t", false)),
            ("SELECT 'pg_class'", query("SELECT 'pg_class'", false)),
            ("select \"pg_class\".oid from pg_class", query("select \"pg_class\".oid from pg_class", true)),
            ("/* x */ begin transaction read only", Command::Begin),
            ("ROLLBACK TO SAVEPOINT a", Command::RollbackTo),
            ("ROLLBACK", Command::End(false)),
            ("SET DateStyle='ISO'", set_to("datestyle", Some("ISO"), false)),
            ("SET LOCAL journeyql.user TO 'A b'", set_to("journeyql.user", Some("A b"), true)),
            ("SET search_path = a, \"B\"", set_to("search_path", Some("a, B"), false)),
            ("SET TIME ZONE 'UTC'", set_to("timezone", Some("UTC"), false)),
            ("SET TIME ZONE LOCAL", set_to("timezone", None, false)),
            ("SET extra_float_digits TO -1", set_to("extra_float_digits", Some("-1"), false)),
            ("SET a TO DEFAULT", set_to("a", None, false)),
            ("RESET ALL", set_to("all", None, false)),
            ("show transaction isolation level", Command::Show("transaction_isolation".to_owned())),
            ("SHOW journeyql.session_gap", Command::Show("journeyql.session_gap".to_owned())),
            ("SHOW TABLES", query("SHOW TABLES", false)),
            ("TABLE \"sessions\" LIMIT 1", query("SELECT * FROM \"sessions\" LIMIT 1", false)),
            ("table pg_class", query("SELECT * FROM pg_class", true)),
            ("DEALLOCATE ALL", Command::Deallocate(None)),
            ("insert into a values (1)", Command::Refused("INSERT".to_owned())),
            ("COPY events TO '/tmp/x'", Command::Refused("COPY".to_owned())),
            ("COPY events FROM STDIN", Command::Refused("COPY".to_owned())),
        ] {
            assert_eq!(Command::read(sql), command, "{sql}");
        }
        let declared = Command::read("DECLARE \"My c\" NO SCROLL CURSOR WITHOUT HOLD FOR SELECT 1 -- x");
        assert_eq!(
            declared,
            Command::Declare { name: "My c".to_owned(), query: "SELECT 1 -- x".to_owned(), hold: false }
        );
    }
}
