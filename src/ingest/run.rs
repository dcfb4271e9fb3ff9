//! One ingest from what was typed to the last commit.
//!
//! ```text
//! expand ─► group of inputs ─ read ─► parts ─ plan ─► commit ─► next group
//!                 ▲── an input that fails is left out, the group read again ──┘
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::duplicates::Conflicts;
use super::error::IngestError;
use super::follow;
use super::group::{Group, Plan};
use super::input::expand::{self, Input};
use super::late;
use super::press::Press;
use super::reading::{Ended, Reading, Waiting};
use super::report::{IngestReport, Progress, Skipped};
use super::rows::buffer::RowBuffer;
use super::rows::rules::Rules;
use super::source::digest::Seal;
use super::source::identify::KnownSources;
use crate::config::Config;
use crate::limits;
use crate::privacy::Forgotten;
use crate::store::{Late, Linking, Store, Writer};
use crate::time::{self, Stopwatch};

/// Seconds between two notes of a follower in the audit.
const NOTED: f64 = 3_600.0;

/// What to ingest and how.
#[derive(Debug, Clone)]
pub struct IngestOptions {
    /// Files, globs, folders, `-`.
    pub inputs: Vec<String>,
    /// `auto`, a format's name, or a regular expression with named groups.
    pub format: String,
    /// Share of refused lines that is still a success; judged by the caller ([`IngestReport::too_many_rejects`]).
    pub max_rejects: f64,
    /// Time of receipt in microseconds.
    pub now: i64,
    /// Memory for rows that wait to be written, in bytes; two buffers of half of it.
    pub buffer_bytes: usize,
    /// Set from outside: stop soon, keep what is committed.
    pub stop: Arc<AtomicBool>,
    /// Wait for more where the inputs end, until `stop` is set.
    pub follow: Option<Follow>,
}

/// How live input is followed.
#[derive(Debug, Clone)]
pub struct Follow {
    /// What has arrived is committed this often.
    pub flush_interval: Duration,
    /// And as soon as so many lines wait.
    pub flush_rows: u64,
    /// Time of receipt in microseconds; `None`: the clock.
    pub now: Option<i64>,
}

impl Default for IngestOptions {
    fn default() -> Self {
        Self {
            inputs: Vec::new(),
            format: "auto".to_owned(),
            max_rejects: limits::MAX_REJECTS,
            now: time::now_micros(),
            buffer_bytes: limits::INGEST_BUFFER_BYTES,
            stop: Arc::default(),
            follow: None,
        }
    }
}

/// Ingests everything in `options` into `store`.
///
/// # Errors
/// What [`IngestError`] says. Inputs that were committed before the error stay; of the others nothing was kept.
pub fn ingest(
    store: &Store,
    config: &Config,
    options: &IngestOptions,
    progress: &mut dyn Progress,
) -> Result<IngestReport, IngestError> {
    if let Some(pace) = &options.follow {
        return follow::follow(store, config, options, pace, progress);
    }
    let inputs = expand::expand(&options.inputs)?;
    progress.start(inputs.iter().map(|input| input.bytes).sum());
    let mut writer = store.writer(Linking::new(&config.identity))?;
    let mut run = Run::new(config, options, &mut writer)?;
    let mut waiting: VecDeque<Waiting> = inputs.into_iter().map(Waiting::new).collect();
    while !waiting.is_empty() {
        run.group(&mut writer, &mut waiting, progress)?;
    }
    run.finish()
}

/// What is over: for the progress.
#[derive(Debug, Default, Clone, Copy)]
pub struct Done {
    /// Bytes of inputs as they lie on disk.
    pub raw_bytes: u64,
    pub lines: u64,
}

/// The state between groups.
#[derive(Debug)]
pub struct Run<'a> {
    pub config: &'a Config,
    pub options: &'a IngestOptions,
    pub rules: Rules,
    /// Time of receipt in microseconds.
    pub now: i64,
    pub fingerprint: String,
    pub known: KnownSources,
    /// Kept between groups for its memory.
    buffer: Option<RowBuffer>,
    conflicts: Conflicts,
    pub report: IngestReport,
    pub failures: Vec<(Input, IngestError)>,
    /// What became of the followed files of the last commits.
    pub ended: Vec<Ended>,
    /// Since a follower was last noted in the audit.
    noted: Option<Stopwatch>,
    /// The store's latest event when the ingest began (a follower is an ingest an hour); `None`: it has not begun.
    before: Option<i64>,
    pub done: Done,
}

impl<'a> Run<'a> {
    /// On the sources that `writer` knows.
    ///
    /// # Errors
    /// A rule makes no sense, or the store cannot be read.
    pub fn new(config: &'a Config, options: &'a IngestOptions, writer: &mut Writer) -> Result<Self, IngestError> {
        let masks = config.privacy.is_on();
        let key = writer.key(masks)?;
        let mut rules = Rules::new(config, options.now, key.as_ref()).map_err(IngestError::Config)?;
        let tombstones = writer.forgotten()?;
        rules.forgotten = key.as_ref().and_then(|key| Forgotten::new(key, &tombstones));
        Ok(Self {
            config,
            options,
            rules,
            now: options.now,
            fingerprint: config.rules_fingerprint(),
            known: KnownSources::new(writer.snapshot()?.sources(), Seal::new(key, masks))?,
            buffer: None,
            conflicts: Conflicts::default(),
            report: IngestReport::default(),
            failures: Vec::new(),
            ended: Vec::new(),
            noted: None,
            before: None,
            done: Done::default(),
        })
    }
}

