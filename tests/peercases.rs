//! Facts that other engines state about funnels and sessions, as far as we agree with them.
//!
//! The cases lie beside the repository (`$JOURNEYQL_SHARED`, else `../shared`); without them nothing is checked and the
//! test says so. Tier `core` must agree. Where the modes of ClickHouse's versions differ among themselves
//! (`version-dependent`) or a peer means something of its own (`peer-specific`), SEMANTICS decides.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking and says what it skips"
)]

use std::path::PathBuf;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::SessionContext;
use serde_json::{Map, Value, json};

use crate::stage::{self, Stage, wait};

/// The cases of one file, or none when they are not at hand.
fn cases(file: &str) -> Vec<Value> {
    let shared = std::env::var_os("JOURNEYQL_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = shared.join("peercases").join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("not run: {} is not there (set JOURNEYQL_SHARED)", path.display());
        return Vec::new();
    };
    serde_json::from_str(&text).unwrap()
}

fn is_core(case: &Value) -> bool {
    case["tier"] == "core"
}

/// A context that knows our functions and nothing of a store.
fn context() -> SessionContext {
    let mut state = SessionStateBuilder::new().with_default_features().build();
    journeyql::engine::functions::register(&mut state).unwrap();
    SessionContext::new_with_state(state)
}

/// Rows of (group, number), the group as text.
fn rows(sql: &str) -> Vec<(String, i64)> {
    let run = async {
        let context = context();
        let plan = context.state().create_logical_plan(sql).await?;
        context.execute_logical_plan(plan).await?.collect().await
    };
    let batches =
        tokio::runtime::Runtime::new().unwrap().block_on(run).unwrap_or_else(|error| panic!("{sql}\n{error}"));
    let mut rows = Vec::new();
    for batch in batches {
        let (groups, numbers) = (batch.column(0).as_string_view(), batch.column(1).as_primitive::<Int64Type>());
        rows.extend((0..batch.num_rows()).map(|row| (groups.value(row).to_owned(), numbers.value(row))));
    }
    rows.sort();
    rows
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        other => other.to_string(),
    }
}

/// The case's rows as a relation `t` of `columns` and, in front, `"row"`.
fn relation(case: &Value) -> String {
    let columns: Vec<String> =
        case["columns"].as_array().unwrap().iter().map(|name| format!("\"{}\"", name.as_str().unwrap())).collect();
    let mut rows: Vec<String> = case["rows"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(no, row)| {
            let values: Vec<String> = row.as_array().unwrap().iter().map(literal).collect();
            format!("({no}, {})", values.join(", "))
        })
        .collect();
    let none = rows.is_empty();
    if none {
        rows.push(format!("(0, {})", vec!["'0'"; columns.len()].join(", ")));
    }
    let filter = if none { "WHERE false" } else { "" };
    format!("(SELECT * FROM (VALUES {}) AS v(\"row\", {}) {filter}) AS t", rows.join(", "), columns.join(", "))
}

fn condition(step: &Value) -> String {
    if let Some(parts) = step["and"].as_array() {
        return parts.iter().map(condition).collect::<Vec<_>>().join(" AND ");
    }
    let column = format!("\"{}\"", step["col"].as_str().unwrap());
    match step["op"].as_str().unwrap() {
        "is_null" => format!("{column} IS NULL"),
        op => format!("{column} {op} {}", literal(&step["value"])),
    }
}

/// The window and the time column as our arguments.
fn window_and_ts(case: &Value) -> (String, String) {
    let params = &case["params"];
    let (window, column) = (&params["window"], format!("\"{}\"", params["ts"].as_str().unwrap()));
    let at = case["columns"].as_array().unwrap().iter().position(|name| *name == params["ts"]).unwrap();
    let text = case["rows"].as_array().unwrap().first().is_none_or(|row| row[at].is_string());
    match (params["window_unit"].as_str().unwrap(), text) {
        (_, false) => (window.to_string(), column),
        ("days", true) => (window.to_string(), format!("CAST({column} AS DATE)")),
        ("us", true) => (format!("INTERVAL '{window} microseconds'"), format!("CAST({column} AS TIMESTAMP)")),
        (_, true) => (format!("INTERVAL '{window} seconds'"), format!("CAST({column} AS TIMESTAMP)")),
    }
}

