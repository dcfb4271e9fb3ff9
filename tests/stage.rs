//! A small store made from lines of NDJSON, and an engine over it.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use journeyql::config::Config;
use journeyql::engine::{Engine, EngineOptions, QueryError};
use journeyql::ingest::{IngestOptions, Quiet, ingest};
use journeyql::store::Store;

/// 2026-02-01, later than every event of these tests.
pub const NOW: i64 = 1_769_904_000_000_000;

/// The folder and the store; the engine keeps neither alive.
pub struct Stage {
    pub dir: tempfile::TempDir,
    pub store: Arc<Store>,
    pub config: Arc<Config>,
}

impl Stage {
    /// A store with the events of each text (one ingest a text), under these rules.
    pub fn new(rules: &str, texts: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Arc::new(Config::parse(rules).unwrap_or_else(|error| panic!("{rules}\n{error}")));
        let store = Arc::new(Store::create(&dir.path().join("store")).unwrap());
        let stage = Self { dir, store, config };
        for (number, text) in texts.iter().enumerate() {
            stage.add(&format!("{number}.ndjson"), text);
        }
        stage
    }

    /// Adds a file of events.
    pub fn add(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        #[expect(clippy::disallowed_methods, reason = "an input of the test, not a file of the store")]
        std::fs::write(&path, text).unwrap();
        let inputs = vec![path.display().to_string()];
        let format = "ndjson".to_owned();
        let options = IngestOptions { inputs, format, now: NOW, ..IngestOptions::default() };
        ingest(&self.store, &self.config, &options, &mut Quiet).unwrap();
    }

    /// An engine over the newest snapshot.
    pub fn engine(&self) -> Engine {
        self.try_engine().unwrap()
    }

    pub fn try_engine(&self) -> Result<Engine, QueryError> {
        Engine::new(self.options())
    }

    /// What that engine is made of.
    pub fn options(&self) -> EngineOptions {
        EngineOptions {
            corrections: None,
            snapshot: self.store.snapshot().unwrap(),
            store: Arc::clone(&self.store),
            config: Arc::clone(&self.config),
            threads: 2,
            memory_bytes: 512 << 20,
            now: None,
            views_dir: Some(self.dir.path().join("views")),
        }
    }
}

/// All rows of the last statement.
pub async fn batches(engine: &Engine, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
    engine.query(sql).await?.collect().await
}

/// Rows as text: NULL, numbers shortened to 6 decimals.
pub async fn rows(engine: &Engine, sql: &str) -> Result<Vec<Vec<String>>, QueryError> {
    Ok(spelled(&batches(engine, sql).await?))
}

/// Batches as text: NULL, numbers shortened to 6 decimals.
pub fn spelled(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for batch in batches {
        let options = FormatOptions::default().with_null("NULL");
        let columns: Vec<_> =
            batch.columns().iter().map(|array| ArrayFormatter::try_new(array, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|column| short(&column.value(row).to_string())).collect());
        }
    }
    rows
}

/// Text of a value: a fraction loses what is beyond 6 decimals and its zeros.
fn short(text: &str) -> String {
    match (text.contains('.'), text.parse::<f64>()) {
        (true, Ok(number)) => {
            let text = format!("{number:.6}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => text.to_owned(),
    }
}

/// Runs a future to its end.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}

/// Cases of a property test: what the test asks for, or what `PROPTEST_CASES` does.
pub fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().map_or(usual, |text| text.parse().unwrap())
}
