//! What one connection is: a session, a transaction, cursors, settings. Statements come in, answers go out.

mod settings;
mod show;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{QueryResponse, Response, Tag};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::Server;
use super::clock::Clock;
use super::command::Command;
use super::cursor::Fetch;
use super::fault::{self, IntoError};
use super::seat::Seat;
use super::source::{self, Notices, Source};
use super::variables::{self, Variables};
use crate::database::{Described, Error, Session, Traffic};
use crate::engine::postgres::Asker;
use crate::limits;

use show::SETTINGS;

/// What was before a transaction, to come back to.
#[derive(Debug)]
struct Saved {
    before: (Variables, Vec<String>),
    /// What is without SET LOCAL, once there was one.
    kept: Option<(Variables, Vec<String>)>,
}

#[derive(Debug)]
struct Cursor {
    source: Arc<Mutex<Source>>,
    hold: bool,
}

#[derive(Debug, Default)]
struct State {
    variables: Variables,
    transaction: Option<Saved>,
    cursors: BTreeMap<String, Cursor>,
}

/// An answer, and what is to be said beside it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) response: Response,
    /// Variables that have changed.
    pub(super) told: Vec<(String, String)>,
    /// A header of COPY, which is no row.
    pub(super) header: bool,
}

impl Reply {
    fn new(response: Response) -> Self {
        Self { response, told: Vec::new(), header: false }
    }

