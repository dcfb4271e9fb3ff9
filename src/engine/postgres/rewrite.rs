//! What clients write of the catalog that neither the crate's parser nor the planner knows.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Statement, Value, ValueWithSpan,
    visit_expressions_mut,
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
            Expr::Function(call) if is_list_of_rights(call) => put(expr, "CAST(NULL AS VARCHAR)"),
            // The class of what is described: none of what is asked for has a description.
            Expr::CompoundIdentifier(parts) if parts.last().is_some_and(|part| part.value == "tableoid") => {
                put(expr, "CAST(NULL AS INT)");
            }
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
                if let Some(escape) = escape(escape_char.as_ref()) {
                    *escape_char = None;
                    with_backslash(pattern, escape);
                }
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
}

/// `array_to_string` of a column that says who may do what, or which options something has: nothing has any here.
fn is_list_of_rights(call: &Function) -> bool {
    let FunctionArguments::List(list) = &call.args else { return false };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(first))) = list.args.first() else { return false };
    let name = match first {
        Expr::Identifier(name) => name.value.as_str(),
        Expr::CompoundIdentifier(parts) => parts.last().map_or("", |part| part.value.as_str()),
        _ => "",
    };
    let is_join = call.name.0.last().is_some_and(|part| part.to_string().eq_ignore_ascii_case("array_to_string"));
    is_join && ["acl", "options", "config"].iter().any(|end| name.ends_with(end))
}

/// What a query for each column answers that asks for what none has: a default, an identity, a collation of its own.
fn nothing(query: &str) -> Option<&'static str> {
    let asks = |words: &[&str]| words.iter().any(|word| query.contains(word));
    // Whether a type is that of a row of its own.
    if asks(&["relkind = 'c'"]) {
        return Some("FALSE");
    }
    if asks(&["json_build_object(", "pg_get_expr(", "collname"]) {
        Some("CAST(NULL AS VARCHAR)")
    } else {
        asks(&["typcollation"]).then_some("CAST(NULL AS INT)")
    }
}

/// The character that an ESCAPE names.
fn escape(value: Option<&ValueWithSpan>) -> Option<char> {
    let Value::SingleQuotedString(text) = &value?.value else { return None };
    let mut letters = text.chars();
    letters.next().filter(|_| letters.next().is_none())
}

/// The pattern with a backslash in place of its own escape. It is moved and never spelled: the parser's own spelling of
/// a text is not always that text.
fn with_backslash(pattern: &mut Expr, escape: char) {
    if escape == '\\' {
        return;
    }
    let quoted = if escape == '\'' { "''".to_owned() } else { escape.to_string() };
    let Some(mut call) = parsed(&format!("replace(NULL, '{quoted}', '\\')")) else { return };
    if let Expr::Function(function) = &mut call
        && let FunctionArguments::List(list) = &mut function.args
        && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(first))) = list.args.first_mut()
    {
        std::mem::swap(first, pattern);
        *pattern = call;
    }
}

fn put(place: &mut Expr, sql: &str) {
    if let Some(expr) = parsed(sql) {
        *place = expr;
    }
}

fn parsed(sql: &str) -> Option<Expr> {
    Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).and_then(|mut parser| parser.parse_expr()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_moved_as_it_is() {
        for (escape, pattern) in [("!", "\\' OR true --"), ("''", "a''b"), ("\\", "x")] {
            let sql = format!("SELECT 1 WHERE 'a' LIKE '{}' ESCAPE '{escape}'", pattern.replace('\'', "''"));
            let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, &sql).unwrap();
            statement(&mut statements[0]);
            let mut texts = Vec::new();
            let _ = visit_expressions_mut(&mut statements[0], |expr| {
                if let Expr::Value(value) = expr {
                    texts.extend(value.value.clone().into_string());
                }
                ControlFlow::<()>::Continue(())
            });
            assert!(texts.iter().any(|text| text == pattern), "{texts:?}");
        }
    }
}
