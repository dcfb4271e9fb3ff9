//! The clients that people have: psql, and what Python has.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use super::server::Served;

/// A check that did not happen must be seen.
#[expect(clippy::explicit_write, reason = "eprintln! would be captured by the test harness")]
pub fn not_run(why: &str) {
    writeln!(std::io::stderr(), "\nNOT RUN: a check of the Postgres wire: {why}").unwrap();
}

pub fn psql(served: &Served, script: &str) -> Option<(String, String)> {
    let mut command = Command::new("psql");
    command.args(["-h", "127.0.0.1", "-p", &served.address.port().to_string(), "-U", "anna", "-d", "journeyql", "-X"]);
    let output = command.args(["-v", "VERBOSITY=verbose", "-P", "pager=off", "-c", script]).output();
    let Ok(output) = output else {
        not_run("psql is not on PATH");
        return None;
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((text(&output.stdout), text(&output.stderr)))
}

#[test]
fn psql_asks_and_copies() {
    let served = Served::new(&[]);
    let Some((out, err)) = psql(&served, "SELECT page, count(*) FROM events GROUP BY page ORDER BY 2 DESC, 1") else {
        return;
    };
    assert!(out.contains("/thanks") && err.is_empty(), "{out}{err}");
    let (out, err) = psql(&served, "\\copy (select 'a,b' as x, '' as y, null as z) to stdout csv header").unwrap();
    assert_eq!((out.as_str(), err.as_str()), ("x,y,z\n\"a,b\",\"\",\n", ""));
    let (_, err) = psql(&served, "SELECT pge FROM events").unwrap();
    assert!(err.contains("42703") && err.contains("HINT:") && err.contains("LINE 1"), "{err}");
}

fn python(served: &Served, script: &str) {
    let python = std::env::var("JOURNEYQL_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pg").join(script);
    let port = served.address.port().to_string();
    let Ok(output) = Command::new(&python).arg("-B").arg(file).arg(port).output() else {
        return not_run(&format!("'{python}' cannot be started; set JOURNEYQL_PYTHON"));
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(3) {
        return not_run(&format!("{python}: {}", said.trim()));
    }
    assert!(output.status.success(), "{script}: {}{said}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn psycopg_asks_with_parameters_and_cursors() {
    python(&Served::new(&[]), "psycopg_3.py");
}

#[test]
fn psycopg2_asks_with_parameters_and_cursors() {
    python(&Served::new(&[]), "psycopg_2.py");
}

#[test]
fn asyncpg_prepares_and_fetches() {
    python(&Served::new(&[]), "asyncpg_1.py");
}

#[test]
fn sqlalchemy_reflects_and_pandas_reads() {
    python(&Served::new(&[]), "sqlalchemy_2.py");
}
