//! One file that is followed, known by its device and inode, not by its name.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::LINGER;
use super::disk::{FileId, file_id, is_as_read, micros};
use super::stream::{LIMIT, PUT_AWAY, Reach, Stream};
use crate::ingest::error::IngestError;
use crate::ingest::input::cut::{Cut, read_at};
use crate::ingest::input::expand::{Input, Origin};
use crate::ingest::input::plain::{MARK, Packing};
use crate::ingest::reading::{Ended, Resume, Waiting};
use crate::ingest::report::{Progress, Skipped};
use crate::time::{self, Stopwatch};

/// First plain bytes that are kept of a stream whose start was put away: what tells its format.
const HEAD: usize = 256 << 10;
/// A packed file that was written to within this many microseconds may be half done.
const AT_REST: i64 = time::SECOND;

#[derive(Debug)]
enum Medium {
    File { path: PathBuf, id: FileId, handle: Option<Arc<File>> },
    Stream { stream: Stream, reach: Reach, head: Option<Arc<[u8]>> },
}

/// What a look showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    len: u64,
    /// Microseconds; 0 for a stream.
    modified: i64,
}

/// A file or stream that is followed.
#[derive(Debug)]
pub struct Followed {
    pub key: u64,
    name: String,
    listed: bool,
    medium: Medium,
    seen: Seen,
    /// What it was like when it was read last, and whether a begun last line was left.
    read: Option<(Seen, bool)>,
    /// Since it last changed.
    changed: Stopwatch,
    /// Since it has no name any more.
    nameless: Option<Stopwatch>,
    resume: Option<Resume>,
    /// Bytes of its byte order mark.
    mark: u64,
    is_plain: bool,
    /// Why it gives nothing.
    refused: Option<String>,
    /// Nothing more can be had of it.
    is_lost: bool,
}

impl Followed {
    pub fn file(key: u64, path: &Path, id: FileId, input: &Input) -> Self {
        Self::new(key, input, Medium::File { path: path.to_owned(), id, handle: None })
    }

    pub fn stream(key: u64, input: &Input, stream: Stream) -> Self {
        let reach = stream.reach();
        Self::new(key, input, Medium::Stream { stream, reach, head: None })
    }

    fn new(key: u64, input: &Input, medium: Medium) -> Self {
        Self {
            key,
            name: input.name.clone(),
            listed: input.listed,
            medium,
            seen: Seen { len: 0, modified: 0 },
            read: None,
            changed: Stopwatch::start(),
            nameless: None,
            resume: None,
            mark: 0,
            is_plain: true,
            refused: None,
            is_lost: false,
        }
    }

    /// Before the names are looked up: a file has none until it is found.
    pub fn lose_sight(&mut self) {
        if matches!(self.medium, Medium::File { .. }) && self.nameless.is_none() {
            self.nameless = Some(Stopwatch::start());
        }
    }

    /// Whether the file `found` at `at` is this one; then that is its name, unless it was found by another already.
    pub fn is_at(&mut self, at: &Path, found: FileId, input: &Input) -> bool {
        let Medium::File { path, id, .. } = &mut self.medium else { return false };
        if found != *id {
            return false;
        }
        if self.nameless.take().is_some() && path != at {
            at.clone_into(path);
            self.name.clone_from(&input.name);
        }
        true
    }

    /// Looks how long it has become.
    pub fn look(&mut self, progress: &mut dyn Progress) {
        let seen = match &mut self.medium {
            Medium::Stream { stream, reach, .. } => {
                *reach = stream.reach();
                Some(Seen { len: reach.len, modified: 0 })
            }
            Medium::File { path, id, handle } => {
                let meta = match handle {
                    Some(handle) => handle.metadata(),
                    None => std::fs::metadata(&*path),
                };
                let same = meta.ok().filter(|meta| handle.is_some() || file_id(path, meta) == *id);
                same.map(|meta| Seen { len: meta.len(), modified: meta.modified().map_or(0, micros) })
            }
        };
        // A file without handle that is gone stays as it was: nothing is new.
        let Some(seen) = seen.filter(|seen| *seen != self.seen) else { return };
        self.seen = seen;
        self.changed = Stopwatch::start();
        if self.resume.as_ref().is_some_and(|resume| seen.len < self.disk_offset(resume)) {
            self.begin_anew(progress);
        }
    }

