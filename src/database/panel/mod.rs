//! Panels: the questions that the page, the report and the HTTP routes ask. The SQL of a chart is written here and
//! nowhere else.
//!
//! ```text
//! path and parameters ─► ask: checked, spelled as SQL ─► Asked: SET …; SELECT … ─► answer ─► rows ─► shaped: JSON
//!      table.rs              parameter.rs                                                     flows.rs, facts.rs
//! ```
//! Invariants: a value that was given is a literal in the SQL, never a part of it; the rows of an answer are those of
//! [`Asked::sql`] run by anybody.
//!
//! Deliberately not here: HTTP, pages.

mod facts;
mod flows;
mod parameter;
mod table;

use thiserror::Error as ThisError;

use super::{Answer, Database, Error, Session};
use crate::error::did_you_mean;
use crate::output::{Format, Look};
use crate::time;

pub use facts::{Facts, Freshness, parquet_reads};
pub use parameter::{Kind, Parameter, Wrong};

/// A question with parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panel {
    /// Where it is asked, such as `/api/user/{id}/replay`.
    pub path: &'static str,
    /// What it answers, one line.
    pub what: &'static str,
    pub shape: Shape,
    groups: &'static [&'static [Parameter]],
    text: &'static str,
}

/// What is made of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The rows themselves.
    Rows,
    /// The row, with [`Facts`] and [`Freshness`] beside it.
    Stats,
    /// Nodes and links.
    Flows,
}

/// Why a panel has no answer.
#[derive(Debug, ThisError)]
pub enum PanelError {
    #[error(transparent)]
    Wrong(#[from] Wrong),
    #[error(transparent)]
    Database(#[from] Error),
}

/// Every panel.
#[must_use]
pub const fn panels() -> &'static [Panel] {
    table::PANELS
}

/// The panel of a path.
#[must_use]
pub fn panel(path: &str) -> Option<&'static Panel> {
    panels().iter().find(|panel| panel.path == path)
}

impl Panel {
    /// What it may be asked with.
    pub fn parameters(&self) -> impl Iterator<Item = &'static Parameter> {
        self.groups.iter().copied().flatten()
    }

    /// Whether a parameter is part of the path.
    #[must_use]
    pub fn has_in_path(&self, parameter: &Parameter) -> bool {
        self.path.contains(&format!("{{{}}}", parameter.name))
    }

    /// The question with these parameters; a filter without a value is as if it were not given.
    ///
    /// # Errors
    /// A parameter is unknown, missing, given twice, or its value makes no sense.
    pub fn ask(&'static self, given: &[(String, String)]) -> Result<Asked, Wrong> {
        let mut values: Vec<(&str, &str)> = Vec::new();
        for (name, value) in given {
            let takes_steps = self.parameters().any(|known| known.kind == Kind::Labels);
            match name.as_str() {
                "steps" if takes_steps => values.extend(value.split(',').map(|label| ("step", label.trim()))),
                name if self.parameters().any(|known| known.name == name) => values.push((name, value)),
                name => return Err(self.unknown(name)),
            }
        }
        let filters = |name: &str| self.parameters().any(|known| known.name == name && known.is_filter());
        values.retain(|(name, value)| !value.is_empty() || !filters(name));
        let mut asked = Asked { panel: self, settings: Vec::new(), relation: None, select: String::new() };
        let mut spelled: Vec<(&str, String)> = Vec::new();
        for parameter in self.parameters() {
            let mut of: Vec<&str> =
                values.iter().filter(|(name, _)| *name == parameter.name).map(|&(_, value)| value).collect();
            if of.is_empty() {
                of.extend(parameter.default);
            }
            if of.is_empty() && !parameter.required {
                spelled.push((parameter.name, String::new()));
                continue;
            }
            if of.is_empty() {
                return Err(Wrong::new(parameter.name, format!("it is missing: {}", parameter.what)));
            }
            let sql = parameter.sql(&of)?;
            if parameter.kind == Kind::Relation {
                asked.relation = of.first().map(|&name| (parameter.name, name.to_owned()));
            }
            match (parameter.setting, parameter.kind) {
                (Some(setting), _) => {
                    asked.settings.push((parameter.name, format!("SET journeyql.{setting} = {sql}")));
                }
                // The only option of a function that may be absent.
                (None, Kind::Column(_)) => spelled.push((parameter.name, format!(", {} => {sql}", parameter.name))),
                (None, _) => spelled.push((parameter.name, sql)),
            }
        }
        asked.select = fill(self.text, &spelled);
        Ok(asked)
    }

    fn unknown(&self, name: &str) -> Wrong {
        let wrong = Wrong::new(name, "there is no such parameter");
        let names: Vec<&str> = self.parameters().map(|known| known.name).collect();
        let list = format!("there are {}", names.join(", "));
        wrong.with_hint(did_you_mean(name, names.iter().copied()).unwrap_or(list))
    }
}

