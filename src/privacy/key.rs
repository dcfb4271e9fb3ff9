//! The key of a store's masks, and the hashes that nobody can make without it.

use std::fmt;

/// Bytes of a key.
const BYTES: usize = 32;

/// A store's secret: with it a hash can be made again from a value that is known, without it not even tried.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; BYTES]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// What a hash is of: equal values of two kinds have different hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An id of a person, of whatever kind: an alias links a user's id and an anonymous one, so they are of one kind.
    Id,
    /// A client's host.
    Host,
    /// A whole line.
    Line,
    /// A source by its first event line, or by all its bytes.
    Source,
    /// The first bytes of a source.
    Bytes,
    /// Nothing: tells one key from another.
    Check,
    /// An id that was erased.
    Forgotten,
    /// A value that two ids may have in common: an e-mail address, a phone number.
    Match,
}

impl Key {
    /// A key of these random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }

    /// The key that [`Key::to_hex`] wrote; `None` for any other text.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let text = text.trim_ascii().as_bytes();
        let mut key = [0; BYTES];
        if text.len() != 2 * BYTES {
            return None;
        }
        for (byte, digits) in key.iter_mut().zip(text.as_chunks::<2>().0) {
            let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
            *byte = u8::try_from(high? << 4 | low?).ok()?;
        }
        Some(Self(key))
    }

    /// The secret itself, for the file that keeps it and nothing else.
    #[must_use]
    pub fn to_hex(&self) -> String {
        use fmt::Write as _;
        self.0.iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Tells this key from any other, and nothing else about it.
    #[must_use]
    pub fn check(&self) -> String {
        format!("{:032x}", self.hash(Kind::Check, &[]))
    }

    /// The keyed hash of the parts, one behind the other.
    #[must_use]
    pub fn hash(&self, kind: Kind, parts: &[&[u8]]) -> u128 {
        let mut text = vec![kind as u8];
        for part in parts {
            text.extend_from_slice(part);
        }
        let hash = blake3::keyed_hash(&self.0, &text);
        hash.as_bytes().first_chunk().map_or(0, |half| u128::from_le_bytes(*half))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_text_and_is_never_shown() {
        let key = Key::new(std::array::from_fn(|at| u8::try_from(at * 7).unwrap()));
        let text = key.to_hex();
        assert_eq!(Key::from_hex(&format!("{text}\n")), Some(key.clone()));
        assert_eq!(format!("{key:?}"), "Key(…)");
        for foreign in ["", "00", &text[1..], &text.replace('0', "g")] {
            assert_eq!(Key::from_hex(foreign), None, "{foreign}");
        }
        assert!(!text.contains(&key.check()));
    }

    #[test]
    fn a_hash_is_of_key_kind_and_value() {
        let (one, other) = (Key::new([1; 32]), Key::new([2; 32]));
        let hash = one.hash(Kind::Id, &[b"u1"]);
        assert_eq!(hash, one.hash(Kind::Id, &[b"u", b"1"]));
        let others = [other.hash(Kind::Id, &[b"u1"]), one.hash(Kind::Host, &[b"u1"]), one.hash(Kind::Id, &[b"u2"])];
        assert!(!others.contains(&hash));
        assert_ne!(one.check(), other.check());
    }
}
