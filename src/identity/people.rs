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
    /// The map of these persons by number and these stretches of ids, in order of ids and times. `None` where they are
    /// no map: something does not ascend, an id is not somebody's at all times, or there is no such person. Where names
    /// ascend with their numbers, [`People::sort`] has nothing to do.
    #[must_use]
    pub fn from_rows<'a>(
        names: impl ExactSizeIterator<Item = &'a str> + Clone,
        rows: impl ExactSizeIterator<Item = (&'a str, Owner)> + DoubleEndedIterator + Clone,
    ) -> Option<Self> {
        let bytes = |texts: &mut dyn Iterator<Item = &'a str>| texts.map(str::len).sum();
        let end = |row: Option<(&'a str, Owner)>| row.map(|row| row.0).unwrap_or_default();
        let (first, last) = (end(rows.clone().next()), end(rows.clone().next_back()));
        let mut people = Self {
            ids: Ascending::with_capacity(rows.len(), bytes(&mut rows.clone().map(|row| row.0)), first, last),
            ends: Vec::with_capacity(rows.len()),
            owners: Vec::with_capacity(rows.len()),
            names: Texts::with_capacity(names.len(), bytes(&mut names.clone())),
            joins: rows.len() > 0,
            by_name: names.clone().is_sorted_by(|a, b| a < b),
        };
        names.for_each(|name| people.names.push(name));
        let (mut id, mut to) = ("", i64::MAX);
        for (next, owner) in rows {
            let is_next = to == i64::MAX;
            let ascends = if is_next { people.ends.is_empty() || id < next } else { id == next && to < owner.to };
            let ascends = ascends && next <= last;
            if !ascends || owner.person as usize >= people.names.len() {
                return None;
            }
            if is_next {
                people.ids.push(next);
            }
            people.owners.push(owner);
            (id, to) = (next, owner.to);
            if to == i64::MAX {
                people.ends.push(count(people.owners.len()));
            }
        }
        (to == i64::MAX).then_some(people)
    }

    /// Whether the numbers of the persons are in order of their names, of which no two are equal.
    #[must_use]
    pub fn is_by_name(&self) -> bool {
        self.by_name
    }

    /// What [`People::from_rows`] makes it of: the persons by number.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter()
    }

    /// What [`People::from_rows`] makes it of: ids and whose they are, in order of ids and times.
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
        let joins = self.joins;
        let people = Self::from_rows(names.into_iter(), rows.into_iter());
        debug_assert!(people.is_some(), "the ids that came had no entry: it is a map still");
        if let Some(people) = people {
            *self = Self { joins, ..people };
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
