//! Every `tests/sql/*.slt` over a store of its own: the events of `NAME.ndjson` (else `shop.ndjson`) under the rules
//! of `NAME.toml` (else the defaults).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use journeyql::database::{Database, Error, Options, Session};
use journeyql::engine::params::bind;
use journeyql::engine::views::Queries;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

use crate::stage::{Stage, spelled, wait};

struct Sql {
    session: Session,
}

#[async_trait::async_trait]
impl AsyncDB for Sql {
    type Error = Error;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        let verb = sql.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        if ["SET", "RESET", "CREATE", "DROP"].contains(&verb.as_str()) {
            self.session.query(sql).await?.collect().await?;
            return Ok(DBOutput::StatementComplete(0));
        }
        let sql = match sql.split_once("RUN ") {
            // Alone, or in parentheses as a table.
            Some((before, call)) => {
                let (call, after) = call.split_at(call.find(')').unwrap_or(call.len()));
                format!("{before}{}\n{after}", report(call)?)
            }
            None => sql.to_owned(),
        };
        let rows = spelled(&self.session.query(&sql).await?.collect().await?);
        let shown = |text: String| if text.is_empty() { "(empty)".to_owned() } else { text };
        let rows: Vec<Vec<String>> = rows.into_iter().map(|row| row.into_iter().map(shown).collect()).collect();
        let types = vec![DefaultColumnType::Any; rows.first().map_or(0, Vec::len)];
        Ok(DBOutput::Rows { types, rows })
    }

    async fn shutdown(&mut self) {}
}

/// `RUN name key=value …` is the report of that name with its parameters.
fn report(call: &str) -> Result<String, Error> {
    let mut words = call.split_whitespace();
    let name = words.next().unwrap();
    let given = words.map(|word| word.split_once('=').unwrap()).map(|(key, value)| (key.to_owned(), value.to_owned()));
    let reports = Queries::reports(None)?;
    Ok(bind(&reports.get(name).unwrap().sql, &given.collect())?)
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// The records that did not go as written.
fn run(script: &Path) -> Vec<String> {
    let events =
        read(&script.with_extension("ndjson")).unwrap_or_else(|| read(&script.with_file_name("shop.ndjson")).unwrap());
    let rules = read(&script.with_extension("toml")).unwrap_or_default();
    let stage = Stage::new(&rules, &[&events]);
    let options = Options { config: Some(Arc::clone(&stage.config)), now: None };
    let database = Database::open(stage.store.dir(), options).unwrap();
    let records = sqllogictest::parse_file(script).unwrap_or_else(|error| panic!("{error}"));
    wait(async {
        let mut runner = Runner::new(|| {
            let session = database.session();
            async move { Ok(Sql { session }) }
        });
        let mut wrong = Vec::new();
        for record in records {
            if let Err(error) = runner.run_async(record).await {
                wrong.push(error.to_string());
            }
        }
        wrong
    })
}

#[test]
fn every_script() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql");
    let mut scripts: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"))
        .collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    let wrong: Vec<String> = scripts.iter().flat_map(|script| run(script)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
