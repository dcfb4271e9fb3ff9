//! The few offsets of a JSON text that masks and conditions need. The text was read by a parser before, so it is one;
//! of anything else the offsets are still within the text.

use std::borrow::Cow;

/// The offset after the string that opens at `at`.
pub(super) fn string_end(text: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(len) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += len;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

/// The offset after the value at `at`.
pub(super) fn value_end(text: &[u8], at: usize) -> usize {
    match text.get(at) {
        Some(b'"') => string_end(text, at),
        Some(b'{' | b'[') => nested_end(text, at),
        _ => {
            let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
            let rest = text.get(at..).unwrap_or_default();
            at + rest.iter().position(is_end).unwrap_or(rest.len())
        }
    }
}

fn nested_end(text: &[u8], at: usize) -> usize {
    let (mut at, mut depth) = (at, 0_usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at = string_end(text, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return at + 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// The offset of the next byte that is no white space.
pub(super) fn skip_blank(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + (rest.len() - rest.trim_ascii_start().len())
}

/// Where the value begins whose key ends at `at`; `None` where no colon follows, so that it was no key.
pub(super) fn after_colon(text: &[u8], at: usize) -> Option<usize> {
    let at = skip_blank(text, at);
    (text.get(at) == Some(&b':')).then(|| skip_blank(text, at + 1))
}

/// What a string token says, quotes and escapes undone.
#[must_use]
pub fn unquote(token: &[u8]) -> Cow<'_, [u8]> {
    let inside = token.strip_prefix(b"\"").unwrap_or(token);
    let inside = inside.strip_suffix(b"\"").unwrap_or(inside);
    if memchr::memchr(b'\\', inside).is_none() {
        return Cow::Borrowed(inside);
    }
    match serde_json::from_str::<String>(&String::from_utf8_lossy(token)) {
        Ok(text) => Cow::Owned(text.into_bytes()),
        // Half of a surrogate, which no text has.
        Err(_) => Cow::Borrowed(inside),
    }
}

/// Appends a text as a string token.
pub(super) fn push_quoted(text: &[u8], out: &mut Vec<u8>) {
    let quoted = serde_json::to_string(&String::from_utf8_lossy(text)).unwrap_or_default();
    out.extend_from_slice(quoted.as_bytes());
}

/// The members of an object, keys as they say and values as their tokens; none of anything else.
pub fn members(object: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, &[u8])> {
    let mut at = skip_blank(object, 0);
    if object.get(at) != Some(&b'{') {
        at = object.len();
    }
    std::iter::from_fn(move || {
        let Some(b'{' | b',') = object.get(at) else { return None };
        let key = skip_blank(object, at + 1);
        let end = string_end(object, key);
        let start = after_colon(object, end)?;
        let value = value_end(object, start);
        at = skip_blank(object, value);
        Some((unquote(object.get(key..end)?), object.get(start..value)?))
    })
}

/// The value of a member of the object, as its token; of equal keys the last one's.
fn member<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    members(object).filter(|(key, _)| key.as_ref() == name.as_bytes()).map(|(_, value)| value).last()
}

/// The value at the end of a way into objects, as its token.
#[must_use]
pub fn token<'a>(names: &[String], object: &'a [u8]) -> Option<&'a [u8]> {
    names.iter().try_fold(object, |object, name| member(object, name))
}

/// The text of a field of a JSON object: the decoded text of a string, any other value as it is written; `None` where
/// there is no such field, or it is null.
#[must_use]
pub fn property<'a>(names: &[String], object: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    let token = token(names, object)?;
    match token.first()? {
        b'"' => Some(unquote(token)),
        b'n' => None,
        _ => Some(Cow::Borrowed(token)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_by_what_their_keys_say() {
        let object = br#" { "a" : "x}\"," , "b":{"a":[1,"]"]}, "c\u006f":true,"a":-1.5e3 ,"e":null}"#;
        let member = |name| member(object, name).map(|value| String::from_utf8_lossy(value).into_owned());
        assert_eq!(member("a").unwrap(), "-1.5e3");
        assert_eq!(member("b").unwrap(), r#"{"a":[1,"]"]}"#);
        assert_eq!(member("co").unwrap(), "true");
        assert_eq!(member("e").unwrap(), "null");
        assert_eq!(member("x"), None);
        assert_eq!(super::member(b"[]", "a"), None);
    }

    #[test]
    fn no_text_leads_out_of_itself() {
        for broken in [&b"{\"a"[..], b"{\"a\":", b"{\"a\":[1", b"{\"a\":\"x\\", b"{", b"", b"{\"a\" 1}", b"{,,,"] {
            for at in 0..=broken.len() {
                assert!(value_end(broken, at) <= broken.len() && skip_blank(broken, at) <= broken.len());
            }
            member(broken, "a");
        }
    }
}
