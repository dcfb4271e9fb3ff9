//! SQL text before it is planned: how long and deep it may be, and which statements there are at all.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParserBuilder, ResetStatement, Statement};
use datafusion::sql::sqlparser::ast::{Query, Statement as Ast, Visit, Visitor, visit_relations};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::limits;

use super::error::{Position, QueryError};

/// Parses a text of one or several statements, all of them harmless.
///
/// # Errors
/// The text is too long, too deep, no SQL, empty, or holds a statement that does more than read.
pub fn parse(sql: &str) -> Result<VecDeque<Statement>, QueryError> {
    check_text(sql)?;
    let mut statements = DFParserBuilder::new(sql)
        .with_dialect(&GenericDialect {})
        .with_recursion_limit(limits::SQL_NESTING)
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|error| row_pattern(sql, QueryError::from_datafusion(&error, &[])))?;
    for statement in &mut statements {
        check_query(statement)?;
        if is_show_segments(statement) {
            *statement = parse_query("SELECT name, sql, since FROM segments ORDER BY name")?;
        }
    }
    if statements.is_empty() {
        return Err(QueryError::sql("there is no statement").with_hint("try SELECT * FROM stats"));
    }
    Ok(statements)
}

/// Refuses a text that is too long or too deep to be parsed.
pub(super) fn check_text(sql: &str) -> Result<(), QueryError> {
    if sql.len() > limits::SQL_BYTES {
        let (long, most) = (sql.len(), limits::SQL_BYTES);
        return Err(QueryError::sql(format!("the statement has {long} bytes, at most {most} are planned")));
    }
    check_depth(sql)
}

/// Refuses a statement that does more than read, or stands for too much.
pub(super) fn check_query(statement: &Statement) -> Result<(), QueryError> {
    allowed(statement)?;
    check_expansion(statement)
}

/// Parses a text that is one query.
///
/// # Errors
/// As for [`parse`], or it is something else.
pub fn parse_query(sql: &str) -> Result<Statement, QueryError> {
    let mut statements = parse(sql)?;
    let is_query = |it: &Statement| matches!(it, Statement::Statement(ast) if matches!(**ast, Ast::Query(_)));
    match (statements.pop_front(), statements.is_empty()) {
        (Some(query), true) if is_query(&query) => Ok(query),
        _ => Err(QueryError::sql("one SELECT is expected")),
    }
}

/// The refusal of a row pattern that the parser does not know, by the name of what it is.
fn row_pattern(sql: &str, error: QueryError) -> QueryError {
    if error.message.ends_with("found: MATCH_RECOGNIZE") {
        return error.with_hint("it stands behind the name of a table, a view or a WITH query");
    }
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize() else { return error };
    let mut words = tokens.iter().filter_map(|token| match token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_ascii_uppercase()),
        _ => None,
    });
    if !words.any(|word| word == "MATCH_RECOGNIZE") {
        return error;
    }
    match words.find(|word| ["SUBSET", "FINAL", "RUNNING", "PERMUTE"].contains(&word.as_str())) {
        Some(word) => QueryError { message: format!("MATCH_RECOGNIZE: {word} is not possible"), ..error },
        None => error,
    }
}

/// Refuses WITH clauses whose queries name each other so often that what they stand for has no end: each of them is
/// planned wherever it is named.
fn check_expansion(statement: &Statement) -> Result<(), QueryError> {
    let ast = match statement {
        Statement::Statement(ast) => ast,
        Statement::Explain(explain) => return check_expansion(&explain.statement),
        _ => return Ok(()),
    };
    let mut widest = Widest(0);
    let _ = ast.visit(&mut widest);
    if widest.0 <= limits::PLAN_NODES {
        return Ok(());
    }
    let most = limits::PLAN_NODES;
    Err(QueryError::sql(format!("the WITH clauses of the statement stand for more than {most} queries"))
        .with_hint("name each part of a WITH clause fewer times"))
}

/// How many relations the widest WITH clause stands for.
struct Widest(usize);

impl Visitor for Widest {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let mut sizes: HashMap<String, usize> = HashMap::new();
        for part in query.with.iter().flat_map(|with| &with.cte_tables) {
            let size = named(&*part.query, &sizes);
            sizes.insert(part.alias.name.value.to_lowercase(), size);
        }
        if !sizes.is_empty() {
            self.0 = self.0.max(named(&*query.body, &sizes));
        }
        ControlFlow::Continue(())
    }
}

/// How many relations a part of a statement names, each as large as it is known to be.
fn named(part: &impl Visit, sizes: &HashMap<String, usize>) -> usize {
    let mut count: usize = 1;
    let _ = visit_relations(part, |name| {
        count = count.saturating_add(sizes.get(&name.to_string().to_lowercase()).copied().unwrap_or(1));
        ControlFlow::<()>::Continue(())
    });
    count
}

