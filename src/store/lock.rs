//! `writer.lock`: one writer at a time, and the names it is about to publish.
//!
//! ```text
//! 4711 journeyql ingest                     who: process id, program, verb
//! events/day=2026-01-05/part-….parquet      announced: published by a rename, not yet committed
//! ```
//!
//! The lock is the kernel's (`flock`), not the text: a text that a dead writer left means nothing but the announced
//! names, which the next writer may sweep.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use super::StoreError;
use super::disk::Disk;
use super::layout::{Layout, PartPath};
use crate::time::Stopwatch;

/// Held for as long as a writer lives.
#[derive(Debug)]
pub(super) struct WriterLock {
    file: File,
    path: PathBuf,
    disk: Disk,
}

impl WriterLock {
    /// Takes the lock and returns what the last writer announced and did not clear.
    pub(super) fn take(layout: &Layout, disk: &Disk) -> Result<(Self, Vec<PartPath>), StoreError> {
        let path = layout.writer_lock();
        let fail = |error| StoreError::io("locking", &path, error);
        let mut file = disk.open_or_create(&path).map_err(fail)?;
        let mut locked = try_lock(&file).map_err(fail)?;
        let mut text = read(&mut file).map_err(fail)?;
        let since = Stopwatch::start();
        while !locked && is_soon_over(&text) && since.seconds() < PATIENCE {
            locked = try_lock(&file).map_err(fail)?;
            text = read(&mut file).map_err(fail)?;
        }
        if !locked {
            let holder = text.lines().next().map_or_else(|| "another journeyql".to_owned(), describe);
            return Err(StoreError::InUse { dir: layout.root().to_owned(), holder });
        }
        Ok((Self { file, path, disk: disk.clone() }, announced(&text)))
    }

    /// Names the parts that are about to be published, durably.
    pub(super) fn announce<'a>(&self, parts: impl Iterator<Item = &'a PartPath>) -> Result<(), StoreError> {
        let mut text = identity();
        for part in parts {
            text.push_str(&part.to_string());
            text.push('\n');
        }
        let fail = |error| StoreError::io("writing", &self.path, error);
        self.disk.rewrite(&self.file, &self.path, &text).map_err(fail)?;
        self.disk.sync_file(&self.file, &self.path).map_err(fail)
    }

    /// Leaves only who holds the lock. Need not be durable: a committed name that is announced is no orphan.
    pub(super) fn clear(&self) -> Result<(), StoreError> {
        self.disk
            .rewrite(&self.file, &self.path, &identity())
            .map_err(|error| StoreError::io("writing", &self.path, error))
    }
}

/// Seconds that a writer waits for a server, which commits what it has collected and lets go.
const PATIENCE: f64 = 30.0;

/// Whether whoever holds the lock by this text holds it for one commit, or has not said yet who it is.
fn is_soon_over(text: &str) -> bool {
    text.lines().next().is_none_or(|who| who.ends_with(" serve"))
}

fn read(file: &mut File) -> io::Result<String> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// `false`: another holds it. Asks again for a moment, since [`look`] of another process holds it for an instant.
fn try_lock(file: &File) -> io::Result<bool> {
    for _ in 0..5 {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(false)
}

fn announced(text: &str) -> Vec<PartPath> {
    text.lines().skip(1).filter_map(PartPath::parse).collect()
}

/// `None`: somebody writes at the moment. Else what the last writer announced and did not clear.
pub(super) fn look(layout: &Layout) -> Result<Option<Vec<PartPath>>, StoreError> {
    let path = layout.writer_lock();
    let fail = |error| StoreError::io("looking at", &path, error);
    let mut file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Vec::new())),
        other => other.map_err(fail)?,
    };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(fail(error)),
        Ok(()) => {}
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(fail)?;
    Ok(Some(announced(&text)))
}

/// Process id, program and verb. No further arguments: they may name a person that the store must forget.
fn identity() -> String {
    let mut words = std::env::args_os().take(2).map(|word| word.to_string_lossy().into_owned());
    let program = words.next().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default();
    let verb = words.next().filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
    // Options may stand before it. A server is told apart: it holds the lock for one commit.
    let verb = verb.filter(|verb| !verb.starts_with('-')).or_else(|| {
        let serves = std::env::args_os().any(|word| word == "serve");
        serves.then(|| "serve".to_owned())
    });
    let command = verb.map_or_else(|| program.to_owned(), |verb| format!("{program} {verb}"));
    format!("{} {}\n", std::process::id(), command.replace(char::is_control, " "))
}

/// `4711 journeyql ingest x` as a person would say it.
fn describe(line: &str) -> String {
    match line.split_once(' ') {
        Some((pid, command)) => format!("process {pid} (`{command}`)"),
        None => format!("process {line}"),
    }
}
