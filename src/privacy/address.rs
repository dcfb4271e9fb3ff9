//! Addresses of clients: the network of one, and all that stand in a text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address that a host is, with or without brackets, port or zone; `None` for a name.
pub(super) fn address(host: &[u8]) -> Option<IpAddr> {
    let host = std::str::from_utf8(host).ok()?.trim();
    let inside = host.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(host, |(inside, _)| inside);
    let plain = inside.split_once('%').map_or(inside, |(address, _)| address);
    let with_port = || plain.rsplit_once(':').filter(|(host, port)| !host.contains(':') && is_port(port));
    let found: IpAddr = plain.parse().ok().or_else(|| with_port()?.0.parse().ok())?;
    Some(found.to_canonical())
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The network of an address: the first 24 bits of IPv4, the first 48 of IPv6.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from(u32::from(address) & !0xff).into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & !(u128::MAX >> 48)).into(),
    }
}

/// The text with every address in it replaced by what `mask` appends; `None` where there is none, or all stay.
///
/// `Chrome/120.0.0.0` and `v1.2.3.4` hold versions: what follows a letter, or a letter and a slash, is none.
pub(super) fn replace(text: &[u8], mask: impl Fn(IpAddr, &mut Vec<u8>)) -> Option<Vec<u8>> {
    let is_part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    let (mut clean, mut copied, mut at) = (Vec::new(), 0, 0);
    while let Some(start) = text[at..].iter().position(is_part).map(|found| at + found) {
        let len = text[start..].iter().position(|byte| !is_part(byte)).unwrap_or(text.len() - start);
        at = start + len;
        let before = &text[..start];
        let is_version = text[start].is_ascii_hexdigit()
            && (matches!(before, [.., letter, b'/'] if letter.is_ascii_alphabetic())
                || before.last().is_some_and(|last| last.is_ascii_alphanumeric() || *last == b'_'));
        // The shortest are `::1` and `1.1.1.1`; a run of one sign is neither.
        let run = &text[start..at];
        if is_version || run.iter().filter(|byte| matches!(byte, b'.' | b':')).count() < 2 {
            continue;
        }
        let Some((from, to, address)) = within(run) else { continue };
        clean.extend_from_slice(&text[copied..start + from]);
        mask(address, &mut clean);
        copied = start + to;
    }
    clean.extend_from_slice(&text[copied..]);
    (copied > 0 && clean != text).then_some(clean)
}

/// The address in a run of its signs: `192.0.2.7`, also before a port, behind a colon or at the end of a sentence.
fn within(run: &[u8]) -> Option<(usize, usize, IpAddr)> {
    let parse = |from: usize, to: usize| -> Option<(usize, usize, IpAddr)> {
        let found: IpAddr = std::str::from_utf8(run.get(from..to)?).ok()?.parse().ok()?;
        Some((from, to, found.to_canonical()))
    };
    let is_sign = |byte: &u8| matches!(byte, b'.' | b':');
    let from = run.iter().position(|byte| !is_sign(byte))?;
    let to = run.iter().rposition(|byte| !is_sign(byte))? + 1;
    let start = || {
        run.iter().position(|byte| *byte == b'.').map(|dot| memchr::memrchr(b':', &run[..dot]).map_or(0, |at| at + 1))
    };
    let v4 = || {
        let start = start()?;
        let end = memchr::memchr(b':', &run[start..]).map_or(to, |at| start + at);
        parse(start, end)
    };
    parse(0, run.len()).or_else(|| parse(0, to)).or_else(|| parse(from, to)).or_else(v4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_of_an_address() {
        for (host, expected) in [
            ("192.0.2.7", "192.0.2.0"),
            ("192.0.2.0", "192.0.2.0"),
            ("192.0.2.7:8080", "192.0.2.0"),
            ("2001:db8:1:2::7", "2001:db8:1::"),
            ("[2001:db8:1:2::7]:443", "2001:db8:1::"),
            ("fe80::1%eth0", "fe80::"),
            ("::ffff:192.0.2.7", "192.0.2.0"),
            ("::1", "::"),
        ] {
            assert_eq!(network(address(host.as_bytes()).unwrap()).to_string(), expected, "{host}");
        }
        for name in ["dialin-7.example", "localhost", "", "1.2.3", "192.0.2.7.example", "\u{e9}"] {
            assert_eq!(address(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn addresses_in_a_text() {
        let masked = |text: &str| {
            let mask = |found: IpAddr, out: &mut Vec<u8>| out.extend_from_slice(format!("<{found}>").as_bytes());
            replace(text.as_bytes(), mask).map(|masked| String::from_utf8(masked).unwrap())
        };
        for (text, expected) in [
            ("192.0.2.7", "<192.0.2.7>"),
            ("192.0.2.7, 198.51.100.1:80 x", "<192.0.2.7>, <198.51.100.1>:80 x"),
            ("for=\"[2001:db8::7]:443\"", "for=\"[<2001:db8::7>]:443\""),
            ("from 192.0.2.7.", "from <192.0.2.7>."),
            ("ip:192.0.2.7", "ip:<192.0.2.7>"),
            ("https://192.0.2.7/x", "https://<192.0.2.7>/x"),
            ("::ffff:192.0.2.7", "<192.0.2.7>"),
        ] {
            assert_eq!(masked(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "10:04:31",
            "1.2.3",
            "Chrome/120.0.0.0",
            "v1.2.3.4",
            "...",
            ":::",
            "beef",
            "2026-01-05T10:04:31Z",
            "a.b.c",
        ] {
            assert_eq!(masked(text), None, "{text}");
        }
    }
}
