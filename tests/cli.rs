//! What people see: snapshots of the command line, on the sample in `data/`.
//!
//! `tests/cli/*.trycmd` share one store that is only read; a case with folders `NAME.in` and `NAME.out` beside it runs
//! in its own copy. To write the snapshots anew: `TRYCMD=overwrite cargo test cli::`.

#![expect(clippy::disallowed_methods, reason = "inputs of the test, not files of a store")]

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

fn journeyql(store: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_journeyql"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).arg("--store").arg(store).env_remove("JOURNEYQL_STORE");
    command
}

/// The sample in a store, with the demo's rules.
fn sample_store(dir: &Path) -> std::path::PathBuf {
    let store = dir.join("store");
    let rules = dir.join("rules.toml");
    std::fs::write(&rules, "[journey]\nterminal_pages = [\"/thanks\"]\n").unwrap();
    let output = journeyql(&store)
        .args(["--now", "2025-06-01", "ingest", "data/access.log", "data/events.ndjson", "--quiet", "--config"])
        .arg(&rules)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    store
}

#[test]
fn snapshots() {
    let dir = tempfile::tempdir().unwrap();
    let store = sample_store(dir.path());
    let cases = trycmd::TestCases::new();
    cases.register_bin("journeyql", Path::new(env!("CARGO_BIN_EXE_journeyql")));
    cases.env("JOURNEYQL_STORE", store.display().to_string()).env("NO_COLOR", "1").env("COLUMNS", "100");
    cases.insert_var("[STORE]", store.canonicalize().unwrap().display().to_string()).unwrap();
    cases.case("tests/cli/*.trycmd");
    cases.run();
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let dir = tempfile::tempdir().unwrap();
    let store = sample_store(dir.path());
    for format in ["csv", "json", "table", "ndjson", "parquet"] {
        let sql = "SELECT a.ts, a.page, b.path FROM events a CROSS JOIN (SELECT path FROM events LIMIT 50) b";
        let mut child = journeyql(&store)
            .args(["sql", sql, "--format", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 16];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{format}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stderr.is_empty(), "{format}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_shell_reads_statements_over_several_lines() {
    let dir = tempfile::tempdir().unwrap();
    let store = sample_store(dir.path());
    let mut child = journeyql(&store)
        .args(["repl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let script = "SET journeyql.session_gap = '10 minutes';\nselect count(*) > 0 as any\n  from sessions\n  -- ; not here\n;\n\
                  \\format csv\nselect 1 as one; select 2 as two;\nselect * from evnets;\ncreate segment s as\nselect user_id from steps;\nshow segments;\nset journeyql.segment = s;\n\\d+ stats\n\\q\nselect 'never';\n";
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    for wanted in ["true", "one\n1\n", "two\n2\n", "s,select user_id from steps,", "SELECT"] {
        assert!(out.contains(wanted), "no {wanted} in {out}{err}");
    }
    assert!(err.contains("no table evnets") && err.contains("events"), "{err}");
    assert!(!out.contains("never"), "{out}");
}

#[test]
fn sql_may_begin_with_a_comment() {
    let dir = tempfile::tempdir().unwrap();
    let store = sample_store(dir.path());
    for args in [&["sql", "-- how many\nSELECT 1 AS one"][..], &["-c", "--\tone\nSELECT 1 AS one"]] {
        let output = journeyql(&store).args(args).args(["--format", "csv"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "one\n1\n", "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(journeyql(&store).args(["sql", "--fromat", "csv", "SELECT 1"]).output().unwrap().status.code(), Some(2));
}

#[test]
fn an_output_file_appears_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = sample_store(dir.path());
    let out = dir.path().join("answer.parquet");
    let run = |sql: &str| journeyql(&store).args(["sql", sql, "-o"]).arg(&out).output().unwrap();
    assert!(run("select user_id, ts from events").status.success());
    let whole = std::fs::read(&out).unwrap();
    assert!(whole.starts_with(b"PAR1") && whole.ends_with(b"PAR1"));
    assert_eq!(run("select 1 / (bytes - bytes) from events").status.code(), Some(1));
    assert!(std::fs::read(&out).unwrap() == whole, "a failing query touched the file");
    let inside = journeyql(&store).args(["sql", "select 1", "-o"]).arg(store.join("data/x.csv")).output().unwrap();
    assert_eq!(inside.status.code(), Some(2));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3, "something was left behind");
}

#[cfg(unix)]
#[test]
fn an_ingest_that_waits_for_input_ends_at_the_first_interrupt() {
    let dir = tempfile::tempdir().unwrap();
    let store = sample_store(dir.path());
    let mut child = journeyql(&store)
        .args(["ingest", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"not the whole of a ").unwrap();
    // The handler is there once the process reads.
    std::thread::sleep(std::time::Duration::from_millis(700));
    let signal = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signal.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    drop(stdin);
    assert!(journeyql(&store).arg("verify").output().unwrap().status.success());
}

#[cfg(unix)]
#[test]
fn a_join_that_finds_nothing_hears_ctrl_c() {
    let dir = tempfile::tempdir().unwrap();
    let store = sample_store(dir.path());
    let interrupted = |args: &[&str], input: &str| {
        let mut child = journeyql(&store)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        std::thread::sleep(std::time::Duration::from_secs(3));
        let began = std::time::Instant::now();
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "{args:?}: {:?}", began.elapsed());
        (output.status.code(), [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat())
    };
    let endless =
        "SELECT count(*) FROM generate_series(1, 3000000) a(x) JOIN generate_series(1, 3000000) b(y) ON x * y < y";
    let (code, said) = interrupted(&["sql", endless], "");
    assert!(code == Some(130) && said.contains("interrupted"), "{code:?} {said}");
    let (code, said) = interrupted(&["repl"], &format!("{endless};\nSELECT 'goes ' || 'on';\n"));
    assert!(code == Some(0) && said.contains("interrupted") && said.contains("goes on"), "{code:?} {said}");
}

#[test]
fn a_second_writer_and_a_damaged_store_have_their_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    let store = sample_store(dir.path());
    let mut first =
        journeyql(&store).args(["ingest", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    first.stdin.as_mut().unwrap().write_all(b"x").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    let second = journeyql(&store).args(["ingest", "data/access.log"]).output().unwrap();
    assert_eq!(second.status.code(), Some(4), "{}", String::from_utf8_lossy(&second.stderr));
    first.kill().unwrap();
    first.wait().unwrap();

    let day = std::fs::read_dir(store.join("data/events")).unwrap().next().unwrap().unwrap().path();
    let part = std::fs::read_dir(day).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(&part).unwrap();
    std::fs::write(&part, &bytes[..bytes.len() - 40]).unwrap();
    for args in [&["sql", "select * from events"][..], &["verify"]] {
        let output = journeyql(&store).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(5), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(said.contains(part.file_name().unwrap().to_str().unwrap()), "{said}");
    }
}
