//! Any line format as a regular expression with named groups: the user's own and the shipped ones.
//!
//! ```text
//! ts, timestamp, time                                the time; required
//! user_id  ip  session_id  anonymous_id  event  event_id  referrer  user_agent  method  status  bytes
//! page, target, path      the target                 query      what follows its `?`
//! request                 METHOD target [PROTOCOL]   any other  a property
//! ```
//!
//! A line that begins with `#` and does not match is a comment.
//!
//! Invariants: a group that did not take part, is empty or is `-` is absent; with `[parse] strict` a request line
//! that is no `METHOD target PROTOCOL` is refused.

use std::sync::Arc;

use regex::bytes::{CaptureLocations, Regex, RegexBuilder};

use super::clock::Clock;
use super::layout::Layout;
use super::ncsa;
use super::reach::Reach;
use super::row::{Properties, Records, Role, Row, json_key};
use super::span::Span;
use super::{LineParser, Outcome, refuse};
use crate::event::{RawEvent, Reject, RejectReason};

/// What a format needs besides its expression.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    /// strftime notation; `None`: ISO-8601, NCSA or epoch.
    pub(super) time: Option<String>,
    pub(super) zone_micros: i64,
    pub(super) strict: bool,
}

/// The parser of one expression.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    /// The same with bytes for characters, where it can be compiled so.
    byte_regex: Option<Regex>,
    locations: CaptureLocations,
    groups: Arc<Groups>,
    reach: Arc<Reach>,
    clock: Clock,
}

/// Which group means what.
#[derive(Debug)]
struct Groups {
    roles: Vec<(usize, Role)>,
    /// Group number and `"name":`.
    others: Vec<(usize, Vec<u8>)>,
    records: Records,
    layout: Option<Layout>,
    strict: bool,
}

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    /// The expression or the time layout is wrong, or there is no group for the time.
    pub(super) fn new(expression: &str, rules: &Rules) -> Result<Self, String> {
        let regex = Regex::new(expression).map_err(|error| format!("no regular expression: {error}"))?;
        let mut groups = Groups {
            roles: Vec::new(),
            others: Vec::new(),
            records: Records::Events,
            layout: rules.time.as_deref().map(|layout| Layout::new(layout, rules.zone_micros)).transpose()?,
            strict: rules.strict,
        };
        for (number, name) in regex.capture_names().enumerate().filter_map(|(number, name)| Some((number, name?))) {
            match role(name) {
                Some(role) => groups.roles.push((number, role)),
                None => groups.others.push((number, json_key(name.as_bytes()))),
            }
        }
        let has = |role: Role| groups.roles.iter().any(|(_, known)| *known == role);
        if !has(Role::Ts) {
            let names: Vec<&str> = regex.capture_names().flatten().collect();
            let found = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(format!("no group (?<ts>…) for the time – named groups found: {found}"));
        }
        if !has(Role::Event) && (has(Role::Request) || has(Role::Method) || has(Role::Status)) {
            groups.records = Records::Requests;
        }
        Ok(Self {
            locations: regex.capture_locations(),
            byte_regex: RegexBuilder::new(expression).unicode(false).build().ok(),
            regex,
            groups: Arc::new(groups),
            reach: Arc::new(Reach::new(expression)),
            clock: Clock::new(rules.zone_micros),
        })
    }

    /// Whether the expression matches. A line that is no UTF-8 is tried byte by byte, as `.` and `[^"]` skip none.
    fn matches(&mut self, line: &[u8]) -> bool {
        if self.regex.captures_read(&mut self.locations, line).is_some() {
            return true;
        }
        self.byte_regex.as_ref().is_some_and(|regex| {
            simdutf8::basic::from_utf8(line).is_err() && regex.captures_read(&mut self.locations, line).is_some()
        })
    }

    fn fields<'a>(&mut self, line: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<Outcome<'a>, Reject> {
        if !self.matches(line) {
            return Err(refuse(RejectReason::Malformed, self.reach.furthest(line)));
        }
        let text = |number: usize| {
            let (from, to) = self.locations.get(number)?;
            line.get(from..to).filter(|text| !matches!(*text, b"" | b"-")).map(|text| (from, text))
        };
        let mut row = Row::EMPTY;
        let mut time = (0, &b""[..]);
        for (number, role) in &self.groups.roles {
            let Some((from, text)) = text(*number) else { continue };
            if *role == Role::Ts {
                time = (from, text);
            } else if *role == Role::Request && self.groups.strict && !ncsa::is_exact_request(text) {
                return Err(refuse(RejectReason::Request, from));
            }
            row.set(*role, Span::Line(text));
        }
        let ts = match &self.groups.layout {
            Some(layout) => layout.read(time.1),
            None => self.clock.text(time.1),
        };
        let ts = ts.ok_or(refuse(RejectReason::Time, time.0))?;
        row.join_query(scratch);
        let properties = Properties::begin(scratch);
        for (number, key) in &self.groups.others {
            if let Some((_, text)) = text(*number) {
                properties.push(key, text, scratch);
            }
        }
        let properties = properties.end(scratch);
        let event = row.event(self.groups.records, ts, properties, scratch);
        Ok(Outcome::Event(RawEvent { is_untyped: true, ..event }))
    }
}

