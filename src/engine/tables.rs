//! The native tables as DataFusion sees them: filters become bounds, settings are read when a query runs.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use crate::limits;

use super::operators::{EventsExec, JourneyExec, SharedPass};
use super::prune::{BoundColumns, Bounds};
use super::relations::tape::Facts;
use super::relations::{Relation, events};
use super::settings::Settings;
use super::source::Source;

/// Fewer rows than this are read by one reader: a second one costs more than it saves.
const ROWS_PER_READER: u64 = 8 * limits::BATCH_ROWS as u64;

/// The table `events`.
#[derive(Debug)]
pub struct EventsTable {
    source: Arc<Source>,
}

impl EventsTable {
    const COLUMNS: BoundColumns<'static> = BoundColumns { ids: &["user_id"], ts: "ts", day: "day" };
    const STORED: BoundColumns<'static> = BoundColumns { ids: &["distinct_id"], ts: "ts", day: "day" };

    /// The events of a snapshot.
    #[must_use]
    pub fn new(source: Arc<Source>) -> Self {
        Self { source }
    }
}

#[async_trait]
impl TableProvider for EventsTable {
    fn schema(&self) -> SchemaRef {
        events::schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let either = |filter: &&Expr| Bounds::helps(filter, Self::COLUMNS) || Bounds::helps(filter, Self::STORED);
        Ok(pushdown(filters, either))
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut bounds = Bounds::of(filters, Self::COLUMNS);
        // A person's rows have any of its ids; a stored id is itself.
        bounds.ids = bounds.ids.map(|persons| self.source.people().ids_of(&persons));
        if let Some(ids) = Bounds::of(filters, Self::STORED).ids {
            bounds.only(ids);
        }
        let parts: Vec<_> = self
            .source
            .parts()
            .iter()
            .filter(|part| part.ts_max >= bounds.from && part.ts_min <= bounds.to)
            .cloned()
            .collect();
        let rows = parts.iter().map(|part| part.rows).sum();
        let readers = if bounds.ids.is_some() { 1 } else { readers(session, rows) };
        let projection = projection.cloned().unwrap_or_else(|| (0..events::schema().fields().len()).collect());
        // A limit counts rows that pass the filters, which run above.
        let fetch = limit.filter(|_| filters.is_empty());
        let exec = EventsExec::new(parts, projection, bounds.ids, fetch, readers)?.with_people(self.source.people());
        Ok(Arc::new(exec.with_steps_where(self.source.step_filter(session)?, self.source.people())?))
    }
}

/// A table over the pass: `steps`, `edges`, `sessions` or `journeys`.
#[derive(Debug)]
pub struct JourneyTable {
    source: Arc<Source>,
    relation: Relation,
}

impl JourneyTable {
    /// A relation of a snapshot.
    #[must_use]
    pub fn new(source: Arc<Source>, relation: Relation) -> Self {
        Self { source, relation }
    }

    fn columns(&self) -> BoundColumns<'static> {
        BoundColumns { ids: &["user_id"], ts: self.relation.start_column(), day: "" }
    }
}

#[async_trait]
impl TableProvider for JourneyTable {
    fn schema(&self) -> SchemaRef {
        self.relation.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(pushdown(filters, |filter| Bounds::helps(filter, self.columns())))
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
        let bounds = Bounds::of(filters, self.columns());
        let schema = self.relation.schema();
        let projection = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let names: Vec<&str> = projection.iter().map(|&at| schema.field(at).name().as_str()).collect();
        settings.from = settings.from.max(Some(bounds.from)).filter(|&from| from != i64::MIN);
        if bounds.to != i64::MAX {
            settings.to = Some(settings.to.unwrap_or(i64::MAX).min(bounds.to.saturating_add(1)));
        }
        let numbered = names.contains(&"session_index");
        let from = settings.within().0;
        let needs = names.iter().flat_map(|name| self.relation.needs(name)).copied();
        let mut plan = self.source.steps_pass(session, &settings, bounds.ids, from, numbered)?.with_rows(needs);
        if names.contains(&"event") || !settings.end_events.is_empty() {
            plan = plan.with_events();
        }
        if names.iter().any(|name| Relation::tells_pages(name)) {
            plan = plan.with_pages();
        }
        let rows = plan.parts().iter().map(|part| part.rows).sum();
        let readers = if plan.is_about_few() { 1 } else { readers(session, rows) };
        let facts =
            Facts { now: self.source.now(&settings), first_ts: self.source.span().map_or(0, |span| span.0), settings };
        let pass = Arc::new(SharedPass::new(plan, readers));
        let exec = JourneyExec::new(self.relation, pass, Arc::new(facts), projection);
        Ok(match limit.filter(|_| filters.is_empty()).and_then(|limit| exec.with_fetch(Some(limit))) {
            Some(limited) => limited,
            None => Arc::new(exec),
        })
    }
}

pub(super) fn pushdown(filters: &[&Expr], helps: impl Fn(&&Expr) -> bool) -> Vec<TableProviderFilterPushDown> {
    let push = |filter: &&Expr| {
        if helps(filter) { TableProviderFilterPushDown::Inexact } else { TableProviderFilterPushDown::Unsupported }
    };
    filters.iter().map(push).collect()
}

/// How many readers are worth it for so many rows.
pub(super) fn readers(session: &dyn Session, rows: u64) -> usize {
    let most = usize::try_from(rows.div_ceil(ROWS_PER_READER)).unwrap_or(usize::MAX);
    session.config().target_partitions().clamp(1, most.max(1))
}
