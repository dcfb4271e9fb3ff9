//! `segment_members`: who is in which segment, a row for each, found when the table is read.
//!
//! Like the relations over the events it obeys `journeyql.user` and `journeyql.segment`: it has the people whom they leave.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{MemTable, Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::TableType;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

use super::segments::MEMBER;
use super::settings::Settings;
use super::source::Source;

/// The table.
#[derive(Debug)]
pub struct MembersTable {
    source: Arc<Source>,
    schema: SchemaRef,
}

impl MembersTable {
    /// The members of a snapshot's segments.
    #[must_use]
    pub fn new(source: Arc<Source>) -> Self {
        let column = |name: &str| Field::new(name, DataType::Utf8, false);
        Self { source, schema: Arc::new(Schema::new(vec![column("segment"), column(MEMBER)])) }
    }
}

#[async_trait]
impl TableProvider for MembersTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut settings = Settings::of(session.config_options());
        self.source.segments().find_people(session, &mut settings).await?;
        let (mut segments, mut users) = (StringBuilder::new(), StringBuilder::new());
        for name in self.source.segments().names() {
            for user in self.source.segments().people(session, name).await?.iter() {
                let is_named = settings.user.as_ref().is_none_or(|named| named == user);
                if is_named && settings.people.as_ref().is_none_or(|people| people.binary_search(user).is_ok()) {
                    segments.append_value(name);
                    users.append_value(user);
                }
            }
        }
        let columns = vec![Arc::new(segments.finish()) as _, Arc::new(users.finish()) as _];
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        let table = MemTable::try_new(Arc::clone(&self.schema), vec![vec![rows]])?;
        table.scan(session, projection, filters, limit).await
    }
}
