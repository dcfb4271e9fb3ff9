//! Text from a log is hostile: what must never reach a terminal, a page or a message as it is.
//!
//! | in the value | shown as |
//! |---|---|
//! | line feed, carriage return, tab | `\n` `\r` `\t` |
//! | other C0 controls (ESC, NUL, BEL …), DEL | `\x1b` |
//! | C1 controls (some terminals take U+009B for ESC `[`) | `\u{9b}` |
//! | direction overrides, line and paragraph separators, invisible marks, tags | `\u{202e}` |
//!
//! A backslash stays as it is: what is shown is for reading, not for reading back (json and parquet are).

use std::borrow::Cow;
use std::fmt::Write;

/// The text with everything that could move a cursor, change a colour or turn the direction made visible.
#[must_use]
pub fn neutral(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            // Writing to a String cannot fail.
            c if c.is_ascii() && is_hostile(c) => _ = write!(shown, "\\x{:02x}", u32::from(c)),
            c if is_hostile(c) => _ = write!(shown, "\\u{{{:x}}}", u32::from(c)),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Controls, and format characters that show one text as another.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Bytes as text: what is UTF-8 as it is, every other byte as `\xHH`.
#[must_use]
pub fn readable_bytes(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        shown.push_str(chunk.valid());
        for byte in chunk.invalid() {
            _ = write!(shown, "\\x{byte:02x}");
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_survives() {
        assert_eq!(neutral("/cart"), "/cart");
        assert_eq!(neutral("a\x1b[31mb\nc\td\0"), "a\\x1b[31mb\\nc\\td\\x00");
        assert_eq!(neutral("x\u{9b}2J\u{202e}gpj.exe\u{200b}"), "x\\u{9b}2J\\u{202e}gpj.exe\\u{200b}");
        assert_eq!(neutral("Zürich 東京 🛒"), "Zürich 東京 🛒");
    }

    #[test]
    fn bytes_that_are_no_text_are_spelled() {
        assert_eq!(readable_bytes(b"GET /caf\xe9 HTTP/1.1"), "GET /caf\\xe9 HTTP/1.1");
        assert_eq!(readable_bytes("é".as_bytes()), "é");
    }
}
