//! People who were erased: their keyed hashes, so that an old log does not bring them back.
//!
//! Invariants: nothing but the key holder can tell who it was; an id counts for the times it was erased for.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use regex::bytes::{Regex, RegexBuilder};

use super::key::{Key, Kind};

/// The rule that their lines are counted under.
pub const ERASED: &str = "erased";

/// An id that was erased, by its keyed hash, for events in `from <= ts < to` (µs).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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

    /// Whether a line that nobody understood has one of them, see [`Identifiers::are_told_by`].
    #[must_use]
    pub fn names(&self, line: &[u8]) -> bool {
        let mut words: Vec<(usize, usize)> = Vec::new();
        let mut at = 0;
        for word in line.split(|byte| !is_word(*byte)) {
            if !word.is_empty() {
                words.push((at, at + word.len()));
            }
            at += word.len() + 1;
        }
        // An id may have separators of its own: auth0|5f7c, user:123.
        words.iter().enumerate().any(|(no, &(from, _))| {
            words[no..].iter().take(WORDS).any(|&(_, to)| {
                let text = &line[from..to];
                !self.times(text).is_empty() && (text.len() >= TELLING_BYTES || is_value(line, from, to))
            })
        })
    }
}

/// Words that an id has at most, to be found in a line that nobody understood.
const WORDS: usize = 4;

/// The tombstone of an id.
#[must_use]
pub fn tombstone(key: &Key, id: &str, (from, to): (i64, i64)) -> Tombstone {
    Tombstone { hash: format!("{:032x}", key.hash(Kind::Forgotten, &[id.as_bytes()])), from, to }
}

/// The identifiers of somebody, to be found in any text.
#[derive(Debug, Clone, Default)]
pub struct Identifiers {
    ids: BTreeSet<String>,
    /// Those that tell wherever they stand, in one search.
    telling: Option<Regex>,
}

/// An identifier of so many bytes is no accident wherever it stands.
pub const TELLING_BYTES: usize = 8;
/// What a search for all of somebody's ids may take, in bytes.
const SEARCH_BYTES: usize = 256 << 20;

impl Identifiers {
    /// Of these ids, also as JSON and links spell them; empty ones say nothing.
    ///
    /// # Errors
    /// There are more than can be looked for.
    pub fn new(ids: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut all: BTreeSet<String> = ids.into_iter().filter(|id| !id.is_empty()).collect();
        let others: Vec<String> = all.iter().flat_map(|id| spellings(id)).collect();
        all.extend(others);
        let mut telling: Vec<&String> = all.iter().filter(|id| id.len() >= TELLING_BYTES).collect();
        // Of two that begin alike the longer one is found, so that nothing of it is left.
        telling.sort_by_key(|id| Reverse(id.len()));
        let telling: Vec<String> = telling.into_iter().map(|id| regex::escape(id)).collect();
        let search = || {
            RegexBuilder::new(&telling.join("|"))
                .unicode(false)
                .size_limit(SEARCH_BYTES)
                .build()
                .map_err(|error| format!("cannot look for {} ids at once: {error}", telling.len()))
        };
        Ok(Self { telling: if telling.is_empty() { None } else { Some(search()?) }, ids: all })
    }

    /// Them.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.ids.iter().map(String::as_str)
    }

    /// Bytes of the longest.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.ids.iter().map(String::len).max().unwrap_or(0)
    }

    /// Whether bytes of any kind have a telling one inside.
    #[must_use]
    pub fn are_inside(&self, bytes: &[u8]) -> bool {
        self.telling.as_ref().is_some_and(|telling| telling.is_match(bytes))
    }

    /// Whether a value is one of them, or has a telling one inside.
    #[must_use]
    pub fn are_in_value(&self, value: &[u8]) -> bool {
        std::str::from_utf8(value).is_ok_and(|value| self.ids.contains(value)) || self.are_inside(value)
    }

    /// Whether a text tells of them: it has a telling one inside, or a short one where a value stands, as in
    /// `"user":"u1"`, `"id":17`, `id=17`. A short one elsewhere is an accident: a status, an hour.
    #[must_use]
    pub fn are_told_by(&self, text: &[u8]) -> bool {
        self.are_in_value(text) || self.short().any(|id| values(text, id.as_bytes()).next().is_some())
    }

    fn short(&self) -> impl Iterator<Item = &str> {
        self.ids().filter(|id| id.len() < TELLING_BYTES)
    }

    /// The text with `instead` where it tells of them; `None` where it does not.
    #[must_use]
    pub fn cut(&self, text: &str, instead: &str) -> Option<String> {
        if !self.are_told_by(text.as_bytes()) {
            return None;
        }
        if self.ids.contains(text) {
            return Some(instead.to_owned());
        }
        let mut cut = match &self.telling {
            // Ids are text, and so is what lies between them.
            Some(telling) => {
                let replaced = telling.replace_all(text.as_bytes(), regex::bytes::NoExpand(instead.as_bytes()));
                String::from_utf8_lossy(&replaced).into_owned()
            }
            None => text.to_owned(),
        };
        for id in self.short() {
            let places: Vec<usize> = values(cut.as_bytes(), id.as_bytes()).collect();
            for at in places.into_iter().rev() {
                cut.replace_range(at..at + id.len(), instead);
            }
        }
        Some(cut)
    }
}

