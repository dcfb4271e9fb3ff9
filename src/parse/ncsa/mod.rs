//! NCSA access logs: `common`, `combined` and `vhost_combined`, scanned byte by byte.
//!
//! ```text
//! host ident user [time] "request" status bytes                                       common
//! host ident user [time] "request" status bytes "referrer" "user agent" …             combined
//! vhost:port host ident user [time] "request" status bytes "referrer" "user agent" …  vhost_combined
//!      prefix.rs         ╰ clock.rs  ╰ request.rs             ╰ quoted.rs        ╰ extra fields: "sid=…"
//! ```
//!
//! Lax (the default): `\"` and `\\` inside quotes are escapes, user names may hold blanks, the host may be a list of
//! forwarded addresses, extra fields may follow, and a request that is no `METHOD target [PROTOCOL]` makes an event
//! without target. `common` takes lines with or without the two last fields, so that it reads mixed files.
//!
//! Strict (`[parse] strict`): exactly three blank-free fields, no escapes, the request exactly
//! `METHOD target PROTOCOL`, nothing after the user agent but `"sid=…"`.

mod prefix;
mod quoted;
mod request;

use prefix::Prefix;
use quoted::Quoted;
use request::Request;

use super::clock::Clock;
use super::span::Span;
use super::{LineParser, Outcome, refuse};
use crate::event::{RawEvent, Reject, RejectReason};

/// Which fields a line has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Common,
    Combined,
    VhostCombined,
}

/// The parser of all three formats.
#[derive(Debug, Clone)]
pub(super) struct Ncsa {
    shape: Shape,
    strict: bool,
    clock: Clock,
}

impl Ncsa {
    pub(super) fn new(shape: Shape, strict: bool) -> Self {
        Self { shape, strict, clock: Clock::new(0) }
    }
}

/// A line taken apart, escapes still in it.
#[derive(Debug)]
struct Line<'a> {
    prefix: Prefix<'a>,
    ts: i64,
    request: Request<'a>,
    status: Option<i16>,
    bytes: Option<i64>,
    referrer: Quoted<'a>,
    user_agent: Quoted<'a>,
    session: Option<&'a [u8]>,
}

impl LineParser for Ncsa {
    #[inline]
    fn parse<'a>(&mut self, line: &'a [u8], scratch: &'a mut Vec<u8>) -> Outcome<'a> {
        scratch.clear();
        let scanned = if self.strict { self.strict_line(line) } else { self.lax_line(line) };
        match scanned {
            Ok(found) => Outcome::Event(found.event(scratch)),
            Err(_) if line.trim_ascii().is_empty() => Outcome::Drop("blank"),
            Err(reject) => Outcome::Reject(reject),
        }
    }

    fn fork(&self) -> Box<dyn LineParser> {
        Box::new(self.clone())
    }
}

