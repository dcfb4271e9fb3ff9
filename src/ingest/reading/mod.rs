//! Reading the inputs of one group: which source each is, what its lines say, full buffers to the press.
//!
//! ```text
//! inputs ─ open ─► recognize ─► text │ table ─► buffer ─ full ─ handover ─► press
//! ```
//!
//! Deliberately not here: single lines (`text/`), rows of a table (`table.rs`), the commit (`run.rs`).

mod go_on;
mod handover;
mod recognize;

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Scope, ScopedJoinHandle};

use super::duplicates::Conflicts;
use super::error::IngestError;
use super::group::Group;
use super::input::expand::Input;
use super::input::plain::Plain;
use super::press::{Press, Pressed};
use super::report::Progress;
use super::rows::buffer::RowBuffer;
use super::run::{Done, Run};
use super::source::identify::KnownSources;
use crate::store::Snapshot;
use crate::time::Day;

pub use go_on::{Ended, Resume};

/// Bytes of an input that tell its format and its source.
const HEAD_BYTES: usize = 256 << 10;
/// Plain bytes after which a group is committed at the next end of a source.
const GROUP_BYTES: u64 = 512 << 20;
/// Sources of a group: their numbers are 16 bits wide in a row.
const GROUP_SOURCES: usize = 60_000;

/// An input in the queue, opened already if it is a stream that had to wait for a commit.
#[derive(Debug)]
pub struct Waiting {
    pub input: Input,
    pub opened: Option<Opened>,
    /// Where a followed file goes on.
    pub resume: Option<Resume>,
}

impl Waiting {
    /// An input that is read from its start.
    pub fn new(input: Input) -> Self {
        Self { input, opened: None, resume: None }
    }
}

/// An input with its first bytes read.
#[derive(Debug)]
pub struct Opened {
    pub plain: Plain,
    pub head: Vec<u8>,
}

/// What became of one input.
enum Next {
    /// Read to its end.
    Done,
    /// It may continue a source of this group, which has to be committed first.
    After(Option<Opened>),
}

/// The reading of one group.
pub struct Reading<'scope, 'env, 'r> {
    pub scope: &'scope Scope<'scope, 'env>,
    pub run: &'env Run<'env>,
    pub snapshot: &'env Snapshot,
    press: Press<'env>,
    pub group: Group,
    /// Complete sources of this group.
    pub fresh: KnownSources,
    pub buffer: RowBuffer,
    spare: Option<RowBuffer>,
    /// Bytes at which a buffer is full. It starts small, because memory that is touched once costs more than a run.
    limit: usize,
    /// The newest day of the buffer when it was last looked at as a moment to hand over.
    asked: Option<Day>,
    pressing: Option<ScopedJoinHandle<'scope, Result<Pressed, IngestError>>>,
    conflicts: &'r mut Conflicts,
    progress: &'r mut dyn Progress,
    pub done: Done,
    pub raw_bytes: Arc<AtomicU64>,
    /// Memory for chunks, from one source to the next.
    pub chunk_buffers: Vec<Vec<u8>>,
    /// Plain bytes of this group.
    pub plain_bytes: u64,
}

impl<'scope, 'env, 'r> Reading<'scope, 'env, 'r> {
    /// `press` writes, `buffer` and `conflicts` are lent by the run.
    pub fn new(
        scope: &'scope Scope<'scope, 'env>,
        run: &'env Run<'env>,
        snapshot: &'env Snapshot,
        press: Press<'env>,
        buffer: RowBuffer,
        (conflicts, progress): (&'r mut Conflicts, &'r mut dyn Progress),
    ) -> Self {
        Self {
            scope,
            run,
            snapshot,
            press,
            group: Group::default(),
            fresh: KnownSources::under(run.known.seal.clone()),
            buffer,
            spare: None,
            limit: run.options.buffer_bytes / 8,
            asked: None,
            pressing: None,
            conflicts,
            progress,
            done: run.done,
            raw_bytes: Arc::default(),
            chunk_buffers: Vec::new(),
            plain_bytes: 0,
        }
    }

    /// Reads inputs until a commit is due; `taken` is what was begun, the last of it perhaps with an error, `failures`
    /// are inputs that were refused before any of their rows was taken.
    ///
    /// # Errors
    /// An input cannot be read on, or the store fails.
    pub fn inputs(
        &mut self,
        waiting: &mut VecDeque<Waiting>,
        taken: &mut Vec<Input>,
        failures: &mut Vec<(Input, IngestError)>,
    ) -> Result<(), IngestError> {
        while let Some(Waiting { input, opened, resume }) = waiting.pop_front() {
            let stream = !input.origin.is_rereadable();
            let before = (self.group.pending.len(), self.group.forgotten.len());
            taken.push(input.clone());
            let next = match resume {
                Some(resume) => self.go_on(&input, &resume),
                None => opened.map_or_else(|| self.open(&input), Ok).and_then(|opened| self.input(&input, opened)),
            };
            match next {
                Ok(Next::Done) => self.done.raw_bytes += self.raw_bytes.swap(0, Ordering::Relaxed),
                Ok(Next::After(opened)) => {
                    taken.pop();
                    waiting.push_front(Waiting { opened: opened.filter(|_| stream), ..Waiting::new(input) });
                    return Ok(());
                }
                Err(error)
                    if error.is_about_one_input()
                        && before == (self.group.pending.len(), self.group.forgotten.len()) =>
                {
                    taken.pop();
                    failures.push((input, error));
                }
                Err(error) => return Err(error),
            }
            let full = self.plain_bytes >= GROUP_BYTES || self.group.pending.len() >= GROUP_SOURCES;
            if stream || full || self.is_enough(0) {
                break;
            }
        }
        Ok(())
    }

    fn open(&self, input: &Input) -> Result<Opened, IngestError> {
        let mut plain = Plain::open(&input.origin, &input.name, &self.raw_bytes)?;
        let mut head = vec![0; HEAD_BYTES];
        let read = plain.fill(&mut head).map_err(|error| unreadable(input, &error))?;
        head.truncate(read);
        Ok(Opened { plain, head })
    }

    /// A complete source of this group, so that a copy of it in the same command is known again.
    pub fn complete(&mut self, number: usize) -> Result<(), IngestError> {
        let mut row = self.group.pending[number].base.clone();
        row.source_id.clone_from(&self.group.ids[number]);
        self.fresh.put(row)
    }
}

/// An input that cannot be read on.
pub fn unreadable(input: &Input, error: &io::Error) -> IngestError {
    IngestError::read(Path::new(&input.name), error)
}
