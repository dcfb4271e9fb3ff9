//! Ids that are one person: union-find over aliases and equal hashes, and the name of each person (SEMANTICS §7.3, 7.4).

use std::collections::{BTreeSet, HashMap};

use super::ANONYMOUS;
use super::links::{Alias, MOST_LINKS, Match};

/// Which ids belong together.
#[derive(Debug, Default)]
pub struct Union<'a> {
    numbers: HashMap<&'a str, usize>,
    ids: Vec<&'a str>,
    parents: Vec<usize>,
    /// Ids below each root.
    sizes: Vec<usize>,
    /// By root: the name of its person.
    names: HashMap<usize, &'a str>,
    /// Hashes that more ids share than may be linked, with their number of ids.
    pub stopped: Vec<(&'a str, usize)>,
}

impl<'a> Union<'a> {
    /// Unites what aliases and equal hashes link, and names every person: whom an alias names and no alias renames, the
    /// oldest alias first; else the first known id; else the first id.
    #[must_use]
    pub fn new(aliases: &'a [Alias], matches: &'a [Match]) -> Self {
        let mut union = Self::default();
        for alias in aliases {
            union.unite(&alias.distinct_id, &alias.person);
        }
        let mut by_hash: HashMap<&str, BTreeSet<&'a str>> = HashMap::new();
        for one in matches {
            by_hash.entry(&one.hash).or_default().insert(&one.distinct_id);
        }
        for (hash, ids) in by_hash {
            if ids.len() > MOST_LINKS {
                union.stopped.push((hash, ids.len()));
                continue;
            }
            let first = ids.first().copied().unwrap_or_default();
            for id in ids {
                union.unite(first, id);
            }
        }
        union.stopped.sort_unstable();
        union.name(aliases);
        union
    }

    fn name(&mut self, aliases: &'a [Alias]) {
        let renamed: BTreeSet<&str> = aliases.iter().map(|alias| alias.distinct_id.as_str()).collect();
        for alias in aliases.iter().filter(|alias| !renamed.contains(alias.person.as_str())) {
            let root = self.numbers.get(alias.person.as_str()).map(|&number| self.root(number));
            if let Some(root) = root {
                self.names.entry(root).or_insert(&alias.person);
            }
        }
        let rank = |id: &'a str| (id.starts_with(ANONYMOUS) || id.starts_with("sid:"), id);
        let mut best: HashMap<usize, &'a str> = HashMap::new();
        for (number, &id) in self.ids.iter().enumerate() {
            let root = self.root(number);
            best.entry(root).and_modify(|best| *best = std::cmp::min_by_key(*best, id, |id| rank(id))).or_insert(id);
        }
        for (root, id) in best {
            self.names.entry(root).or_insert(id);
        }
    }

    fn number(&mut self, id: &'a str) -> usize {
        let next = self.ids.len();
        let number = *self.numbers.entry(id).or_insert(next);
        if number == next {
            self.ids.push(id);
            self.parents.push(next);
            self.sizes.push(1);
        }
        number
    }

    fn root(&self, mut number: usize) -> usize {
        while self.parents[number] != number {
            number = self.parents[number];
        }
        number
    }

    /// The larger set takes the smaller one in, so that no way to a root is long.
    fn unite(&mut self, a: &'a str, b: &'a str) {
        let (a, b) = (self.number(a), self.number(b));
        let (a, b) = (self.root(a), self.root(b));
        let (top, below) = if self.sizes[a] < self.sizes[b] { (b, a) } else { (a, b) };
        if top != below {
            self.parents[below] = top;
            self.sizes[top] += self.sizes[below];
        }
    }

    /// The person of an id: the id itself where nothing is linked to it.
    #[must_use]
    pub fn person(&self, id: &'a str) -> &'a str {
        let root = self.numbers.get(id).map(|&number| self.root(number));
        root.and_then(|root| self.names.get(&root).copied()).unwrap_or(id)
    }

    /// Every id that is linked.
    pub fn ids(&self) -> impl Iterator<Item = &'a str> {
        self.ids.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(distinct_id: &str, person: &str) -> Alias {
        Alias { distinct_id: distinct_id.into(), person: person.into(), since: 0, evidence: String::new() }
    }

    fn shared(hash: &str, id: &str) -> Match {
        Match { hash: hash.into(), distinct_id: id.into(), since: 0 }
    }

    #[test]
    fn aliases_chain_and_name_the_person_that_none_renames() {
        let aliases = [alias("a", "b"), alias("b", "c"), alias("x", "y"), alias("y", "x")];
        let union = Union::new(&aliases, &[]);
        assert_eq!(["a", "b", "c", "x", "y", "z"].map(|id| union.person(id)), ["c", "c", "c", "x", "x", "z"]);
    }

    #[test]
    fn a_long_chain_is_one_person() {
        let aliases: Vec<Alias> = (0..5_000).map(|at| alias(&format!("u{at}"), &format!("u{}", at + 1))).collect();
        assert_eq!(Union::new(&aliases, &[]).person("u17"), "u5000");
        let back: Vec<Alias> = aliases.into_iter().rev().collect();
        assert_eq!(Union::new(&back, &[]).person("u17"), "u5000");
    }

    #[test]
    fn equal_hashes_link_but_not_those_of_everybody() {
        let mut matches = vec![shared("h1", "anon:d1"), shared("h1", "u9"), shared("h1", "u3")];
        matches.extend((0..=MOST_LINKS).map(|at| shared("h2", &format!("v{at}"))));
        let union = Union::new(&[], &matches);
        assert_eq!((union.person("anon:d1"), union.person("u9"), union.person("v1")), ("u3", "u3", "v1"));
        assert_eq!(union.stopped, [("h2", MOST_LINKS + 1)]);
    }
}
