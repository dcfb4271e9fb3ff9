//! Where the next byte of interest is.
//!
//! Most fields of a log are short, and calling into a vector search costs more than they are long: the first words
//! are looked at eight bytes at a time here, the rest is left to `memchr`.

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;
/// Words looked at before the vector search takes over.
const WORDS: usize = 4;

/// Marks bytes of `word` that equal `byte`. The lowest mark is always true; a higher one may be false, but only above
/// a true one of the same byte.
#[inline]
const fn equal(word: u64, byte: u8) -> u64 {
    let differs = word ^ (LOW * byte as u64);
    differs.wrapping_sub(LOW) & !differs & HIGH
}

/// Marks bytes of `word` up to and including the blank, NUL and control bytes too.
#[inline]
const fn at_most_blank(word: u64) -> u64 {
    word.wrapping_sub(LOW * 0x21) & !word & HIGH
}

#[inline]
fn first_mark(text: &[u8], marks: impl Fn(u64) -> u64, rest: impl Fn(&[u8]) -> Option<usize>) -> Option<usize> {
    let mut at = 0;
    while at < 8 * WORDS {
        let Some(word) = text.get(at..).and_then(<[u8]>::first_chunk::<8>) else { break };
        let found = marks(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(at + (found.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    rest(text.get(at..)?).map(|found| at + found)
}

/// The first `byte`.
#[inline]
pub(super) fn find(text: &[u8], byte: u8) -> Option<usize> {
    first_mark(text, |word| equal(word, byte), |rest| memchr::memchr(byte, rest))
}

/// The first double quote or backslash.
#[inline]
pub(super) fn find_quote(text: &[u8]) -> Option<usize> {
    first_mark(text, |word| equal(word, b'"') | equal(word, b'\\'), |rest| memchr::memchr2(b'"', b'\\', rest))
}

/// The first byte that is a blank or a control byte.
#[inline]
pub(super) fn find_blank(text: &[u8]) -> Option<usize> {
    first_mark(text, at_most_blank, |rest| rest.iter().position(|byte| *byte <= b' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_is_found_wherever_it_is() {
        let bytes =
            prop::sample::select(&b"\"\\ \x00\x01\x09!#$[]\x20\x21\x22\x5b\x5d\x7f\x80\xa0\xa2\xdc\xffaZ09"[..]);
        let quotes = |byte: &u8| matches!(byte, b'"' | b'\\');
        proptest!(|(text in prop::collection::vec(bytes, 0..70), pad in 0..60_usize)| {
            let text = [vec![b'x'; pad], text].concat();
            prop_assert_eq!(find(&text, b'"'), text.iter().position(|byte| *byte == b'"'));
            prop_assert_eq!(find_quote(&text), text.iter().position(quotes));
            prop_assert_eq!(find_blank(&text), text.iter().position(|byte| *byte <= b' '));
        });
    }
}
