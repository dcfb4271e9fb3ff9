//! The catalog of Postgres over an engine: what clients ask to know which tables, columns and functions there are.
//!
//! ```text
//! text ─► the crate's compatible parser ─► a state of the engine with two schemas more ─► plan, run as everything is
//!              pg_catalog          relations, functions, kinds written here; the rest as the crate has it
//!              information_schema  written here: the types are those that the wire sends
//! ```
//! Invariants: the tables and views are the engine's own, so a statement may read both; what a client is told of a
//! column's type is what it gets.
//!
//! Deliberately not here: which statements come here (`pg::command`), SHOW and SET.

mod about;
mod functions;
mod rewrite;
mod rows;
mod schemas;
pub mod types;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProviderList, SchemaProvider, TableFunctionImpl};
use datafusion::common::{DataFusionError, Result as DfResult};
use datafusion::datasource::TableProvider;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::generate_series_arg_coercion::CoerceIntArgsToBigInt;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::oid_type_planner::PgOidTypePlanner;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::setup_pg_catalog;
use datafusion_postgres::datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use tokio::sync::OnceCell;

use arrow::datatypes::DataType;

use super::answer::Answer;
use super::bound::{Described, Planning};
use super::catalog::CATALOG;
use super::error::QueryError;
use super::planning::on_big_stack;
use super::session::Engine;
use super::statement::{check_query, check_text};

use about::About;
use schemas::Tables;

/// Who asks: what of the connection the catalog tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    pub user: String,
    pub pid: i32,
    pub version: &'static str,
    /// Variables by their names in small letters.
    pub variables: Vec<(String, String)>,
}

/// What is told of a snapshot, whoever asks.
#[derive(Debug)]
pub struct Known {
    about: Arc<About>,
    catalog: Tables,
    information: Tables,
}

/// What the crate has: tables that do not change, functions, a parser.
struct Base {
    tables: Arc<dyn SchemaProvider>,
    functions: Vec<Arc<ScalarUDF>>,
    keywords: Option<Arc<dyn TableFunctionImpl>>,
    parser: PostgresCompatibilityParser,
}

/// The one table function.
const KEYWORDS: &str = "pg_get_keywords";

static BASE: OnceCell<Base> = OnceCell::const_new();

async fn base() -> Result<&'static Base, QueryError> {
    let failed = |error: &DataFusionError| QueryError::from_datafusion(error, &[]);
    let made = || async {
        let state = SessionStateBuilder::new_with_default_features().build();
        let known: Vec<String> = state.scalar_functions().keys().cloned().collect();
        let catalog = state.config_options().catalog.default_catalog.clone();
        let context = SessionContext::new_with_state(state);
        setup_pg_catalog(&context, &catalog, EmptyContextProvider).map_err(|error| failed(&error))?;
        let tables = context.catalog(&catalog).and_then(|catalog| catalog.schema("pg_catalog"));
        let state = context.state();
        let added = state.scalar_functions().iter().filter(|(name, _)| !known.contains(name));
        Ok(Base {
            tables: tables.ok_or_else(|| QueryError::sql("there is no pg_catalog"))?,
            keywords: state.table_functions().get(KEYWORDS).map(|it| Arc::clone(it.function())),
            functions: added.map(|(_, function)| Arc::clone(function)).collect(),
            parser: PostgresCompatibilityParser::new(),
        })
    };
    BASE.get_or_try_init(made).await
}

/// A schema in which some tables are ours.
#[derive(Debug)]
struct Overlay {
    ours: Vec<(&'static str, Arc<dyn TableProvider>)>,
    others: Option<Arc<dyn SchemaProvider>>,
}

#[async_trait]
impl SchemaProvider for Overlay {
    fn table_names(&self) -> Vec<String> {
        let others = self.others.iter().flat_map(|others| others.table_names());
        let mut names: Vec<String> = self.ours.iter().map(|(name, _)| (*name).to_owned()).chain(others).collect();
        names.sort();
        names.dedup();
        names
    }

