//! Source session ids as hashes: what a pass compares inside one person.

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::Int32Type;
use datafusion::common::{Result, internal_err};
use xxhash_rust::xxh3::xxh3_64;

use super::names::same_memory;

/// Hashes of source session ids, one dictionary at a time.
#[derive(Debug, Default)]
pub(super) struct SourceHashes {
    seen: Option<StringArray>,
    hashes: Vec<u64>,
}

impl SourceHashes {
    /// Appends the hash of each row's session id, 0 for none.
    pub(super) fn extend(&mut self, column: Option<&ArrayRef>, rows: usize, out: &mut Vec<u64>) -> Result<()> {
        let Some(column) = column else {
            out.resize(rows, 0);
            return Ok(());
        };
        let Some((column, values)) = column
            .as_dictionary_opt::<Int32Type>()
            .and_then(|column| Some((column, column.values().as_string_opt::<i32>()?)))
        else {
            return internal_err!("the column source_session_id was not read as codes");
        };
        if !self.seen.as_ref().is_some_and(|seen| same_memory(seen, values)) {
            self.hashes = values.iter().map(|value| value.map_or(0, |text| xxh3_64(text.as_bytes()).max(1))).collect();
            self.seen = Some(values.clone());
        }
        let hashes = &self.hashes;
        out.extend(
            column
                .keys()
                .iter()
                .map(|key| key.and_then(|key| hashes.get(usize::try_from(key).ok()?)).copied().unwrap_or(0)),
        );
        Ok(())
    }
}
