//! SQL text without its meaning: where statements end, where a word stands.
//!
//! ```text
//! select 'no;' -- no;\n from t where a = $yes ; select 2
//!        └quoted └comment                      └ the end of the first statement
//! ```
//! Deliberately not here: parsing (the engine's).

use std::ops::Range;

/// What a stretch of SQL text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A name, keyword or number.
    Word,
    /// `'text'` or `"name"`; `closed` is false where the text ends first.
    Quoted { closed: bool },
    /// `-- …` or `/* … */`.
    Comment { closed: bool },
    /// `$name`.
    Parameter,
    /// One other character.
    Mark,
}

/// The stretches of `sql` in order; white space lies between them.
fn stretches(sql: &str) -> impl Iterator<Item = (Kind, Range<usize>)> + Clone {
    let bytes = sql.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        let first = *bytes.get(at)?;
        let start = at;
        let (kind, end) = match first {
            quote @ (b'\'' | b'"') => end_of_quoted(bytes, start, quote),
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                let end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |line| at + line + 1);
                (Kind::Comment { closed: true }, end)
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => end_of_comment(bytes, start),
            b'$' if bytes.get(at + 1).copied().is_some_and(starts_word) => {
                (Kind::Parameter, end_of_word(bytes, at + 1))
            }
            byte if starts_word(byte) || byte.is_ascii_digit() => (Kind::Word, end_of_word(bytes, at)),
            _ => (Kind::Mark, at + 1),
        };
        at = end;
        Some((kind, start..end))
    })
}

const fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn end_of_word(bytes: &[u8], from: usize) -> usize {
    let rest = bytes[from..].iter().take_while(|byte| starts_word(**byte) || byte.is_ascii_digit()).count();
    from + rest
}

fn end_of_quoted(bytes: &[u8], start: usize, quote: u8) -> (Kind, usize) {
    let mut at = start + 1;
    while at < bytes.len() {
        if bytes[at] == quote {
            if bytes.get(at + 1) != Some(&quote) {
                return (Kind::Quoted { closed: true }, at + 1);
            }
            at += 1;
        }
        at += 1;
    }
    (Kind::Quoted { closed: false }, bytes.len())
}

/// Block comments nest, as in the standard.
fn end_of_comment(bytes: &[u8], start: usize) -> (Kind, usize) {
    let mut depth = 0_usize;
    let mut at = start;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return (Kind::Comment { closed: true }, at);
                }
            }
            _ => at += 1,
        }
    }
    (Kind::Comment { closed: false }, bytes.len())
}

/// The statements of a text, each without its semicolon; those of comments and blanks only are left out.
#[must_use]
pub fn split(sql: &str) -> Vec<&str> {
    split_ranges(sql).into_iter().map(|range| &sql[range]).collect()
}

/// Where the statements of a text lie.
#[must_use]
pub fn split_ranges(sql: &str) -> Vec<Range<usize>> {
    let trimmed = |range: Range<usize>| {
        let (text, start) = (&sql[range.clone()], range.start);
        let blank = text.len() - text.trim_start().len();
        start + blank..start + text.trim_end().len()
    };
    let mut statements = Vec::new();
    let mut start = 0;
    let mut has_code = false;
    for (kind, range) in stretches(sql) {
        if kind == Kind::Mark && &sql[range.clone()] == ";" {
            if has_code {
                statements.push(trimmed(start..range.start));
            }
            (start, has_code) = (range.end, false);
        } else if !matches!(kind, Kind::Comment { .. }) {
            has_code = true;
        }
    }
    if has_code {
        statements.push(trimmed(start..sql.len()));
    }
    statements
}

/// What a statement is made of, without comments and blanks.
pub fn words(sql: &str) -> impl Iterator<Item = (&str, Range<usize>)> + Clone {
    let code = stretches(sql).filter(|(kind, _)| !matches!(kind, Kind::Comment { .. }));
    code.map(|(_, range)| (&sql[range.clone()], range))
}

/// Whether a shell may run the text: it ends with a semicolon that stands in no quote and no comment, or it holds
/// nothing but comments and blanks.
#[must_use]
pub fn is_complete(sql: &str) -> bool {
    let mut complete = true;
    for (kind, range) in stretches(sql) {
        match kind {
            Kind::Comment { closed } => complete &= closed,
            Kind::Mark => complete = &sql[range] == ";",
            Kind::Word | Kind::Quoted { .. } | Kind::Parameter => complete = false,
        }
    }
    complete
}

/// Where `word` first stands as a name of its own: bare (case ignored) or in double quotes.
#[must_use]
pub fn find_word(sql: &str, word: &str) -> Option<Range<usize>> {
    stretches(sql)
        .find(|(kind, range)| match kind {
            Kind::Word => sql[range.clone()].eq_ignore_ascii_case(word),
            Kind::Quoted { closed: true } => sql[range.clone()].trim_matches('"') == word,
            _ => false,
        })
        .map(|(_, range)| range)
}

/// The stretch that holds the byte `at`: what a caret should underline.
#[must_use]
pub fn stretch_at(sql: &str, at: usize) -> Range<usize> {
    stretches(sql).map(|(_, range)| range).find(|range| range.end > at).unwrap_or(sql.len()..sql.len())
}

/// A text as a literal.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_their_own_semicolon_only() {
        let sql = "-- first; line\nselect ';' as \"a;b\" /* ; /* ; */ ; */ from t;;\n  select $1; -- end\n";
        assert_eq!(split(sql), ["-- first; line\nselect ';' as \"a;b\" /* ; /* ; */ ; */ from t", "select $1"]);
        assert_eq!(split("select 1"), ["select 1"]);
        assert!(split(" -- nothing\n").is_empty());
    }

    #[test]
    fn a_shell_waits_for_the_semicolon() {
        for complete in ["select 1;", "select ';' ; -- done", "", "-- only a comment", "select 1; /* a */"] {
            assert!(is_complete(complete), "{complete}");
        }
        for open in ["select 1", "select ';", "select 1 -- ;", "select 1; /* ", "select \"a;"] {
            assert!(!is_complete(open), "{open}");
        }
    }

    #[test]
    fn words_are_found_whole() {
        let sql = "select pages, 'page' from page_x join \"Page\" on PAGE = 1";
        assert_eq!(find_word(sql, "pages").map(|range| &sql[range]), Some("pages"));
        assert_eq!(find_word(sql, "ON").map(|range| &sql[range]), Some("on"));
        assert_eq!(find_word(sql, "Page").map(|range| &sql[range]), Some("\"Page\""));
        assert_eq!(&sql[stretch_at(sql, 8)], "pages");
    }
}
