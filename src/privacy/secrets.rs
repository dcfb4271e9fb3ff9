//! Secrets in addresses and other texts: what stands behind `token=` and its like becomes `***`.
//!
//! ```text
//! /login?next=%2Fhome%3Ftoken%3Dab%26x%3D1&user[password]=cd#access_token=ef   https://ann:pw@host/
//!                       token%3D***%26x%3D1&user[password]=***#access_token=***  https://***@host/
//! ```
//! A parameter counts wherever it stands: in a query, a fragment, a cookie, or percent-encoded (also twice) inside of
//! another. Its name is compared without case, `_` and `-`; of `user[password]` and `user.password` every part counts.
//!
//! Invariants: what was replaced once stays as it is; what is no parameter of these names is not touched.
//!
//! Deliberately not here: secrets that are segments of a path – `[pages] rules` is for pages, and nobody can tell a
//! secret segment from another.

use std::collections::HashSet;

use foldhash::fast::FixedState;

use super::GONE;

/// The spellings of `=` with those of what ends its value.
const LEVELS: [(&[u8], [&[u8]; 2]); 3] =
    [(b"=", [b"&", b"#"]), (b"%3d", [b"%26", b"%23"]), (b"%253d", [b"%2526", b"%2523"])];

/// Bytes that are looked back at for a name, or for who a link logs in as: no line makes that long.
const LOOK_BACK: usize = 256;

/// The names whose values are secret.
#[derive(Debug)]
pub(super) struct Secrets {
    names: HashSet<Vec<u8>, FixedState>,
}

impl Secrets {
    /// Of these names.
    pub(super) fn new(names: &[&str]) -> Self {
        Self { names: names.iter().map(|name| plain(name.as_bytes())).collect() }
    }

    /// Whether a name, or a part of it, is one of those.
    pub(super) fn names(&self, name: &[u8]) -> bool {
        let is_secret = |part: &[u8]| !part.is_empty() && self.names.contains(&plain(part));
        is_secret(name) || name.split(|byte| matches!(byte, b'[' | b']' | b'.')).any(is_secret)
    }

    /// The text without its secrets; `None` where it has none.
    pub(super) fn scrub(&self, text: &[u8]) -> Option<Vec<u8>> {
        memchr::memchr3(b'=', b'%', b'@', text)?;
        let (mut clean, mut copied, mut at) = (Vec::new(), 0, 0);
        while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr3(b'=', b'%', b'@', rest)) {
            at += found;
            let Some((from, to)) = self.secret(text, copied, at) else {
                at += 1;
                continue;
            };
            clean.extend_from_slice(&text[copied..from]);
            clean.extend_from_slice(GONE);
            (copied, at) = (to, to);
        }
        clean.extend_from_slice(&text[copied..]);
        (copied > 0 && clean != text).then_some(clean)
    }

    /// Where the secret is that the mark at `at` stands for; nothing before `copied` belongs to it.
    fn secret(&self, text: &[u8], copied: usize, at: usize) -> Option<(usize, usize)> {
        let back = copied.max(at.saturating_sub(LOOK_BACK));
        let (before, rest) = (&text[back..at], &text[at..]);
        if rest.first() == Some(&b'@') {
            let start = memchr::memmem::rfind(before, b"://")? + 3;
            let is_user = before[start..].iter().all(|byte| !matches!(byte, b'/' | b'?' | b'#' | b' ' | b'"'));
            return (is_user && start < before.len()).then_some((back + start, at));
        }
        let (mark, ends) = LEVELS.iter().find(|(mark, _)| starts_with(rest, mark))?;
        if !self.names(name_before(before).as_slice()) {
            return None;
        }
        let from = at + mark.len();
        let value = &text[from..];
        let is_end = |at: usize| {
            let rest = &value[at..];
            matches!(rest[0], b'&' | b'#' | b' ' | b'\t' | b'"' | b'\'' | b'<' | b'>')
                || rest.starts_with(b"; ")
                || ends.iter().any(|end| starts_with(rest, end))
        };
        let len = (0..value.len()).find(|at| is_end(*at)).unwrap_or(value.len());
        (len > 0).then_some((from, from + len))
    }
}

