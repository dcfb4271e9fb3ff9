//! Following live input: an ordinary ingest again and again, of what has been added.
//!
//! ```text
//! every poll   look: names → files by identity (device, inode); how long is each?
//! every flush  cut ─► group ─► one commit (events, refusals, offsets) ─► where each file goes on
//!                ▲── as long as there is more than `flush_rows` lines ──┘
//! ```
//!
//! Polling is the truth; there is no other. One writer lock is held from the start to the end, so another writer is
//! told that the store is in use.
//!
//! | what happens | what is done |
//! |---|---|
//! | lines are appended | read from the last committed offset on; nothing before it is read again |
//! | a last line has no newline | it waits for it; when the follower stops, or the file is let go, it counts as it is, as in an ordinary ingest, and is revised should it ever grow |
//! | the file is renamed, a new one has its name | the old one is read on through its handle until it has been silent for [`LINGER`] |
//! | it is copied and truncated | what was read stays; it begins anew as another source; the copy, where it is among the inputs, is known by its bytes and gives what had not been read yet |
//! | it is removed, or its inode is used again | a file whose bytes before the offset are others when it is looked at begins anew; the reading follows within milliseconds |
//! | it is packed later | the packed copy is known by its bytes; packed files are read when they are at rest |
//! | the follower is stopped or killed | the next run recognises every file by its bytes, as any ingest does |
//! | a stream (`-`, a named pipe) | is put aside in a nameless file of the store and followed there; what is committed is put away. Killed, it cannot be resumed: nobody has the bytes any more that were read and not committed |
//!
//! Invariants: after a stop the store is what one ordinary ingest of the same bytes makes; a file's offset moves in the
//! commit that brings its lines; memory is bounded by `flush_rows`, disk by [`stream::LIMIT`].
//!
//! Deliberately not here: which source a file is (`reading/`, `source/`), merging the parts of many commits (`group/`).

mod disk;
mod file;
mod stream;
mod watch;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::error::IngestError;
use super::input::expand::{Input, Origin};
use super::reading::Waiting;
use super::report::{Flushed, IngestReport, Progress, Quiet, Skipped, SourceReport};
use super::run::{Follow, IngestOptions, Run};
use crate::config::Config;
use crate::parse::{self, FormatError};
use crate::store::{Linking, Store, Writer};
use crate::time::{self, Stopwatch};
use disk::file_id;
use file::Followed;
use stream::Stream;
use watch::Watch;

/// The longest time between two looks at the files.
const POLL: Duration = Duration::from_millis(200);
/// The longest time between two looks at the names.
const LIST: Duration = Duration::from_secs(1);
/// A file that has lost its name is let go after it has been silent for so long.
pub const LINGER: Duration = Duration::from_mins(1);
/// Handles that are kept open; beyond it those of the most silent files are closed and opened again when needed.
const HANDLES: usize = 128;
/// Bytes of a line as long as none has been seen.
const LINE_BYTES: u64 = 200;

/// Follows everything in `options` until its `stop` is set, or until the last stream has ended.
///
/// # Errors
/// What [`IngestError`] says. What was committed before the error stays.
pub fn follow(
    store: &Store,
    config: &Config,
    options: &IngestOptions,
    pace: &Follow,
    progress: &mut dyn Progress,
) -> Result<IngestReport, IngestError> {
    check_format(config, &options.format)?;
    let mut writer = store.writer(Linking::new(&config.identity))?;
    let mut follower = Follower {
        run: Run::new(config, options, &mut writer)?,
        pace,
        poll: POLL.min(pace.flush_interval / 2).max(Duration::from_millis(1)),
        watch: Watch::new(&options.inputs)?,
        files: Vec::new(),
        streams: HashSet::new(),
        begun: 0,
        listed: None,
        flushed: None,
        sources: BTreeMap::new(),
        skipped: Vec::new(),
    };
    loop {
        // Asked before the look: what was there when the stop came is read.
        let stopping = options.stop.load(Ordering::Relaxed);
        follower.look(&writer, stopping, progress)?;
        if stopping || follower.is_due() {
            follower.flush(&mut writer, stopping, progress)?;
        }
        follower.let_go();
        if stopping || (follower.files.is_empty() && follower.watch.is_only_streams()) {
            return Ok(follower.finish());
        }
        std::thread::sleep(follower.poll);
    }
}

