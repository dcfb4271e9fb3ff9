//! The page in a real browser, headless: numbers against SQL, hands, keyboard, hostile logs, no request elsewhere.
//!
//! Needs Chromium and a Python that can import `playwright`: the one that `JOURNEYQL_PYTHON` names, else `python3`.
//! Without them the test says so and checks nothing.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::json;

/// A check that did not happen must be seen.
#[expect(clippy::explicit_write, reason = "eprintln! would be captured by the test harness")]
pub fn not_run(what: &str, why: &str) {
    writeln!(std::io::stderr(), "\nNOT RUN: {what}: {why}").unwrap();
}

/// Runs a script that drives a browser by a plan; what fails in it fails here.
pub fn browser(script: &str, what: &str, plan: &serde_json::Value) {
    let python = std::env::var("JOURNEYQL_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let child = Command::new(&python)
        .arg("-B")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        return not_run(what, &format!("'{python}' cannot be started; set JOURNEYQL_PYTHON"));
    };
    child.stdin.take().unwrap().write_all(plan.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(3) {
        return not_run(what, &format!("{python}: {}", said.trim()));
    }
    assert!(output.status.success(), "{said}");
}

fn journeyql(dir: &Path, args: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_journeyql"))
        .current_dir(dir)
        .args(["--store", "store"])
        .args(args)
        .env_remove("JOURNEYQL_STORE")
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A server of the store, ended when it is dropped.
struct Server {
    child: Child,
    address: String,
    /// Held open: a server that cannot say anything any more may stumble over it.
    _said: BufReader<ChildStderr>,
}

impl Server {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_journeyql"))
            .current_dir(dir)
            .args(["--store", "store", "serve", "--http", "127.0.0.1:0"])
            .env_remove("JOURNEYQL_STORE")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        said.read_line(&mut first).unwrap();
        let address = first.strip_prefix("listening on ").and_then(|rest| rest.split(' ').next());
        let address = format!("{}/", address.unwrap_or_else(|| panic!("{first}")));
        Self { child, address, _said: said }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Names that mean something to a browser, a spreadsheet, a terminal or a writing direction.
const HOSTILE: [&str; 20] = [
    "<script>window.pwned=1</script>",
    "\"><img src=x onerror=\"window.pwned=1\">",
    "</script><script>window.pwned=1</script>",
    "javascript:window.pwned=1",
    "\u{202e}evil\u{202c}/gnp.exe",
    "\u{5e9}\u{5dc}\u{5d5}\u{5dd}/\u{5e2}\u{5d5}\u{5dc}\u{5dd}",
    "/tab\there\nline\u{7}bell",
    "=HYPERLINK(\"http://evil.example\",\"x\")",
    "+1+1",
    "@SUM(1)",
    "-2+3",
    "{{constructor.constructor('window.pwned=1')()}}",
    "EXIT",
    "Other",
    "START",
    "__proto__",
    "constructor",
    "<b>bold</b>&amp;&lt;<!--",
    "x > y",
    "'; DROP TABLE events; --",
];

fn hostile_log() -> String {
    let names: Vec<String> = HOSTILE.iter().map(|&name| name.to_owned()).chain(["/very-long".repeat(120)]).collect();
    let mut lines = Vec::new();
    for person in 0..60 {
        for step in 0..5 {
            let name = &names[(person * 7 + step * (1 + person % 4)) % names.len()];
            let id = if person % 3 == 0 { names[person % names.len()].clone() } else { format!("u{person}") };
            let time = format!("2026-01-{:02}T10:{:02}:{person:02}Z", 5 + person % 9, step * 3);
            lines.push(json!({"user_id": id, "event": name, "timestamp": time}).to_string());
        }
    }
    lines.join("\n")
}

#[test]
fn the_page_shows_what_sql_says_and_runs_nothing_of_a_log() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let logs = ["access.log", "events.ndjson"].map(|name| data.join(name).display().to_string());
    let rules = "[journey]\nterminal_pages = [\"/thanks\"]\ngoals = { purchase = \"page = '/thanks'\" }\n";
    std::fs::write(dir.path().join("rules.toml"), rules).unwrap();
    std::fs::write(dir.path().join("hostile.ndjson"), hostile_log()).unwrap();
    journeyql(dir.path(), &["--config", "rules.toml", "ingest", &logs[0], &logs[1], "--quiet"]);
    journeyql(dir.path(), &["report"]);
    journeyql(dir.path(), &["sankey"]);
    journeyql(dir.path(), &["report", "hostile.ndjson", "-o", "hostile.html"]);

    let server = Server::start(dir.path());
    let plan = json!({
        "journeyql": env!("CARGO_BIN_EXE_journeyql"), "store": at("store"), "report": at("report.html"),
        "sankey": at("sankey.html"), "hostile": at("hostile.html"), "out": at("."),
        "server": server.address,
    });
    browser("tests/dashboard.py", "the browser's check of the page", &plan);
}

#[test]
fn a_report_of_logs_leaves_no_store_behind() {
    let dir = tempfile::tempdir().unwrap();
    let scratch = dir.path().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let log = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/access.log");
    let report = |log: &Path| {
        Command::new(env!("CARGO_BIN_EXE_journeyql"))
            .current_dir(dir.path())
            .arg("report")
            .arg(log)
            .env("TMPDIR", &scratch)
            .env_remove("JOURNEYQL_STORE")
            .output()
            .unwrap()
    };
    let output = report(&log);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("wrote report.html") && said.contains("3000 lines = "), "{said}");
    assert!(output.stdout.is_empty());
    let page = std::fs::read_to_string(dir.path().join("report.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("/api/flows") && page.trim_end().ends_with("</html>"));

    // A log that is not there is no smaller report.
    std::fs::remove_file(dir.path().join("report.html")).unwrap();
    let output = report(Path::new("missing.log"));
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!dir.path().join("report.html").exists() && !dir.path().join("journey").exists());
    assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0, "a scratch store was left");
}
