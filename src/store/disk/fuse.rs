//! A fuse for crash tests: blows at the n-th step, after which every step fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Step;

/// Counts steps and remembers what a power cut would take back.
#[derive(Debug)]
pub(in crate::store) struct Fuse {
    /// The step (from 1) that does not happen any more.
    blows_at: u64,
    taken: AtomicU64,
    unsynced: Mutex<Unsynced>,
}

#[derive(Debug, Default)]
struct Unsynced {
    /// Files whose bytes were not synced since they were last written.
    bytes: BTreeSet<PathBuf>,
    /// Names not synced: new name to old name (`None`: created).
    names: BTreeMap<PathBuf, Option<PathBuf>>,
}

impl Fuse {
    pub(in crate::store) fn new(blows_at: u64) -> Self {
        Self { blows_at, taken: AtomicU64::new(0), unsynced: Mutex::default() }
    }

    /// Steps asked for so far.
    pub(in crate::store) fn taken(&self) -> u64 {
        self.taken.load(Ordering::SeqCst)
    }

    pub(super) fn step(&self, step: Step<'_>) -> io::Result<()> {
        if self.taken.fetch_add(1, Ordering::SeqCst) + 1 >= self.blows_at {
            return Err(io::Error::other("the fuse has blown"));
        }
        let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        match step {
            Step::Create(path) | Step::CreateDir(path) => {
                if !path.exists() {
                    unsynced.names.insert(path.to_owned(), None);
                }
            }
            Step::Write(path) => {
                unsynced.bytes.insert(path.to_owned());
            }
            Step::SyncFile(path) => {
                unsynced.bytes.remove(path);
            }
            Step::Rename(from, to) => {
                if unsynced.bytes.remove(from) {
                    unsynced.bytes.insert(to.to_owned());
                }
                unsynced.names.remove(from);
                unsynced.names.insert(to.to_owned(), Some(from.to_owned()));
            }
            Step::SyncDir(dir) => unsynced.names.retain(|name, _| name.parent() != Some(dir)),
            Step::Remove | Step::Commit => {}
        }
        Ok(())
    }

    /// Takes back what was never synced: bytes become none, names go back to what they were.
    pub(in crate::store) fn cut_power(&self) -> io::Result<()> {
        let unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        for path in unsynced.bytes.iter().filter(|path| path.exists()) {
            OpenOptions::new().write(true).open(path)?.set_len(0)?;
        }
        for (name, before) in unsynced.names.iter().filter(|(name, _)| name.exists()) {
            take_back(name, before.as_deref())?;
        }
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "a test that plays the disk")]
fn take_back(name: &Path, before: Option<&Path>) -> io::Result<()> {
    match before {
        Some(before) => fs::rename(name, before),
        None if name.is_dir() => fs::remove_dir_all(name),
        None => fs::remove_file(name),
    }
}
