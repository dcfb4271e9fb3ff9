//! What somebody says of single events: rows beside them, and no event file.

use super::error::MaintainError;
use crate::config::Config;
use crate::correction::{Change, Correction};
use crate::identity::{is_junk, is_visitor};
use crate::limits;
use crate::store::{CorrectionEdit, Linking, Store};
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
pub fn check(change: &Change) -> Result<(), MaintainError> {
    match change {
        Change::ReassignUser { user, .. } | Change::FlagUser { user } if is_junk(user.as_bytes()) => {
            Err(MaintainError::NoPerson { id: user.clone() })
        }
        Change::ReassignUser { user, .. } if is_visitor(user) => Err(MaintainError::NoPerson { id: user.clone() }),
        Change::MoveEvent { ts, .. } if *ts < limits::EARLIEST_TS => {
            Err(MaintainError::NoTime { time: time::iso(*ts), earliest: time::iso(limits::EARLIEST_TS) })
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
/// What [`check`] says, the same is in force already, somebody else writes, or the disk is full; the store is as it was then.
pub fn correct(store: &Store, config: &Config, changes: Vec<Change>, word: &Word) -> Result<Vec<i64>, MaintainError> {
    changes.iter().try_for_each(check)?;
    let count = changes.len();
    let mut writer = store.writer(Linking::new(&config.identity))?;
    let said = store.corrections(&writer.snapshot()?)?;
    for change in &changes {
        let latest = said.iter().rfind(|said| said.reverted.is_none() && said.change.is_about_what(change));
        if let Some(Correction { id, by, reason, .. }) = latest.filter(|said| said.change == *change) {
            return Err(MaintainError::SaidAlready { id: *id, by: by.clone(), reason: reason.clone() });
        }
    }
    let mut commit = writer.begin();
    for change in changes {
        let about = match (&change, change.event()) {
            (Change::FlagUser { user }, _) => format!("'{user}'"),
            (_, Some(anchor)) => anchor.event.to_string(),
            (_, None) => String::new(),
        };
        let what =
            if change.is_flag() { change.kind().replace('-', " ") } else { format!("correct {}", change.kind()) };
        commit.audit(what, format!("{about} by {}: {}", word.by, word.reason));
        commit.correct(CorrectionEdit::Add { change, reason: word.reason.clone(), by: word.by.clone() });
    }
    commit.commit()?;
    let all = store.corrections(&writer.snapshot()?)?;
    Ok(all.iter().rev().take(count).rev().map(|correction| correction.id).collect())
}

/// Takes a correction back: from the next snapshot on it is as if it had never been said.
///
/// # Errors
/// There is none of that id or it was taken back before, somebody else writes, or the disk is full.
pub fn revert(store: &Store, config: &Config, id: i64, by: &str) -> Result<Correction, MaintainError> {
    let mut writer = store.writer(Linking::new(&config.identity))?;
    let all = store.corrections(&writer.snapshot()?)?;
    let Some(correction) = all.into_iter().find(|correction| correction.id == id) else {
        return Err(MaintainError::NoCorrection { id });
    };
    if let Some(reverted) = &correction.reverted {
        return Err(MaintainError::Reverted { id, by: reverted.by.clone(), at: time::iso(reverted.at) });
    }
    let mut commit = writer.begin();
    commit.audit("corrections revert", format!("{id}, {}, by {by}", correction.change.kind()));
    commit.correct(CorrectionEdit::Revert { id, by: by.to_owned() });
    commit.commit()?;
    Ok(correction)
}