/// A format that nobody has would be waited for in vain.
fn check_format(config: &Config, format: &str) -> Result<(), IngestError> {
    let built_in = parse::formats().iter().any(|known| known.name == format);
    match parse::choose(format, b"\n", config) {
        Err(source @ FormatError::Unknown { .. }) => Err(IngestError::Format { name: "--format".to_owned(), source }),
        Err(source @ FormatError::Invalid { .. }) if !built_in => {
            Err(IngestError::Format { name: "--format".to_owned(), source })
        }
        _ => Ok(()),
    }
}

struct Follower<'a> {
    run: Run<'a>,
    pace: &'a Follow,
    poll: Duration,
    watch: Watch,
    files: Vec<Followed>,
    /// Names of the streams that were begun.
    streams: HashSet<String>,
    /// Keys given out.
    begun: u64,
    listed: Option<Stopwatch>,
    flushed: Option<Stopwatch>,
    /// What became of each source since the start.
    sources: BTreeMap<String, SourceReport>,
    skipped: Vec<Skipped>,
}

/// Whether something never happened or is at least `interval` ago.
fn is_past(since: Option<Stopwatch>, interval: Duration) -> bool {
    since.is_none_or(|since| since.seconds() >= interval.as_secs_f64())
}

impl Follower<'_> {
    /// Looks which files there are and how long they have become.
    fn look(&mut self, writer: &Writer, now: bool, progress: &mut dyn Progress) -> Result<(), IngestError> {
        let list = now || is_past(self.listed, LIST.min(self.pace.flush_interval));
        if list {
            self.listed = Some(Stopwatch::start());
            let inputs = self.watch.list(progress)?;
            self.files.iter_mut().for_each(Followed::lose_sight);
            for input in inputs {
                self.meet(&input, writer)?;
            }
        }
        // A folder may hold thousands of old logs.
        let awake = |file: &&mut Followed| list || file.silence() < LINGER.as_secs_f64();
        for file in self.files.iter_mut().filter(awake) {
            file.look(progress);
        }
        Ok(())
    }

    /// A name that was found: of a file that is followed already, or of one that is not yet.
    fn meet(&mut self, input: &Input, writer: &Writer) -> Result<(), IngestError> {
        let file = match &input.origin {
            Origin::File(path) => {
                // It may be gone again, which the next look will show.
                let Ok(meta) = std::fs::metadata(path) else { return Ok(()) };
                let id = file_id(path, &meta);
                if self.files.iter_mut().any(|file| file.is_at(path, id, input)) {
                    return Ok(());
                }
                let mut file = Followed::file(self.begun, path, id, input);
                if self.files.len() < HANDLES {
                    // At once: it may be renamed before it is read. What stands against it is said when it is read.
                    _ = file.open();
                }
                file
            }
            _ if !self.streams.insert(input.name.clone()) => return Ok(()),
            origin => Followed::stream(self.begun, input, Stream::start(origin, writer.spool()?)?),
        };
        self.begun += 1;
        self.files.push(file);
        Ok(())
    }

    /// Whether what has arrived is to be committed now.
    fn is_due(&self) -> bool {
        let news = self.files.iter().any(|file| file.has_news(!file.is_leaving()));
        // The next look would be too late.
        let late = is_past(self.flushed, self.pace.flush_interval.saturating_sub(self.poll));
        let done = self.run.done;
        let line_bytes = (done.raw_bytes + LINE_BYTES) / (done.lines + 1);
        let many = self.behind() / line_bytes.clamp(16, 16 * LINE_BYTES) >= self.pace.flush_rows;
        news && (late || many || self.files.iter().any(Followed::is_urgent))
    }

    fn behind(&self) -> u64 {
        self.files.iter().map(Followed::behind).sum()
    }

    /// Forgets files that nothing more comes of.
    fn let_go(&mut self) {
        self.skipped.extend(self.files.iter().filter(|file| file.is_over()).filter_map(Followed::skipped));
        self.files.retain(|file| !file.is_over());
    }

    /// Commits what the last look found, in groups of `flush_rows` lines; `last`: with unfinished last lines.
    fn flush(&mut self, writer: &mut Writer, last: bool, progress: &mut dyn Progress) -> Result<(), IngestError> {
        self.flushed = Some(Stopwatch::start());
        loop {
            let files = self.files.iter_mut();
            let mut waiting: VecDeque<Waiting> =
                files.filter_map(|file| file.next(!(last || file.is_leaving()), progress)).take(HANDLES).collect();
            if waiting.is_empty() {
                break;
            }
            let sent: HashSet<u64> = waiting.iter().filter_map(|waiting| key(&waiting.input)).collect();
            self.run.at(self.pace.now.unwrap_or_else(time::now_micros));
            self.run.group(writer, &mut waiting, &mut Quiet)?;
            self.take_over(&sent, &waiting, progress);
            self.close_silent();
        }
        self.files.iter_mut().try_for_each(Followed::put_away)?;
        let lines = self.sources.values().map(|source| source.counts.lines - source.counts.duplicates).sum();
        progress.flushed(&Flushed { files: self.files.len(), lines, behind: self.behind() });
        Ok(())
    }

    /// Notes what became of the files that were sent into a group; those in `left` have to come again.
    fn take_over(&mut self, sent: &HashSet<u64>, left: &VecDeque<Waiting>, progress: &mut dyn Progress) {
        let left: HashSet<u64> = left.iter().filter_map(|waiting| key(&waiting.input)).collect();
        let mut ended: BTreeMap<u64, _> = self.run.ended.drain(..).map(|ended| (ended.key, ended)).collect();
        let failures = self.run.failures.drain(..).filter_map(|(input, error)| Some((key(&input)?, error)));
        let mut failed: BTreeMap<u64, IngestError> = failures.collect();
        for file in self.files.iter_mut().filter(|file| sent.contains(&file.key)) {
            if left.contains(&file.key) {
                file.was_left();
            } else {
                file.was_read(ended.remove(&file.key), failed.remove(&file.key), progress);
            }
        }
        for report in std::mem::take(&mut self.run.report.sources) {
            self.account(report);
        }
    }

    /// Adds what a group says of a source to what is known of it; a copy that brought nothing is no news.
    fn account(&mut self, report: SourceReport) {
        let Some(known) = self.sources.get_mut(&report.source_id) else {
            if !report.source_id.is_empty() {
                self.sources.insert(report.source_id.clone(), report);
            }
            return;
        };
        let counts = &report.counts;
        if counts.lines == counts.duplicates && report.bytes <= known.bytes {
            return;
        }
        known.counts.add(counts);
        known.name = report.name;
        known.bytes = report.bytes;
        known.add_problems(report.problems);
    }

    /// A process may not have as many handles as a folder has files.
    fn close_silent(&mut self) {
        let mut open: Vec<&mut Followed> = self.files.iter_mut().filter(|file| file.may_close()).collect();
        let many = open.len().saturating_sub(HANDLES);
        open.sort_by(|left, right| right.silence().total_cmp(&left.silence()));
        open.into_iter().take(many).for_each(Followed::close);
    }

    fn finish(self) -> IngestReport {
        let mut report = self.run.report;
        report.sources = self.sources.into_values().collect();
        report.skipped = self.skipped;
        report.skipped.extend(self.files.iter().filter_map(Followed::skipped));
        report.skipped.extend(self.watch.missing());
        report
    }
}

/// The key of a followed file.
fn key(input: &Input) -> Option<u64> {
    if let Origin::Followed(cut) = &input.origin { Some(cut.key) } else { None }
}
