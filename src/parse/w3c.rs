//! W3C extended logs (IIS, CloudFront with its header): the log says itself which fields it has.
//!
//! ```text
//! #Date: 2000-10-09 16:44:49                    the day of rows that have a time only
//! #Fields: time c-ip cs-method cs-uri-stem      may change at any line
//! 16:44:49 192.0.2.7 GET /a                     blanks or tabs between, "…" around values with blanks, - for absent
//! ```
//!
//! Rules: `date` and `time` are UTC, `date-local` and `time-local` in the configured zone; where rows have no date, a
//! clock that steps back by more than twelve hours begins the next day; what no field of ours takes is a property.
//!
//! Invariants: reading is ordered; [`LineParser::state`] holds directives and day, so that it may go on anywhere.

use super::clock::{fraction_micros, number};
use super::row::{Properties, Records, Role, Row, json_key};
use super::span::Span;
use super::{LineParser, Outcome, refuse};
use crate::event::{Reject, RejectReason};
use crate::time::{DAY, Day, SECOND};

/// A clock that steps back by more than this has passed midnight.
const MIDNIGHT_STEP: i64 = DAY / 2;

/// What a column of the log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Column {
    Field(Role),
    Stamp(Part),
    /// `"name":` of a property.
    Other(Vec<u8>),
}

/// The parser.
#[derive(Debug, Clone)]
pub(super) struct W3c {
    zone_micros: i64,
    /// The text of the last `#Fields`.
    fields: Vec<u8>,
    columns: Vec<Column>,
    /// The day of rows without a date, and the clock of the last such row.
    day: Option<Day>,
    last_clock: i64,
    /// The properties of the row being read.
    others: Vec<u8>,
}

impl W3c {
    /// `zone_micros` is the zone of `date-local` and `time-local`.
    pub(super) fn new(zone_micros: i64) -> Self {
        Self { zone_micros, fields: Vec::new(), columns: Vec::new(), day: None, last_clock: 0, others: Vec::new() }
    }

    fn directive(&mut self, text: &[u8]) {
        let end = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
        let (name, value) = text.split_at(end);
        let value = value.strip_prefix(b":").unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"Fields") {
            self.set_fields(value);
        } else if name.eq_ignore_ascii_case(b"Date") || name.eq_ignore_ascii_case(b"Start-Date") {
            let day = value.get(..10).and_then(|day| Day::parse(std::str::from_utf8(day).ok()?));
            if day.is_some() {
                (self.day, self.last_clock) = (day, 0);
            }
        }
    }

    fn set_fields(&mut self, text: &[u8]) {
        text.clone_into(&mut self.fields);
        self.columns.clear();
        for name in text.split(u8::is_ascii_whitespace).filter(|name| !name.is_empty()) {
            let column = column(name);
            // Of `cs-uri-stem` and `cs-uri` the first is the target.
            let is_taken = matches!(column, Column::Field(_)) && self.columns.contains(&column);
            self.columns.push(if is_taken { Column::Other(json_key(&name.to_ascii_lowercase())) } else { column });
        }
    }

    fn row<'a>(&mut self, line: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<Outcome<'a>, Reject> {
        let mut row = Row::EMPTY;
        let mut stamp = Stamp::default();
        let mut values = Values::new(line);
        self.others.clear();
        let properties = Properties::begin(&self.others);
        for column in &self.columns {
            let from = values.at;
            let value = values.next(scratch)?.ok_or(refuse(RejectReason::Malformed, from))?;
            let text = value.peek(scratch);
            match column {
                Column::Field(role) => row.set(*role, value),
                Column::Other(key) if !matches!(text, b"" | b"-") => properties.push(key, text, &mut self.others),
                Column::Other(_) => {}
                Column::Stamp(part) => {
                    stamp.take(*part, text).ok_or(refuse(RejectReason::Time, from))?;
                }
            }
        }
        let end = values.at;
        if self.columns.is_empty() || values.next(scratch)?.is_some() {
            return Err(refuse(RejectReason::Malformed, end));
        }
        let ts = self.time(stamp).ok_or(refuse(RejectReason::Time, 0))?;
        row.join_query(scratch);
        let properties = properties.end(&mut self.others).map(|_| {
            let from = scratch.len();
            scratch.extend_from_slice(&self.others);
            Span::Scratch(from, scratch.len())
        });
        Ok(Outcome::Event(row.event(Records::Requests, ts, properties, scratch)))
    }

    fn time(&mut self, stamp: Stamp) -> Option<i64> {
        let Some(clock) = stamp.clock else {
            return Some(stamp.local_day?.start() + stamp.local_clock? - self.zone_micros);
        };
        if let Some(day) = stamp.day {
            return Some(day.start() + clock);
        }
        let day = self.day?;
        let day = if clock < self.last_clock - MIDNIGHT_STEP { Day(day.0 + 1) } else { day };
        (self.day, self.last_clock) = (Some(day), clock);
        Some(day.start() + clock)
    }
}

