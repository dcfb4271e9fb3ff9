//! The conservation law: every line went somewhere, and what was stored is there.

use std::collections::BTreeMap;

use super::{Finding, REPORT, claimed};
use crate::store::layout::Table;
use crate::store::snapshot::Snapshot;

/// The law in the catalog alone: per source, and the sums of the tables.
pub(super) fn check_sums(snapshot: &Snapshot, findings: &mut Vec<Finding>) {
    for source in snapshot.sources() {
        if let Some(why) = source.contradiction() {
            findings.push(broken(format!("source {} ({}): {why}", source.source_id, source.name)));
        }
    }
    for table in Table::ALL {
        let rows: u64 = snapshot.parts(table).iter().map(|part| part.rows).sum();
        let claimed = claimed(snapshot, table);
        if rows != claimed {
            findings.push(broken(format!("{table} has {rows} rows, its sources account for {claimed}")));
        }
    }
}

/// The law row by row: what each source claims to have stored is what the parts hold of it.
pub(super) fn check_rows(snapshot: &Snapshot, counted: &BTreeMap<(Table, String), u64>, findings: &mut Vec<Finding>) {
    let mut open = counted.clone();
    for source in snapshot.sources() {
        for (table, claimed) in [(Table::Events, source.stored), (Table::Quarantine, source.quarantined)] {
            let found = open.remove(&(table, source.source_id.clone())).unwrap_or_default();
            if found != claimed {
                findings.push(broken(format!(
                    "source {} ({}) claims {claimed} rows of {table}, there are {found}",
                    source.source_id, source.name
                )));
            }
        }
    }
    for ((table, source), rows) in open {
        findings.push(broken(format!("{rows} rows of {table} are of source {source}, which is not known")));
    }
}

fn broken(what: String) -> Finding {
    Finding { file: None, check: "conservation", what, next: REPORT }
}
