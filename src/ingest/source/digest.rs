//! What is remembered of a source's bytes, so that it is known again under any name and in any packing.
//!
//! ```text
//! plain text   |16|32|64| … |step|   |2·step|   |3·step|   …   |tail|offset
//! checkpoints    ▲  ▲  ▲       ▲        ▲          ▲              ▲     ▲     hash of everything before
//! ```
//!
//! `tail` is where the last record begins that had no newline yet (= `offset` where the text ended with one): such a
//! record may still grow. Checkpoints stand at the powers of two up to `step` and then at its multiples; `step`
//! doubles when there are too many, so that the state of a source of any size stays near 4 KiB.
//!
//! Where `[privacy]` is on the hashes are *sealed*: what is kept is a keyed hash of each. A bare one of sixteen bytes
//! would tell the address that a log begins with to whoever tries them all.
//!
//! Invariants: a hash at n is the 128-bit hash of the first n plain bytes, whatever the reads were cut like, and only
//! leaves the memory as the seal says; the encoded form has a version and is refused, not guessed, when it is another.
//!
//! Deliberately not here: which source an input is (`identify.rs`), reading (`input/`).

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use crate::privacy::{Key, Kind};

/// The first checkpoint.
const FIRST: u64 = 16;
/// The smallest distance of regular checkpoints.
const STEP: u64 = 64 << 10;
/// Regular checkpoints beyond which the distance doubles.
const REGULAR: usize = 128;
/// Last bytes that a hasher keeps.
const RECENT: usize = 1 << 10;
/// The versions of the encoded form: with bare hashes, with sealed ones.
const BARE: u8 = 1;
const SEALED: u8 = 2;

/// How the bytes of sources are remembered.
#[derive(Debug, Clone, Default)]
pub struct Seal {
    /// The store's, where it has one: also when nothing new is sealed, what was sealed is recognised.
    key: Option<Key>,
    /// What is written from now on is sealed.
    on: bool,
}

impl Seal {
    /// With the store's key; `on`: what is written is sealed.
    pub fn new(key: Option<Key>, on: bool) -> Self {
        Self { on: on && key.is_some(), key }
    }

    /// The hash of the first `at` bytes as it is kept; `None` where it is sealed with a key that is not there.
    pub fn hash(&self, sealed: bool, at: u64, hash: u128) -> Option<u128> {
        if !sealed {
            return Some(hash);
        }
        Some(self.key.as_ref()?.hash(Kind::Bytes, &[&at.to_le_bytes(), &hash.to_le_bytes()]))
    }

    /// The hash that names a source.
    pub fn name(&self, bytes: &[u8], seed: u64) -> u64 {
        match &self.key {
            #[expect(clippy::cast_possible_truncation, reason = "as many bits as a name has")]
            Some(key) if self.on => key.hash(Kind::Source, &[&seed.to_le_bytes(), bytes]) as u64,
            _ => xxh3_64_with_seed(bytes, seed),
        }
    }

    /// What a table is known by, whose bytes have this hash: as it is written now, and all that it may be known by.
    pub fn tables(&self, hash: u128) -> Vec<Vec<u8>> {
        let bare = [&b"P"[..], &hash.to_le_bytes()].concat();
        let Some(sealed) = self.hash(true, 0, hash) else { return vec![bare] };
        let sealed = [&b"S"[..], &sealed.to_le_bytes()].concat();
        if self.on { vec![sealed, bare] } else { vec![bare, sealed] }
    }
}

/// Hashes of prefixes of one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoints {
    step: u64,
    hashes: Vec<u128>,
}

impl Default for Checkpoints {
    fn default() -> Self {
        Self { step: STEP, hashes: Vec::new() }
    }
}

impl Checkpoints {
    /// Where checkpoint number `at` stands.
    fn position(&self, at: usize) -> u64 {
        let powers = (self.step / FIRST).trailing_zeros() as usize;
        if at <= powers { FIRST << at } else { self.step * (at - powers + 1) as u64 }
    }

    /// The hashes with their positions, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u128)> {
        self.hashes.iter().enumerate().map(|(at, hash)| (self.position(at), *hash))
    }

    fn push(&mut self, hash: u128) {
        self.hashes.push(hash);
        let powers = (self.step / FIRST).trailing_zeros() as usize;
        if self.hashes.len() > powers + REGULAR {
            // Every second regular checkpoint is a multiple of the doubled step; the powers of two all stay.
            let kept = (0..self.hashes.len())
                .filter(|at| *at <= powers || (at - powers + 1).is_multiple_of(2))
                .map(|at| self.hashes[at])
                .collect();
            self.hashes = kept;
            self.step *= 2;
        }
    }
}