/// An id as JSON, a link and SQL spell it, where that is another text.
fn spellings(id: &str) -> Vec<String> {
    let json = serde_json::to_string(id).map(|text| text[1..text.len() - 1].to_owned()).unwrap_or_default();
    let percent = |upper: bool| {
        id.bytes().fold(String::new(), |mut text, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                let hex = format!("%{byte:02x}");
                text.push_str(&if upper { hex.to_uppercase() } else { hex });
            }
            text
        })
    };
    // A query of a segment says it in SQL.
    let (text, name) = (id.replace('\'', "''"), id.replace('"', "\"\""));
    // Many writers of JSON keep to ASCII.
    let ascii = |upper: bool| {
        json.encode_utf16().fold(String::new(), |text, unit| match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => text + char::from(byte).encode_utf8(&mut [0; 4]),
            _ if upper => text + &format!("\\u{unit:04X}"),
            _ => text + &format!("\\u{unit:04x}"),
        })
    };
    let all = [json.replace('/', "\\/"), ascii(true), ascii(false), percent(true), percent(false), text, name, json];
    all.into_iter().filter(|text| text != id).collect()
}

/// Where a word stands as a value.
fn values<'a>(text: &'a [u8], word: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    memchr::memmem::find_iter(text, word).filter(move |&at| is_value(text, at, at + word.len()))
}

/// Whether the bytes are a value that a key or a quote introduces.
fn is_value(text: &[u8], from: usize, to: usize) -> bool {
    let before = text[..from].trim_ascii_end();
    let quoted = |quote: u8| before.last() == Some(&quote) && text.get(to) == Some(&quote) && before.len() == from;
    let ends = text.get(to).is_none_or(|byte| !is_word(*byte));
    let keyed = before.last() == Some(&b'=') || before.ends_with(b"\":");
    quoted(b'"') || quoted(b'\'') || (keyed && ends)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.@+".contains(&byte) || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ids_tell_as_values_and_long_ones_anywhere() {
        let ids = |ids: &[&str]| Identifiers::new(ids.iter().map(|id| (*id).to_owned())).unwrap();
        let short = ids(&["u1", "17", ""]);
        for told in ["u1", "{\"user\":\"u1\"}", "{\"id\": 17}", "GET /?u=17&x", "'u1' is 'u2'"] {
            assert!(short.are_told_by(told.as_bytes()), "{told}");
        }
        for other in ["u11", "10:17:00", "HTTP/1.1\" 17 5", "a u1 b", "{\"u\":\"xu1\"}", "?u=171", ""] {
            assert!(!short.are_told_by(other.as_bytes()), "{other}");
        }
        assert_eq!(short.cut("'u1' is 'u2': u1", "·").unwrap(), "'·' is 'u2': u1");
        let quoted = ids(&["o'brien-smith", "d'or"]);
        for told in ["WHERE user_id = 'o''brien-smith'", "WHERE user_id IN ('d''or')"] {
            assert!(quoted.are_told_by(told.as_bytes()), "{told}");
        }
        let foreign = ids(&["jos\u{e9}-garc\u{ed}a", "a\u{1f600}b"]);
        for told in [
            r#"{"u":"jos\u00e9-garc\u00eda"}"#,
            r#"{"u":"jos\u00E9-garc\u00EDa"}"#,
            r"a\ud83d\ude00b",
            r"x a\uD83D\uDE00b",
        ] {
            assert!(foreign.are_told_by(told.as_bytes()), "{told}");
        }
        let alike = ids(&["alice.smith", "alice.smith@example.org", "jane@example.org", "smith@example.org"]);
        assert_eq!(
            alike.cut("of alice.smith@example.org and alice.smith, jane@example.org", "·").unwrap(),
            "of · and ·, ·"
        );
        let long = ids(&["alice/1234"]);
        for told in ["/p/alice/1234.html", "\\\"alice\\/1234\\\"", "?u=alice%2F1234", "?u=alice%2f1234", "0alice/12340"]
        {
            assert!(long.are_told_by(told.as_bytes()) && long.are_inside(told.as_bytes()), "{told}");
        }
        assert_eq!(long.cut("of alice/1234.", "·").unwrap(), "of ·.");
        assert_eq!(long.cut("nobody", "·"), None);
    }

    #[test]
    fn a_tombstone_holds_for_its_times() {
        let key = Key::new([7; 32]);
        let forgotten = Forgotten::new(&key, &[tombstone(&key, "u1", (5, 9))]).unwrap();
        assert_eq!(forgotten.times(b"u1"), [(5, 9)]);
        assert!(forgotten.times(b"u2").is_empty());
        assert!(forgotten.names(b"x {\"id\":\"u1\"}") && !forgotten.names(b"u12 u1"));
        let apart = Forgotten::new(&key, &[tombstone(&key, "auth0|5f7c8ec7", (5, 9))]).unwrap();
        assert!(apart.names(b"by auth0|5f7c8ec7;") && !apart.names(b"auth0|5f7c8ec8"));
        assert!(Forgotten::new(&key, &[]).is_none());
    }
}
