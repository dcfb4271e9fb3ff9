//! The engine: one snapshot, one session, SQL in and rows out.
//!
//! ```text
//! text ─► parse (length, depth, verbs) ─► plan on a big stack ─► verify ─► optimise ─► execute ─► Answer
//! ```

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{Expr, LogicalPlan, Statement as PlanStatement};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SQLOptions;
use datafusion::sql::parser::Statement;
use futures::TryStreamExt;

use crate::config::Config;
use crate::correction::Correction;
use crate::error::closest;
use crate::store::{Snapshot, Store};

use super::answer::Answer;
use super::catalog::{CATALOG, SCHEMA};
use super::error::QueryError;
use super::notices::Notices;
use super::operators::stoppable;
use super::planning::{check_size, on_big_stack};
use super::relations::events;
use super::scan::{Overlay, PartFile};
use super::segments::Segments;
use super::settings::{NAMES, PREFIX, Settings};
use super::source::Source;
use super::state::{TIME_ZONE, UTC, session_state, set_clock};
use super::statement::{parse, parse_query, reset_name};
use super::stop::Stop;
use super::views::Queries;
use super::{functions, goals};

/// What an engine is made of.
#[derive(Debug)]
pub struct EngineOptions {
    /// What is read; leased for as long as the engine lives.
    pub snapshot: Snapshot,
    /// What is said of single events, oldest first, in place of what the snapshot says.
    pub corrections: Option<Vec<Correction>>,
    /// Where the audit is read from.
    pub store: Arc<Store>,
    pub config: Arc<Config>,
    /// Parallel readers; at least 1.
    pub threads: usize,
    /// Memory that queries may hold in bytes.
    pub memory_bytes: usize,
    /// When open sessions are judged (µs); the latest event if absent.
    pub now: Option<i64>,
    /// The store's own views, if it has any.
    pub views_dir: Option<PathBuf>,
}

/// SQL over one snapshot, with the settings of one session.
#[derive(Debug)]
pub struct Engine {
    source: Arc<Source>,
    snapshot: Snapshot,
    corrections: Arc<[Correction]>,
    store: Arc<Store>,
    views: Arc<Queries>,
    runtime: Arc<RuntimeEnv>,
    threads: usize,
    base: Settings,
    state: Arc<RwLock<SessionState>>,
    /// What Postgres clients are told of this snapshot's tables, once one asks.
    #[cfg(feature = "pg")]
    known: Arc<tokio::sync::OnceCell<Arc<super::postgres::Known>>>,
}

