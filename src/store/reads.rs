//! What was read through servers: a line for a read, a file for a day. `audit` lists it beside the catalog's own rows.
//!
//! ```text
//! reads/2026-11-23.ndjson   {"at":µs,"id":…,"who":"http 127.0.0.1","what":"SELECT …","snapshot":7}   the first of a kind
//!                           {"at":µs,"id":…,"times":41,"until":µs}                                   more of that one
//! reads/lock                held by whoever appends, or writes a file anew
//! ```
//!
//! Invariants: a line that was noted survives the end of its process, and half a line of one that was killed is cut off
//! by the next; a file is replaced as a whole; what is said of one who was erased is cut out of every line, and does not
//! come in again.
//!
//! Deliberately not here: what is a read, and which ones are alike (`database/reads.rs`).

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::layout::Layout;
use super::{Store, StoreError};
use crate::limits;
use crate::privacy::{Forgotten, Identifiers};
use crate::time::{Day, Stopwatch};

/// A read, or how often it came again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadRow {
    /// When the first of its kind came, µs.
    pub at: i64,
    /// Tells it from all others.
    pub id: u64,
    /// The door and the asker: `http 127.0.0.1`; nothing of more of the same.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub who: String,
    /// The SQL; none of more of the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// The snapshot that the first one read.
    #[serde(default)]
    pub snapshot: i64,
    /// How many more came.
    #[serde(default)]
    pub times: u64,
    /// When the last of them came, µs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
}

/// So many bytes of a file's end are looked at for the end of its last whole line.
const TAIL_BYTES: u64 = 256 << 10;
/// So long somebody waits for another process that writes, in seconds.
const PATIENCE: f64 = 2.0;
/// What stands for a text that tells of somebody who was erased.
const ERASED: &str = "[forgotten]";

impl Store {
    /// Appends a read; `false` where the day's file has no room for more.
    ///
    /// # Errors
    /// The folder cannot be written to; the line is not there then.
    pub fn note_read(&self, row: &ReadRow) -> Result<bool, StoreError> {
        let dir = self.layout.reads();
        self.disk.create_dir(&dir).map_err(|error| StoreError::io("creating", &dir, error))?;
        let _alone = self.lock_reads()?;
        let row = &self.without_forgotten(row)?;
        let path = self.layout.reads_of(Day::of(row.at));
        let fail = |error| StoreError::io("writing", &path, error);
        let (file, whole) = match self.disk.create_secret(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let file = self.disk.open_or_create(&path).map_err(fail)?;
                let whole = whole_lines(&file).map_err(fail)?;
                (file, whole)
            }
            made => (made.map_err(fail)?, 0),
        };
        if whole >= limits::READS_DAY_BYTES {
            return Ok(false);
        }
        let line = line_of(row).map_err(fail)?;
        let written = file.set_len(whole).and_then(|()| (&file).seek(SeekFrom::Start(whole)));
        written.and_then(|_| self.disk.write_all(&file, &path, line.as_bytes())).map_err(|error| {
            // Half a line is none; where this fails too, the next one cuts it off.
            let _ = file.set_len(whole);
            fail(error)
        })?;
        Ok(true)
    }

    /// Visits what was read through servers, day by day, oldest first, each kind once an hour with how often it came.
    ///
    /// # Errors
    /// A file cannot be read, or has a line that is none of ours; or `visit` fails.
    pub fn each_day_of_reads<E: From<StoreError>>(
        &self,
        mut visit: impl FnMut(Vec<ReadRow>) -> Result<(), E>,
    ) -> Result<(), E> {
        for name in self.read_files()? {
            visit(counted(parsed(&self.layout.reads().join(name))?.0))?;
        }
        Ok(())
    }

    /// Puts `instead` where a line tells of somebody; how many lines did. With `dry_run` nothing is changed.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn forget_reads(&self, identifiers: &Identifiers, instead: &str, dry_run: bool) -> Result<usize, StoreError> {
        let mut lines = 0;
        if !dry_run && self.layout.reads().is_dir() {
            // Whoever began to write before the erasure was committed has ended, and whoever begins now knows of it.
            drop(self.lock_reads()?);
        }
        for name in self.read_files()? {
            // Nobody who appends waits for more than one file.
            let _alone = if dry_run { None } else { Some(self.lock_reads()?) };
            let path = self.layout.reads().join(&name);
            let (mut rows, is_torn) = parsed(&path)?;
            let told = rows.iter_mut().map(|row| usize::from(cut(row, identifiers, instead))).sum::<usize>();
            lines += told;
            if (told > 0 || is_torn) && !dry_run {
                self.rewrite_reads(&path, &rows)?;
            }
        }
        Ok(lines)
    }

    /// The row without a text that names somebody who was erased.
    fn without_forgotten(&self, row: &ReadRow) -> Result<ReadRow, StoreError> {
        let mut row = row.clone();
        let stones = self.catalog().forgotten()?;
        let key = if stones.is_empty() { None } else { self.key()? };
        if let Some(forgotten) = key.and_then(|key| Forgotten::new(&key, &stones)) {
            let names = |text: &str| forgotten.names(text.as_bytes());
            row.what = row.what.map(|what| if names(&what) { ERASED.to_owned() } else { what });
            if names(&row.who) {
                ERASED.clone_into(&mut row.who);
            }
        }
        Ok(row)
    }

    /// Removes the files of days before `first`; how many.
    ///
    /// # Errors
    /// One cannot be removed.
    pub fn drop_reads(&self, first: Day, dry_run: bool) -> Result<usize, StoreError> {
        let names = self.read_files()?;
        let old = names.iter().filter(|name| Layout::parse_reads_of(name).is_some_and(|day| day < first));
        let mut files = 0;
        for name in old {
            let path = self.layout.reads().join(name);
            if !dry_run {
                self.disk.remove(&path).map_err(|error| StoreError::io("removing", &path, error))?;
            }
            files += 1;
        }
        Ok(files)
    }

    /// The file's names, by day.
    fn read_files(&self) -> Result<Vec<String>, StoreError> {
        let dir = self.layout.reads();
        let fail = |error| StoreError::io("listing", &dir, error);
        let mut names = Disk::names(&dir).map_err(fail)?;
        names.retain(|name| Layout::parse_reads_of(name).is_some());
        names.sort();
        Ok(names)
    }

    fn lock_reads(&self) -> Result<File, StoreError> {
        let path = self.layout.reads_lock();
        let fail = |error| StoreError::io("locking", &path, error);
        let file = self.disk.open_or_create(&path).map_err(fail)?;
        let since = Stopwatch::start();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if since.seconds() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(fail(io::Error::other("another process has held it for two seconds")));
                }
                Err(TryLockError::Error(error)) => return Err(fail(error)),
            }
        }
    }

    fn rewrite_reads(&self, path: &Path, rows: &[ReadRow]) -> Result<(), StoreError> {
        let new = path.with_extension("tmp");
        let fail = |error| StoreError::io("writing", &new, error);
        // A killed process may have left one.
        self.disk.remove(&new).map_err(fail)?;
        let text = rows.iter().map(line_of).collect::<io::Result<String>>().map_err(fail)?;
        let file = self.disk.create_secret(&new).map_err(fail)?;
        self.disk.write_all(&file, &new, text.as_bytes()).map_err(fail)?;
        self.disk.sync_file(&file, &new).map_err(fail)?;
        Disk::give_like(&file, path);
        self.disk.rename(&new, path).map_err(fail)?;
        self.disk.sync_dir(&self.layout.reads()).map_err(fail)
    }
}