fn window_funnel_sql(case: &Value) -> String {
    let params = &case["params"];
    let (window, ts) = window_and_ts(case);
    let modes: Vec<String> = params["modes"].as_array().unwrap().iter().map(literal).collect();
    let conditions: Vec<String> = params["steps"].as_array().unwrap().iter().map(condition).collect();
    let arguments = [&[window], modes.as_slice(), &[ts], conditions.as_slice()].concat();
    let call = format!("window_funnel({})", arguments.join(", "));
    match params["group_by"].as_str() {
        Some(group) => {
            format!("SELECT arrow_cast(\"{group}\", 'Utf8View'), {call} FROM {} GROUP BY \"{group}\"", relation(case))
        }
        None => format!("SELECT arrow_cast('', 'Utf8View'), {call} FROM {}", relation(case)),
    }
}

#[test]
fn window_funnel_agrees_with_the_core_cases() {
    let mut checked = 0;
    for case in cases("window_funnel.json").iter().filter(|case| is_core(case)) {
        let expected: Vec<(String, i64)> = match &case["expected"] {
            Value::Object(groups) => {
                let mut groups: Vec<_> = groups.iter().map(|(k, v)| (k.clone(), v.as_i64().unwrap())).collect();
                groups.sort();
                groups
            }
            number => vec![(String::new(), number.as_i64().unwrap())],
        };
        assert_eq!(rows(&window_funnel_sql(case)), expected, "{}: {}", case["id"], window_funnel_sql(case));
        checked += 1;
    }
    println!("{checked} cases of window_funnel agree");
}

#[test]
fn retention_agrees_with_the_core_cases() {
    for case in cases("retention.json").iter().filter(|case| is_core(case)) {
        let params = &case["params"];
        let conditions: Vec<String> = params["conditions"].as_array().unwrap().iter().map(condition).collect();
        let (group, grouped) = match params["group_by"].as_str() {
            Some(group) => (format!("\"{group}\""), format!("GROUP BY \"{group}\"")),
            None => ("''".to_owned(), String::new()),
        };
        let lists = format!(
            "SELECT {group} AS g, retention({}) AS met FROM {} {grouped}",
            conditions.join(", "),
            relation(case)
        );
        let sums = |of: String| {
            let item = |at: usize| format!("(SELECT {} AS at, sum(met[{}]) AS n FROM ({lists}) AS l {of})", at, at + 1);
            let all: Vec<String> = (0..conditions.len()).map(item).collect();
            let all = all.join(" UNION ALL ");
            rows(&format!("SELECT arrow_cast(at, 'Utf8View'), n FROM (SELECT * FROM ({all}) AS a) AS b"))
        };
        let expected = |values: &Value| -> Vec<(String, i64)> {
            let values = values.as_array().unwrap().iter().map(|value| value.as_i64().unwrap());
            values.enumerate().map(|(at, value)| (at.to_string(), value)).collect()
        };
        match &case["expected"] {
            Value::Object(groups) => {
                for (name, values) in groups {
                    let of = format!("WHERE CAST(g AS VARCHAR) = '{name}'");
                    assert_eq!(sums(of), expected(values), "{}: {name}", case["id"]);
                }
            }
            values => assert_eq!(sums(String::new()), expected(values), "{}", case["id"]),
        }
    }
}

/// Patterns that are met in part only: there the peer reports the part, we report whole matches.
const NOT_WHOLE: [&str; 2] = ["clickhouse-00222-sequence_match_events-14", "clickhouse-00222-sequence_match_events-20"];

