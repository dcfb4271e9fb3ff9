//! The simple and the extended protocol: messages to statements, answers to messages.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, PoisonError};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion_postgres::pgwire::api::portal::{Format, Portal, PortalExecutionState};
use datafusion_postgres::pgwire::api::query::{
    ExtendedQueryHandler, SimpleQueryHandler, send_describe_response, send_execution_response,
    send_partial_query_response, send_query_response, send_ready_for_query,
};
use datafusion_postgres::pgwire::api::results::{CopyResponse, DescribePortalResponse, Response, Tag};
use datafusion_postgres::pgwire::api::stmt::StoredStatement;
use datafusion_postgres::pgwire::api::store::{Entry, PortalStore};
use datafusion_postgres::pgwire::api::{ClientInfo, ClientPortalStore, DEFAULT_NAME, PgWireConnectionState, Type};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::copy::{CopyDone, CopyOutResponse};
use datafusion_postgres::pgwire::messages::extendedquery::{
    Bind, BindComplete, Close, CloseComplete, Describe, Execute, Parse, ParseComplete, Sync as PgSync,
    TARGET_TYPE_BYTE_PORTAL,
};
use datafusion_postgres::pgwire::messages::response::{EmptyQueryResponse, TransactionStatus};
use datafusion_postgres::pgwire::messages::simplequery::Query;
use datafusion_postgres::pgwire::messages::startup::ParameterStatus;
use futures::{Sink, SinkExt, StreamExt};

use super::columns::Columns;
use super::command::Command;
use super::fault;
use super::prepared::{Prepared, Reader, allowed, begin, bound};
use super::talk::{Reply, Talk};
use crate::database::split_ranges;
use crate::limits;

/// One connection's handlers.
#[derive(Debug)]
pub(super) struct Handler {
    pub(super) talk: Arc<Talk>,
    reader: Arc<Reader>,
    /// Bytes of the prepared statements, and the portals, by name.
    kept: std::sync::Mutex<(BTreeMap<String, usize>, Vec<String>)>,
}

impl Handler {
    pub(super) fn new(talk: Arc<Talk>) -> Self {
        Self { reader: Arc::new(Reader(Arc::clone(&talk))), talk, kept: std::sync::Mutex::default() }
    }

    /// A statement's time begins.
    async fn begin<C: ClientInfo + Sync>(&self, client: &C) {
        // What was to be said beside a statement that failed is not said beside another.
        drop(self.talk.notices());
        begin(&self.talk, client).await;
    }

    /// Sends what a statement is answered with.
    async fn send<C>(&self, client: &mut C, reply: Reply, describe: bool) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        match reply.response {
            Response::EmptyQuery => {
                client.feed(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new())).await?;
            }
            Response::Query(rows) => send_query_response(client, rows, describe).await?,
            Response::Execution(tag) => send_execution_response(client, tag).await?,
            Response::TransactionStart(tag) => {
                client.set_transaction_status(TransactionStatus::Transaction);
                send_execution_response(client, tag).await?;
            }
            Response::TransactionEnd(tag) => {
                client.set_transaction_status(TransactionStatus::Idle);
                send_execution_response(client, tag).await?;
            }
            Response::CopyOut(copy) => send_copy(client, copy, reply.header).await?,
            _ => return Err(super::source::inside()),
        }
        for (name, value) in reply.told {
            client.feed(PgWireBackendMessage::ParameterStatus(ParameterStatus::new(name, value))).await?;
        }
        self.warn(client).await
    }

    /// Sends what is to be said beside the answer.
    pub(super) async fn warn<C>(&self, client: &mut C) -> PgWireResult<()>
    where
        C: Sink<PgWireBackendMessage> + Unpin,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        for notice in self.talk.notices() {
            client.feed(PgWireBackendMessage::NoticeResponse(fault::warning(&notice).into())).await?;
        }
        Ok(())
    }

    /// One statement, as it is written or with its parameters in it.
    async fn run<C>(
        &self,
        client: &mut C,
        command: &Command,
        format: &Format,
        described: Option<SchemaRef>,
        before: Option<usize>,
    ) -> PgWireResult<Reply>
    where
        C: ClientInfo + ClientPortalStore,
        C::PortalStore: PortalStore,
    {
        self.talk.count(|traffic| &traffic.statements);
        allowed(client, command)?;
        // What has failed is not committed.
        let failed = client.transaction_status() == TransactionStatus::Error;
        let command = if failed && *command == Command::End(true) { &Command::End(false) } else { command };
        if matches!(command, Command::RollbackTo) {
            client.set_transaction_status(TransactionStatus::Transaction);
        }
        let (statements, portals) = match command {
            Command::DiscardAll | Command::Deallocate(None) => {
                let kept = &mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                (std::mem::take(&mut kept.0), matches!(command, Command::DiscardAll))
            }
            Command::Deallocate(Some(name)) => (BTreeMap::from([(name.clone(), 0)]), false),
            _ => (BTreeMap::new(), false),
        };
        for name in statements.keys() {
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).0.remove(name);
            client.portal_store().rm_statement(name);
        }
        if portals {
            client.portal_store().clear_portals();
        }
        self.talk.answer(command, format, described, before).await
    }
}

