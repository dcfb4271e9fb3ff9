//! `segment_members`: who is in which segment, a row for each, found when the table is read.
//!
//! Like the relations over the events it obeys `journeyql.user` and `journeyql.segment`: it has the people whom they leave.
//! Only the segments that a filter leaves are answered: one whose query fails stops nobody who asks for another.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{MemTable, Session, TableProvider};
use datafusion::common::{Result, plan_datafusion_err, plan_err};
use datafusion::datasource::TableType;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;

use super::prune::{BoundColumns, Bounds};
use super::segments::MEMBER;
use super::settings::Settings;
use super::source::Source;
use super::tables::pushdown;

/// The table.
#[derive(Debug)]
pub struct MembersTable {
    source: Arc<Source>,
    schema: SchemaRef,
}

/// What a filter says about segments.
const COLUMNS: BoundColumns<'static> = BoundColumns { ids: &["segment"], ts: "", day: "" };

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

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(pushdown(filters, |filter| Bounds::helps(filter, COLUMNS)))
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
        let wanted = Bounds::of(filters, COLUMNS).ids;
        if let (None, Some(inside)) = (&wanted, settings.inside.last()) {
            return plan_err!("the segment '{inside}' needs itself: segment_members has all; say WHERE segment = '…'");
        }
        let is_wanted = |name: &str| wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|one| one == name));
        let (mut segments, mut users) = (StringBuilder::new(), StringBuilder::new());
        for name in self.source.segments().names().filter(|name| is_wanted(name)) {
            let people = self.source.segments().people(session, name).await.map_err(|error| without(name, error));
            for user in people?.iter() {
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

/// Says how the others can be read when one fails.
fn without(name: &str, error: DataFusionError) -> DataFusionError {
    match error {
        DataFusionError::Plan(said) => {
            plan_datafusion_err!("{said} – DROP SEGMENT \"{}\" or filter by segment", name.replace('"', "\"\""))
        }
        other => other,
    }
}
