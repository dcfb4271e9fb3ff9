//! What is said of functions: every example prints what its file says, on the bundled sample, and each door shows the
//! same text. `DOCS=overwrite cargo test functions::` writes the results anew.

#![expect(clippy::disallowed_methods, reason = "files of the repository, not of a store")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use journeyql::config::Config;
use journeyql::database::{Database, Error, Options, functions};
use journeyql::ingest::Quiet;
use journeyql::output::{Format, Look};

use crate::stage::wait;

/// The sample in a store, with the demo's rules.
pub fn sample() -> (tempfile::TempDir, Database) {
    let dir = tempfile::tempdir().unwrap();
    let rules = Config::parse("[journey]\nterminal_pages = [\"/thanks\"]\n").unwrap();
    let options = Options { config: Some(Arc::new(rules)), now: None };
    let database = Database::create(&dir.path().join("store"), options).unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let inputs = ["access.log", "events.ndjson"].map(|name| data.join(name).display().to_string()).to_vec();
    database.ingest(&database.ingest_options(inputs, "auto".to_owned(), Arc::default()), &mut Quiet).unwrap();
    (dir, database)
}

fn printed(database: &Database, sql: &str) -> Result<String, Error> {
    wait(async { database.session().query(sql).await?.text(Format::Table, Look::default()).await })
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine/functions/docs").join(format!("{name}.md"))
}

#[test]
fn every_example_prints_what_its_file_says() {
    let (_dir, database) = sample();
    let overwrite = std::env::var("DOCS").is_ok_and(|docs| docs == "overwrite");
    let mut wrong = Vec::new();
    for doc in functions() {
        let found = printed(&database, doc.example).unwrap_or_else(|error| panic!("{}: {error}", doc.name));
        if found.trim_end() == doc.result {
            continue;
        }
        if overwrite {
            let (before, _) = doc.text.rsplit_once("```text\n").unwrap();
            std::fs::write(file(doc.name), format!("{before}```text\n{found}```\n")).unwrap();
        }
        wrong.push(format!("{} prints\n{found}", doc.name));
    }
    assert!(wrong.is_empty() || overwrite, "DOCS=overwrite writes them:\n{}", wrong.join("\n"));
}

#[test]
fn the_table_and_the_shell_show_the_same_text() {
    let (dir, database) = sample();
    let rows = wait(database.rows("SELECT name, kind, text, example FROM journeyql.functions ORDER BY name")).unwrap();
    assert_eq!(rows.len(), functions().len());
    for (row, doc) in rows.iter().zip(functions()) {
        assert_eq!((&row["name"], &row["kind"]), (&doc.name.into(), &doc.kind.into()));
        assert_eq!((&row["text"], &row["example"]), (&doc.text.into(), &doc.example.into()));
    }
    let shell = |script: &str| {
        let input = dir.path().join("script");
        std::fs::write(&input, script).unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_journeyql"))
            .args(["--store", &dir.path().join("store").display().to_string(), "repl"])
            .stdin(std::fs::File::open(&input).unwrap())
            .output()
            .unwrap();
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap())
    };
    for doc in functions() {
        let [said, _] = shell(&format!("\\h {}\n", doc.name));
        assert!(said.contains(doc.text.trim()), "\\h {}: {said}", doc.name);
    }
    let [list, _] = shell("\\h\n");
    assert!(functions().iter().all(|doc| list.contains(doc.name) && list.contains(&doc.summary)), "{list}");
    let [_, error] = shell("\\h windw_funnel\n");
    assert!(error.contains("did you mean 'window_funnel'?"), "{error}");
}

/// SHOW FUNCTIONS and `information_schema` are filled from the same files.
#[test]
fn what_plain_sql_lists_is_the_same_too() {
    let (_dir, database) = sample();
    let sql = "SELECT description FROM information_schema.routines WHERE routine_name = 'sessionize' LIMIT 1";
    let rows = wait(database.rows(sql)).unwrap();
    let doc = functions().iter().find(|doc| doc.name == "sessionize").unwrap();
    assert_eq!(rows[0]["description"], doc.summary);
}
