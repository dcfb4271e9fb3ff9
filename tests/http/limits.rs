//! The four limits of a question, the limits of a connection, and those who go away.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::client::Shop;
use crate::dashboard::not_run;

/// Takes longer than anybody waits, and hardly any memory.
const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 1000000) AS a(x), generate_series(1, 1000000) AS b(y) \
                       WHERE (x * y) % 7 = 3";

#[test]
fn each_limit_is_named() {
    let shop = Shop::new();
    let mut server = shop.serve(&["--timeout", "2 seconds", "--max-rows", "1000", "--max-queries", "1"]);
    server.has_refreshed();
    let many = server.post_sql("SELECT * FROM generate_series(1, 1001)");
    assert_eq!((many.status, many.error("limit").as_str()), (400, "rows"), "{}", many.body);
    assert_eq!(server.post_sql("SELECT * FROM generate_series(1, 1000)").status, 200);
    let large = server.post_sql("SELECT repeat('x', 1000000) AS x FROM generate_series(1, 100)");
    assert_eq!((large.status, large.error("limit").as_str()), (400, "rows"), "{}", large.body);
    let slow = server.post_sql(ENDLESS);
    assert_eq!((slow.status, slow.error("limit").as_str()), (503, "time"), "{}", slow.body);
    server.becomes_idle();
    let greedy = server.post_sql("SELECT array_agg(x ORDER BY x DESC) FROM generate_series(1, 100000000) AS t(x)");
    assert!(["memory", "time"].contains(&greedy.error("limit").as_str()), "{} {}", greedy.status, greedy.body);
    server.is_alive();
}

#[test]
fn who_comes_to_a_full_queue_is_told_to_come_again() {
    let shop = Shop::new();
    let mut server = shop.serve(&["--timeout", "8 seconds", "--max-queries", "1"]);
    server.has_refreshed();
    server.is_alive();
    let server_ref = &server;
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..45).map(|_| scope.spawn(move || server_ref.post_sql(ENDLESS))).collect();
        all.into_iter().map(|one| one.join().unwrap()).map(|answer| (answer.status, answer.error("limit"))).collect()
    });
    let told = |status, limit: &str| statuses.iter().filter(|said| **said == (status, limit.to_owned())).count();
    assert_eq!(told(429, "concurrency") + told(503, "time"), 45, "{statuses:?}");
    assert_eq!(told(429, "concurrency"), 45 - 33, "{statuses:?}");
    assert!(server.get("/metrics").body.contains("journeyql_limits_reached_total{limit=\"concurrency\"} 12\n"));
    server.becomes_idle();
    server.is_alive();
}

#[test]
fn who_goes_away_is_not_computed_for() {
    let shop = Shop::new();
    let mut server = shop.serve(&["--timeout", "10 minutes"]);
    server.has_refreshed();
    let mut stream = server.connect();
    let head = format!("POST /api/sql HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", ENDLESS.len());
    stream.write_all(format!("{head}{ENDLESS}").as_bytes()).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert!(server.get("/metrics").body.contains("journeyql_queries_running 1\n"));
    drop(stream);
    server.becomes_idle();
    assert!(server.get("/metrics").body.contains("journeyql_queries_running 0\n"));
    server.is_alive();
}

#[test]
fn a_body_may_not_be_too_long() {
    let shop = Shop::new();
    let mut server = shop.serve(&[]);
    let long = format!("SELECT '{}'", "x".repeat(300 << 10));
    let refused = server.post_sql(&long);
    assert_eq!((refused.status, refused.error("limit").as_str()), (413, "body"));
    let chunked =
        "POST /api/sql HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    let chunk = format!("{:x}\r\n{}\r\n", 100 << 10, "x".repeat(100 << 10));
    let refused = server.raw(format!("{chunked}{}0\r\n\r\n", chunk.repeat(5)).as_bytes());
    assert_eq!(refused.unwrap().status, 413);
    server.is_alive();
}

#[test]
fn heads_that_are_malformed_or_too_long_are_refused() {
    let shop = Shop::new();
    let mut server = shop.serve(&[]);
    let long_head = format!("GET /api/stats HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "x".repeat(1 << 20));
    let long_path = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "x".repeat(1 << 20));
    let many_heads = format!("GET / HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "a: b\r\n".repeat(10_000));
    for bytes in [
        long_head.as_bytes(),
        long_path.as_bytes(),
        many_heads.as_bytes(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost : localhost\r\n\r\n",
        b"POST /api/sql HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        b"POST /api/sql HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST /api/sql HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999999999999\r\n\r\n",
    ] {
        if let Some(answer) = server.raw(bytes) {
            assert!((400..500).contains(&answer.status), "{}", answer.head);
        }
        server.is_alive();
    }
}

/// A head that never ends, and connections on which nothing is said: others are heard meanwhile, and all end.
#[test]
fn who_only_waits_is_cut_off() {
    let shop = Shop::new();
    let mut server = shop.serve(&["--max-connections", "40"]);
    let began = Instant::now();
    let mut slow: Vec<TcpStream> = (0..30).map(|_| server.connect()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /api/stats HTTP/1.1\r\nhost: loc").unwrap();
    }
    server.is_alive();
    let idle: Vec<TcpStream> = (0..300).map(|_| server.connect()).collect();
    let full = server.raw(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert!(full.is_none_or(|full| full.status == 503 && full.error("limit") == "connections"));
    for stream in slow.iter_mut().chain(&mut idle.into_iter().take(5).collect::<Vec<_>>()) {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    assert!(began.elapsed() < Duration::from_secs(40), "it waits for ever: {:?}", began.elapsed());
    server.is_alive();
}

/// The files that this process may have open; what it starts may have as many.
pub fn files_allowed() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    files.and_then(|numbers| numbers.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[test]
fn ten_thousand_idle_connections_keep_nobody_from_an_answer() {
    const IDLE: usize = 10_000;
    let allowed = files_allowed();
    if allowed < IDLE + 1_000 {
        return not_run("10,000 idle connections", &format!("a process may open {allowed} files here (ulimit -n)"));
    }
    let shop = Shop::new();
    let mut server = shop.serve(&["--max-connections", "10100"]);
    server.has_refreshed();
    let before = server.memory_bytes();
    let idle: Vec<TcpStream> = (0..IDLE).map(|_| server.connect()).collect();
    let began = Instant::now();
    server.is_alive();
    assert!(began.elapsed() < Duration::from_secs(5), "others wait: {:?}", began.elapsed());
    let each = server.memory_bytes().saturating_sub(before) / IDLE as u64;
    assert!(each < 64 << 10, "{each} bytes for each");
    for mut stream in idle {
        // Closed by the server, with or without a word.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    server.is_alive();
    server.becomes_idle();
}
