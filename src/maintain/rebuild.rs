//! Every table from the stored events, in another store.

use std::collections::BTreeMap;

use super::derive::Derivation;
use super::error::MaintainError;
use super::rewrite::rewrite;
use crate::config::Config;
use crate::store::{
    AliasEdit, CorrectionEdit, Erasure, Linking, Meter, Part, SegmentEdit, SegmentRow, Snapshot, Store, Table,
};
use crate::time::Day;

/// Fills the empty store `into` with one part a day, its rows merged and their pages and steps derived again by the
/// rules of `config`. Days of other rules are merged as they are: what they would become is `reprocess`'s to say.
///
/// # Errors
/// A part cannot be read, or the disk is full.
pub fn rebuild(
    store: &Store,
    snapshot: &Snapshot,
    config: &Config,
    into: &Store,
    meter: &Meter,
) -> Result<(), MaintainError> {
    // Hashes of equal values are equal under one key.
    if let Some(key) = store.key()? {
        into.give_key(&key)?;
    }
    let mut writer = into.writer(Linking::new(&config.identity))?;
    let present = config.rules_fingerprint();
    let mut derivation = Derivation::new(config)?;
    let mut days: BTreeMap<(Table, Day), Vec<&Part>> = BTreeMap::new();
    for part in Table::ALL.into_iter().flat_map(|table| snapshot.parts(table)) {
        days.entry((part.table, part.day)).or_default().push(part);
    }
    let done = meter.over(days.values().flatten().map(|part| part.bytes).sum());
    let mut add = Vec::with_capacity(days.len());
    for (place, parts) in days {
        let derived = place.0 == Table::Events && parts.iter().all(|part| part.rules == present);
        let change = &mut |batch: &_| if derived { derivation.batch(batch) } else { Ok(Clone::clone(batch)) };
        add.push(rewrite(&writer, place, &parts, &present, change)?);
        done(parts.iter().map(|part| part.bytes).sum());
    }
    let mut commit = writer.begin();
    for part in add {
        commit.add(part);
    }
    for row in snapshot.sources() {
        commit.source(row.clone());
    }
    // What somebody said follows from no event.
    let said = store.links(snapshot)?;
    said.aliases.into_iter().for_each(|alias| commit.alias(AliasEdit::Add(alias)));
    said.rejections.into_iter().for_each(|alias| commit.alias(AliasEdit::Reject(alias)));
    for said in store.corrections(snapshot)?.into_iter().filter(|it| it.reverted.is_none()) {
        commit.correct(CorrectionEdit::Add { change: said.change, reason: said.reason, by: said.by });
    }
    for SegmentRow { name, sql, .. } in store.segments(snapshot)? {
        commit.segment(SegmentEdit::Put { name, sql });
    }
    commit.erase(Erasure { log_outs: store.erased_log_outs()?, ..Erasure::default() });
    commit.audit("rebuild", "from the stored events");
    commit.commit()?;
    Ok(())
}