    fn done(tag: &str) -> Self {
        Self::new(Response::Execution(Tag::new(tag)))
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Talk {
    server: Arc<Server>,
    pub(super) clock: Arc<Clock>,
    session: Arc<Mutex<Option<Session>>>,
    /// The settings of the session while there is none.
    parked: std::sync::Mutex<Vec<String>>,
    state: Mutex<State>,
    pub(super) pid: AtomicI32,
    /// Queries that were begun and not ended.
    seats: std::sync::Mutex<Vec<Weak<Seat>>>,
    /// Warnings that the client was not told yet; those of a query come with the end of its rows.
    notices: Notices,
    /// Who reads, for the audit.
    who: std::sync::Mutex<String>,
}

impl Talk {
    pub(super) fn new(server: Arc<Server>, stream: Arc<TcpStream>) -> Self {
        let address = stream.peer_addr().map_or_else(|_| "unknown".to_owned(), |peer| peer.ip().to_string());
        Self {
            server,
            who: std::sync::Mutex::new(format!("postgres {address}")),
            clock: Arc::new(Clock::new(stream)),
            session: Arc::default(),
            parked: std::sync::Mutex::default(),
            state: Mutex::default(),
            pid: AtomicI32::new(0),
            seats: std::sync::Mutex::default(),
            notices: Arc::default(),
        }
    }

    /// What is to be said beside answers, once.
    pub(super) fn notices(&self) -> Vec<String> {
        std::mem::take(&mut *self.notices.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn warn(&self, what: &str) {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).push(what.to_owned());
    }

    /// A statement is run, or an error told.
    pub(super) fn count(&self, what: impl Fn(&Traffic) -> &AtomicU64) {
        what(&self.server.traffic).fetch_add(1, Ordering::Relaxed);
    }

    /// Takes over what the client asked for as it connected.
    pub(super) async fn greet(&self, startup: &std::collections::HashMap<String, String>) -> PgWireResult<()> {
        let mut state = self.state.lock().await;
        for (name, value) in variables::wanted(startup) {
            if let Some(ours) = name.strip_prefix("journeyql.") {
                self.put(ours, Some(&value)).await?;
            } else if let Some(warning) = state.variables.greet(&name, &value)? {
                self.warn(&warning);
            }
        }
        let said = |name: &str| startup.get(name).map_or("", String::as_str);
        state.variables.is_of(said("user"));
        let mut who = self.who.lock().unwrap_or_else(PoisonError::into_inner);
        for name in ["user", "application_name"].map(said).iter().filter(|name| !name.is_empty()) {
            who.push(' ');
            who.push_str(&name[..name.floor_char_boundary(limits::NAME_BYTES)]);
        }
        Ok(())
    }

    /// How long a statement may take.
    pub(super) async fn limit(&self) -> Duration {
        let most = self.server.queries.limits().time;
        self.state.lock().await.variables.time("statement_timeout").map_or(most, |asked| asked.min(most))
    }

    /// How long the client may be silent, and the code of the error that then ends the connection.
    pub(super) async fn patience(&self) -> (Duration, &'static str) {
        let state = self.state.lock().await;
        let (name, code) = match state.transaction {
            Some(_) => ("idle_in_transaction_session_timeout", "25P03"),
            None => ("idle_session_timeout", "57P05"),
        };
        (state.variables.time(name).map_or(limits::PG_IDLE, |asked| asked.min(limits::PG_IDLE)), code)
    }

    /// Begun queries leave their places to others until their rows are asked for.
    pub(super) fn pause(&self) {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.retain(|seat| {
            seat.upgrade().is_some_and(|seat| {
                seat.pause();
                true
            })
        });
    }

    /// Answers one statement; `before` is how many letters of the client's text stand before it, where it is as the
    /// client wrote it.
    ///
    /// # Errors
    /// It is refused, or fails.
    pub(super) async fn answer(
        &self,
        command: &Command,
        format: &Format,
        described: Option<SchemaRef>,
        before: Option<usize>,
    ) -> PgWireResult<Reply> {
        let mut state = self.state.lock().await;
        if matches!(command, Command::Begin) || command.query().is_some() {
            self.fresh(state.transaction.is_some()).await?;
        }
        let asker = command.query().filter(|(_, catalog)| *catalog).map(|_| self.asker(&state));
        Ok(match command {
            Command::Begin => self.begin(&mut state).await?,
            Command::End(commit) => self.end(&mut state, *commit).await?,
            Command::Savepoint(tag) | Command::Nothing(tag) => Reply::done(tag),
            Command::RollbackTo => Reply::done("ROLLBACK"),
            Command::Set { name, value, local } => self.set(&mut state, name, value.as_deref(), *local).await?,
            Command::Show(name) => self.show(&state, name, format).await?,
            Command::DiscardAll => {
                state.cursors.clear();
                self.settle(Vec::new()).await?;
                Reply { told: state.variables.reset(), ..Reply::done("DISCARD ALL") }
            }
            Command::Deallocate(_) => Reply::done("DEALLOCATE"),
            Command::Declare { name, query, hold } => {
                if state.cursors.contains_key(name) {
                    return Err(fault::error("42P03", format!("cursor \"{name}\" already exists")).into_error());
                }
                let source = self.query(query, asker, described, None).await?;
                let cursor = Cursor { source: Arc::new(Mutex::new(source)), hold: *hold };
                state.cursors.insert(name.clone(), cursor);
                Reply::done("DECLARE CURSOR")
            }
            Command::Fetch(fetch) => fetched(&state, fetch, format).await?,
            Command::Close(name) => {
                match name {
                    None => state.cursors.clear(),
                    Some(name) => drop(state.cursors.remove(name).ok_or_else(|| no_cursor(name))?),
                }
                Reply::done("CLOSE CURSOR")
            }
            Command::Copy { query, options } => {
                let source = self.query(query, asker, None, None).await?;
                let header = options.header;
                let response = Response::CopyOut(source::copied(source, options.clone())?);
                Reply { header, ..Reply::new(response) }
            }
            Command::Refused(verb) => return Err(refused(verb)),
            Command::Query { sql, .. } => {
                let source = self.query(sql, asker, described, before).await?;
                Reply::new(Response::Query(source::rows(Arc::new(Mutex::new(source)), format, None).await?))
            }
        })
    }

    /// What is known of a statement before its parameters have values; nothing of one without rows. `before` is as for
    /// [`Self::answer`].
    ///
    /// # Errors
    /// It is refused.
    pub(super) async fn describe(
        &self,
        command: &Command,
        declared: Vec<Option<DataType>>,
        before: Option<usize>,
    ) -> PgWireResult<Option<Described>> {
        let text = |names: &[&str]| {
            let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
            Ok(Some(Described { parameters: Vec::new(), schema: Arc::new(Schema::new(fields)) }))
        };
        match command {
            Command::Show(name) if name == "all" => text(&SETTINGS),
            Command::Show(name) => text(&[Variables::written(name)]),
            Command::Fetch(fetch) if !fetch.silent => {
                let schema = self.cursor_columns(&fetch.cursor).await;
                Ok(Some(Described { parameters: Vec::new(), schema: schema.ok_or_else(|| no_cursor(&fetch.cursor))? }))
            }
            Command::Refused(verb) => Err(refused(verb)),
            _ => match command.query() {
                Some((sql, catalog)) => self.described(sql.to_owned(), catalog, declared, before).await.map(Some),
                None => Ok(None),
            },
        }
    }

    /// The columns of a cursor.
    pub(super) async fn cursor_columns(&self, name: &str) -> Option<SchemaRef> {
        let state = self.state.lock().await;
        let source = state.cursors.get(name)?.source.lock().await;
        Some(Arc::clone(&source.columns.schema))
    }

    async fn described(
        &self,
        sql: String,
        catalog: bool,
        declared: Vec<Option<DataType>>,
        before: Option<usize>,
    ) -> PgWireResult<Described> {
        let (in_transaction, asker) = {
            let state = self.state.lock().await;
            (state.transaction.is_some(), catalog.then(|| self.asker(&state)))
        };
        self.fresh(in_transaction).await?;
        let session = Arc::clone(&self.session);
        let text = sql.clone();
        let mut work = self.server.queries.begin(async move {
            let mut session = session.lock().await;
            let session = session.as_mut().ok_or(Error::Closed)?;
            match asker {
                Some(asker) => session.describe_postgres(&text, &declared, &asker).await,
                None => session.describe(&text, &declared).await,
            }
        });
        match self.clock.within(work.end()).await? {
            Some(Ok(described)) => {
                described.map_err(|error| fault::of(&error, before.map(|before| (sql.as_str(), before))))
            }
            _ => Err(source::inside()),
        }
    }

    /// Who asks, for the catalog.
    fn asker(&self, state: &State) -> Asker {
        Asker {
            user: state.variables.get("session_authorization").unwrap_or_default(),
            pid: self.pid.load(Ordering::Relaxed),
            version: variables::VERSION,
            variables: state.variables.all(),
        }
    }

    /// Begins a query, of the catalog where somebody is said to ask.
    async fn query(
        &self,
        sql: &str,
        asker: Option<Asker>,
        described: Option<SchemaRef>,
        before: Option<usize>,
    ) -> PgWireResult<Source> {
        {
            let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
            seats.retain(|seat| seat.strong_count() > 0);
            if seats.len() >= limits::PG_OPEN_ANSWERS {
                let message = format!("this connection has {} answers that are not at their end", seats.len());
                return Err(fault::hinted("53400", message, "CLOSE cursors that are not needed any more"));
            }
        }
        let session = Arc::clone(&self.session);
        let text = sql.to_owned();
        let answer = async move {
            let mut session = session.lock().await;
            let session = session.as_mut().ok_or(Error::Closed)?;
            match asker {
                Some(asker) => session.query_postgres(&text, &asker).await,
                None => session.query(&text).await,
            }
        };
        let blame = |error: &Error| fault::of(error, before.map(|before| (sql, before)));
        let source = Source::begin(&self.server.queries, &self.clock, &self.notices, answer, described, blame).await?;
        self.seats.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(source.seat()));
        if let Some(snapshot) = source.reads {
            let who = self.who.lock().unwrap_or_else(PoisonError::into_inner).clone();
            self.server.queries.reads().note(&who, sql, snapshot).await;
        }
        Ok(source)
    }

    /// Makes the session one of the newest snapshot, unless a transaction holds it where it is.
    pub(super) async fn fresh(&self, in_transaction: bool) -> PgWireResult<()> {
        let opened = Box::pin(async {
            let mut session = self.session.lock().await;
            match &mut *session {
                None => {
                    self.opened(&mut session).await?;
                }
                Some(_) if in_transaction => {}
                Some(session) => self.server.queries.follow(session).await?,
            }
            Ok(())
        });
        self.clock.within(opened).await?.map_err(|error: Error| fault::of(&error, None))
    }

    /// The session, made where there is none.
    async fn opened<'a>(&self, session: &'a mut Option<Session>) -> Result<&'a mut Session, Error> {
        if session.is_none() {
            let mut reader = Box::pin(self.server.queries.reader()).await?;
            let settings = self.parked.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if !settings.is_empty() {
                Box::pin(reader.settle(settings)).await?;
            }
            *session = Some(reader);
        }
        session.as_mut().ok_or(Error::Closed)
    }

