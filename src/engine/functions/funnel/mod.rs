//! `funnel(step…, option => value…)`: who came how far, as a table with a row per step.
//!
//! ```text
//! funnel('/landing', page = '/thanks' AND status < 400, window => INTERVAL '7 days')
//!   │ syntax        call.rs          values, options
//!   ▼
//! FunnelTable       settings are read when it is scanned, so SET works on views too
//!   ▼
//! ../conditions.rs  a step becomes a bit: by label code, by page or event code, by a predicate during the scan
//! pass.rs           readers over ranges of people: sessions where asked for, then journey::funnel
//! tally.rs          counts and durations, added up; rows
//! ```
//!
//! | option | values | default |
//! |---|---|---|
//! | `window` | INTERVAL, text, whole seconds | 7 days; with `unit => 'session'` the session |
//! | `unit` | `'user'`, `'session'` | `'user'` |
//! | `entry` | `'any'`: the longest chain of all entries; `'first'`: the unit's first entry only | `'any'` |
//! | `ties` | `'order'`: file order decides equal time stamps; `'any'`: any order counts | `'order'` |
//! | `ttc` | `'previous'`: durations run from the step before; `'entry'`: from the first step | `'previous'` |
//! | `mode` | `'strict_increase'` | none |
//!
//! Invariants: an event fills one step; steps are the uncollapsed step events; `units` never rises from step to step.

mod pass;
mod tally;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::datatypes::{SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{plan_datafusion_err, plan_err};
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::sqlparser::ast::FunctionArg;

use super::call::{Call, quoted, text_of};
use super::conditions::{Conditions, Test, columns};
use super::leaf::Leaf;
use super::length::Clock;
use crate::engine::settings::Settings;
use crate::engine::source::Source;
use crate::engine::tables::readers;
use crate::journey::funnel::{Entry, Mode, Modes, Rules, Ties};
use crate::time::DAY;

const OPTIONS: [&str; 6] = ["window", "unit", "entry", "ties", "ttc", "mode"];
const WINDOW: i64 = 7 * DAY;

/// Whose way is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    User,
    Session,
}

/// From where the durations run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    Previous,
    Entry,
}

/// A funnel as asked for.
#[derive(Debug, Clone)]
struct Spec {
    /// The steps as shown.
    names: Vec<String>,
    tests: Vec<Test>,
    rules: Rules,
    unit: Unit,
    since: Since,
}

/// Reads a call of `funnel`.
pub(super) fn plan(
    args: Vec<FunctionArg>,
    source: Arc<Source>,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Arc<dyn TableProvider>> {
    let call = Call::new("funnel", args, &OPTIONS)?;
    let columns = columns()?;
    let (mut names, mut tests) = (Vec::new(), Vec::new());
    for (no, value) in (1..).zip(&call.values) {
        names.push(quoted(value).map_or_else(|| value.to_string(), str::to_owned));
        tests.push(Test::read(value, &format!("funnel: step {no}"), &columns, planner)?);
    }
    let unit = call.choice("unit", &[("user", Unit::User), ("session", Unit::Session)], planner)?.unwrap_or(Unit::User);
    let rules = rules(&call, unit, planner)?;
    let since = call.choice("ttc", &[("previous", Since::Previous), ("entry", Since::Entry)], planner)?;
    let spec = Arc::new(Spec { names, tests, rules, unit, since: since.unwrap_or(Since::Previous) });
    Ok(Arc::new(FunnelTable { spec, source }))
}

fn rules(call: &Call, unit: Unit, planner: &mut dyn RelationPlannerContext) -> Result<Rules> {
    let window = match call.option("window", planner)? {
        Some(value) => Clock::Timestamp(TimeUnit::Microsecond)
            .length(&value)
            .map_err(|error| plan_datafusion_err!("funnel: option 'window': {error}"))?,
        None if unit == Unit::Session => i64::MAX,
        None => WINDOW,
    };
    let mut modes = Modes::default().with(Mode::StrictOnce);
    if let Some(value) = call.option("mode", planner)? {
        let name = text_of(&value).unwrap_or_else(|| value.to_string());
        match Mode::parse(&name) {
            Ok(mode @ (Mode::StrictIncrease | Mode::StrictOnce)) => modes = modes.with(mode),
            Ok(_) => {
                return plan_err!("funnel: mode '{name}' is not available here – the aggregate window_funnel has it");
            }
            Err(error) => return plan_err!("funnel: {error}"),
        }
    }
    let entry = call.choice("entry", &[("any", Entry::Any), ("first", Entry::First)], planner)?;
    let ties = call.choice("ties", &[("order", Ties::Order), ("any", Ties::Any)], planner)?;
    let rules = Rules::new(call.values.len(), window, modes).map(|rules| rules.ties(ties.unwrap_or(Ties::Order)));
    rules
        .and_then(|rules| rules.entry(entry.unwrap_or(Entry::Any)))
        .map_err(|error| plan_datafusion_err!("funnel: {error}"))
}

/// The table of one funnel.
#[derive(Debug)]
struct FunnelTable {
    spec: Arc<Spec>,
    source: Arc<Source>,
}

#[async_trait]
impl TableProvider for FunnelTable {
    fn schema(&self) -> SchemaRef {
        tally::schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let settings = Settings::of(state.config_options());
        let conditions = Conditions::plan(self.spec.tests.iter(), settings.label, state)?;
        let pass = self.source.plain_pass(state, &settings, None, settings.within().0, false)?;
        let plan = conditions.ask(pass, settings.label)?;
        let rows = plan.parts().iter().map(|part| part.rows).sum();
        let readers = if plan.is_about_few() { 1 } else { readers(state, rows) };
        let projection = projection.cloned().unwrap_or_else(|| (0..tally::schema().fields().len()).collect());
        let schema = Arc::new(tally::schema().project(&projection)?);
        let watermark = self.source.now(&settings);
        let shared = pass::Shared::new(Arc::clone(&self.spec), conditions, plan, settings, watermark);
        let answer = pass::Pass::new(shared, readers, projection);
        Ok(Arc::new(Leaf::new(Arc::new(answer), schema)))
    }
}
