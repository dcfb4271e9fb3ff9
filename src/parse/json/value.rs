//! The extent of JSON values: strings, numbers, words, and whole objects and lists stepped over.
//!
//! Errors are the offset of the byte that no JSON has there.

use super::super::scan;
use super::super::span::Span;
use super::strings;

/// The deepest nesting that is stepped over.
const DEPTH: u32 = 128;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::parse) enum Kind {
    /// A string without escapes.
    Plain,
    /// A string with escapes.
    Escaped,
    Number,
    Bool,
    Null,
    Object,
    List,
}

/// A value of the line: the bytes `from..to`, for strings those between the quotes.
#[derive(Debug, Clone, Copy)]
pub(in crate::parse) struct Value {
    pub(in crate::parse) kind: Kind,
    pub(in crate::parse) from: usize,
    pub(in crate::parse) to: usize,
}

impl Value {
    /// The value as it stands in the line, quotes included.
    pub(super) fn raw(self) -> (usize, usize) {
        match self.kind {
            Kind::Plain | Kind::Escaped => (self.from - 1, self.to + 1),
            _ => (self.from, self.to),
        }
    }

    /// The value's text, escapes undone in `scratch`; an error is the offset of a bad escape.
    #[inline]
    pub(super) fn text<'a>(self, line: &'a [u8], scratch: &mut Vec<u8>) -> Result<Span<'a>, usize> {
        let text = line.get(self.from..self.to).unwrap_or_default();
        if self.kind != Kind::Escaped {
            return Ok(Span::Line(text));
        }
        let from = scratch.len();
        strings::unescape(text, scratch).map_err(|at| self.from + at)?;
        Ok(Span::Scratch(from, scratch.len()))
    }
}

/// The first offset from `at` that is no JSON white space.
#[inline]
pub(super) fn skip_blank(line: &[u8], at: usize) -> usize {
    let mut at = at;
    while line.get(at).is_some_and(|byte| *byte <= b' ' && matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The offset of the value after `:`.
#[inline]
pub(super) fn skip_colon(line: &[u8], at: usize) -> Result<usize, usize> {
    let at = skip_blank(line, at);
    if line.get(at) == Some(&b':') { Ok(skip_blank(line, at + 1)) } else { Err(at) }
}

/// The string whose opening quote is at `at`, and the offset after its closing quote.
#[inline]
pub(super) fn string(line: &[u8], at: usize) -> Result<(Value, usize), usize> {
    if line.get(at) != Some(&b'"') {
        return Err(at);
    }
    let from = at + 1;
    let rest = line.get(from..).unwrap_or_default();
    match scan::find_quote(rest) {
        Some(len) if rest[len] == b'"' => Ok((Value { kind: Kind::Plain, from, to: from + len }, from + len + 1)),
        Some(len) => {
            let end = strings::escaped_end(line, from + len)?;
            Ok((Value { kind: Kind::Escaped, from, to: end }, end + 1))
        }
        None => Err(line.len()),
    }
}

/// The value at `at` and the offset after it.
#[inline]
pub(super) fn value(line: &[u8], at: usize) -> Result<(Value, usize), usize> {
    let found = |kind, to| Ok((Value { kind, from: at, to }, to));
    match line.get(at) {
        Some(b'"') => string(line, at),
        Some(b'{') => found(Kind::Object, nested_end(line, at)?),
        Some(b'[') => found(Kind::List, nested_end(line, at)?),
        Some(b't') => found(Kind::Bool, word_end(line, at, b"true")?),
        Some(b'f') => found(Kind::Bool, word_end(line, at, b"false")?),
        Some(b'n') => found(Kind::Null, word_end(line, at, b"null")?),
        _ => found(Kind::Number, number_end(line, at)?),
    }
}

/// For a list with a scalar in front that scalar (headers come as lists), else the value itself.
pub(super) fn first_of_list(line: &[u8], list: Value) -> Value {
    if list.kind != Kind::List {
        return list;
    }
    match value(line, skip_blank(line, list.from + 1)) {
        Ok((first, _)) if !matches!(first.kind, Kind::Object | Kind::List) => first,
        _ => list,
    }
}

/// Whether the whole text is one JSON object.
pub(in crate::parse) fn is_object(text: &[u8]) -> bool {
    text.first() == Some(&b'{') && nested_end(text, 0) == Ok(text.len())
}

fn word_end(line: &[u8], at: usize, word: &[u8]) -> Result<usize, usize> {
    if line.get(at..).is_some_and(|rest| rest.starts_with(word)) { Ok(at + word.len()) } else { Err(at) }
}

/// The end of the number at `at`: `-?digits(.digits)?([eE][+-]?digits)?` without a leading zero.
#[inline]
fn number_end(line: &[u8], at: usize) -> Result<usize, usize> {
    let first = at + usize::from(line.get(at) == Some(&b'-'));
    let mut end = digits_end(line, first)?;
    if line.get(first) == Some(&b'0') && end > first + 1 {
        return Err(first + 1);
    }
    if line.get(end) == Some(&b'.') {
        end = digits_end(line, end + 1)?;
    }
    if matches!(line.get(end), Some(b'e' | b'E')) {
        end = digits_end(line, end + 1 + usize::from(matches!(line.get(end + 1), Some(b'+' | b'-'))))?;
    }
    Ok(end)
}

#[inline]
fn digits_end(line: &[u8], at: usize) -> Result<usize, usize> {
    let mut end = at;
    while line.get(end).is_some_and(u8::is_ascii_digit) {
        end += 1;
    }
    if end > at { Ok(end) } else { Err(at) }
}

/// The end of the object or list that opens at `at`, its grammar checked on the way.
fn nested_end(line: &[u8], at: usize) -> Result<usize, usize> {
    // One bit a level, 1 for an object.
    let mut levels: u128 = 0;
    let mut depth = 0;
    let mut at = at;
    loop {
        // At the start of a value.
        match line.get(at) {
            Some(open @ (b'{' | b'[')) => {
                if depth == DEPTH {
                    return Err(at);
                }
                let is_object = *open == b'{';
                at = skip_blank(line, at + 1);
                if line.get(at) == Some(if is_object { &b'}' } else { &b']' }) {
                    at += 1;
                } else {
                    levels = levels << 1 | u128::from(is_object);
                    depth += 1;
                    if is_object {
                        at = key_end(line, at)?;
                    }
                    continue;
                }
            }
            Some(b'"') => at = string(line, at)?.1,
            Some(b't') => at = word_end(line, at, b"true")?,
            Some(b'f') => at = word_end(line, at, b"false")?,
            Some(b'n') => at = word_end(line, at, b"null")?,
            _ => at = number_end(line, at)?,
        }
        // After a value.
        loop {
            if depth == 0 {
                return Ok(at);
            }
            at = skip_blank(line, at);
            let is_object = levels & 1 == 1;
            match line.get(at) {
                Some(b',') => {
                    at = skip_blank(line, at + 1);
                    if is_object {
                        at = key_end(line, at)?;
                    }
                    break;
                }
                Some(b'}') if is_object => {}
                Some(b']') if !is_object => {}
                _ => return Err(at),
            }
            levels >>= 1;
            depth -= 1;
            at += 1;
        }
    }
}

/// The offset of the value behind the key at `at`.
fn key_end(line: &[u8], at: usize) -> Result<usize, usize> {
    skip_colon(line, string(line, at)?.1)
}
