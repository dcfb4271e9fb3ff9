//! Escapes of JSON strings.

/// The offset of the closing quote, from a backslash inside the string; an error is the offset of a bad escape, or
/// the end of the line where no quote comes.
pub(super) fn escaped_end(line: &[u8], at: usize) -> Result<usize, usize> {
    let mut at = at;
    loop {
        match line.get(at) {
            Some(b'"') => return Ok(at),
            Some(_) => match line.get(at + 1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at += 2,
                Some(b'u') if hex4(line, at + 2).is_some() => at += 6,
                _ => return Err(at),
            },
            None => return Err(line.len()),
        }
        let rest = line.get(at..).unwrap_or_default();
        at += memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
    }
}

/// Appends `text` with its escapes undone; a surrogate without its other half becomes U+FFFD. An error is the offset
/// of a bad escape.
pub(super) fn unescape(text: &[u8], out: &mut Vec<u8>) -> Result<(), usize> {
    let mut at = 0;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let Some(len) = memchr::memchr(b'\\', rest) else {
            out.extend_from_slice(rest);
            return Ok(());
        };
        out.extend_from_slice(&rest[..len]);
        at += len;
        let plain = match text.get(at + 1) {
            Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let (symbol, len) = unicode(text, at).ok_or(at)?;
                out.extend_from_slice(symbol.encode_utf8(&mut [0; 4]).as_bytes());
                at += len;
                continue;
            }
            _ => return Err(at),
        };
        out.push(plain);
        at += 2;
    }
}

/// The character of `\uXXXX`, or of a pair of surrogates, at `at`, and the length of its notation.
fn unicode(text: &[u8], at: usize) -> Option<(char, usize)> {
    let first = hex4(text, at + 2)?;
    if (0xd800..0xdc00).contains(&first)
        && text.get(at + 6..at + 8) == Some(b"\\u")
        && let Some(second) = hex4(text, at + 8).filter(|second| (0xdc00..0xe000).contains(second))
    {
        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return Some((char::from_u32(code)?, 12));
    }
    Some((char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6))
}

fn hex4(text: &[u8], at: usize) -> Option<u32> {
    text.get(at..at + 4)?.iter().try_fold(0, |sum, byte| Some(sum << 4 | char::from(*byte).to_digit(16)?))
}
