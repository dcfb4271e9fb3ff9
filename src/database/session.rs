//! A conversation in SQL: one statement after another, with settings that last.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::error::in_whole;
use super::segment::SegmentStatement;
use super::statement::{split, split_ranges, words};
use super::{Database, Error};
use crate::config::Config;
use crate::correction::Correction;
#[cfg(feature = "pg")]
use crate::engine::postgres::Asker;
use crate::engine::statement::{parse, parse_query};
use crate::engine::{self, Described, Engine, EngineOptions, QueryError, only_the_last};
use crate::event::Column;
use crate::limits;
use crate::output::{self, Format, Look};
use crate::store::Snapshot;

/// A table or view, as `\d` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationInfo {
    pub name: String,
    /// `table` or `view`.
    pub kind: &'static str,
    /// What it answers, one line.
    pub what: String,
    /// The SQL of a view.
    pub sql: Option<String>,
}

/// What the tables hold that have no file to say it.
const TABLES: [(&str, &str); 15] = [
    ("events", "every event, as it was stored"),
    ("steps", "one row per step of a session"),
    ("sessions", "one row per session"),
    ("edges", "one row per move from step to step, START and EXIT included"),
    ("journeys", "one row per session with its whole path"),
    ("people", "one row per person; profiles adds goals and the risk of churn"),
    ("quarantine_rows", "the refused lines as they are stored; quarantine adds the name of their source"),
    ("source_rows", "the inputs as the catalog has them; sources is the table to read"),
    ("audit", "what was done to the store and read through servers, and when"),
    ("late_ledger", "how late events were, ingest by ingest, and what they did to sessions"),
    ("identities", "which ids are whose: the person of an id, since when, and why"),
    ("segments", "saved groups of people, each the text of a query"),
    ("segment_members", "who is in which segment"),
    ("corrections", "what people said of single events, sessions and people, with what was taken back"),
    ("identity_rejections", "pairs of ids that are not one person, as somebody said"),
];

/// A conversation. Each statement sees the newest snapshot; settings last until the session ends.
#[derive(Debug)]
pub struct Session {
    database: Database,
    /// It only reads, and stays at its snapshot.
    reads: bool,
    /// The snapshot of the last statement (which keeps its files) and the engine over it.
    open: Option<(Snapshot, Engine)>,
    /// The SET and RESET statements so far, for the next snapshot's engine.
    settings: Vec<String>,
}

impl Session {
    pub(super) fn new(database: Database) -> Self {
        Self { database, reads: false, open: None, settings: Vec::new() }
    }

    /// Another conversation over the newest snapshot, with settings of its own: it changes nothing, sees that snapshot to
    /// its end, and shares the memory for queries with this one.
    ///
    /// # Errors
    /// The store cannot be read, or one of its views makes no sense.
    pub async fn reader(&mut self) -> Result<Self, Error> {
        let mut reader = Self { reads: true, ..Self::new(self.database.clone()) };
        reader.follow(self).await?;
        Ok(reader)
    }

    /// Moves a reader to the newest snapshot, to which `newest` is moved first; the reader's settings stay.
    ///
    /// # Errors
    /// The store cannot be read, or one of its views makes no sense.
    pub async fn follow(&mut self, newest: &mut Self) -> Result<(), Error> {
        newest.refresh().await?;
        let (snapshot, engine) = newest.opened()?;
        if self.open.as_ref().is_some_and(|(open, _)| open.id == snapshot.id) {
            return Ok(());
        }
        let engine = engine.fork()?;
        engine.forbid_recursion()?;
        for setting in &self.settings {
            engine.settle(setting).await?;
        }
        self.open = Some((snapshot.clone(), engine));
        Ok(())
    }

    /// What the last statement saw.
    pub(super) fn opened(&self) -> Result<(&Snapshot, &Engine), Error> {
        self.open.as_ref().map(|(snapshot, engine)| (snapshot, engine)).ok_or(Error::Closed)
    }

