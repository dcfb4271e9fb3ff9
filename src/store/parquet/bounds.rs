//! Bounds of text, cut to a length and still bounds.

/// Longer bounds are cut: a page's bounds are read for every page.
pub(super) const BOUND_BYTES: usize = 64;

/// A text not greater than `text`, at most [`BOUND_BYTES`] long, and whether it is `text` itself.
pub(super) fn lower(text: &str) -> (&str, bool) {
    if text.len() <= BOUND_BYTES {
        return (text, true);
    }
    (&text[..text.floor_char_boundary(BOUND_BYTES)], false)
}

/// A text not less than `text` (nor any text that begins as it does), about as long as [`lower`]'s, and whether it is
/// `text` itself.
pub(super) fn upper(text: &str) -> (String, bool) {
    let (cut, exact) = lower(text);
    if exact {
        return (text.to_owned(), true);
    }
    let mut bound = cut.to_owned();
    while let Some(last) = bound.pop() {
        // The order of UTF-8 bytes is the order of characters, so the next character makes a greater text.
        if let Some(next) = successor(last) {
            bound.push(next);
            return (bound, false);
        }
    }
    (text.to_owned(), true)
}

fn successor(c: char) -> Option<char> {
    match c {
        char::MAX => None,
        '\u{d7ff}' => Some('\u{e000}'),
        _ => char::from_u32(u32::from(c) + 1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bounds_enclose(head in "\\PC{0,70}", tail in "\\PC{0,20}") {
            let text = head.clone() + &tail;
            let (low, high) = (lower(&text), upper(&text));
            prop_assert!(low.0 <= text.as_str() && high.0.as_str() >= text.as_str());
            prop_assert_eq!(low.1, low.0 == text);
            prop_assert_eq!(high.1, high.0 == text);
        }
    }

    #[test]
    fn the_last_character_is_carried() {
        let text = format!("b{}", char::MAX.to_string().repeat(30));
        assert_eq!(upper(&text), ("c".to_owned(), false));
        let text = char::MAX.to_string().repeat(30);
        assert_eq!(upper(&text), (text, true));
    }
}
