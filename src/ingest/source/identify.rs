//! The known sources, and which of them an input may be.

use std::collections::{BTreeMap, HashMap};

use xxhash_rust::xxh3::xxh3_128;

use super::digest::{Seal, State};
use crate::ingest::error::IngestError;
use crate::store::SourceRow;

/// Sources are looked up by the hash of this many first bytes.
const INDEXED_BYTES: usize = 16;

/// The format name of a source whose offsets are row numbers.
pub const PARQUET: &str = "parquet";

/// The sources of a snapshot, or those of the group at work.
#[derive(Debug, Default)]
pub struct KnownSources {
    by_id: BTreeMap<String, SourceRow>,
    /// Text sources by the hash of their first bytes.
    by_head: HashMap<u128, Vec<String>>,
    /// Text sources that are shorter than that.
    short: Vec<String>,
    /// Parquet sources by their digest.
    tables: HashMap<Vec<u8>, String>,
    /// How their bytes are remembered.
    pub seal: Seal,
}

impl KnownSources {
    /// None yet, whose bytes are remembered under `seal`.
    pub fn under(seal: Seal) -> Self {
        Self { seal, ..Self::default() }
    }

    /// Those of a snapshot.
    ///
    /// # Errors
    /// A state was written by a newer program.
    pub fn new(rows: &[SourceRow], seal: Seal) -> Result<Self, IngestError> {
        let mut known = Self::under(seal);
        rows.iter().try_for_each(|row| known.put(row.clone()))?;
        Ok(known)
    }

    /// Adds a source or replaces what was known of it.
    ///
    /// # Errors
    /// Its state was written by a newer program.
    pub fn put(&mut self, row: SourceRow) -> Result<(), IngestError> {
        let id = row.source_id.clone();
        if row.format == PARQUET {
            self.tables.insert(row.digest.clone(), id.clone());
        }
        if row.format != PARQUET && !self.by_id.contains_key(&id) {
            let state = state_of(&row)?;
            match state.last_at_most(INDEXED_BYTES as u64, row.offset) {
                Some((at, hash)) if at == INDEXED_BYTES as u64 => {
                    self.by_head.entry(hash).or_default().push(id.clone());
                }
                _ => self.short.push(id.clone()),
            }
        } else if let Some(at) = self.short.iter().position(|short| *short == id) {
            // A short source may have grown beyond the indexed bytes.
            self.short.swap_remove(at);
            self.by_id.remove(&id);
            return self.put(row);
        }
        self.by_id.insert(id, row);
        Ok(())
    }

    /// Takes a source out: it turned out to be another.
    pub fn remove(&mut self, id: &str) {
        self.by_id.remove(id);
        self.short.retain(|short| short != id);
    }

    /// The Parquet source whose bytes have this hash.
    pub fn table(&self, hash: u128) -> Option<&SourceRow> {
        self.seal.tables(hash).iter().find_map(|digest| self.by_id.get(self.tables.get(digest)?))
    }

    pub fn get(&self, id: &str) -> Option<&SourceRow> {
        self.by_id.get(id)
    }

    /// The sources that an input with these first bytes may be, the longest first.
    ///
    /// # Errors
    /// A state was written by a newer program.
    pub fn candidates(&self, head: &[u8]) -> Result<Vec<SourceRow>, IngestError> {
        let first = head.get(..INDEXED_BYTES).map(xxh3_128);
        let kept = |sealed: bool| self.seal.hash(sealed, INDEXED_BYTES as u64, first?);
        let indexed = [false, true].into_iter().filter_map(|sealed| self.by_head.get(&kept(sealed)?));
        let mut found = Vec::new();
        for id in indexed.flatten().chain(&self.short) {
            let Some(row) = self.by_id.get(id) else { continue };
            let state = state_of(row)?;
            let Some((at, hash)) = state.last_at_most(head.len() as u64, row.offset) else { continue };
            let first = head.get(..usize::try_from(at).unwrap_or(usize::MAX));
            if first.is_some_and(|first| state.is(hash, &self.seal, (at, xxh3_128(first)))) {
                found.push(row.clone());
            }
        }
        found.sort_by(|left, right| right.offset.cmp(&left.offset).then_with(|| left.source_id.cmp(&right.source_id)));
        Ok(found)
    }

    /// The name of a new source whose first event line is `line`: 16 hex digits of the line's hash (keyed under a seal); where another
    /// source has that name already, of the hash with the seed 1, 2, … – the first that is `free`, which is asked with whether it
    /// is known.
    pub fn source_id(&self, line: &[u8], free: impl Fn(&str, bool) -> bool) -> String {
        let mut seed = 0;
        loop {
            let id = format!("{:016x}", self.seal.name(line, seed));
            if free(&id, self.by_id.contains_key(&id)) {
                return id;
            }
            seed += 1;
        }
    }
}

/// The state of a text source.
///
/// # Errors
/// It was written by a newer program.
pub fn state_of(row: &SourceRow) -> Result<State, IngestError> {
    State::decode(&row.digest).ok_or_else(|| IngestError::State { name: row.name.clone() })
}
