//! Which format a source has: the one that was named, or the one that its first lines speak.
//!
//! ```text
//! requested   "auto"      every candidate reads the first lines; the most telling of the best wins
//!             a name      built-in, or [format.NAME] of the configuration
//!             a regex     with named groups
//! ```

use std::sync::Arc;

use super::error::{Attempt, FormatError};
use super::json::{self, Json, Names};
use super::ncsa::{Ncsa, Shape};
use super::{Choice, Chosen, Framing, LineParser, Outcome, formats};
use crate::config::Config;

/// Lines that `auto` tries.
const LINES: usize = 200;
/// `auto` takes a format that reads at least one line in this many.
const LEAST_SHARE: usize = 5;
/// Bytes of a line that an error shows.
const SHOWN_BYTES: usize = 120;

/// Finds the parser for a source. `requested`: `auto`, a name, or a regular expression with named groups; `head`: the
/// first ≤ 256 KiB of plain text (decompressed, BOM cut), cut at any byte.
///
/// # Errors
/// An unknown name, or with `auto` an empty, binary or foreign head; the error names the closest candidates and how
/// far they understood the lines.
pub fn choose(requested: &str, head: &[u8], config: &Config) -> Result<Choice, FormatError> {
    if requested == "auto" {
        return auto(head, config);
    }
    let parser = build(requested, config)?.ok_or_else(|| FormatError::Unknown {
        name: requested.to_owned(),
        suggestion: suggestion(requested, config),
    })?;
    Ok(Choice::Text(Chosen { name: requested.to_owned(), framing: Framing::Lines, why: "named".to_owned(), parser }))
}

/// The parser of a name, `None` where there is no such format.
fn build(name: &str, config: &Config) -> Result<Option<Box<dyn LineParser>>, FormatError> {
    let strict = config.parse.strict;
    let zone = config.parse.zone_micros().map_err(|message| FormatError::Invalid { name: name.to_owned(), message })?;
    let events = || Arc::new(Names::new(json::Records::Events, json::EVENTS, &config.fields));
    Ok(Some(match name {
        "common" => Box::new(Ncsa::new(Shape::Common, strict)),
        "combined" => Box::new(Ncsa::new(Shape::Combined, strict)),
        "vhost_combined" => Box::new(Ncsa::new(Shape::VhostCombined, strict)),
        "ndjson" => Box::new(Json::new(events(), zone)),
        _ => return Ok(None),
    }))
}

fn suggestion(name: &str, config: &Config) -> Option<String> {
    let known = formats().iter().map(|format| format.name).chain(config.format.keys().map(String::as_str));
    known
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 3)
        .min()
        .map(|(_, known)| known.to_owned())
}

fn auto(head: &[u8], config: &Config) -> Result<Choice, FormatError> {
    if head.starts_with(b"PAR1") {
        return Ok(Choice::Parquet { why: "it begins with PAR1".to_owned() });
    }
    let lines = first_lines(head);
    if lines.is_empty() {
        return Err(FormatError::Empty);
    }
    let mut attempts = Vec::new();
    for format in formats() {
        if let Some(mut parser) = build(format.name, config)? {
            attempts.push(attempt(format.name, parser.as_mut(), &lines));
        }
    }
    let best = attempts.iter().map(|attempt| attempt.matched).max().unwrap_or(0);
    let winner = attempts.iter().find(|attempt| attempt.matched * 10 >= best * 9 && attempt.matched > 0);
    if let Some(winner) = winner
        && winner.matched * LEAST_SHARE >= winner.of
        && let Some(parser) = build(&winner.name, config)?
    {
        return Ok(Choice::Text(Chosen {
            name: winner.name.clone(),
            framing: Framing::Lines,
            why: format!("{} of the first {} lines match", winner.matched, winner.of),
            parser,
        }));
    }
    attempts.sort_by_key(|attempt| std::cmp::Reverse((attempt.matched, attempt.furthest)));
    attempts.truncate(3);
    let hint = "name the format with --format, or give a regular expression with named groups";
    Err(FormatError::NoMatch { lines: lines.len(), attempts, hint })
}

/// The first non-blank lines; the last one only if it is whole or the only one.
fn first_lines(head: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = head.split(|byte| *byte == b'\n').collect();
    if lines.len() > 1 {
        lines.pop();
    }
    lines.retain(|line| !line.trim_ascii().is_empty());
    lines.truncate(LINES);
    lines.into_iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect()
}

/// Reads the lines with one candidate.
fn attempt(name: &str, parser: &mut dyn LineParser, lines: &[&[u8]]) -> Attempt {
    let mut attempt = Attempt { name: name.to_owned(), matched: 0, of: 0, furthest: 0, line: String::new() };
    for line in lines {
        let mut scratch = Vec::new();
        match parser.parse(line, &mut scratch) {
            Outcome::Event(_) => attempt.matched += 1,
            Outcome::Drop(_) => continue,
            Outcome::Reject(reject) => {
                let matched = reject.matched as usize;
                if matched > attempt.furthest || attempt.line.is_empty() {
                    attempt.furthest = matched;
                    attempt.line = String::from_utf8_lossy(line.get(..SHOWN_BYTES).unwrap_or(line)).into_owned();
                }
            }
        }
        attempt.of += 1;
    }
    attempt
}
