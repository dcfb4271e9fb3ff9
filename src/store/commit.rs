//! The commit: from written parts to the next snapshot.
//!
//! ```text
//!              add(NewPart)* remove(id)* source(row)* audit(..)*
//!  Writer ─begin─► Commit ──────────────────────────────────────► commit()
//!                                                                    │ the map of who is who goes, if ids go
//!                                                                    │ announce: names into writer.lock, fsync
//!                                                                    │ publish:  rename .tmp, fsync the day folders
//!             ┌──────────── error: names undone ◄────────────────────┤ BEGIN IMMEDIATE, head as planned, rows
//!             ▼                                                      ▼
//!        snapshot n                                               COMMIT ──error──► unknown: the writer is spent,
//!                                                                    │              the next one looks and sweeps
//!                                                                    ▼
//!                                              snapshot n + 1: clear, unlink what nobody leases, forget,
//!                                              the map of who is who
//! ```
//!
//! Invariants: before COMMIT no reader of the catalog sees anything; after it every reader sees all of it. Dropping a
//! `Commit` does nothing and takes the temporary files of its parts with it.

use std::collections::BTreeSet;

use super::StoreError;
use super::catalog::{AliasEdit, Change, CommitFailure, CorrectionEdit, Erasure, SegmentEdit};
use super::late::Late;
use super::layout::Table;
use super::links::{LinkChange, Parts};
use super::part::NewPart;
use super::people::{self, Renew};
use super::source::SourceRow;
use super::sweep;
use super::writer::Writer;
use crate::time::now_micros;

/// A commit being put together.
#[derive(Debug)]
pub struct Commit<'a> {
    writer: &'a mut Writer,
    planned: i64,
    add: Vec<NewPart>,
    remove: Vec<i64>,
    sources: Vec<SourceRow>,
    forget: Vec<String>,
    aliases: Vec<AliasEdit>,
    corrections: Vec<CorrectionEdit>,
    segments: Vec<SegmentEdit>,
    loses: bool,
    sheds: bool,
    erasure: Option<Erasure>,
    late: Option<Late>,
    audit: Vec<(String, String)>,
}

impl<'a> Commit<'a> {
    pub(super) fn new(writer: &'a mut Writer) -> Self {
        let planned = writer.head;
        Self {
            writer,
            planned,
            add: Vec::new(),
            remove: Vec::new(),
            sources: Vec::new(),
            forget: Vec::new(),
            aliases: Vec::new(),
            corrections: Vec::new(),
            segments: Vec::new(),
            loses: false,
            sheds: false,
            erasure: None,
            late: None,
            audit: Vec::new(),
        }
    }

    /// Adds a part. One without rows is dropped: an empty file says nothing.
    pub fn add(&mut self, part: NewPart) {
        if part.rows > 0 {
            self.add.push(part);
        }
    }

    /// Takes a live part out; with [`Self::add`] of its new form this replaces a day. Older snapshots end here.
    pub fn remove(&mut self, file_id: i64) {
        self.remove.push(file_id);
    }

    /// Takes live parts out and adds what replaces them.
    pub fn replace(&mut self, remove: Vec<i64>, add: Vec<NewPart>) {
        self.remove.extend(remove);
        for part in add {
            self.add(part);
        }
    }

    /// Says that rows of the parts that go are in no part that comes: what they told of who is who goes with them.
    pub fn loses_rows(&mut self) {
        self.loses = true;
    }

    /// Says that ids go which no file may name any more: the map of who is who that may have them goes first.
    pub fn sheds_ids(&mut self) {
        self.sheds = true;
    }

    /// Cuts somebody out of what the catalog says, and keeps them from coming back.
    pub fn erase(&mut self, erasure: Erasure) {
        self.erasure = Some(erasure);
    }

    /// Changes what somebody said about two ids.
    pub fn alias(&mut self, edit: AliasEdit) {
        self.aliases.push(edit);
    }

    /// Changes what is said of single events.
    pub fn correct(&mut self, edit: CorrectionEdit) {
        self.corrections.push(edit);
    }

    /// Changes the saved groups of people.
    pub fn segment(&mut self, edit: SegmentEdit) {
        self.segments.push(edit);
    }

    /// Sets the row of a source, new or known.
    pub fn source(&mut self, row: SourceRow) {
        self.sources.push(row);
    }

    /// Takes out the row of a source that turned out to be another: the commit removes its rows and brings them under
    /// the other's name.
    pub fn forget(&mut self, source_id: String) {
        self.forget.push(source_id);
    }

    /// Says what late events of this commit do to sessions.
    pub fn late(&mut self, late: Option<Late>) {
        self.late = late;
    }