/// The client may go on. What was not in a transaction is at its end, and its portals with it.
async fn ready<C>(client: &mut C) -> PgWireResult<()>
where
    C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
    C::PortalStore: PortalStore,
    C::Error: Debug,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    if client.transaction_status() == TransactionStatus::Idle {
        client.portal_store().clear_portals();
    }
    send_ready_for_query(client, client.transaction_status()).await
}

async fn send_copy<C>(client: &mut C, mut copy: CopyResponse, header: bool) -> PgWireResult<()>
where
    C: Sink<PgWireBackendMessage> + Unpin + Send + Sync,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    C::Error: Debug,
{
    let formats = copy.column_formats();
    let columns = i16::try_from(copy.columns).unwrap_or(i16::MAX);
    let head = CopyOutResponse::new(copy.format, columns, formats);
    client.feed(PgWireBackendMessage::CopyOutResponse(head)).await?;
    let mut rows = 0;
    while let Some(line) = copy.data_stream.next().await {
        client.feed(PgWireBackendMessage::CopyData(line?)).await?;
        rows += 1;
    }
    client.feed(PgWireBackendMessage::CopyDone(CopyDone::new())).await?;
    send_execution_response(client, Tag::new("COPY").with_rows(rows - usize::from(header))).await
}

#[async_trait]
impl SimpleQueryHandler for Handler {
    async fn on_query<C>(&self, client: &mut C, query: Query) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        let statements = split_ranges(&query.query);
        if statements.is_empty() {
            client.feed(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new())).await?;
        }
        for part in statements {
            self.begin(client).await;
            let before = query.query[..part.start].chars().count();
            let command = Command::read(&query.query[part.clone()]);
            let before = command.is_as(&query.query[part]).then_some(before);
            let done = match self.run(client, &command, &Format::UnifiedText, None, before).await {
                Ok(reply) => self.send(client, reply, true).await,
                Err(error) => Err(error),
            };
            self.talk.pause();
            done?;
        }
        ready(client).await
    }

    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let reply = self.run(client, &Command::read(query), &Format::UnifiedText, None, Some(0)).await?;
        Ok(vec![reply.response])
    }
}

#[async_trait]
impl ExtendedQueryHandler for Handler {
    type Statement = Arc<Prepared>;
    type QueryParser = Reader;

    fn query_parser(&self) -> Arc<Reader> {
        Arc::clone(&self.reader)
    }