impl Engine {
    /// An engine with the settings that the configuration asks for.
    ///
    /// # Errors
    /// `[steps] where` is no predicate over `events`, a goal none over `steps`, or a view of the store is malformed.
    pub fn new(options: EngineOptions) -> Result<Self, QueryError> {
        let views =
            Arc::new(Queries::views(options.views_dir.as_deref(), &goals::views(&options.config.journey.goals)?)?);
        let pool = TrackConsumersPool::new(FairSpillPool::new(options.memory_bytes.max(64 << 20)), TOP_CONSUMERS);
        let runtime =
            RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).build_arc().map_err(|error| internal(&error))?;
        let base = Settings::new(&options.config, options.now);
        let steps_where = steps_where(&options.config)?;
        let parts = options.snapshot.events().iter().map(PartFile::from).collect();
        let failed = |error| internal(&DataFusionError::External(Box::new(error)));
        let mut people = options.store.people(&options.snapshot).map_err(failed)?;
        let corrections = match options.corrections {
            Some(corrections) => corrections,
            None => options.store.corrections(&options.snapshot).map_err(failed)?,
        };
        let overlay = Overlay::new(parts, &corrections).map_err(|error| internal(&error))?;
        people.set_apart(&overlay.apart);
        let source = Source::new(options.config, options.snapshot.id, overlay.parts, steps_where, Arc::new(people));
        let rows = options.store.segments(&options.snapshot).map_err(failed)?;
        let source = source.with_edges(overlay.edges).with_segments(Segments::new(&rows, base.clone()));
        let source = Arc::new(source);
        let (snapshot, store, threads) = (options.snapshot, options.store, options.threads.max(1));
        let corrections: Arc<[Correction]> = corrections.into();
        let state = session_state(&source, (&snapshot, &corrections), &store, &views, &runtime, threads, &base);
        let state = state.map_err(|error| internal(&error))?;
        Ok(Self {
            source,
            snapshot,
            corrections,
            store,
            views,
            runtime,
            threads,
            base,
            state,
            #[cfg(feature = "pg")]
            known: Arc::default(),
        })
    }

    /// Another session over the same snapshot, with settings of its own.
    ///
    /// # Errors
    /// The session cannot be built.
    pub fn fork(&self) -> Result<Self, QueryError> {
        let Self { source, snapshot, corrections, store, views, runtime, threads, base, .. } = self;
        let state = session_state(source, (snapshot, corrections), store, views, runtime, *threads, base);
        let state = state.map_err(|error| internal(&error))?;
        Ok(Self {
            source: Arc::clone(source),
            snapshot: snapshot.clone(),
            corrections: Arc::clone(corrections),
            store: Arc::clone(store),
            views: Arc::clone(views),
            runtime: Arc::clone(runtime),
            threads: *threads,
            base: base.clone(),
            state,
            #[cfg(feature = "pg")]
            known: Arc::clone(&self.known),
        })
    }

    /// Runs statements: any number of SET and RESET, then at most one that has rows.
    ///
    /// # Errors
    /// The text is refused or cannot be planned.
    pub async fn query(&self, sql: &str) -> Result<Answer, QueryError> {
        let mut statements = parse(sql)?;
        while let Some(statement) = statements.pop_front() {
            if let Statement::Reset(reset) = &statement {
                self.reset(&reset_name(reset))?;
                continue;
            }
            let plan = self.plan(self.state(), statement).await?;
            if let LogicalPlan::Statement(PlanStatement::SetVariable(set)) = &plan {
                self.set(&set.variable, &set.value)?;
                continue;
            }
            if !statements.is_empty() {
                return Err(only_the_last());
            }
            return self.run(self.state(), plan).await;
        }
        Ok(Answer::empty())
    }

    /// The physical plan of one statement, for EXPLAIN and tests.
    ///
    /// # Errors
    /// The text is refused or cannot be planned.
    pub async fn physical_plan(&self, sql: &str) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
        let mut statements = parse(sql)?;
        let (Some(statement), true) = (statements.pop_front(), statements.is_empty()) else {
            return Err(QueryError::sql("one statement is expected"));
        };
        let plan = self.plan(self.state(), statement).await?;
        self.physical(self.state(), plan).await
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings::of(self.state().config_options())
    }

    /// Changes a setting: `journeyql.NAME`, or the few of `DataFusion` that change no answer.
    ///
    /// # Errors
    /// There is no such setting or the value makes no sense.
    pub fn set(&self, name: &str, value: &str) -> Result<(), QueryError> {
        let free = ["datafusion.explain.", TIME_ZONE];
        if !name.starts_with(PREFIX) && !free.iter().any(|it| name.starts_with(it)) {
            return Err(QueryError::sql(no_setting(name)));
        }
        if name == SEGMENT && !value.is_empty() {
            self.source.segments().check(value).map_err(|error| self.error(&error))?;
        }
        self.put(name, value)
    }

    /// Takes over settings of a session over an older snapshot, whatever has become since of what they name.
    ///
    /// # Errors
    /// The text is no SET or RESET.
    pub async fn settle(&self, sql: &str) -> Result<(), QueryError> {
        for statement in parse(sql)? {
            match &statement {
                Statement::Reset(reset) => self.reset(&reset_name(reset))?,
                _ => match self.plan(self.state(), statement).await? {
                    LogicalPlan::Statement(PlanStatement::SetVariable(set)) => self.put(&set.variable, &set.value)?,
                    _ => return Err(QueryError::sql("only SET and RESET are taken over")),
                },
            }
        }
        Ok(())
    }

    /// Checks that a text can be the query of the segment `name`.
    ///
    /// # Errors
    /// It is no query, cannot be planned, does not say who is in it, or needs the segment itself.
    pub async fn check_segment(&self, name: &str, sql: &str) -> Result<(), QueryError> {
        parse_query(sql)?;
        let (state, source) = (self.state(), Arc::clone(&self.source));
        let (name, sql) = (name.to_owned(), sql.to_owned());
        let check = move || async move { source.segments().check_query(&state, &name, &sql).await };
        on_big_stack(check).await?.map_err(|error| self.error(&error))
    }

    /// Refuses WITH RECURSIVE from now on: nothing bounds how long it goes on, nor how long a text grows in it.
    ///
    /// # Errors
    /// There is no such option.
    pub fn forbid_recursion(&self) -> Result<(), QueryError> {
        self.put("datafusion.execution.enable_recursive_ctes", "false")
    }

    fn put(&self, name: &str, value: &str) -> Result<(), QueryError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let set = match name {
            TIME_ZONE => set_clock(&mut state, value),
            _ => state.config_mut().options_mut().set(name, value),
        };
        set.map_err(|error| internal(&error))
    }

    /// Gives a setting, or `all` of ours and the clock, the value of the configuration again.
    ///
    /// # Errors
    /// There is no such setting.
    pub fn reset(&self, name: &str) -> Result<(), QueryError> {
        let mut settings = self.settings();
        match name.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('.')) {
            _ if name == TIME_ZONE => {}
            _ if name == "all" => settings = self.base.clone(),
            Some(key) => settings.reset(key, &self.base).map_err(QueryError::sql)?,
            None => return Err(QueryError::sql(no_setting(name))),
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.config_mut().options_mut().extensions.insert(settings);
        let reset = if matches!(name, "all" | TIME_ZONE) { set_clock(&mut state, UTC) } else { Ok(()) };
        reset.map_err(|error| internal(&error))
    }

    /// The views of this engine.
    #[must_use]
    pub fn views(&self) -> &Queries {
        &self.views
    }

    #[cfg(feature = "pg")]
    pub(super) const fn known_cell(&self) -> &Arc<tokio::sync::OnceCell<Arc<super::postgres::Known>>> {
        &self.known
    }

    #[cfg(feature = "pg")]
    pub(super) const fn view_texts(&self) -> &Arc<Queries> {
        &self.views
    }

    /// What it reads from.
    #[must_use]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Every table and view by name.
    #[must_use]
    pub fn table_names(&self) -> Vec<String> {
        let schema = self.state().catalog_list().catalog(CATALOG).and_then(|catalog| catalog.schema(SCHEMA));
        schema.map(|schema| schema.table_names()).unwrap_or_default()
    }

    /// Every function by name, for completion.
    #[must_use]
    pub fn function_names(&self) -> Vec<String> {
        let state = self.state();
        let all = state.udfs().into_iter().chain(state.udafs()).chain(state.udwfs());
        let mut names: Vec<String> = all.chain(functions::table_function_names().map(str::to_owned)).collect();
        names.sort();
        names.dedup();
        names
    }

    pub(super) fn state(&self) -> SessionState {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn error(&self, error: &DataFusionError) -> QueryError {
        let said = QueryError::from_datafusion(error, &self.table_names());
        let Some(name) = said.message.strip_prefix("no function ") else { return said };
        // One of ours that stands where it cannot be.
        if let Some(doc) = functions::docs().iter().find(|doc| doc.name.eq_ignore_ascii_case(name)) {
            let (kind, way) = (doc.kind, doc.signature.lines().next().unwrap_or_default());
            let way = if doc.is_table() { format!("SELECT … FROM {way}") } else { format!("SELECT {way} …") };
            let here = QueryError { message: format!("no function {name} here"), ..said };
            let kind = if kind == "aggregate" { "an aggregate".to_owned() } else { format!("a {kind} function") };
            return here.with_hint(format!("it is {kind}: write {way}"));
        }
        match closest(name, self.function_names().iter().map(String::as_str)) {
            Some(near) => said.with_hint(format!("did you mean {near}?")),
            None => said,
        }
    }

    /// Plans a statement that was parsed here in a state of this engine.
    pub(super) async fn plan(&self, mut state: SessionState, statement: Statement) -> Result<LogicalPlan, QueryError> {
        state.mark_start_execution();
        let plan = on_big_stack(move || async move { state.statement_to_plan(statement).await }).await?;
        let plan = plan.map_err(|error| self.error(&error))?;
        check_size(&plan)?;
        let reading = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(true);
        reading.verify_plan(&plan).map_err(|error| self.error(&error))?;
        match &plan {
            LogicalPlan::Statement(PlanStatement::SetVariable(_)) => Ok(plan),
            LogicalPlan::Statement(other) => Err(QueryError::sql(format!("{} is not possible here", other.name()))),
            _ => Ok(plan),
        }
    }

    async fn physical(&self, mut state: SessionState, plan: LogicalPlan) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
        state.mark_start_execution();
        let made = on_big_stack(move || async move { state.create_physical_plan(&plan).await }).await?;
        made.map_err(|error| self.error(&error))
    }

    pub(super) async fn run(&self, mut state: SessionState, plan: LogicalPlan) -> Result<Answer, QueryError> {
        let reads = reads_store(&plan).map_err(|error| self.error(&error))?;
        let physical = self.physical(state.clone(), plan).await?;
        let physical = match Stop::current() {
            Some(stop) => stoppable(physical, &stop).map_err(|error| self.error(&error))?,
            None => physical,
        };
        let notices = Arc::new(Notices::default());
        state.config_mut().set_extension(Arc::clone(&notices));
        let (schema, context) = (physical.schema(), state.task_ctx());
        // Nothing is computed before rows are asked for: a plan in several parts begins with all of them by itself.
        let rows = futures::stream::once(async move { execute_stream(physical, context) }).try_flatten();
        Ok(Answer::new(Box::pin(RecordBatchStreamAdapter::new(schema, rows)), notices, reads))
    }
}

