//! The data of a page in one file: the answers of the panels, their SQL, and what it is of.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::failure::{Code, Failure};
use crate::dashboard;
use crate::database::panel::{Panel, PanelError, panel};
use crate::database::{Database, Session};
use crate::error::Explanation;

/// What a page has beside the facts and the river, and is embedded as it is.
const CHARTS: [&str; 9] = [
    "/api/paths",
    "/api/dwell",
    "/api/daily",
    "/api/retention",
    "/api/goals",
    "/api/goals/time",
    "/api/goals/velocity",
    "/api/sources",
    "/api/invariants",
];
/// The lists that `--top` shortens.
const LISTS: [&str; 4] = ["/api/paths", "/api/dropoffs", "/api/dwell", "/api/journeys"];
/// People whose last sessions a page tells.
const PEOPLE: usize = 8;
/// Steps of a funnel that nobody chose, at most.
const STEPS: usize = 5;

/// A row of `transitions`, as far as a funnel is made of it.
#[derive(Debug, Deserialize)]
struct Move {
    from_step: Option<String>,
    to_step: Option<String>,
    transitions: u64,
}

/// A row of `drop_offs`, as far as a funnel is made of it.
#[derive(Debug, Deserialize)]
struct Place {
    page: Option<String>,
    terminal_exits: u64,
}

/// A row of `journeys`, as far as people are found by it.
#[derive(Debug, Deserialize)]
struct Journey {
    user_id: String,
}

/// A page under way; all of it is of one snapshot.
pub(super) struct Page {
    session: Session,
    filters: Vec<(String, String)>,
    top: Option<u64>,
    data: String,
    sql: serde_json::Map<String, Value>,
    moves: Vec<Move>,
    places: Vec<Place>,
}

impl Page {
    /// A page of the newest snapshot. `filters` are parameters of panels.
    pub(super) async fn new(
        database: &Database,
        title: &str,
        filters: Vec<(String, String)>,
        top: Option<u64>,
    ) -> Result<Self, Failure> {
        let session = database.session().reader().await?;
        let told: Value = filters.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let (data, sql) = (String::new(), serde_json::Map::new());
        let mut page = Self { session, filters, top, data, sql, moves: Vec::new(), places: Vec::new() };
        page.put("title", &json!(title).to_string());
        page.put("filters", &told.to_string());
        Ok(page)
    }

    /// The whole in numbers, and the river.
    pub(super) async fn river(&mut self) -> Result<(), Failure> {
        self.path("/api/stats").await?;
        self.path("/api/flows").await?;
        Ok(())
    }

    /// Nothing but the river will be shown.
    pub(super) fn river_alone(&mut self) {
        self.put("only", "\"flows\"");
    }

    /// The charts that anything may be seen of without a choice.
    pub(super) async fn charts(&mut self) -> Result<(), Failure> {
        for path in CHARTS {
            self.path(path).await?;
        }
        self.moves = rows(&self.path("/api/transitions").await?)?;
        self.places = rows(&self.path("/api/dropoffs").await?)?;
        Ok(())
    }

    /// One funnel: the steps that were chosen, else the usual ones; none where nobody went anywhere.
    pub(super) async fn funnel(&mut self, steps: Vec<String>) -> Result<(), Failure> {
        let path = "/api/funnel";
        let steps = if steps.is_empty() { usual_steps(&self.moves, &self.places) } else { steps };
        if steps.is_empty() {
            self.put(path, "[]");
            return Ok(());
        }
        let given: Vec<(&str, &str)> = steps.iter().map(|step| ("step", step.as_str())).collect();
        self.ask(path, path, &given).await?;
        Ok(())
    }

    /// The newest sessions, and what their people did last.
    pub(super) async fn people(&mut self) -> Result<(), Failure> {
        let journeys: Vec<Journey> = rows(&self.path("/api/journeys").await?)?;
        let mut seen = BTreeSet::new();
        let newest = journeys.into_iter().map(|row| row.user_id).filter(|id| seen.insert(id.clone()));
        for id in newest.take(PEOPLE).collect::<Vec<_>>() {
            self.ask(&format!("/api/user/{id}/replay"), "/api/user/{id}/replay", &[("id", &id)]).await?;
        }
        Ok(())
    }

