//! Many short texts in one stretch of memory.

/// Texts by number.
#[derive(Debug, Default)]
pub(super) struct Texts {
    bytes: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Texts {
    /// With room for so many of so many bytes together.
    pub fn with_capacity(texts: usize, bytes: usize) -> Self {
        Self { bytes: String::with_capacity(bytes), ends: Vec::with_capacity(texts) }
    }

    pub fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn get(&self, at: usize) -> Option<&str> {
        let end = *self.ends.get(at)?;
        let from = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.bytes.get(from..end)
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|at| self.get(at))
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<usize>()
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
    shared: String,
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
    /// With room for so many of so many bytes together, all from `first` to `last`.
    pub fn with_capacity(texts: usize, bytes: usize, first: &str, last: &str) -> Self {
        let alike = first.char_indices().zip(last.chars()).find(|((_, a), b)| a != b).map(|((at, _), _)| at);
        let shared = &first[..alike.unwrap_or(first.len().min(last.len()))];
        let texts = (Texts::with_capacity(texts, bytes), Vec::with_capacity(texts));
        Self { texts: texts.0, shared: shared.to_owned(), keys: texts.1, bounds: (0, 0) }
    }

    pub fn push(&mut self, text: &str) {
        let start = short_key(text.as_bytes());
        self.bounds = (if self.keys.is_empty() { start } else { self.bounds.0 }, start);
        self.texts.push(text);
        self.keys.push(short_key(&text.as_bytes()[self.shared.len()..]));
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
        let Some(tail) = text.strip_prefix(self.shared.as_bytes()) else {
            if text > self.shared.as_bytes() {
                *place = self.keys.len();
            }
            return false;
        };
        let wanted = short_key(tail);
        // Most that are asked for are not here, and many lie before the next that is.
        if self.keys.get(*place).is_none_or(|&key| key > wanted) {
            return false;
        }
        *place = self.seek(text, wanted, *place);
        self.keys.get(*place) == Some(&wanted) && self.texts.get(*place).is_some_and(|it| it.as_bytes() == text)
    }

    /// The place of the first text that is not before `text`, where none before `low` is.
    fn seek(&self, text: &[u8], wanted: u64, mut low: usize) -> usize {
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
        let place = low + self.keys[low..high].partition_point(|key| *key < wanted);
        let is_before = |at: usize| self.texts.get(at).is_some_and(|it| it.as_bytes() < text);
        if self.keys.get(place) != Some(&wanted) || !is_before(place) {
            return place;
        }
        // Several begin alike.
        let (mut low, mut high) = (place, place + self.keys[place..].partition_point(|key| *key == wanted));
        while low < high {
            let middle = low.midpoint(high);
            if is_before(middle) { low = middle + 1 } else { high = middle }
        }
        low
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
        let mut texts = Ascending::default();
        for text in all {
            texts.push(text);
        }
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
        let mut texts = Ascending::with_capacity(all.len(), 0, all[0], all[all.len() - 1]);
        for text in all {
            texts.push(text);
        }
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
        let mut one = Ascending::with_capacity(1, 3, "abc", "abc");
        one.push("abc");
        assert!(one.find(b"abc", &mut 0) && !one.find(b"ab", &mut 0) && !one.find(b"abcd", &mut 0));
    }
}
