//! Goals: steps that journeys are for, named in `[journey] goals`; two views that the configuration writes.
//!
//! | view | a row is |
//! |---|---|
//! | `goals` | a goal: its name, and the condition that a step must meet |
//! | `goal_steps` | a step that meets a goal's condition, once for each goal |
//!
//! Everything else about goals is plain SQL over these: `queries/views/`.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::ExprSchemable;

use super::error::QueryError;
use super::relations::Relation;

/// The names and texts of the views for these goals.
///
/// # Errors
/// A goal is no condition over `steps`.
pub fn views(goals: &BTreeMap<String, String>) -> Result<[(&'static str, String); 2], QueryError> {
    let internal = |error: DataFusionError| QueryError::from_datafusion(&error, &[]);
    let schema = DFSchema::try_from(Relation::Steps.schema()).map_err(internal)?;
    let state = SessionStateBuilder::new_with_default_features().build();
    for (name, condition) in goals {
        let wrong =
            |error: QueryError| QueryError { message: format!("[journey] goals.{name}: {}", error.message), ..error };
        let expr = state.create_logical_expr(condition, &schema).map_err(|error| wrong(internal(error)))?;
        if expr.get_type(&schema).map_err(|error| wrong(internal(error)))? != DataType::Boolean {
            return Err(wrong(QueryError::sql(format!("'{condition}' is no condition over steps"))));
        }
    }
    Ok([("goals", table(goals)), ("goal_steps", steps(goals))])
}

fn table(goals: &BTreeMap<String, String>) -> String {
    let rows: Vec<String> =
        goals.iter().map(|(name, text)| format!("({}, {})", literal(name), literal(text))).collect();
    let from = if rows.is_empty() {
        "(VALUES ('', '')) AS g(goal, condition) WHERE false".to_owned()
    } else {
        format!("(VALUES {}) AS g(goal, condition)", rows.join(", "))
    };
    format!(
        "-- What journeys are for, as [journey] goals says.\n-- columns:\n--   goal text, its name\n\
         --   condition text, what a step must meet\nSELECT goal, condition FROM {from}"
    )
}

fn steps(goals: &BTreeMap<String, String>) -> String {
    let named: Vec<String> =
        goals.iter().map(|(name, text)| format!("CASE WHEN ({text}\n) THEN {} END", literal(name))).collect();
    let named = if named.is_empty() { "CASE WHEN false THEN '' END".to_owned() } else { named.join(", ") };
    format!(
        "-- The steps that reach a goal, once for each goal that they reach.\n-- columns:\n--   goal text, the goal\n\
         --   user_id text, who\n--   session_id text, in which session\n--   session_start timestamp, when that began\n\
         --   step_index bigint, which step of it\n--   ts timestamp, when\n--   step text, the step's label\n\
         SELECT goal, user_id, session_id, session_start, step_index, ts, step FROM (\n    \
         SELECT user_id, session_id, session_start, step_index, ts, step, unnest(make_array({named})) AS goal FROM steps\n\
         ) AS s WHERE goal IS NOT NULL"
    )
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_condition_over_steps_is_refused_by_name() {
        for (text, why) in
            [("page = ", "[journey] goals.a: "), ("pag = '/'", "did you mean page?"), ("page", "no condition")]
        {
            let said = views(&BTreeMap::from([("a".to_owned(), text.to_owned())])).unwrap_err().to_string();
            assert!(said.starts_with("[journey] goals.a: ") && said.contains(why), "{text}: {said}");
        }
        assert!(views(&BTreeMap::new()).is_ok());
    }
}
