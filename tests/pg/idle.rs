//! Those who are connected and ask for nothing.

use std::time::{Duration, Instant};

use super::server::{Client, Served};
use crate::dashboard::not_run;
use crate::http::limits::files_allowed;

#[test]
fn ten_thousand_idle_clients_keep_nobody_from_an_answer() {
    const IDLE: usize = 10_000;
    let allowed = files_allowed();
    if allowed < IDLE + 1_000 {
        return not_run("10,000 idle clients", &format!("a process may open {allowed} files here (ulimit -n)"));
    }
    let mut served = Served::new(&["--max-connections", "10100"]);
    served.server.has_refreshed();
    served.is_alive();
    let before = served.server.memory_bytes();
    let idle: Vec<Client> = (0..IDLE).map(|_| served.connect()).collect();
    let began = Instant::now();
    served.is_alive();
    assert!(began.elapsed() < Duration::from_secs(5), "others wait: {:?}", began.elapsed());
    let each = served.server.memory_bytes().saturating_sub(before) / IDLE as u64;
    assert!(each < 64 << 10, "{each} bytes for each");
    drop(idle);
    served.is_alive();
    served.server.becomes_idle();
}

/// A cursor whose query was ended by the clock is there still, and computes no more.
#[test]
fn a_cursor_whose_time_is_over_computes_nothing() {
    let mut served = Served::new(&["--timeout", "3 seconds", "--max-queries", "1"]);
    served.server.has_refreshed();
    let mut client = served.connect();
    let endless = "SELECT count(*) FROM generate_series(1, 1000000) AS a(x), generate_series(1, 1000000) AS b(y) \
                   WHERE (x * y) % 7 = 3";
    let declared = client.query(&format!("DECLARE c CURSOR WITH HOLD FOR {endless}"));
    assert_eq!(declared.tags, ["DECLARE CURSOR"], "{:?}", declared.error);
    // Nobody has asked for a row.
    served.server.becomes_idle();
    assert_eq!(client.query("FETCH c").code(), "57014");
    served.server.becomes_idle();
    served.is_alive();
    assert_eq!(client.query("FETCH c").code(), "55000");
}

#[test]
fn who_says_how_long_it_may_be_silent_is_taken_at_its_word() {
    let served = Served::new(&[]);
    for (sets, code) in [
        (&["SET idle_session_timeout = '700ms'"][..], "57P05"),
        (&["SET idle_in_transaction_session_timeout = 700", "BEGIN"][..], "25P03"),
    ] {
        let mut client = served.connect();
        for set in sets {
            assert!(client.query(set).error.is_empty(), "{set}");
        }
        let began = Instant::now();
        let ended = client.until_ready();
        assert_eq!((ended.field('S'), ended.code()), ("FATAL", code));
        assert!((0.6..5.0).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
    }
}

#[test]
fn a_query_that_failed_has_no_end() {
    let served = Served::new(&[]);
    let mut client = served.connect();
    client.query("DECLARE c CURSOR WITH HOLD FOR SELECT 10 / (5000 - value) FROM generate_series(1, 9000) AS t(value)");
    let codes: Vec<String> = (0..4).map(|_| client.query("FETCH 5000 FROM c").code().to_owned()).collect();
    assert_eq!(codes.last().map(String::as_str), Some("55000"), "{codes:?}");
    assert!(codes.iter().any(|code| code == "22012"), "{codes:?}");
    assert_eq!(client.query("CLOSE c; SELECT 1").value(), "1");
}