    /// The page, whole.
    pub(super) fn text(mut self) -> String {
        let sql = Value::Object(std::mem::take(&mut self.sql));
        self.put("sql", &sql.to_string());
        dashboard::page(Some(&format!("{{{}}}", self.data)))
    }

    /// Embeds JSON under a key.
    fn put(&mut self, key: &str, body: &str) {
        let comma = if self.data.is_empty() { "" } else { "," };
        // Writing to a String never fails.
        _ = write!(self.data, "{comma}{}:{}", json!(key), body.trim_end());
    }

    async fn path(&mut self, path: &str) -> Result<String, Failure> {
        self.ask(path, path, &[]).await
    }

    /// Asks the panel of a path and embeds the answer under a key.
    async fn ask(&mut self, key: &str, path: &str, own: &[(&str, &str)]) -> Result<String, Failure> {
        let panel = panel(path).ok_or_else(|| Failure::failed(&format!("there is no panel {path}")))?;
        let given = self.parameters(panel, own);
        let (sql, body) = self.session.panel(panel, &given).await.map_err(of_panel)?;
        self.put(key, &body);
        self.sql.insert(key.to_owned(), sql.into());
        Ok(body)
    }

    /// A panel's own parameters, the filters that it takes, and `--top` where it makes a list.
    fn parameters(&self, panel: &Panel, own: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = own.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        let takes = |name: &str| panel.parameters().any(|parameter| parameter.name == name);
        let filters = self.filters.iter().filter(|(name, _)| takes(name)).cloned();
        let top = self.top.filter(|_| LISTS.contains(&panel.path));
        own.chain(filters).chain(top.map(|top| ("top".to_owned(), top.to_string()))).collect()
    }
}

/// The rows of an answer, as far as they are asked for.
fn rows<Row: DeserializeOwned>(body: &str) -> Result<Vec<Row>, Failure> {
    serde_json::from_str(body)
        .map_err(|error| Failure::failed(&format!("a view of the store has other columns than a page needs – {error}")))
}

fn of_panel(error: PanelError) -> Failure {
    match error {
        PanelError::Wrong(wrong) => Failure::new(Code::Usage, Explanation::new(&format!("--{wrong}"))),
        PanelError::Database(error) => error.into(),
    }
}

/// Backwards from the terminal page where most journeys end, by the move that most often leads there; without such a
/// page forwards from the start.
fn usual_steps(moves: &[Move], places: &[Place]) -> Vec<String> {
    let goals = places.iter().filter(|place| place.terminal_exits > 0 && place.page.is_some());
    let goal = goals.max_by_key(|place| place.terminal_exits).and_then(|place| place.page.clone());
    let backwards = goal.is_some();
    let mut steps: Vec<String> = goal.into_iter().collect();
    while steps.len() < STEPS {
        let at = steps.last().map_or("START", String::as_str);
        let ways = moves.iter().filter_map(|row| {
            let (near, far) = if backwards { (&row.to_step, &row.from_step) } else { (&row.from_step, &row.to_step) };
            let far = far.as_ref().filter(|far| near.as_deref() == Some(at) && !steps.contains(far))?;
            Some((row.transitions, far))
        });
        match ways.max_by_key(|(transitions, _)| *transitions) {
            Some((_, far)) if far != "START" && far != "EXIT" => steps.push(far.clone()),
            _ => break,
        }
    }
    if backwards {
        steps.reverse();
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moves(rows: &[(&str, &str, u64)]) -> Vec<Move> {
        let own = |text: &str| Some(text.to_owned());
        rows.iter()
            .map(|&(from, to, transitions)| Move { from_step: own(from), to_step: own(to), transitions })
            .collect()
    }

    #[test]
    fn the_usual_funnel_leads_to_the_good_end() {
        let shop = moves(&[
            ("START", "/", 50),
            ("START", "/p", 20),
            ("/", "/p", 40),
            ("/p", "/", 10),
            ("/p", "/cart", 15),
            ("/cart", "/p", 9),
            ("/cart", "/thanks", 4),
            ("/thanks", "EXIT", 4),
        ]);
        let ends = [Place { page: Some("/thanks".to_owned()), terminal_exits: 4 }];
        assert_eq!(usual_steps(&shop, &ends), ["/", "/p", "/cart", "/thanks"]);
        assert_eq!(usual_steps(&shop, &[]), ["/", "/p", "/cart", "/thanks"]);
        assert!(usual_steps(&[], &[]).is_empty());
    }
}
