//! Saved groups of people: rows of the catalog, and no event file.

use super::error::MaintainError;
use crate::config::Config;
use crate::error::did_you_mean;
use crate::limits;
use crate::privacy::Forgotten;
use crate::store::{Linking, SegmentEdit, SegmentRow, Store, Writer};

/// What becomes of a name that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// That is an error.
    Refuse,
    /// It stays as it is.
    Keep,
    /// It is given the new query.
    Replace,
}

/// Saves a group of people under a name, in one commit. `sql` is the query whose `user_id`s they are.
///
/// # Errors
/// There is one of that name, the name says nothing, the query names somebody who was erased, somebody else writes, or the
/// disk is full; the store is as it was then.
pub fn save_segment(
    store: &Store,
    config: &Config,
    name: &str,
    sql: &str,
    existing: Existing,
) -> Result<(), MaintainError> {
    if name.trim().is_empty() || name.len() > limits::NAME_BYTES || name.chars().any(char::is_control) {
        return Err(MaintainError::SegmentName { name: name.escape_debug().to_string() });
    }
    let mut writer = store.writer(Linking::new(&config.identity))?;
    let verb = match find(store, &writer, name)?.ok() {
        None => "create segment",
        Some(row) if existing == Existing::Keep || (existing == Existing::Replace && row.sql == sql) => return Ok(()),
        Some(_) if existing == Existing::Refuse => return Err(MaintainError::SegmentExists { name: name.to_owned() }),
        Some(_) => "replace segment",
    };
    let stones = writer.forgotten()?;
    let forgotten = writer.key(false)?.and_then(|key| Forgotten::new(&key, &stones));
    if forgotten.is_some_and(|gone| gone.names(sql.as_bytes()) || gone.names(name.as_bytes())) {
        return Err(MaintainError::SegmentOfErased { name: name.to_owned() });
    }
    let mut commit = writer.begin();
    commit.audit(verb, format!("{name}: {sql}"));
    commit.segment(SegmentEdit::Put { name: name.to_owned(), sql: sql.to_owned() });
    commit.commit()?;
    Ok(())
}

/// Takes a saved group away, in one commit.
///
/// # Errors
/// There is none of that name (unless `if_exists`), somebody else writes, or the disk is full.
pub fn drop_segment(store: &Store, config: &Config, name: &str, if_exists: bool) -> Result<(), MaintainError> {
    let mut writer = store.writer(Linking::new(&config.identity))?;
    match find(store, &writer, name)? {
        Ok(_) => {}
        Err(_) if if_exists => return Ok(()),
        Err(hint) => return Err(MaintainError::NoSegment { name: name.to_owned(), hint }),
    }
    let mut commit = writer.begin();
    commit.audit("drop segment", name);
    commit.segment(SegmentEdit::Drop { name: name.to_owned() });
    commit.commit()?;
    Ok(())
}

/// The segment of a name, else what could be meant.
fn find(store: &Store, writer: &Writer, name: &str) -> Result<Result<SegmentRow, String>, MaintainError> {
    let mut rows = store.segments(&writer.snapshot()?)?;
    if let Some(at) = rows.iter().position(|row| row.name == name) {
        return Ok(Ok(rows.swap_remove(at)));
    }
    let hint = did_you_mean(name, rows.iter().map(|row| row.name.as_str()));
    Ok(Err(hint.unwrap_or_else(|| "SHOW SEGMENTS lists them".to_owned())))
}
