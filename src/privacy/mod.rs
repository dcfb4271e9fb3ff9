//! What of a line never reaches the store: masks, and the consent without which nothing does.
//!
//! ```text
//! parsed event ─ consent? ─ no ─► dropped by the rule `consent`
//!       └─ who(): ids, host ─► what identity/ tells people apart by, and what the columns show
//!       └─ what(): target, referrer, event name, properties ─► the texts that all else is derived from
//! refused line ─ line() ─► the form that the quarantine and the messages have
//! ```
//!
//! | rule of `[privacy]` | the columns show | people are told apart by |
//! |---|---|---|
//! | `ip = "truncate"` | the network, `192.0.2.0` or `2001:db8:1::`; nothing of a host name | the keyed hash of the whole host |
//! | `ip = "hash"` | `hash:` and 32 hex digits | the same |
//! | `ip = "drop"` | nothing | the same |
//! | `user_id`, `anonymous_id`, `session_id` `= "hash"` | `hash:` and 32 hex digits, in `distinct_id` too | the same |
//! | `scrub_query` | `***` for the values of secret parameters and members | |
//!
//! A mask reaches further than its column. An event's own ids and host become `***` where they stand alone in its
//! path, its referrer, its name or a text of its properties (from `OWN_BYTES` bytes on: shorter ones are anything),
//! and in its properties whatever has the name of an id or a host, or says an address, is masked like the column.
//! User agents, event ids and the names of properties stay as they are.
//!
//! Invariants: with any rule on, nothing that a rule hides leaves this room but as a keyed hash ([`Key`]), which
//! nobody can make without the store's key; equal values have equal hashes, for ever; a mask that meets its own work
//! leaves it as it is; a junk id stays what it is, for its hash would be somebody.
//!
//! A refused line was not understood, so nobody knows where in it an id stands: with any rule on, what is kept is
//! `[redacted <hash>]` and the line's shape, a `9` for every number and an `x` for every word.
//!
//! Deliberately not here: the file of the key (`store/`), which texts an event has (`ingest/`).

mod address;
mod consent;
mod forgotten;
pub mod json;
mod key;
mod own;
mod properties;
mod secrets;

use std::borrow::Cow;
use std::collections::HashMap;

use foldhash::fast::FixedState;

pub use forgotten::{ERASED, Forgotten, Identifiers, TELLING_BYTES, Tombstone, tombstone};
pub use json::property;
pub use key::{Key, Kind};

use crate::config::{Condition, Config, IdMask, IpMask};
use crate::event::{RawEvent, is_junk};
use own::Own;
use properties::{ANONYMOUS, HOSTS, Meaning, Names, SESSIONS, USERS};
use secrets::{Secrets, plain};

/// The rule that drops events without consent.
pub const CONSENT: &str = "consent";
/// How a masked line begins; 16 hex digits and `] ` follow.
const REDACTED: &[u8] = b"[redacted ";
/// What stands in place of what is gone.
const GONE: &[u8] = b"***";
/// How a keyed hash begins where a value stood.
const HASHED: &[u8] = b"hash:";
/// The shortest id that is looked for in other texts.
const OWN_BYTES: usize = 4;

/// The rules of `[privacy]`, compiled.
#[derive(Debug)]
pub struct Privacy {
    key: Key,
    ip: IpMask,
    user: bool,
    anonymous: bool,
    session: bool,
    secrets: Option<Secrets>,
    consent: Option<Condition>,
    /// What is masked for its name, by [`plain`] name.
    members: HashMap<Vec<u8>, Meaning, FixedState>,
}

/// Who did it: the ids and the host of an event as they are stored.
#[derive(Debug, Default)]
pub struct Who<'a> {
    pub user_id: Option<Cow<'a, [u8]>>,
    pub anonymous_id: Option<Cow<'a, [u8]>>,
    pub session_id: Option<Cow<'a, [u8]>>,
    /// What the column shows.
    pub ip: Option<Cow<'a, [u8]>>,
    /// What visitors are told apart by.
    pub visitor: Option<Cow<'a, [u8]>>,
}

