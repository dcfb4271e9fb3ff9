//! What somebody says of who is who: rows of the map, and no event file.

use super::error::MaintainError;
use crate::config::Config;
use crate::identity::{Alias, People, is_junk, is_visitor};
use crate::store::{AliasEdit, Linking, Store};

/// What is said of two ids, as they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Say {
    /// `id` is `person`; `why` is the evidence.
    Same { id: String, person: String, why: String },
    /// They are not one person.
    Different { id: String, other: String, why: String },
    /// Nothing any more.
    Nothing { id: String, other: String },
}

impl Say {
    fn ids(&self) -> (&str, &str) {
        match self {
            Self::Same { id, person: other, .. } | Self::Different { id, other, .. } | Self::Nothing { id, other } => {
                (id, other)
            }
        }
    }
}

/// Makes it so, in one commit without a file.
///
/// # Errors
/// An id can be nobody's or is the other one; there is nothing to undo; or somebody else writes.
pub fn say(store: &Store, config: &Config, say: Say, now: i64) -> Result<(), MaintainError> {
    let (id, other) = say.ids();
    for id in [id, other] {
        if is_junk(id.as_bytes()) || is_visitor(id) {
            return Err(MaintainError::NoPerson { id: id.to_owned() });
        }
    }
    if id == other {
        return Err(MaintainError::SameId { id: id.to_owned() });
    }
    let mut writer = store.writer(Linking::new(&config.identity))?;
    let links = store.links(&writer.snapshot()?)?;
    let names =
        |alias: &Alias| [(id, other), (other, id)].contains(&(alias.distinct_id.as_str(), alias.person.as_str()));
    let said = links.aliases.iter().chain(&links.rejections).any(names);
    let people = People::new(&links);
    let (what, detail, edit) = match say {
        Say::Same { id, person, why } => {
            if people.person(&id, now) == people.person(&person, now) {
                return Err(MaintainError::AlreadyOne { id, other: person });
            }
            let detail = format!("'{id}' is '{person}': {why}");
            ("identity link", detail, AliasEdit::Add(Alias { distinct_id: id, person, since: now, evidence: why }))
        }
        Say::Different { id, other, why } => {
            let detail = format!("'{id}' is not '{other}': {why}");
            let alias = Alias { distinct_id: id, person: other, since: now, evidence: why };
            ("identity reject", detail, AliasEdit::Reject(alias))
        }
        Say::Nothing { id, other } if !said => return Err(MaintainError::NothingSaid { id, other }),
        Say::Nothing { id, other } => {
            ("identity unlink", format!("'{id}' and '{other}'"), AliasEdit::Remove(id, other))
        }
    };
    let mut commit = writer.begin();
    commit.alias(edit);
    commit.audit(what, detail);
    commit.commit()?;
    Ok(())
}
