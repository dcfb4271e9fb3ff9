//! The inbox: lines that were received and wait for their commit, durable before anybody is told that they are here.
//!
//! ```text
//! append ─► volume (one file, held by a lock) ─ one fsync for all who wait ─► acknowledged
//!             └─ sealed when it is large or old, or ─► files() ─ an ordinary ingest ─► remove
//!                when another process asks for it
//! ```
//!
//! Invariants: what [`Inbox::append`] has answered for survives a power cut; lines are never torn by each other; a
//! volume that the disk has failed is given up, with an error for everybody who waited for it; a file that a living
//! process writes to is removed by nobody. Lines of which nobody was told may be in a file all the same: they were sent,
//! and are told apart from a second try by their message ids, like everything that comes twice.
//!
//! Deliberately not here: what a line means, when it is committed (`database/collect.rs`).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::disk::Disk;
use super::layout::Layout;
use super::{Store, StoreError};
use crate::limits;
use crate::time::Stopwatch;

/// The inbox of a store, as one process writes to it.
#[derive(Debug)]
pub struct Inbox {
    layout: Layout,
    disk: Disk,
    current: Mutex<Option<Arc<Volume>>>,
}

/// A file that waits for its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub path: PathBuf,
    pub bytes: u64,
    /// Nobody writes to it any more: once it is committed, it can go.
    pub is_sealed: bool,
}

/// A file that is being written.
#[derive(Debug)]
struct Volume {
    path: PathBuf,
    file: File,
    begun: Stopwatch,
    tail: Mutex<Tail>,
    synced: Mutex<Synced>,
    woken: Condvar,
}

#[derive(Debug, Default)]
struct Tail {
    bytes: u64,
    /// Appends so far.
    appends: u64,
    is_sealed: bool,
}

#[derive(Debug, Default)]
struct Synced {
    /// Appends that are durable.
    appends: u64,
    /// Somebody waits for the disk at the moment.
    is_busy: bool,
    /// The disk has failed: what was not durable before never will be.
    is_broken: bool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// The inbox.
    ///
    /// # Errors
    /// Its folder cannot be created.
    pub fn inbox(&self) -> Result<Inbox, StoreError> {
        let dir = self.layout.inbox();
        self.disk.create_dir(&dir).map_err(|error| StoreError::io("creating", &dir, error))?;
        Ok(Inbox { layout: self.layout.clone(), disk: self.disk.clone(), current: Mutex::default() })
    }
}

impl Store {
    /// The inbox, if anything was ever received.
    ///
    /// # Errors
    /// Its folder cannot be looked at.
    pub fn known_inbox(&self) -> Result<Option<Inbox>, StoreError> {
        let dir = self.layout.inbox();
        let is_there = dir.try_exists().map_err(|error| StoreError::io("looking at", &dir, error))?;
        is_there.then(|| self.inbox()).transpose()
    }
}

impl Inbox {
    /// Asks whoever writes to a file to begin another one at the next commit, so that this one is put away.
    ///
    /// # Errors
    /// The disk fails.
    pub fn ask_to_seal(&self) -> Result<(), StoreError> {
        let path = self.layout.inbox_request();
        self.disk.open_or_create(&path).map(drop).map_err(|error| StoreError::io("creating", &path, error))
    }

    /// Whether somebody has asked; from now on nobody has.
    ///
    /// # Errors
    /// The disk fails.
    pub fn was_asked_to_seal(&self) -> Result<bool, StoreError> {
        let path = self.layout.inbox_request();
        self.disk.remove(&path).map_err(|error| StoreError::io("removing", &path, error))
    }

    /// Appends whole lines; they are durable when this returns.
    ///
    /// # Errors
    /// The disk is full or fails: the lines are not here, as far as anybody may rely on it.
    pub fn append(&self, lines: &[u8]) -> Result<(), StoreError> {
        loop {
            let volume = self.volume()?;
            match volume.append(&self.disk, lines) {
                Ok(Some(ticket)) => {
                    return volume.wait(&self.disk, ticket).map_err(|error| self.failed(&volume, error));
                }
                // It was sealed meanwhile.
                Ok(None) => {}
                Err(error) => return Err(self.failed(&volume, error)),
            }
        }
    }

