//! What somebody says of single events: rows beside them, and no event file.

use std::collections::HashMap;

use super::error::MaintainError;
use crate::config::Config;
use crate::correction::{Change, Correction};
use crate::identity::{is_junk, is_visitor};
use crate::limits;
use crate::privacy::tombstone;
use crate::store::{CorrectionEdit, Linking, Store, Writer};
use crate::time;

/// Whose word it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Checks that what is said can be.
///
/// # Errors
/// An event would be nobody's, nowhere in time, or called nothing.
pub fn check(change: &Change, now: i64) -> Result<(), MaintainError> {
    match change {
        Change::ReassignUser { user, .. } | Change::FlagUser { user } if is_junk(user.as_bytes()) => {
            Err(MaintainError::NoPerson { id: user.clone() })
        }
        Change::ReassignUser { user, .. } if is_visitor(user) => Err(MaintainError::NoPerson { id: user.clone() }),
        Change::MoveEvent { ts, .. }
            if *ts < limits::EARLIEST_TS || *ts > now.saturating_add(limits::FUTURE_MICROS) =>
        {
            let (earliest, latest) = (limits::EARLIEST_TS, now.saturating_add(limits::FUTURE_MICROS));
            Err(MaintainError::NoTime {
                time: time::iso(*ts),
                earliest: time::iso(earliest),
                latest: time::iso(latest),
            })
        }
        Change::Relabel { page, name, .. } => match (page, name) {
            (None, None) => Err(MaintainError::NoLabel),
            (page, name) if page.iter().chain(name).any(String::is_empty) => Err(MaintainError::NoLabel),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Adds these corrections in one commit and returns their ids.
///
/// # Errors
/// What [`check`] says, somebody named was erased, the same is in force already, somebody else writes, or the disk is
/// full; the store is as it was then.
pub fn correct(
    store: &Store,
    config: &Config,
    changes: Vec<Change>,
    word: &Word,
    now: i64,
) -> Result<Vec<i64>, MaintainError> {
    changes.iter().try_for_each(|change| check(change, now))?;
    let count = changes.len();
    let mut writer = store.writer(Linking::new(&config.identity))?;
    refuse_erased(&mut writer, &changes)?;
    let said = store.corrections(&writer.snapshot()?)?;
    let latest: HashMap<_, &Correction> =
        said.iter().filter(|said| said.reverted.is_none()).map(|said| (said.change.topic(), said)).collect();
    for change in &changes {
        let same = latest.get(&change.topic()).filter(|said| said.change == *change);
        if let Some(Correction { id, by, reason, .. }) = same {
            return Err(MaintainError::SaidAlready { id: *id, by: by.clone(), reason: reason.clone() });
        }
    }
    let mut commit = writer.begin();
    if let Some(first) = changes.first() {
        let about =
            first.event().map_or_else(|| format!("'{}'", first.ids().collect::<String>()), |it| it.event.to_string());
        let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
        let what = if first.is_flag() { first.kind().replace('-', " ") } else { format!("correct {}", first.kind()) };
        commit.audit(what, format!("{about}{more} by {}: {}", word.by, word.reason));
    }
    for change in changes {
        commit.correct(CorrectionEdit::Add { change, reason: word.reason.clone(), by: word.by.clone() });
    }
    commit.commit()?;
    let all = store.corrections(&writer.snapshot()?)?;
    Ok(all.iter().rev().take(count).rev().map(|correction| correction.id).collect())
}

/// Nobody who was erased comes back by a correction.
fn refuse_erased(writer: &mut Writer, changes: &[Change]) -> Result<(), MaintainError> {
    let stones = writer.forgotten()?;
    let Some(key) = writer.key(false)?.filter(|_| !stones.is_empty()) else { return Ok(()) };
    for change in changes {
        if let Change::ReassignUser { user, .. } | Change::FlagUser { user } = change {
            let hash = tombstone(&key, user, (i64::MIN, i64::MAX)).hash;
            if stones.iter().any(|stone| stone.hash == hash) {
                return Err(MaintainError::Erased { id: user.clone() });
            }
        }
    }
    Ok(())
}

/// Takes corrections back in one commit: from the next snapshot on it is as if they had never been said.
///
/// # Errors
/// There is none of that id or it was taken back before, somebody else writes, or the disk is full; then none is taken
/// back.
pub fn revert(store: &Store, config: &Config, ids: &[i64], by: &str) -> Result<Vec<Correction>, MaintainError> {
    let mut writer = store.writer(Linking::new(&config.identity))?;
    let mut all: HashMap<i64, Correction> =
        store.corrections(&writer.snapshot()?)?.into_iter().map(|correction| (correction.id, correction)).collect();
    let mut found = Vec::with_capacity(ids.len());
    for &id in ids {
        let correction = all.remove(&id).ok_or(MaintainError::NoCorrection { id })?;
        if let Some(reverted) = &correction.reverted {
            return Err(MaintainError::Reverted { id, by: reverted.by.clone(), at: time::iso(reverted.at) });
        }
        found.push(correction);
    }
    let mut commit = writer.begin();
    if let (Some(first), more) = (found.first(), found.len().saturating_sub(1)) {
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        commit.audit("corrections revert", format!("{}, {}{more}, by {by}", first.id, first.change.kind()));
    }
    for correction in &found {
        commit.correct(CorrectionEdit::Revert { id: correction.id, by: by.to_owned() });
    }
    commit.commit()?;
    Ok(found)
}
