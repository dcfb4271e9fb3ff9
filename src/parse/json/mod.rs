//! NDJSON events and JSON access logs: one object a line, read by one scanner over a table of field names.
//!
//! ```text
//! {"ts":"2026-01-05T10:04:31Z","user_id":42,"event":"login","plan":"pro"}
//!   │                          │            │               ╰ no field of ours: extras.rs ─► properties
//!   ╰ names.rs: the name's role and rank    ╰ value.rs: the value's extent, numbers and booleans as their text
//! ```
//!
//! Rules: `null` is absent; of equal keys the last counts; of several names for one field the best-ranked counts and
//! the others stay properties; a value that does not fit its field (an object as page, a text as status) stays a
//! property; an object from which a field was taken stays whole; values in properties are slices of the line, never
//! written anew.
//!
//! The scanner expects each line's keys in the order of the line before ([`Json::shape`]), which saves the look-up.

mod extras;
pub mod message;
mod names;
mod strings;
mod value;

pub(super) use names::{EVENTS, Names, Usual};
pub(super) use value::is_object;

use std::sync::Arc;

use extras::Extras;
use names::Node;
use value::{Kind, Value};

use super::clock::{self, Clock};
use super::row::{self, Records, Role, Row};
use super::{LineParser, Outcome, refuse};
use crate::event::{RawEvent, Reject, RejectReason};

/// Keys of a line that are remembered for the next one.
const SHAPE_KEYS: usize = 64;
/// Objects inside objects that field names may reach into.
const NAME_DEPTH: usize = 8;

/// The parser of every JSON format; they differ in their table of names.
#[derive(Debug, Clone)]
pub(super) struct Json {
    names: Arc<Names>,
    clock: Clock,
    /// What stood before each value of the line before, by position.
    shape: Vec<Lead>,
    /// How many leading entries of `shape` are of one and the same line.
    known: usize,
    /// The keys of that line may repeat.
    may_repeat: bool,
    /// The rank of the best value for each role, [`NOTHING`] where there is none.
    ranks: [u8; Role::COUNT],
    /// That value; stale where there is none.
    found: [Found; Role::COUNT],
    extras: Extras,
}

/// `"key":` with all that stands before the value.
#[derive(Debug, Clone)]
struct Lead {
    text: Vec<u8>,
    /// Length of the key with its quotes.
    key_len: usize,
    node: Node,
}

/// The rank of no value.
const NOTHING: u8 = u8::MAX;

/// A value for a role.
#[derive(Debug, Clone, Copy)]
struct Found {
    value: Value,
    /// Offsets of the raw key at the top of the line; empty inside an object, which stays a property anyway.
    key: (usize, usize),
}

impl Found {
    const NONE: Self = Self { value: Value { kind: Kind::Null, from: 0, to: 0 }, key: (0, 0) };
}

impl LineParser for Json {
    fn parse<'a>(&mut self, line: &'a [u8], scratch: &'a mut Vec<u8>) -> Outcome<'a> {
        scratch.clear();
        let start = value::skip_blank(line, 0);
        if start == line.len() {
            return Outcome::Drop("blank");
        }
        self.ranks = [NOTHING; Role::COUNT];
        self.extras.clear();
        match self.object(line, start).and_then(|()| self.event(line, scratch)) {
            Ok(event) => Outcome::Event(event),
            Err(reject) => Outcome::Reject(reject),
        }
    }

    fn fork(&self) -> Box<dyn LineParser> {
        Box::new(self.clone())
    }
}

impl Json {
    /// `zone_micros` is what a time without a zone means.
    pub(super) fn new(names: Arc<Names>, zone_micros: i64) -> Self {
        Self {
            names,
            clock: Clock::new(zone_micros),
            shape: Vec::new(),
            known: 0,
            may_repeat: false,
            ranks: [NOTHING; Role::COUNT],
            found: [Found::NONE; Role::COUNT],
            extras: Extras::default(),
        }
    }

