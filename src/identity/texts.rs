//! Many short texts in one stretch of memory.

use std::cmp::Ordering;
use std::ops::Range;

/// Texts by number.
#[derive(Debug, Default)]
pub struct Texts {
    bytes: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Texts {
    /// With room for so many of so many bytes together.
    #[must_use]
    pub fn with_capacity(texts: usize, bytes: usize) -> Self {
        Self { bytes: String::with_capacity(bytes), ends: Vec::with_capacity(texts) }
    }

    /// Adds one behind the others.
    pub fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&str> {
        self.bytes.get(self.range(at)?)
    }

    /// The bytes of a text. Cutting a `str` would look at the bytes beside it for borders of letters.
    #[inline]
    fn get_bytes(&self, at: usize) -> Option<&[u8]> {
        self.bytes.as_bytes().get(self.range(at)?)
    }

    #[inline]
    fn range(&self, at: usize) -> Option<Range<usize>> {
        let end = *self.ends.get(at)?;
        Some(at.checked_sub(1).map_or(0, |before| self.ends[before])..end)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|at| self.get(at))
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<usize>()
    }
}

impl<'a> FromIterator<&'a str> for Texts {
    fn from_iter<I: IntoIterator<Item = &'a str>>(all: I) -> Self {
        let all = all.into_iter();
        let mut texts = Self::with_capacity(all.size_hint().0, 0);
        all.for_each(|text| texts.push(text));
        texts
    }
}

/// The first eight bytes of a text as a number that orders like them.
#[inline]
fn short_key(text: &[u8]) -> u64 {
    let Some(first) = text.first_chunk() else {
        let mut first = [0; 8];
        first[..text.len()].copy_from_slice(text);
        return u64::from_be_bytes(first);
    };
    u64::from_be_bytes(*first)
}

/// Texts that ascend, to be looked up in.
#[derive(Debug, Default)]
pub(super) struct Ascending {
    pub texts: Texts,
    /// What all of them begin with.
    shared: Vec<u8>,
    /// The eight bytes behind that of each as one number: most comparisons need no more.
    keys: Vec<u64>,
    /// The first eight bytes of the first text and of the last.
    bounds: (u64, u64),
}

/// So many steps of one come before a search.
const NEAR: usize = 12;

/// The first sixteen bytes of a text as a number that orders like them.
#[inline]
pub(super) fn key(text: &[u8]) -> u128 {
    let Some(first) = text.first_chunk() else {
        let mut first = [0; 16];
        first[..text.len()].copy_from_slice(text);
        return u128::from_be_bytes(first);
    };
    u128::from_be_bytes(*first)
}

impl Ascending {
    /// Texts that are in their order.
    pub fn new(texts: Texts) -> Self {
        let first = texts.get(0).unwrap_or_default();
        let last = texts.get(texts.len().wrapping_sub(1)).unwrap_or_default();
        let bounds = (short_key(first.as_bytes()), short_key(last.as_bytes()));
        // What lies between two texts begins like both of them.
        let alike = first.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
        let shared = first.as_bytes()[..alike].to_vec();
        let tail = |at: usize| texts.get_bytes(at).and_then(|text| text.get(alike..)).unwrap_or_default();
        let keys = (0..texts.len()).map(|at| short_key(tail(at))).collect();
        Self { texts, shared, keys, bounds }
    }

    /// Whether a text is among them. It is looked for from `place` on, before which it is not; then `place` is that of
    /// the first that is not before it. What is asked for in ascending order costs a step each.
    #[inline]
    pub fn find(&self, text: &[u8], place: &mut usize) -> bool {
        // Most that are asked for lie before all of them, or behind.
        let start = short_key(text);
        if start < self.bounds.0 || start > self.bounds.1 {
            if start > self.bounds.1 {
                *place = self.keys.len();
            }
            return false;
        }
        let Some(tail) = text.strip_prefix(&*self.shared) else {
            if text > &*self.shared {
                *place = self.keys.len();
            }
            return false;
        };
        let wanted = short_key(tail);
        // Most that are asked for are not here, and many lie before the next that is.
        if self.keys.get(*place).is_none_or(|&key| key > wanted) {
            return false;
        }
        *place = self.seek(wanted, *place);
        if self.keys.get(*place) != Some(&wanted) {
            return false;
        }
        // Hardly ever do two begin alike, and a look at a text costs as much as all steps to it.
        let mut order = self.compare(*place, text);
        if order == Ordering::Less {
            *place = self.among_equal(text, wanted, *place + 1);
            order = self.compare(*place, text);
        }
        order == Ordering::Equal
    }