impl LineParser for W3c {
    fn parse<'a>(&mut self, line: &'a [u8], scratch: &'a mut Vec<u8>) -> Outcome<'a> {
        scratch.clear();
        let text = line.trim_ascii_start();
        match text {
            [] => Outcome::Drop("blank"),
            [b'#', directive @ ..] => {
                self.directive(directive);
                Outcome::Drop("header")
            }
            [b'/', b'/', ..] => Outcome::Drop("comment"),
            _ => self.row(line, scratch).unwrap_or_else(Outcome::Reject),
        }
    }

    fn fork(&self) -> Box<dyn LineParser> {
        Box::new(self.clone())
    }

    fn is_ordered(&self) -> bool {
        true
    }

    fn state(&self) -> Vec<u8> {
        let day = self.day.map(|day| day.to_string()).unwrap_or_default();
        let mut state = format!("{day}\n{}\n", self.last_clock).into_bytes();
        state.extend_from_slice(&self.fields);
        state
    }

    fn restore(&mut self, state: &[u8]) {
        let mut parts = state.splitn(3, |byte| *byte == b'\n');
        let mut text = || parts.next().and_then(|part| std::str::from_utf8(part).ok());
        if let (Some(day), Some(clock), Some(fields)) = (text(), text(), text()) {
            self.day = Day::parse(day);
            self.last_clock = clock.parse().unwrap_or_default();
            self.set_fields(fields.as_bytes());
        }
    }
}

fn column(name: &[u8]) -> Column {
    let name = name.to_ascii_lowercase();
    Column::Field(match name.as_slice() {
        b"date" => return Column::Stamp(Part::Day),
        b"time" => return Column::Stamp(Part::Clock),
        b"date-local" => return Column::Stamp(Part::LocalDay),
        b"time-local" => return Column::Stamp(Part::LocalClock),
        b"c-ip" => Role::Ip,
        b"cs-username" => Role::UserId,
        b"cs-method" => Role::Method,
        b"cs-uri-stem" | b"cs-uri" => Role::Target,
        b"cs-uri-query" => Role::Query,
        b"sc-status" => Role::Status,
        b"sc-bytes" | b"bytes" => Role::Bytes,
        b"cs(user-agent)" => Role::UserAgent,
        b"cs(referer)" | b"cs(referrer)" => Role::Referrer,
        _ => return Column::Other(json_key(&name)),
    })
}

/// A part of a row's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Day,
    Clock,
    LocalDay,
    LocalClock,
}

/// What a row says about its time.
#[derive(Debug, Default, Clone, Copy)]
struct Stamp {
    day: Option<Day>,
    clock: Option<i64>,
    local_day: Option<Day>,
    local_clock: Option<i64>,
}

impl Stamp {
    fn take(&mut self, part: Part, text: &[u8]) -> Option<()> {
        let day = || Day::parse(std::str::from_utf8(text).ok()?);
        match part {
            Part::Day => self.day = Some(day()?),
            Part::LocalDay => self.local_day = Some(day()?),
            Part::Clock => self.clock = Some(clock(text)?),
            Part::LocalClock => self.local_clock = Some(clock(text)?),
        }
        Some(())
    }
}

/// `17:00:00.363` or `17:00` in microseconds since midnight.
fn clock(text: &[u8]) -> Option<i64> {
    let mut parts = text.splitn(3, |byte| *byte == b':');
    let (hour, minute, rest) = (number(parts.next()?)?, number(parts.next()?)?, parts.next().unwrap_or(b"0"));
    let point = rest.iter().position(|byte| *byte == b'.').unwrap_or(rest.len());
    let (second, fraction) = rest.split_at(point);
    let micros = fraction.get(1..).map_or(Some(0), fraction_micros)?;
    let second = number(second)?;
    (hour < 24 && minute < 60 && second <= 60).then(|| i64::from(hour * 3_600 + minute * 60 + second) * SECOND + micros)
}

/// The values of a row: between tabs where it has any, else between blanks, quotes respected.
#[derive(Debug)]
struct Values<'a> {
    line: &'a [u8],
    at: usize,
    is_tabbed: bool,
}

impl<'a> Values<'a> {
    fn new(line: &'a [u8]) -> Self {
        let is_tabbed = memchr::memchr(b'\t', line).is_some();
        let mut values = Self { line, at: 0, is_tabbed };
        values.skip_blanks();
        values
    }

    fn skip_blanks(&mut self) {
        while !self.is_tabbed && self.line.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
    }

    fn next(&mut self, scratch: &mut Vec<u8>) -> Result<Option<Span<'a>>, Reject> {
        let Some(rest) = self.line.get(self.at..).filter(|rest| !rest.is_empty() || self.ends_open()) else {
            return Ok(None);
        };
        let (value, len) = if rest.first() == Some(&b'"') && !self.is_tabbed {
            quoted(rest, scratch).ok_or(refuse(RejectReason::UnclosedQuote, self.at))?
        } else {
            let separator = if self.is_tabbed { b'\t' } else { b' ' };
            let len = memchr::memchr(separator, rest).unwrap_or(rest.len());
            (Span::Line(rest.get(..len).unwrap_or_default()), len)
        };
        self.at += len + 1;
        self.skip_blanks();
        Ok(Some(value))
    }

    /// A tab at the very end: one more, empty value.
    fn ends_open(&self) -> bool {
        self.is_tabbed && self.at == self.line.len() && self.line.last() == Some(&b'\t')
    }
}

