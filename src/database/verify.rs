//! The store against itself.

use serde::Serialize;

use super::{Database, Error};
use crate::store::{Finding, Meter, VerifyReport};

/// What a quick look checks, and what only reading every byte can.
const QUICK: [(&str, &str); 5] = [
    ("catalog", "the pages and rows of the catalog"),
    ("file", "every part is there and whole"),
    ("folder", "nothing else lies in data/"),
    ("totals", "tables are the sums of their parts"),
    ("conservation", "every line is accounted for"),
];
const DEEP: [(&str, &str); 5] = [
    ("checksum", "every byte is as it was written"),
    ("schema", "every part has the columns of its table"),
    ("day", "every row is of its part's day"),
    ("order", "rows are sorted"),
    ("statistics", "the catalog's figures hold for every row"),
];

const LEFT: &str = "lie in data/: no table has them, and the next ingest removes them";

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: String,
    pub ok: bool,
    /// What was checked, or what was found.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Database {
    /// Checks the catalog against the files and the account of every line; `deep` reads every file
    /// and tells `meter`.
    ///
    /// # Errors
    /// The store cannot be read at all.
    pub fn verify(&self, deep: bool, meter: &Meter) -> Result<Vec<Check>, Error> {
        Ok(checks(&self.store.verify(deep, meter)?))
    }

    /// Checks what the reports must satisfy on this store: the view `invariants`.
    ///
    /// # Errors
    /// A query fails.
    pub async fn verify_reports(&self) -> Result<Vec<Check>, Error> {
        let rows = self.rows("SELECT name, expected, actual, ok FROM invariants ORDER BY name").await?;
        let check = |row: serde_json::Value| Check {
            name: "invariant".to_owned(),
            ok: row["ok"].as_bool() == Some(true),
            detail: format!(
                "{}: expected {}, found {}",
                row["name"].as_str().unwrap_or_default(),
                figure(&row["expected"]),
                figure(&row["actual"])
            ),
            next: None,
        };
        Ok(rows.into_iter().map(check).collect())
    }
}

/// A count without the `.0` of the column's type.
fn figure(value: &serde_json::Value) -> String {
    value.to_string().trim_end_matches(".0").to_owned()
}

/// A line per check that found nothing, and one per finding.
fn checks(report: &VerifyReport) -> Vec<Check> {
    let mut checks = Vec::new();
    let looked_at: &[_] = if report.deep { &DEEP } else { &[] };
    for (name, what) in QUICK.iter().chain(looked_at) {
        if report.findings.iter().all(|finding| finding.check != *name) {
            let detail = match report.left {
                left if left > 0 && *name == "folder" => format!("{left} files of a killed writer {LEFT}"),
                _ => (*what).to_owned(),
            };
            checks.push(Check { name: (*name).to_owned(), ok: true, detail, next: None });
        }
    }
    checks.extend(report.findings.iter().map(failed));
    checks
}

fn failed(finding: &Finding) -> Check {
    let file = finding.file.as_ref().map(|file| format!("{}: ", file.display())).unwrap_or_default();
    Check {
        name: finding.check.to_owned(),
        ok: false,
        detail: format!("{file}{}", finding.what),
        next: Some(finding.next.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_takes_the_place_of_its_check() {
        let finding =
            Finding { file: Some("/s/p".into()), check: "file", what: "is missing".into(), next: "restore it" };
        let report = VerifyReport {
            snapshot: 1,
            parts: 1,
            rows: 1,
            bytes: 1,
            sources: 1,
            left: 0,
            deep: true,
            findings: vec![finding.clone(), finding],
        };
        let checks = checks(&report);
        assert_eq!(checks.iter().filter(|check| check.ok).count(), 9);
        let bad: Vec<&str> = checks.iter().filter(|check| !check.ok).map(|check| check.detail.as_str()).collect();
        assert_eq!(bad, ["/s/p: is missing", "/s/p: is missing"]);
    }
}
