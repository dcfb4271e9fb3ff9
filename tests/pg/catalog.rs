//! What tools ask before anybody sees a row: their catalog queries, recorded, and asked again.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::clients::{not_run, psql};
use super::server::Served;

/// A statement and the values that are among its answer.
struct Asked {
    lists: Vec<String>,
    sql: String,
}

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pg/catalog").join(name)).unwrap()
}

fn recorded(name: &str) -> Vec<Asked> {
    let mut asked: Vec<Asked> = Vec::new();
    for line in read(&format!("{name}.sql")).lines().skip(1) {
        if let Some(lists) = line.strip_prefix("-- lists ") {
            asked.push(Asked { lists: lists.split(' ').map(str::to_owned).collect(), sql: String::new() });
        } else if line == "-- runs" {
            asked.push(Asked { lists: Vec::new(), sql: String::new() });
        } else {
            let last = asked.last_mut().unwrap();
            last.sql = format!("{}{line}\n", last.sql);
        }
    }
    asked
}

/// Every statement of a client is answered, in both protocols, and what it looks for is there.
fn replay(name: &str) {
    let served = Served::new(&[]);
    let mut client = served.connect();
    let mut failed = Vec::new();
    for Asked { lists, sql } in recorded(name) {
        for (way, answered) in [("simple", client.query(&sql)), ("extended", client.extended(&sql, &[], 0))] {
            if !answered.error.is_empty() {
                failed.push(format!("{way}: {:?}\n{sql:.300}", answered.error));
                continue;
            }
            for value in &lists {
                let found = answered.rows.iter().flatten().flatten().any(|cell| cell == value);
                if !found {
                    failed.push(format!("{way}: {value} is not among {} rows\n{sql:.300}", answered.rows.len()));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{} failed\n\n{}", failed.len(), failed.join("\n\n"));
}

#[test]
fn grafana_finds_the_tables() {
    replay("grafana");
}

#[test]
fn metabase_finds_the_tables() {
    replay("metabase");
}

#[test]
fn dbeaver_finds_the_tables() {
    replay("dbeaver");
}

#[test]
fn psql_describes_what_there_is() {
    let served = Served::new(&[]);
    let mut failed = Vec::new();
    for line in read("psql.txt").lines() {
        let (command, found) = line.split_once(" =>").unwrap();
        let Some((out, err)) = psql(&served, command) else { return };
        if err.contains("ERROR") {
            failed.push(format!("{command}: {err}"));
        }
        let wanted = found.split(", ").map(str::trim).filter(|word| !word.is_empty());
        failed.extend(wanted.filter(|word| !out.contains(word)).map(|word| format!("{command}: no {word}\n{out}")));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn psql_watches() {
    let served = Served::new(&[]);
    let port = served.address.port().to_string();
    let mut watch = Command::new("psql");
    watch.args(["-h", "127.0.0.1", "-p", &port, "-U", "anna", "-d", "x", "-X", "-At"]);
    let Ok(mut child) = watch.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() else {
        return not_run("psql is not on PATH");
    };
    child.stdin.take().unwrap().write_all(b"SELECT 42 \\watch 0.5\n").unwrap();
    std::thread::sleep(Duration::from_secs(3));
    child.kill().unwrap();
    let out = child.wait_with_output().unwrap();
    let seen = String::from_utf8_lossy(&out.stdout).matches("42").count();
    assert!(seen >= 2, "{seen}");
}

#[test]
fn columns_are_said_to_be_what_they_are() {
    let served = Served::new(&[]);
    let mut client = served.connect();
    let said = "SELECT a.attname, a.atttypid::bigint FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
                WHERE c.relname = 'NAME' ORDER BY a.attnum";
    let names = client.query(
        "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public'",
    );
    let names: Vec<String> = names.rows.into_iter().map(|row| row[0].clone().unwrap()).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let said = client.query(&said.replace("NAME", &name));
        let said: Vec<(String, u32)> =
            said.rows.iter().map(|row| (row[0].clone().unwrap(), row[1].as_ref().unwrap().parse().unwrap())).collect();
        let sent = client.query(&format!("SELECT * FROM \"{name}\" LIMIT 0"));
        assert_eq!(said, sent.columns, "{name}: {:?}", sent.error);
    }
    let kinds = client.query("SELECT DISTINCT data_type FROM information_schema.columns");
    for row in kinds.rows {
        let kind = row[0].clone().unwrap();
        assert!(!kind.contains("Utf8") && !kind.contains("Int64"), "{kind}");
    }
    let mixed = client.query("SELECT current_database(), (SELECT count(*) FROM events)").rows;
    let count = served.shop.sql("csv", "SELECT count(*) FROM events");
    assert_eq!(mixed[0][1].as_deref(), count.lines().nth(1));
}
