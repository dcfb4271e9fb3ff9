//! The map from ids to persons that a snapshot is read with.
//!
//! ```text
//! devices ─ timeline ─► spans ─┐
//! aliases, matches ─ union ────┴─► entries: distinct_id ─► (from, to) ─► person        sorted, one probe per id
//! ```
//!
//! Invariants: an id without an entry is its own person; the spans of an entry cover all times;
//! original ids stay on the events.
//!
//! Deliberately not here: where links come from (`store/`), moving rows (`engine/scan/`).

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use super::links::{Alias, Links, MOST_LINKS, Match};
use super::owned::{Owned, OwnedDevices};
use super::texts::{Ascending, Texts, key};
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

/// A stretch of time of an id, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The stretch ends before this time, µs.
    pub to: i64,
    /// Number of the person, see [`People::name`].
    pub person: u32,
}

/// A stretch of time in which an id is somebody's: `from <= ts < to`, µs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    pub id: String,
    pub from: i64,
    pub to: i64,
}

impl Stretch {
    /// Whether the id is theirs at all times.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        (self.from, self.to) == (i64::MIN, i64::MAX)
    }
}

/// Whose an id is.
#[derive(Debug, Clone, Copy)]
enum Whose<'a> {
    /// This person's.
    Person(&'a str),
    /// Whose the device is.
    Device(Owned<'a>),
}

/// Who is who. Empty for a store in which nobody is linked.
#[derive(Debug, Default)]
pub struct People {
    ids: Ascending,
    /// By id: its owners end here in `owners`.
    ends: Vec<u32>,
    owners: Vec<Owner>,
    names: Texts,
    /// Whether some person has rows under an id with an entry and under one without.
    joins: bool,
    /// What it follows from.
    links: Links,
}

impl People {
    /// The map that the links make.
    #[must_use]
    pub fn new(links: Links) -> Self {
        let (devices, _) = OwnedDevices::new(&links);
        let matches = open_matches(&links, &devices);
        let union = Union::new(&links.aliases, &matches);
        let said: HashSet<&str> = links.aliases.iter().map(|alias| alias.distinct_id.as_str()).collect();
        // Where an id comes twice, the later entry counts.
        let mut entries: Vec<(&str, Whose<'_>)> = Vec::with_capacity(devices.len());
        if !union.is_empty() {
            let owned: HashMap<&str, Owned<'_>> = devices.iter().map(|device| (device.id, device)).collect();
            for id in union.ids().filter(|id| union.person(id) != *id) {
                let person = union.person(id);
                // Who joined a device goes where the device goes.
                let device = owned.get(person).filter(|device| !said.contains(device.id));
                entries.push((id, device.map_or(Whose::Person(person), |device| Whose::Device(*device))));
            }
        }
        // What somebody said of a device goes before what was seen on it.
        let seen = devices.iter().filter(|device| !said.contains(device.id));
        entries.extend(seen.map(|device| (device.id, Whose::Device(device))));
        entries.sort_by_key(|entry| entry.0);
        let people = Self::packed(&entries, &union);
        Self { links, joins: people.ids.texts.len() > 0, ..people }
    }

    fn packed(entries: &[(&str, Whose<'_>)], union: &Union<'_>) -> Self {
        let end = |entry: Option<&(&str, Whose<'_>)>| entry.map(|entry| entry.0).unwrap_or_default().to_owned();
        let bytes = entries.iter().map(|entry| entry.0.len()).sum();
        let mut people = Self {
            ids: Ascending::with_capacity(entries.len(), bytes, &end(entries.first()), &end(entries.last())),
            ends: Vec::with_capacity(entries.len()),
            owners: Vec::with_capacity(entries.len()),
            names: Texts::with_capacity(entries.len(), bytes),
            ..Self::default()
        };
        let mut numbers: HashMap<&str, u32, RandomState> =
            HashMap::with_capacity_and_hasher(entries.len(), RandomState::default());
        for of_id in entries.chunk_by(|a, b| a.0 == b.0) {
            let Some((id, whose)) = of_id.last() else { continue };
            people.ids.push(id);
            let mut push = |to, person| {
                let next = count(people.names.len());
                let person = *numbers.entry(person).or_insert_with(|| {
                    people.names.push(person);
                    next
                });
                people.owners.push(Owner { to, person });
            };
            match whose {
                Whose::Person(person) => push(i64::MAX, person),
                Whose::Device(device) => device.each_stretch(union, push),
            }
            people.ends.push(count(people.owners.len()));
        }
        people
    }

    /// Gives every id of these ids' persons an entry: then all that is theirs is read together.
    pub fn set_apart(&mut self, ids: &[String]) {
        if ids.is_empty() {
            return;
        }
        let mut persons: Vec<String> = ids.iter().flat_map(|id| self.persons_of(id)).map(str::to_owned).collect();
        persons.sort_unstable();
        persons.dedup();
        let mut alone = self.ids_of(&persons);
        alone.retain(|id| self.owners(id.as_bytes()).is_none());
        if alone.is_empty() {
            return;
        }
        let (ids, ends) = (std::mem::take(&mut self.ids), std::mem::take(&mut self.ends));
        let owners = std::mem::take(&mut self.owners);
        let numbers: HashMap<String, u32> = self.names.iter().map(str::to_owned).zip(0..).collect();
        let mut all: Vec<(&str, Vec<Owner>)> = Vec::with_capacity(ids.texts.len() + alone.len());
        let mut from = 0;
        for (id, end) in ids.texts.iter().zip(ends) {
            all.push((id, owners[from..end as usize].to_vec()));
            from = end as usize;
        }
        for id in &alone {
            let person = numbers.get(id).copied().unwrap_or_else(|| {
                self.names.push(id);
                count(self.names.len() - 1)
            });
            all.push((id, vec![Owner { to: i64::MAX, person }]));
        }
        all.sort_unstable_by_key(|entry| entry.0);
        let end = |entry: Option<&(&str, Vec<Owner>)>| entry.map(|entry| entry.0).unwrap_or_default().to_owned();
        self.ids = Ascending::with_capacity(all.len(), ids.size(), &end(all.first()), &end(all.last()));
        for (id, owners) in all {
            self.ids.push(id);
            self.owners.extend(owners);
            self.ends.push(count(self.owners.len()));
        }
    }

    /// Whether some person has rows under an id with an entry and under one without.
    #[must_use]
    pub fn joins(&self) -> bool {
        self.joins
    }

    /// The persons that an id is of at some time.
    #[must_use]
    pub fn persons_of<'a>(&'a self, id: &'a str) -> Vec<&'a str> {
        match self.owners(id.as_bytes()) {
            Some(owners) => owners.iter().map(|owner| self.name(owner.person)).collect(),
            None => vec![id],
        }
    }

    /// Whether every id is its own person, alone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.texts.len() == 0
    }

    /// The rows of the table `identities`, by id.
    #[must_use]
    pub fn identities(&self) -> Vec<Identity> {
        let (devices, mut rows) = OwnedDevices::new(&self.links);
        let matches = open_matches(&self.links, &devices);
        let union = Union::new(&self.links.aliases, &matches);
        rows.extend(listing(&self.links, &matches, &devices, &union));
        rows.sort_by(|a, b| (&a.distinct_id, a.from, &a.person).cmp(&(&b.distinct_id, b.from, &b.person)));
        rows
    }

    /// The pairs of ids that are not one person, as somebody said.
    #[must_use]
    pub fn rejected(&self) -> &[Alias] {
        &self.links.rejections
    }

    /// The name of a person by its number.
    #[must_use]
    pub fn name(&self, person: u32) -> &str {
        self.names.get(person as usize).unwrap_or_default()
    }

    /// Brings persons into the order of their names.
    pub fn sort(&self, persons: &mut Vec<u32>) {
        let mut keyed: Vec<(u128, u32)> = persons.iter().map(|&it| (key(self.name(it).as_bytes()), it)).collect();
        // Few names begin with the same sixteen bytes.
        keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.name(a.1).cmp(self.name(b.1))));
        persons.clear();
        persons.extend(keyed.into_iter().map(|(_, person)| person));
    }

    /// The owners of an id as [`People::owners`] has them, looked for from `place` on, where the next id can go on: what
    /// is asked for in ascending order costs a step each.
    #[must_use]
    #[inline]
    pub fn next_owners(&self, id: &[u8], place: &mut usize) -> Option<&[Owner]> {
        self.ids.find(id, place).then(|| {
            let from = if *place == 0 { 0 } else { self.ends[*place - 1] };
            &self.owners[from as usize..self.ends[*place] as usize]
        })
    }

    /// The owners of an id, ascending in time; `None`: it is its own person.
    #[must_use]
    pub fn owners(&self, id: &[u8]) -> Option<&[Owner]> {
        self.next_owners(id, &mut 0)
    }

    /// The person of an id at a time, µs.
    #[must_use]
    pub fn person<'a>(&'a self, id: &'a str, ts: i64) -> &'a str {
        self.owners(id.as_bytes()).and_then(|owners| owner(owners, ts)).map_or(id, |person| self.name(person))
    }

    /// Every id that some event of these persons may have.
    #[must_use]
    pub fn ids_of(&self, persons: &[String]) -> Vec<String> {
        let wanted: HashSet<&str> = persons.iter().map(String::as_str).collect();
        let numbers: HashSet<u32> =
            (0..).zip(self.names.iter()).filter(|(_, name)| wanted.contains(name)).map(|(number, _)| number).collect();
        let mut ids: Vec<String> =
            persons.iter().filter(|person| self.owners(person.as_bytes()).is_none()).cloned().collect();
        let mut from = 0;
        for (id, &end) in self.ids.texts.iter().zip(&self.ends) {
            if self.owners[from..end as usize].iter().any(|owner| numbers.contains(&owner.person)) {
                ids.push(id.to_string());
            }
            from = end as usize;
        }
        ids
    }

    /// The ids of these persons (ascending) that are somebody else's at some time.
    #[must_use]
    pub fn redirected(&self, persons: &[String]) -> Vec<String> {
        self.ids_of(persons).into_iter().filter(|id| self.owners(id.as_bytes()).is_some()).collect()
    }

    /// The first and the last id that is somebody else's at some time.
    #[must_use]
    pub fn range(&self) -> Option<(&str, &str)> {
        let texts = &self.ids.texts;
        texts.get(0).zip(texts.get(texts.len().wrapping_sub(1)))
    }

    /// Whether an id from `min` to `max` is somebody else's at some time.
    #[must_use]
    pub fn has_within(&self, min: &[u8], max: Option<&[u8]>) -> bool {
        let mut place = 0;
        self.ids.find(min, &mut place);
        self.ids.texts.get(place).is_some_and(|id| max.is_none_or(|max| id.as_bytes() <= max))
    }

    /// Everything that is a person's. Stretches of one id follow each other.
    #[must_use]
    pub fn stretches(&self, person: &str) -> Vec<Stretch> {
        let mut found: Vec<Stretch> = Vec::new();
        for id in self.ids_of(&[person.to_owned()]) {
            let mut from = i64::MIN;
            for owner in self.owners(id.as_bytes()).unwrap_or(&[Owner { to: i64::MAX, person: u32::MAX }]) {
                let theirs = owner.person == u32::MAX || self.name(owner.person) == person;
                match found.last_mut().filter(|last| theirs && last.id == id && last.to == from) {
                    Some(last) => last.to = owner.to,
                    None if theirs => found.push(Stretch { id: id.clone(), from, to: owner.to }),
                    None => {}
                }
                from = owner.to;
            }
        }
        found
    }

    /// Bytes held.
    #[must_use]
    pub fn size(&self) -> usize {
        self.ids.size() + self.names.size() + self.owners.len() * 16 + self.ends.len() * 4
    }
}

/// The person that owns a time among an id's owners.
#[must_use]
pub fn owner(owners: &[Owner], ts: i64) -> Option<u32> {
    let at = owners.partition_point(|owner| owner.to <= ts);
    owners.get(at).or(owners.last()).map(|owner| owner.person)
}

/// The matches of ids that are not a device with an owner: its users say whose it is.
fn open_matches(links: &Links, devices: &OwnedDevices<'_>) -> Vec<Match> {
    if links.matches.is_empty() {
        return Vec::new();
    }
    let owned: HashSet<&str> = devices.iter().map(|device| device.id).collect();
    links.matches.iter().filter(|one| !owned.contains(one.distinct_id.as_str())).cloned().collect()
}

fn listing<'a>(
    links: &'a Links,
    matches: &'a [Match],
    devices: &'a OwnedDevices<'a>,
    union: &Union<'a>,
) -> Vec<Identity> {
    let said: HashSet<&str> = links.aliases.iter().map(|alias| alias.distinct_id.as_str()).collect();
    let bound = |ts: i64, none: i64| (ts != none).then_some(ts);
    let mut rows = Vec::new();
    for device in devices.iter().filter(|device| !said.contains(device.id)) {
        rows.extend(device.spans.iter().map(|span| Identity {
            distinct_id: device.id.to_owned(),
            person: Some(union.person(span.user).to_owned()),
            from: bound(span.from, i64::MIN),
            to: bound(span.to, i64::MAX),
            kind: Kind::Device,
            evidence: format!("user {} was seen on it", span.user),
            ambiguous: device.is_ambiguous(),
            since: Some(span.since),
        }));
    }
    let whole = |distinct_id: &str, person: &str, kind, evidence, since| Identity {
        distinct_id: distinct_id.to_owned(),
        person: Some(person.to_owned()),
        from: None,
        to: None,
        kind,
        evidence,
        ambiguous: false,
        since: Some(since),
    };
    for alias in &links.aliases {
        let person = union.person(&alias.distinct_id);
        rows.push(whole(&alias.distinct_id, person, Kind::Alias, alias.evidence.clone(), alias.since));
    }
    for one in matches {
        let person = union.person(&one.distinct_id);
        if person != one.distinct_id {
            let evidence = format!("the value with the keyed hash {} was seen with both", one.hash);
            rows.push(whole(&one.distinct_id, person, Kind::Match, evidence, one.since));
        }
    }
    for &(hash, ids) in &union.stopped {
        let evidence = format!("the value is shared by {ids} ids, at most {MOST_LINKS} are believed");
        let row = whole(hash, "", Kind::Stopped, evidence, 0);
        rows.push(Identity { person: None, since: None, ..row });
    }
    rows
}

/// Entries are fewer than 2^32: their ids alone would not fit into memory.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
