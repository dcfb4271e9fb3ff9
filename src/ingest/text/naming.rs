//! The name of a new source, taken from its lines.

use super::Text;
use crate::ingest::reading::Reading;

/// A source is named by its first event line among the records that start within this many bytes, else by its first
/// record that the format does not drop, else by its first record.
const NAMING_BYTES: u64 = 4 << 20;

/// The records that may name a source until an event does.
#[derive(Debug, Default)]
pub struct Naming {
    /// The first that the format does not drop.
    kept: Option<Vec<u8>>,
    /// The first of all.
    any: Option<Vec<u8>>,
}

impl Reading<'_, '_, '_> {
    /// Names the source by its first event line.
    #[cold]
    pub(super) fn name_by(&mut self, text: &mut Text, line: &[u8]) {
        let forgotten = &self.group.forgotten;
        let free = |id: &str, known: bool| {
            self.group.number(id).is_none() && (!known || forgotten.iter().any(|forgotten| forgotten == id))
        };
        let id = self.run.known.source_id(line, free);
        self.group.name(text.number, id);
        text.naming = None;
    }

    /// Remembers a record that is no event (and whether the format keeps it), or settles for one of those where no
    /// event came in time.
    pub(super) fn name(&mut self, text: &mut Text, offset: u64, seen: Option<(&[u8], bool)>) {
        let Some(Naming { kept, any }) = &mut text.naming else { return };
        if let Some((line, keep)) = seen {
            any.get_or_insert_with(|| line.to_vec());
            if keep {
                kept.get_or_insert_with(|| line.to_vec());
            }
        }
        if offset >= NAMING_BYTES {
            text.named = false;
            let line = kept.take().or_else(|| any.take()).unwrap_or_default();
            self.name_by(text, &line);
        }
    }
}
