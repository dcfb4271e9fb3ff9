//! Views and saved reports: SQL files that are part of the program, and those a store puts in their place.
//!
//! A store's `queries/views/NAME.sql` replaces the view of that name or adds one; `queries/NAME.sql` does the same
//! for reports. Views may use each other, but not in a circle.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use datafusion::sql::parser::DFParser;
use datafusion::sql::resolve::resolve_table_references;

use super::error::QueryError;
use super::header::Header;

macro_rules! queries {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../queries/", $folder, $name, ".sql")))),+]
    };
}

/// The views of the program: name and text.
pub const VIEWS: &[(&str, &str)] = queries!("views/": "anomalous_sessions", "back_and_forth", "daily", "drop_offs", "dwell", "flows", "goal_journeys", "identity_candidates", "invariants", "journey_completion", "journey_velocity", "loops", "prediction_accuracy", "profiles", "quarantine", "segment_feed", "session_labels", "sources", "stats", "step_matrix", "tie_totals", "time_to_conversion", "top_paths", "transitions");

/// The stories of the program, views too: name and text.
pub const NARRATIVES: &[(&str, &str)] = queries!(
    "narratives/":
    "abandoned_at_payment",
    "compared_three_products",
    "dropped_off_during_onboarding",
    "struggled_with_checkout"
);

/// The reports of the program: name and text.
pub const REPORTS: &[(&str, &str)] =
    queries!("": "drop_offs", "dwell", "funnel", "inspect", "overview", "top_paths", "transitions", "user_journey");

/// A view or report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub name: String,
    pub sql: String,
    pub header: Header,
    /// The file it was read from; `None` for one of the program's own.
    pub file: Option<PathBuf>,
}

/// Views or reports by name.
#[derive(Debug, Clone, Default)]
pub struct Queries {
    all: BTreeMap<String, Query>,
}

impl Queries {
    /// The program's views and those that the configuration writes, with those of the folder in front.
    ///
    /// # Errors
    /// A file of the folder cannot be read, has a malformed head, or the views need each other in a circle.
    pub fn views(folder: Option<&Path>, written: &[(&str, String)]) -> Result<Self, QueryError> {
        let own: Vec<(&str, &str)> = written.iter().map(|(name, sql)| (*name, sql.as_str())).collect();
        let queries = Self::load(&[VIEWS, NARRATIVES, &own].concat(), folder)?;
        if queries.all.values().any(|query| query.file.is_some()) {
            queries.check_circles()?;
        }
        Ok(queries)
    }

    /// The program's reports, with those of the folder in front.
    ///
    /// # Errors
    /// A file of the folder cannot be read or has a malformed head.
    pub fn reports(folder: Option<&Path>) -> Result<Self, QueryError> {
        Self::load(REPORTS, folder)
    }

    /// The query of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Query> {
        self.all.get(name)
    }

    /// All of them by name.
    pub fn iter(&self) -> impl Iterator<Item = &Query> {
        self.all.values()
    }

    fn load(own: &[(&str, &str)], folder: Option<&Path>) -> Result<Self, QueryError> {
        let mut queries = Self::default();
        for (name, sql) in own {
            queries.add(name, (*sql).to_owned(), None)?;
        }
        let Some(folder) = folder.filter(|folder| folder.is_dir()) else { return Ok(queries) };
        let unreadable = |error: &std::io::Error| QueryError::sql(format!("cannot read {}: {error}", folder.display()));
        for entry in std::fs::read_dir(folder).map_err(|error| unreadable(&error))? {
            let path = entry.map_err(|error| unreadable(&error))?.path();
            if path.extension().is_none_or(|extension| extension != "sql") || !path.is_file() {
                continue;
            }
            let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned) else { continue };
            let sql = std::fs::read_to_string(&path)
                .map_err(|error| QueryError::sql(format!("cannot read {}: {error}", path.display())))?;
            queries.add(&name, sql, Some(path))?;
        }
        Ok(queries)
    }

    fn add(&mut self, name: &str, sql: String, file: Option<PathBuf>) -> Result<(), QueryError> {
        let place = file.as_ref().map_or_else(|| name.to_owned(), |file| file.display().to_string());
        let header = Header::parse(&sql).map_err(|why| QueryError::sql(format!("{place}: {why}")))?;
        self.all.insert(name.to_owned(), Query { name: name.to_owned(), sql, header, file });
        Ok(())
    }

    /// The other views that a view reads.
    fn needs(&self, query: &Query) -> Result<Vec<String>, QueryError> {
        let parsed = DFParser::parse_sql(&query.sql).map_err(|error| QueryError::from_datafusion(&error, &[]))?;
        let mut needs = Vec::new();
        for statement in &parsed {
            let (tables, _) =
                resolve_table_references(statement, true).map_err(|error| QueryError::from_datafusion(&error, &[]))?;
            needs
                .extend(tables.iter().map(|table| table.table().to_owned()).filter(|name| self.all.contains_key(name)));
        }
        Ok(needs)
    }

    fn check_circles(&self) -> Result<(), QueryError> {
        let mut needs = BTreeMap::new();
        for query in self.all.values() {
            needs.insert(query.name.as_str(), self.needs(query)?);
        }
        // Views whose needs are all resolved drop out; what stays is a circle or hangs on one.
        let mut left: Vec<&str> = needs.keys().copied().collect();
        loop {
            let before = left.len();
            let open = left.clone();
            left.retain(|name| needs[name].iter().any(|need| open.contains(&need.as_str())));
            if left.is_empty() {
                return Ok(());
            }
            if left.len() == before {
                return Err(QueryError::sql(format!("the views {} need each other in a circle", left.join(", "))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_of_the_program_has_a_head() {
        for queries in [Queries::views(None, &[]).unwrap(), Queries::reports(None).unwrap()] {
            for query in queries.iter() {
                assert!(!query.header.what.is_empty() && !query.header.columns.is_empty(), "{}", query.name);
            }
        }
        Queries::views(None, &[]).unwrap().check_circles().unwrap();
    }

    #[test]
    fn a_circle_is_refused() {
        let mut queries = Queries::default();
        queries.add("a", "SELECT * FROM b".into(), None).unwrap();
        queries.add("b", "SELECT * FROM (SELECT * FROM a)".into(), None).unwrap();
        queries.add("c", "SELECT 1".into(), None).unwrap();
        let said = queries.check_circles().unwrap_err().to_string();
        assert_eq!(said, "the views a, b need each other in a circle");
    }
}
