//! Which devices have an owner at some time, and whose links are not believed because they are too many.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::devices::Devices;
use super::links::{Links, MOST_LINKS};
use super::people::{Identity, Kind};
use super::timeline::{Run, Span, spans};
use super::union::Union;

/// A device that has an owner at some time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owned<'a> {
    pub(super) id: &'a str,
    pub(super) spans: &'a [Span<'a>],
}

impl<'a> Owned<'a> {
    /// Whether several users own it.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.spans.windows(2).any(|pair| pair[0].user != pair[1].user)
    }

    /// Until when it is whose: its users' persons', and its own where it is nobody's.
    pub(super) fn each_stretch<'b>(&self, union: &Union<'b>, mut each: impl FnMut(i64, &'b str))
    where
        'a: 'b,
    {
        let mut from = i64::MIN;
        for span in self.spans {
            if span.from > from {
                each(span.from, self.id);
            }
            each(span.to, union.person(span.user));
            from = span.to;
        }
        if from < i64::MAX {
            each(i64::MAX, self.id);
        }
    }
}

/// The devices that have an owner, in order of their ids.
pub(super) struct OwnedDevices<'a> {
    /// Ids, and where their spans end in `spans`.
    ends: Vec<(&'a str, usize)>,
    spans: Vec<Span<'a>>,
}

impl<'a> OwnedDevices<'a> {
    /// Without the links of ids that have too many; and those ids.
    pub(super) fn new(links: &'a Links) -> (Self, Vec<Identity>) {
        let mut stopped = Vec::new();
        let mut stop = |distinct_id: &str, linked: usize, what: &str| {
            let evidence = format!("linked to {linked} {what}, at most {MOST_LINKS} are believed");
            let distinct_id = distinct_id.to_owned();
            let (person, kind) = (None, Kind::Stopped);
            let (from, to, since, ambiguous) = (None, None, None, false);
            stopped.push(Identity { distinct_id, person, from, to, kind, evidence, ambiguous, since });
        };
        let busy = busy_users(&links.devices);
        for (user, devices) in &busy {
            stop(user, *devices, "devices");
        }
        let links_on = |run: &Run<&str>| run.out || busy.is_empty() || !busy.contains_key(run.user);
        let most = links.devices.runs().len();
        let mut owned = Self { ends: Vec::with_capacity(most), spans: Vec::with_capacity(most) };
        for (id, runs) in links.devices.by_id() {
            let users = if runs.len() > MOST_LINKS { users(runs.clone()).len() } else { 0 };
            if users > MOST_LINKS {
                stop(id, users, "users");
                continue;
            }
            let before = owned.spans.len();
            spans(runs.filter(links_on), &mut owned.spans);
            if owned.spans.len() > before {
                owned.ends.push((id, owned.spans.len()));
            }
        }
        (owned, stopped)
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Owned<'_>> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|&(_, end)| end));
        self.ends.iter().zip(starts).map(|(&(id, end), start)| Owned { id, spans: &self.spans[start..end] })
    }
}

/// Who was seen on a device, each once.
fn users<'a>(runs: impl Iterator<Item = Run<&'a str>>) -> Vec<&'a str> {
    let mut users: Vec<&str> = runs.filter(|run| !run.out).map(|run| run.user).collect();
    users.sort_unstable();
    users.dedup();
    users
}

/// The users with too many devices, and how many. Counted exactly only where a coarse count leaves it open: hardly
/// anybody has so many.
fn busy_users(devices: &Devices) -> HashMap<&str, usize> {
    let hasher = RandomState::default();
    let mut coarse = vec![0_u32; (devices.runs().len() * 2).next_power_of_two()];
    let mask = coarse.len() - 1;
    let place = |user: &str| usize::try_from(hasher.hash_one(user) & mask as u64).unwrap_or(0);
    devices.runs().filter(|run| !run.out).for_each(|run| coarse[place(run.user)] += 1);
    let most = u32::try_from(MOST_LINKS).unwrap_or(u32::MAX);
    let mut counts: HashMap<&str, usize> = HashMap::new();
    if coarse.iter().any(|count| *count > most) {
        let all = devices.by_id().flat_map(|(_, runs)| users(runs));
        for user in all.filter(|user| coarse[place(user)] > most) {
            *counts.entry(user).or_default() += 1;
        }
    }
    counts.retain(|_, devices| *devices > MOST_LINKS);
    counts
}
