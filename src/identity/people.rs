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
//! Deliberately not here: how it follows from the links (`build.rs`), where those come from (`store/`), moving rows
//! (`engine/scan/`).

use std::collections::{HashMap, HashSet};

use super::texts::{Ascending, Texts, key};

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

/// Who is who. Empty for a store in which nobody is linked.
#[derive(Debug, Default)]
pub struct People {
    pub(super) ids: Ascending,
    /// By id: its owners end here in `owners`.
    pub(super) ends: Vec<u32>,
    pub(super) owners: Vec<Owner>,
    pub(super) names: Texts,
    /// Whether some person has rows under an id with an entry and under one without.
    pub(super) joins: bool,
    /// The numbers of the persons are in order of their names.
    pub(super) by_name: bool,
}

impl People {
    /// Whether the numbers of the persons are in order of their names, of which no two are equal.
    #[must_use]
    pub fn is_by_name(&self) -> bool {
        self.by_name
    }

    /// The persons by number.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter()
    }

    /// Ids and whose they are, in order of ids and times: what [`Rows`] are.
    pub fn rows(&self) -> impl Iterator<Item = (&str, Owner)> {
        let mut from = 0;
        self.ids.texts.iter().zip(&self.ends).flat_map(move |(id, &end)| {
            let owners = &self.owners[from..end as usize];
            from = end as usize;
            owners.iter().map(move |owner| (id, *owner))
        })
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
        let mut names: Vec<&str> = self.names().collect();
        let numbers: HashMap<&str, u32> = names.iter().copied().zip(0..).collect();
        let mut rows: Vec<(&str, Owner)> = self.rows().collect();
        for id in &alone {
            let person = numbers.get(id.as_str()).copied().unwrap_or_else(|| {
                names.push(id);
                count(names.len() - 1)
            });
            rows.push((id, Owner { to: i64::MAX, person }));
        }
        rows.sort_by_key(|row| row.0);
        let mut all = Rows::with_capacity(rows.len(), self.ids.texts.size());
        for (id, owner) in rows {
            all.push(id, owner);
        }
        *self = Self { joins: self.joins, ..all.into_map(names.into_iter().collect()) };
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

    /// The name of a person by its number.
    #[must_use]
    pub fn name(&self, person: u32) -> &str {
        self.names.get(person as usize).unwrap_or_default()
    }

    /// Brings persons into the order of their names.
    pub fn sort(&self, persons: &mut Vec<u32>) {
        if self.by_name {
            persons.sort_unstable();
            return;
        }
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
        for (id, owner) in self.rows() {
            if numbers.contains(&owner.person) && ids.last().is_none_or(|last| last != id) {
                ids.push(id.to_owned());
            }
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
        self.ids.size() + self.names.size() + self.owners.len() * size_of::<Owner>() + self.ends.len() * 4
    }
}

/// Ids and whose they are, in order of ids and times: what a map is made of.
#[derive(Debug, Default)]
pub struct Rows {
    ids: Texts,
    ends: Vec<u32>,
    owners: Vec<Owner>,
    /// The largest number of a person, and one more.
    persons: usize,
}

impl Rows {
    /// With room for so many, whose ids have so many bytes together.
    #[must_use]
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        let ids = Texts::with_capacity(rows, bytes);
        Self { ids, ends: Vec::with_capacity(rows), owners: Vec::with_capacity(rows), persons: 0 }
    }

    /// Adds one, unless it does not come behind those before: ids ascend, and times of an id to the end of all times.
    #[must_use]
    pub fn add(&mut self, id: &str, owner: Owner) -> bool {
        let follows = self.is_followed_by(id, owner);
        if follows {
            self.push(id, owner);
        }
        follows
    }

    fn is_followed_by(&self, id: &str, owner: Owner) -> bool {
        let last = self.ids.len().checked_sub(1).and_then(|last| self.ids.get(last));
        match self.open() {
            Some(to) => last == Some(id) && to < owner.to,
            None => last.is_none_or(|last| last < id),
        }
    }

    /// Adds one that surely comes behind those before.
    pub(super) fn push(&mut self, id: &str, owner: Owner) {
        debug_assert!(self.is_followed_by(id, owner), "{id} does not come behind the others");
        if self.open().is_none() {
            self.ids.push(id);
        }
        self.owners.push(owner);
        self.persons = self.persons.max(owner.person as usize + 1);
        if owner.to == i64::MAX {
            self.ends.push(count(self.owners.len()));
        }
    }

    /// Up to when it is said whose the last id is, if that is not all times.
    fn open(&self) -> Option<i64> {
        self.owners.last().map(|owner| owner.to).filter(|to| *to != i64::MAX)
    }

    /// The map of these rows and of the persons with these names by number. `None`: the last id is not somebody's at all
    /// times, or not every number up to the largest has a name, or another has one. Where names ascend with their numbers, [`People::sort`] has nothing to
    /// do.
    #[must_use]
    pub fn finish(self, names: Texts) -> Option<People> {
        (self.open().is_none() && self.persons == names.len()).then(|| self.into_map(names))
    }

    /// The map of rows that surely are one.
    pub(super) fn into_map(self, names: Texts) -> People {
        People {
            ids: Ascending::new(self.ids),
            joins: !self.ends.is_empty(),
            by_name: names.iter().is_sorted_by(|a, b| a < b),
            ends: self.ends,
            owners: self.owners,
            names,
        }
    }
}

/// The person that owns a time among an id's owners.
#[must_use]
pub fn owner(owners: &[Owner], ts: i64) -> Option<u32> {
    let at = owners.partition_point(|owner| owner.to <= ts);
    owners.get(at).or(owners.last()).map(|owner| owner.person)
}

/// Entries are fewer than 2^32: their ids alone would not fit into memory.
pub(super) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
