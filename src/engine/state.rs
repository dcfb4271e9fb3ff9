//! What a session is made of: names, functions, rules of the optimizer, configuration.
//!
//! ```text
//! snapshot ─► tables ─► catalog ┐
//! functions, table functions    ├─► SessionState (behind a lock, since SET changes it)
//! rules, settings, runtime      ┘
//! ```
//!
//! Not here: what a session does with a text (`session.rs`).

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use arrow::array::timezone::Tz;
use datafusion::catalog::{CatalogProviderList, MemoryCatalogProviderList, TableProvider};
use datafusion::common::Result as DfResult;
use datafusion::common::config::ConfigNonZeroUsize;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;

use crate::correction::Correction;
use crate::limits;
use crate::store::{Snapshot, Store};

use super::catalog::{CATALOG, Catalog, Names, SCHEMA, SessionLink};
use super::functions::{RowPatterns, TableFunctions};
use super::members::MembersTable;
use super::operators::{FilterByValue, FuseAggregates, JoinsYield, KeepDistinct, KeepProjections};
use super::relations::Relation;
use super::settings::Settings;
use super::source::Source;
use super::tables::{EventsTable, JourneyTable};
use super::views::Queries;
use super::{functions, setting, stored};

/// The clock of every session unless it asks for another one.
pub(super) const UTC: &str = "UTC";

/// The setting of `DataFusion` that says what clock TIMESTAMPTZ without one is of.
pub(super) const TIME_ZONE: &str = "datafusion.execution.time_zone";

/// Sets the clock; functions whose type hangs on it, such as `now()`, are made anew.
///
/// # Errors
/// There is no such time zone.
pub(super) fn set_clock(state: &mut SessionState, zone: &str) -> DfResult<()> {
    zone.parse::<Tz>()?;
    state.config_mut().options_mut().set(TIME_ZONE, zone)?;
    let options = state.config_options();
    let changed = state.scalar_functions().values().filter_map(|known| known.inner().with_updated_config(options));
    for function in changed.collect::<Vec<_>>() {
        state.register_udf(Arc::new(function))?;
    }
    Ok(())
}

/// A session with our names, functions and settings.
pub(super) fn session_state(
    source: &Arc<Source>,
    known: (&Snapshot, &Arc<[Correction]>),
    store: &Arc<Store>,
    views: &Arc<Queries>,
    runtime: &Arc<RuntimeEnv>,
    threads: usize,
    settings: &Settings,
) -> DfResult<Arc<RwLock<SessionState>>> {
    let link = Arc::new(SessionLink::new());
    let tables = native_tables(source, known, store)?;
    let catalogs = MemoryCatalogProviderList::new();
    let names = Arc::new(Names::new(tables, Arc::clone(views), Arc::clone(&link)));
    let own = [("functions", functions::docs_table()?)];
    let catalog = Catalog::new(names, own)?;
    catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    let mut state = SessionStateBuilder::new_with_default_features()
        .with_optimizer_rules(logical_rules())
        .with_physical_optimizer_rules(physical_rules())
        .with_config(session_config(threads, settings.clone())?)
        .with_runtime_env(Arc::clone(runtime))
        .with_catalog_list(Arc::new(catalogs))
        .with_query_planner(Arc::new(RowPatterns))
        .with_relation_planners(vec![Arc::new(TableFunctions::new(Arc::clone(source)))])
        .build();
    functions::register(&mut state)?;
    state.register_udf(Arc::new(setting::function(source.snapshot, source.span().map_or(0, |span| span.1))))?;
    let state = Arc::new(RwLock::new(state));
    // A fresh link is empty, so this cannot fail.
    let _ = link.set(Arc::downgrade(&state));
    Ok(state)
}

/// `DataFusion`'s rules, two of them with an exception.
fn logical_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let ours: [Arc<dyn OptimizerRule + Send + Sync>; 2] =
        [Arc::new(KeepDistinct::default()), Arc::new(KeepProjections::default())];
    let rules = Optimizer::new().rules.into_iter();
    rules.map(|rule| ours.iter().find(|keep| keep.name() == rule.name()).cloned().unwrap_or(rule)).collect()
}

/// Ours first: it recognises plans as they are first made.
fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> =
        vec![Arc::new(FuseAggregates), Arc::new(FilterByValue)];
    rules.extend(PhysicalOptimizer::new().rules);
    rules.push(Arc::new(JoinsYield));
    rules
}

fn native_tables(
    source: &Arc<Source>,
    (snapshot, corrections): (&Snapshot, &Arc<[Correction]>),
    store: &Arc<Store>,
) -> DfResult<BTreeMap<String, Arc<dyn TableProvider>>> {
    let mut tables: BTreeMap<String, Arc<dyn TableProvider>> = BTreeMap::new();
    tables.insert("events".to_owned(), Arc::new(EventsTable::new(Arc::clone(source))));
    for relation in Relation::ALL {
        tables.insert(relation.name().to_owned(), Arc::new(JourneyTable::new(Arc::clone(source), relation)));
    }
    tables.insert("quarantine_rows".to_owned(), stored::quarantine_rows(snapshot)?);
    tables.insert("source_rows".to_owned(), stored::source_rows(snapshot)?);
    tables.insert("audit".to_owned(), stored::audit(store)?);
    tables.insert("late_ledger".to_owned(), stored::late_ledger(store)?);
    tables.insert("segments".to_owned(), stored::segments(source.segments().rows().cloned().collect())?);
    tables.insert("segment_members".to_owned(), Arc::new(MembersTable::new(Arc::clone(source))));
    tables.insert("corrections".to_owned(), stored::corrections(corrections)?);
    tables.insert("identities".to_owned(), stored::identities(store, snapshot)?);
    tables.insert("identity_rejections".to_owned(), stored::identity_rejections(store, snapshot)?);
    Ok(tables)
}

fn session_config(threads: usize, settings: Settings) -> DfResult<SessionConfig> {
    let mut config = SessionConfig::new()
        .with_target_partitions(threads)
        .with_batch_size(limits::BATCH_ROWS)
        .with_information_schema(true)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOG, SCHEMA);
    let options = config.options_mut();
    options.sql_parser.collect_spans = true;
    // A view answers in its own order, also to SELECT * FROM it; where nobody sees the order, a later rule drops it.
    options.sql_parser.enable_subquery_sort_elimination = false;
    // `now()` and TIMESTAMPTZ '…' are of the type that `ts` has.
    options.execution.time_zone = Some(UTC.to_owned());
    // A batch a file: where two tasks write a file each, the reader waits for more of the older one and never looks at
    // the other (DataFusion issue 24883, mended after 55.2). A file that is finished keeps nobody waiting. The price is an
    // open file for each batch that waits.
    options.execution.max_spill_file_size_bytes = ConfigNonZeroUsize::try_new(1)?;
    options.extensions.insert(settings);
    Ok(config)
}
