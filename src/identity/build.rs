//! How the map follows from the links, id by id in their order.

use std::collections::HashSet;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::links::Links;
use super::owned::OwnedDevices;
use super::people::{Owner, People, Rows, count};
use super::texts::Texts;
use super::timeline::Span;
use super::union::Union;

impl People {
    /// The map that the links make.
    #[must_use]
    pub fn new(links: &Links) -> Self {
        let devices = OwnedDevices::new(links);
        let matches = devices.open_matches();
        let union = Union::new(&links.aliases, &matches);
        let said: HashSet<&str> = links.aliases.iter().map(|alias| alias.distinct_id.as_str()).collect();
        let mut united: Vec<(&str, &str)> = union.ids().map(|id| (id, union.person(id))).collect();
        united.retain(|(id, person)| id != person);
        united.sort_unstable();
        let mut build = Build::new(links, &united, &union);
        let mut united = united.into_iter().peekable();
        // Who joined a device goes where the device goes.
        let spans_of = |person: &str| if said.contains(person) { Vec::new() } else { devices.spans(person) };
        devices.each(|id, spans| {
            // What somebody said of a device goes before what was seen on it, and that before an equal value.
            if !said.contains(id) {
                while let Some((id, person)) = united.next_if(|one| one.0 < id) {
                    build.push(id, person, &spans_of(person));
                }
                united.next_if(|one| one.0 == id);
                build.push(id, id, spans);
            }
        });
        united.for_each(|(id, person)| build.push(id, person, &spans_of(person)));
        build.rows.into_map(build.names)
    }
}

/// The map so far.
struct Build<'a> {
    rows: Rows,
    names: Texts,
    union: &'a Union<'a>,
    /// Numbers of persons by the hash of their names.
    numbers: HashTable<u32>,
    hasher: RandomState,
}

impl<'a> Build<'a> {
    fn new(links: &Links, united: &[(&str, &str)], union: &'a Union<'a>) -> Self {
        let (devices, most) = (&links.devices, links.devices.runs().len() + united.len());
        let bytes = devices.bytes() + united.iter().map(|one| one.0.len()).sum::<usize>();
        Self {
            rows: Rows::with_capacity(most, bytes),
            names: Texts::with_capacity(most, bytes),
            union,
            numbers: HashTable::with_capacity(most),
            hasher: RandomState::default(),
        }
    }

    /// Adds an id with its spans, all of it `own` where there are none; what lies in none of them is `own` too.
    fn push(&mut self, id: &str, own: &str, spans: &[Span<'a>]) {
        let mut from = i64::MIN;
        for span in spans {
            if span.from > from {
                self.own(id, span.from, own);
            }
            self.own(id, span.to, self.union.person(span.user));
            from = span.to;
        }
        if spans.is_empty() || from < i64::MAX {
            self.own(id, i64::MAX, own);
        }
    }

    fn own(&mut self, id: &str, to: i64, person: &str) {
        let person = self.number(person);
        self.rows.push(id, Owner { to, person });
    }

    fn number(&mut self, person: &str) -> u32 {
        let (names, hasher) = (&mut self.names, &self.hasher);
        let hash = hasher.hash_one(person);
        if let Some(number) = self.numbers.find(hash, |&number| names.get(number as usize) == Some(person)) {
            return *number;
        }
        let number = count(names.len());
        names.push(person);
        let again = |&number: &u32| hasher.hash_one(names.get(number as usize).unwrap_or_default());
        self.numbers.insert_unique(hash, number, again);
        number
    }
}
