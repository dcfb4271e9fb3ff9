//! Recognises the table functions in FROM, before DataFusion plans their arguments against nothing.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::sql::sqlparser::ast::{FunctionArg, TableFactor};

use super::{
    diff_transitions, follows, funnel, lifecycle, paths, predict_next, replay, retention_cohorts, segment, stickiness,
    timeout_sweep,
};
use crate::engine::source::Source;

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

impl TableFunctions {
    /// The table of a call, if there is such a function.
    fn table(
        &self,
        name: &str,
        args: Vec<FunctionArg>,
        planner: &mut dyn RelationPlannerContext,
    ) -> Result<Option<Arc<dyn TableProvider>>> {
        let source = Arc::clone(&self.source);
        Ok(Some(match name {
            "diff_transitions" => diff_transitions::plan(args, source, planner)?,
            "follows" => follows::plan(args, source)?,
            "predict_next" => predict_next::plan(args, source, planner)?,
            "replay" => replay::plan(args, source, planner)?,
            "retention_cohorts" => retention_cohorts::plan(args, source, planner)?,
            "timeout_sweep" => timeout_sweep::plan(args, source, planner)?,
            "lifecycle" => lifecycle::plan(args, source, planner)?,
            "stickiness" => stickiness::plan(args, source, planner)?,
            name => {
                let one_of = |all: &[&'static str]| all.iter().copied().find(|known| *known == name);
                match (one_of(&funnel::FUNCTIONS), one_of(&paths::FUNCTIONS)) {
                    (Some(function), _) => funnel::plan(function, args, source, planner)?,
                    (_, Some(function)) => paths::plan(function, args, source, planner)?,
                    _ => return Ok(None),
                }
            }
        }))
    }
}

impl RelationPlanner for TableFunctions {
    fn plan_relation(
        &self,
        relation: TableFactor,
        planner: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let (name, args, alias) = match &relation {
            TableFactor::Table { name, args: Some(args), alias, .. } => (name, &args.args, alias),
            TableFactor::Function { name, args, alias, .. } => (name, args, alias),
            _ => return Ok(RelationPlanning::Original(Box::new(relation))),
        };
        let name = name.to_string().to_ascii_lowercase();
        let (mut args, alias) = (args.clone(), alias.clone());
        let segment = segment::take(&mut args);
        let Some(table) = self.table(&name, args, planner)? else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let segment = segment.map(|value| segment::read(&name, value, self.source.segments(), planner)).transpose()?;
        let table = segment::of(table, Arc::clone(&self.source), segment.flatten());
        let plan = LogicalPlanBuilder::scan(name, provider_as_source(table), None)?.build()?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}
