//! Who may ask.

use std::process::Command;
use std::time::{Duration, Instant};

use super::server::{Served, message};

const TOKEN: &str = "a token of more than sixteen letters";

fn guarded() -> (Served, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, TOKEN).unwrap();
    let args = ["--token-file", file.to_str().unwrap()];
    (Served::new(&args), dir)
}

#[test]
fn others_machines_need_a_token() {
    let shop = crate::http::client::Shop::new();
    let refused = shop.command(&["serve", "--http", "127.0.0.1:0", "--pg", "0.0.0.0:0"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--token-file"));
}

#[test]
fn a_query_before_the_password_is_refused() {
    let (served, _dir) = guarded();
    for early in [message(b'Q', b"SELECT 1\0"), message(b'P', b"\0SELECT 1\0\0\0"), message(b'p', b"guess\0")] {
        let mut client = served.socket();
        client.start(&[("user", "anna")]);
        assert_eq!(client.next().unwrap().0, b'R');
        client.send(&early);
        let answered = client.until_ready();
        assert_eq!(answered.field('S'), "FATAL", "{answered:?}");
        assert!(answered.rows.is_empty());
        assert!(client.is_closed_within(Duration::from_secs(5)));
    }
    // A failed password is not followed by an answer either.
    let mut client = served.socket();
    client.start(&[("user", "anna")]);
    client.next().unwrap();
    let first = b"n,,n=,r=abcdefghijklmnop";
    let mut initial = b"SCRAM-SHA-256\0".to_vec();
    initial.extend(u32::try_from(first.len()).unwrap().to_be_bytes());
    initial.extend(first);
    client.send(&message(b'p', &initial));
    let (letter, body) = client.next().unwrap();
    assert_eq!(letter, b'R');
    let text = String::from_utf8_lossy(&body[4..]).into_owned();
    let nonce = text.split(',').find_map(|part| part.strip_prefix("r=")).unwrap();
    let last = format!("c=biws,r={nonce},p={}", "A".repeat(44));
    let began = Instant::now();
    client.send(&[message(b'p', last.as_bytes()), message(b'Q', b"SELECT 1\0")].concat());
    let answered = client.until_ready();
    assert_eq!((answered.code(), answered.rows.len()), ("28P01", 0));
    assert!(began.elapsed() > Duration::from_millis(900), "whoever guesses waits");
    assert!(client.is_closed_within(Duration::from_secs(5)));
}

#[test]
fn psql_proves_that_it_knows_the_token() {
    let (served, _dir) = guarded();
    let psql = |password: &str| {
        Command::new("psql")
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &served.address.port().to_string(),
                "-U",
                "anybody",
                "-d",
                "any",
                "-X",
                "-w",
            ])
            .args(["-At", "-c", "SELECT count(*) FROM events"])
            .env("PGPASSWORD", password)
            .output()
    };
    let Ok(answered) = psql(TOKEN) else {
        return super::clients::not_run("psql is not on PATH");
    };
    let count = served.shop.sql("csv", "SELECT count(*) FROM events");
    assert_eq!(String::from_utf8_lossy(&answered.stdout).trim(), count.lines().nth(1).unwrap(), "{answered:?}");
    let refused = psql("a wrong token of as many letters").unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("authentication failed"), "{refused:?}");
}