    /// Lets go of the snapshot of a client that asks for nothing: its files could not be removed.
    pub(super) async fn rest(&self) {
        let state = self.state.lock().await;
        if state.transaction.is_some() || !state.cursors.is_empty() {
            return;
        }
        if let Some(session) = self.session.lock().await.take() {
            *self.parked.lock().unwrap_or_else(PoisonError::into_inner) = session.settings().to_vec();
        }
    }
}

async fn fetched(state: &State, fetch: &Fetch, format: &Format) -> PgWireResult<Reply> {
    let cursor = state.cursors.get(&fetch.cursor).ok_or_else(|| no_cursor(&fetch.cursor))?;
    if fetch.backward {
        let hint = "FETCH NEXT, FORWARD n and ALL are possible";
        return Err(fault::hinted("55000", "a cursor goes forwards only", hint));
    }
    if !fetch.silent {
        let mut rows: QueryResponse = source::rows(Arc::clone(&cursor.source), format, fetch.count).await?;
        rows.set_command_tag("FETCH");
        return Ok(Reply::new(Response::Query(rows)));
    }
    let (mut source, mut moved) = (cursor.source.lock().await, 0);
    while fetch.count.is_none_or(|count| moved < count) && source.next().await?.is_some() {
        moved += 1;
    }
    Ok(Reply::new(Response::Execution(Tag::new("MOVE").with_rows(moved))))
}

fn no_cursor(name: &str) -> PgWireError {
    fault::error("34000", format!("cursor \"{name}\" does not exist")).into_error()
}

/// The refusal of what writes.
fn refused(verb: &str) -> PgWireError {
    let message = format!("{verb} is not possible: SQL here reads and never writes");
    match verb {
        "COPY" => fault::hinted("25006", message, "COPY (SELECT …) TO STDOUT, as text or CSV, is possible"),
        "PREPARE" | "EXECUTE" => fault::hinted("0A000", message, "the extended protocol prepares statements"),
        _ => fault::hinted("25006", message, "journeyql ingest adds data; journeyql sql has CREATE SEGMENT"),
    }
}
