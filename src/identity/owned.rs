//! Which devices have an owner at some time, and whose links are not believed because they are too many.
//!
//! Nothing is kept of a device but its runs: there may be very many of them, and what follows from the runs is computed
//! faster than memory for it is had.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::devices::Devices;
use super::identities::Identity;
use super::links::{Links, MOST_LINKS, Match};
use super::timeline::{Run, Span, spans};

/// The devices that have an owner at some time.
pub(super) struct OwnedDevices<'a> {
    links: &'a Links,
    /// Users with too many devices, and how many.
    busy: HashMap<&'a str, usize>,
}

impl<'a> OwnedDevices<'a> {
    pub(super) fn new(links: &'a Links) -> Self {
        Self { links, busy: busy_users(&links.devices) }
    }

    /// Visits them in order of their ids, each with its spans.
    pub(super) fn each(&self, mut visit: impl FnMut(&'a str, &[Span<'a>])) {
        let mut found = Vec::new();
        for (id, runs) in self.links.devices.by_id() {
            found.clear();
            self.read(runs, &mut found);
            if !found.is_empty() {
                visit(id, &found);
            }
        }
    }

    /// The spans of a device; none where nobody ever owns it.
    pub(super) fn spans(&self, id: &str) -> Vec<Span<'a>> {
        let mut found = Vec::new();
        self.read(self.links.devices.runs_of(id), &mut found);
        found
    }

    fn read(&self, runs: impl ExactSizeIterator<Item = Run<&'a str>> + Clone, found: &mut Vec<Span<'a>>) {
        if !has_too_many(&runs) {
            spans(runs.filter(|run| run.out || self.busy.is_empty() || !self.busy.contains_key(run.user)), found);
        }
    }

    /// The matches of ids that are not a device with an owner: its users say whose it is.
    pub(super) fn open_matches(&self) -> Vec<Match> {
        let open = |one: &&Match| self.spans(&one.distinct_id).is_empty();
        self.links.matches.iter().filter(open).cloned().collect()
    }

    /// The ids whose links are not believed.
    pub(super) fn stopped(&self) -> Vec<Identity> {
        let stop = |distinct_id: &str, linked: usize, what: &str| {
            let evidence = format!("linked to {linked} {what}, at most {MOST_LINKS} are believed");
            Identity::stopped(distinct_id, evidence)
        };
        let busy = self.busy.iter().map(|(user, devices)| stop(user, *devices, "devices"));
        let devices = self.links.devices.by_id().filter(|(_, runs)| has_too_many(runs));
        busy.chain(devices.map(|(id, runs)| stop(id, users(runs).len(), "users"))).collect()
    }
}

fn has_too_many<'a>(runs: &(impl ExactSizeIterator<Item = Run<&'a str>> + Clone)) -> bool {
    runs.len() > MOST_LINKS && users(runs.clone()).len() > MOST_LINKS
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
    const ENOUGH: u8 = u8::MAX;
    const { assert!(MOST_LINKS < ENOUGH as usize) };
    let hasher = RandomState::default();
    let mut coarse = vec![0_u8; (devices.runs().len() * 2).next_power_of_two()];
    let mask = coarse.len() - 1;
    let place = |user: &str| usize::try_from(hasher.hash_one(user) & mask as u64).unwrap_or(0);
    for run in devices.runs().filter(|run| !run.out) {
        let count = &mut coarse[place(run.user)];
        *count = count.saturating_add(1);
    }
    let many = |count: u8| usize::from(count) > MOST_LINKS;
    let mut counts: HashMap<&str, usize> = HashMap::new();
    if coarse.iter().any(|&count| many(count)) {
        let all = devices.by_id().flat_map(|(_, runs)| users(runs));
        for user in all.filter(|user| many(coarse[place(user)])) {
            *counts.entry(user).or_default() += 1;
        }
    }
    counts.retain(|_, devices| *devices > MOST_LINKS);
    counts
}
