//! CSV with a header: the header's names map like those of NDJSON.
//!
//! ```text
//! user_id,session_id,event,timestamp,platform          the header, read from the head of the source
//! u1,s1,home,2024-03-13 10:21:14,desktop               "…" around values with separators, line feeds or quotes ("")
//! ```
//!
//! Rules: the separator is the one of `,` `;` tab `|` that the header holds most; names match in any case, blanks and
//! hyphens as `_`; an empty value is absent; every record has as many values as the header; a record equal to the
//! header is the header again (files put together) and dropped.
//!
//! Deliberately not here: where a record with line feeds in quotes ends (`ingest/` frames it, see [`Framing::Csv`]).
//!
//! [`Framing::Csv`]: super::Framing::Csv

use std::sync::Arc;

use super::clock::Clock;
use super::json::Names;
use super::row::{Properties, Records, Role, Row, fits, json_key};
use super::span::Span;
use super::{LineParser, Outcome, refuse, scan};
use crate::event::{RawEvent, Reject, RejectReason};

/// The parser of one header.
#[derive(Debug, Clone)]
pub(super) struct Csv {
    header: Arc<Header>,
    clock: Clock,
    /// The rank that holds each role of the record being read.
    ranks: [u8; Role::COUNT],
    /// The column that holds it.
    holders: [usize; Role::COUNT],
    /// The properties of the record being read.
    others: Vec<u8>,
}

/// What the first record says.
#[derive(Debug)]
pub(super) struct Header {
    text: Vec<u8>,
    separator: u8,
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    role: Option<(Role, u8)>,
    /// `"name":`
    key: Vec<u8>,
}

impl Header {
    /// Reads the header, the first record of `head`.
    ///
    /// # Errors
    /// There is no header that names a time.
    pub(super) fn new(head: &[u8], names: &Names) -> Result<Self, String> {
        let text = records(head).find(|record| !record.trim_ascii().is_empty()).unwrap_or_default();
        let separator = separator(text);
        let mut scratch = Vec::new();
        let mut columns = Vec::new();
        let mut values = Values { line: text, at: 0, separator };
        while let Some(value) = values.next(&mut scratch).map_err(|_| "its header has an unclosed quote".to_owned())? {
            let name = value.peek(&scratch).trim_ascii();
            columns.push(Column { role: names.any_case(name), key: json_key(name) });
        }
        let header = Self { text: text.to_vec(), separator, columns };
        if header.has(&[Role::Ts]) {
            Ok(header)
        } else {
            let shown = String::from_utf8_lossy(text.get(..120).unwrap_or(text)).into_owned();
            Err(format!("its header names no time – ts, timestamp or time, or [fields] ts – but: {shown}"))
        }
    }

    /// Whether a column has one of these roles.
    pub(super) fn has(&self, roles: &[Role]) -> bool {
        self.columns.iter().any(|column| column.role.is_some_and(|(role, _)| roles.contains(&role)))
    }

    /// Separator and number of columns, for the reason that people read.
    pub(super) fn describe(&self) -> String {
        let separator =
            if self.separator == b'\t' { "tab".to_owned() } else { format!("'{}'", char::from(self.separator)) };
        format!("a header of {} columns, separator {separator}", self.columns.len())
    }
}

fn separator(header: &[u8]) -> u8 {
    let mut counts = [(0_usize, b','), (0, b';'), (0, b'\t'), (0, b'|')];
    let mut is_quoted = false;
    for byte in header {
        is_quoted ^= *byte == b'"';
        if let Some(count) = counts.iter_mut().find(|(_, separator)| separator == byte && !is_quoted) {
            count.0 += 1;
        }
    }
    // The first of the most frequent.
    counts.into_iter().rev().max_by_key(|(count, _)| *count).map_or(b',', |(_, separator)| separator)
}

/// The records of a text: lines, but not inside quotes, without their terminator.
pub(super) fn records(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut is_quoted = false;
        let end = text.iter().position(|byte| {
            is_quoted ^= *byte == b'"';
            *byte == b'\n' && !is_quoted
        });
        rest = end.and_then(|end| text.get(end + 1..));
        let record = text.get(..end.unwrap_or(text.len()))?;
        Some(record.strip_suffix(b"\r").unwrap_or(record))
    })
}

