//! The argument `goal` of the functions that are about one: a step in quotes, a condition over steps, or the name of one
//! of `[journey] goals`, which goes before a step of that name.

use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::{DataFusionError, plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::call::{Call, quoted};
use super::conditions::{Conditions, Masks, Test, columns};
use super::seen::Seen;
use super::walked;
use crate::engine::relations::tape::Facts;
use crate::engine::scan::{Block, Names, ScanPlan};
use crate::engine::source::Source;
use crate::journey::{Session as Visit, Walk};

/// What a step must meet to reach the goal.
#[derive(Debug, Clone)]
pub(super) struct Goal(Test);

impl Goal {
    /// The only argument of a call.
    pub(super) fn read(call: &Call, source: &Source, planner: &mut dyn RelationPlannerContext) -> Result<Self> {
        let function = call.function;
        let [goal] = call.values.as_slice() else {
            return plan_err!(
                "{function} takes one goal – write {function}('/thanks'), {function}(page = '/thanks' AND status < 400) or the name of one of [journey] goals"
            );
        };
        let what = format!("{function}: argument 1 (goal)");
        let columns = columns()?;
        let text = quoted(goal).and_then(|name| source.config.journey.goals.get(name));
        let Some(text) = text else { return Test::read(goal, &what, &columns, planner).map(Self) };
        let dialect = GenericDialect {};
        let parsed = Parser::new(&dialect).try_with_sql(text).and_then(|mut parser| parser.parse_expr());
        let condition = parsed.map_err(|error| DataFusionError::SQL(Box::new(error), None))?;
        let named = |error: DataFusionError| plan_datafusion_err!("{what}, [journey] goals: {error}");
        Test::read(&condition, &what, &columns, planner).map(Self).map_err(named)
    }

    /// A pass over the sessions that the settings let through, and who tells of it which steps reach the goal.
    pub(super) fn pass(&self, source: &Source, state: &dyn Session) -> Result<(ScanPlan, Arc<Facts>, Conditions)> {
        let (plan, facts) = walked::pass(source, state, false)?;
        let rule = facts.settings.label;
        let conditions = Conditions::plan([&self.0].into_iter(), rule, state)?;
        Ok((conditions.ask(plan, rule)?, facts, conditions))
    }
}

/// Whether a reader met the label that the goal is, if it is one.
pub(super) fn seen(conditions: &Conditions, names: &Names) -> Seen {
    let met = conditions.labels().filter(|(_, label)| names.find(label).is_some());
    Seen::new(conditions.labels(), met.fold(0, |met, (bit, _)| met | 1 << bit), names)
}

/// Which steps of one reader reach the goal.
#[derive(Debug)]
pub(super) struct Reaching<'a> {
    masks: Masks<'a>,
    /// By step of the walk.
    found: Vec<bool>,
}

impl<'a> Reaching<'a> {
    pub(super) fn new(conditions: &'a Conditions) -> Self {
        Self { masks: Masks::new(conditions), found: Vec::new() }
    }

    /// Looks at the steps of a block; the condition is asked of the first event of a step.
    pub(super) fn look(&mut self, block: &Block, names: &mut Names, walk: &Walk) -> Result<()> {
        self.masks.learn(names)?;
        self.found.clear();
        let found = &mut self.found;
        self.masks.each(block, walk.steps.iter().map(|&row| row as usize), true, |_, mask| found.push(mask != 0));
        Ok(())
    }

    /// The steps of a session before the first that reaches the goal, all where none does, and whether one does.
    pub(super) fn before(&self, visit: &Visit) -> (std::ops::Range<usize>, bool) {
        let steps = visit.step_range();
        match self.found[steps.clone()].iter().position(|&reaches| reaches) {
            Some(at) => (steps.start..steps.start + at, true),
            None => (steps, false),
        }
    }
}
