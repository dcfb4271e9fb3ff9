//! Who is who, kept up with the events: every commit looks at the parts it adds, and what they say of devices and equal
//! values is in the catalog from the same moment on.
//!
//! ```text
//! parts added ─ facts ─► runs per device ─ join with the catalog's ─► rows of jq_devices, jq_matches
//!                                              └ interleaved, or rows were lost: the device's facts from all parts
//! ```
//!
//! Invariants: the rows are a function of the stored events and the rules, whatever the order of arrival; a part
//! without anonymous ids (and without properties, where values are matched) is not even opened.
//!
//! Deliberately not here: what follows from the rows (`identity/`).

mod facts;

use std::collections::HashSet;

use facts::Rows;

use super::catalog::Catalog;
use super::part::{NewPart, Part};
use super::{StoreError, Table};
use crate::config::Identity;
use crate::identity::{Device, MOST_LINKS, Match, join};
use crate::privacy::Key;

/// The fact in `jq_meta`: the rules that the links were made by.
pub(super) const META: &str = "linking";

/// The rules by which events link ids.
#[derive(Debug, Clone, Default)]
pub struct Linking {
    /// Event names that log a user out, in lower case.
    pub log_outs: HashSet<String>,
    /// The ways into the properties to values that are one person's.
    pub matches: Vec<Vec<String>>,
}

impl Linking {
    /// The rules of `[identity]`.
    #[must_use]
    pub fn new(identity: &Identity) -> Self {
        Self {
            log_outs: identity.log_outs.iter().map(|name| name.to_lowercase()).collect(),
            // A configuration that exists was checked.
            matches: identity.matches().unwrap_or_default(),
        }
    }

    /// Tells these rules from others.
    pub(super) fn fingerprint(&self) -> String {
        let mut log_outs: Vec<&str> = self.log_outs.iter().map(String::as_str).collect();
        log_outs.sort_unstable();
        let text = serde_json::to_string(&(log_outs, &self.matches)).unwrap_or_default();
        format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes()))
    }
}

/// What a commit changes about links.
#[derive(Debug, Default)]
pub struct LinkChange {
    /// Everything that is not here goes.
    pub whole: bool,
    /// Devices with all their runs; none: the device is linked to nobody any more.
    pub devices: Vec<Device>,
    /// Ids whose matches are these and no others.
    pub rematched: HashSet<String>,
    pub matches: Vec<Match>,
    /// The rules, where they are others than before.
    pub rules: Option<String>,
}

/// The parts of a commit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    pub add: &'a [NewPart],
    pub remove: &'a [i64],
    /// Rows of the removed parts are in none that is added.
    pub loses: bool,
    /// Log-outs that the commit leaves for those that it erases.
    pub log_outs: &'a [(String, i64)],
}

/// What a commit of these parts does to the links.
pub(super) fn change(
    catalog: &Catalog,
    parts: Parts<'_>,
    linking: &Linking,
    key: Option<&Key>,
) -> Result<LinkChange, StoreError> {
    let rules = linking.fingerprint();
    let same_rules = catalog.meta(META)?.as_deref() == Some(&rules);
    let added: Vec<Rows<'_>> = parts.add.iter().filter(|part| part.table() == Table::Events).map(Rows::New).collect();
    if same_rules && !parts.loses && !added.iter().any(|rows| facts::may_link(rows, linking)) {
        return Ok(LinkChange::default());
    }
    let listing = catalog.listing()?;
    let (gone, kept): (Vec<&Part>, Vec<&Part>) =
        listing.events.iter().partition(|part| parts.remove.contains(&part.file_id));
    let mut log_outs = catalog.log_outs()?;
    log_outs.extend(parts.log_outs.iter().cloned());
    let outs = || log_outs.iter().map(|(device, ts)| Rows::LogOut(device, *ts));
    let all =
        || kept.iter().map(|part| Rows::Live(part)).chain(added.iter().copied()).chain(outs()).collect::<Vec<_>>();
    if !same_rules {
        let found = facts::collect(all(), linking, key, None)?;
        let (devices, matches) = found.into_rows();
        return Ok(LinkChange { whole: true, devices, matches, rematched: HashSet::new(), rules: Some(rules) });
    }
    let mut fresh = facts::collect(added.clone(), linking, key, None)?;
    let mut unclear: HashSet<String> = HashSet::new();
    let mut rematched: HashSet<String> = HashSet::new();
    if parts.loses {
        let lost = facts::collect(gone.into_iter().map(Rows::Live).collect(), linking, key, None)?;
        unclear.extend(lost.devices.into_keys());
        rematched.extend(lost.matches.into_keys().map(|(_, id)| id));
    }
    let mut devices = Vec::new();
    for (id, runs) in std::mem::take(&mut fresh.devices) {
        let known = catalog.device(&id)?;
        if known.len() > MOST_LINKS && facts::has_too_many(&known) && !unclear.contains(&id) {
            continue;
        }
        match join(known.iter().cloned().chain(runs).collect()) {
            Some(runs) if !unclear.contains(&id) => {
                if runs != known {
                    devices.push(Device { id, runs });
                }
            }
            _ => drop(unclear.insert(id)),
        }
    }
    if !unclear.is_empty() || !rematched.is_empty() {
        let only = facts::Only { devices: &unclear, ids: &rematched };
        let mut found = facts::collect(all(), linking, key, Some(only))?;
        devices.extend(unclear.iter().map(|id| {
            let runs = found.devices.remove(id).unwrap_or_default();
            Device { id: id.clone(), runs }
        }));
        fresh.matches.extend(found.matches);
    }
    let (_, matches) = fresh.into_rows();
    Ok(LinkChange { whole: false, devices, rematched, matches, rules: None })
}
