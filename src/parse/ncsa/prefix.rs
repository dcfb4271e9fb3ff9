//! What stands before the time: host, ident, user, and what the world puts in their place.
//!
//! ```text
//! 192.0.2.7 - frank [                        three fields: the fast path
//! 192.0.2.7 - Frank N Furter [               a user name with blanks
//! 10.0.0.2, 10.0.0.1, 85.181.35.98 - - [     forwarded addresses: the first public one, else the first
//! www.example.com:443 192.0.2.7 - frank [    the virtual host first
//! ```

use std::net::IpAddr;

use super::super::scan;
use super::super::span::Span;

/// The fields before the time, as written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Prefix<'a> {
    pub(super) vhost: Option<&'a [u8]>,
    pub(super) host: &'a [u8],
    pub(super) user: &'a [u8],
}

/// ASCII white space as `\s` has it.
#[inline]
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// The end of the run of non-blank bytes that starts at `at`.
#[inline]
pub(super) fn token_end(line: &[u8], at: usize) -> usize {
    let mut at = at;
    loop {
        let rest = line.get(at..).unwrap_or_default();
        let Some(found) = scan::find_blank(rest) else { return at + rest.len() };
        at += found;
        if is_blank(rest[found]) {
            return at;
        }
        at += 1;
    }
}

impl<'a> Prefix<'a> {
    /// `host ident user [`; the offset is that of the time's first byte.
    #[inline]
    pub(super) fn three_fields(line: &'a [u8]) -> Option<(Self, usize)> {
        let (host, at) = field(line, 0)?;
        let (_, at) = field(line, at)?;
        let (user, at) = field(line, at)?;
        (line.get(at) == Some(&b'[')).then_some((Self { vhost: None, host, user }, at + 1))
    }

    /// `vhost host ident user [`; the offset is that of the time's first byte.
    pub(super) fn four_fields(line: &'a [u8]) -> Option<(Self, usize)> {
        let (vhost, at) = field(line, 0)?;
        let (prefix, end) = Self::three_fields(line.get(at..)?)?;
        Some((Self { vhost: Some(vhost), ..prefix }, at + end))
    }

    /// What stands before ` [`, with a list of hosts or blanks in the user's name.
    pub(super) fn loose(fields: &'a [u8]) -> Option<Self> {
        let mut hosts_end = 0;
        let mut best: Option<&[u8]> = None;
        let mut is_public = false;
        loop {
            let end = token_end(fields, hosts_end);
            let token = fields.get(hosts_end..end)?;
            let host = token.strip_suffix(b",").unwrap_or(token);
            if host.is_empty() {
                return None;
            }
            if best.is_none() || (!is_public && is_public_address(host)) {
                best = Some(host);
                is_public = is_public_address(host);
            }
            if fields.get(end) != Some(&b' ') {
                return None;
            }
            let more = token.len() > host.len() || (hosts_end > 0 && is_address(next_token(fields, end + 1)));
            hosts_end = end + 1;
            if !more {
                break;
            }
        }
        let (_, at) = field(fields, hosts_end)?;
        let user = fields.get(at..).filter(|user| !user.is_empty())?;
        let user = if user.ends_with(b" -") { b"-" } else { user };
        Some(Self { vhost: None, host: best?, user })
    }

    /// What stands before ` [` where the virtual host comes first: it has a port, or an address follows it.
    pub(super) fn with_vhost(fields: &'a [u8]) -> Option<Self> {
        let (vhost, at) = field(fields, 0)?;
        let rest = fields.get(at..)?;
        if vhost.last() == Some(&b',') || is_address(vhost) {
            return None;
        }
        if !has_port(vhost) && !is_address(next_token(rest, 0).strip_suffix(b",").unwrap_or(next_token(rest, 0))) {
            return None;
        }
        Some(Self { vhost: Some(vhost), ..Self::loose(rest)? })
    }
}

/// A token and the one blank after it; the offset is that of the byte after the blank.
#[inline]
fn field(line: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let end = token_end(line, at);
    (end > at && line.get(end) == Some(&b' ')).then(|| (line.get(at..end).unwrap_or_default(), end + 1))
}

fn next_token(text: &[u8], at: usize) -> &[u8] {
    text.get(at..token_end(text, at)).unwrap_or_default()
}

/// How far `host ident user ` reaches, for the report of a refused line.
pub(super) fn fields_end(line: &[u8]) -> usize {
    let mut at = 0;
    for _ in 0..3 {
        let Some((_, next)) = field(line, at) else { return at };
        at = next;
    }
    at
}

/// The offset of every `[` that follows a blank.
pub(super) fn brackets(line: &[u8]) -> impl Iterator<Item = usize> {
    memchr::memmem::find_iter(line, b" [").map(|at| at + 1)
}

fn address(host: &[u8]) -> Option<IpAddr> {
    let host = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host);
    std::str::from_utf8(host).ok()?.parse().ok()
}

fn is_address(host: &[u8]) -> bool {
    address(host).is_some()
}

fn has_port(host: &[u8]) -> bool {
    let port = host.iter().rposition(|byte| *byte == b':').and_then(|at| host.get(at + 1..));
    port.is_some_and(|port| (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit)) && !is_address(host)
}

fn is_public_address(host: &[u8]) -> bool {
    match address(host) {
        Some(IpAddr::V4(ip)) => {
            let [a, b, ..] = ip.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || is_shared)
        }
        Some(IpAddr::V6(ip)) => {
            !(ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local())
        }
        None => false,
    }
}

/// `{"vhost":"…"}` in the arena.
pub(super) fn vhost_properties<'a>(vhost: &[u8], scratch: &mut Vec<u8>) -> Span<'a> {
    let from = scratch.len();
    scratch.extend_from_slice(b"{\"vhost\":\"");
    for byte in vhost {
        match byte {
            b'"' | b'\\' => scratch.extend_from_slice(&[b'\\', *byte]),
            0..0x20 => scratch.push(b'?'),
            _ => scratch.push(*byte),
        }
    }
    scratch.extend_from_slice(b"\"}");
    Span::Scratch(from, scratch.len())
}
