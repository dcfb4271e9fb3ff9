//! Reads through the doors of a server, as `audit` lists them: who asked what, each kind once an hour.
//!
//! ```text
//! note ─┬─ the first of its kind this hour ─► a line, before the answer goes out
//!       └─ another one ─► counted; the count is a line when the hour or the server ends ([`Reads::close`])
//! ```
//!
//! Invariants: of an answer that went out there is a line or a count; where lines cannot be written the server goes on,
//! says so once on stderr and counts what is not listed (`/metrics`). Texts are not held, so that nothing of somebody who
//! is erased comes back from here.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use xxhash_rust::xxh3::Xxh3;

use super::queries::log;
use crate::limits;
use crate::store::{ReadRow, Store};
use crate::time::{self, HOUR};

/// What was read since the server began.
#[derive(Debug)]
pub struct Reads {
    store: Arc<Store>,
    seen: Mutex<HashMap<u128, Kind>>,
    unlisted: AtomicU64,
    told: AtomicBool,
}

/// Reads of one kind in the current hour.
#[derive(Debug, Clone, Copy)]
struct Kind {
    id: u64,
    at: i64,
    times: u64,
    until: i64,
}

impl Kind {
    /// The line that counts those after the first.
    fn more(self) -> Option<ReadRow> {
        let Self { id, at, times, until } = self;
        (times > 0).then(|| ReadRow { id, at, times, until: Some(until), ..ReadRow::default() })
    }
}

/// Somebody who asks through a door.
#[derive(Debug, Clone)]
pub struct Asker {
    pub reads: Arc<Reads>,
    /// The door and the address: `http 127.0.0.1`.
    pub who: String,
}

impl Asker {
    /// Notes that they were answered, see [`Reads::note`].
    pub async fn note(&self, what: &str, snapshot: i64) {
        self.reads.note(&self.who, what, snapshot).await;
    }
}

impl Reads {
    pub(super) fn new(store: &Arc<Store>) -> Self {
        let (seen, unlisted, told) = (Mutex::default(), AtomicU64::new(0), AtomicBool::new(false));
        Self { store: Arc::clone(store), seen, unlisted, told }
    }

    /// Notes that somebody was answered; the line is written when this returns.
    pub async fn note(self: &Arc<Self>, who: &str, what: &str, snapshot: i64) {
        let rows = self.rows(who, what, snapshot, time::now_micros());
        if rows.is_empty() {
            return;
        }
        let reads = Arc::clone(self);
        // Another process may be writing the file anew.
        if tokio::task::spawn_blocking(move || reads.write(&rows)).await.is_err() {
            self.unlisted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes the counts of the current hour: the server ends.
    pub fn close(&self) {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        let rows: Vec<ReadRow> = seen.into_values().filter_map(Kind::more).collect();
        self.write(&rows);
    }

    /// Reads that no list has, because they could not be written.
    #[must_use]
    pub fn unlisted(&self) -> u64 {
        self.unlisted.load(Ordering::Relaxed)
    }

    /// What is to be written for a read.
    fn rows(&self, who: &str, what: &str, snapshot: i64, now: i64) -> Vec<ReadRow> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hash = Xxh3::new();
        hash.update(who.as_bytes());
        hash.update(&[0]);
        hash.update(what.as_bytes());
        let key = hash.digest128();
        let goes_on = |kind: &Kind| (kind.at..kind.at + HOUR).contains(&now);
        if let Some(kind) = seen.get_mut(&key).filter(|kind| goes_on(kind)) {
            (kind.times, kind.until) = (kind.times + 1, now);
            return Vec::new();
        }
        let full = seen.len() >= limits::READ_KINDS;
        let over = seen.extract_if(|_, kind| full || !goes_on(kind)).filter_map(|(_, kind)| kind.more());
        let mut rows: Vec<ReadRow> = over.collect();
        let id = RandomState::new().hash_one(key);
        seen.insert(key, Kind { id, at: now, times: 0, until: now });
        let (who, what) = (who.to_owned(), Some(shortened(what)));
        rows.push(ReadRow { at: now, id, who, what, snapshot, ..ReadRow::default() });
        rows
    }

    /// What is not listed; those of its kind that come later begin anew.
    fn lose(&self, row: &ReadRow) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let lost: u64 = seen.extract_if(|_, kind| kind.id == row.id).map(|(_, kind)| kind.times).sum();
        self.unlisted.fetch_add(lost + row.times.max(1), Ordering::Relaxed);
    }