    /// The rules in force.
    pub(super) fn config(&self) -> &Config {
        &self.database.config
    }

    /// The names of all tables and views.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn table_names(&mut self) -> Result<Vec<String>, Error> {
        self.refresh().await?;
        Ok(self.opened()?.1.table_names())
    }

    /// The snapshot that a reader stays at, or the one of the last statement; `None` before the first.
    #[must_use]
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.open.as_ref().map(|(snapshot, _)| snapshot)
    }

    /// Runs a text of statements that have no rows (SET, RESET, CREATE SEGMENT, DROP SEGMENT) and at most one that has,
    /// which comes last.
    ///
    /// # Errors
    /// The store cannot be read or written to, or the engine refuses the text.
    pub async fn query(&mut self, sql: &str) -> Result<Answer, Error> {
        let parts = split_ranges(sql);
        let read = |part: &Range<usize>| {
            SegmentStatement::read(&sql[part.clone()]).map_err(|error| in_whole(error, sql, part.clone()))
        };
        let about = parts.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        if about.iter().all(Option::is_none) {
            return self.answer(sql).await;
        }
        let last = parts.len() - 1;
        let silent = |at: usize| at == last || about[at].is_some() || is_setting(&sql[parts[at].clone()]);
        if !(0..parts.len()).all(silent) {
            return Err(only_the_last().into());
        }
        let steps: Vec<(Range<usize>, Option<SegmentStatement>)> =
            parts.into_iter().zip(about).map(|(part, segment)| (query_of(part, segment.as_ref()), segment)).collect();
        // What can be known of all of them is known before one changes anything.
        for (part, segment) in
            steps.iter().filter(|(_, segment)| !matches!(segment, Some(SegmentStatement::Drop { .. })))
        {
            let text = &sql[part.clone()];
            let read = if segment.is_some() { parse_query(text).map(drop) } else { parse(text).map(drop) };
            read.map_err(|error| in_whole(error.into(), sql, part.clone()))?;
        }
        let (mut answer, mut changed) = (None, 0);
        for (part, segment) in steps {
            let one_more = usize::from(segment.is_some());
            let outcome = match segment {
                Some(segment) => self.segment(segment).await,
                None => self.answer(&sql[part.clone()]).await,
            };
            answer = Some(outcome.map_err(|error| after(changed, in_whole(error, sql, part)))?);
            changed += one_more;
        }
        answer.ok_or(Error::Closed)
    }

    /// What is known of one statement before its `$1`, `$2` … have values; `declared` are types that somebody gave.
    ///
    /// # Errors
    /// The store cannot be read, or the engine refuses the text.
    pub async fn describe(&mut self, sql: &str, declared: &[Option<DataType>]) -> Result<Described, Error> {
        self.refresh().await?;
        Ok(self.opened()?.1.describe(sql, declared).await?)
    }

    /// As [`Self::query`], of one statement about the catalog of Postgres.
    ///
    /// # Errors
    /// The store cannot be read, or the engine refuses the text.
    #[cfg(feature = "pg")]
    pub async fn query_postgres(&mut self, sql: &str, asker: &Asker) -> Result<Answer, Error> {
        self.refresh().await?;
        let (snapshot, engine) = self.opened()?;
        Ok(Answer::new(Box::pin(engine.query_postgres(sql, asker)).await?, snapshot))
    }

    /// As [`Self::describe`], of one statement about the catalog of Postgres.
    ///
    /// # Errors
    /// The store cannot be read, or the engine refuses the text.
    #[cfg(feature = "pg")]
    pub async fn describe_postgres(
        &mut self,
        sql: &str,
        declared: &[Option<DataType>],
        asker: &Asker,
    ) -> Result<Described, Error> {
        self.refresh().await?;
        Ok(Box::pin(self.opened()?.1.describe_postgres(sql, declared, asker)).await?)
    }

    /// The SET and RESET statements that are in force.
    #[must_use]
    pub fn settings(&self) -> &[String] {
        &self.settings
    }

    /// Puts settings in force in place of all that were made.
    ///
    /// # Errors
    /// One makes no sense.
    pub async fn settle(&mut self, settings: Vec<String>) -> Result<(), Error> {
        self.refresh().await?;
        let (_, engine) = self.opened()?;
        engine.reset("all")?;
        for setting in &settings {
            engine.settle(setting).await?;
        }
        self.settings = settings;
        Ok(())
    }

    /// Changes a segment; its query is checked first.
    async fn segment(&mut self, statement: SegmentStatement) -> Result<Answer, Error> {
        if self.reads {
            return Err(QueryError::sql("segments are not changed here: only reading is possible")
                .with_hint("journeyql sql \"CREATE SEGMENT …\"")
                .into());
        }
        if let SegmentStatement::Create { name, sql, .. } = &statement {
            // One that has answered nothing yet: what it knows already it would not ask for again, and a segment that
            // needs itself by way of another one would not be found.
            let fresh = self.database.engine(&self.database.snapshot()?)?;
            fresh.check_segment(name, sql).await?;
        }
        self.database.change_segment(statement).await?;
        self.refresh().await?;
        let (snapshot, _) = self.opened()?;
        Ok(Answer::new(engine::Answer::empty(), snapshot))
    }

    async fn answer(&mut self, sql: &str) -> Result<Answer, Error> {
        self.refresh().await?;
        let (snapshot, engine) = self.opened()?;
        let answer = Answer::new(engine.query(sql).await?, snapshot);
        for setting in split(sql).into_iter().filter(|text| is_setting(text)) {
            self.remember(setting);
        }
        Ok(answer)
    }

    /// Keeps a SET or RESET in place of those before it that it undoes.
    fn remember(&mut self, setting: &str) {
        let name = setting_name(setting);
        self.settings.retain(|known| name != "all" && setting_name(known) != name);
        self.settings.push(setting.to_owned());
    }

    /// Moves to the newest snapshot.
    async fn refresh(&mut self) -> Result<(), Error> {
        if self.reads && self.open.is_some() {
            return Ok(());
        }
        let snapshot = self.database.snapshot()?;
        if self.open.as_ref().is_some_and(|(open, _)| open.id == snapshot.id) {
            return Ok(());
        }
        let engine = self.database.engine(&snapshot)?;
        for setting in &self.settings {
            engine.settle(setting).await?;
        }
        self.open = Some((snapshot, engine));
        Ok(())
    }

    /// The tables and views.
    ///
    /// # Errors
    /// The store cannot be read, or one of its views makes no sense.
    pub fn relations(&mut self) -> Result<Vec<RelationInfo>, Error> {
        let engine = self.database.engine(&self.database.snapshot()?)?;
        let relation = |name: String| {
            let view = engine.views().get(&name);
            let what = TABLES.iter().find(|(table, _)| *table == name).map_or("", |(_, what)| what);
            RelationInfo {
                kind: if view.is_some() { "view" } else { "table" },
                what: view.map_or_else(|| what.to_owned(), |view| view.header.what.clone()),
                sql: view.map(|view| view.sql.clone()),
                name,
            }
        };
        Ok(engine.table_names().into_iter().map(relation).collect())
    }

    /// Every name that a statement may hold, for completion: tables, views, functions, columns.
    ///
    /// # Errors
    /// The store cannot be read, or one of its views makes no sense.
    pub fn names(&mut self) -> Result<Vec<String>, Error> {
        let engine = self.database.engine(&self.database.snapshot()?)?;
        let mut names = engine.table_names();
        names.extend(engine.function_names());
        names.extend(Column::ALL.map(|column| column.name().to_owned()));
        names.extend(
            engine.views().iter().flat_map(|view| view.header.columns.iter().map(|column| column.name.clone())),
        );
        names.sort();
        names.dedup();
        Ok(names)
    }
}

