//! What is read through a server stands in `audit`: who asked what, and when.

use std::fs;

use serde_json::{Value, json};

use super::client::{Server, Shop};

/// The reads that the audit lists: who and what, without the number of the port.
fn reads(shop: &Shop) -> Vec<String> {
    let rows = shop.sql("json", "SELECT id, snapshot, at, detail FROM audit WHERE what = 'read' ORDER BY at");
    let rows: Vec<Value> = serde_json::from_str(&rows).unwrap();
    assert!(rows.iter().all(|row| row["id"].is_null() && row["snapshot"].as_i64().is_some_and(|id| id > 0)));
    rows.iter().map(|row| row["detail"].as_str().unwrap().to_owned()).collect()
}

fn sql(server: &Server, text: &str) -> u16 {
    server.request("POST", "/api/sql", &[("content-type", "text/plain")], text).status
}

#[test]
fn who_reads_is_listed_with_the_sql_before_the_answer_is_there() {
    let shop = Shop::new();
    let server = shop.serve(&[]);
    let replay = server.get("/api/user/u1/replay");
    assert_eq!(replay.status, 200);
    let listed = reads(&shop);
    let said = listed.iter().find(|detail| detail.contains("u1")).unwrap();
    assert_eq!(*said, format!("http 127.0.0.1: {}", replay.sql()));
    assert_eq!(sql(&server, "SELECT count(*) FROM steps WHERE user_id = 'u2'"), 200);
    assert_eq!(sql(&server, "SELECT (SELECT count(*) FROM sessions) AS n"), 200);
    let all = reads(&shop);
    assert!(all.contains(&"http 127.0.0.1: SELECT count(*) FROM steps WHERE user_id = 'u2'".to_owned()), "{all:?}");
    assert!(all.iter().any(|detail| detail.contains("FROM sessions")), "{all:?}");
    // What reads nothing that is stored, or was not answered, is no read.
    for (text, status) in [("SELECT 1 + 1", 200), ("SHOW ALL", 200), ("SELECT * FROM nowhere", 400)] {
        assert_eq!(sql(&server, text), status, "{text}");
    }
    assert_eq!(server.get("/api/views/nowhere").status, 404);
    // The message of an error may tell of what is stored.
    let telling = "SELECT CAST(max(user_id) AS INT) FROM events";
    assert_eq!(reads(&shop), all);
    assert_eq!(sql(&server, telling), 400);
    let mut all = all;
    all.push(format!("http 127.0.0.1: {telling}"));
    for path in ["/", "/healthz", "/metrics", "/openapi.json"] {
        assert_eq!(server.get(path).status, 200);
    }
    assert_eq!(reads(&shop), all);
    assert!(server.get("/metrics").body.contains("journeyql_unlisted_reads_total 0"));
}

#[test]
fn the_same_read_is_listed_once_an_hour_with_how_often_it_came() {
    let shop = Shop::new();
    let mut server = shop.serve(&[]);
    for _ in 0..3 {
        assert_eq!(sql(&server, "SELECT count(*) FROM steps"), 200);
    }
    assert_eq!(reads(&shop), ["http 127.0.0.1: SELECT count(*) FROM steps"]);
    server.stop();
    let listed = reads(&shop);
    assert_eq!(listed.len(), 1);
    assert!(listed[0].starts_with("http 127.0.0.1: SELECT count(*) FROM steps (3 times until 20"), "{listed:?}");
}

#[test]
fn the_audit_that_is_served_has_the_newest_reads() {
    let shop = Shop::new();
    let server = shop.serve(&[]);
    server.has_refreshed();
    let first = server.get("/api/views/audit");
    let tag = first.header("etag").unwrap().to_owned();
    assert_eq!(sql(&server, "SELECT count(*) FROM edges"), 200);
    let second = server.request("GET", "/api/views/audit", &[("if-none-match", &tag)], "");
    assert_eq!(second.status, 200);
    assert!(second.body.contains("SELECT count(*) FROM edges") && !first.body.contains("FROM edges"));
}

