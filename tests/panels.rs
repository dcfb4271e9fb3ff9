//! The panels: their SQL is what anybody can run, and no value of a parameter is more than a value.

use std::sync::Arc;

use journeyql::database::panel::{Kind, Panel, PanelError, Parameter, Shape, panel, panels};
use journeyql::database::{Database, Options};
use journeyql::output::{Format, Look};

use crate::stage::{Stage, wait};

const GOALS: &str = "[journey]\ngoals = { thanks = \"page = '/thanks'\" }";

fn database() -> (Stage, Database) {
    let stage = Stage::new(GOALS, &[include_str!("sql/shop.ndjson")]);
    let options = Options { config: Some(Arc::clone(&stage.config)), ..Options::default() };
    let database = Database::open(&stage.dir.path().join("store"), options).unwrap();
    let group = "CREATE SEGMENT buyers AS SELECT user_id FROM steps WHERE page = '/thanks'";
    wait(async { database.session().query(group).await.map(drop) }).unwrap();
    (stage, database)
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// A value that makes sense.
fn sensible(parameter: &Parameter) -> &'static str {
    match (parameter.name, parameter.kind) {
        ("to", _) => "2026-01-07T10:00:00Z",
        (_, Kind::Moment) => "2026-01-05",
        (_, Kind::Length) => "20 minutes",
        (_, Kind::Segment) => "buyers",
        (_, Kind::Count(_)) => "3",
        (_, Kind::Choice(words) | Kind::Column(words)) => words[0],
        (_, Kind::Labels) => "/",
        (_, Kind::Relation) => "transitions",
        (_, Kind::Text) => "bob",
    }
}

fn needed(panel: &Panel) -> Vec<(String, String)> {
    panel.parameters().filter(|it| it.required).map(|it| pair(it.name, sensible(it))).collect()
}

async fn run(database: &Database, sql: &str) -> String {
    database.session().query(sql).await.unwrap().text(Format::Json, Look::default()).await.unwrap()
}

