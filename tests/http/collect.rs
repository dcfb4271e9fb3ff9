//! Messages: answered is on the disk, whatever happens to the server, and each counts once.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::client::{Server, Shop};

/// Waits until a query of the store answers so.
fn becomes(shop: &Shop, sql: &str, expected: &str) {
    let began = Instant::now();
    loop {
        let said = shop.sql("csv", sql);
        if said.lines().nth(1) == Some(expected) {
            return;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{sql}: {said}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn track(id: &str) -> Value {
    json!({"type": "track", "event": "sent", "userId": "u", "messageId": id, "timestamp": "2026-01-05T10:00:00Z"})
}

fn send(server: &Server, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let answer = server.request("POST", path, headers, body);
    (answer.status, answer.body)
}

#[test]
fn messages_become_events_within_the_interval() {
    let shop = Shop::new();
    let server = shop.serve(&["--flush-interval", "100 milliseconds"]);
    let said = "{\"accepted\":1,\"refused\":0,\"success\":true}\n".to_owned();
    assert_eq!(send(&server, "/v1/track", &[], &track("1").to_string()), (200, said.clone()));
    // As navigator.sendBeacon sends it, from a page of another site.
    let foreign = [("content-type", "text/plain"), ("origin", "https://shop.example")];
    let batch = json!({"batch": [track("2"), 5, track("1")]}).to_string();
    let answer = server.request("POST", "/v1/batch", &foreign, &batch);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some("*")));
    assert_eq!(answer.json(), json!({"success": true, "accepted": 2, "refused": 1}));
    becomes(&shop, "SELECT count(*) FROM events WHERE event = 'sent'", "2");
    becomes(&shop, "SELECT count(*) FROM quarantine WHERE reason = 'no_message'", "1");
    let metrics = server.get("/metrics").body;
    assert!(metrics.contains("\njourneyql_messages_total 4\n"), "{metrics}");
    let snippet = server.get("/j.js");
    assert_eq!(snippet.header("cross-origin-resource-policy"), Some("cross-origin"));
    assert!(snippet.body.len() <= 5 << 10, "{}", snippet.body.len());
}

#[test]
fn bodies_that_are_refused_say_why() {
    let shop = Shop::new();
    let server = shop.serve(&["--write-key", "k1"]);
    let keyed = |rest: &str| format!("{{\"writeKey\":\"k1\"{rest}}}");
    for (path, headers, body, status, message) in [
        ("/v1/track", &[][..], "{\"event\":\"e\"}".to_owned(), 401, "the write key is wrong"),
        ("/v1/batch", &[], keyed(""), 400, "the body has no list 'batch' of messages"),
        (
            "/v1/track",
            &[("authorization", "Basic azE6")],
            "{".to_owned(),
            400,
            "the body is no JSON object: byte 1 fits none",
        ),
        ("/v1/track", &[("content-encoding", "gzip")], "x".to_owned(), 400, "the body is no gzip"),
        ("/v1/track", &[], keyed(&format!(",\"event\":\"{}\"", "x".repeat(40 << 10))), 413, "a message has"),
        ("/v1/batch", &[], keyed(&" ".repeat(600 << 10)), 413, "the body has more than 512000 bytes"),
        ("/v1/nothing", &[], keyed(""), 404, "there is nothing here"),
    ] {
        let answer = server.request("POST", path, headers, &body);
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert!(answer.error("message").starts_with(message), "{path}: {}", answer.body);
    }
    let preflight = server.request("OPTIONS", "/v1/track", &[("origin", "https://a.example")], "");
    assert_eq!((preflight.status, preflight.header("access-control-allow-methods")), (204, Some("POST")));
    let closed = shop.serve(&["--no-collect"]);
    assert_eq!(closed.request("POST", "/v1/track", &[], "{}").status, 404);
}

#[test]
fn packed_bodies_are_unpacked() {
    let shop = Shop::new();
    let server = shop.serve(&["--flush-interval", "100 milliseconds"]);
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(json!({"batch": [track("1"), track("2")]}).to_string().as_bytes()).unwrap();
    let body = packed.finish().unwrap();
    let head = format!(
        "POST /v1/batch HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        server.address,
        body.len()
    );
    let answer = server.raw(&[head.into_bytes(), body].concat()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    becomes(&shop, "SELECT count(*) FROM events WHERE event = 'sent'", "2");
}

#[test]
fn an_end_commits_what_was_taken() {
    let shop = Shop::new();
    let mut server = shop.serve(&["--flush-interval", "10 minutes"]);
    assert_eq!(send(&server, "/v1/track", &[], &track("1").to_string()).0, 200);
    let ended = std::process::Command::new("kill").args(["-TERM", &server.child.id().to_string()]).status().unwrap();
    assert!(ended.success() && server.child.wait().unwrap().success());
    becomes(&shop, "SELECT count(*) FROM events WHERE event = 'sent'", "1");
    assert!(std::fs::read_dir(shop.dir.path().join("store/inbox")).unwrap().next().is_none());
}

#[test]
fn another_writer_delays_a_commit_and_loses_nothing() {
    let shop = Shop::new();
    let server = shop.serve(&["--flush-interval", "50 milliseconds"]);
    for round in 0..5 {
        assert_eq!(send(&server, "/v1/track", &[], &track(&round.to_string()).to_string()).0, 200);
        shop.ingest(
            &format!("{round}.ndjson"),
            &format!("{{\"ts\":1767607200,\"user_id\":\"v{round}\",\"event\":\"x\"}}\n"),
        );
    }
    becomes(&shop, "SELECT count(*) FROM events WHERE event = 'sent'", "5");
    becomes(&shop, "SELECT count(*) FROM events WHERE event = 'x'", "5");
}

/// Sends messages one by one until the server is gone; those that were answered for are noted.
fn sender(address: std::net::SocketAddr, thread: usize, round: usize, answered: &Mutex<BTreeSet<String>>) {
    for no in 0.. {
        let ids: Vec<String> = (0..3).map(|part| format!("{round}-{thread}-{no}-{part}")).collect();
        let batch: Vec<Value> = ids.iter().map(|id| track(id)).collect();
        let body = json!({"batch": batch}).to_string();
        let Ok(mut stream) = std::net::TcpStream::connect(address) else { return };
        let head = format!(
            "POST /v1/batch HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut answer = String::new();
        let sent = stream.write_all(format!("{head}{body}").as_bytes()).is_ok();
        if !sent || stream.read_to_string(&mut answer).is_err() || !answer.starts_with("HTTP/1.1 200") {
            return;
        }
        answered.lock().unwrap().extend(ids);
    }
}

#[test]
fn kill_9_loses_nothing_that_was_answered_for() {
    let shop = Shop::new();
    let answered = Arc::new(Mutex::new(BTreeSet::new()));
    for round in 0..4_usize {
        let mut server = shop.serve(&["--flush-interval", "30 milliseconds"]);
        let address = server.address;
        let threads: Vec<_> = (0..3)
            .map(|thread| {
                let answered = Arc::clone(&answered);
                std::thread::spawn(move || sender(address, thread, round, &answered))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(150 + 170 * round as u64));
        server.child.kill().unwrap();
        for thread in threads {
            thread.join().unwrap();
        }
    }
    let answered = answered.lock().unwrap();
    assert!(answered.len() > 20, "{}", answered.len());
    let server = shop.serve(&["--flush-interval", "50 milliseconds"]);
    assert_eq!(send(&server, "/v1/track", &[], &track("last").to_string()).0, 200);
    becomes(&shop, "SELECT count(*) FROM events WHERE event_id = 'last'", "1");
    let stored = shop.sql("csv", "SELECT event_id FROM events WHERE event = 'sent' ORDER BY event_id");
    let stored: Vec<&str> = stored.lines().skip(1).collect();
    let once: BTreeSet<&str> = stored.iter().copied().collect();
    assert_eq!(stored.len(), once.len(), "a message counts once");
    let lost: Vec<&String> = answered.iter().filter(|id| !once.contains(id.as_str())).collect();
    assert!(lost.is_empty(), "{lost:?}");
    let sums = "SELECT sum(lines) = sum(stored + quarantined + dropped + duplicates) FROM sources";
    assert_eq!(shop.sql("csv", sums).lines().nth(1), Some("true"));
}

#[test]
fn segments_own_library_is_taken() {
    let Some(modules) = std::env::var_os("JOURNEYQL_NODE") else {
        println!("not run: JOURNEYQL_NODE names no folder with @segment/analytics-node");
        return;
    };
    let shop = Shop::new();
    let server = shop.serve(&["--write-key", "k1", "--flush-interval", "100 milliseconds"]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http/segment.cjs");
    let sent = std::process::Command::new("node")
        .args([script, &format!("http://{}", server.address), "k1"])
        .env("NODE_PATH", std::path::Path::new(&modules).join("node_modules"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&sent.stdout) + String::from_utf8_lossy(&sent.stderr);
    assert!(sent.status.success() && said == "sent\n", "{said}");
    becomes(&shop, "SELECT count(*) FROM events WHERE user_id = 'u1'", "6");
    let steps = shop.sql("csv", "SELECT step FROM steps WHERE user_id = 'u1' ORDER BY ts");
    assert_eq!(steps, "step\n/\nSigned Up\nCart\n");
    let linked = shop.sql("csv", "SELECT distinct_id FROM identities WHERE person = 'u1' ORDER BY distinct_id");
    assert!(linked.contains("anon:a1") && linked.contains("anon:a0"), "{linked}");
}
