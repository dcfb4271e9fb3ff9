//! The names of the database: native tables and views in one schema, a view planned when someone asks for it; beside it
//! what the program says of itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock, RwLock, Weak};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, MemorySchemaProvider, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result, plan_datafusion_err};
use datafusion::datasource::ViewTable;
use datafusion::execution::session_state::SessionState;
use datafusion::sql::parser::DFParser;

use super::views::Queries;

/// Name of the catalog.
pub const CATALOG: &str = "journeyql";
/// Name of the schema of the tables and views.
pub const SCHEMA: &str = "public";
/// Name of the schema of what the program says of itself: `journeyql.functions`.
pub const OWN_SCHEMA: &str = "journeyql";

/// Where views find the session they are planned in; bound once, when the session is there.
pub type SessionLink = OnceLock<Weak<RwLock<SessionState>>>;

/// All tables and views.
pub struct Names {
    tables: BTreeMap<String, Arc<dyn TableProvider>>,
    views: Arc<Queries>,
    session: Arc<SessionLink>,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").field("tables", &self.tables.keys()).finish_non_exhaustive()
    }
}

impl Names {
    /// These tables and views; a view of a table's name hides it.
    #[must_use]
    pub fn new(
        tables: BTreeMap<String, Arc<dyn TableProvider>>,
        views: Arc<Queries>,
        session: Arc<SessionLink>,
    ) -> Self {
        Self { tables, views, session }
    }

    async fn view(&self, name: &str, sql: &str) -> Result<Arc<dyn TableProvider>> {
        let in_view = |error: DataFusionError| error.context(format!("in the view {name}"));
        let Some(state) = self.session.get().and_then(Weak::upgrade) else {
            return Err(plan_datafusion_err!("the session of the view {name} is gone"));
        };
        let state = match state.read() {
            Ok(state) => state.clone(),
            Err(_) => return Err(plan_datafusion_err!("the session of the view {name} failed")),
        };
        let mut statements = DFParser::parse_sql(sql).map_err(in_view)?;
        let (Some(statement), true) = (statements.pop_front(), statements.is_empty()) else {
            return Err(plan_datafusion_err!("the view {name} is not one SELECT"));
        };
        // Boxed: a view of a view plans inside of planning.
        let plan = Box::pin(state.statement_to_plan(statement)).await.map_err(in_view)?;
        Ok(Arc::new(ViewTable::new(plan, Some(sql.to_owned()))))
    }
}

#[async_trait]
impl SchemaProvider for Names {
    fn table_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.tables.keys().cloned().collect();
        names.extend(self.views.iter().map(|view| view.name.clone()));
        names.sort();
        names.dedup();
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if let Some(view) = self.views.get(name) {
            return self.view(name, &view.sql).await.map(Some);
        }
        Ok(self.tables.get(name).cloned())
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.contains_key(name) || self.views.get(name).is_some()
    }
}

/// The catalog around the schemas.
#[derive(Debug)]
pub struct Catalog {
    names: Arc<Names>,
    own: Arc<MemorySchemaProvider>,
}

impl Catalog {
    /// A catalog with the names of the database, and tables about the program itself.
    ///
    /// # Errors
    /// Two of the tables have one name.
    pub fn new<'a>(
        names: Arc<Names>,
        own: impl IntoIterator<Item = (&'a str, Arc<dyn TableProvider>)>,
    ) -> Result<Self> {
        let schema = MemorySchemaProvider::new();
        for (name, table) in own {
            schema.register_table(name.to_owned(), table)?;
        }
        Ok(Self { names, own: Arc::new(schema) })
    }
}

impl CatalogProvider for Catalog {
    fn schema_names(&self) -> Vec<String> {
        vec![SCHEMA.to_owned(), OWN_SCHEMA.to_owned()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        match name {
            SCHEMA => Some(Arc::clone(&self.names) as Arc<dyn SchemaProvider>),
            OWN_SCHEMA => Some(Arc::clone(&self.own) as Arc<dyn SchemaProvider>),
            _ => None,
        }
    }
}
