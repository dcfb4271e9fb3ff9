//! Recognises the table functions in FROM, before DataFusion plans their arguments against nothing.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::sql::sqlparser::ast::{FunctionArg, TableFactor};

use super::docs::{DocFile, doc_files};
use super::{
    conversion, correlate, diff_transitions, drill, explain_session, follows, funnel, lifecycle, markov,
    match_recognize, paths, predict_next, replay, retention_cohorts, segment, stickiness, tie_report, timeout_sweep,
};
use crate::engine::source::Source;

/// How a call of a table function becomes a table.
type Plan =
    fn(&'static str, Vec<FunctionArg>, Arc<Source>, &mut dyn RelationPlannerContext) -> Result<Arc<dyn TableProvider>>;

/// The table functions: each has its file in `docs/`.
macro_rules! table_functions {
    ($($name:literal => $plan:expr),+ $(,)?) => {
        const FUNCTIONS: &[(&str, Plan)] = &[$(($name, $plan)),+];
        /// Their documentation.
        pub(super) const DOCS: &[DocFile] = doc_files![$($name),+];
    };
}

table_functions! {
    "conversion_score" => conversion::plan,
    "correlate" => |_, args, source, planner| correlate::plan(args, source, planner),
    "diff_transitions" => |_, args, source, planner| diff_transitions::plan(args, source, planner),
    "drill" => |_, args, source, planner| drill::plan(args, source, planner),
    "explain_funnel" => funnel::plan,
    "explain_session" => |_, args, source, planner| explain_session::plan(args, source, planner),
    "follows" => |_, args, source, _| follows::plan(args, source),
    "funnel" => funnel::plan,
    "funnel_trend" => funnel::plan,
    "funnel_users" => funnel::plan,
    "lifecycle" => |_, args, source, planner| lifecycle::plan(args, source, planner),
    "markov" => markov::plan,
    "markov_accuracy" => markov::plan,
    "path_match" => paths::plan,
    "path_ngrams" => paths::plan,
    "paths_between" => paths::plan,
    "paths_from" => paths::plan,
    "paths_instead" => paths::plan,
    "paths_to" => paths::plan,
    "predict_next" => |_, args, source, planner| predict_next::plan(args, source, planner),
    "removal_effect" => conversion::plan,
    "replay" => |_, args, source, planner| replay::plan(args, source, planner),
    "retention_cohorts" => |_, args, source, planner| retention_cohorts::plan(args, source, planner),
    "stickiness" => |_, args, source, planner| stickiness::plan(args, source, planner),
    "tie_report" => |_, args, source, _| tie_report::plan(args, source),
    "timeout_sweep" => |_, args, source, planner| timeout_sweep::plan(args, source, planner),
    "ttc_histogram" => funnel::plan,
}

/// The names of all table functions.
pub(in crate::engine) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(name, _)| *name)
}

/// Plans the table functions over one snapshot.
#[derive(Debug)]
pub struct TableFunctions {
    source: Arc<Source>,
}

impl TableFunctions {
    /// The table functions over these events.
    #[must_use]
    pub fn new(source: Arc<Source>) -> Self {
        Self { source }
    }
}

impl RelationPlanner for TableFunctions {
    fn plan_relation(
        &self,
        relation: TableFactor,
        planner: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        if let Some(planned) = match_recognize::plan(&relation, planner)? {
            return Ok(RelationPlanning::Planned(Box::new(planned)));
        }
        let (name, args, alias) = match &relation {
            TableFactor::Table { name, args: Some(args), alias, .. } => (name, &args.args, alias),
            TableFactor::Function { name, args, alias, .. } => (name, args, alias),
            _ => return Ok(RelationPlanning::Original(Box::new(relation))),
        };
        let name = name.to_string().to_ascii_lowercase();
        let (mut args, alias) = (args.clone(), alias.clone());
        // Plans of scans are equal where their tables' names are: two calls must not be taken for one.
        let call = format!("{name}({})", args.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
        let Some((known, plan)) = FUNCTIONS.iter().find(|(known, _)| *known == name) else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let segment = segment::take(&mut args);
        let table = plan(known, args, Arc::clone(&self.source), planner)?;
        let segment = segment.map(|value| segment::read(&name, value, self.source.segments(), planner)).transpose()?;
        let table = segment::of(table, Arc::clone(&self.source), segment.flatten());
        let plan = LogicalPlanBuilder::scan(TableReference::bare(call), provider_as_source(table), None)?
            .alias(name)?
            .build()?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}
