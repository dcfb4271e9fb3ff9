//! Segments: saved groups of people, each the text of a query, answered when somebody uses the group.
//!
//! ```text
//! SET journeyql.segment = 'vip'   funnel(…, segment => 'vip')
//!            └──────────┬──────────────────┘
//!   Settings.segment ─► find_people ─► the query's user_ids, once for the snapshot ─► Settings.people ─► ScanPlan
//! ```
//!
//! Invariants: a group is who its query names over the snapshot that is read, under the settings of the configuration, so
//! that a name means the same people whatever is SET beside it; a query that needs itself is refused; nothing of an answer
//! is written down.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::can_cast_types;
use arrow::datatypes::DataType;
use datafusion::catalog::Session;
use datafusion::common::{Column, Result, internal_datafusion_err, plan_datafusion_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::physical_plan::execute_stream;
use futures::TryStreamExt;
use tokio::sync::OnceCell;

use super::error::{QueryError, QueryErrorKind};
use super::settings::Settings;
use super::state::{UTC, set_clock};
use super::statement::parse_query;
use crate::error::did_you_mean;
use crate::store::SegmentRow;

/// The column of a segment's query that says who is in it.
pub const MEMBER: &str = "user_id";

/// The people of a segment, ascending, and the memory they take.
#[derive(Debug)]
struct Members {
    people: Arc<[String]>,
    _memory: MemoryReservation,
}

#[derive(Debug)]
struct Segment {
    row: SegmentRow,
    members: OnceCell<Members>,
}

/// The segments of a snapshot.
#[derive(Debug, Default)]
pub struct Segments {
    all: BTreeMap<String, Segment>,
    /// What their queries are answered under.
    base: Settings,
}

impl Segments {
    /// These segments, under these settings.
    #[must_use]
    pub fn new(rows: &[SegmentRow], base: Settings) -> Self {
        let segment = |row: &SegmentRow| (row.name.clone(), Segment { row: row.clone(), members: OnceCell::new() });
        Self { all: rows.iter().map(segment).collect(), base }
    }

    /// Their names, ascending.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all.keys().map(String::as_str)
    }

    /// They as they are stored.
    pub fn rows(&self) -> impl Iterator<Item = &SegmentRow> {
        self.all.values().map(|segment| &segment.row)
    }

    /// Checks that there is a segment of that name.
    ///
    /// # Errors
    /// There is none; the nearest name is said.
    pub fn check(&self, name: &str) -> Result<()> {
        self.get(name).map(|_| ())
    }

    fn get(&self, name: &str) -> Result<&Segment> {
        let missing = || {
            let hint = did_you_mean(name, self.names()).unwrap_or_else(|| match self.all.len() {
                0 => "there is none yet: CREATE SEGMENT name AS SELECT user_id …".to_owned(),
                _ => "SHOW SEGMENTS lists them".to_owned(),
            });
            plan_datafusion_err!("no segment '{name}' – {hint}")
        };
        self.all.get(name).ok_or_else(missing)
    }

    /// Puts the people of the settings' segment, if one is asked for, beside its name.
    ///
    /// # Errors
    /// There is no such segment, its query needs itself, or it fails.
    pub async fn find_people(&self, session: &dyn Session, settings: &mut Settings) -> Result<()> {
        if let Some(name) = &settings.segment
            && settings.people.is_none()
        {
            settings.people = Some(self.people(session, name).await?);
        }
        Ok(())
    }

    /// The people of a segment, ascending.
    ///
    /// # Errors
    /// As for [`Self::find_people`].
    pub async fn people(&self, session: &dyn Session, name: &str) -> Result<Arc<[String]>> {
        let segment = self.get(name)?;
        let inside = Settings::of(session.config_options()).inside;
        if inside.iter().any(|outer| outer == name) {
            return plan_err!("the segment '{name}' needs itself: {} > {name}", inside.join(" > "));
        }
        if inside.is_empty() {
            let answered = segment.members.get_or_try_init(|| self.members(session, name, inside));
            return Ok(Arc::clone(&answered.await?.people));
        }
        // Two that need each other must not wait for each other.
        if let Some(members) = segment.members.get() {
            return Ok(Arc::clone(&members.people));
        }
        let members = self.members(session, name, inside).await?;
        // The answer is the same whoever asks: kept, or nested segments would be answered again and again.
        let people = Arc::clone(&members.people);
        let _ = segment.members.set(members);
        Ok(people)
    }

    async fn members(&self, session: &dyn Session, name: &str, inside: Vec<String>) -> Result<Members> {
        let state = self.inside(state(session)?, name, inside)?;
        // Boxed: a segment's query may need another segment.
        Box::pin(answer(&state, &self.get(name)?.row.sql)).await.map_err(|error| within(name, error))
    }

    /// The session that a segment's query is answered in, itself inside of those of others.
    fn inside(&self, state: &SessionState, name: &str, mut inside: Vec<String>) -> Result<SessionState> {
        let mut state = state.clone();
        inside.push(name.to_owned());
        let options = state.config_mut().options_mut();
        options.extensions.insert(Settings { inside, ..self.base.clone() });
        if options.execution.time_zone.as_deref() != Some(UTC) {
            set_clock(&mut state, UTC)?;
        }
        state.mark_start_execution();
        Ok(state)
    }

    /// Checks that a text can be the query of the segment `name`.
    ///
    /// # Errors
    /// It is not one query, cannot be planned, does not say who is in it, or needs the segment itself.
    pub async fn check_query(&self, state: &SessionState, name: &str, sql: &str) -> Result<()> {
        let state = self.inside(state, name, Vec::new())?;
        let plan = plan(&state, sql).await?;
        // The tables ask for the segments that they need when they are scanned.
        state.create_physical_plan(&plan).await.map(drop)
    }
}

