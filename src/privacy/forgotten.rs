//! People who were erased: their keyed hashes, so that an old log does not bring them back.
//!
//! Invariants: nothing but the key holder can tell who it was; an id counts for the times it was erased for.

use std::collections::HashMap;

use super::key::{Key, Kind};

/// The rule that their lines are counted under.
pub const FORGOTTEN: &str = "forgotten";

/// An id that was erased, by its keyed hash, for events in `from <= ts < to` (µs).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// 32 hex digits.
    pub hash: String,
    pub from: i64,
    pub to: i64,
}

/// All of them.
#[derive(Debug)]
pub struct Forgotten {
    key: Key,
    spans: HashMap<u128, Vec<(i64, i64)>>,
}

impl Forgotten {
    /// `None` where nobody was erased.
    #[must_use]
    pub fn new(key: &Key, tombstones: &[Tombstone]) -> Option<Self> {
        let mut spans: HashMap<u128, Vec<(i64, i64)>> = HashMap::new();
        for Tombstone { hash, from, to } in tombstones {
            if let Ok(hash) = u128::from_str_radix(hash, 16) {
                spans.entry(hash).or_default().push((*from, *to));
            }
        }
        (!spans.is_empty()).then(|| Self { key: key.clone(), spans })
    }

    /// The times for which an id was erased; none for most.
    #[must_use]
    pub fn times(&self, id: &[u8]) -> &[(i64, i64)] {
        self.spans.get(&self.key.hash(Kind::Forgotten, &[id])).map_or(&[], Vec::as_slice)
    }

    /// Whether a line that nobody understood has one of them as a word.
    #[must_use]
    pub fn names(&self, line: &[u8]) -> bool {
        let words = line.split(|byte| !is_word(*byte)).filter(|word| !word.is_empty());
        words.into_iter().any(|word| !self.times(word).is_empty())
    }
}

/// The tombstone of an id.
#[must_use]
pub fn tombstone(key: &Key, id: &str, (from, to): (i64, i64)) -> Tombstone {
    Tombstone { hash: format!("{:032x}", key.hash(Kind::Forgotten, &[id.as_bytes()])), from, to }
}

/// The identifiers of somebody, to be found in any text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identifiers {
    ids: Vec<String>,
}

/// An identifier of so many bytes is no accident wherever it stands.
pub const TELLING_BYTES: usize = 8;

impl Identifiers {
    /// Of these ids, each once; empty ones say nothing.
    #[must_use]
    pub fn new(ids: impl IntoIterator<Item = String>) -> Self {
        let mut ids: Vec<String> = ids.into_iter().filter(|id| !id.is_empty()).collect();
        ids.sort();
        ids.dedup();
        Self { ids }
    }

    /// Them.
    #[must_use]
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// Whether a value is one of them, or has a telling one inside.
    #[must_use]
    pub fn is_in(&self, value: &[u8]) -> bool {
        self.ids.iter().any(|id| {
            value == id.as_bytes()
                || (id.len() >= TELLING_BYTES && memchr::memmem::find(value, id.as_bytes()).is_some())
        })
    }

    /// Whether bytes of any kind have a telling one inside.
    #[must_use]
    pub fn are_told_by(&self, bytes: &[u8]) -> bool {
        self.ids.iter().any(|id| id.len() >= TELLING_BYTES && memchr::memmem::find(bytes, id.as_bytes()).is_some())
    }

    /// Whether a line has one of them as a word.
    #[must_use]
    pub fn are_words_of(&self, line: &[u8]) -> bool {
        self.ids.iter().any(|id| words(line, id.as_bytes()).next().is_some())
    }

    /// The text with `instead` for each of them that stands as a word; `None` where none does.
    #[must_use]
    pub fn cut(&self, text: &str, instead: &str) -> Option<String> {
        let mut cut: Option<String> = None;
        for id in &self.ids {
            let now = cut.as_deref().unwrap_or(text);
            let mut made = String::new();
            let mut from = 0;
            for at in words(now.as_bytes(), id.as_bytes()) {
                // A word begins and ends between characters.
                made.push_str(now.get(from..at).unwrap_or_default());
                made.push_str(instead);
                from = at + id.len();
            }
            if from > 0 {
                made.push_str(now.get(from..).unwrap_or_default());
                cut = Some(made);
            }
        }
        cut
    }
}

/// Where a word stands by itself.
fn words<'a>(text: &'a [u8], word: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let alone = move |at: &usize| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        let after = text.get(at + word.len());
        [before, after].into_iter().flatten().all(|byte| !is_word(*byte) || !is_word(word[0]))
    };
    memchr::memmem::find_iter(text, word).filter(alone)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.@+".contains(&byte) || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_and_cut_where_they_stand_alone() {
        let ids = Identifiers::new(["u1".to_owned(), "anon:d1".to_owned(), String::new()]);
        assert!(ids.are_words_of(b"{\"user\":\"u1\"}") && !ids.are_words_of(b"u11 xu1 u1-b"));
        assert_eq!(ids.cut("anon:d1 is u1: u12", "·").unwrap(), "· is ·: u12");
        assert_eq!(ids.cut("nobody", "·"), None);
        assert!(ids.is_in(b"u1") && !ids.is_in(b"u1 "));
        let long = Identifiers::new(["alice1234".to_owned()]);
        assert!(long.is_in(b"/p/alice1234?x") && long.are_told_by(b"\0alice1234\0"));
    }

    #[test]
    fn a_tombstone_holds_for_its_times() {
        let key = Key::new([7; 32]);
        let forgotten = Forgotten::new(&key, &[tombstone(&key, "u1", (5, 9))]).unwrap();
        assert_eq!(forgotten.times(b"u1"), [(5, 9)]);
        assert!(forgotten.times(b"u2").is_empty());
        assert!(forgotten.names(b"x {\"id\": u1}") && !forgotten.names(b"u12"));
        assert!(Forgotten::new(&key, &[]).is_none());
    }
}
