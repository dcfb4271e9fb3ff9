//! What is known about who is who, as rows: the ground that [`super::People`] stands on.

use super::devices::Devices;
use super::timeline::Run;

/// Ids that one id may be linked to; one with more stops linking (SEMANTICS §7.5).
pub const MOST_LINKS: usize = 50;

/// A device, and who was seen on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The anonymous id, without `anon:`.
    pub id: String,
    /// In order of time.
    pub runs: Vec<Run>,
}

/// A value that was seen with an id, by its keyed hash: an e-mail address, a phone number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match {
    pub hash: String,
    pub distinct_id: String,
    /// First time, µs.
    pub since: i64,
}

/// Two ids that somebody said are one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    pub distinct_id: String,
    pub person: String,
    /// When it was said, µs.
    pub since: i64,
    /// Why.
    pub evidence: String,
}

/// All links of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links {
    /// In their order.
    pub devices: Devices,
    pub matches: Vec<Match>,
    /// Oldest first.
    pub aliases: Vec<Alias>,
    /// Two ids that somebody said are not one person: no candidate any more.
    pub rejections: Vec<Alias>,
}

impl Links {
    /// Whether nobody is linked to anybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty() && self.matches.is_empty() && self.aliases.is_empty()
    }
}