impl LineParser for Pattern {
    fn parse<'a>(&mut self, line: &'a [u8], scratch: &'a mut Vec<u8>) -> Outcome<'a> {
        scratch.clear();
        if line.trim_ascii().is_empty() {
            return Outcome::Drop("blank");
        }
        if line.starts_with(b"#") && !self.matches(line) {
            return Outcome::Drop("comment");
        }
        self.fields(line, scratch).unwrap_or_else(Outcome::Reject)
    }

    fn fork(&self) -> Box<dyn LineParser> {
        Box::new(Self {
            regex: self.regex.clone(),
            byte_regex: self.byte_regex.clone(),
            locations: self.regex.capture_locations(),
            groups: Arc::clone(&self.groups),
            reach: Arc::clone(&self.reach),
            clock: self.clock.clone(),
        })
    }
}

fn role(group: &str) -> Option<Role> {
    Some(match group {
        "ts" | "timestamp" | "time" => Role::Ts,
        "user_id" => Role::UserId,
        "anonymous_id" => Role::AnonymousId,
        "session_id" => Role::SessionId,
        "event_id" => Role::EventId,
        "event" => Role::Event,
        "page" | "target" | "path" => Role::Target,
        "query" => Role::Query,
        "method" => Role::Method,
        "status" => Role::Status,
        "bytes" => Role::Bytes,
        "referrer" => Role::Referrer,
        "user_agent" => Role::UserAgent,
        "ip" => Role::Ip,
        "request" => Role::Request,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time;

    fn pattern(expression: &str, time: Option<&str>, strict: bool) -> Result<Pattern, String> {
        Pattern::new(expression, &Rules { time: time.map(str::to_owned), zone_micros: 0, strict })
    }

    #[test]
    fn groups_become_fields_and_the_rest_properties() {
        let mut pattern =
            pattern(r"^(?<ts>\S+) (?<user_id>\S+) (?<event>\w+)(?: (?<page>/\S*))?(?: (?<plan>.+))?$", None, false)
                .unwrap();
        let mut scratch = Vec::new();
        let line = b"2026-01-05T10:04:31Z u1 view /a pro \"x\"";
        assert_eq!(
            pattern.parse(line, &mut scratch),
            Outcome::Event(RawEvent {
                ts: time::parse_iso(b"2026-01-05T10:04:31Z", 0).unwrap(),
                user_id: Some(b"u1"),
                event: Some(b"view"),
                target: Some(b"/a"),
                properties: Some(br#"{"plan":"pro \"x\""}"#),
                is_untyped: true,
                ..RawEvent::default()
            })
        );
        let mut scratch = Vec::new();
        let Outcome::Event(event) = pattern.parse(b"1767607471 - login", &mut scratch) else { panic!() };
        assert_eq!((event.user_id, event.event, event.properties), (None, Some(&b"login"[..]), None));
    }

    #[test]
    fn requests_and_layouts() {
        let expression = r#"^(?<ip>\S+) \[(?<ts>[^]]+)\] "(?<request>[^"]*)" (?<status>\d+)$"#;
        let mut lax = pattern(expression, Some("%F %T"), false).unwrap();
        let mut scratch = Vec::new();
        let line = br#"192.0.2.7 [2026-01-05 10:04:31] "GET /a?b HTTP/1.1" 200"#;
        let Outcome::Event(event) = lax.parse(line, &mut scratch) else { panic!() };
        assert_eq!((event.method, event.target, event.status), (Some(&b"GET"[..]), Some(&b"/a?b"[..]), Some(200)));
        let odd = br#"192.0.2.7 [2026-01-05 10:04:31] "-" 408"#;
        let mut scratch = Vec::new();
        let Outcome::Event(event) = lax.parse(odd, &mut scratch) else { panic!() };
        assert!(event.is_nameless());
        let mut strict = pattern(expression, Some("%F %T"), true).unwrap();
        let mut scratch = Vec::new();
        let cut = br#"192.0.2.7 [2026-01-05 10:04:31] "GET /a" 200"#;
        let expected = Reject { reason: RejectReason::Request, matched: 33 };
        assert_eq!(strict.parse(cut, &mut scratch), Outcome::Reject(expected));
        let mut scratch = Vec::new();
        let late = br#"192.0.2.7 [2026-13-05 10:04:31] "GET /a" 200"#;
        let expected = Reject { reason: RejectReason::Time, matched: 11 };
        assert_eq!(lax.parse(late, &mut scratch), Outcome::Reject(expected));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(pattern("(?<ts>", None, false).unwrap_err().contains("no regular expression"));
        assert!(pattern("(?<user_id>x)", None, false).unwrap_err().contains("named groups found: user_id"));
        assert!(pattern("(?<ts>x)", Some("%T"), false).unwrap_err().contains("needs year"));
    }
}