fn line_of(row: &ReadRow) -> io::Result<String> {
    Ok(serde_json::to_string(row)? + "\n")
}

/// The rows of a file without half a line at its end, and whether there is one.
fn parsed(path: &Path) -> Result<(Vec<ReadRow>, bool), StoreError> {
    let fail = |error| StoreError::io("reading", path, error);
    let bytes = fs::read(path).map_err(fail)?;
    // Half a line may end inside a letter.
    let whole = memchr::memrchr(b'\n', &bytes).map_or(0, |end| end + 1);
    let rows = bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let rows = rows.map(|line| serde_json::from_slice(line).map_err(|error| fail(error.into())));
    Ok((rows.collect::<Result<_, _>>()?, whole < bytes.len()))
}

/// Each read once, with how often it came, by time.
fn counted(rows: Vec<ReadRow>) -> Vec<ReadRow> {
    let mut places: HashMap<u64, usize> = HashMap::with_capacity(rows.len());
    let mut reads: Vec<ReadRow> = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(first) = places.get(&row.id).map(|&at| &mut reads[at]) {
            (first.times, first.until) = (first.times + row.times, first.until.max(row.until));
        } else {
            places.insert(row.id, reads.len());
            reads.push(row);
        }
    }
    reads.sort_by_key(|row| row.at);
    reads
}

/// Puts `instead` where a row tells of somebody; whether it did.
fn cut(row: &mut ReadRow, identifiers: &Identifiers, instead: &str) -> bool {
    let what = row.what.as_deref().and_then(|what| identifiers.cut(what, instead));
    let words: Vec<&str> = row.who.split(' ').collect();
    let is_one = |word: &&str| identifiers.are_in_value(word.as_bytes());
    let who = words
        .iter()
        .any(is_one)
        .then(|| words.iter().map(|word| if is_one(word) { instead } else { word }).collect::<Vec<_>>().join(" "));
    let told = what.is_some() || who.is_some();
    row.what = what.or(row.what.take());
    row.who = who.unwrap_or_else(|| std::mem::take(&mut row.who));
    told
}

/// How many bytes of a file are whole lines.
fn whole_lines(mut file: &File) -> io::Result<u64> {
    let bytes = file.metadata()?.len();
    let from = bytes.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(bytes.saturating_sub(1)))?;
    let mut last = [0];
    if file.read(&mut last)? == 0 || last == *b"\n" {
        return Ok(bytes);
    }
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    Ok(memchr::memrchr(b'\n', &tail).map_or(from, |at| from + at as u64 + 1))
}