#[test]
fn sequences_agree_with_the_core_cases() {
    let ours = ["sequence_match", "sequence_count", "sequence_match_events"];
    let all = cases("sequence.json");
    let of_ours = |case: &&Value| ours.contains(&case["function"].as_str().unwrap());
    for case in all.iter().filter(|case| is_core(case)).filter(of_ours) {
        let (params, id) = (&case["params"], case["id"].as_str().unwrap());
        let function = case["function"].as_str().unwrap();
        let at = case["columns"].as_array().unwrap().iter().position(|name| *name == params["ts"]).unwrap();
        let text = case["rows"].as_array().unwrap().first().is_some_and(|row| row[at].is_string());
        let column = format!("\"{}\"", params["ts"].as_str().unwrap());
        let ts = if text { format!("CAST({column} AS TIMESTAMP)") } else { column };
        let conditions: Vec<String> = params["conditions"].as_array().unwrap().iter().map(condition).collect();
        let call = format!("{function}({}, {ts}, {})", literal(&params["pattern"]), conditions.join(", "));
        let (group, grouped) = match params["group_by"].as_str() {
            Some(group) => (format!("\"{group}\""), format!("GROUP BY \"{group}\"")),
            None => ("''".to_owned(), String::new()),
        };
        let select =
            |call: &str| format!("SELECT arrow_cast({group}, 'Utf8View'), {call} FROM {} {grouped}", relation(case));
        if function == "sequence_match_events" {
            let expected: Vec<i64> = match case["expected"].as_array().unwrap() {
                _ if NOT_WHOLE.contains(&id) => Vec::new(),
                times => times.iter().map(|time| time.as_i64().unwrap()).collect(),
            };
            let listed = format!(
                "SELECT arrow_cast('', 'Utf8View'), CAST(unnest(it) AS BIGINT) FROM ({}) AS t(g, it)",
                select(&call)
            );
            let found: Vec<i64> = rows(&listed).into_iter().map(|row| row.1).collect();
            assert_eq!(found, expected, "{id}: {call}");
            continue;
        }
        let number = |value: &Value| value.as_i64().unwrap_or_else(|| i64::from(value.as_bool().unwrap()));
        let expected: Vec<(String, i64)> = match &case["expected"] {
            Value::Object(groups) => groups.iter().map(|(group, value)| (group.clone(), number(value))).collect(),
            value => vec![(String::new(), number(value))],
        };
        assert_eq!(rows(&select(&format!("CAST({call} AS BIGINT)"))), expected, "{id}: {call}");
    }
}

#[test]
fn sequence_next_node_agrees_with_the_core_cases() {
    let all = cases("sequence.json");
    let of_ours = |case: &&Value| is_core(case) && case["function"] == "sequence_next_node";
    for case in all.iter().filter(of_ours) {
        let params = &case["params"];
        let text = |name: &str| params[name].as_str().unwrap();
        let base =
            if params["base_condition"].is_null() { "NULL".to_owned() } else { condition(&params["base_condition"]) };
        let conditions: Vec<String> = params["conditions"].as_array().unwrap().iter().map(condition).collect();
        let call = format!(
            "sequence_next_node('{}', '{}', CAST(\"{}\" AS TIMESTAMP), \"{}\", {base}, {})",
            text("direction"),
            text("base"),
            text("ts"),
            text("event_column"),
            conditions.join(", ")
        );
        for (group, expected) in case["expected"].as_object().unwrap() {
            let expected =
                if expected.is_null() { "it IS NULL".to_owned() } else { format!("it = {}", literal(expected)) };
            let by = text("group_by");
            let sql = format!(
                "SELECT arrow_cast('{group}', 'Utf8View'), CAST({expected} AS BIGINT) FROM (SELECT {call} AS it FROM {} \
                 WHERE \"{by}\" = '{group}') AS t",
                relation(case)
            );
            assert_eq!(rows(&sql), [(group.clone(), 1)], "{}: {sql}", case["id"]);
        }
    }
}

#[test]
fn sessionize_agrees_with_the_core_cases() {
    for case in cases("sessionize.json").iter().filter(|case| is_core(case) && case["params"]["separator"].is_null()) {
        let (ts, gap) = (case["columns"][1].as_str().unwrap(), &case["params"]["inactivity"]);
        let sql = format!(
            "SELECT arrow_cast('', 'Utf8View'), max(n) FROM (SELECT sessionize(\"{ts}\", {gap}) OVER (PARTITION BY \
             \"user\" ORDER BY \"{ts}\") AS n FROM {})",
            relation(case)
        );
        assert_eq!(rows(&sql), [(String::new(), case["expected"]["sessions"].as_i64().unwrap())], "{}", case["id"]);
    }
}