    /// The object that is the line.
    fn object(&mut self, line: &[u8], start: usize) -> Result<(), Reject> {
        if line.get(start) != Some(&b'{') {
            return Err(refuse(message::refused(line).unwrap_or(RejectReason::Json), start));
        }
        let mut at = value::skip_blank(line, start + 1);
        if line.get(at) == Some(&b'}') {
            return end_of_line(line, at + 1);
        }
        for position in 0.. {
            let (key_len, lead_len, node) = self.lead(line, at, position).map_err(json_error)?;
            let key = (at, at + key_len);
            at += lead_len;
            let found = self.top_value(line, at, key, node).map_err(json_error)?;
            at = value::skip_blank(line, found);
            match line.get(at) {
                Some(b',') => at = value::skip_blank(line, at + 1),
                Some(b'}') => break,
                _ => return Err(refuse(RejectReason::Json, at)),
            }
        }
        end_of_line(line, at + 1)
    }

    /// The lengths of the key at `at` and of all that stands before its value, and what the key stands for.
    #[inline]
    fn lead(&mut self, line: &[u8], at: usize, position: usize) -> Result<(usize, usize, Node), usize> {
        if position < self.known
            && let Some(lead) = self.shape.get(position)
            && line.get(at..).is_some_and(|rest| rest.starts_with(&lead.text))
        {
            return Ok((lead.key_len, lead.text.len(), lead.node));
        }
        self.new_lead(line, at, position)
    }

    /// A lead that the line before did not have there; the lines to come are expected to.
    #[cold]
    fn new_lead(&mut self, line: &[u8], at: usize, position: usize) -> Result<(usize, usize, Node), usize> {
        let (key, end) = value::string(line, at)?;
        let node = self.names.top(line.get(key.from..key.to).unwrap_or_default(), key.kind == Kind::Escaped);
        let start = value::skip_colon(line, end)?;
        let text = line.get(at..start).unwrap_or_default();
        let key_len = end - at;
        match self.shape.get_mut(position) {
            Some(lead) => {
                lead.text.clear();
                lead.text.extend_from_slice(text);
                (lead.key_len, lead.node) = (key_len, node);
            }
            None if position < SHAPE_KEYS => self.shape.push(Lead { text: text.to_vec(), key_len, node }),
            None => {}
        }
        self.known = self.shape.len().min(position + 1);
        self.may_repeat = true;
        Ok((key_len, text.len(), node))
    }

    /// Takes the value at `at` to its role, its object's names or the extras; the end of the value.
    #[inline]
    fn top_value(&mut self, line: &[u8], at: usize, key: (usize, usize), node: Node) -> Result<usize, usize> {
        if let Some(members) = node.members
            && line.get(at) == Some(&b'{')
        {
            let end = self.members(line, at, members, 1)?;
            self.extras.push(key, (at, end));
            return Ok(end);
        }
        let (value, end) = value::value(line, at)?;
        match node.role {
            Some((role, rank)) => self.take(line, role, rank, Found { value, key }),
            None => self.extras.push(key, (at, end)),
        }
        Ok(end)
    }

    /// Looks for names inside the object at `at`; the end of the object.
    fn members(&mut self, line: &[u8], at: usize, members: usize, depth: usize) -> Result<usize, usize> {
        let mut at = value::skip_blank(line, at + 1);
        if line.get(at) == Some(&b'}') {
            return Ok(at + 1);
        }
        loop {
            let (key, end) = value::string(line, at)?;
            let node =
                self.names.member(members, line.get(key.from..key.to).unwrap_or_default(), key.kind == Kind::Escaped);
            at = value::skip_colon(line, end)?;
            let inner = node.members.filter(|_| depth < NAME_DEPTH && line.get(at) == Some(&b'{'));
            let end = if let Some(inner) = inner {
                self.members(line, at, inner, depth + 1)?
            } else {
                let (value, end) = value::value(line, at)?;
                if let Some((role, rank)) = node.role {
                    let value = value::first_of_list(line, value);
                    self.take(line, role, rank, Found { value, key: (0, 0) });
                }
                end
            };
            at = value::skip_blank(line, end);
            match line.get(at) {
                Some(b',') => at = value::skip_blank(line, at + 1),
                Some(b'}') => return Ok(at + 1),
                _ => return Err(at),
            }
        }
    }