    /// Ends the current volume if `at_once`, if somebody has asked for it, or if it is large or old.
    ///
    /// # Errors
    /// The disk fails.
    pub fn seal(&self, at_once: bool) -> Result<(), StoreError> {
        let at_once = self.was_asked_to_seal()? || at_once;
        let Some(volume) = locked(&self.current).clone() else { return Ok(()) };
        let is_due =
            locked(&volume.tail).bytes >= limits::INBOX_BYTES || volume.begun.seconds() >= limits::INBOX_SECONDS;
        if at_once || is_due {
            self.leave(&volume);
            let appends = volume.seal();
            volume.wait(&self.disk, appends).map_err(|error| StoreError::io("writing", &volume.path, error))?;
        }
        Ok(())
    }

    /// The files with lines, oldest first, also those of other processes.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn files(&self) -> Result<Vec<Waiting>, StoreError> {
        let dir = self.layout.inbox();
        let fail = |error| StoreError::io("reading", &dir, error);
        let mut files = Vec::new();
        for name in Disk::names(&dir).map_err(fail)?.into_iter().filter(|name| Layout::is_inbox_file(name)) {
            let path = dir.join(name);
            match look(&path) {
                Ok((bytes, is_sealed)) => files.push(Waiting { path, bytes, is_sealed }),
                // Another process has committed and removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::io("reading", &path, error)),
            }
        }
        Ok(files)
    }

    /// Removes a sealed file whose lines are committed.
    ///
    /// # Errors
    /// The disk fails.
    pub fn remove(&self, file: &Waiting) -> Result<(), StoreError> {
        self.disk.remove(&file.path).map_err(|error| StoreError::io("removing", &file.path, error))?;
        let dir = self.layout.inbox();
        self.disk.sync_dir(&dir).map_err(|error| StoreError::io("writing", &dir, error))
    }

    /// The volume that takes lines, a new one where there is none.
    fn volume(&self) -> Result<Arc<Volume>, StoreError> {
        let mut current = locked(&self.current);
        if let Some(volume) = &*current {
            return Ok(Arc::clone(volume));
        }
        let path = self.layout.new_inbox_file();
        let begun = Volume::begin(&self.disk, &path, &self.layout.inbox());
        let volume = Arc::new(begun.map_err(|error| StoreError::io("creating", &path, error))?);
        Ok(Arc::clone(current.insert(volume)))
    }

    /// Gives up a volume that the disk has failed.
    fn failed(&self, volume: &Arc<Volume>, error: io::Error) -> StoreError {
        self.leave(volume);
        volume.seal();
        StoreError::io("writing", &volume.path, error)
    }

    fn leave(&self, volume: &Arc<Volume>) {
        let mut current = locked(&self.current);
        if current.as_ref().is_some_and(|it| Arc::ptr_eq(it, volume)) {
            *current = None;
        }
    }
}

