//! The request line: `METHOD target PROTOCOL`.

use super::prefix::{is_blank, token_end};
use super::quoted::Quoted;

/// A request line taken apart. Without a target it is odd: `-`, empty, or not HTTP at all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) method: Option<&'a [u8]>,
    pub(super) target: Option<Quoted<'a>>,
    has_protocol: bool,
}

impl<'a> Request<'a> {
    const ODD: Self = Self { method: None, target: None, has_protocol: false };

    /// `METHOD target [PROTOCOL]`, where the target may hold blanks.
    #[inline]
    pub(super) fn lax(request: Quoted<'a>) -> Self {
        let text = request.text;
        let method_len = text.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
        let Some((b' ', rest)) = text.get(method_len..).and_then(<[u8]>::split_first) else { return Self::ODD };
        if method_len == 0 || rest.first().is_none_or(|byte| is_blank(*byte)) {
            return Self::ODD;
        }
        let target_len = memchr::memrchr(b' ', rest).filter(|at| is_protocol(rest.get(at + 1..).unwrap_or_default()));
        let target = rest.get(..target_len.unwrap_or(rest.len())).unwrap_or_default();
        Self {
            method: text.get(..method_len),
            target: Some(Quoted { text: target, is_escaped: request.is_escaped }),
            has_protocol: target_len.is_some(),
        }
    }

    /// Whether it is `METHOD target PROTOCOL` with single blanks and none inside.
    pub(super) fn is_exact(&self) -> bool {
        self.has_protocol && self.target.is_some_and(|target| token_end(target.text, 0) == target.text.len())
    }

    /// Exactly `METHOD target PROTOCOL"` from `at`; the offset is that after the quote, an error that of the part
    /// that does not fit.
    #[inline]
    pub(super) fn strict(line: &'a [u8], at: usize) -> Result<(Self, usize), usize> {
        let text = line.get(at..).unwrap_or_default();
        let method_len = text.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
        if method_len == 0 || text.get(method_len) != Some(&b' ') {
            return Err(at);
        }
        let target_end = token_end(text, method_len + 1);
        let target = text.get(method_len + 1..target_end).filter(|target| !target.is_empty()).ok_or(at)?;
        let protocol = text.get(target_end..).and_then(|rest| rest.strip_prefix(b" HTTP/")).ok_or(at + target_end)?;
        let version_len = protocol.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'.')).count();
        if version_len == 0 || protocol.get(version_len) != Some(&b'"') {
            return Err(at + target_end);
        }
        let request = Self {
            method: text.get(..method_len),
            target: Some(Quoted { text: target, is_escaped: false }),
            has_protocol: true,
        };
        Ok((request, at + target_end + 6 + version_len + 1))
    }
}

/// `HTTP/` and a version of digits and dots.
#[inline]
fn is_protocol(text: &[u8]) -> bool {
    text.strip_prefix(b"HTTP/")
        .is_some_and(|version| !version.is_empty() && version.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.')))
}