/// Where the text lies that is planned: of CREATE SEGMENT the query, which ends with the statement.
fn query_of(part: Range<usize>, segment: Option<&SegmentStatement>) -> Range<usize> {
    match segment {
        Some(SegmentStatement::Create { sql, .. }) => part.end - sql.len()..part.end,
        _ => part,
    }
}

/// The error of a statement behind others that changed something.
fn after(changed: usize, error: Error) -> Error {
    let Error::Query(mut error) = error else { return error };
    if changed > 0 {
        let done = format!("before it, {changed} statement{} changed the store", if changed == 1 { "" } else { "s" });
        error.hint = Some(error.hint.map_or(done.clone(), |hint| format!("{hint}\n{done}")));
    }
    Error::Query(error)
}

/// SET and RESET change what later statements mean.
fn is_setting(statement: &str) -> bool {
    let first = statement.split_whitespace().next().unwrap_or_default();
    first.eq_ignore_ascii_case("set") || first.eq_ignore_ascii_case("reset")
}

/// What a SET or RESET is about.
fn setting_name(statement: &str) -> String {
    let name = words(statement).map(|(word, _)| word).skip(1);
    name.take_while(|word| *word != "=" && !word.eq_ignore_ascii_case("to")).collect::<String>().to_lowercase()
}