    async fn on_parse<C>(&self, client: &mut C, mut message: Parse) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.clone().unwrap_or_else(|| DEFAULT_NAME.to_owned());
        {
            let kept = &mut self.kept.lock().unwrap_or_else(PoisonError::into_inner).0;
            let bytes: usize = kept.iter().filter(|(known, _)| **known != name).map(|(_, bytes)| bytes).sum();
            if bytes + message.query.len() > limits::PG_PREPARED_BYTES {
                let message = format!("prepared statements have more than {} MiB", limits::PG_PREPARED_BYTES >> 20);
                return Err(fault::hinted("53200", message, "DEALLOCATE those that are not needed any more"));
            }
        }
        for oid in &mut message.type_oids {
            // Values of types that there are not here come as texts.
            if Type::from_oid(*oid).is_none_or(|kind| {
                [Type::UUID, Type::JSON, Type::JSONB, Type::NAME, Type::BPCHAR, Type::UNKNOWN].contains(&kind)
            }) {
                *oid = if *oid == 0 || *oid == Type::UNKNOWN.oid() { 0 } else { Type::TEXT.oid() };
            }
        }
        match StoredStatement::parse(client, &message, Arc::clone(&self.reader)).await? {
            Some(statement) => client.portal_store().put_statement(Arc::new(statement)),
            None => client.portal_store().put_empty_statement(&name),
        }
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).0.insert(name, message.query.len() + 1024);
        client.feed(PgWireBackendMessage::ParseComplete(ParseComplete::new())).await?;
        Ok(())
    }

    async fn on_bind<C>(&self, client: &mut C, message: Bind) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let statement = message.statement_name.as_deref().unwrap_or(DEFAULT_NAME);
        let name = message.portal_name.as_deref().unwrap_or(DEFAULT_NAME);
        {
            let portals = &mut self.kept.lock().unwrap_or_else(PoisonError::into_inner).1;
            portals.retain(|known| client.portal_store().get_portal(known).is_some());
            if !portals.iter().any(|known| known == name) {
                if portals.len() >= limits::PG_PORTALS {
                    let message = format!("there are more than {} portals", limits::PG_PORTALS);
                    return Err(fault::hinted("53400", message, "close those that are not needed any more"));
                }
                portals.push(name.to_owned());
            }
        }
        match client.portal_store().get_statement(statement) {
            Some(Entry::Value(statement)) => {
                let portal = Portal::try_new(&message, statement)?;
                client.portal_store().put_portal(Arc::new(portal));
            }
            Some(Entry::Empty) => client.portal_store().put_empty_portal(name),
            None => return Err(PgWireError::StatementNotFound(statement.to_owned())),
        }
        client.feed(PgWireBackendMessage::BindComplete(BindComplete::new())).await?;
        Ok(())
    }

    async fn on_describe<C>(&self, client: &mut C, message: Describe) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        // A cursor is a portal of its name.
        if let Some(name) = message.name.as_deref().filter(|_| message.target_type == TARGET_TYPE_BYTE_PORTAL)
            && let Some(schema) = self.talk.cursor_columns(name).await
        {
            let fields = Columns::new(&schema, None)?.fields(&Format::UnifiedText)?;
            return send_describe_response(client, &DescribePortalResponse::new(fields)).await;
        }
        self._on_describe(client, message).await
    }

    async fn on_execute<C>(&self, client: &mut C, message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        let portal = match client.portal_store().get_portal(name) {
            Some(Entry::Value(portal)) => portal,
            Some(Entry::Empty) => {
                client.feed(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new())).await?;
                return Ok(());
            }
            None => return Err(PgWireError::PortalNotFound(name.to_owned())),
        };
        self.begin(client).await;
        let most = usize::try_from(message.max_rows).unwrap_or(0);
        let done = self.execute(client, &portal, most).await;
        self.talk.pause();
        done
    }

    async fn on_sync<C>(&self, client: &mut C, _: PgSync) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        ready(client).await
    }

    async fn on_close<C>(&self, client: &mut C, message: Close) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        if message.target_type == TARGET_TYPE_BYTE_PORTAL {
            client.portal_store().rm_portal(name);
        } else {
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).0.remove(name);
            client.portal_store().rm_statement(name);
        }
        client.feed(PgWireBackendMessage::CloseComplete(CloseComplete::new())).await?;
        Ok(())
    }

    async fn do_query<C>(&self, client: &mut C, portal: &Portal<Self::Statement>, _: usize) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        Ok(self.reply(client, portal).await?.response)
    }
}

impl Handler {
    async fn reply<C>(&self, client: &mut C, portal: &Portal<Arc<Prepared>>) -> PgWireResult<Reply>
    where
        C: ClientInfo + ClientPortalStore,
        C::PortalStore: PortalStore,
    {
        let prepared = &portal.statement.statement;
        let filled = bound(portal)?;
        let command = filled.as_ref().unwrap_or(&prepared.command);
        let before = prepared.before.filter(|_| filled.is_none());
        self.run(client, command, &portal.result_column_format, prepared.schema.clone(), before).await
    }

    async fn execute<C>(&self, client: &mut C, portal: &Portal<Arc<Prepared>>, most: usize) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Arc<Prepared>>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let state = portal.state();
        let state = &mut *state.lock().await;
        if matches!(state, PortalExecutionState::Initial) {
            let reply = self.reply(client, portal).await?;
            match reply.response {
                Response::Query(rows) if most > 0 => *state = PortalExecutionState::Suspended(rows),
                _ => {
                    *state = PortalExecutionState::Finished;
                    return self.send(client, reply, false).await;
                }
            }
        }
        allowed(client, &portal.statement.statement.command)?;
        match state {
            PortalExecutionState::Suspended(rows) => {
                if !send_partial_query_response(client, rows, most).await? {
                    *state = PortalExecutionState::Finished;
                }
                self.warn(client).await
            }
            _ => send_execution_response(client, Tag::new("SELECT").with_rows(0)).await,
        }
    }
}