/// Memory for the texts of an event, and what was found out about the names of properties.
#[derive(Debug, Default)]
pub struct Texts {
    clean: [Option<Vec<u8>>; 4],
    names: Names,
}

/// Whether a refused line is kept as its shape alone, as [`Privacy::line`] makes it.
#[must_use]
pub fn is_redacted(line: &[u8]) -> bool {
    let hash = line.strip_prefix(REDACTED).and_then(|rest| rest.split_at_checked(16));
    hash.is_some_and(|(hash, rest)| hash.iter().all(u8::is_ascii_hexdigit) && rest.starts_with(b"] "))
}

impl Privacy {
    /// Compiles `[privacy]`; `None` where no rule is on.
    ///
    /// # Errors
    /// The consent rule is no condition.
    pub fn new(config: &Config, key: &Key) -> Result<Option<Self>, String> {
        let rules = &config.privacy;
        if !rules.is_on() {
            return Ok(None);
        }
        let hashed = |mask: IdMask| mask == IdMask::Hash;
        let (user, anonymous, session) = (hashed(rules.user_id), hashed(rules.anonymous_id), hashed(rules.session_id));
        let fields = &config.fields;
        let ids = [
            (user, &USERS[..], &fields.user_id),
            (anonymous, &ANONYMOUS, &fields.anonymous_id),
            (session, &SESSIONS, &fields.session_id),
        ];
        let mut members = HashMap::default();
        for (_, usual, configured) in ids.into_iter().filter(|(on, ..)| *on) {
            // Of a way into an object the last name, for the object stays in the properties.
            let configured = configured.as_deref().and_then(|name| name.rsplit('.').next());
            members.extend(usual.iter().copied().chain(configured).map(|name| (plain(name.as_bytes()), Meaning::Id)));
        }
        if rules.ip != IpMask::Keep {
            members.extend(HOSTS.iter().map(|name| (plain(name.as_bytes()), Meaning::Host)));
        }
        let names = rules.scrub_query.names();
        Ok(Some(Self {
            key: key.clone(),
            ip: rules.ip,
            user,
            anonymous,
            session,
            secrets: (!names.is_empty()).then(|| Secrets::new(&names)),
            consent: rules.consent()?,
            members,
        }))
    }

    /// Whether the event may be kept at all; asked before any mask.
    #[must_use]
    pub fn consents(&self, event: &RawEvent<'_>) -> bool {
        self.consent.as_ref().is_none_or(|condition| consent::holds(condition, event) == Some(true))
    }

