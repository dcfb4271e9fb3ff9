//! Saved reports: a SELECT with a header that people and the machine read, and parameters.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Error;
use crate::engine::{Header, QueryError, bind, bundled_reports};

/// A report's name and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The bundled report's name, or the file's path.
    pub name: String,
    pub text: Cow<'static, str>,
}

impl Report {
    /// What it answers, and its parameters and columns.
    ///
    /// # Errors
    /// A header line is not as it should be.
    pub fn header(&self) -> Result<Header, Error> {
        Header::parse(&self.text).map_err(|error| QueryError::sql(format!("{}: {error}", self.name)).into())
    }

    /// The text with every parameter replaced by its value or its default, as a literal of its type.
    ///
    /// # Errors
    /// A parameter is missing, unknown or of another type.
    pub fn sql(&self, values: &BTreeMap<String, String>) -> Result<String, Error> {
        Ok(bind(&self.text, values)?)
    }
}

/// The bundled reports by name.
#[must_use]
pub fn reports() -> Vec<Report> {
    let report = |(name, text): &(&str, &'static str)| Report { name: (*name).to_owned(), text: Cow::Borrowed(*text) };
    bundled_reports().iter().map(report).collect()
}

/// The bundled report of a name.
#[must_use]
pub fn report(name: &str) -> Option<Report> {
    reports().into_iter().find(|report| report.name == name)
}
