//! What the line editor needs to know: when a statement is complete, and which words there are.

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};

use crate::database::is_complete_statement;

/// Words that a statement is made of, for completion.
const KEYWORDS: [&str; 26] = [
    "select",
    "from",
    "where",
    "group by",
    "order by",
    "limit",
    "join",
    "left join",
    "on",
    "and",
    "or",
    "not",
    "with",
    "as",
    "having",
    "distinct",
    "count",
    "sum",
    "avg",
    "median",
    "between",
    "interval",
    "explain",
    "describe",
    "set journeyql.",
    "show",
];

/// Completes names of tables, views, columns and functions.
pub(super) struct Words {
    names: Vec<String>,
}

impl Words {
    pub(super) fn new(names: Vec<String>) -> Self {
        Self { names }
    }

    fn candidates(&self, start: &str) -> Vec<String> {
        let start = start.to_lowercase();
        let all = self.names.iter().map(String::as_str).chain(KEYWORDS);
        let mut found: Vec<String> =
            all.filter(|word| word.to_lowercase().starts_with(&start)).map(str::to_owned).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = line.get(..pos).unwrap_or_default();
        let start = before
            .rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.')))
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let word = &before[start..];
        if word.is_empty() {
            return Ok((pos, Vec::new()));
        }
        let pairs = self.candidates(word).into_iter().map(|word| Pair { display: word.clone(), replacement: word });
        Ok((start, pairs.collect()))
    }
}

impl Validator for Words {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input().trim();
        let done = text.starts_with('\\')
            || matches!(text.trim_end_matches(';'), "help" | "?" | "quit" | "exit")
            || is_complete_statement(text);
        Ok(if done { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Highlighter for Words {}

impl Hinter for Words {
    type Hint = String;
}

impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_before_the_cursor_is_completed() {
        let words = Words::new(vec!["sessions".into(), "session_id".into(), "steps".into()]);
        assert_eq!(words.candidates("sess"), ["session_id", "sessions"]);
        assert_eq!(words.candidates("SET"), ["set journeyql."]);
    }
}