impl<'a> Line<'a> {
    fn event(self, scratch: &'a mut Vec<u8>) -> RawEvent<'a> {
        let target = self.request.target.map(|target| target.unescape(scratch));
        let referrer = self.referrer.unescape(scratch);
        let user_agent = self.user_agent.unescape(scratch);
        let properties = self.prefix.vhost.map(|vhost| prefix::vhost_properties(vhost, scratch));
        let scratch: &'a [u8] = scratch;
        let text = |span: Span<'a>| present(span.read(scratch));
        RawEvent {
            ts: self.ts,
            user_id: present(self.prefix.user),
            session_id: self.session.and_then(present),
            target: target.map(|span| span.read(scratch)),
            method: self.request.method,
            status: self.status,
            bytes: self.bytes,
            referrer: text(referrer),
            user_agent: text(user_agent),
            ip: present(self.prefix.host),
            properties: properties.map(|span| span.read(scratch)),
            ..RawEvent::default()
        }
    }
}

/// Method and target of a request line, both absent where it is no `METHOD target [PROTOCOL]`.
pub(super) fn request_line(text: &[u8]) -> (Option<&[u8]>, Option<&[u8]>) {
    let request = Request::lax(Quoted { text, is_escaped: false });
    (request.method, request.target.map(|target| target.text))
}

/// Whether a request line is exactly `METHOD target PROTOCOL`.
pub(super) fn is_exact_request(text: &[u8]) -> bool {
    Request::lax(Quoted { text, is_escaped: false }).is_exact()
}

/// `-`, `""` and nothing at all are how access logs write an absent value.
#[inline]
fn present(text: &[u8]) -> Option<&[u8]> {
    if matches!(text, b"" | b"-" | b"\"\"") { None } else { Some(text) }
}

impl Ncsa {
    fn lax_line<'a>(&mut self, line: &'a [u8]) -> Result<Line<'a>, Reject> {
        let (prefix, ts, at) = self.prefix_and_time(line)?;
        let (request, at) = quoted::lax(line, at)?;
        let (status, bytes, at) = status_and_bytes(line, at)?;
        let rest = line.get(at..).unwrap_or_default();
        let mut found = Line {
            prefix,
            ts,
            request: Request::lax(request),
            status,
            bytes,
            referrer: Quoted::default(),
            user_agent: Quoted::default(),
            session: None,
        };
        if self.shape == Shape::Common && !rest.starts_with(b" \"") {
            return if rest.iter().all(|byte| prefix::is_blank(*byte)) { Ok(found) } else { Err(malformed(at)) };
        }
        let at = quoted::open(line, at)?;
        let (referrer, at) = quoted::lax(line, at)?;
        let at = quoted::open(line, at)?;
        let (user_agent, at) = quoted::lax(line, at)?;
        (found.referrer, found.user_agent) = (referrer, user_agent);
        found.session = quoted::session_id(line.get(at..).unwrap_or_default());
        Ok(found)
    }

    /// Host, ident, user, time and `] "`; the offset is that of the request's first byte.
    #[inline]
    fn prefix_and_time<'a>(&mut self, line: &'a [u8]) -> Result<(Prefix<'a>, i64, usize), Reject> {
        if self.shape != Shape::VhostCombined
            && let Some((prefix, at)) = Prefix::three_fields(line)
            && let Some(found) = self.time(line, at)
        {
            return Ok((prefix, found.0, found.1));
        }
        let mut reject = malformed(prefix::fields_end(line));
        for bracket in prefix::brackets(line) {
            let Some((ts, at)) = self.time(line, bracket + 1) else {
                reject = refuse(RejectReason::Time, bracket + 1);
                continue;
            };
            let fields = line.get(..bracket - 1).unwrap_or_default();
            let vhost = self.shape == Shape::VhostCombined;
            let prefix = if vhost { Prefix::with_vhost(fields) } else { Prefix::loose(fields) };
            return prefix.map(|prefix| (prefix, ts, at)).ok_or(malformed(0));
        }
        Err(reject)
    }

    /// Time and `] "` from `at`; the offset is that of the request's first byte.
    #[inline]
    fn time(&mut self, line: &[u8], at: usize) -> Option<(i64, usize)> {
        let text = line.get(at..)?;
        if let Some(ts) = self.clock.ncsa_prefix(text)
            && text.get(26..)?.starts_with(b"] \"")
        {
            return Some((ts, at + 29));
        }
        let end = memchr::memchr(b']', text)?;
        let ts = self.clock.ncsa(text.get(..end)?)?;
        text.get(end..)?.starts_with(b"] \"").then_some((ts, at + end + 3))
    }

    fn strict_line<'a>(&mut self, line: &'a [u8]) -> Result<Line<'a>, Reject> {
        self.strict_fields(line).map_err(|at| match self.lax_line(line) {
            Err(reject) => reject,
            Ok(found) if !found.request.is_exact() => refuse(RejectReason::Request, at),
            Ok(_) => malformed(at),
        })
    }

    /// The strict line; an error is the offset of the field that does not fit.
    fn strict_fields<'a>(&mut self, line: &'a [u8]) -> Result<Line<'a>, usize> {
        let (prefix, at) = match self.shape {
            Shape::VhostCombined => Prefix::four_fields(line),
            Shape::Common | Shape::Combined => Prefix::three_fields(line),
        }
        .ok_or(0_usize)?;
        let text = line.get(at..).unwrap_or_default();
        let ts = self.clock.ncsa_prefix(text).ok_or(at)?;
        if !text.get(26..).is_some_and(|text| text.starts_with(b"] \"")) {
            return Err(at);
        }
        let (request, at) = Request::strict(line, at + 29)?;
        let (status, bytes, at) = status_and_bytes(line, at).map_err(|_| at)?;
        if status.is_none() {
            return Err(at);
        }
        let mut found = Line {
            prefix,
            ts,
            request,
            status,
            bytes,
            referrer: Quoted::default(),
            user_agent: Quoted::default(),
            session: None,
        };
        if self.shape == Shape::Common {
            return if at == line.len() { Ok(found) } else { Err(at) };
        }
        let at = quoted::open(line, at).map_err(|_| at)?;
        let (referrer, at) = quoted::strict(line, at)?;
        let at = quoted::open(line, at).map_err(|_| at)?;
        let (user_agent, at) = quoted::strict(line, at)?;
        (found.referrer, found.user_agent) = (referrer, user_agent);
        match line.get(at..).unwrap_or_default() {
            [] => {}
            [b' ', b'"', b's', b'i', b'd', b'=', id @ .., b'"'] if memchr::memchr(b'"', id).is_none() => {
                found.session = Some(id);
            }
            _ => return Err(at),
        }
        Ok(found)
    }
}

fn malformed(at: usize) -> Reject {
    refuse(RejectReason::Malformed, at)
}

/// ` 200 5120` from `at`; either may be `-`. A size beyond 18 digits is unknown rather than wrong.
#[inline]
fn status_and_bytes(line: &[u8], at: usize) -> Result<(Option<i16>, Option<i64>, usize), Reject> {
    let (status, at) = match line.get(at..).unwrap_or_default() {
        [b' ', a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ', ..] => {
            (Some(i16::from(a - b'0') * 100 + i16::from(b - b'0') * 10 + i16::from(c - b'0')), at + 5)
        }
        [b' ', b'-', b' ', ..] => (None, at + 3),
        _ => return Err(malformed(at)),
    };
    let rest = line.get(at..).unwrap_or_default();
    let mut bytes = 0_i64;
    let mut len = 0;
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        bytes = bytes.wrapping_mul(10).wrapping_add(i64::from(digit));
        len += 1;
    }
    match len {
        0 if rest.first() == Some(&b'-') => Ok((status, None, at + 1)),
        0 => Err(malformed(at)),
        1..=18 => Ok((status, Some(bytes), at + len)),
        _ => Ok((status, None, at + len)),
    }
}

#[cfg(test)]
mod tests;
