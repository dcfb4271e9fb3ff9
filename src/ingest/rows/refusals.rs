//! Refused lines with their raw bytes, waiting to become rows of the quarantine.

use std::borrow::Cow;

use crate::event::{Refused, RejectReason};

/// One refused line; its bytes stand in [`Refusals`], and the detail of its reason behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The source's number within the commit group.
    pub source: u32,
    pub offset: u64,
    /// From 1; 0 where the line is no longer known (a conflicting duplicate).
    pub line_no: u64,
    pub reason: RejectReason,
    /// Bytes of the line that were understood.
    pub matched: u32,
    start: usize,
    len: usize,
    detail: usize,
}

/// All refused lines of a buffer.
#[derive(Debug, Default)]
pub struct Refusals {
    pub items: Vec<Refusal>,
    raw: Vec<u8>,
}

impl Refusals {
    /// Keeps a refused line. `at` is (source, offset, line number).
    pub fn push(&mut self, at: (u32, u64, u64), refused: &Refused, matched: u32, raw: &[u8]) {
        let (source, offset, line_no) = at;
        let (start, len) = (self.raw.len(), raw.len());
        let (reason, detail) = (refused.reason, refused.detail.as_deref().unwrap_or_default());
        self.raw.extend_from_slice(raw);
        self.raw.extend_from_slice(detail.as_bytes());
        self.items.push(Refusal { source, offset, line_no, reason, matched, start, len, detail: detail.len() });
    }

    /// The line's bytes without its terminator.
    pub fn raw(&self, refusal: &Refusal) -> &[u8] {
        &self.raw[refusal.start..refusal.start + refusal.len]
    }

    /// The text of its `reason` column.
    pub fn reason(&self, refusal: &Refusal) -> Cow<'static, str> {
        let from = refusal.start + refusal.len;
        let detail = &self.raw[from..from + refusal.detail];
        let detail = (!detail.is_empty()).then(|| String::from_utf8_lossy(detail).into_owned());
        Refused { reason: refusal.reason, detail }.text()
    }

    pub fn memory_bytes(&self) -> usize {
        self.raw.len() + self.items.len() * size_of::<Refusal>()
    }

    pub fn clear(&mut self) {
        self.items.clear();
        self.raw.clear();
    }
}
