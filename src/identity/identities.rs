//! The rows of the table `identities`: which id is whose, since when, and why.

use std::collections::HashSet;

use super::links::{Links, MOST_LINKS};
use super::owned::OwnedDevices;
use super::union::Union;

/// Why an id is a person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A user was seen on the device.
    Device,
    /// Somebody said so.
    Alias,
    /// An equal e-mail address, phone number, ….
    Match,
    /// Linked to too many others: it links nobody.
    Stopped,
}

impl Kind {
    /// Its name in SQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Alias => "alias",
            Self::Match => "match",
            Self::Stopped => "stopped",
        }
    }
}

/// A row of the table `identities`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub distinct_id: String,
    /// `None` for an id that stopped linking.
    pub person: Option<String>,
    /// For events in `from <= ts < to`, µs; `None`: without bound.
    pub from: Option<i64>,
    pub to: Option<i64>,
    pub kind: Kind,
    pub evidence: String,
    /// The device has several users.
    pub ambiguous: bool,
    /// Since when it is known, µs.
    pub since: Option<i64>,
}

impl Identity {
    fn new(distinct_id: &str, kind: Kind, evidence: String) -> Self {
        let distinct_id = distinct_id.to_owned();
        Self { distinct_id, person: None, from: None, to: None, kind, evidence, ambiguous: false, since: None }
    }

    /// An id that links nobody.
    pub(super) fn stopped(distinct_id: &str, evidence: String) -> Self {
        Self::new(distinct_id, Kind::Stopped, evidence)
    }
}

/// The rows of the table `identities`: what follows from the links, by id.
#[must_use]
pub fn identities(links: &Links) -> Vec<Identity> {
    let devices = OwnedDevices::new(links);
    let matches = devices.open_matches();
    let union = Union::new(&links.aliases, &matches);
    let said: HashSet<&str> = links.aliases.iter().map(|alias| alias.distinct_id.as_str()).collect();
    let bound = |ts: i64, none: i64| (ts != none).then_some(ts);
    let mut rows = devices.stopped();
    devices.each(|id, spans| {
        let ambiguous = spans.windows(2).any(|pair| pair[0].user != pair[1].user);
        rows.extend(spans.iter().filter(|_| !said.contains(id)).map(|span| Identity {
            person: Some(union.person(span.user).to_owned()),
            from: bound(span.from, i64::MIN),
            to: bound(span.to, i64::MAX),
            ambiguous,
            since: Some(span.since),
            ..Identity::new(id, Kind::Device, format!("user {} was seen on it", span.user))
        }));
    });
    let whole = |distinct_id: &str, person: &str, kind, evidence, since| Identity {
        person: Some(person.to_owned()),
        since: Some(since),
        ..Identity::new(distinct_id, kind, evidence)
    };
    for alias in &links.aliases {
        let person = union.person(&alias.distinct_id);
        rows.push(whole(&alias.distinct_id, person, Kind::Alias, alias.evidence.clone(), alias.since));
    }
    for one in &matches {
        let person = union.person(&one.distinct_id);
        if person != one.distinct_id {
            let evidence = format!("the value with the keyed hash {} was seen with both", one.hash);
            rows.push(whole(&one.distinct_id, person, Kind::Match, evidence, one.since));
        }
    }
    for &(hash, ids) in &union.stopped {
        let evidence = format!("the value is shared by {ids} ids, at most {MOST_LINKS} are believed");
        rows.push(Identity::stopped(hash, evidence));
    }
    rows.sort_by(|a, b| (&a.distinct_id, a.from, &a.person).cmp(&(&b.distinct_id, b.from, &b.person)));
    rows
}
