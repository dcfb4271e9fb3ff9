//! Every route is what `journeyql sql` prints, from memory where nothing changed.

use std::process::Command;
use std::time::{Duration, Instant};

use journeyql::database::panel::{Kind, Panel, Parameter, Shape, panels};

use super::client::{Server, Shop};

fn value(parameter: &Parameter) -> &'static str {
    match (parameter.name, parameter.kind) {
        ("to", _) => "2026-01-07T10:00:00Z",
        (_, Kind::Moment) => "2026-01-05",
        (_, Kind::Length) => "20%20minutes",
        (_, Kind::Segment) => "buyers",
        (_, Kind::Count(_)) => "2",
        (_, Kind::Choice(words) | Kind::Column(words)) => words[0],
        (_, Kind::Labels) => "/&step=/cart",
        (_, Kind::Relation) => "transitions",
        (_, Kind::Text) => "bob",
    }
}

/// The address of a panel with its required parameters, or with all.
fn address(panel: &Panel, all: bool) -> String {
    let mut path = panel.path.to_owned();
    let mut query = Vec::new();
    for parameter in panel.parameters().filter(|parameter| all || parameter.required) {
        if panel.has_in_path(parameter) {
            path = path.replace(&format!("{{{}}}", parameter.name), value(parameter));
        } else {
            query.push(format!("{}={}", parameter.name, value(parameter)));
        }
    }
    format!("{path}?{}", query.join("&"))
}

#[test]
fn every_route_is_what_the_command_line_prints() {
    let shop = Shop::new();
    let server = shop.serve(&[]);
    for panel in panels() {
        for all in [false, true] {
            let path = address(panel, all);
            let answer = server.get(&path);
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            assert_eq!(answer.header("content-type"), Some("application/json"));
            let sql = answer.sql();
            if panel.shape == Shape::Rows {
                assert_eq!(answer.body, shop.sql("json", &sql), "{path}: {sql}");
            }
            let csv = server.request("GET", &path, &[("accept", "text/csv")], "");
            assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
            assert_eq!(csv.body, shop.sql("csv", &sql), "{path}: {sql}");
        }
    }
    let stats = server.get("/api/stats").json();
    let printed: serde_json::Value = serde_json::from_str(&shop.sql("json", "SELECT * FROM stats")).unwrap();
    for (name, value) in printed[0].as_object().unwrap() {
        assert_eq!(&stats[name], value, "{name}");
    }
    let told = &stats["journeyql"];
    assert_eq!(
        (&told["quarantined"], &told["segments"][0], &told["goals"][0]),
        (&1.into(), &"buyers".into(), &"thanks".into())
    );
    assert_eq!((&told["first_day"], &told["last_day"]), (&"2026-01-05".into(), &"2026-01-07".into()));
    let posted = server.request(
        "POST",
        "/api/sql",
        &[("content-type", "application/json")],
        r#"{"sql":"SET journeyql.user = 'bob'; SELECT * FROM steps"}"#,
    );
    assert_eq!(posted.body, shop.sql("json", "SET journeyql.user = 'bob'; SELECT * FROM steps"));
    assert_eq!(
        server.post_sql("SELECT count(*) AS n FROM steps").body,
        shop.sql("json", "SELECT count(*) AS n FROM steps")
    );
}

fn told(server: &Server, name: &str) -> i64 {
    server.get("/api/stats").json()["journeyql"][name].as_i64().unwrap()
}

#[test]
fn what_is_held_reads_no_file() {
    let shop = Shop::new();
    let server = shop.serve(&[]);
    server.has_refreshed();
    let before = told(&server, "parquet_reads");
    assert!(before > 0);
    for panel in panels().iter().filter(|panel| panel.ask(&[]).is_ok()) {
        for accept in ["application/json", "text/csv"] {
            let answer = server.request("GET", panel.path, &[("accept", accept)], "");
            assert_eq!(answer.status, 200, "{}", panel.path);
            assert!(answer.header("x-journeyql-age-s").is_some());
        }
    }
    assert_eq!(told(&server, "parquet_reads"), before);
    // Other parameters are computed once, and only once for all who ask.
    assert_eq!(server.get("/api/paths?user=bob").status, 200);
    let after = told(&server, "parquet_reads");
    assert!(after > before);
    assert_eq!(server.get("/api/paths?user=bob").status, 200);
    assert_eq!(told(&server, "parquet_reads"), after);
}

/// Nobody waits for the other answers of the first refresh; what it has not looked at yet is not called whole.
#[test]
fn invariants_are_unknown_until_they_are_looked_at() {
    let shop = Shop::new();
    let server = shop.serve(&[]);
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < Duration::from_mins(2), "it never refreshes");
        let stats = server.get("/api/stats").json();
        assert_eq!(stats["sessions"], 6);
        let (refreshes, failed) = (&stats["journeyql"]["refreshes"], &stats["journeyql"]["failed_invariants"]);
        if refreshes == 1 {
            assert_eq!(*failed, serde_json::json!([]));
            break;
        }
        assert_eq!(*refreshes, 0);
        assert!(failed.is_null() || *failed == serde_json::json!([]), "{failed}");
    }
}

