//! `-- expect:` lines: what a query should answer, written beside it.
//!
//! ```sql
//! -- expect: 42                       one value; NULL for none
//! -- expect -p step=/cart -p top=2:   with these parameters; the lines below are the whole answer,
//! -- | to_step   | n  |
//! -- |-----------|---:|
//! -- | /checkout | 64 |
//! -- expect:                          or the same as csv
//! -- to_step,n
//! -- /checkout,64
//! ```
//! They stand among the comments at the head of a file or below its last statement, and end where another line begins
//! that is none of theirs: an empty comment, another key, SQL. In a table a bar is written `\|`, NULL is `NULL`, a break
//! is `\n`; how wide its cells are means nothing.
//!
//! Deliberately not here: asking (`database/`), showing (`cli/`).

use std::collections::BTreeMap;
use std::ops::Range;

/// What should come out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// One row of one column.
    Value(String),
    /// Rows as lines `a | b`, the names of the columns first.
    Table(Vec<String>),
    Csv(Vec<String>),
}

/// An expectation of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// The line that it begins in, from 1.
    pub line: usize,
    /// Values of parameters.
    pub values: BTreeMap<String, String>,
    pub expected: Expected,
    /// Its first line without what is expected.
    pub head: String,
    /// Its lines, from 0.
    pub lines: Range<usize>,
}

/// Whether the text of a comment begins an expectation.
fn is_head(comment: &str) -> bool {
    let rest = comment.trim_start().strip_prefix("expect");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':') || rest.starts_with(char::is_whitespace))
}

/// What a comment line says, if a line is one.
fn comment(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("--")
}

/// The expectations of a file.
///
/// # Errors
/// One of them is not as it should be, with its line number.
pub fn expectations(text: &str) -> Result<Vec<Expectation>, String> {
    let lines: Vec<&str> = text.lines().collect();
    let is_sql = |line: &&str| !line.trim().is_empty() && comment(line).is_none();
    let (first, last) = (lines.iter().position(is_sql), lines.iter().rposition(is_sql));
    let mut found = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let inside = first.is_some_and(|first| at > first) && last.is_some_and(|last| at < last);
        let head = comment(lines[at]).filter(|comment| is_head(comment) && !inside);
        let Some(head) = head else {
            at += 1;
            continue;
        };
        let wrong = |why: String| format!("line {}: {why}", at + 1);
        let below: Vec<&str> = lines[at + 1..].iter().map_while(|line| comment(line).filter(|it| is_row(it))).collect();
        let expectation = read(at, head, &below).map_err(wrong)?;
        at = expectation.lines.end;
        found.push(expectation);
    }
    Ok(found)
}

/// Whether a comment can be a line of an answer.
fn is_row(comment: &str) -> bool {
    let key = |key: &str| comment.trim_start().starts_with(key);
    !comment.trim().is_empty() && !is_head(comment) && !key("parameter:") && !key("columns:")
}

fn read(at: usize, comment: &str, below: &[&str]) -> Result<Expectation, String> {
    let after = comment.trim_start().trim_start_matches("expect").trim_start();
    let (values, value) =
        if let Some(value) = after.strip_prefix(':') { (BTreeMap::new(), value) } else { given(after)? };
    let head = format!("--{}", comment[..comment.len() - value.len()].trim_end());
    let value = value.trim();
    let (expected, taken) = match below.first() {
        _ if !value.is_empty() => (Expected::Value(value.to_owned()), 0),
        Some(first) if first.trim_start().starts_with('|') => {
            let rows: Vec<&str> = below.iter().map(|row| row.trim()).take_while(|row| row.starts_with('|')).collect();
            let shown =
                rows.iter().map(|row| cells(row)).filter(|cells| !is_rule(cells)).map(|cells| cells.join(" | "));
            (Expected::Table(shown.collect()), rows.len())
        }
        Some(_) => {
            let row = |row: &&str| row.strip_prefix(' ').unwrap_or(row).trim_end().to_owned();
            (Expected::Csv(below.iter().map(row).collect()), below.len())
        }
        None => (Expected::Table(Vec::new()), 0),
    };
    Ok(Expectation { line: at + 1, values, expected, head, lines: at..at + 1 + taken })
}

/// `-p name=value …:`, and what stands behind the colon.
fn given(text: &str) -> Result<(BTreeMap<String, String>, &str), String> {
    let mut values = BTreeMap::new();
    let mut rest = text;
    loop {
        let shape = || format!("'{text}' is no expectation – write `expect: value` or `expect -p name=value: value`");
        let (word, after) = word(rest.strip_prefix("-p").ok_or_else(shape)?.trim_start()).ok_or_else(shape)?;
        let (word, ends) = word.strip_suffix('\u{1}').map_or((word.as_str(), false), |word| (word, true));
        let (name, value) = word.split_once('=').ok_or_else(shape)?;
        if values.insert(name.trim().to_owned(), value.to_owned()).is_some() {
            return Err(format!("parameter {name} is given twice"));
        }
        rest = after.trim_start();
        if ends {
            return Ok((values, after));
        }
    }
}