/// Whether a plan reads a table of ours; those of Postgres only say which tables there are.
fn reads_store(plan: &LogicalPlan) -> Result<bool, DataFusionError> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        let schema = match node {
            LogicalPlan::TableScan(scan) => scan.table_name.schema(),
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        found |= !matches!(schema, Some("pg_catalog" | "information_schema"));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// The refusal of several statements that have rows.
#[must_use]
pub fn only_the_last() -> QueryError {
    QueryError::sql("only the last statement may have rows")
        .with_hint("run the others on their own; SET and RESET may stand before it")
}

/// The setting that names a segment.
const SEGMENT: &str = "journeyql.segment";

/// The message for a name that is none of our settings; one of ours without its prefix is recognised.
fn no_setting(name: &str) -> String {
    if NAMES.iter().any(|(known, _)| *known == name) {
        format!("no setting {name} – did you mean {PREFIX}.{name}?")
    } else {
        format!("no setting {name} – SHOW ALL lists them")
    }
}

/// Consumers named in an out-of-memory message.
const TOP_CONSUMERS: std::num::NonZeroUsize = std::num::NonZeroUsize::MIN.saturating_add(2);

fn internal(error: &DataFusionError) -> QueryError {
    QueryError::from_datafusion(error, &[])
}

/// `[steps] where` as an expression over `events`.
fn steps_where(config: &Config) -> Result<Option<Expr>, QueryError> {
    let text = config.steps.r#where.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let schema = DFSchema::try_from(events::schema()).map_err(|error| internal(&error))?;
    let state = SessionStateBuilder::new_with_default_features().build();
    let expr = state.create_logical_expr(text, &schema).map_err(|error| {
        let error = internal(&error);
        QueryError { message: format!("[steps] where: {}", error.message), ..error }
    })?;
    Ok(Some(expr))
}
