//! Fields gathered from one record, on their way to a [`RawEvent`].
//!
//! Every reader but the NCSA scanner ends here, so that all formats agree on what an empty value, a status or a request
//! is, and on how properties are written.

use super::clock;
use super::json;
use super::ncsa;
use super::span::Span;
use crate::event::RawEvent;

/// A field of [`RawEvent`] that a name can stand for. `Request` is a whole request line, `Query` what follows the `?`
/// of a target that is logged apart from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Role {
    Ts,
    UserId,
    AnonymousId,
    SessionId,
    EventId,
    Event,
    Target,
    Query,
    Method,
    Status,
    Bytes,
    Referrer,
    UserAgent,
    Ip,
    Request,
    Properties,
}

impl Role {
    pub(super) const COUNT: usize = Self::Properties as usize + 1;
}

/// What the records of a source are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Records {
    /// Events of an application: an empty text is absent, but ids stay as they are.
    Events,
    /// Requests that a server answered: `-` is absent too.
    Requests,
}

/// The text of every role that the record has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) spans: [Option<Span<'a>>; Role::COUNT],
}

impl<'a> Row<'a> {
    pub(super) const EMPTY: Self = Self { spans: [None; Role::COUNT] };

    #[inline]
    pub(super) fn set(&mut self, role: Role, span: Span<'a>) {
        if let Some(slot) = self.spans.get_mut(role as usize) {
            *slot = Some(span);
        }
    }

    #[inline]
    pub(super) fn get(&self, role: Role) -> Option<Span<'a>> {
        self.spans.get(role as usize).copied().flatten()
    }

    /// Puts `?query` behind the target.
    pub(super) fn join_query(&mut self, scratch: &mut Vec<u8>) {
        let (Some(target), Some(query)) = (self.get(Role::Target), self.get(Role::Query)) else { return };
        if query.is_absent(scratch) {
            return;
        }
        let from = scratch.len();
        target.copy_to(scratch);
        scratch.push(b'?');
        query.copy_to(scratch);
        self.set(Role::Target, Span::Scratch(from, scratch.len()));
    }

    /// The event, once `scratch` is complete.
    #[inline]
    pub(super) fn event(
        &self,
        records: Records,
        ts: i64,
        properties: Option<Span<'a>>,
        scratch: &'a [u8],
    ) -> RawEvent<'a> {
        let is_log = records == Records::Requests;
        let id = |role: Role| {
            let text = self.get(role)?.read(scratch);
            if is_log && matches!(text, b"" | b"-") { None } else { Some(text) }
        };
        let text = |role: Role| id(role).filter(|text| !text.is_empty());
        let mut event = RawEvent {
            ts,
            user_id: id(Role::UserId),
            anonymous_id: id(Role::AnonymousId),
            session_id: id(Role::SessionId),
            event_id: text(Role::EventId),
            event: text(Role::Event),
            target: text(Role::Target),
            method: text(Role::Method),
            status: text(Role::Status).and_then(status),
            bytes: text(Role::Bytes).and_then(size),
            referrer: text(Role::Referrer),
            user_agent: text(Role::UserAgent),
            ip: text(Role::Ip),
            properties: properties.map(|span| span.read(scratch)),
            own_properties: None,
            is_untyped: false,
        };
        if let Some(request) = text(Role::Request)
            && is_log
            && event.target.is_none()
        {
            (event.method, event.target) = ncsa::request_line(request);
        }
        event
    }
}

/// Whether a text can stand for a role; what cannot stays a property.
pub(super) fn fits(role: Role, text: &[u8]) -> bool {
    match role {
        Role::Properties => json::is_object(text.trim_ascii()),
        Role::Method => is_method(text),
        Role::Status => status(text).is_some(),
        Role::Bytes => size(text).is_some(),
        _ => true,
    }
}

/// A word that HTTP knows, so that `"method":"paypal"` stays a property.
pub(super) fn is_method(text: &[u8]) -> bool {
    matches!(
        text,
        b"GET" | b"HEAD" | b"POST" | b"PUT" | b"DELETE" | b"CONNECT" | b"OPTIONS" | b"TRACE" | b"PATCH" | b"PROPFIND"
    )
}

/// A status code, `None` where the text is none.
pub(super) fn status(text: &[u8]) -> Option<i16> {
    clock::number(text).and_then(|status| i16::try_from(status).ok())
}

/// Up to 18 digits.
pub(super) fn size(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    text.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

/// `"name":` as it stands in a JSON object.
pub(super) fn json_key(name: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 3);
    push_json_text(name, &mut key);
    key.push(b':');
    key
}

/// Appends a text as a JSON string.
pub(super) fn push_json_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte => {
                let hex = b"0123456789abcdef";
                let (high, low) = (hex[usize::from(byte >> 4)], hex[usize::from(byte & 15)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Properties written member by member at the end of a buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Properties {
    from: usize,
}

impl Properties {
    pub(super) fn begin(out: &[u8]) -> Self {
        Self { from: out.len() }
    }

    /// Appends a member; `key` as [`json_key`] makes it.
    pub(super) fn push(self, key: &[u8], text: &[u8], out: &mut Vec<u8>) {
        self.push_members(key, out);
        push_json_text(text, out);
    }

    /// Appends ready members: what stands between the braces of an object, or a key that a value follows.
    pub(super) fn push_members(self, members: &[u8], out: &mut Vec<u8>) {
        out.push(if out.len() == self.from { b'{' } else { b',' });
        out.extend_from_slice(members);
    }

    /// The whole object, `None` where it has no member.
    pub(super) fn end<'a>(self, out: &mut Vec<u8>) -> Option<Span<'a>> {
        if out.len() == self.from {
            return None;
        }
        out.push(b'}');
        Some(Span::Scratch(self.from, out.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_json() {
        let mut scratch = b"kept".to_vec();
        let properties = Properties::begin(&scratch);
        properties.push(&json_key(b"a\"b"), b"\x01\t\\x", &mut scratch);
        properties.push(&json_key(b"q"), b"\"", &mut scratch);
        properties.push_members(b"\"z\":1", &mut scratch);
        let text = properties.end(&mut scratch).unwrap().read(&scratch);
        assert_eq!(text, br#"{"a\"b":"\u0001\t\\x","q":"\"","z":1}"#);
        let parsed: serde_json::Value = serde_json::from_slice(text).unwrap();
        assert_eq!(parsed["a\"b"], "\u{1}\t\\x");
        let none = Properties::begin(&scratch);
        assert!(none.end(&mut scratch).is_none());
    }
}
