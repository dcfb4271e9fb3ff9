//! Masks inside the properties, which hold whatever the input had no column for.
//!
//! ```text
//! {"plan":"pro","user":{"id":"u1"},"auth":{"token":"ab"},"headers":{"X-Forwarded-For":"192.0.2.7"},"url":"/?code=x"}
//!                       hash:…     "***"                                               192.0.2.0         /?code=***
//! ```
//! A member is masked for its name (an id's, a host's, a secret's), any value for what it says: the event's own ids
//! and host, addresses, parameters. Everything else is copied byte by byte.

use std::collections::HashMap;

use foldhash::fast::FixedState;

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
    Secret,
}

/// The meanings of names that were met, as they stand in the text; nearly every line has the same.
pub(super) type Names = HashMap<Vec<u8>, Option<Meaning>, FixedState>;

/// Names that are remembered: those of a log, and not of data that makes up names.
const NAMES: usize = 4_096;

/// Names of ids and hosts as they are compared: those that inputs have for our fields, and those of aliases.
pub(super) const USERS: [&str; 7] = ["userid", "user", "distinctid", "uid", "username", "previousid", "alias"];
pub(super) const ANONYMOUS: [&str; 4] = ["anonymousid", "deviceid", "anonid", "visitorid"];
pub(super) const SESSIONS: [&str; 2] = ["sessionid", "sourcesessionid"];
pub(super) const HOSTS: [&str; 7] = ["ip", "ipaddress", "clientip", "remoteaddr", "remoteip", "remotehost", "userip"];

impl Privacy {
    /// Properties without what the masks hide; `None` where that is nothing.
    pub(super) fn properties(&self, text: &[u8], own: &Own<'_>, names: &mut Names) -> Option<Vec<u8>> {
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
                            let meaning = self.meaning(&text[start..at], start < person_end, names);
                            // Only what means something is looked at as a whole.
                            let end = if meaning.is_some() { value_end(text, value) } else { value };
                            if meaning == Some(Meaning::Id) && text.get(value) == Some(&b'{') {
                                person_end = person_end.max(end);
                            }
                            let instead = meaning.and_then(|meaning| self.member(meaning, &text[value..end]));
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

    /// What a member's name says, a string token; `of_person`: it is inside of an object with an id's name.
    fn meaning(&self, token: &[u8], of_person: bool, names: &mut Names) -> Option<Meaning> {
        if of_person && token == b"\"id\"" {
            return Some(Meaning::Id);
        }
        if let Some(known) = names.get(token) {
            return *known;
        }
        let name = unquote(token);
        let is_secret = self.secrets.as_ref().is_some_and(|secrets| secrets.names(&name));
        let meaning = if is_secret { Some(Meaning::Secret) } else { self.members.get(&plain(&name)).copied() };
        if names.len() < NAMES {
            names.insert(token.to_vec(), meaning);
        }
        meaning
    }

    /// What a member's value becomes; `None`: it stays, or has something inside that does not.
    fn member(&self, meaning: Meaning, value: &[u8]) -> Option<Vec<u8>> {
        if value == b"null" || value == b"\"\"" {
            return None;
        }
        match (value.first()?, meaning) {
            (_, Meaning::Secret) | (b'[', Meaning::Id) => Some(GONE.to_vec()),
            (b'{' | b't' | b'f', _) | (b'[', Meaning::Host) => None,
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