impl Run<'_> {
    /// Moves the time of receipt.
    pub fn at(&mut self, now: i64) {
        self.now = now;
        self.rules.latest_ts = now.saturating_add(limits::FUTURE_MICROS);
    }

    /// Reads inputs until a commit is due, and commits. An input that fails is left out and the others of its group
    /// wait again.
    ///
    /// # Errors
    /// The store fails, or the lines do not add up.
    pub fn group(
        &mut self,
        writer: &mut Writer,
        waiting: &mut VecDeque<Waiting>,
        progress: &mut dyn Progress,
    ) -> Result<(), IngestError> {
        let snapshot = writer.snapshot()?;
        self.report.snapshot = snapshot.id;
        let due = self.is_due();
        let before = *self.before.insert(self.before.filter(|_| !due).unwrap_or_else(|| late::latest(&snapshot)));
        let buffer = self.buffer.take().unwrap_or_else(|| RowBuffer::new(&self.rules));
        let mut conflicts = std::mem::take(&mut self.conflicts);
        let (mut taken, mut failures) = (Vec::new(), Vec::new());
        let press = Press { writer, rules: &self.rules, fingerprint: &self.fingerprint, now: self.now };
        let read = std::thread::scope(|scope| {
            let mut reading = Reading::new(scope, self, &snapshot, press, buffer, (&mut conflicts, &mut *progress));
            reading.inputs(waiting, &mut taken, &mut failures)?;
            reading.close()
        });
        self.failures.append(&mut failures);
        let (mut group, buffer, done) = match read {
            Ok(read) => read,
            Err(error) if error.is_about_one_input() => {
                self.leave_out(error, taken, waiting);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if waiting.is_empty() {
            progress.finishing();
        }
        let late = late::ledger(&group, &snapshot, before, self.config)?;
        let plan = group.plan(press, &snapshot)?;
        self.buffer = Some(buffer);
        self.done = done;
        // Our own lease would keep the files that the commit replaces.
        drop(snapshot);
        self.commit(writer, group, (plan, late))
    }

    fn commit(
        &mut self,
        writer: &mut Writer,
        mut group: Group,
        (plan, late): (Plan, Option<Late>),
    ) -> Result<(), IngestError> {
        let rows = group.source_rows(self.now);
        if !rows.is_empty() || !plan.add.is_empty() || !plan.remove.is_empty() {
            let mut commit = writer.begin();
            commit.replace(plan.remove, plan.add);
            if plan.loses {
                commit.loses_rows();
            }
            rows.iter().cloned().for_each(|row| commit.source(row));
            group.forgotten.iter().for_each(|id| commit.forget(id.clone()));
            commit.late(late);
            self.note(&group).into_iter().for_each(|note| commit.audit("ingest", note));
            self.report.snapshot = commit.commit()?;
            group.forgotten.iter().for_each(|id| self.known.remove(id));
            rows.into_iter().try_for_each(|row| self.known.put(row))?;
        }
        self.conflicts = Conflicts::default();
        self.ended.append(&mut group.ended);
        self.report.sources.extend(group.reports());
        Ok(())
    }

    /// What the audit says of a commit. The thousands of a follower's day are one ingest, noted every hour.
    fn note(&mut self, group: &Group) -> Option<String> {
        if self.options.follow.is_none() {
            return Some(group.summary());
        }
        if !self.is_due() {
            return None;
        }
        self.noted = Some(Stopwatch::start());
        Some(format!("{}, and what is followed within an hour", group.summary()))
    }

    /// A follower is about to be noted in the audit.
    fn is_due(&self) -> bool {
        self.options.follow.is_some() && self.noted.is_none_or(|noted| noted.seconds() >= NOTED)
    }

    /// The last of `taken` failed: the others are read again, which nothing stands against because a stream always
    /// ends its group.
    fn leave_out(&mut self, error: IngestError, mut taken: Vec<Input>, waiting: &mut VecDeque<Waiting>) {
        if let Some(failed) = taken.pop() {
            self.failures.push((failed, error));
        }
        taken.into_iter().rev().for_each(|input| waiting.push_front(Waiting::new(input)));
    }

    fn finish(mut self) -> Result<IngestReport, IngestError> {
        if self.report.sources.is_empty() {
            if self.failures.len() == 1
                && let Some((_, error)) = self.failures.pop()
            {
                return Err(error);
            }
            let skipped = self.failures.iter().map(|(_, error)| error.to_string()).collect();
            return Err(IngestError::NoLogs { skipped });
        }
        for (input, error) in self.failures {
            let no_log =
                matches!(error, IngestError::Format { .. } | IngestError::Empty { .. } | IngestError::Packing { .. });
            let skipped = Skipped { name: input.name, why: error.to_string(), failed: !(input.listed && no_log) };
            self.report.skipped.push(skipped);
        }
        Ok(self.report)
    }
}