/// The session behind the trait.
///
/// # Errors
/// It is not `DataFusion`'s own.
pub fn state(session: &dyn Session) -> Result<&SessionState> {
    let state = session.as_any().downcast_ref::<SessionState>();
    state.ok_or_else(|| internal_datafusion_err!("a session without its state"))
}

/// The plan of a segment's query: each person once, as text.
///
/// # Errors
/// It is not one query, cannot be planned, or does not say who is in it.
async fn plan(state: &SessionState, sql: &str) -> Result<LogicalPlan> {
    let statement = parse_query(sql).map_err(|error| plan_datafusion_err!("{error}"))?;
    let plan = state.statement_to_plan(statement).await?;
    let columns: Vec<Column> = plan.schema().columns();
    let mut members = columns.iter().filter(|column| column.name == MEMBER);
    let (Some(member), None) = (members.next(), members.next()) else {
        let there: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        return plan_err!("the query of a segment needs one column {MEMBER}, it has {}", there.join(", "));
    };
    let kind = plan.schema().qualified_field_from_column(member)?.1.data_type().clone();
    if !can_cast_types(&kind, &DataType::Utf8) {
        return plan_err!("the column {MEMBER} of a segment is text, not {kind}");
    }
    let member = Expr::Column(member.clone());
    // Each once before it becomes a text: a pass counts people by number.
    let each = LogicalPlanBuilder::from(plan).project([member])?.distinct()?.build()?;
    let member = Expr::from(each.schema().qualified_field(0));
    LogicalPlanBuilder::from(each).project([cast(member, DataType::Utf8).alias(MEMBER)])?.build()
}

async fn answer(state: &SessionState, sql: &str) -> Result<Members> {
    let plan = plan(state, sql).await?;
    let physical = state.create_physical_plan(&plan).await?;
    let context = state.task_ctx();
    let memory = MemoryConsumer::new("segment").register(context.memory_pool());
    let mut people: Vec<String> = Vec::new();
    let mut batches = execute_stream(physical, context)?;
    while let Some(batch) = batches.try_next().await? {
        let column = batch.column(0).as_string::<i32>();
        memory.try_grow(column.values().len() + batch.num_rows() * size_of::<String>())?;
        people.extend(column.iter().flatten().map(str::to_owned));
    }
    people.sort_unstable();
    // Texts of several types may have been one.
    people.dedup();
    Ok(Members { people: people.into(), _memory: memory })
}

/// Says in which segment a query went wrong.
fn within(name: &str, error: DataFusionError) -> DataFusionError {
    match QueryError::from_datafusion(&error, &[]) {
        said if said.kind == QueryErrorKind::Sql => {
            let said = QueryError { at: None, ..said };
            plan_datafusion_err!("in the segment '{name}': {said}")
        }
        _ => error,
    }
}
