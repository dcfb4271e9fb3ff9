//! Whose event it is: the `distinct_id`, a function of the event alone.
//!
//! ```text
//! user id ─► as given          else anonymous id ─► anon:<id>          else session id ─► sid:<id>
//! else the visitor ─► ip:<host>  or  ipua:<16 hex digits of a hash of host, NUL and user agent>
//! ```
//! Under the masks of `[privacy]` the ids are those that are stored, and the host is the keyed hash of the whole host,
//! whatever the column `ip` shows: nobody is merged with a neighbour of the same network, and no `ipua:` tells an address
//! to whoever tries them all.
//!
//! Where `[session] source_ids = "ignore"` says that session ids of the source mean nothing, the visitor comes before
//! the session id, which then tells only those apart who have nothing else.
//!
//! Invariants: junk ids count as absent; an event without any of these has no `distinct_id` and is refused.
//!
//! Which person a `distinct_id` belongs to is a map of its own, which changes when something new is learnt and leaves
//! the events alone:
//!
//! ```text
//! links.rs     what was seen and said: users on devices, equal hashes, aliases
//! devices.rs   all that was seen on devices
//! timeline.rs  a device's time ─► whose it is when
//! owned.rs     the devices that have an owner
//! union.rs     ids that are one person, and its name
//! people.rs    the map: (distinct_id, ts) ─► person; build.rs makes it, identities.rs lists it
//! texts.rs     many ids in one stretch of memory, and looking them up
//! ```

mod build;
mod devices;
mod identities;
mod links;
mod owned;
mod people;
mod texts;
mod timeline;
mod union;

use std::io::Write as _;

use xxhash_rust::xxh3::Xxh3;

use crate::config::{SourceIds, Visitor};
use crate::event::RawEvent;
pub use crate::event::is_junk;
pub use devices::Devices;
pub use identities::{Identity, Kind, identities};
pub use links::{Alias, Device, Links, MOST_LINKS, Match};
pub use people::{Owner, People, Rows, Stretch, owner};
pub use texts::Texts;
pub use timeline::{Run, append, join};

/// What a `distinct_id` begins with that is an anonymous id.
pub const ANONYMOUS: &str = "anon:";

/// Appends the event's `distinct_id` to `out`; `false`, and nothing appended, where nobody did it.
pub fn distinct_id(event: &RawEvent<'_>, visitor: Visitor, source_ids: SourceIds, out: &mut Vec<u8>) -> bool {
    let host = present(event.ip);
    let session = present(event.session_id).filter(|_| source_ids == SourceIds::Honour || host.is_none());
    if let Some(id) = present(event.user_id) {
        out.extend_from_slice(id);
    } else if let Some(id) = present(event.anonymous_id) {
        out.extend_from_slice(ANONYMOUS.as_bytes());
        out.extend_from_slice(id);
    } else if let Some(id) = session {
        out.extend_from_slice(b"sid:");
        out.extend_from_slice(id);
    } else if let Some(host) = host {
        match visitor {
            Visitor::Ip => {
                out.extend_from_slice(b"ip:");
                out.extend_from_slice(host);
            }
            Visitor::IpAndUserAgent => push_hash(host, event.user_agent.unwrap_or_default(), out),
        }
    } else {
        return false;
    }
    true
}

/// Whether the id tells a visitor by address alone: it never links.
#[must_use]
pub fn is_visitor(distinct_id: &str) -> bool {
    distinct_id.starts_with("ip:") || distinct_id.starts_with("ipua:")
}

/// An e-mail address or a phone number as it is compared: without blanks around it and in lower case, a phone number
/// by its digits. `None` for a value that says nothing.
#[must_use]
pub fn normal(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value.trim_ascii()).ok()?;
    let is_phone = |c: char| c.is_ascii_digit() || " +-()./".contains(c);
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let normal = if digits >= 6 && text.chars().all(is_phone) {
        text.strip_prefix("00").unwrap_or(text).chars().filter(char::is_ascii_digit).collect()
    } else {
        text.to_lowercase()
    };
    (!is_junk(normal.as_bytes())).then_some(normal)
}

#[inline]
fn present(id: Option<&[u8]>) -> Option<&[u8]> {
    id.filter(|id| !is_junk(id))
}

fn push_hash(host: &[u8], user_agent: &[u8], out: &mut Vec<u8>) {
    let mut hash = Xxh3::new();
    hash.update(host);
    hash.update(&[0]);
    hash.update(user_agent);
    // Writing to a Vec cannot fail.
    let _ = write!(out, "ipua:{:016x}", hash.digest());
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_64;

    fn id(event: &RawEvent<'_>, visitor: Visitor) -> Option<String> {
        let mut out = b"kept ".to_vec();
        let found = distinct_id(event, visitor, SourceIds::Honour, &mut out);
        let text = String::from_utf8(out).unwrap().strip_prefix("kept ").unwrap().to_owned();
        assert!(found || text.is_empty());
        found.then_some(text)
    }

    #[test]
    fn the_best_id_counts() {
        let mut event = RawEvent {
            user_id: Some(b"u1"),
            anonymous_id: Some(b"d1"),
            session_id: Some(b"s1"),
            ip: Some(b"192.0.2.7"),
            user_agent: Some(b"Mozilla/5.0"),
            ..RawEvent::default()
        };
        assert_eq!(id(&event, Visitor::Ip).unwrap(), "u1");
        event.user_id = Some(b"null");
        assert_eq!(id(&event, Visitor::Ip).unwrap(), "anon:d1");
        event.anonymous_id = Some(b" undefined ");
        assert_eq!(id(&event, Visitor::Ip).unwrap(), "sid:s1");
        event.session_id = None;
        assert_eq!(id(&event, Visitor::Ip).unwrap(), "ip:192.0.2.7");
        let hash = format!("ipua:{:016x}", xxh3_64(b"192.0.2.7\0Mozilla/5.0"));
        assert_eq!(id(&event, Visitor::IpAndUserAgent).unwrap(), hash);
        event.ip = None;
        assert_eq!(id(&event, Visitor::IpAndUserAgent), None);
    }

    #[test]
    fn an_ignored_session_id_is_the_last_resort() {
        let mut event = RawEvent { session_id: Some(b"s1"), ip: Some(b"192.0.2.7"), ..RawEvent::default() };
        let mut out = Vec::new();
        assert!(distinct_id(&event, Visitor::Ip, SourceIds::Ignore, &mut out));
        event.ip = None;
        out.push(b' ');
        assert!(distinct_id(&event, Visitor::Ip, SourceIds::Ignore, &mut out));
        assert_eq!(out, b"ip:192.0.2.7 sid:s1");
    }
}
