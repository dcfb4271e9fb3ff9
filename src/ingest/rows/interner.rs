//! Bytes to dense codes: every distinct text of a column once.
//!
//! ```text
//! bytes ─► 64-bit hash ─► slots (tag | code) ─► entries[code] = (start, len) ─► arena
//! ```
//!
//! Invariants: code 0 is "absent"; codes count from 1 in order of first sight; the arena holds valid UTF-8 only, an
//! invalid byte sequence became U+FFFD before it got in, so equal texts have equal codes whatever bytes they came
//! from; a hit is proved by comparing the bytes, never by the hash alone.
//!
//! Deliberately not here: any order of the texts (`order.rs` ranks them), removal.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;

/// A text's number within one interner; 0 is "absent".
pub type Code = u32;

/// Slots of an empty table.
const SLOTS: usize = 1 << 10;

/// The distinct texts of one column.
#[derive(Debug)]
pub struct Interner {
    /// Tag (upper half, also the home slot) and code (lower half); 0 is a free slot.
    slots: Vec<u64>,
    /// Start and length in the arena, by code.
    entries: Vec<(u32, u32)>,
    arena: Vec<u8>,
    state: RandomState,
}

impl Default for Interner {
    fn default() -> Self {
        Self { slots: vec![0; SLOTS], entries: vec![(0, 0)], arena: Vec::new(), state: RandomState::default() }
    }
}

impl Interner {
    /// The code of `bytes`, a new one on first sight.
    #[inline]
    pub fn intern(&mut self, bytes: &[u8]) -> Code {
        let tag = self.tag(bytes);
        match self.find(tag, bytes) {
            Ok(code) => code,
            Err(slot) => self.admit(tag, slot, bytes),
        }
    }

    /// The code of a text that was seen, without adding it.
    pub fn get(&self, text: &[u8]) -> Option<Code> {
        self.find(self.tag(text), text).ok()
    }

    /// The texts in order of their codes.
    pub fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().skip(1).map(|(start, len)| &self.arena[*start as usize..*start as usize + *len as usize])
    }

    /// How many codes there are, "absent" included: codes are `0..len()`.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The text of a code; the empty text for 0.
    #[inline]
    pub fn bytes(&self, code: Code) -> &[u8] {
        let (start, len) = self.entries[code as usize];
        &self.arena[start as usize..start as usize + len as usize]
    }

    /// Bytes held, to be counted against the buffer's budget.
    pub fn memory_bytes(&self) -> usize {
        self.arena.len() + self.entries.len() * 8 + self.slots.len() * 8
    }

    /// Forgets every text and keeps the memory.
    pub fn clear(&mut self) {
        self.slots.fill(0);
        self.entries.truncate(1);
        self.arena.clear();
    }

    #[inline]
    fn tag(&self, bytes: &[u8]) -> u32 {
        let mut hasher = self.state.build_hasher();
        hasher.write(bytes);
        (hasher.finish() >> 32) as u32
    }

    /// The code of an entry, or the free slot where it belongs.
    #[inline]
    fn find(&self, tag: u32, bytes: &[u8]) -> Result<Code, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = tag as usize & mask;
        loop {
            let entry = self.slots[slot];
            if entry == 0 {
                return Err(slot);
            }
            #[expect(clippy::cast_possible_truncation, reason = "the lower half is the code")]
            let code = entry as u32;
            if (entry >> 32) as u32 == tag && same(self.bytes(code), bytes) {
                return Ok(code);
            }
            slot = (slot + 1) & mask;
        }
    }

    #[cold]
    fn admit(&mut self, tag: u32, slot: usize, bytes: &[u8]) -> Code {
        if simdutf8::basic::from_utf8(bytes).is_err() {
            // The raw bytes get no slot of their own: the text decides, so two spellings meet in one code.
            let text = String::from_utf8_lossy(bytes);
            return self.intern(text.as_bytes());
        }
        #[expect(clippy::cast_possible_truncation, reason = "the buffer's budget keeps an arena far below 4 GiB")]
        let (code, entry) = (self.entries.len() as u32, (self.arena.len() as u32, bytes.len() as u32));
        self.entries.push(entry);
        self.arena.extend_from_slice(bytes);
        self.slots[slot] = u64::from(tag) << 32 | u64::from(code);
        // At most 5/8 full: probes stay short and the table stays small.
        if self.entries.len() * 8 > self.slots.len() * 5 {
            self.grow();
        }
        code
    }

    fn grow(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        let mut slots = vec![0u64; mask + 1];
        for &entry in self.slots.iter().filter(|entry| **entry != 0) {
            let mut slot = (entry >> 32) as usize & mask;
            while slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            slots[slot] = entry;
        }
        self.slots = slots;
    }
}

/// Equality of two texts; those of up to 16 bytes, which ids and addresses are, take two loads and no call.
#[inline]
fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    match (left.first_chunk::<8>(), right.first_chunk::<8>(), left.last_chunk::<8>(), right.last_chunk::<8>()) {
        (Some(left_head), Some(right_head), Some(left_tail), Some(right_tail)) => {
            left_head == right_head
                && left_tail == right_tail
                && (left.len() <= 16 || left[8..left.len() - 8] == right[8..right.len() - 8])
        }
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_dense_and_stable() {
        let mut interner = Interner::default();
        for round in 0..2 {
            for number in 0u32..20_000 {
                assert_eq!(interner.intern(format!("text {number}").as_bytes()), number + 1, "round {round}");
            }
        }
        assert_eq!(interner.len(), 20_001);
        assert_eq!(interner.bytes(20_000), b"text 19999");
        assert_eq!(interner.bytes(0), b"");
        interner.clear();
        assert_eq!(interner.intern(b""), 1);
    }

    #[test]
    fn equality_looks_at_every_byte() {
        let text: Vec<u8> = (0..70).collect();
        for len in 0..text.len() {
            assert!(same(&text[..len], &text[..len]));
            for at in 0..len {
                let mut other = text[..len].to_vec();
                other[at] ^= 0x80;
                assert!(!same(&text[..len], &other), "{len} {at}");
            }
        }
        assert!(!same(b"abc", b"abcd"));
    }

    #[test]
    fn invalid_bytes_meet_in_their_text() {
        let mut interner = Interner::default();
        let code = interner.intern(b"caf\xe9");
        assert_eq!(interner.intern(b"caf\xff"), code);
        assert_eq!(interner.intern("caf\u{fffd}".as_bytes()), code);
        assert_eq!(interner.bytes(code), "caf\u{fffd}".as_bytes());
        assert_eq!(interner.len(), 2);
    }
}
