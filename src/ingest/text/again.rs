//! Lines of a known source, taken once more.

use super::Text;
use crate::ingest::error::IngestError;
use crate::ingest::reading::Reading;
use crate::ingest::source::again;
use crate::ingest::source::identify::state_of;
use crate::parse::{Chosen, Framing};
use crate::store::SourceRow;

impl Reading<'_, '_, '_> {
    /// Takes the lines at `offsets`, ascending, of the source `row`, which has this number in the group, as `chosen` and
    /// the rules have them now. What else the source has is passed over.
    ///
    /// # Errors
    /// The file does not have the source's bytes any more, or the store fails.
    pub fn text_again(
        &mut self,
        row: &SourceRow,
        chosen: Chosen,
        number: usize,
        offsets: &[u64],
    ) -> Result<(), IngestError> {
        let Chosen { framing, parser, .. } = chosen;
        let (seal, mut state) = (self.run.known.seal.clone(), state_of(row)?);
        // What a line means may stand in the lines before it.
        let learns = framing != Framing::Lines || parser.is_ordered();
        let mut text = Text {
            number,
            parser,
            framing,
            scratch: Vec::new(),
            lines: 0,
            naming: None,
            named: state.tail.named,
            known_tail: None,
            tail: None,
        };
        let mut wanted = offsets.iter().copied().peekable();
        let same = again::records(row, framing, &seal, |at, record| {
            if wanted.next_if_eq(&at.0).is_none() {
                if learns {
                    text.parser.parse(record.bytes, &mut text.scratch);
                }
                return Ok(());
            }
            let became = self.line(&mut text, at, record.bytes);
            if at.0 == state.tail.start && state.tail.fate.is_some() {
                // Its newline may still come.
                state.tail.fate = Some(self.fate(became));
                self.group.pending[number].base.digest = state.encode();
            }
            self.relieve()
        })?;
        if !same || wanted.next().is_some() {
            return Err(IngestError::Changed { name: row.name.clone() });
        }
        Ok(())
    }
}