/// Length of a file, and whether nobody writes to it.
fn look(path: &Path) -> io::Result<(u64, bool)> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    match file.try_lock_shared() {
        Ok(()) => Ok((file.metadata()?.len(), true)),
        Err(std::fs::TryLockError::WouldBlock) => Ok((bytes, false)),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

impl Volume {
    fn begin(disk: &Disk, path: &Path, dir: &Path) -> io::Result<Self> {
        let file = disk.create_secret(path)?;
        file.try_lock().map_err(io::Error::from)?;
        disk.sync_dir(dir)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            begun: Stopwatch::start(),
            tail: Mutex::default(),
            synced: Mutex::default(),
            woken: Condvar::new(),
        })
    }

    /// The number of this append; `None` where the volume takes no more.
    fn append(&self, disk: &Disk, lines: &[u8]) -> io::Result<Option<u64>> {
        let mut tail = locked(&self.tail);
        if tail.is_sealed {
            return Ok(None);
        }
        if let Err(error) = disk.write_all(&self.file, &self.path, lines) {
            // Half of them must not become the beginning of what comes next.
            tail.is_sealed = true;
            self.file.set_len(tail.bytes)?;
            return Err(error);
        }
        tail.bytes += lines.len() as u64;
        tail.appends += 1;
        Ok(Some(tail.appends))
    }

    /// Takes no more; how many appends there were.
    fn seal(&self) -> u64 {
        let mut tail = locked(&self.tail);
        tail.is_sealed = true;
        tail.appends
    }

    /// Waits until so many appends are durable. Whoever comes while nobody asks the disk asks it for all.
    fn wait(&self, disk: &Disk, appends: u64) -> io::Result<()> {
        let mut synced = locked(&self.synced);
        loop {
            if synced.appends >= appends {
                return Ok(());
            }
            if synced.is_broken {
                return Err(io::Error::other("an earlier write to this file failed"));
            }
            if synced.is_busy {
                synced = self.woken.wait(synced).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            synced.is_busy = true;
            drop(synced);
            let all = locked(&self.tail).appends;
            let done = disk.sync_file(&self.file, &self.path);
            synced = locked(&self.synced);
            synced.is_busy = false;
            match &done {
                Ok(()) => synced.appends = all,
                // What a failed sync has dropped, no later one brings back.
                Err(_) => synced.is_broken = true,
            }
            self.woken.notify_all();
            done?;
        }
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Closing would do the same; an error means that there is no lock.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::fuse::Fuse;
    use super::super::tests::fresh;
    use super::*;

    fn text(inbox: &Inbox) -> String {
        inbox.files().unwrap().iter().map(|file| std::fs::read_to_string(&file.path).unwrap()).collect()
    }

    #[test]
    fn lines_of_many_threads_are_whole_and_all_there() {
        let (_dir, store) = fresh();
        let inbox = store.inbox().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let inbox = &inbox;
                scope.spawn(move || {
                    for no in 0..40 {
                        inbox.append(format!("{thread}-{no}\n{thread}-{no}b\n").as_bytes()).unwrap();
                        if no == 20 && thread == 3 {
                            inbox.seal(true).unwrap();
                        }
                    }
                });
            }
        });
        let mut lines: Vec<String> = text(&inbox).lines().map(str::to_owned).collect();
        lines.sort();
        let mut all: Vec<String> = (0..8)
            .flat_map(|thread| (0..40).flat_map(move |no| [format!("{thread}-{no}"), format!("{thread}-{no}b")]))
            .collect();
        all.sort();
        assert_eq!(lines, all);
    }

    #[test]
    fn a_file_that_is_written_to_is_not_sealed_for_anybody() {
        let (_dir, store) = fresh();
        let (inbox, other) = (store.inbox().unwrap(), store.inbox().unwrap());
        inbox.append(b"a\n").unwrap();
        let sealed = |inbox: &Inbox| inbox.files().unwrap().iter().map(|file| file.is_sealed).collect::<Vec<_>>();
        assert_eq!((sealed(&inbox), sealed(&other)), (vec![false], vec![false]));
        inbox.seal(false).unwrap();
        assert_eq!(sealed(&other), [false]);
        inbox.seal(true).unwrap();
        assert_eq!(sealed(&other), [true]);
        inbox.append(b"b\n").unwrap();
        assert_eq!(sealed(&other), [true, false]);
        other.remove(&other.files().unwrap()[0]).unwrap();
        assert_eq!(text(&inbox), "b\n");
    }

    #[test]
    fn what_was_acknowledged_survives_a_power_cut_at_any_step() {
        for steps in 1..12 {
            let (_dir, mut store) = fresh();
            let fuse = Arc::new(Fuse::new(steps));
            store.disk.fuse = Some(Arc::clone(&fuse));
            let is_acknowledged = store.inbox().is_ok_and(|inbox| inbox.append(b"a\n").is_ok());
            fuse.cut_power().unwrap();
            store.disk.fuse = None;
            let left = text(&store.inbox().unwrap());
            assert!(!is_acknowledged || left == "a\n", "{steps}: {left:?}");
            assert!(is_acknowledged || steps < 9, "{steps}");
        }
    }

    #[test]
    fn a_full_disk_is_an_error_and_no_half_line() {
        let (_dir, mut store) = fresh();
        store.disk.fuse = Some(Arc::new(Fuse::full(8)));
        let inbox = store.inbox().unwrap();
        let taken = (0..9).filter(|no| inbox.append(format!("{no}\n").as_bytes()).is_ok()).count();
        assert!(0 < taken && taken < 9, "{taken}");
        assert_eq!(text(&inbox).lines().count(), taken);
    }
}
