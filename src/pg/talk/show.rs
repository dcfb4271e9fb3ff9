//! SHOW: what is set, ours and what Postgres clients ask for.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::Response;
use datafusion_postgres::pgwire::error::PgWireResult;
use tokio::sync::Mutex;

use super::super::source::{self, Source};
use super::super::variables::Variables;
use super::{Reply, State, Talk};
use crate::database::literal;

impl Talk {
    pub(super) async fn show(&self, state: &State, name: &str, format: &Format) -> PgWireResult<Reply> {
        let rows = if name == "all" {
            let mut rows: Vec<[String; 3]> =
                state.variables.all().into_iter().map(|(name, value)| [name, value, String::new()]).collect();
            rows.extend(self.texts(OUR_SETTINGS).await?.into_iter().filter_map(|row| row.try_into().ok()));
            let column = |at: usize| rows.iter().map(|row| row[at].as_str()).collect();
            batch(&SETTINGS, (0..3).map(column).collect())?
        } else if let Some(ours) = name.strip_prefix("journeyql.") {
            let value = self.texts(&format!("SELECT setting({})", literal(ours))).await?.concat().concat();
            batch(&[name], vec![vec![&value]])?
        } else {
            batch(&[Variables::written(name)], vec![vec![&state.variables.get(name)?]])?
        };
        let source = Source::of(&self.server.queries, &self.clock, rows)?;
        let mut rows = source::rows(Arc::new(Mutex::new(source)), format, None).await?;
        rows.set_command_tag("SHOW");
        Ok(Reply::new(Response::Query(rows)))
    }

    /// The rows of a small query of our own as texts.
    pub(super) async fn texts(&self, sql: &str) -> PgWireResult<Vec<Vec<String>>> {
        self.fresh(true).await?;
        let mut source = self.query(sql, None, None, None).await?;
        let mut rows = Vec::new();
        while let Some((batch, at)) = source.next().await? {
            let text = |column: &ArrayRef| arrow::util::display::array_value_to_string(column, at);
            let row = batch.columns().iter().map(text).collect::<Result<_, _>>();
            rows.push(row.map_err(|_| source::inside())?);
        }
        Ok(rows)
    }
}

/// Columns of SHOW ALL.
pub(super) const SETTINGS: [&str; 3] = ["name", "setting", "description"];
const OUR_SETTINGS: &str = "SELECT name, coalesce(value, ''), coalesce(description, '') FROM \
                            information_schema.df_settings WHERE name LIKE 'journeyql.%'";

fn batch(names: &[&str], columns: Vec<Vec<&str>>) -> PgWireResult<RecordBatch> {
    let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
    let arrays = columns.into_iter().map(|column| Arc::new(StringArray::from(column)) as ArrayRef).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(|_| source::inside())
}
