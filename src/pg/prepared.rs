//! Statements of the extended protocol: what is known of one before it has values, and the statement with them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::common::ScalarValue;
use datafusion_postgres::pgwire::api::portal::{Format, Portal};
use datafusion_postgres::pgwire::api::results::FieldInfo;
use datafusion_postgres::pgwire::api::stmt::QueryParser;
use datafusion_postgres::pgwire::api::{ClientInfo, ConnectionHandle, Type};
use datafusion_postgres::pgwire::error::PgWireResult;
use datafusion_postgres::pgwire::messages::response::TransactionStatus;

use super::columns::Columns;
use super::command::Command;
use super::fault::{self, IntoError};
use super::talk::Talk;
use super::values::values;
use crate::database::{Described, bind_numbered, literal_of, split_ranges};
use crate::engine::QueryError;
use crate::engine::bound::sql_type;
use crate::engine::postgres::types::{pg_type, wire_schema};

/// A statement that was parsed, with what is known of it.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) command: Command,
    /// How many letters of the client's text stand before it, where it is as the client wrote it.
    pub(super) before: Option<usize>,
    /// The types of its parameters.
    parameters: Vec<Type>,
    /// The columns of its rows, as they were said to be.
    pub(super) schema: Option<SchemaRef>,
}

/// Reads statements for the extended protocol.
#[derive(Debug)]
pub(super) struct Reader(pub(super) Arc<Talk>);

/// A statement's time begins.
pub(super) async fn begin<C: ClientInfo + Sync>(talk: &Talk, client: &C) {
    let handle = client.session_extensions().get::<Arc<ConnectionHandle>>();
    let cancel = match handle {
        Some(handle) => Some(handle.start_query().await),
        None => None,
    };
    talk.clock.begin(talk.limit().await, cancel).await;
}

/// Refuses statements in a transaction that has failed.
pub(super) fn allowed<C: ClientInfo>(client: &C, command: &Command) -> PgWireResult<()> {
    if client.transaction_status() == TransactionStatus::Error && !command.mends() {
        let message = "current transaction is aborted, commands ignored until end of transaction block";
        return Err(fault::hinted("25P02", message, "ROLLBACK"));
    }
    Ok(())
}

#[async_trait]
impl QueryParser for Reader {
    type Statement = Arc<Prepared>;

    async fn parse_sql<C>(&self, client: &C, sql: &str, types: &[Option<Type>]) -> PgWireResult<Option<Arc<Prepared>>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let statements = split_ranges(sql);
        let [part] = statements.as_slice() else {
            if statements.is_empty() {
                return Ok(None);
            }
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(fault::error("42601", message).into_error());
        };
        let command = Command::read(&sql[part.clone()]);
        let before = command.is_as(&sql[part.clone()]).then(|| sql[..part.start].chars().count());
        allowed(client, &command)?;
        begin(&self.0, client).await;
        let declared = types.iter().map(|kind| kind.as_ref().and_then(arrow_type)).collect();
        let described = self.0.describe(&command, declared, before).await?;
        let Some(Described { parameters, schema }) = described else {
            return Ok(Some(Arc::new(Prepared { command, before, parameters: Vec::new(), schema: None })));
        };
        let told = |(at, kind): (usize, Option<DataType>)| match types.get(at) {
            Some(Some(kind)) => kind.clone(),
            _ => kind.map_or(Type::TEXT, |kind| pg_type(&Field::new("", kind, true))),
        };
        let parameters = parameters.into_iter().enumerate().map(told).collect();
        let rows = !matches!(command, Command::Declare { .. } | Command::Copy { .. });
        let schema = rows.then(|| wire_schema(&schema));
        Ok(Some(Arc::new(Prepared { command, before, parameters, schema })))
    }

    fn get_parameter_types(&self, statement: &Arc<Prepared>) -> PgWireResult<Vec<Type>> {
        Ok(statement.parameters.clone())
    }

    fn get_result_schema(&self, statement: &Arc<Prepared>, format: Option<&Format>) -> PgWireResult<Vec<FieldInfo>> {
        let Some(schema) = &statement.schema else { return Ok(Vec::new()) };
        Columns::new(schema, None)?.fields(format.unwrap_or(&Format::UnifiedText))
    }
}

/// The type of values of a client's type; text where nothing better is known.
fn arrow_type(kind: &Type) -> Option<DataType> {
    Some(match *kind {
        Type::BOOL => DataType::Boolean,
        Type::INT2 => DataType::Int16,
        Type::INT4 => DataType::Int32,
        Type::INT8 => DataType::Int64,
        Type::FLOAT4 => DataType::Float32,
        Type::FLOAT8 => DataType::Float64,
        Type::TEXT | Type::VARCHAR => DataType::Utf8,
        Type::BYTEA => DataType::Binary,
        Type::DATE => DataType::Date32,
        Type::TIME => DataType::Time64(TimeUnit::Microsecond),
        Type::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        Type::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY => DataType::new_list(DataType::Utf8, true),
        Type::INT2_ARRAY | Type::INT4_ARRAY | Type::INT8_ARRAY => DataType::new_list(DataType::Int64, true),
        Type::FLOAT8_ARRAY => DataType::new_list(DataType::Float64, true),
        _ => return None,
    })
}

/// The statement of a portal with its values in it.
pub(super) fn bound(portal: &Portal<Arc<Prepared>>) -> PgWireResult<Option<Command>> {
    let prepared = &portal.statement.statement;
    let values = values(portal, &prepared.parameters)?;
    if values.is_empty() {
        return Ok(None);
    }
    let zoned = |kind: &Type| matches!(*kind, Type::TIMESTAMPTZ | Type::TIMESTAMPTZ_ARRAY);
    let values = values.iter().zip(&prepared.parameters);
    // A time that came as a text has its type all the same: one may add to it.
    let typed = |(value, kind): (&ScalarValue, &Type)| {
        let literal = literal_of(value, zoned(kind))?;
        let name = arrow_type(kind).filter(DataType::is_temporal).and_then(|kind| sql_type(&kind));
        Ok(match name.filter(|_| matches!(value, ScalarValue::Utf8(Some(_)))) {
            Some(name) => format!("CAST({literal} AS {name})"),
            None => literal,
        })
    };
    let literals = values.map(typed).collect::<Result<Vec<_>, QueryError>>();
    let fill = |sql: &str| {
        let filled = literals.clone().and_then(|literals| bind_numbered(sql, &literals));
        filled.map_err(|error| fault::of(&error.into(), None))
    };
    Ok(Some(match &prepared.command {
        Command::Query { sql, catalog } => Command::Query { sql: fill(sql)?, catalog: *catalog },
        Command::Declare { name, query, hold } => {
            Command::Declare { name: name.clone(), query: fill(query)?, hold: *hold }
        }
        Command::Copy { query, options } => Command::Copy { query: fill(query)?, options: options.clone() },
        other => other.clone(),
    }))
}
