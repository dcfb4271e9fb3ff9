//! Which format a source has: the one that was named, or the one that its first lines speak.
//!
//! ```text
//! requested   "auto"      every candidate reads the first records; the most telling of the best wins
//!             a name      built-in, or [format.NAME] of the configuration
//!             a regex     with named groups
//! ```
//! A record counts for a candidate if it reads it and knows who did it; where no candidate knows anybody, reading it
//! is enough.

use std::sync::Arc;

use super::csv::{self, Csv, Header};
use super::error::{Attempt, FormatError};
use super::formats::{self, Reader};
use super::json::{self, Json, Names};
use super::ncsa::Ncsa;
use super::pattern::{Pattern, Rules};
use super::row::Records;
use super::w3c::W3c;
use super::{Choice, Chosen, Framing, LineParser, Outcome};
use crate::config::{Config, Format};

/// Records that `auto` tries.
const RECORDS: usize = 200;
/// With so few records a last one without line feed is tried too: a short source, not a cut head.
const FEW: usize = 10;
/// `auto` takes a format that reads at least one record in this many.
const LEAST_SHARE: usize = 5;
/// Candidates that an error names.
const SHOWN: usize = 3;
/// Bytes of a line that an error shows.
const SHOWN_BYTES: usize = 120;
/// What a Parquet file begins with.
const PARQUET: &[u8] = b"PAR1";

/// Finds the parser for a source. `requested`: `auto`, a name, or a regular expression with named groups; `head`: the
/// first ≤ 256 KiB of plain text (decompressed, BOM cut), cut at any byte.
///
/// # Errors
/// An unknown name, a format that cannot be used, or with `auto` an empty, binary or foreign head; the error names
/// the closest candidates and how far they understood the records.
pub fn choose(requested: &str, head: &[u8], config: &Config) -> Result<Choice, FormatError> {
    let builder = Builder::new(requested, head, config)?;
    if requested.eq_ignore_ascii_case("auto") {
        return builder.auto();
    }
    if let Some(format) = config.format.get(requested) {
        return builder.own(requested, format).map(Choice::Text);
    }
    if let Some(format) = formats::format(requested) {
        return builder.named(format);
    }
    if requested.contains("(?<") || requested.contains("(?P<") {
        return builder.expression(requested, requested, None).map(|parser| {
            let why = "a regular expression".to_owned();
            Choice::Text(Chosen { name: requested.to_owned(), framing: Framing::Lines, why, parser })
        });
    }
    Err(FormatError::Unknown { name: requested.to_owned(), suggestion: suggestion(requested, config) })
}

/// What every parser is built from.
struct Builder<'a> {
    head: &'a [u8],
    config: &'a Config,
    zone_micros: i64,
}

impl<'a> Builder<'a> {
    fn new(requested: &str, head: &'a [u8], config: &'a Config) -> Result<Self, FormatError> {
        match config.parse.zone_micros() {
            Ok(zone_micros) => Ok(Self { head, config, zone_micros }),
            Err(message) => Err(FormatError::Invalid { name: requested.to_owned(), message }),
        }
    }

    /// A built-in format by its name.
    fn named(&self, format: &formats::FormatInfo) -> Result<Choice, FormatError> {
        let why = "asked for".to_owned();
        if matches!(format.reader, Reader::Parquet) {
            return if self.head.starts_with(PARQUET) {
                Ok(Choice::Parquet { why })
            } else {
                let message = "the source does not begin with PAR1, so it is no Parquet file".to_owned();
                Err(FormatError::Invalid { name: format.name.to_owned(), message })
            };
        }
        let (parser, framing) =
            self.built_in(format).map_err(|message| FormatError::Invalid { name: format.name.to_owned(), message })?;
        Ok(Choice::Text(Chosen { name: format.name.to_owned(), framing, why, parser }))
    }

    fn built_in(&self, format: &formats::FormatInfo) -> Result<(Box<dyn LineParser>, Framing), String> {
        let names = |records, usual| Names::new(records, usual, &self.config.fields);
        let parser: Box<dyn LineParser> = match format.reader {
            Reader::Ncsa(shape) => Box::new(Ncsa::new(shape, self.config.parse.strict)),
            Reader::Events => Box::new(Json::new(Arc::new(names(Records::Events, json::EVENTS)), self.zone_micros)),
            Reader::Requests(usual) => Box::new(Json::new(Arc::new(names(Records::Requests, usual)), self.zone_micros)),
            Reader::W3c => Box::new(W3c::new(self.zone_micros)),
            Reader::Csv => {
                let header = Header::new(self.head, &names(Records::Events, json::EVENTS))?;
                return Ok((Box::new(Csv::new(header, self.zone_micros)), Framing::Csv));
            }
            Reader::Pattern { regex, time } => Box::new(Pattern::new(regex, &self.rules(time))?),
            Reader::Parquet => return Err("a Parquet file has no lines".to_owned()),
        };
        Ok((parser, Framing::Lines))
    }