/// The text with each `$name` replaced; what is put in is not looked at again.
fn fill(text: &str, values: &[(&str, String)]) -> String {
    let mut pieces = text.split('$');
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(piece.len());
        let value = values.iter().find(|(name, _)| *name == &piece[..end]);
        filled.push_str(value.map_or("", |(_, value)| value));
        filled.push_str(&piece[end..]);
    }
    filled
}

/// A checked question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub panel: &'static Panel,
    /// The SET statements and the parameters that they are of.
    settings: Vec<(&'static str, String)>,
    /// The table or view that is asked for by name, and the parameter that says so.
    relation: Option<(&'static str, String)>,
    select: String,
}

impl Asked {
    /// Whether the answer may change while the store stands still: reads are listed without a commit.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.relation.as_ref().is_some_and(|(_, name)| name == "audit")
    }

    /// The SQL that anybody can run.
    #[must_use]
    pub fn sql(&self) -> String {
        let settings = self.settings.iter().map(|(_, sql)| sql.as_str());
        settings.chain([self.select.as_str()]).collect::<Vec<_>>().join("; ")
    }

    /// The rows. The settings stay set in the session: give it one of its own ([`Session::reader`]).
    ///
    /// # Errors
    /// A value makes no sense in this store (there is no such segment or view), or the query fails.
    pub async fn answer(&self, session: &mut Session) -> Result<Answer, PanelError> {
        for (parameter, sql) in &self.settings {
            session.query(sql).await.map_err(|error| of_parameter(parameter, error))?;
        }
        if let Some((parameter, name)) = &self.relation {
            let names = session.table_names().await?;
            if !names.contains(name) {
                let wrong = Wrong::new(parameter, format!("no table {name}"));
                let hint = did_you_mean(name, names.iter().map(String::as_str));
                return Err(hint.map_or(wrong.clone(), |hint| wrong.with_hint(hint)).into());
            }
        }
        Ok(session.query(&self.select).await?)
    }

    /// What becomes of the rows, which are JSON; `told` stands beside the figures of [`Shape::Stats`].
    ///
    /// # Errors
    /// The rows are not what the shape is made of: a view of the store took the place of ours.
    pub fn shaped(&self, rows: String, told: Option<(&Facts, &Freshness)>) -> Result<String, Error> {
        match (self.panel.shape, told) {
            (Shape::Stats, Some((facts, fresh))) => facts::told(&rows, facts, fresh),
            (Shape::Flows, _) => {
                let moves = serde_json::from_str(&rows).map_err(|error| Error::Rows(error.to_string()))?;
                let river = serde_json::to_string(&flows::River::new(moves));
                river.map(|river| river + "\n").map_err(|error| Error::Rows(error.to_string()))
            }
            (Shape::Rows | Shape::Stats, _) => Ok(rows),
        }
    }
}

/// What a value of a parameter did when it was set.
fn of_parameter(parameter: &str, error: Error) -> PanelError {
    match error {
        Error::Query(said) => Wrong { parameter: parameter.to_owned(), message: said.message, hint: said.hint }.into(),
        other => other.into(),
    }
}

impl Session {
    /// Answers a panel at once, without limits: its SQL and its JSON. A reader answers all of them of one snapshot.
    ///
    /// # Errors
    /// The parameters make no sense, or the query fails.
    pub async fn panel(
        &mut self,
        panel: &'static Panel,
        given: &[(String, String)],
    ) -> Result<(String, String), PanelError> {
        let asked = panel.ask(given)?;
        let mut session = self.reader().await?;
        let rows = asked.answer(&mut session).await?.text(Format::Json, Look::default()).await?;
        let body = if panel.shape == Shape::Stats {
            let fresh = Freshness::new(time::now_micros(), 0, 1);
            let failed_invariants = Some(session.failed_invariants().await?);
            let facts = Facts { failed_invariants, ..session.facts().await? };
            asked.shaped(rows, Some((&facts, &fresh)))
        } else {
            asked.shaped(rows, None)
        };
        Ok((asked.sql(), body?))
    }
}

impl Database {
    /// Answers one panel of the newest snapshot, as [`Session::panel`] does.
    ///
    /// # Errors
    /// The parameters make no sense, or the query fails.
    pub async fn panel(
        &self,
        panel: &'static Panel,
        given: &[(String, String)],
    ) -> Result<(String, String), PanelError> {
        self.session().panel(panel, given).await
    }
}