impl Csv {
    /// `zone_micros` is what a time without a zone means.
    pub(super) fn new(header: Header, zone_micros: i64) -> Self {
        Self {
            header: Arc::new(header),
            clock: Clock::new(zone_micros),
            ranks: [u8::MAX; Role::COUNT],
            holders: [0; Role::COUNT],
            others: Vec::new(),
        }
    }

    fn record<'a>(&mut self, line: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<Outcome<'a>, Reject> {
        let Self { header, clock, ranks, holders, others } = self;
        let mut row = Row::EMPTY;
        *ranks = [u8::MAX; Role::COUNT];
        others.clear();
        let properties = Properties::begin(others);
        let mut values = Values { line, at: 0, separator: header.separator };
        let mut time_at = 0;
        for (number, column) in header.columns.iter().enumerate() {
            let from = values.at;
            let value = values.next(scratch)?.ok_or(refuse(RejectReason::Malformed, from.min(line.len())))?;
            let text = value.peek(scratch);
            if text.is_empty() {
                continue;
            }
            let Some((role, rank)) = column.role.filter(|(role, _)| fits(*role, text)) else {
                properties.push(&column.key, text, others);
                continue;
            };
            let held = ranks[role as usize];
            if held < rank {
                properties.push(&column.key, text, others);
                continue;
            }
            if let Some(loser) = row.get(role)
                && let Some(column) = header.columns.get(holders[role as usize])
            {
                properties.push(&column.key, loser.peek(scratch), others);
            }
            (ranks[role as usize], holders[role as usize]) = (rank, number);
            if role == Role::Ts {
                time_at = from;
            }
            row.set(role, value);
        }
        if values.next(scratch)?.is_some() {
            return Err(refuse(RejectReason::Malformed, line.len()));
        }
        let ts = row.get(Role::Ts).and_then(|text| clock.text(text.peek(scratch)));
        let ts = ts.ok_or(refuse(RejectReason::Time, time_at))?;
        if let Some(given) = row.get(Role::Properties) {
            let given = given.peek(scratch).trim_ascii();
            let inside = given.get(1..given.len() - 1).unwrap_or_default();
            if !inside.trim_ascii().is_empty() {
                properties.push_members(inside, others);
            }
        }
        let properties = properties.end(others).map(|_| {
            let from = scratch.len();
            scratch.extend_from_slice(others);
            Span::Scratch(from, scratch.len())
        });
        let event = row.event(Records::Events, ts, properties, scratch);
        Ok(Outcome::Event(RawEvent { is_untyped: true, ..event }))
    }
}

impl LineParser for Csv {
    fn parse<'a>(&mut self, line: &'a [u8], scratch: &'a mut Vec<u8>) -> Outcome<'a> {
        scratch.clear();
        if line.trim_ascii().is_empty() {
            return Outcome::Drop("blank");
        }
        if line == self.header.text {
            return Outcome::Drop("header");
        }
        self.record(line, scratch).unwrap_or_else(Outcome::Reject)
    }

    fn fork(&self) -> Box<dyn LineParser> {
        Box::new(self.clone())
    }
}

/// The values of a record.
#[derive(Debug)]
struct Values<'a> {
    line: &'a [u8],
    /// The start of the next value; beyond the end when there is none.
    at: usize,
    separator: u8,
}

