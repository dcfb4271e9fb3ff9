//! Text of a record: a slice of the line, or a range of the scratch arena where an escape was undone.

/// A piece of text found before the scratch arena stops growing; [`Span::read`] turns it into a slice afterwards.
#[derive(Debug, Clone, Copy)]
pub(super) enum Span<'a> {
    Line(&'a [u8]),
    Scratch(usize, usize),
}

impl<'a> Span<'a> {
    /// The text, once `scratch` is complete.
    pub(super) fn read(self, scratch: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Line(text) => text,
            Self::Scratch(from, to) => scratch.get(from..to).unwrap_or_default(),
        }
    }
}
