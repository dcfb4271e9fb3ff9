//! What a change does to the main views, row by row.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{Answer, Error};
use crate::engine::Engine;
use crate::store::Snapshot;

/// The views that are compared: what tells a row, and the figure that is shown of it.
const VIEWS: [(&str, &str, &str); 5] = [
    ("stats", "'all'", "events"),
    ("drop_offs", "coalesce(page, 'NULL')", "views"),
    ("transitions", "from_step || ' -> ' || to_step", "transitions"),
    ("dwell", "coalesce(page, 'NULL')", "n"),
    ("top_paths", "path", "sessions"),
];
/// Rows of a view that are told.
const TOLD: usize = 5;

/// How a view differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    pub view: &'static str,
    /// The figure that the rows are told by.
    pub figure: &'static str,
    pub rows_before: usize,
    pub rows_after: usize,
    /// Rows that came, went or changed in any column.
    pub rows_changed: usize,
    /// Those whose figure moved most.
    pub most: Vec<Moved>,
}

/// One row that differs; a figure is `None` where there is no such row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moved {
    pub row: String,
    pub before: Option<i64>,
    pub after: Option<i64>,
}

impl Moved {
    fn by(&self) -> i64 {
        self.after.unwrap_or_default() - self.before.unwrap_or_default()
    }
}

/// The figure of a row, and the whole of it.
type Rows = BTreeMap<String, (i64, Value)>;

/// How the main views of `after` differ from those of `before`; views that do not are left out.
///
/// # Errors
/// A view cannot be computed.
pub async fn differences(before: &(Snapshot, Engine), after: &(Snapshot, Engine)) -> Result<Vec<Difference>, Error> {
    let mut found = Vec::new();
    for (view, key, figure) in VIEWS {
        let (before, after) = (rows(before, view, key, figure).await?, rows(after, view, key, figure).await?);
        found.extend(difference((view, figure), &before, &after));
    }
    Ok(found)
}

async fn rows((snapshot, engine): &(Snapshot, Engine), view: &str, key: &str, figure: &str) -> Result<Rows, Error> {
    // The snapshot is no matter of content.
    let all = if view == "stats" { "* EXCEPT (snapshot)" } else { "*" };
    let sql = format!("SELECT {key} AS jq_key, {figure} AS jq_figure, {all} FROM {view}");
    let rows = Answer::new(engine.query(&sql).await?, snapshot).rows().await?;
    let row = |mut row: Value| {
        let key = row["jq_key"].as_str().unwrap_or_default().to_owned();
        let figure = row["jq_figure"].take().as_i64().unwrap_or_default();
        (key, (figure, row))
    };
    Ok(rows.into_iter().map(row).collect())
}

fn difference((view, figure): (&'static str, &'static str), before: &Rows, after: &Rows) -> Option<Difference> {
    let gone_or_other = before.iter().filter(|(key, row)| after.get(*key) != Some(row)).map(|(key, _)| key);
    let new = after.keys().filter(|key| !before.contains_key(*key));
    let mut moved: Vec<Moved> = gone_or_other
        .chain(new)
        .map(|key| {
            let figure = |rows: &Rows| rows.get(key).map(|(figure, _)| *figure);
            Moved { row: key.clone(), before: figure(before), after: figure(after) }
        })
        .collect();
    let rows_changed = moved.len();
    moved.sort_by_key(|row| (std::cmp::Reverse(row.by().abs()), row.row.clone()));
    moved.truncate(TOLD);
    (rows_changed > 0).then_some(Difference {
        view,
        figure,
        rows_before: before.len(),
        rows_after: after.len(),
        rows_changed,
        most: moved,
    })
}
