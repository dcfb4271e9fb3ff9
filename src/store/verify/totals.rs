//! The totals that DuckDB answers from: never narrower than the parts they are about.

use super::{Finding, REPORT};
use crate::store::StoreError;
use crate::store::catalog::Catalog;
use crate::store::layout::Table;
use crate::store::snapshot::Snapshot;

/// Reports totals that would make a reader of the catalog lose rows.
pub(super) fn check(catalog: &Catalog, snapshot: &Snapshot, findings: &mut Vec<Finding>) -> Result<(), StoreError> {
    for table in Table::ALL {
        let parts = snapshot.parts(table);
        let rows: u64 = parts.iter().map(|part| part.rows).sum();
        let bytes: u64 = parts.iter().map(|part| part.bytes).sum();
        let mut wrong = catalog.narrow_totals(table)?;
        let (listed_rows, listed_bytes) = catalog.sums(table)?;
        if (listed_rows, listed_bytes) != (rows, bytes) {
            wrong.push(format!("{listed_rows} rows in {listed_bytes} bytes, its parts have {rows} in {bytes}"));
        }
        findings.extend(wrong.into_iter().map(|what| Finding {
            file: Some(catalog.path().to_owned()),
            check: "totals",
            what: format!("the statistics of {table}: {what}"),
            next: REPORT,
        }));
    }
    Ok(())
}
