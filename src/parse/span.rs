//! Text of a record: a slice of the line, or a range of the scratch arena where an escape was undone.

/// A piece of text found before the scratch arena stops growing; [`Span::read`] turns it into a slice afterwards.
#[derive(Debug, Clone, Copy)]
pub(super) enum Span<'a> {
    Line(&'a [u8]),
    Scratch(usize, usize),
}

impl<'a> Span<'a> {
    /// The text, once `scratch` is complete.
    #[inline]
    pub(super) fn read(self, scratch: &'a [u8]) -> &'a [u8] {
        self.peek(scratch)
    }

    /// The text for now, while the arena still grows.
    #[inline]
    pub(super) fn peek<'s>(self, scratch: &'s [u8]) -> &'s [u8]
    where
        'a: 's,
    {
        match self {
            Self::Line(text) => text,
            Self::Scratch(from, to) => scratch.get(from..to).unwrap_or_default(),
        }
    }

    /// Whether the text is empty or `-`.
    pub(super) fn is_absent(self, scratch: &[u8]) -> bool {
        matches!(self.peek(scratch), b"" | b"-")
    }

    /// Appends the text to the arena that it may stand in.
    pub(super) fn copy_to(self, scratch: &mut Vec<u8>) {
        match self {
            Self::Line(text) => scratch.extend_from_slice(text),
            Self::Scratch(from, to) if from <= to && to <= scratch.len() => scratch.extend_from_within(from..to),
            Self::Scratch(..) => {}
        }
    }
}
