//! A followed file goes on where its last commit ended: nothing that was read is read again.
//!
//! ```text
//! |── committed, hashed ──|── new, whole records ──|─ begun ─|
//! 0                     resume                    next     end of the cut
//! ```
//!
//! Invariants: a resume is used only while the catalog's row of the source is what it left; else the file is
//! recognised by its bytes like any other. The source's offset is the end of a whole record, unless the follower
//! wants the begun one too because it ends.

use super::recognize::pending;
use super::{Next, Reading};
use crate::ingest::error::IngestError;
use crate::ingest::group::Pending;
use crate::ingest::input::expand::{Input, Origin};
use crate::ingest::input::plain::Plain;
use crate::ingest::source::digest::{Hasher, State};
use crate::ingest::source::identify::state_of;
use crate::ingest::source::verify::Position;
use crate::ingest::text::Begin;
use crate::store::SourceRow;

/// Where a followed file goes on.
#[derive(Debug, Clone)]
pub struct Resume {
    pub source_id: String,
    /// Has seen everything that is committed.
    pub hasher: Hasher,
}

/// What became of a followed file in a group.
#[derive(Debug)]
pub struct Ended {
    /// The file's key.
    pub key: u64,
    /// `None` where it has to be recognised anew: it ended with a record that may grow, or has no name yet.
    pub resume: Option<Resume>,
    /// The group was full before the file ended.
    pub more: bool,
}

impl Reading<'_, '_, '_> {
    /// Reads on in a followed file.
    pub(super) fn go_on(&mut self, input: &Input, resume: &Resume) -> Result<Next, IngestError> {
        let Origin::Followed(cut) = &input.origin else {
            return self.open(input).and_then(|opened| self.input(input, opened));
        };
        if self.group.number(&resume.source_id).is_some() {
            return Ok(Next::After(None));
        }
        let Some((row, state)) = self.as_left(resume)? else {
            if cut.base > 0 {
                return Err(IngestError::Overtaken { name: input.name.clone() });
            }
            return self.open(input).and_then(|opened| self.input(input, opened));
        };
        let head = match &cut.head {
            Some(head) => head.to_vec(),
            None => self.open(input)?.head,
        };
        let chosen = self.choose(input, &head, Some(&row.format))?;
        let plain = Plain::from(cut, row.offset, &self.raw_bytes);
        let position = Position { plain, hasher: resume.hasher.clone(), begun: Vec::new() };
        let pending = Pending { known_lines: 0, ..pending(input, &chosen, row) };
        self.text(input, chosen, pending, Begin::at(position, state.tail)).map(|()| Next::Done)
    }

    /// The source and its state if nobody else has read on in it.
    fn as_left(&self, resume: &Resume) -> Result<Option<(SourceRow, State)>, IngestError> {
        let Some(row) = self.run.known.get(&resume.source_id) else { return Ok(None) };
        let state = state_of(row)?;
        let offset = resume.hasher.position();
        let same = (row.offset, state.tail.start) == (offset, offset)
            && state.is(state.whole, &self.run.known.seal, (offset, resume.hasher.hash()));
        Ok(same.then(|| (row.clone(), state)))
    }

    /// Whether the group has as many lines as the follower wants in a commit; `lines` are those of the input at work.
    pub fn is_enough(&self, lines: u64) -> bool {
        let follow = self.run.options.follow.as_ref();
        follow.is_some_and(|follow| self.done.lines - self.run.done.lines + lines >= follow.flush_rows)
    }
}