/// `SHOW SEGMENTS`, which the parser takes for the name of a setting.
fn is_show_segments(statement: &Statement) -> bool {
    let Statement::Statement(ast) = statement else { return false };
    matches!(&**ast, Ast::ShowVariable { variable } if matches!(&variable[..], [word] if word.value.eq_ignore_ascii_case("segments")))
}

/// Refuses chains of operators so long that their tree would exhaust the stack of whoever walks it.
fn check_depth(sql: &str) -> Result<(), QueryError> {
    // What cannot be split into tokens is the parser's to explain.
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location() else { return Ok(()) };
    // A chain of sets is as deep as an expression, and every SELECT of it begins a new one of those.
    let (mut chain, mut sets) = (0, 0);
    for token in tokens {
        match &token.token {
            Token::Comma | Token::SemiColon => chain = 0,
            Token::Word(word)
                if matches!(word.keyword, Keyword::SELECT | Keyword::FROM | Keyword::WHEN | Keyword::THEN) =>
            {
                chain = 0;
            }
            Token::Word(word) if matches!(word.keyword, Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT) => {
                sets += 1;
            }
            Token::Word(word) if matches!(word.keyword, Keyword::AND | Keyword::OR | Keyword::NOT) => {
                chain += 1;
            }
            Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::Mod
            | Token::StringConcat
            | Token::Eq
            | Token::DoubleColon
            | Token::LParen
            | Token::LBracket
            | Token::Pipe
            | Token::Ampersand
            | Token::Caret => {
                chain += 1;
            }
            _ => {}
        }
        if chain + sets > limits::SQL_OPERATORS {
            let at = Position { line: token.span.start.line, column: token.span.start.column };
            let most = limits::SQL_OPERATORS;
            return Err(QueryError::sql(format!("one expression has more than {most} operators"))
                .with_position(Some(at))
                .with_hint("use IN (…) for long lists"));
        }
    }
    Ok(())
}

/// The verb of a statement that is refused, and nothing for one that is not.
fn allowed(statement: &Statement) -> Result<(), QueryError> {
    let refused = match statement {
        Statement::Reset(_) => None,
        Statement::Explain(explain) => return allowed(&explain.statement),
        Statement::CreateExternalTable(_) => Some("CREATE EXTERNAL TABLE"),
        Statement::CopyTo(_) => Some("COPY"),
        Statement::Statement(ast) => match ast.as_ref() {
            Ast::Query(_)
            | Ast::Explain { .. }
            | Ast::ExplainTable { .. }
            | Ast::ShowVariable { .. }
            | Ast::ShowTables { .. }
            | Ast::ShowColumns { .. }
            | Ast::ShowFunctions { .. }
            | Ast::Set(_) => None,
            _ => Some(""),
        },
    };
    let Some(verb) = refused else { return Ok(()) };
    let text = statement.to_string();
    let verb = if verb.is_empty() { text.split_whitespace().next().unwrap_or("this") } else { verb };
    Err(QueryError::sql(format!("{verb} is not possible: SQL here reads and never writes"))
        .with_hint("SELECT, WITH, VALUES, EXPLAIN, DESCRIBE, SHOW, SET, RESET and CREATE or DROP SEGMENT are; `journeyql ingest` adds \
                    data"))
}

/// The name that a RESET is about, in small letters.
#[must_use]
pub fn reset_name(reset: &ResetStatement) -> String {
    let ResetStatement::Variable(name) = reset;
    name.to_string().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reading_is_allowed() {
        for sql in [
            "SELECT 1",
            "WITH a AS (SELECT 1) SELECT * FROM a",
            "VALUES (1)",
            "EXPLAIN SELECT 1",
            "DESCRIBE steps",
            "SHOW TABLES",
            "SET journeyql.session_gap = '1 hour'; SELECT 1;",
            "RESET journeyql.session_gap",
        ] {
            assert!(parse(sql).is_ok(), "{sql}");
        }
        for sql in [
            "CREATE TABLE a (b INT)",
            "INSERT INTO a VALUES (1)",
            "COPY (SELECT 1) TO '/tmp/x'",
            "EXPLAIN COPY (SELECT 1) TO '/tmp/x'",
            "DROP TABLE events",
            "DELETE FROM events",
            "UPDATE events SET page = 'x'",
            "CREATE VIEW a AS SELECT 1",
            "PREPARE a AS SELECT 1",
        ] {
            let said = parse(sql).unwrap_err().to_string();
            assert!(said.contains("reads and never writes"), "{sql}: {said}");
        }
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let chain = format!("SELECT {}1", "1+".repeat(100_000));
        assert!(parse(&chain).unwrap_err().to_string().contains("operators"));
        let nested = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
        assert!(parse(&nested).is_err());
        assert!(parse(&" ".repeat(limits::SQL_BYTES + 1)).is_err());
        assert!(parse(" ; ").is_err());
    }
}