impl<'a> Values<'a> {
    #[inline]
    fn next(&mut self, scratch: &mut Vec<u8>) -> Result<Option<Span<'a>>, Reject> {
        let Some(rest) = self.line.get(self.at..) else { return Ok(None) };
        if rest.first() == Some(&b'"') {
            return self.quoted(rest, scratch).map(Some);
        }
        let len = scan::find(rest, self.separator).unwrap_or(rest.len());
        self.at += len + 1;
        Ok(Some(Span::Line(rest.get(..len).unwrap_or_default())))
    }

    /// The value in quotes at the start of `rest`, `""` undone; after it comes the separator or the end.
    fn quoted(&mut self, rest: &'a [u8], scratch: &mut Vec<u8>) -> Result<Span<'a>, Reject> {
        let from = scratch.len();
        let mut at = 1;
        loop {
            let text = rest.get(at..).unwrap_or_default();
            let len = memchr::memchr(b'"', text).ok_or(refuse(RejectReason::UnclosedQuote, self.at))?;
            let piece = text.get(..len).unwrap_or_default();
            match text.get(len + 1) {
                Some(b'"') => {
                    scratch.extend_from_slice(piece);
                    scratch.push(b'"');
                    at += len + 2;
                }
                Some(byte) if *byte != self.separator => {
                    return Err(refuse(RejectReason::Malformed, self.at + at + len + 1));
                }
                _ => {
                    self.at += at + len + 2;
                    if at == 1 {
                        return Ok(Span::Line(piece));
                    }
                    scratch.extend_from_slice(piece);
                    return Ok(Span::Scratch(from, scratch.len()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Fields;
    use crate::parse::json;
    use crate::time;

    fn csv(head: &str) -> Result<Csv, String> {
        let names = Names::new(Records::Events, json::EVENTS, &Fields::default());
        Header::new(head.as_bytes(), &names).map(|header| Csv::new(header, 0))
    }

    #[test]
    fn records_map_like_ndjson() {
        let mut csv = csv("user_id,session_id,event,Timestamp,platform\n").unwrap();
        let mut scratch = Vec::new();
        assert_eq!(
            csv.parse(b"u1,s1,home,2024-03-13 10:21:14,desktop", &mut scratch),
            Outcome::Event(RawEvent {
                ts: time::parse_iso(b"2024-03-13T10:21:14Z", 0).unwrap(),
                user_id: Some(b"u1"),
                session_id: Some(b"s1"),
                event: Some(b"home"),
                properties: Some(br#"{"platform":"desktop"}"#),
                is_untyped: true,
                ..RawEvent::default()
            })
        );
        let mut scratch = Vec::new();
        assert_eq!(csv.parse(b"user_id,session_id,event,Timestamp,platform", &mut scratch), Outcome::Drop("header"));
    }

    #[test]
    fn quotes_separators_and_ranks() {
        let mut csv = csv("\"User ID\";name;event;time;properties;note\r\n").unwrap();
        let line = b"u1;\"N \"\"x\"\"\";buy;1767607471;\"{\"\"a\"\":1}\";\"two\nlines;\"";
        let mut scratch = Vec::new();
        let Outcome::Event(event) = csv.parse(line, &mut scratch) else { panic!() };
        assert_eq!((event.user_id, event.event), (Some(&b"u1"[..]), Some(&b"buy"[..])));
        let properties: serde_json::Value = serde_json::from_slice(event.properties.unwrap()).unwrap();
        assert_eq!(properties, serde_json::json!({"name": "N \"x\"", "note": "two\nlines;", "a": 1}));
        let mut scratch = Vec::new();
        let Outcome::Event(event) = csv.parse(b"u1;N;;1767607471;{oops;", &mut scratch) else { panic!() };
        assert_eq!(event.event, Some(&b"N"[..]));
        assert_eq!(event.properties, Some(&br#"{"properties":"{oops"}"#[..]));
    }

    #[test]
    fn refused_records() {
        let mut parser = csv("ts,user_id,event").unwrap();
        for (line, reason, matched) in [
            ("1767607471,u1", RejectReason::Malformed, 13),
            ("1767607471,u1,e,x", RejectReason::Malformed, 17),
            ("1767607471,\"u1,e", RejectReason::UnclosedQuote, 11),
            ("1767607471,\"u\"1,e", RejectReason::Malformed, 14),
            ("soon,u1,e", RejectReason::Time, 0),
            (",u1,e", RejectReason::Time, 0),
        ] {
            let mut scratch = Vec::new();
            let expected = Reject { reason, matched };
            assert_eq!(parser.parse(line.as_bytes(), &mut scratch), Outcome::Reject(expected), "{line}");
        }
        assert!(csv("a,b\n1,2").unwrap_err().contains("names no time"));
        assert!(csv("").is_err());
    }

    #[test]
    fn records_are_not_cut_inside_quotes() {
        let text = b"a,b\r\n1,\"x\ny\"\r\n2,z";
        let found: Vec<&[u8]> = records(text).collect();
        assert_eq!(found, [&b"a,b"[..], b"1,\"x\ny\"", b"2,z"]);
    }
}