/// Hashes a text as it is read.
#[derive(Default, Clone)]
pub struct Hasher {
    state: Box<Xxh3>,
    position: u64,
    checkpoints: Checkpoints,
    /// The last bytes taken.
    recent: Vec<u8>,
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher").field("position", &self.position).finish_non_exhaustive()
    }
}

impl Hasher {
    /// Takes the next bytes of the text.
    pub fn update(&mut self, mut bytes: &[u8]) {
        let last = &bytes[bytes.len().saturating_sub(RECENT)..];
        self.recent.drain(..(self.recent.len() + last.len()).saturating_sub(RECENT));
        self.recent.extend_from_slice(last);
        while !bytes.is_empty() {
            let room = self.checkpoints.position(self.checkpoints.hashes.len()) - self.position;
            let take = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
            let (now, later) = bytes.split_at(take);
            self.state.update(now);
            self.position += take as u64;
            bytes = later;
            if take as u64 == room {
                self.checkpoints.push(self.state.digest128());
            }
        }
    }

    /// Bytes taken so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The hash of everything so far.
    pub fn hash(&self) -> u128 {
        self.state.digest128()
    }

    /// The last bytes taken, up to a kilobyte.
    pub fn recent(&self) -> &[u8] {
        &self.recent
    }

    pub fn checkpoints(&self) -> &Checkpoints {
        &self.checkpoints
    }
}

/// What became of an unterminated last record, to be undone when it grows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// An event of this day.
    Stored(i32),
    /// Refused, received on this day.
    Quarantined(i32),
    /// By this rule.
    Dropped(String),
}

/// The tail and how to read on from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// Where the unterminated last record begins; the source's `offset` where there is none.
    pub start: u64,
    /// What became of it; `None` where there is none.
    pub fate: Option<Fate>,
    /// Physical lines before it.
    pub lines: u64,
    /// The parser's state before it (`LineParser::state`).
    pub parser: Vec<u8>,
    /// The source has its name from an event line, as it should.
    pub named: bool,
}

/// The state of a source in the catalog (`SourceRow.digest`), beside its `offset`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub checkpoints: Checkpoints,
    /// Hash of the first `offset` bytes.
    pub whole: u128,
    pub tail: Tail,
    /// Hash of the first `tail.start` bytes.
    pub before_tail: u128,
    /// The hashes are sealed.
    pub sealed: bool,
}

impl State {
    /// The state of a text that was read to where `hasher` is, as the seal lets it be kept.
    pub fn new(hasher: &Hasher, tail: Tail, before_tail: u128, seal: &Seal) -> Self {
        let sealed = seal.on;
        let kept = |at: u64, hash: u128| seal.hash(sealed, at, hash).unwrap_or_default();
        let mut checkpoints = hasher.checkpoints().clone();
        checkpoints.hashes = checkpoints.iter().map(|(at, hash)| kept(at, hash)).collect();
        let before_tail = kept(tail.start, before_tail);
        Self { checkpoints, whole: kept(hasher.position(), hasher.hash()), tail, before_tail, sealed }
    }

    /// Whether `kept`, a hash of this state, is of bytes with this hash.
    pub fn is(&self, kept: u128, seal: &Seal, (at, hash): (u64, u128)) -> bool {
        seal.hash(self.sealed, at, hash) == Some(kept)
    }

    /// The last known position that is at most `limit`, with its hash.
    pub fn last_at_most(&self, limit: u64, offset: u64) -> Option<(u64, u128)> {
        let marks = [(offset, self.whole), (self.tail.start, self.before_tail)];
        self.checkpoints
            .iter()
            .chain(marks)
            .filter(|(at, _)| *at <= limit && *at > 0 && *at <= offset)
            .max_by_key(|(at, _)| *at)
    }

    /// The bytes for the catalog.
    pub fn encode(&self) -> Vec<u8> {
        // The tail is small and rarely looked at: JSON, between fields of fixed size.
        let tail = serde_json::to_vec(&self.tail).unwrap_or_default();
        let mut bytes = vec![if self.sealed { SEALED } else { BARE }];
        bytes.extend_from_slice(&self.checkpoints.step.to_le_bytes());
        bytes.extend_from_slice(&self.whole.to_le_bytes());
        bytes.extend_from_slice(&self.before_tail.to_le_bytes());
        bytes.extend_from_slice(&(tail.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&tail);
        for hash in &self.checkpoints.hashes {
            bytes.extend_from_slice(&hash.to_le_bytes());
        }
        bytes
    }

    /// Reads [`State::encode`]'s bytes; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut at = Fields(bytes);
        let [version] = at.take()?;
        if !matches!(version, BARE | SEALED) {
            return None;
        }
        let step = u64::from_le_bytes(at.take()?);
        let whole = u128::from_le_bytes(at.take()?);
        let before_tail = u128::from_le_bytes(at.take()?);
        let tail_len = usize::try_from(u64::from_le_bytes(at.take()?)).ok()?;
        let tail: Tail = serde_json::from_slice(at.0.get(..tail_len)?).ok()?;
        at.0 = &at.0[tail_len..];
        if !step.is_power_of_two() || step < STEP || at.0.len() % 16 != 0 {
            return None;
        }
        let mut hashes = Vec::with_capacity(at.0.len() / 16);
        while let Some(hash) = at.take() {
            hashes.push(u128::from_le_bytes(hash));
        }
        let checkpoints = Checkpoints { step, hashes };
        Some(Self { checkpoints, whole, tail, before_tail, sealed: version == SEALED })
    }
}