impl Database {
    /// An engine over a snapshot.
    pub(super) fn engine(&self, snapshot: &Snapshot) -> Result<Engine, Error> {
        self.engine_with(snapshot, self.views_dir(), None)
    }

    /// An engine over a snapshot, with the views in a folder in place of ours, and perhaps other corrections.
    pub(super) fn engine_with(
        &self,
        snapshot: &Snapshot,
        views_dir: PathBuf,
        corrections: Option<Vec<Correction>>,
    ) -> Result<Engine, Error> {
        Ok(Engine::new(EngineOptions {
            snapshot: snapshot.clone(),
            corrections,
            store: Arc::clone(&self.store),
            config: self.config.clone(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: limits::QUERY_MEMORY_BYTES,
            now: self.now,
            views_dir: Some(views_dir),
        })?)
    }
}

/// The rows of an answer as they come; the snapshot's files stay until it is dropped.
#[derive(Debug)]
pub struct Answer {
    answer: engine::Answer,
    snapshot: Snapshot,
}

impl Answer {
    /// What an engine over `snapshot` answers.
    pub(super) fn new(answer: engine::Answer, snapshot: &Snapshot) -> Self {
        Self { answer, snapshot: snapshot.clone() }
    }

    /// The columns.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.answer.schema.clone()
    }

    /// The snapshot that it reads, where it reads what is stored.
    #[must_use]
    pub fn reads(&self) -> Option<i64> {
        self.answer.reads.then_some(self.snapshot.id)
    }

    /// What is to be said beside the rows (`what – hint`); all of it once they have come to their end.
    #[must_use]
    pub fn notices(&self) -> Vec<String> {
        self.answer.notices()
    }

    /// The next rows; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, Error>> {
        Some(self.answer.next().await?.map_err(Error::from))
    }

    /// All rows, for small answers.
    ///
    /// # Errors
    /// The query fails on its way.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, Error> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }

    /// All rows as text in a format, for small answers.
    ///
    /// # Errors
    /// The query fails on its way, or a value cannot be shown.
    pub async fn text(self, format: Format, look: Look) -> Result<String, Error> {
        let schema = self.schema();
        let batches = self.collect().await?;
        let mut bytes = Vec::new();
        let mut writer = output::open(format, &schema, Box::new(&mut bytes), look)?;
        for batch in &batches {
            writer.batch(batch)?;
        }
        writer.finish()?;
        drop(writer);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// All rows as JSON objects, for small answers.
    ///
    /// # Errors
    /// The query fails on its way.
    pub async fn rows(self) -> Result<Vec<serde_json::Value>, Error> {
        let text = self.text(Format::Json, Look::default()).await?;
        serde_json::from_str(&text).map_err(|error| Error::Rows(error.to_string()))
    }
}