    /// Records what was done.
    pub fn audit(&mut self, what: impl Into<String>, detail: impl Into<String>) {
        self.audit.push((what.into(), detail.into()));
    }

    /// Makes everything true at once and returns the new snapshot. With nothing to change, the old one.
    ///
    /// # Errors
    /// The disk is full, the catalog was changed by another program, a source's counters do not add up, …; the store is
    /// as it was before. [`StoreError::Untidy`]: all of it is true, and something of before is left. When COMMIT itself
    /// failed [`StoreError::Unknown`] follows: reopen the store.
    pub fn commit(mut self) -> Result<i64, StoreError> {
        if self.writer.spent {
            return Err(StoreError::Unknown);
        }
        if self.add.is_empty()
            && self.remove.is_empty()
            && self.sources.is_empty()
            && self.aliases.is_empty()
            && self.corrections.is_empty()
            && self.segments.is_empty()
            && self.audit.is_empty()
        {
            return Ok(self.planned);
        }
        let links = self.links()?;
        if self.sheds || self.erasure.is_some() {
            people::remove(&self.writer.layout, &self.writer.disk)?;
        }
        self.writer.lock.announce(self.add.iter().map(|part| &part.file.place))?;
        if let Err(error) = self.publish() {
            self.take_back();
            return Err(error);
        }
        let change = Change {
            planned: self.planned,
            add: &self.add,
            remove: &self.remove,
            sources: &self.sources,
            forget: &self.forget,
            links: &links,
            aliases: &self.aliases,
            corrections: &self.corrections,
            segments: &self.segments,
            erasure: self.erasure.as_ref(),
            late: self.late.as_ref(),
            audit: &self.audit,
            now: now_micros(),
        };
        let disk = self.writer.disk.clone();
        match self.writer.catalog_mut().apply(&change, &disk) {
            Ok(id) => {
                self.writer.head = id;
                self.tidy().map_err(|error| StoreError::Untidy { snapshot: id, source: error.into() })?;
                Ok(id)
            }
            Err(CommitFailure::Nothing(error)) => {
                self.take_back();
                Err(error)
            }
            Err(CommitFailure::Unknown(error)) => {
                self.writer.spent = true;
                Err(error)
            }
        }
    }

    /// What the parts say about who is who.
    fn links(&mut self) -> Result<LinkChange, StoreError> {
        let log_outs = self.erasure.as_ref().map_or(&[][..], |erasure| &erasure.log_outs);
        let parts = Parts { add: &self.add, remove: &self.remove, loses: self.loses, log_outs };
        self.writer.link_change(parts)
    }

    /// Gives every part its final name, durably. A rename is no commit: no row names the file yet.
    fn publish(&mut self) -> Result<(), StoreError> {
        let (layout, disk) = (&self.writer.layout, &self.writer.disk);
        let mut dirs = BTreeSet::new();
        for part in &mut self.add {
            let to = layout.part(&part.file.place);
            disk.rename(&part.file.tmp.path, &to).map_err(|error| StoreError::io("publishing", &to, error))?;
            part.file.tmp.published = true;
            dirs.insert(layout.day_dir(part.table(), part.day()));
        }
        for dir in &dirs {
            disk.sync_dir(dir).map_err(|error| StoreError::io("syncing", dir, error))?;
        }
        Ok(())
    }

    /// Removes published names after a failure that certainly committed nothing. Best effort: they are announced, so
    /// the next writer's sweep gets what is left.
    fn take_back(&mut self) {
        let (layout, disk) = (&self.writer.layout, &self.writer.disk);
        let clean = self
            .add
            .iter()
            .filter(|part| part.file.tmp.published)
            .all(|part| disk.remove(&layout.part(&part.file.place)).is_ok());
        // The announcement may only go when every name is gone; a writer that cannot clean up is spent.
        self.writer.spent = !(clean && self.writer.lock.clear().is_ok());
    }

    fn tidy(&mut self) -> Result<(), StoreError> {
        self.writer.lock.clear()?;
        let Writer { layout, disk, .. } = &*self.writer;
        let (layout, disk) = (layout.clone(), disk.clone());
        sweep::replaced(&layout, &disk, self.writer.catalog_mut())?;
        sweep::settle(&layout, &disk, self.writer.catalog_mut())?;
        let events = self.add.iter().filter(|part| part.table() == Table::Events).map(|part| part.rows).sum();
        // Without it queries are slower and answer the same: no reason to tell of a commit as of one that failed.
        let _ = people::keep(&layout, &disk, self.writer.catalog_mut(), Renew::After(events));
        Ok(())
    }
}