#[test]
fn new_data_is_seen_after_a_refresh() {
    let shop = Shop::new();
    let server = shop.serve(&["--refresh", "1"]);
    let first = server.get("/api/stats").json();
    assert_eq!(first["sessions"], 6);
    let tag = server.get("/api/paths").header("etag").unwrap().to_owned();
    let known = server.request("GET", "/api/paths", &[("if-none-match", &tag)], "");
    assert_eq!((known.status, known.body.as_str(), known.header("etag")), (304, "", Some(tag.as_str())));
    assert_eq!(server.request("GET", "/api/paths?user=bob", &[("if-none-match", &tag)], "").status, 200);

    shop.ingest("more.ndjson", r#"{"ts":"2026-01-08T10:00:00Z","user_id":"zoe","page":"/"}"#);
    let began = Instant::now();
    while told(&server, "refreshes") < 2 {
        assert!(began.elapsed() < Duration::from_mins(1), "it never looks");
        std::thread::sleep(Duration::from_millis(100));
    }
    let second = server.get("/api/stats").json();
    assert_eq!(second["sessions"], 7);
    assert!(second["snapshot"].as_i64() > first["snapshot"].as_i64());
    assert_eq!(server.request("GET", "/api/paths", &[("if-none-match", &tag)], "").status, 200);
}

#[test]
fn what_is_wrong_is_said_as_json() {
    let shop = Shop::new();
    let server = shop.serve(&[]);
    for (path, name) in [
        ("/api/paths?from=yesterday", "from"),
        ("/api/paths?to=2026-13-01", "to"),
        ("/api/paths?gap=5", "gap"),
        ("/api/paths?segment=nobody", "segment"),
        ("/api/paths?top=0", "top"),
        ("/api/paths?top=", "top"),
        ("/api/paths?tpo=1", "tpo"),
        ("/api/paths?top=1&top=2", "top"),
        ("/api/funnel", "step"),
        ("/api/funnel?step=/&window=long", "window"),
        ("/api/funnel?step=/&breakdown=1%20FROM%20events", "breakdown"),
        ("/api/retention?period=year", "period"),
    ] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.error("parameter").as_str()), (400, name), "{path}: {}", answer.body);
        assert!(!answer.error("message").is_empty());
    }
    for (method, path, status) in [
        ("GET", "/api/nothing", 404),
        ("GET", "/api/views/no_such_view", 404),
        ("GET", "/api/views/%FF", 400),
        ("DELETE", "/api/stats", 405),
        ("GET", "/api/sql", 405),
        ("POST", "/api/paths", 405),
    ] {
        let answer = server.request(method, path, &[], "");
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        assert!(!answer.error("message").is_empty());
        assert_eq!(answer.header("allow").is_some(), status == 405, "{path}: {}", answer.head);
    }
    let wrong = server.post_sql("SELECT pagee FROM steps");
    assert_eq!((wrong.status, wrong.error("hint").as_str()), (400, "did you mean page?"));
    assert_eq!(server.request("POST", "/api/sql", &[("content-type", "application/json")], "{").status, 400);
    assert_eq!(
        server
            .request("POST", "/api/sql", &[("content-type", "application/json")], r#"{"sql":"SELECT 1","x":1}"#)
            .status,
        400
    );
    assert_eq!(server.request("POST", "/api/sql", &[("content-type", "image/png")], "SELECT 1").status, 415);
    // Nothing of this machine is in an answer.
    let inside = shop.dir.path().display().to_string();
    for sql in [
        "SELECT * FROM read_parquet('/etc/passwd')",
        "EXPLAIN SELECT * FROM events",
        "EXPLAIN ANALYZE SELECT * FROM steps",
        "SELECT CAST('x' AS INT)",
        "SELECT 1/0",
    ] {
        let answer = server.post_sql(sql);
        assert!(!answer.body.contains(&inside) && !answer.body.contains(".rs:"), "{sql}: {}", answer.body);
    }
}

#[test]
fn health_and_metrics_are_there() {
    let shop = Shop::new();
    let server = shop.serve(&[]);
    server.has_refreshed();
    let healthy = server.get("/healthz");
    assert_eq!((healthy.status, healthy.body.as_str()), (200, "{\"status\":\"ok\"}\n"));
    let metrics = server.get("/metrics");
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    for name in
        ["http_responses_total{code=\"200\"}", "parquet_reads_total", "refreshes_total 1", "quarantined_lines 1"]
    {
        assert!(metrics.body.contains(&format!("\njourneyql_{name}")), "{name}: {}", metrics.body);
    }
}

/// Without its catalog a store can neither be read nor written to.
#[test]
fn health_turns_red_when_nothing_can_be_committed() {
    let shop = Shop::new();
    let server = shop.serve(&[]);
    assert_eq!(server.get("/healthz").status, 200);
    let store = shop.dir.path().join("store");
    std::fs::rename(&store, shop.dir.path().join("gone")).unwrap();
    std::thread::sleep(Duration::from_millis(2_500));
    let sick = server.get("/healthz");
    assert_eq!(sick.status, 503, "{}", sick.body);
    assert!(!sick.body.contains(&store.display().to_string()));
}

#[cfg(unix)]
#[test]
fn a_server_that_is_asked_to_stop_ends_what_it_began() {
    let shop = Shop::new();
    let mut server = shop.serve(&[]);
    server.is_alive();
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| server.post_sql("SELECT count(*) AS n FROM generate_series(1, 3000) AS a(x), generate_series(1, 1000) AS b(y) WHERE x * y % 7 = 3"));
        std::thread::sleep(Duration::from_millis(100));
        let id = server.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert_eq!(slow.join().unwrap().status, 200);
    });
    assert!(server.child.wait().unwrap().success());
}