    /// Keeps `new` for its role if it is the best-ranked value so far; whatever loses stays a property.
    #[inline]
    fn take(&mut self, line: &[u8], role: Role, rank: u8, new: Found) {
        let at = role as usize;
        let held = self.ranks[at];
        if new.value.kind == Kind::Null {
            if held == rank {
                self.ranks[at] = NOTHING;
            }
        } else if held < rank || !fits(line, role, new.value) {
            self.demote(new);
        } else {
            if held > rank && held != NOTHING {
                self.demote(self.found[at]);
            }
            self.ranks[at] = rank;
            self.found[at] = new;
        }
    }

    #[cold]
    fn demote(&mut self, loser: Found) {
        if loser.key.1 > 0 {
            self.extras.push(loser.key, loser.value.raw());
        }
    }

    #[inline]
    fn best(&self, role: Role) -> Option<Value> {
        (self.ranks[role as usize] != NOTHING).then(|| self.found[role as usize].value)
    }

    fn event<'a>(&mut self, line: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<RawEvent<'a>, Reject> {
        if self.names.records() == Records::Requests && !self.has_request() {
            return Err(refuse(RejectReason::Malformed, 0));
        }
        let ts = self.time(line, scratch)?;
        let mut row = Row::EMPTY;
        for (at, rank) in self.ranks.iter().enumerate() {
            if *rank != NOTHING {
                row.spans[at] = Some(self.found[at].value.text(line, scratch).map_err(json_error)?);
            }
        }
        row.join_query(scratch);
        if self.may_repeat {
            self.may_repeat = self.extras.keep_last(line);
        }
        let given = self.best(Role::Properties);
        let properties = self.extras.write(line, given, scratch);
        let scratch: &'a [u8] = scratch;
        let event = row.event(self.names.records(), ts, properties, scratch);
        Ok(RawEvent { own_properties: given.and_then(|given| line.get(given.from..given.to)), ..event })
    }

    /// Other lines of a server's log (`"msg":"reloaded"`) hold no request.
    fn has_request(&self) -> bool {
        let has = |role: Role| self.best(role).is_some();
        has(Role::Request) || (has(Role::Target) && (has(Role::Method) || has(Role::Status)))
    }

    fn time(&mut self, line: &[u8], scratch: &mut Vec<u8>) -> Result<i64, Reject> {
        let found = self.best(Role::Ts).ok_or(refuse(RejectReason::Time, line.len()))?;
        let (from, to) = (found.from, found.to);
        let text = line.get(from..to).unwrap_or_default();
        let ts = match found.kind {
            Kind::Number => clock::epoch(text),
            Kind::Escaped => {
                let span = found.text(line, scratch).map_err(json_error)?;
                self.clock.text(span.read(scratch))
            }
            _ => self.clock.text(text),
        };
        ts.ok_or(refuse(RejectReason::Time, from))
    }
}

/// Whether a value can stand for a role; what cannot stays a property.
fn fits(line: &[u8], role: Role, value: Value) -> bool {
    let is_scalar = matches!(value.kind, Kind::Plain | Kind::Escaped | Kind::Number | Kind::Bool);
    let text = || line.get(value.from..value.to).unwrap_or_default();
    match role {
        Role::Properties => value.kind == Kind::Object,
        Role::Status => is_scalar && row::status(text()).is_some(),
        Role::Bytes => is_scalar && row::size(text()).is_some(),
        Role::Method => value.kind == Kind::Plain && row::is_method(text()),
        Role::Ts => matches!(value.kind, Kind::Plain | Kind::Escaped | Kind::Number),
        _ => is_scalar,
    }
}

fn json_error(at: usize) -> Reject {
    refuse(RejectReason::Json, at)
}

/// Nothing but blanks may follow the object.
fn end_of_line(line: &[u8], at: usize) -> Result<(), Reject> {
    let end = value::skip_blank(line, at);
    if end == line.len() { Ok(()) } else { Err(json_error(end)) }
}

#[cfg(test)]
mod tests;