#[test]
fn behind_a_proxy_the_asker_is_whom_the_proxy_saw() {
    let shop = Shop::new();
    let server = shop.serve(&["--behind-proxy", "--no-collect"]);
    let head = [("x-forwarded-for", "198.51.100.1, 192.0.2.7")];
    assert_eq!(server.request("POST", "/api/sql", &head, "SELECT count(*) FROM steps").status, 200);
    assert_eq!(reads(&shop), ["http 192.0.2.7: SELECT count(*) FROM steps"]);
}

#[test]
fn who_is_erased_is_named_by_no_read_also_while_the_server_runs() {
    let shop = Shop::new();
    let mut server = shop.serve(&["--no-collect"]);
    assert_eq!(sql(&server, "SELECT count(*) FROM steps WHERE user_id = 'u1'"), 200);
    assert_eq!(server.get("/api/user/u1/replay").status, 200);
    let export = shop.command(&["export-person", "u1"]).output().unwrap();
    let export = String::from_utf8(export.stdout).unwrap();
    let told: Vec<Value> = export.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.iter().filter(|record| record["record"] == json!("read")).count(), 2, "{export}");
    let gone = shop.command(&["forget", "u1", "--json"]).output().unwrap();
    assert!(gone.status.success(), "{}", String::from_utf8_lossy(&gone.stderr));
    let report: Value = serde_json::from_slice(&gone.stdout).unwrap();
    assert_eq!(report["erased"]["reads"], json!(2), "{report}");
    // The server counts on, and has no text to bring back; whoever asks for them by name now is listed without it.
    assert_eq!(sql(&server, "SELECT count(*) FROM steps WHERE user_id = 'u1'"), 200);
    assert_eq!(sql(&server, "SELECT page FROM steps WHERE user_id = 'u1'"), 200);
    server.stop();
    let listed = reads(&shop);
    let is_counted = |detail: &String| detail.contains("user_id = '[forgotten ") && detail.contains("(2 times until");
    assert!(listed.iter().any(is_counted), "{listed:?}");
    assert!(listed.contains(&"http 127.0.0.1: [forgotten]".to_owned()), "{listed:?}");
    for file in fs::read_dir(shop.store().join("reads")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!text.contains("'u1'"), "{text}");
    }
}

#[test]
fn old_days_of_reads_go_with_old_days() {
    let shop = Shop::new();
    let dir = shop.store().join("reads");
    fs::create_dir(&dir).unwrap();
    let line = json!({"at": 1_000, "id": 7, "who": "http ::1", "what": "SELECT 1", "snapshot": 1});
    fs::write(dir.join("1970-01-01.ndjson"), format!("{line}\n")).unwrap();
    assert_eq!(reads(&shop), ["http ::1: SELECT 1"]);
    let retain = |more: &[&str]| {
        let done = shop.command(&[&["retain", "--days", "3650", "--json"], more].concat()).output().unwrap();
        serde_json::from_slice::<Value>(&done.stdout).unwrap()["days_of_reads"].clone()
    };
    assert_eq!((retain(&["--dry-run"]), retain(&[]), retain(&[])), (json!(1), json!(1), json!(0)));
    assert_eq!(reads(&shop), Vec::<String>::new());
    assert!(shop.sql("csv", "SELECT what FROM audit").contains("retain"));
}

#[test]
fn a_server_that_cannot_list_reads_says_so_once_and_goes_on() {
    let shop = Shop::new();
    fs::write(shop.store().join("reads"), "no folder").unwrap();
    let server = shop.serve(&[]);
    for text in ["SELECT count(*) FROM steps", "SELECT count(*) FROM events"] {
        assert_eq!(sql(&server, text), 200);
    }
    assert!(server.get("/metrics").body.contains("journeyql_unlisted_reads_total 2"));
    let said = server.said.lock().unwrap().clone();
    assert_eq!(said.matches("reads are not listed in audit").count(), 1, "{said}");
}