    fn begin_anew(&mut self, progress: &mut dyn Progress) {
        progress.remark(&format!("{} was truncated or rewritten: what was read stays, and it begins anew", self.name));
        (self.resume, self.read) = (None, None);
    }

    /// Where the committed bytes end on the disk.
    fn disk_offset(&self, resume: &Resume) -> u64 {
        let base = if let Medium::Stream { reach, .. } = &self.medium { reach.base } else { 0 };
        resume.hasher.position() - base + self.mark
    }

    /// Bytes that are there and not committed.
    pub fn behind(&self) -> u64 {
        match &self.resume {
            Some(resume) => self.seen.len.saturating_sub(self.disk_offset(resume)),
            None if self.read.is_some_and(|(seen, _)| seen == self.seen) => 0,
            None => self.seen.len,
        }
    }

    /// Whether reading it could bring something; with `hold` a begun last line is left.
    pub fn has_news(&self, hold: bool) -> bool {
        let read_to_the_end = self.resume.as_ref().is_some_and(|resume| self.seen.len == self.disk_offset(resume));
        let as_before = match self.read {
            Some((seen, left)) => seen == self.seen && (left == hold || read_to_the_end || !self.is_plain),
            None => false,
        };
        self.seen.len > 0 && !as_before && !self.is_lost
    }

    /// The stream is over, and what is left of it can be had.
    fn has_ended(&self) -> bool {
        matches!(&self.medium, Medium::Stream { reach, .. } if reach.ended)
    }

    /// It has to be read on now: its stream is over, or can be put aside no further.
    pub fn is_urgent(&self) -> bool {
        matches!(&self.medium, Medium::Stream { reach, .. } if reach.ended || reach.full)
    }

    /// Whether nobody is expected to write to it any more.
    pub fn is_leaving(&self) -> bool {
        self.has_ended()
            || self.nameless.is_some_and(|since| since.seconds().min(self.changed.seconds()) > LINGER.as_secs_f64())
    }

    /// Whether there is nothing more to come.
    pub fn is_over(&self) -> bool {
        self.is_lost || (self.is_leaving() && !self.has_news(false))
    }

    /// Seconds since it last changed.
    pub fn silence(&self) -> f64 {
        self.changed.seconds()
    }

    /// Whether its handle is open and may be closed: it has a name by which it can be opened again.
    pub fn may_close(&self) -> bool {
        matches!(self.medium, Medium::File { handle: Some(_), .. }) && self.nameless.is_none()
    }

    pub fn close(&mut self) {
        if let Medium::File { handle, .. } = &mut self.medium {
            *handle = None;
        }
    }

    /// What is to be read of it now, if anything.
    pub fn next(&mut self, hold: bool, progress: &mut dyn Progress) -> Option<Waiting> {
        if !self.has_news(hold) {
            return None;
        }
        let cut = match self.cut(hold, progress) {
            Ok(cut) => cut?,
            Err(error) => {
                let error = IngestError::read(Path::new(&self.name), &error);
                self.read = Some((self.seen, hold));
                self.refuse(&error, progress);
                return None;
            }
        };
        self.read = Some((self.seen, hold));
        let origin = Origin::Followed(cut);
        let input = Input { origin, name: self.name.clone(), bytes: self.seen.len, listed: self.listed };
        Some(Waiting { resume: self.resume.clone(), ..Waiting::new(input) })
    }

    fn cut(&mut self, hold: bool, progress: &mut dyn Progress) -> io::Result<Option<Cut>> {
        let Some(file) = self.open()? else {
            self.is_lost = self.nameless.is_some();
            return Ok(None);
        };
        if let Some(resume) = &self.resume
            && matches!(self.medium, Medium::File { .. })
            && !is_as_read(&file, resume, self.mark)?
        {
            self.begin_anew(progress);
        }
        if self.resume.is_none() {
            let mut head = [0; 8];
            let read = read_at(&file, &mut head, 0)?;
            self.mark = if head[..read].starts_with(MARK) { MARK.len() as u64 } else { 0 };
            self.is_plain = Packing::of(&head[..read]) == Packing::Plain;
        }
        if !self.is_plain && !self.is_at_rest() {
            return Ok(None);
        }
        let (base, head) = match &self.medium {
            Medium::Stream { reach, head, .. } => (reach.base, head.clone()),
            Medium::File { .. } => (0, None),
        };
        let (key, mark, is_plain) = (self.key, self.mark, self.is_plain);
        Ok(Some(Cut { key, file, mark, base, end: self.seen.len, is_plain, hold: hold && is_plain, head }))
    }