    async fn table(&self, name: &str) -> DfResult<Option<Arc<dyn TableProvider>>> {
        if let Some((_, table)) = self.ours.iter().find(|(known, _)| *known == name) {
            return Ok(Some(Arc::clone(table)));
        }
        match &self.others {
            Some(others) => others.table(name).await,
            None => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.ours.iter().any(|(known, _)| *known == name)
            || self.others.as_ref().is_some_and(|others| others.table_exist(name))
    }
}

/// The engine's catalog with two schemas more.
#[derive(Debug)]
struct Both {
    engine: Arc<dyn CatalogProvider>,
    catalog: Arc<dyn SchemaProvider>,
    information: Arc<dyn SchemaProvider>,
}

impl CatalogProvider for Both {
    fn schema_names(&self) -> Vec<String> {
        let mut names = self.engine.schema_names();
        names.extend(["pg_catalog".to_owned(), "information_schema".to_owned()]);
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        match name {
            "pg_catalog" => Some(Arc::clone(&self.catalog)),
            "information_schema" => Some(Arc::clone(&self.information)),
            name => self.engine.schema(name),
        }
    }
}

/// How a statement about the catalog is planned.
struct Compatible {
    state: SessionState,
    parser: &'static PostgresCompatibilityParser,
}

impl Planning for Compatible {
    fn parse(&self, sql: &str) -> Result<Statement, QueryError> {
        check_text(sql)?;
        let sql = &rewrite::text(sql);
        let mut statements =
            self.parser.parse(sql).map_err(|error| QueryError::from_datafusion(&DataFusionError::from(error), &[]))?;
        let (Some(mut statement), true) = (statements.pop(), statements.is_empty()) else {
            return Err(QueryError::sql("one statement is expected"));
        };
        rewrite::statement(&mut statement);
        let statement = Statement::Statement(Box::new(statement));
        check_query(&statement)?;
        Ok(statement)
    }

    fn state(&self) -> SessionState {
        self.state.clone()
    }
}

impl Engine {
    /// Runs one statement about the catalog.
    ///
    /// # Errors
    /// The text is refused or cannot be planned.
    pub async fn query_postgres(&self, sql: &str, asker: &Asker) -> Result<Answer, QueryError> {
        let planning = self.compatible(asker).await?;
        let statement = planning.parse(sql)?;
        let plan = self.plan(planning.state(), statement).await?;
        self.run(planning.state, plan).await
    }

    /// What is known of one statement about the catalog before its parameters have values.
    ///
    /// # Errors
    /// The text is refused or cannot be planned.
    pub async fn describe_postgres(
        &self,
        sql: &str,
        declared: &[Option<DataType>],
        asker: &Asker,
    ) -> Result<Described, QueryError> {
        let planning = self.compatible(asker).await?;
        self.described(&planning, sql, declared).await
    }

    /// A state of this engine with the catalog in it.
    async fn compatible(&self, asker: &Asker) -> Result<Compatible, QueryError> {
        let failed = |error: DataFusionError| QueryError::from_datafusion(&error, &[]);
        let base = base().await?;
        let known = self.known().await?;
        let state = self.state();
        let Some(engine) = state.catalog_list().catalog(CATALOG) else {
            return Err(QueryError::sql("the engine has no catalog"));
        };
        let mut ours = schemas::connection(asker, &base.tables).await.map_err(failed)?;
        ours.extend(known.catalog.iter().map(|(name, table)| (*name, Arc::clone(table))));
        let catalog = Overlay { ours, others: Some(Arc::clone(&base.tables)) };
        let information = Overlay { ours: known.information.clone(), others: None };
        let both = Both { engine, catalog: Arc::new(catalog), information: Arc::new(information) };
        let catalogs = MemoryCatalogProviderList::new();
        let _ =
            datafusion::catalog::CatalogProviderList::register_catalog(&catalogs, CATALOG.to_owned(), Arc::new(both));
        let state = SessionStateBuilder::new_from_existing(state)
            .with_catalog_list(Arc::new(catalogs))
            .with_type_planner(Arc::new(PgOidTypePlanner))
            .build();
        let context = SessionContext::new_with_state(state);
        CoerceIntArgsToBigInt::widen(&context);
        if let Some(keywords) = &base.keywords {
            context.register_udtf(KEYWORDS, Arc::clone(keywords));
        }
        let mut state = context.state();
        state.config_mut().options_mut().catalog.information_schema = false;
        for function in base.functions.iter().cloned().chain(functions::all(&known.about, asker)) {
            state.register_udf(function).map_err(failed)?;
        }
        Ok(Compatible { state, parser: &base.parser })
    }

    /// What there is to tell about, planned once for a snapshot.
    async fn known(&self) -> Result<Arc<Known>, QueryError> {
        let made = || async {
            let base = base().await?;
            let (state, views) = (self.state(), Arc::clone(self.view_texts()));
            let made = on_big_stack(move || async move {
                let about = Arc::new(about::of(&state, &views).await?);
                let catalog = schemas::pg_catalog(&about, &base.tables).await?;
                Ok(Known { information: schemas::information(&about)?, catalog, about })
            });
            made.await?.map(Arc::new).map_err(|error| self.error(&error))
        };
        self.known_cell().get_or_try_init(made).await.cloned()
    }
}