    /// The place of the first key that is not below `wanted`, where none before `low` is.
    fn seek(&self, wanted: u64, mut low: usize) -> usize {
        // What is asked for in order is hardly ever far away, and steps of one are what a processor foresees.
        let near = (low + NEAR).min(self.keys.len());
        while low < near && self.keys[low] < wanted {
            low += 1;
        }
        let mut step = 1;
        while self.keys.get(low + step - 1).is_some_and(|key| *key < wanted) {
            low += step;
            step *= 2;
        }
        let high = (low + step - 1).min(self.keys.len()).max(low);
        low + self.keys[low..high].partition_point(|key| *key < wanted)
    }

    /// The place of the first text that is not before `text`, from `low` on among those that begin alike.
    fn among_equal(&self, text: &[u8], wanted: u64, mut low: usize) -> usize {
        let mut high = low + self.keys[low..].partition_point(|key| *key == wanted);
        while low < high {
            let middle = low.midpoint(high);
            if self.compare(middle, text) == Ordering::Less { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// What is there beside a text; nothing is behind all.
    #[inline]
    fn compare(&self, at: usize, text: &[u8]) -> Ordering {
        self.texts.get_bytes(at).map_or(Ordering::Greater, |it| it.cmp(text))
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        self.texts.size() + self.keys.len() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeking_from_anywhere_before_finds_the_first_that_is_not_before() {
        let all = ["", "a", "ab", "b", "b\u{e9}", "c", "longer text than others", "longer text than that"];
        let texts = Ascending::new(all.into_iter().collect());
        for wanted in [
            "",
            "A",
            "a",
            "aa",
            "ab",
            "abc",
            "b",
            "bz",
            "b\u{e9}",
            "c",
            "d",
            "longer t",
            "longer text than others",
            "longer text than p",
            "m",
        ] {
            let place = texts.texts.iter().position(|it| it >= wanted).unwrap_or(texts.texts.len());
            for from in 0..=place {
                let mut found = from;
                let is_there = texts.texts.get(place) == Some(wanted);
                assert_eq!(texts.find(wanted.as_bytes(), &mut found), is_there, "{wanted} from {from}");
                assert_eq!(found, place, "{wanted} from {from}");
            }
        }
        assert_eq!((texts.texts.get(2), texts.texts.get(8)), (Some("ab"), None));
    }

    #[test]
    fn what_all_begin_with_is_no_part_of_the_search() {
        let all = ["id:\u{e9}", "id:\u{e9}a", "id:\u{e9}abcdefgh1", "id:\u{e9}abcdefgh2", "id:\u{ea}"];
        let texts = Ascending::new(all.into_iter().collect());
        for wanted in ["", "i", "id:", "id:z", "ib", "if", "id:\u{e9}abcdefgh", "id:\u{e9}abcdefgh1x", "id:\u{eb}", "j"]
            .iter()
            .chain(&all)
        {
            let place = all.iter().position(|it| it >= wanted).unwrap_or(all.len());
            for from in 0..=place {
                let mut found = from;
                assert_eq!(texts.find(wanted.as_bytes(), &mut found), all.contains(wanted), "{wanted} from {from}");
                assert_eq!(found, place, "{wanted} from {from}");
            }
        }
        let one = Ascending::new(["abc"].into_iter().collect());
        assert!(one.find(b"abc", &mut 0) && !one.find(b"ab", &mut 0) && !one.find(b"abcd", &mut 0));
    }
}
