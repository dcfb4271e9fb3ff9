//! Masks inside the properties, which hold whatever the input had no column for.
//!
//! ```text
//! {"plan":"pro","user":{"id":"u1"},"auth":{"token":"ab"},"headers":{"X-Forwarded-For":"192.0.2.7"},"url":"/?code=x"}
//!                       hash:…     "***"                                               192.0.2.0         /?code=***
//! ```
//! A member is masked for its name (an id's, a host's, a secret's), any value for what it says: the event's own ids
//! and host, addresses, parameters. Everything else is copied byte by byte.

use super::json::{after_colon, push_quoted, string_end, unquote, value_end};
use super::secrets::plain;
use super::{GONE, Own, Privacy};
use crate::event::is_junk;

/// What a member's name says about its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// An id that a mask hides.
    Id,
    /// A client's host.
    Host,
}

/// Names of ids and hosts as they are compared: those that inputs have for our fields, and those of aliases.
pub(super) const USERS: [&str; 7] = ["userid", "user", "distinctid", "uid", "username", "previousid", "alias"];
pub(super) const ANONYMOUS: [&str; 4] = ["anonymousid", "deviceid", "anonid", "visitorid"];
pub(super) const SESSIONS: [&str; 2] = ["sessionid", "sourcesessionid"];
pub(super) const HOSTS: [&str; 7] = ["ip", "ipaddress", "clientip", "remoteaddr", "remoteip", "remotehost", "userip"];

impl Privacy {
    /// Properties without what the masks hide; `None` where that is nothing.
    pub(super) fn properties(&self, text: &[u8], own: &Own<'_>) -> Option<Vec<u8>> {
        let (mut masked, mut copied, mut at) = (Vec::new(), 0, 0);
        // Where the object ends that has an id's name: `"user":{"id":…}`.
        let mut person_end = 0;
        while let Some(byte) = text.get(at) {
            let start = at;
            let (from, to, value) = match byte {
                b'"' => {
                    at = string_end(text, at);
                    match after_colon(text, at) {
                        Some(value) => {
                            let end = value_end(text, value);
                            let name = unquote(&text[start..at]);
                            let meaning = self.meaning(&name, start < person_end);
                            if meaning == Some(Meaning::Id) && text.get(value) == Some(&b'{') {
                                person_end = person_end.max(end);
                            }
                            let instead = self.member(&name, meaning, &text[value..end]);
                            // What stays may still be an object with something inside.
                            at = if instead.is_some() { end } else { value };
                            (value, end, instead)
                        }
                        None => (start, at, self.text(&unquote(&text[start..at]), own)),
                    }
                }
                b'-' | b'0'..=b'9' => {
                    at = value_end(text, at).max(start + 1);
                    (start, at, own.id(&text[start..at]).map(|id| self.id(id)))
                }
                _ => {
                    at += 1;
                    continue;
                }
            };
            if let Some(value) = value {
                masked.extend_from_slice(&text[copied..from]);
                push_quoted(&value, &mut masked);
                copied = to;
            }
        }
        masked.extend_from_slice(&text[copied..]);
        (copied > 0 && masked != text).then_some(masked)
    }

    /// What a member's name says; `of_person`: it is inside of an object with an id's name.
    fn meaning(&self, name: &[u8], of_person: bool) -> Option<Meaning> {
        let name = plain(name);
        self.members.get(&name).copied().or((of_person && name == b"id").then_some(Meaning::Id))
    }

    /// What a member's value becomes for its name; `None`: its name says nothing.
    fn member(&self, name: &[u8], meaning: Option<Meaning>, value: &[u8]) -> Option<Vec<u8>> {
        if value == b"null" || value == b"\"\"" {
            return None;
        }
        if self.secrets.as_ref().is_some_and(|secrets| secrets.names(name)) {
            return Some(GONE.to_vec());
        }
        match (value.first()?, meaning?) {
            (b'{' | b't' | b'f', _) | (b'[', Meaning::Host) => None,
            (b'[', Meaning::Id) => Some(GONE.to_vec()),
            (_, Meaning::Id) => {
                let id = unquote(value);
                (!is_junk(&id)).then(|| self.id(&id))
            }
            (_, Meaning::Host) => Some(self.shown_host(&unquote(value)).unwrap_or_else(|| GONE.to_vec())),
        }
    }

    /// A text in the properties; `None` where nothing in it is hidden.
    fn text(&self, text: &[u8], own: &Own<'_>) -> Option<Vec<u8>> {
        if let Some(id) = own.id(text) {
            return Some(self.id(id));
        }
        let mut masked = self.secrets.as_ref().and_then(|secrets| secrets.scrub(text));
        let addresses = self.addresses(masked.as_deref().unwrap_or(text));
        masked = addresses.or(masked);
        let own = own.cut(masked.as_deref().unwrap_or(text));
        own.or(masked)
    }
}
