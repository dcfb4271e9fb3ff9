//! Bytes to dense codes: every distinct text of a column once.
//!
//! ```text
//! bytes ─► 64-bit hash ─► slots (tag, code, start, len) ─► arena          code ─► entries[code] = (start, len) ─► arena
//! ```
//!
//! Invariants: code 0 is "absent"; codes count from 1 in order of first sight; the arena holds valid UTF-8 only, an
//! invalid byte sequence became U+FFFD before it got in, so equal texts have equal codes whatever bytes they came
//! from; a hit is proved by comparing the bytes, never by the hash alone.
//!
//! Deliberately not here: any order of the texts (`order.rs` ranks them), removal.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::error::ArrowError;
use foldhash::fast::{FoldHasher, RandomState};

/// A text's number within one interner; 0 is "absent".
pub type Code = u32;

/// Bits of a text's hash: they tell the home slot and most texts apart.
pub type Tag = u32;

/// Slots of an empty table.
const SLOTS: usize = 1 << 10;

/// Where a text is; looking one up costs two misses of the cache, one here and one in the arena.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Bits of the hash, which also tell the home slot.
    tag: Tag,
    /// 0 in a free slot.
    code: Code,
    start: u32,
    len: u32,
}

/// The distinct texts of one column.
#[derive(Debug)]
pub struct Interner {
    slots: Vec<Slot>,
    /// Start and length in the arena, by code.
    entries: Vec<(u32, u32)>,
    arena: Vec<u8>,
    state: RandomState,
}

impl Default for Interner {
    fn default() -> Self {
        Self {
            slots: vec![Slot::default(); SLOTS],
            entries: vec![(0, 0)],
            arena: Vec::new(),
            state: RandomState::default(),
        }
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

    #[inline]
    fn tag(&self, bytes: &[u8]) -> Tag {
        self.tag_by(|hasher| hasher.write(bytes))
    }

    /// What a look-up of the bytes begins with that `write` hands over.
    #[inline]
    pub fn tag_by(&self, write: impl FnOnce(&mut FoldHasher<'_>)) -> Tag {
        let mut hasher = self.state.build_hasher();
        write(&mut hasher);
        (hasher.finish() >> 32) as Tag
    }

    /// The code of a text that was seen, without adding it.
    pub fn get(&self, text: &[u8]) -> Option<Code> {
        self.find(self.tag(text), text).ok()
    }

    /// The texts in order of their codes.
    pub fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().skip(1).map(|(start, len)| self.text(*start, *len))
    }

    /// How many codes there are, "absent" included: codes are `0..len()`.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The text of a code; the empty text for 0.
    #[inline]
    pub fn bytes(&self, code: Code) -> &[u8] {
        let (start, len) = self.entries[code as usize];
        self.text(start, len)
    }

    #[inline]
    fn text(&self, start: u32, len: u32) -> &[u8] {
        &self.arena[start as usize..start as usize + len as usize]
    }

    /// The texts by their codes; the text of 0 is empty.
    ///
    /// # Errors
    /// They are more bytes than one array holds.
    pub fn array(&self) -> Result<ArrayRef, ArrowError> {
        let ends = self.entries.iter().map(|(start, len)| start + len);
        let offsets = std::iter::once(0).chain(ends).map(i32::try_from).collect::<Result<Vec<i32>, _>>();
        let offsets =
            offsets.map_err(|_| ArrowError::InvalidArgumentError("a column's texts exceed 2 GiB".to_owned()))?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Ok(Arc::new(StringArray::try_new(offsets, Buffer::from(self.arena.as_slice()), None)?))
    }

    /// Bytes held, to be counted against the buffer's budget.
    pub fn memory_bytes(&self) -> usize {
        self.arena.len() + self.entries.len() * 8 + self.slots.len() * size_of::<Slot>()
    }

    /// Forgets every text and keeps the memory.
    pub fn clear(&mut self) {
        self.slots.fill(Slot::default());
        self.entries.truncate(1);
        self.arena.clear();
    }

    #[inline]
    fn find(&self, tag: Tag, bytes: &[u8]) -> Result<Code, usize> {
        self.find_by(tag, bytes.len(), |text| same(text, bytes))
    }

    /// The code of the entry with this tag and length that `is_it`, or the free slot where it belongs.
    #[inline]
    pub fn find_by(&self, tag: Tag, len: usize, is_it: impl Fn(&[u8]) -> bool) -> Result<Code, usize> {
        let mask = self.slots.len() - 1;
        let mut at = tag as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot.code == 0 {
                return Err(at);
            }
            if slot.tag == tag && slot.len as usize == len && is_it(self.text(slot.start, slot.len)) {
                return Ok(slot.code);
            }
            at = (at + 1) & mask;
        }
    }

    #[cold]
    fn admit(&mut self, tag: Tag, slot: usize, bytes: &[u8]) -> Code {
        if simdutf8::basic::from_utf8(bytes).is_err() {
            // The raw bytes get no slot of their own: the text decides, so two spellings meet in one code.
            let text = String::from_utf8_lossy(bytes);
            return self.intern(text.as_bytes());
        }
        self.add(tag, slot, bytes)
    }

    /// A new code for the bytes that belong into a free slot.
    pub fn add(&mut self, tag: Tag, slot: usize, bytes: &[u8]) -> Code {
        #[expect(clippy::cast_possible_truncation, reason = "the buffer's budget keeps an arena far below 4 GiB")]
        let (code, start, len) = (self.entries.len() as u32, self.arena.len() as u32, bytes.len() as u32);
        self.entries.push((start, len));
        self.arena.extend_from_slice(bytes);
        self.slots[slot] = Slot { tag, code, start, len };
        // At most 3/4 full: probes stay short and the table stays small.
        if self.entries.len() * 4 > self.slots.len() * 3 {
            self.grow();
        }
        code
    }

    fn grow(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        let mut slots = vec![Slot::default(); mask + 1];
        for &slot in self.slots.iter().filter(|slot| slot.code != 0) {
            let mut at = slot.tag as usize & mask;
            while slots[at].code != 0 {
                at = (at + 1) & mask;
            }
            slots[at] = slot;
        }
        self.slots = slots;
    }
}

/// Equality of two texts; those of 4 to 16 bytes, which most are, take two loads of each and no call.
#[inline]
pub fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    if let (Some(left_head), Some(right_head), Some(left_tail), Some(right_tail)) =
        (left.first_chunk::<8>(), right.first_chunk::<8>(), left.last_chunk::<8>(), right.last_chunk::<8>())
    {
        return left_head == right_head
            && left_tail == right_tail
            && (left.len() <= 16 || left[8..left.len() - 8] == right[8..right.len() - 8]);
    }
    match (left.first_chunk::<4>(), right.first_chunk::<4>(), left.last_chunk::<4>(), right.last_chunk::<4>()) {
        (Some(left_head), Some(right_head), Some(left_tail), Some(right_tail)) => {
            left_head == right_head && left_tail == right_tail
        }
        _ => left.iter().eq(right),
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