    fn write(&self, rows: &[ReadRow]) {
        for row in rows {
            let why = match self.store.note_read(row) {
                Ok(true) => {
                    self.told.store(false, Ordering::Relaxed);
                    continue;
                }
                Ok(false) => format!("{} MiB of reads were listed today", limits::READS_DAY_BYTES >> 20),
                Err(error) => error.to_string(),
            };
            self.lose(row);
            if !self.told.swap(true, Ordering::Relaxed) {
                log(&format!("reads are not listed in audit: {why}"));
            }
        }
    }
}

/// A text that is longer than anybody reads, by its beginning.
fn shortened(what: &str) -> String {
    if what.len() <= limits::READ_BYTES {
        return what.to_owned();
    }
    let mut end = what.floor_char_boundary(limits::READ_BYTES);
    // Half an id is found by nobody who looks for it.
    end = what[..end].rfind([' ', ',', '(', '\n', '\t']).unwrap_or(end);
    if what[..end].matches('\'').count() % 2 == 1 {
        end = what[..end].rfind('\'').unwrap_or(end);
    }
    format!("{} … and {} bytes more", &what[..end], what.len() - end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    fn reads() -> (tempfile::TempDir, Arc<Store>) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(&dir.path().join("s")).unwrap();
        (dir, Arc::new(store))
    }

    #[test]
    fn a_kind_is_a_line_an_hour_and_the_rest_is_counted() {
        let (_dir, store) = reads();
        let reads = Reads::new(&store);
        let ask = |who: &str, what: &str, at: i64| reads.write(&reads.rows(who, what, 3, at));
        for at in [5, 6, 7] {
            ask("http ::1", "a", at);
        }
        ask("http ::1", "b", 8);
        ask("http ::2", "a", 9);
        ask("http ::1", "a", HOUR + 20);
        reads.close();
        let mut all = Vec::new();
        let visit = |rows: Vec<ReadRow>| {
            all.extend(rows);
            Ok::<(), StoreError>(())
        };
        store.each_day_of_reads(visit).unwrap();
        let told: Vec<_> = all.iter().map(|row| (row.at, row.who.as_str(), row.what.as_deref(), row.times)).collect();
        let first = [(5, "http ::1", Some("a"), 2), (8, "http ::1", Some("b"), 0), (9, "http ::2", Some("a"), 0)];
        assert_eq!(told[..3], first);
        assert_eq!(told[3..], [(HOUR + 20, "http ::1", Some("a"), 0)]);
        assert_eq!((all[0].until, all[0].snapshot), (Some(7), 3));
    }

    #[test]
    fn what_cannot_be_listed_is_counted() {
        let (dir, store) = reads();
        std::fs::write(dir.path().join("s/reads"), "no folder").unwrap();
        let reads = Reads::new(&store);
        reads.write(&reads.rows("http ::1", "a", 3, 5));
        reads.write(&reads.rows("http ::1", "b", 3, 6));
        assert_eq!(reads.unlisted(), 2);
        // Once it works again, the same is listed with its text.
        std::fs::remove_file(dir.path().join("s/reads")).unwrap();
        assert_eq!(reads.rows("http ::1", "a", 3, 7).len(), 1);
    }

    #[test]
    fn a_very_long_question_is_listed_by_its_beginning() {
        let long = shortened(&"ä".repeat(limits::READ_BYTES));
        assert!(long.ends_with(&format!("… and {} bytes more", limits::READ_BYTES)) && long.starts_with("ää"));
        assert_eq!(shortened("SELECT 1"), "SELECT 1");
        let ids = format!("SELECT {} IN ('an id with blanks and an end')", "x".repeat(limits::READ_BYTES - 25));
        assert!(!shortened(&ids).contains("an id"), "{}", shortened(&ids));
    }
}
