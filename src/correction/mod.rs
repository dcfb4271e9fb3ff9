//! Corrections: what people say of single events and sessions, as rows over what is stored.
//!
//! ```text
//! corrections, oldest first ─┬─ fates   an event is left out, or stands elsewhere with other fields
//!                            └─ edges   a session begins at an event, goes on at it, or is flagged
//! ```
//! | kind | anchored on | does |
//! |---|---|---|
//! | `drop-event` | the event | it counts nowhere |
//! | `move-event` | the event | it happened at another time |
//! | `relabel` | the event | it has another page, another name, or both |
//! | `reassign-user` | the event | it has another `distinct_id` |
//! | `split-session` | the event | a session begins at it |
//! | `merge-sessions` | the first event of the later session | no session begins after the last event of the earlier one up to it |
//! | `flag-session` | the session's first event | whatever session holds the event is flagged |
//! | `flag-user` | an id | whatever person the id is of is flagged |
//!
//! Invariants: stored events stay as they are; a correction whose event is not there any more does nothing; of two that
//! say the same thing of an event the later one counts, and an event that is left out stays out.
//!
//! Deliberately not here: where corrections are kept (`store/`), how a pass obeys them (`engine/scan/overlay/`).

mod fate;

pub use fate::{Fate, fates};

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time;

/// Which event: no two have the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventRef {
    pub source_id: String,
    /// Byte offset of its line, or the number of its row.
    pub offset: i64,
}

impl EventRef {
    /// Reads `SOURCE_ID:OFFSET`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (source_id, offset) = text.trim().rsplit_once(':')?;
        let offset = offset.parse().ok().filter(|offset| *offset >= 0)?;
        (!source_id.is_empty()).then(|| Self { source_id: source_id.to_owned(), offset })
    }
}

impl fmt::Display for EventRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source_id, self.offset)
    }
}

/// An event and where it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    pub event: EventRef,
    /// The id that its sender gave it: of two copies another one may be the stored one by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// As stored.
    pub distinct_id: String,
    /// As stored, µs.
    pub ts: i64,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Change {
    DropEvent { event: Anchor },
    MoveEvent { event: Anchor, ts: i64 },
    Relabel { event: Anchor, page: Option<String>, name: Option<String> },
    ReassignUser { event: Anchor, user: String },
    SplitSession { event: Anchor },
    MergeSessions { last: Anchor, event: Anchor },
    FlagSession { event: Anchor },
    FlagUser { user: String },
}

impl Change {
    /// The kind's name in SQL and on the command line.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DropEvent { .. } => "drop-event",
            Self::MoveEvent { .. } => "move-event",
            Self::Relabel { .. } => "relabel",
            Self::ReassignUser { .. } => "reassign-user",
            Self::SplitSession { .. } => "split-session",
            Self::MergeSessions { .. } => "merge-sessions",
            Self::FlagSession { .. } => "flag-session",
            Self::FlagUser { .. } => "flag-user",
        }
    }

    /// The event that it is anchored on; `None` where it is about a person.
    #[must_use]
    pub fn event(&self) -> Option<&Anchor> {
        match self {
            Self::DropEvent { event }
            | Self::MoveEvent { event, .. }
            | Self::Relabel { event, .. }
            | Self::ReassignUser { event, .. }
            | Self::SplitSession { event }
            | Self::MergeSessions { event, .. }
            | Self::FlagSession { event } => Some(event),
            Self::FlagUser { .. } => None,
        }
    }

    /// Every event that it names.
    pub fn anchors(&self) -> impl Iterator<Item = &Anchor> {
        let other = if let Self::MergeSessions { last, .. } = self { Some(last) } else { None };
        self.event().into_iter().chain(other)
    }

    /// What is new, as JSON.
    #[must_use]
    pub fn detail(&self) -> String {
        let new = match self {
            Self::MoveEvent { ts, .. } => serde_json::json!({ "ts": time::iso(*ts) }),
            Self::Relabel { page, name, .. } => {
                let fields = [("page", page), ("event", name)].into_iter();
                fields.filter_map(|(field, text)| Some((field.to_owned(), serde_json::json!(text.as_ref()?)))).collect()
            }
            Self::ReassignUser { user, .. } | Self::FlagUser { user } => serde_json::json!({ "user": user }),
            Self::MergeSessions { last, .. } => serde_json::json!({ "last": last.event.to_string() }),
            Self::DropEvent { .. } | Self::SplitSession { .. } | Self::FlagSession { .. } => serde_json::json!({}),
        };
        new.to_string()
    }

    /// Every id that it names.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let user = match self {
            Self::ReassignUser { user, .. } | Self::FlagUser { user } => Some(user),
            _ => None,
        };
        self.anchors().map(|anchor| &anchor.distinct_id).chain(user).map(String::as_str)
    }

    /// Whether it changes the event itself, not what is around it.
    #[must_use]
    pub fn is_of_the_event(&self) -> bool {
        matches!(
            self,
            Self::DropEvent { .. } | Self::MoveEvent { .. } | Self::Relabel { .. } | Self::ReassignUser { .. }
        )
    }

    /// What it is about: of two corrections with the same topic only the later one counts.
    #[must_use]
    pub fn topic(&self) -> (&str, Option<&EventRef>) {
        match self {
            Self::FlagUser { user } => (user, None),
            Self::SplitSession { event } | Self::MergeSessions { event, .. } => ("border", Some(&event.event)),
            _ => (self.kind(), self.event().map(|event| &event.event)),
        }
    }

    /// Whether it only flags.
    #[must_use]
    pub fn is_flag(&self) -> bool {
        matches!(self, Self::FlagSession { .. } | Self::FlagUser { .. })
    }
}

/// When it was taken back, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reverted {
    pub by: String,
    /// µs
    pub at: i64,
}

/// A row of the table `corrections`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// From 1, rising.
    pub id: i64,
    pub change: Change,
    pub reason: String,
    /// Who said it.
    pub by: String,
    /// When, µs.
    pub at: i64,
    pub reverted: Option<Reverted>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_named_by_its_source_and_place() {
        let event = EventRef { source_id: "00ab:x".to_owned(), offset: 7 };
        assert_eq!(EventRef::parse(&event.to_string()), Some(event));
        assert_eq!(["", ":1", "a", "a:", "a:-1", "a:x"].map(EventRef::parse), [const { None }; 6]);
    }

    #[test]
    fn a_change_is_kept_as_it_was_said() {
        let event = Anchor {
            event: EventRef { source_id: "s".to_owned(), offset: 0 },
            event_id: None,
            distinct_id: "a".to_owned(),
            ts: 5,
        };
        let change = Change::Relabel { event, page: None, name: Some("buy".to_owned()) };
        let text = serde_json::to_string(&change).unwrap();
        assert!(text.starts_with(&format!("{{\"kind\":\"{}\"", change.kind())));
        assert_eq!(serde_json::from_str::<Change>(&text).unwrap(), change);
    }
}