/// Fixed-size fields from the front of a slice.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_128;

    fn text(len: usize) -> Vec<u8> {
        (0..len).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect()
    }

    #[test]
    fn hashes_are_those_of_prefixes_however_the_reads_were_cut() {
        let text = text(3 << 20);
        let mut cuts = [1usize, 15, 17, 4_096, 65_537, 1 << 20].into_iter().cycle();
        let mut hasher = Hasher::default();
        let mut rest = &text[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(cuts.next().unwrap().min(rest.len()));
            hasher.update(now);
            rest = later;
        }
        assert_eq!(hasher.position(), text.len() as u64);
        assert_eq!(hasher.recent(), &text[text.len() - RECENT..]);
        assert_eq!(hasher.hash(), xxh3_128(&text));
        let marks: Vec<(u64, u128)> = hasher.checkpoints().iter().collect();
        assert_eq!(marks.iter().map(|(at, _)| *at).take(4).collect::<Vec<_>>(), [16, 32, 64, 128]);
        assert_eq!(marks.last().unwrap().0, 3 << 20);
        for (at, hash) in marks {
            assert_eq!(hash, xxh3_128(&text[..usize::try_from(at).unwrap()]), "{at}");
        }
    }

    #[test]
    fn a_long_text_keeps_a_bounded_state() {
        let text = text(1 << 20);
        let mut hasher = Hasher::default();
        let mut whole = Xxh3::new();
        for _ in 0..150 {
            hasher.update(&text);
            whole.update(&text);
        }
        assert_eq!(hasher.hash(), whole.digest128());
        assert!(hasher.checkpoints().hashes.len() < 150);
        let last = hasher.checkpoints().iter().last().unwrap().0;
        assert!(hasher.position() - last < hasher.checkpoints().step);
        assert!(hasher.checkpoints().iter().is_sorted_by(|left, right| left.0 < right.0));
    }

    #[test]
    fn a_state_survives_its_bytes() {
        let mut hasher = Hasher::default();
        hasher.update(&text(200_000));
        let state = State {
            checkpoints: hasher.checkpoints().clone(),
            whole: hasher.hash(),
            tail: Tail {
                start: 199_000,
                fate: Some(Fate::Dropped("comment".to_owned())),
                lines: 7,
                parser: b"#Fields".to_vec(),
                named: true,
            },
            before_tail: 7,
            sealed: false,
        };
        let sealed = State { sealed: true, ..state.clone() };
        assert_eq!(State::decode(&state.encode()), Some(state.clone()));
        assert_eq!(State::decode(&sealed.encode()), Some(sealed));
        assert_eq!(State::decode(b""), None);
        assert_eq!(State::decode(&[3; 60]), None);
        assert_eq!(state.last_at_most(199_500, 200_000), Some((199_000, 7)));
        assert_eq!(state.last_at_most(100, 200_000).unwrap().0, 64);
        assert_eq!(state.last_at_most(15, 200_000), None);
    }

    #[test]
    fn a_seal_hides_the_hashes_and_knows_them_again() {
        let mut hasher = Hasher::default();
        hasher.update(&text(1_000));
        let tail = Tail { start: 900, fate: None, lines: 3, parser: Vec::new(), named: true };
        let key = Some(Key::new([7; 32]));
        let (bare, sealing) = (Seal::new(key.clone(), false), Seal::new(key, true));
        let state = State::new(&hasher, tail.clone(), 5, &sealing);
        let own: Vec<(u64, u128)> = hasher.checkpoints().iter().collect();
        for ((at, hash), (_, kept)) in own.into_iter().zip(state.checkpoints.iter()) {
            assert_ne!(hash, kept);
            assert!(state.is(kept, &bare, (at, hash)) && !state.is(kept, &bare, (at + 1, hash)));
            assert!(!state.is(kept, &Seal::default(), (at, hash)), "without the key");
        }
        assert!(state.is(state.whole, &sealing, (1_000, hasher.hash())));
        assert_eq!(State::new(&hasher, tail, 5, &bare).whole, hasher.hash());
        assert_eq!(bare.tables(9)[0], sealing.tables(9)[1]);
        assert_ne!(bare.name(b"x", 0), sealing.name(b"x", 0));
    }
}