#[cfg(test)]
mod tests {
    use super::super::disk::fuse::Fuse;
    use super::super::tests::fresh;
    use super::*;
    use std::sync::Arc;

    fn read(at: i64, what: &str) -> ReadRow {
        let id = at.unsigned_abs();
        ReadRow { at, id, who: "http ::1".into(), what: Some(what.into()), snapshot: 1, ..ReadRow::default() }
    }

    fn more(at: i64, times: u64) -> ReadRow {
        ReadRow { at, id: at.unsigned_abs(), times, until: Some(at + 9), ..ReadRow::default() }
    }

    fn listed(store: &Store) -> Vec<ReadRow> {
        let mut all = Vec::new();
        let visit = |rows: Vec<ReadRow>| {
            all.extend(rows);
            Ok::<(), StoreError>(())
        };
        store.each_day_of_reads(visit).unwrap();
        all
    }

    #[test]
    fn reads_come_back_by_time_each_with_how_often_it_came() {
        let (_dir, store) = fresh();
        assert_eq!(listed(&store), []);
        let day = crate::time::DAY;
        for row in [read(day, "b"), read(5, "a"), more(5, 2), read(6, "c"), more(5, 3), read(5 + day, "a")] {
            assert!(store.note_read(&row).unwrap());
        }
        let a = ReadRow { times: 5, until: Some(14), ..read(5, "a") };
        assert_eq!(listed(&store), [a, read(6, "c"), read(day, "b"), read(5 + day, "a")]);
        assert_eq!((store.drop_reads(Day(1), true).unwrap(), store.drop_reads(Day(1), false).unwrap()), (1, 1));
        assert_eq!(listed(&store), [read(day, "b"), read(5 + day, "a")]);
    }

    #[test]
    fn half_a_line_of_a_killed_server_is_cut_off_by_the_next() {
        let (_dir, store) = fresh();
        store.note_read(&read(5, "a")).unwrap();
        let path = store.layout.reads_of(Day(0));
        let mut text = fs::read_to_string(&path).unwrap();
        text += "{\"at\":6,\"who\":\"http Z\u{fc}";
        // It ends inside a letter.
        fs::write(&path, &text.as_bytes()[..text.len() - 1]).unwrap();
        assert_eq!(listed(&store), [read(5, "a")]);
        store.note_read(&read(7, "b")).unwrap();
        assert_eq!(listed(&store), [read(5, "a"), read(7, "b")]);
    }

    #[test]
    fn a_full_disk_is_an_error_and_no_half_line() {
        let (_dir, mut store) = fresh();
        store.disk.fuse = Some(Arc::new(Fuse::full(12)));
        let taken = (0..9).filter(|at| store.note_read(&read(*at, "SELECT 1 FROM steps")).is_ok()).count();
        store.disk.fuse = None;
        assert!(taken < 9, "{taken}");
        assert_eq!(listed(&store).len(), taken);
    }

    #[test]
    fn a_line_that_is_none_of_ours_is_an_error_and_no_smaller_list() {
        let (_dir, store) = fresh();
        store.note_read(&read(5, "a")).unwrap();
        fs::write(store.layout.reads_of(Day(0)), "{}\n").unwrap();
        assert!(
            store
                .each_day_of_reads(|_| Ok::<(), StoreError>(()))
                .unwrap_err()
                .to_string()
                .contains("1970-01-01.ndjson")
        );
    }

    #[test]
    fn who_is_erased_is_in_no_line() {
        let (_dir, store) = fresh();
        let ids = Identifiers::new(["o'neil-ab".to_owned(), "u7".to_owned()]).unwrap();
        for (at, what) in [(1, "FROM steps WHERE user_id = 'o''neil-ab'"), (2, "user_id = 'u7'"), (3, "LIMIT 7")] {
            store.note_read(&read(at, what)).unwrap();
        }
        store.note_read(&more(1, 4)).unwrap();
        assert_eq!((store.forget_reads(&ids, "[gone]", true).unwrap(), listed(&store).len()), (2, 3));
        assert_eq!(store.forget_reads(&ids, "[gone]", false).unwrap(), 2);
        let left: Vec<_> = listed(&store).into_iter().map(|row| (row.what.unwrap(), row.times)).collect();
        let cut = |what: &str, times| (what.to_owned(), times);
        let all = [cut("FROM steps WHERE user_id = '[gone]'", 4), cut("user_id = '[gone]'", 0), cut("LIMIT 7", 0)];
        assert_eq!(left, all);
        assert_eq!(store.forget_reads(&ids, "[gone]", false).unwrap(), 0);
        let asker = ReadRow { who: "postgres ::1 u7 psql".into(), ..read(9, "LIMIT 8") };
        store.note_read(&asker).unwrap();
        assert_eq!(store.forget_reads(&ids, "[gone]", false).unwrap(), 1);
        assert_eq!(listed(&store).last().unwrap().who, "postgres ::1 [gone] psql");
    }
}