fn wrong(said: Result<(String, String), PanelError>) -> String {
    match said {
        Err(PanelError::Wrong(wrong)) => wrong.parameter,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_panel_is_its_sql() {
    let (_stage, database) = database();
    wait(async {
        for panel in panels() {
            let all: Vec<_> = panel.parameters().map(|it| pair(it.name, sensible(it))).collect();
            for given in [needed(panel), all] {
                let (sql, body) = database.panel(panel, &given).await.unwrap_or_else(|e| panic!("{}: {e}", panel.path));
                let rows = run(&database, &sql).await;
                match panel.shape {
                    Shape::Rows => assert_eq!(body, rows, "{sql}"),
                    Shape::Stats => {
                        let row = rows.trim_start_matches("[\n").trim_end_matches("}\n]\n");
                        assert!(body.starts_with(row), "{body}");
                        let told: serde_json::Value = serde_json::from_str(&body).unwrap();
                        assert_eq!(told["journeyql"]["goals"][0], "thanks");
                        assert_eq!(told["journeyql"]["segments"][0], "buyers");
                        assert_eq!(told["journeyql"]["failed_invariants"].as_array().unwrap().len(), 0);
                    }
                    Shape::Flows => {
                        balanced(&serde_json::from_str(&body).unwrap(), &serde_json::from_str(&rows).unwrap());
                    }
                }
            }
        }
    });
}

/// What comes into a node leaves it, and every row is a link.
fn balanced(river: &serde_json::Value, rows: &serde_json::Value) {
    let (nodes, links) = (river["nodes"].as_array().unwrap(), river["links"].as_array().unwrap());
    assert_eq!(links.len(), rows.as_array().unwrap().len());
    for node in nodes {
        let sum = |end: &str| -> u64 {
            links.iter().filter(|link| link[end] == node["id"]).map(|link| link["sessions"].as_u64().unwrap()).sum()
        };
        let (sessions, kind) = (node["sessions"].as_u64().unwrap(), node["kind"].as_str().unwrap());
        let (into, out) = (sum("target"), sum("source"));
        assert_eq!(into, if kind == "start" { 0 } else { sessions }, "{node}");
        assert_eq!(out, if matches!(kind, "exit" | "later") { 0 } else { sessions }, "{node}");
    }
}

#[test]
fn steps_may_be_given_one_by_one_or_in_a_list() {
    let funnel = panel("/api/funnel").unwrap();
    let one_by_one = funnel.ask(&[pair("step", "/"), pair("step", "/cart")]).unwrap();
    assert_eq!(funnel.ask(&[pair("steps", "/, /cart")]).unwrap(), one_by_one);
    assert!(
        one_by_one.sql().contains("funnel('/', '/cart', window => '7 days', unit => 'user')"),
        "{}",
        one_by_one.sql()
    );
}

#[test]
fn what_makes_no_sense_is_named() {
    let (_stage, database) = database();
    let ask = |path: &str, given: &[(String, String)]| wrong(wait(database.panel(panel(path).unwrap(), given)));
    for (path, name, value) in [
        ("/api/paths", "from", "yesterday"),
        ("/api/paths", "gap", "soon"),
        ("/api/paths", "top", "0"),
        ("/api/paths", "top", "1; DROP TABLE events"),
        ("/api/paths", "segment", "no such group"),
        ("/api/paths", "tpo", "1"),
        ("/api/flows", "positions", "1000000"),
        ("/api/retention", "period", "year"),
        ("/api/views/{name}", "name", "no_such_view"),
        ("/api/views/{name}", "name", "stats\" CROSS JOIN \"stats"),
    ] {
        assert_eq!(ask(path, &[pair(name, value)]), name, "{path} {name}={value}");
    }
    let funnel = |name, value| vec![pair("step", "/"), pair(name, value)];
    assert_eq!(ask("/api/funnel", &[]), "step");
    assert_eq!(ask("/api/funnel", &funnel("unit", "people")), "unit");
    assert_eq!(ask("/api/funnel", &funnel("breakdown", "event FROM events --")), "breakdown");
    assert_eq!(ask("/api/paths", &[pair("from", "2026-01-05"), pair("from", "2026-01-06")]), "from");
}

/// Hostile texts are names of nobody.
#[test]
fn a_value_is_never_more_than_a_value() {
    let (_stage, database) = database();
    wait(async {
        for hostile in ["x'; SELECT 1; --", "'", "''", "\\'", "$top", "$id", "/* */", "\0", "🦀';", "a\nb"] {
            let paths = panel("/api/paths").unwrap();
            let (sql, body) = database.panel(paths, &[pair("user", hostile)]).await.unwrap();
            assert_eq!(body, "[]\n", "{sql}");
            let funnel = panel("/api/funnel").unwrap();
            let (sql, body) = database.panel(funnel, &[pair("step", hostile)]).await.unwrap();
            let rows: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!((&rows[0]["units"], &rows[0]["step"]), (&0.into(), &hostile.into()), "{sql}");
            let replay = panel("/api/user/{id}/replay").unwrap();
            assert_eq!(database.panel(replay, &[pair("id", hostile)]).await.unwrap().1, "[]\n");
        }
    });
}

#[test]
fn a_reader_changes_nothing_and_keeps_its_settings_to_itself() {
    let (_stage, database) = database();
    wait(async {
        let mut session = database.session();
        let mut reader = session.reader().await.unwrap();
        for sql in ["CREATE SEGMENT a AS SELECT user_id FROM steps", "DROP SEGMENT buyers"] {
            assert!(reader.query(sql).await.unwrap_err().to_string().contains("only reading"), "{sql}");
        }
        reader.query("SET journeyql.user = 'nobody'").await.unwrap();
        let count = "SELECT sessions FROM stats";
        assert_eq!(reader.query(count).await.unwrap().rows().await.unwrap()[0]["sessions"], 0);
        for other in [&mut session.reader().await.unwrap(), &mut reader.reader().await.unwrap(), &mut session] {
            assert_eq!(other.query(count).await.unwrap().rows().await.unwrap()[0]["sessions"], 6);
        }
    });
}
