//! Saved reports: a SELECT with a header that people and the machine read, and parameters.

use std::collections::BTreeMap;
use std::path::Path;

use super::Error;
use crate::engine::QueryError;
use crate::engine::header::Header;
use crate::engine::params::bind;
use crate::engine::views::Queries;

/// A report: its name or file, its text, and what its header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub name: String,
    pub text: String,
    pub header: Header,
}

impl Report {
    /// A report of one's own.
    ///
    /// # Errors
    /// A header line is not as it should be.
    pub fn new(name: &str, text: String) -> Result<Self, Error> {
        let header = Header::parse(&text).map_err(|why| QueryError::sql(format!("{name}: {why}")))?;
        Ok(Self { name: name.to_owned(), text, header })
    }

    /// The text with every parameter replaced by its value or its default, as a literal of its type.
    ///
    /// # Errors
    /// A parameter is missing, unknown or of another type.
    pub fn sql(&self, values: &BTreeMap<String, String>) -> Result<String, Error> {
        // A mistake of the text has its place in it; one of the values has none but the report.
        Ok(bind(&self.text, values).map_err(|wrong| match wrong.at {
            Some(_) => wrong,
            None => QueryError { message: format!("{}: {}", self.name, wrong.message), ..wrong },
        })?)
    }
}

/// The bundled reports by name, with those in the store's `queries/` in their place or beside them.
///
/// # Errors
/// A report of the store cannot be read or has a malformed header.
pub fn reports(store: &Path) -> Result<Vec<Report>, Error> {
    let folder = store.join("queries");
    let reports = Queries::reports(Some(&folder))?;
    let report = |query: &crate::engine::views::Query| Report {
        name: query.name.clone(),
        text: query.sql.clone(),
        header: query.header.clone(),
    };
    Ok(reports.iter().map(report).collect())
}