    fn rules(&self, time: Option<&str>) -> Rules {
        Rules { time: time.map(str::to_owned), zone_micros: self.zone_micros, strict: self.config.parse.strict }
    }

    fn expression(&self, name: &str, regex: &str, time: Option<&str>) -> Result<Box<dyn LineParser>, FormatError> {
        match Pattern::new(regex, &self.rules(time)) {
            Ok(pattern) => Ok(Box::new(pattern)),
            Err(message) => Err(FormatError::Invalid { name: name.to_owned(), message }),
        }
    }

    /// `[format.NAME]` of the configuration, whose samples must match.
    fn own(&self, name: &str, format: &Format) -> Result<Chosen, FormatError> {
        let mut parser = self.expression(name, &format.regex, format.time.as_deref())?;
        for (number, sample) in (1..).zip(&format.samples) {
            let mut scratch = Vec::new();
            if let Outcome::Reject(reject) = parser.parse(sample.as_bytes(), &mut scratch) {
                let (reason, matched) = (reject.reason.name(), reject.matched);
                let message = format!(
                    "[format.{name}] samples: sample {number} is refused ({reason}) at byte {matched}: {sample}"
                );
                return Err(FormatError::Invalid { name: name.to_owned(), message });
            }
        }
        let why = format!("asked for, [format.{name}] of the configuration");
        Ok(Chosen { name: name.to_owned(), framing: Framing::Lines, why, parser })
    }

    /// The candidate that reads the head best.
    fn auto(&self) -> Result<Choice, FormatError> {
        if self.head.starts_with(PARQUET) {
            return Ok(Choice::Parquet { why: "it begins with PAR1".to_owned() });
        }
        let lines = first(lines(self.head));
        if lines.is_empty() {
            return Err(FormatError::Empty);
        }
        let mut tried = Vec::new();
        for (name, format) in &self.config.format {
            let mut chosen = self.own(name, format)?;
            tried.push(Tried::new(chosen.parser.as_mut(), &lines, chosen.name, Framing::Lines));
        }
        for format in formats::formats() {
            if tried.last().is_some_and(Tried::is_unbeatable) {
                break;
            }
            // A head that a format cannot be built from (CSV without a header) is not of that format.
            let Ok((mut parser, framing)) = self.built_in(format) else { continue };
            let records = if framing == Framing::Csv { first(csv::records(self.head)) } else { lines.clone() };
            tried.push(Tried::new(parser.as_mut(), &records, format.name.to_owned(), framing));
        }
        let knows_anybody = tried.iter().any(|tried| tried.identified > 0);
        let score = |tried: &Tried| if knows_anybody { tried.identified } else { tried.attempt.matched };
        let best = tried.iter().map(score).max().unwrap_or(0);
        let winner = tried.iter().find(|tried| score(tried) > 0 && score(tried) * 10 >= best * 9);
        match winner {
            Some(winner) if winner.attempt.matched * LEAST_SHARE >= winner.attempt.of => self.win(winner),
            _ => Err(self.no_match(lines.len(), tried)),
        }
    }

    /// The winner, built anew: trying it has moved its state.
    fn win(&self, winner: &Tried) -> Result<Choice, FormatError> {
        let name = winner.attempt.name.as_str();
        let built = match self.config.format.get(name) {
            Some(format) => self.own(name, format).map(Choice::Text),
            None => match formats::format(name) {
                Some(format) => self.named(format),
                None => Err(FormatError::Unknown { name: name.to_owned(), suggestion: None }),
            },
        };
        let (matched, of) = (winner.attempt.matched, winner.attempt.of);
        let records = if winner.framing == Framing::Csv { "record" } else { "line" };
        let mut why = match (matched, of) {
            (1, 1) => format!("the first {records} matches"),
            (matched, of) if matched == of => format!("the first {of} {records}s match"),
            (matched, of) => format!("{matched} of the first {of} {records}s match"),
        };
        if name == "csv"
            && let Ok(header) = Header::new(self.head, &Names::new(Records::Events, json::EVENTS, &self.config.fields))
        {
            why = format!("{}, {why}", header.describe());
        }
        built.map(|choice| match choice {
            Choice::Text(chosen) => Choice::Text(Chosen { why, ..chosen }),
            Choice::Parquet { .. } => Choice::Parquet { why },
        })
    }