/// The first word, with quotes as a shell has them, and what follows; a colon that ends it without quotes around it
/// becomes the mark that ends the parameters. `None` where a quote stays open or nothing is there.
fn word(text: &str) -> Option<(String, &str)> {
    let (mut word, mut quote) = (String::new(), None);
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '\'' | '"') => quote = Some(c),
            None if c.is_whitespace() => return Some((word, &text[at..])),
            None if c == ':' && text[at + 1..].chars().next().is_none_or(char::is_whitespace) => {
                word.push('\u{1}');
                return Some((word, &text[at + 1..]));
            }
            _ => word.push(c),
        }
    }
    None
}

/// The cells of a line of a table.
fn cells(row: &str) -> Vec<String> {
    let inner = row.strip_prefix('|').unwrap_or(row).replace("\\|", "\u{1}");
    let inner = inner.trim_end();
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    inner.split('|').map(|cell| cell.trim().replace('\u{1}', "\\|")).collect()
}

/// Whether it is the line between the names and the rows.
fn is_rule(cells: &[String]) -> bool {
    cells.iter().all(|cell| cell.contains('-') && cell.chars().all(|c| matches!(c, '-' | ':')))
}

/// Lines of tab-separated values as lines of a table.
#[must_use]
pub fn table_lines(tsv: &str) -> Vec<String> {
    let cell = |cell: &str| if cell == "\\N" { "NULL".to_owned() } else { cell.replace('|', "\\|") };
    tsv.lines()
        .map(|line| line.split('\t').map(|it| cell(it).trim().to_owned()).collect::<Vec<_>>().join(" | "))
        .collect()
}

impl Expectation {
    /// Its lines with something else expected.
    #[must_use]
    pub fn written(&self, expected: &Expected) -> Vec<String> {
        let mut lines = vec![self.head.clone()];
        match expected {
            Expected::Value(value) => lines[0] = format!("{} {value}", self.head),
            Expected::Csv(rows) => lines.extend(rows.iter().map(|row| format!("-- {row}"))),
            Expected::Table(rows) => lines.extend(aligned(rows).map(|row| format!("-- {row}"))),
        }
        lines
    }
}

/// Lines `a | b` as a table of even columns.
fn aligned(rows: &[String]) -> impl Iterator<Item = String> {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| cells(row)).collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0).max(1)
    };
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len)).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
    };
    let rule = format!("|{}|", widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("|"));
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    if !lines.is_empty() {
        lines.insert(1, rule);
    }
    lines.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_tables_and_csv_are_read() {
        let text = "-- What it is.\n-- parameter: top integer = 1, n\n-- expect: 42\n-- expect -p top=2 -p 'step=a b: c': NULL\n\
                    -- expect -p from=2025-01-01T00:00:00Z:\n-- | a | b |\n-- |---|--:|\n-- |  x\\|y | 1|\n--\n-- Prose.\nSELECT\n\
                    -- expect: inside\n1\n-- expect:\n-- a,b\n-- \"x, y\",1\n";
        let found = expectations(text).unwrap();
        let expected: Vec<&Expected> = found.iter().map(|it| &it.expected).collect();
        let lines = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
        assert_eq!(expected[0], &Expected::Value("42".into()));
        assert_eq!(expected[1], &Expected::Value("NULL".into()));
        assert_eq!(expected[2], &Expected::Table(lines(&["a | b", "x\\|y | 1"])));
        assert_eq!(expected[3], &Expected::Csv(lines(&["a,b", "\"x, y\",1"])));
        assert_eq!(found.len(), 4);
        assert_eq!(found[1].values["step"], "a b: c");
        assert_eq!(found[2].values["from"], "2025-01-01T00:00:00Z");
        assert_eq!((found[2].line, found[2].lines.clone()), (5, 4..8));
        assert_eq!(found[2].head, "-- expect -p from=2025-01-01T00:00:00Z:");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let [expectation] = expectations("-- expect:\nSELECT 1\n").unwrap().try_into().unwrap();
        let rows = table_lines("a\tb\nx|y\t\\N\n");
        assert_eq!(rows, ["a | b", "x\\|y | NULL"]);
        let text = expectation.written(&Expected::Table(rows.clone())).join("\n");
        assert_eq!(text, "-- expect:\n-- | a    | b    |\n-- |------|------|\n-- | x\\|y | NULL |");
        assert_eq!(expectations(&text).unwrap()[0].expected, Expected::Table(rows));
    }

    #[test]
    fn mistakes_have_their_line() {
        for wrong in ["-- expect -p top:", "-- expect -p top=1", "-- expect -p a=1 -p a=2: 1", "-- expect -x:"] {
            assert!(expectations(&format!("\n{wrong}\nSELECT 1")).unwrap_err().starts_with("line 2: "), "{wrong}");
        }
    }
}
