//! What clients write of the catalog that neither the crate's parser nor the planner knows.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArguments, Statement, Value, ValueWithSpan, visit_expressions_mut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// Texts that are written otherwise: `pg_type.typinput` is a name here and not a number.
const TEXTS: [(&str, &str); 2] =
    [("'pg_catalog.array_in'::regproc", "'array_in'"), ("'array_in'::regproc", "'array_in'")];

/// The text with what it could have said instead.
pub(super) fn text(sql: &str) -> String {
    TEXTS.iter().fold(sql.to_owned(), |sql, (from, to)| sql.replace(from, to))
}

/// Replaces `ARRAY(SELECT …)`, which is about rights and options that nothing has here, by nothing, and a LIKE with an
/// escape of its own by one with a backslash.
pub(super) fn statement(statement: &mut Statement) {
    let _ = visit_expressions_mut(statement, |expr| {
        match expr {
            Expr::Function(call)
                if matches!(call.args, FunctionArguments::Subquery(_))
                    && call.name.to_string().eq_ignore_ascii_case("array") =>
            {
                put(expr, "CAST(NULL AS VARCHAR[])");
            }
            Expr::Subquery(query) => {
                if let Some(nothing) = nothing(&query.to_string()) {
                    put(expr, nothing);
                }
            }
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                if let Some(escape) = escaped(escape_char.take()) {
                    let backslash = format!("replace({pattern}, '{escape}', '\\')");
                    put(pattern, &backslash);
                }
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
}

/// What a query for each column answers that asks for what none has: a default, an identity, a collation of its own.
fn nothing(query: &str) -> Option<&'static str> {
    let asks = |words: &[&str]| words.iter().any(|word| query.contains(word));
    if asks(&["json_build_object(", "pg_get_expr(", "collname"]) {
        Some("CAST(NULL AS VARCHAR)")
    } else {
        asks(&["typcollation"]).then_some("CAST(NULL AS INT)")
    }
}

/// The character, unless it is the backslash or would end a text.
fn escaped(value: Option<ValueWithSpan>) -> Option<String> {
    match value?.value {
        Value::SingleQuotedString(text) if text != "\\" && text != "'" => Some(text),
        _ => None,
    }
}

fn put(place: &mut Expr, sql: &str) {
    let parsed = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).and_then(|mut parser| parser.parse_expr());
    if let Ok(expr) = parsed {
        *place = expr;
    }
}
