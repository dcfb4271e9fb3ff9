//! Why no format was found, told with what to do next.

use std::fmt::Write as _;

use thiserror::Error;

/// A candidate that was tried on the first lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub name: String,
    /// Lines that match, of `of` tried.
    pub matched: usize,
    pub of: usize,
    /// The furthest that a refused line was understood, in bytes, and that line's start.
    pub furthest: usize,
    pub line: String,
}

/// Why a source cannot be read with the format that was asked for, or with any.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormatError {
    #[error("unknown format '{name}'{}", unknown_hint(suggestion.as_deref()))]
    Unknown { name: String, suggestion: Option<String> },
    #[error("the source is empty – there is no first line to tell the format by; name it with --format")]
    Empty,
    #[error(
        "the source is binary, not text – byte {at} is 0x{byte:02x}; text logs, gzip, zstd and Parquet are understood"
    )]
    Binary { at: usize, byte: u8 },
    #[error("{}", no_match_text(*lines, attempts, hint))]
    NoMatch { lines: usize, attempts: Vec<Attempt>, hint: &'static str },
    #[error("the format '{name}' cannot be used – {message}")]
    Invalid { name: String, message: String },
}

impl FormatError {
    /// Without the lines that it shows.
    #[must_use]
    pub fn redacted(mut self) -> Self {
        if let Self::NoMatch { attempts, .. } = &mut self {
            for attempt in attempts {
                "[redacted]".clone_into(&mut attempt.line);
            }
        }
        self
    }
}

fn unknown_hint(suggestion: Option<&str>) -> String {
    let formats = "'journeyql formats' lists all; a regular expression needs named groups such as (?<ts>…)";
    match suggestion {
        Some(name) => format!(" – did you mean '{name}'? {formats}"),
        None => format!(" – {formats}"),
    }
}

fn no_match_text(lines: usize, attempts: &[Attempt], hint: &str) -> String {
    let mut text = format!("no format fits the first {lines} line{}", if lines == 1 { "" } else { "s" });
    for (number, attempt) in (1..).zip(attempts) {
        let lead = if number == 1 { "closest: " } else { "then: " };
        let (name, matched, of, furthest) = (&attempt.name, attempt.matched, attempt.of, attempt.furthest);
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n  {lead}{name} – {matched} of {of} lines match; the furthest other one fits for {furthest} bytes: {}",
            marked(&attempt.line, furthest)
        );
    }
    let _ = write!(text, "\n  {hint}");
    text
}

/// The line with a mark where it stops to fit.
fn marked(line: &str, at: usize) -> String {
    let at = line.char_indices().map(|(at, _)| at).chain([line.len()]).take_while(|start| *start <= at).last();
    let (good, bad) = line.split_at(at.unwrap_or(0));
    format!("{good}⟨here⟩{bad}")
}