    /// The ids and the host of an event.
    #[must_use]
    pub fn who<'a>(&self, event: &RawEvent<'a>) -> Who<'a> {
        let id = |id: Option<&'a [u8]>, on: bool| {
            id.map(|id| if on && !is_junk(id) { Cow::Owned(self.id(id)) } else { Cow::Borrowed(id) })
        };
        let host = event.ip.filter(|ip| !is_junk(ip));
        let (ip, visitor) = match host.filter(|_| self.ip != IpMask::Keep) {
            Some(host) => (self.shown_host(host).map(Cow::Owned), Some(Cow::Owned(self.hashed(Kind::Host, host)))),
            None => (event.ip.map(Cow::Borrowed), event.ip.map(Cow::Borrowed)),
        };
        Who {
            user_id: id(event.user_id, self.user),
            anonymous_id: id(event.anonymous_id, self.anonymous),
            session_id: id(event.session_id, self.session),
            ip,
            visitor,
        }
    }

    /// The event with its other texts as they are stored; `texts` holds what is new.
    #[must_use]
    pub fn what<'a>(&self, event: &RawEvent<'a>, texts: &'a mut Texts) -> RawEvent<'a> {
        let own = self.own(event);
        let clean = |text: Option<&[u8]>| {
            let text = text?;
            let scrubbed = self.secrets.as_ref().and_then(|secrets| secrets.scrub(text));
            own.cut(scrubbed.as_deref().unwrap_or(text)).or(scrubbed)
        };
        let masks_properties = self.secrets.is_some() || !self.members.is_empty();
        texts.clean = [
            clean(event.target),
            clean(event.referrer),
            event.event.and_then(|name| own.cut(name)),
            event
                .properties
                .filter(|_| masks_properties)
                .and_then(|text| self.properties(text, &own, &mut texts.names)),
        ];
        let [target, referrer, name, properties] = &texts.clean;
        RawEvent {
            target: target.as_deref().or(event.target),
            referrer: referrer.as_deref().or(event.referrer),
            event: name.as_deref().or(event.event),
            properties: properties.as_deref().or(event.properties),
            ..*event
        }
    }

    /// What is kept of a line that was refused.
    #[must_use]
    pub fn line(&self, line: &[u8]) -> Vec<u8> {
        let hash = self.key.hash(Kind::Line, &[line]) >> 64;
        let mut kept = format!("[redacted {hash:016x}] ").into_bytes();
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
        for run in line.chunk_by(|left, right| is_word(left) && is_word(right)) {
            match run {
                [first, ..] if !is_word(first) => kept.push(*first),
                run if run.iter().all(u8::is_ascii_digit) => kept.push(b'9'),
                _ => kept.push(b'x'),
            }
        }
        kept
    }

    /// A `distinct_id` as it is stored, made of the one that it would be without masks: a user's id, or `anon:`, `sid:`
    /// or `ip:` and what follows.
    #[must_use]
    pub fn distinct_id(&self, id: &str) -> String {
        let known = [
            ("anon:", self.anonymous, Kind::Id),
            ("sid:", self.session, Kind::Id),
            ("ip:", self.ip != IpMask::Keep, Kind::Host),
            ("", self.user, Kind::Id),
        ];
        let found = known.into_iter().find_map(|(start, on, kind)| Some((start, id.strip_prefix(start)?, on, kind)));
        match found {
            Some((start, rest, true, kind)) if !is_junk(rest.as_bytes()) => {
                format!("{start}{}", String::from_utf8_lossy(&self.hashed(kind, rest.as_bytes())))
            }
            _ => id.to_owned(),
        }
    }

    fn id(&self, id: &[u8]) -> Vec<u8> {
        self.hashed(Kind::Id, id)
    }

    /// `hash:` and the keyed hash of a value, or the value if it is that already. Bytes that are no UTF-8 tell nothing
    /// apart, as in the columns.
    fn hashed(&self, kind: Kind, value: &[u8]) -> Vec<u8> {
        let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_hash = value.strip_prefix(HASHED).is_some_and(|rest| rest.len() == 32 && rest.iter().all(is_hex));
        if is_hash || value == GONE {
            return value.to_vec();
        }
        let text = String::from_utf8_lossy(value);
        let hash = self.key.hash(kind, &[text.as_bytes()]);
        [HASHED, format!("{hash:032x}").as_bytes()].concat()
    }

    /// What a column shows of a host.
    fn shown_host(&self, host: &[u8]) -> Option<Vec<u8>> {
        match self.ip {
            IpMask::Keep => Some(host.to_vec()),
            IpMask::Hash => Some(self.hashed(Kind::Host, host)),
            IpMask::Drop => None,
            // A name is of one household as much as an address is, and has no part that is surely not.
            IpMask::Truncate => {
                address::address(host).map(|address| address::network(address).to_string().into_bytes())
            }
        }
    }

    /// The text with its addresses masked like the column; `None` where there is none.
    fn addresses(&self, text: &[u8]) -> Option<Vec<u8>> {
        if self.ip == IpMask::Keep {
            return None;
        }
        address::replace(text, |address, out| {
            let shown = self.shown_host(address.to_string().as_bytes());
            out.extend_from_slice(shown.as_deref().unwrap_or(GONE));
        })
    }
}

#[cfg(test)]
mod tests;