/// A name as it is compared.
pub(super) fn plain(name: &[u8]) -> Vec<u8> {
    name.iter().filter(|byte| !matches!(byte, b'_' | b'-')).map(u8::to_ascii_lowercase).collect()
}

/// The name that a text ends with, percent-encoding undone.
fn name_before(text: &[u8]) -> Vec<u8> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.[]$%~".contains(byte);
    let start = text.iter().rposition(|byte| !is_part(byte)).map_or(0, |last| last + 1);
    // Twice, for a parameter inside of a parameter.
    let name = decode(&decode(&text[start..]));
    let is_name = |byte: &u8| is_part(byte) && *byte != b'%';
    let start = name.iter().rposition(|byte| !is_name(byte)).map_or(0, |last| last + 1);
    name[start..].to_vec()
}

/// Undoes percent-encoding; what is none stays.
fn decode(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let digit = |at: usize| text.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        let code = (*byte == b'%').then(|| u8::try_from(digit(at + 1)? << 4 | digit(at + 2)?).ok()).flatten();
        plain.push(code.unwrap_or(*byte));
        at += if code.is_some() { 3 } else { 1 };
    }
    plain
}

fn starts_with(text: &[u8], lower: &[u8]) -> bool {
    text.get(..lower.len()).is_some_and(|start| start.eq_ignore_ascii_case(lower))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrubbed(text: &str) -> String {
        let secrets = Secrets::new(&["token", "access_token", "password", "code", "sid", "email"]);
        let clean =
            secrets.scrub(text.as_bytes()).map_or_else(|| text.to_owned(), |clean| String::from_utf8(clean).unwrap());
        assert_eq!(secrets.scrub(clean.as_bytes()), None, "{clean} is scrubbed again");
        clean
    }

    #[test]
    fn secrets_are_found_wherever_they_stand() {
        for (text, clean) in [
            ("/a?token=x1&b=2", "/a?token=***&b=2"),
            ("/a?b=2&ToKen=x1#top", "/a?b=2&ToKen=***#top"),
            ("/cb#access_token=x1&state=s", "/cb#access_token=***&state=s"),
            ("/cb?accessToken=x1&access-token=x2", "/cb?accessToken=***&access-token=***"),
            ("/u?user[password]=x1&user.email=a@b.c", "/u?user[password]=***&user.email=***"),
            ("/u?user%5Bpassword%5D=x1", "/u?user%5Bpassword%5D=***"),
            ("/in?next=%2Fh%3Ftoken%3Dx1%26y%3D2&z=3", "/in?next=%2Fh%3Ftoken%3D***%26y%3D2&z=3"),
            ("/in?next=%252Fh%253Ftoken%253Dx1%2526y", "/in?next=%252Fh%253Ftoken%253D***%2526y"),
            ("/in?token=a=b==&c=d", "/in?token=***&c=d"),
            ("sid=x1; theme=dark", "sid=***; theme=dark"),
            ("token=x;y", "token=***"),
            ("code=5\"rest", "code=***\"rest"),
            ("https://ann:pw@example.com/?q=a@b", "https://***@example.com/?q=a@b"),
            ("see http://ann@h/ and ftp://bob:pw@h/", "see http://***@h/ and ftp://***@h/"),
            ("/?a=1&token=caf\u{e9}", "/?a=1&token=***"),
        ] {
            assert_eq!(scrubbed(text), clean);
        }
    }

    #[test]
    fn all_else_stays() {
        for text in
            ["", "/", "/a?b=token", "/a?tokens=1&mytoken=2", "/token/abc", "/a?token=", "/a?token=&b", "a@b.c", "50%"]
        {
            assert_eq!(scrubbed(text), text);
        }
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm() {
        let secrets = Secrets::new(&["token"]);
        assert_eq!(secrets.scrub(b"/?\xfftoken=\xff\xfe&x").unwrap(), b"/?\xfftoken=***&x");
        for at in 0..8 {
            secrets.scrub(&b"%253dtoken%"[at..]);
        }
    }
}