    /// The open file; `None` where another has its name meanwhile.
    ///
    /// # Errors
    /// It may not be read.
    pub fn open(&mut self) -> io::Result<Option<Arc<File>>> {
        match &mut self.medium {
            Medium::Stream { reach, .. } => Ok(Some(Arc::clone(&reach.file))),
            Medium::File { handle: Some(handle), .. } => Ok(Some(Arc::clone(handle))),
            Medium::File { path, id, handle } => {
                let file = match File::open(&*path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    file => Arc::new(file?),
                };
                if file_id(path, &file.metadata()?) != *id {
                    return Ok(None);
                }
                *handle = Some(Arc::clone(&file));
                Ok(Some(file))
            }
        }
    }

    /// Whether a packed file is complete, as far as one can see.
    fn is_at_rest(&self) -> bool {
        match &self.medium {
            Medium::Stream { reach, .. } => reach.ended,
            Medium::File { .. } => time::now_micros().saturating_sub(self.seen.modified) >= AT_REST,
        }
    }

    /// Notes what a group made of it.
    pub fn was_read(&mut self, ended: Option<Ended>, error: Option<IngestError>, progress: &mut dyn Progress) {
        self.is_lost = matches!(error, Some(IngestError::Overtaken { .. }));
        if let Some(error) = error {
            self.refuse(&error, progress);
            return;
        }
        self.refused = None;
        if ended.as_ref().is_some_and(|ended| ended.more) {
            self.read = None;
        }
        self.resume = ended.and_then(|ended| ended.resume);
    }

    /// Notes that the group ended before it.
    pub fn was_left(&mut self) {
        self.read = None;
    }

    /// Says once why it gives nothing.
    fn refuse(&mut self, error: &IngestError, progress: &mut dyn Progress) {
        // An empty file, or half a line, is nothing yet.
        if matches!(error, IngestError::Empty { .. }) {
            return;
        }
        let why = error.to_string();
        if self.refused.is_none() {
            progress.remark(&format!("left out for now: {}", why.lines().next().unwrap_or_default()));
        }
        self.refused = Some(why);
    }

    /// Forgets what is committed of a stream.
    ///
    /// # Errors
    /// The disk fails.
    pub fn put_away(&mut self) -> Result<(), IngestError> {
        let done = self.resume.as_ref().map(|resume| (resume.hasher.position(), self.disk_offset(resume)));
        let failed = |error: io::Error| IngestError::read(Path::new(&self.name), &error);
        let Medium::Stream { stream, reach, head } = &mut self.medium else { return Ok(()) };
        let Some((base, offset)) = done else {
            // It may be a known source, or packed: more of it has to be seen.
            stream.limit(if self.is_plain { LIMIT.max(2 * reach.len) } else { u64::MAX });
            return Ok(());
        };
        stream.limit(LIMIT);
        if offset < PUT_AWAY {
            return Ok(());
        }
        if head.is_none() {
            let mut first = vec![0; HEAD];
            let read = read_at(&reach.file, &mut first, self.mark).map_err(failed)?;
            *head = Some(first[..read].into());
        }
        stream.put_away(offset, base).map_err(failed)?;
        // What was seen of it has moved.
        (reach.base, reach.len, self.mark) = (base, reach.len - offset, 0);
        self.seen.len -= offset;
        self.read = self.read.map(|(seen, left)| (Seen { len: seen.len.saturating_sub(offset), ..seen }, left));
        Ok(())
    }

    /// What the report says of it, if it gave nothing.
    pub fn skipped(&self) -> Option<Skipped> {
        let broken = match &self.medium {
            Medium::Stream { reach, .. } => reach.error.as_ref().map(|error| format!("cannot read on: {error}")),
            Medium::File { .. } => None,
        };
        let why = broken.or_else(|| self.refused.clone())?;
        Some(Skipped { name: self.name.clone(), why, failed: !self.listed })
    }
}