/// The value in quotes at the start of `text`, `""` undone, and its length with the quotes.
fn quoted<'a>(text: &'a [u8], scratch: &mut Vec<u8>) -> Option<(Span<'a>, usize)> {
    let from = scratch.len();
    let mut at = 1;
    loop {
        let rest = text.get(at..)?;
        let len = memchr::memchr(b'"', rest)?;
        if rest.get(len + 1) != Some(&b'"') {
            if scratch.len() == from {
                return Some((Span::Line(text.get(1..at + len)?), at + len + 1));
            }
            scratch.extend_from_slice(rest.get(..len)?);
            return Some((Span::Scratch(from, scratch.len()), at + len + 1));
        }
        scratch.extend_from_slice(rest.get(..=len)?);
        at += len + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::RawEvent;
    use crate::time;

    fn read(parser: &mut W3c, lines: &[&str]) -> Vec<String> {
        lines
            .iter()
            .map(|line| {
                let mut scratch = Vec::new();
                match parser.parse(line.as_bytes(), &mut scratch) {
                    Outcome::Event(RawEvent { ts, ip, method, target, status, properties, .. }) => {
                        let text = |text: Option<&[u8]>| String::from_utf8_lossy(text.unwrap_or(b"-")).into_owned();
                        let (ip, method, target) = (text(ip), text(method), text(target));
                        format!("{} {ip} {method} {target} {status:?} {}", time::iso(ts), text(properties))
                    }
                    Outcome::Reject(reject) => format!("{} {}", reject.reason.name(), reject.matched),
                    Outcome::Drop(rule) => rule.to_owned(),
                }
            })
            .collect()
    }

    #[test]
    fn fields_change_and_days_pass() {
        let mut parser = W3c::new(0);
        let seen = read(
            &mut parser,
            &[
                "192.0.2.7 GET /a",
                "#Fields: time c-ip cs-method cs-uri-stem sc-status",
                "23:59:00 192.0.2.7 GET /a 200",
                "#Date: 2000-10-09 16:44:49  // when it began",
                "23:59:00 192.0.2.7 GET /a 200",
                "00:01:00 192.0.2.7 GET /b 200",
                "#Fields: date time cs-uri-stem cs-uri-query cs(Host)",
                "2026-01-05 10:04:31.5 /q a=1 www.example.com",
                "2026-01-05 10:04:31 /q - -",
                "2026-01-05 10:04:31 /q -",
                "2026-01-05 10:04:31 /q - - -",
                "2026-01-05 25:04:31 /q - -",
                "// a remark",
                "",
            ],
        );
        assert_eq!(
            seen,
            [
                "malformed 0",
                "header",
                "time 0",
                "header",
                "2000-10-09T23:59:00Z 192.0.2.7 GET /a Some(200) -",
                "2000-10-10T00:01:00Z 192.0.2.7 GET /b Some(200) -",
                "header",
                "2026-01-05T10:04:31.500000Z - - /q?a=1 None {\"cs(host)\":\"www.example.com\"}",
                "2026-01-05T10:04:31Z - - /q None -",
                "malformed 25",
                "malformed 27",
                "time 11",
                "comment",
                "blank",
            ]
        );
        let mut resumed = W3c::new(0);
        resumed.restore(&parser.state());
        assert_eq!(resumed.state(), parser.state());
        assert_eq!(read(&mut resumed, &["2026-01-05 10:04:31 /q - -"]), ["2026-01-05T10:04:31Z - - /q None -"]);
    }

    #[test]
    fn quoted_values_and_tabs() {
        let mut parser = W3c::new(time::HOUR);
        let seen = read(
            &mut parser,
            &[
                "#Fields:   date-local time-local   c-ip cs-uri-stem sc-substatus",
                r#"2012-08-15 17:00:00.675 "173.5.0.0" /hello "" ""garbage"" w/ spaces """#,
                r#"2012-08-15 17:00:00 "173.5.0.0" /hello " ""garbage"" w/ spaces ""#,
                r#"2012-08-15 17:00:00 "173.5.0.0 /hello -"#,
                "#Fields: date time c-ip cs-uri-stem x-note",
                "2026-01-05\t10:04:31\t192.0.2.7\t/a b\t",
            ],
        );
        assert_eq!(seen[1], "malformed 46");
        assert_eq!(
            seen[2],
            "2012-08-15T16:00:00Z 173.5.0.0 - /hello None {\"sc-substatus\":\" \\\"garbage\\\" w/ spaces \"}"
        );
        assert_eq!(seen[3], "unclosed_quote 20");
        assert_eq!(seen[5], "2026-01-05T10:04:31Z 192.0.2.7 - /a b None -");
    }
}
