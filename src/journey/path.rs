//! Paths as codes: every distinct sequence of labels gets one number, and none is spelled until someone reads it.

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_128;

/// What a path's steps are joined with.
pub const ARROW: &str = " > ";
/// What stands for the steps that are not shown.
pub const MORE: &str = "…";

/// A set of label sequences; codes count from 0 and never change. A hash finds the candidate, the sequence decides.
#[derive(Debug, Default, Clone)]
pub struct Paths {
    table: HashTable<(u64, u32)>,
    labels: Vec<u32>,
    ends: Vec<usize>,
    /// Whether the sequence was cut, so that a cut path never equals a whole one.
    cut: Vec<bool>,
    bytes: Vec<u8>,
}

impl Paths {
    /// Number of distinct paths.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no path yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The labels of a path.
    #[must_use]
    pub fn labels(&self, code: u32) -> &[u32] {
        let at = code as usize;
        let from = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.labels[from..self.ends[at]]
    }

    /// Whether the path was cut after its last label.
    #[must_use]
    pub fn is_cut(&self, code: u32) -> bool {
        self.cut[code as usize]
    }

    /// The code of a sequence; `cut` says that the session went on. Sequences beyond the limit of `steps` are the
    /// caller's to shorten.
    pub fn code(&mut self, steps: impl IntoIterator<Item = u32>, cut: bool) -> u32 {
        self.bytes.clear();
        let from = self.labels.len();
        for label in steps {
            self.labels.push(label);
            self.bytes.extend_from_slice(&label.to_ne_bytes());
        }
        self.bytes.push(u8::from(cut));
        let hash = fold(xxh3_128(&self.bytes));
        let (known, fresh) = self.labels.split_at(from);
        let found = self.table.find(hash, |&(other, code)| {
            let at = code as usize;
            let start = if at == 0 { 0 } else { self.ends[at - 1] };
            other == hash && self.cut[at] == cut && known[start..self.ends[at]] == *fresh
        });
        if let Some(&(_, code)) = found {
            self.labels.truncate(from);
            return code;
        }
        let code = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        self.table.insert_unique(hash, (hash, code), |&(hash, _)| hash);
        self.ends.push(self.labels.len());
        self.cut.push(cut);
        code
    }

    /// Bytes held.
    #[must_use]
    pub fn size(&self) -> usize {
        self.labels.capacity() * 4 + self.ends.capacity() * 9 + self.table.capacity() * 17
    }
}

/// Both halves of a 128-bit hash in 64 bits; the sequence itself is compared anyway.
#[expect(clippy::cast_possible_truncation, reason = "the halves are taken apart")]
const fn fold(hash: u128) -> u64 {
    (hash >> 64) as u64 ^ hash as u64
}

/// Appends a path as people read it: up to `shown` labels joined by [`ARROW`], then [`MORE`] if there are others.
pub fn spell<'a>(labels: impl ExactSizeIterator<Item = &'a str>, shown: usize, out: &mut String) {
    let more = labels.len() > shown;
    for (at, label) in labels.take(shown).enumerate() {
        if at > 0 {
            out.push_str(ARROW);
        }
        out.push_str(label);
    }
    if more {
        out.push_str(ARROW);
        out.push_str(MORE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sequences_share_a_code_and_a_cut_one_differs() {
        let mut paths = Paths::default();
        let whole = paths.code([1, 2, 3], false);
        let cut = paths.code([1, 2, 3], true);
        assert_eq!(paths.code([1, 2, 3], false), whole);
        assert_ne!(whole, cut);
        assert_eq!(paths.labels(cut), [1, 2, 3]);
        assert_eq!((paths.len(), paths.is_cut(cut)), (2, true));
    }

    #[test]
    fn a_long_path_is_shown_in_part() {
        let mut text = String::new();
        spell(["a", "b", "c"].into_iter(), 2, &mut text);
        assert_eq!(text, "a > b > …");
    }
}
