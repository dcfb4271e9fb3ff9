//! Fields in double quotes, and the session id that some logs append in one.

use super::super::span::Span;
use super::super::{refuse, scan};
use super::malformed;
use super::prefix::{is_blank, token_end};
use crate::event::{Reject, RejectReason};

/// The inside of a quoted field, escapes still in it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Quoted<'a> {
    pub(super) text: &'a [u8],
    /// There is a `\"` or `\\` to undo.
    pub(super) is_escaped: bool,
}

impl<'a> Quoted<'a> {
    /// The text with `\"` and `\\` undone; other escapes (`\x16`, `\n`) say what the server could not write and stay.
    pub(super) fn unescape(self, scratch: &mut Vec<u8>) -> Span<'a> {
        if !self.is_escaped {
            return Span::Line(self.text);
        }
        let from = scratch.len();
        let mut rest = self.text;
        while let Some(at) = memchr::memchr(b'\\', rest) {
            let is_undone = matches!(rest.get(at + 1), Some(b'"' | b'\\'));
            let kept = if is_undone { at } else { at + 1 };
            scratch.extend_from_slice(rest.get(..kept).unwrap_or_default());
            scratch.extend(rest.get(at + 1));
            rest = rest.get(at + 2..).unwrap_or_default();
        }
        scratch.extend_from_slice(rest);
        Span::Scratch(from, scratch.len())
    }
}

/// ` "` at `at`; the offset is that of the field's first byte.
#[inline]
pub(super) fn open(line: &[u8], at: usize) -> Result<usize, Reject> {
    if line.get(at..).is_some_and(|rest| rest.starts_with(b" \"")) { Ok(at + 2) } else { Err(malformed(at)) }
}

/// The field from `at` to its closing quote, a backslash escaping the next byte; the offset is that after the quote.
#[inline]
pub(super) fn lax(line: &[u8], at: usize) -> Result<(Quoted<'_>, usize), Reject> {
    let text = line.get(at..).unwrap_or_default();
    let mut end = 0;
    let mut is_escaped = false;
    loop {
        let rest = text.get(end..).unwrap_or_default();
        let found = scan::find_quote(rest).ok_or(refuse(RejectReason::UnclosedQuote, at.max(1) - 1))?;
        end += found;
        if rest[found] == b'"' {
            return Ok((Quoted { text: &text[..end], is_escaped }, at + end + 1));
        }
        is_escaped = true;
        end += 2;
    }
}

/// The field from `at` to the next quote, whatever it holds; the offset is that after the quote.
#[inline]
pub(super) fn strict(line: &[u8], at: usize) -> Result<(Quoted<'_>, usize), usize> {
    let text = line.get(at..).unwrap_or_default();
    let end = scan::find(text, b'"').ok_or(at)?;
    Ok((Quoted { text: &text[..end], is_escaped: false }, at + end + 1))
}

/// The id of the first `"sid=…"` (or `sid=…`) among the fields after the user agent.
#[inline]
pub(super) fn session_id(rest: &[u8]) -> Option<&[u8]> {
    if rest.is_empty() {
        return None;
    }
    let mut at = 0;
    while at < rest.len() {
        if is_blank(rest[at]) {
            at += 1;
            continue;
        }
        let is_quoted = rest[at] == b'"';
        let (text, next) = if is_quoted {
            let (field, next) = lax(rest, at + 1).ok()?;
            (field.text, next)
        } else {
            let next = token_end(rest, at);
            (rest.get(at..next)?, next)
        };
        if let Some(id) = text.strip_prefix(b"sid=") {
            return Some(id);
        }
        at = next;
    }
    None
}
