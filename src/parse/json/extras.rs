//! The properties of an event: what no field took, as one JSON object of slices of the line.

use super::super::span::Span;
use super::value::{self, Value};

/// Offsets of the raw key and the raw value.
type Member = ((usize, usize), (usize, usize));

/// The members of the line that no field took, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Extras {
    members: Vec<Member>,
}

impl Extras {
    pub(super) fn clear(&mut self) {
        self.members.clear();
    }

    pub(super) fn push(&mut self, key: (usize, usize), value: (usize, usize)) {
        self.members.push((key, value));
    }

    /// Of members with equal keys only the last stays; whether there were any.
    pub(super) fn keep_last(&mut self, line: &[u8]) -> bool {
        let before = self.members.len();
        let mut at = 0;
        while let Some((key, _)) = self.members.get(at) {
            let text = line.get(key.0..key.1);
            let is_repeated = self.members.iter().skip(at + 1).any(|(later, _)| line.get(later.0..later.1) == text);
            if is_repeated {
                self.members.remove(at);
            } else {
                at += 1;
            }
        }
        self.members.len() < before
    }

    /// The properties: `given` (the value of `properties`) as it is if nothing else is left, else one object of the
    /// left members and those of `given`, whose keys come first where both have one. `None` where there is nothing.
    pub(super) fn write<'a>(&self, line: &'a [u8], given: Option<Value>, scratch: &mut Vec<u8>) -> Option<Span<'a>> {
        let given = given.map(|given| line.get(given.from..given.to).unwrap_or_default());
        let inside = given.and_then(|given| given.get(1..given.len() - 1)).map_or(&b""[..], <[u8]>::trim_ascii);
        if self.members.is_empty() {
            return given.filter(|_| !inside.is_empty()).map(Span::Line);
        }
        let from = scratch.len();
        for ((key_from, key_to), (value_from, value_to)) in &self.members {
            let key = line.get(*key_from..*key_to).unwrap_or_default();
            if has_key(inside, key) {
                continue;
            }
            scratch.push(if scratch.len() == from { b'{' } else { b',' });
            scratch.extend_from_slice(key);
            scratch.push(b':');
            scratch.extend_from_slice(line.get(*value_from..*value_to).unwrap_or_default());
        }
        if scratch.len() == from {
            return given.map(Span::Line);
        }
        if !inside.is_empty() {
            scratch.push(b',');
            scratch.extend_from_slice(inside);
        }
        scratch.push(b'}');
        Some(Span::Scratch(from, scratch.len()))
    }
}

/// Whether an object with this inside has the raw key at its top.
fn has_key(inside: &[u8], key: &[u8]) -> bool {
    if inside.is_empty() || memchr::memmem::find(inside, key).is_none() {
        return false;
    }
    let mut at = 0;
    while let Ok((found, end)) = value::string(inside, at) {
        if inside.get(found.from - 1..=found.to) == Some(key) {
            return true;
        }
        let Ok(start) = value::skip_colon(inside, end) else { return false };
        let Ok((_, end)) = value::value(inside, start) else { return false };
        at = value::skip_blank(inside, end);
        at = value::skip_blank(inside, at + 1);
    }
    false
}