/// The case's rows as lines of events: `user`, `event`, and the optional `session` and `second`.
fn lines(case: &Value) -> String {
    let columns: Vec<&str> = case["columns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let line = |row: &Value| {
        let of = |name: &str| columns.iter().position(|column| *column == name).map(|at| &row[at]);
        let second = of("second").and_then(Value::as_i64).unwrap_or(0);
        let ts = 1_767_600_000 + second;
        let mut event = json!({"ts": ts, "user_id": of("user"), "event": of("event")});
        if let Some(session) = of("session") {
            event["session_id"] = session.clone();
        }
        format!("{event}\n")
    };
    case["rows"].as_array().unwrap().iter().map(line).collect()
}

fn answer(case: &Value, rules: &str, sql: &str) -> Vec<Vec<String>> {
    let stage = Stage::new(rules, &[&lines(case)]);
    let engine = stage.engine();
    wait(async {
        stage::batches(&engine, "SET journeyql.collapse = false").await.unwrap();
        stage::rows(&engine, sql).await
    })
    .unwrap_or_else(|error| panic!("{}: {error}", case["id"]))
}

/// What the case expects of moves, as (from, to, figure).
fn moves(case: &Value) -> Vec<(String, String, f64)> {
    let name = |name: &String| match name.as_str() {
        "path_start" => "START".to_owned(),
        "path_end" => "EXIT".to_owned(),
        other => other.to_owned(),
    };
    let rows: &Map<String, Value> = case["expected"].as_object().unwrap();
    let cells = rows.iter().flat_map(|(from, row)| {
        row.as_object().unwrap().iter().map(move |(to, figure)| (name(from), name(to), figure.as_f64().unwrap()))
    });
    let mut moves: Vec<_> = cells.filter(|cell| cell.2 != 0.0).collect();
    moves.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    moves
}

#[test]
fn transitions_agree_with_the_core_cases() {
    for case in cases("transitions.json").iter().filter(|case| is_core(case) && case["function"] == "transition_matrix")
    {
        let rules = match case["params"]["path"].as_str().unwrap() {
            "user" => "[session]\nsource_ids = \"ignore\"\n",
            _ => "",
        };
        let figure = match case["params"]["norm"].as_str().map(|norm| norm.starts_with("column")) {
            None => "transitions",
            // The share of all arrivals is no column of ours; it follows from the counts.
            Some(true) => "CAST(transitions AS DOUBLE) / sum(transitions) OVER (PARTITION BY to_step)",
            Some(false) => "probability",
        };
        let sql = format!("SELECT from_step, to_step, {figure} FROM transitions ORDER BY 1, 2");
        let found = answer(case, rules, &sql);
        let expected = moves(case);
        assert_eq!(found.len(), expected.len(), "{}: {found:?}", case["id"]);
        for (row, (from, to, figure)) in found.iter().zip(&expected) {
            let close = (row[2].parse::<f64>().unwrap() - figure).abs() < 1e-6;
            assert!(row[0] == *from && row[1] == *to && close, "{}: {row:?}, expected {figure}", case["id"]);
        }
    }
}

#[test]
fn funnel_agrees_with_the_core_cases() {
    for case in cases("transitions.json").iter().filter(|case| is_core(case) && case["function"] == "funnel") {
        let steps: Vec<String> = case["params"]["steps"].as_array().unwrap().iter().map(literal).collect();
        let sql = format!("SELECT units FROM funnel({}, window => INTERVAL '1000 days')", steps.join(", "));
        let found: Vec<i64> = answer(case, "", &sql).iter().map(|row| row[0].parse().unwrap()).collect();
        assert_eq!(json!(found), case["expected"]["reached"], "{}", case["id"]);
    }
}