    fn no_match(&self, lines: usize, tried: Vec<Tried>) -> FormatError {
        let mut attempts: Vec<Attempt> = tried.into_iter().map(|tried| tried.attempt).collect();
        if let Some((at, byte)) = binary_byte(self.head)
            && attempts.iter().all(|attempt| attempt.matched == 0)
        {
            return FormatError::Binary { at, byte };
        }
        attempts.sort_by_key(|attempt| std::cmp::Reverse((attempt.matched, attempt.furthest)));
        attempts.retain(|attempt| attempt.matched > 0 || attempt.furthest > 0);
        attempts.truncate(SHOWN);
        FormatError::NoMatch { lines, attempts, hint: hint(self.head) }
    }
}

/// A candidate after the first records.
struct Tried {
    attempt: Attempt,
    /// Records whose event names somebody.
    identified: usize,
    framing: Framing,
}

impl Tried {
    fn new(parser: &mut dyn LineParser, records: &[&[u8]], name: String, framing: Framing) -> Self {
        let attempt = Attempt { name, matched: 0, of: 0, furthest: 0, line: String::new() };
        let mut tried = Self { attempt, identified: 0, framing };
        let mut scratch = Vec::new();
        for record in records {
            match parser.parse(record, &mut scratch) {
                Outcome::Event(event) => {
                    tried.attempt.matched += 1;
                    let ids = [event.user_id, event.anonymous_id, event.session_id, event.ip];
                    tried.identified += usize::from(ids.iter().flatten().any(|id| !id.is_empty()));
                }
                Outcome::Drop(_) => continue,
                Outcome::Reject(reject) => tried.attempt.refused(record, reject.matched as usize),
            }
            tried.attempt.of += 1;
        }
        tried
    }
}

impl Tried {
    /// Whether no later, less telling candidate can win any more.
    fn is_unbeatable(&self) -> bool {
        self.identified > 0 && self.identified * 10 >= self.attempt.of * 9
    }
}

impl Attempt {
    fn refused(&mut self, record: &[u8], matched: usize) {
        if matched > self.furthest || self.line.is_empty() {
            self.furthest = matched;
            self.line = String::from_utf8_lossy(record.get(..SHOWN_BYTES).unwrap_or(record)).into_owned();
        }
    }
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// The first records that are not blank; the head's last one may be cut and counts only where there are few.
fn first<'a>(records: impl Iterator<Item = &'a [u8]>) -> Vec<&'a [u8]> {
    let mut first: Vec<&[u8]> = records.filter(|record| !record.trim_ascii().is_empty()).take(RECORDS + 1).collect();
    if first.len() > FEW {
        first.pop();
    }
    first
}

/// The first byte that no text has, where such bytes are many.
fn binary_byte(head: &[u8]) -> Option<(usize, u8)> {
    let is_binary = |byte: &u8| matches!(byte, 0..=8 | 14..=26 | 28..=31 | 127);
    let sample = head.get(..8_192).unwrap_or(head);
    let count = sample.iter().filter(|byte| is_binary(byte)).count();
    let at = sample.iter().position(is_binary)?;
    (count * 50 >= sample.len()).then(|| (at, sample.get(at).copied().unwrap_or_default()))
}

/// What to do about a head that nothing reads.
fn hint(head: &[u8]) -> &'static str {
    let mut lines = lines(head).map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let (line, next) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let separators = |line: &[u8]| line.iter().filter(|byte| matches!(byte, b',' | b';' | b'\t' | b'|')).count();
    match line {
        b"[" | [b'[', b'{' | b' ', ..] => {
            "this looks like one JSON list; write one object a line, for example with: jq -c '.[]'"
        }
        b"{" => "this looks like JSON over several lines; write one object a line, for example with: jq -c .",
        [b'{', .., b'}'] => {
            "an event needs a time named ts, timestamp, time or @timestamp; name yours in journeyql.toml: [fields] ts = \"…\""
        }
        [b'<', ..] => "this looks like XML or HTML, which is not read",
        _ if separators(line) > 0 && separators(line) == separators(next) => {
            "if this is CSV, its header must name the time: ts, timestamp or time; name yours in journeyql.toml: [fields] \
             ts = \"…\""
        }
        _ => "name the format with --format, or give a regular expression with named groups (?<ts>…) (?<ip>…) …",
    }
}

fn suggestion(name: &str, config: &Config) -> Option<String> {
    let built_in = formats::formats().iter().flat_map(|format| format.aliases.iter().copied().chain([format.name]));
    let name = name.to_ascii_lowercase();
    built_in
        .chain(config.format.keys().map(String::as_str))
        .chain(["auto"])
        .map(|known| (strsim::damerau_levenshtein(&name, known), known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 3)
        .min()
        .map(|(_, known)| known.to_owned())
}

#[cfg(test)]
mod tests;
