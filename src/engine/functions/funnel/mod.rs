//! `funnel(step…, option => value…)`: who came how far; and what stands around it.
//!
//! | function | a row per |
//! |---|---|
//! | `funnel(step…)` | step (and value of `breakdown`) |
//! | `funnel_trend(step…, period => 'day')` | period of entry and step: the funnel of those who entered then |
//! | `funnel_users(step…)` | unit that entered: who came how far and when; its counts are the funnel's |
//! | `ttc_histogram(step…, step => n)` | bucket of the time from the first step to step `n` (the last) |
//! | `explain_funnel(user, step…)` | unit of one person and step: what matched, and the first thing that stopped it |
//!
//! ```text
//! funnel('/landing', page = '/thanks' AND status < 400, window => INTERVAL '7 days')
//!   │ syntax        call.rs          values, options; spec.rs checks them
//!   ▼
//! FunnelCall        settings are read when it is scanned, so SET works on views too
//!   ▼
//! ../conditions.rs  a step becomes a bit: by label code, by page or event code, by a predicate during the scan
//! values.rs         the values that hold and breakdown compare, as codes
//! pass.rs           readers over ranges of people: sessions where asked for, events gathered
//! units.rs          events become units; finder.rs asks journey::funnel for their chains
//! counts.rs …       what a function makes of the units: a Report
//! ```
//!
//! | option | values | default |
//! |---|---|---|
//! | `window` | INTERVAL, text, whole seconds: from the first step to the last | 7 days; with `unit => 'session'` the session |
//! | `step_windows` | the longest time from a step to the next: one for all, or a list with one for each (NULL: none) | none |
//! | `unit` | `'user'`, `'session'`, `'attempt'` | `'user'` |
//! | `entry` | `'any'`: the longest chain of all entries; `'first'`: the unit's first entry only | `'any'` |
//! | `ties` | `'order'`: file order decides equal time stamps; `'any'`: any order counts (not with attempts, nor with `step_windows` or `exclude` beside a mode that looks between the steps) | `'order'` |
//! | `grace` | how long before a step the next one may have happened; takes `ties => 'any'` with it (as that, and not with a strict mode) | none |
//! | `ttc` | `'previous'`: durations run from the step before; `'entry'`: from the first step | `'previous'` |
//! | `mode` | `'strict_increase'`, `'strict_order'`, `'strict_deduplication'`, `'allow_reentry'`, or a list of them; `'unordered'` alone: row `n` counts the units that filled any `n` steps in one window, in any order (without `step_windows` and `grace`) | none |
//! | `exclude` | a label, a condition or a list: such an event ends an attempt and fills no step | none |
//! | `remove` | true: an excluded event inside the window of an entry takes out a unit that is not through | false |
//! | `hold` | an expression whose value is the same in all events of a chain; NULL equals nothing | none |
//! | `breakdown` | an expression; its values part the units | none |
//! | `attribution` | whose value counts: `'first_touch'`, `'last_touch'` (of the unit's events that meet a step, NULL being none), `'step:n'` (the chain's event; NULL for units that did not come there), `'all'` (every value on its own: a unit counts under each value of which it has an entry) | `'first_touch'` |
//! | `complete_only` | true: only units whose window has ended at the watermark, through or not | false |
//! | `from`, `to` | a day or a time: the sessions that begin in `[from, to)` | the settings |
//!
//! An **attempt** begins at the first event that meets the first step while none is running. It is over when the last
//! step is reached, or when nothing that comes could continue it: windows are over, an excluded event or a strict mode
//! ended it. Attempts do not overlap. With `unordered` an attempt begins at the first event that meets any step.
//!
//! In **grace** consecutive steps are in any order if they lie so close together (Mixpanel: two seconds). A step before
//! the first takes nothing of the window, which runs from the first; a time to convert below 0 counts as 0.
//!
//! Semantics: SEMANTICS §5, which follows `PostHog`, Mixpanel and Amplitude in that an event fills one step.
//!
//! Invariants: steps are the uncollapsed step events; `units` never rises from step to step; the rows of `funnel_users`
//! and of `funnel_trend` add up to the funnel's units, those of `ttc_histogram` to its last step.

mod counts;
mod explain;
mod finder;
mod histogram;
#[cfg(test)]
mod option_tests;
mod pass;
mod spec;
mod tally;
#[cfg(test)]
mod tests;
mod units;
mod users;
mod values;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::sql::sqlparser::ast::FunctionArg;

use super::call::{Call, person};
use super::conditions::{Conditions, columns};
use super::leaf::Answer;
use super::sessions::Sessions;
use super::table::{TableFunction, readers, table};
use crate::engine::settings::Settings;
use crate::engine::source::Source;
use crate::journey::period::{PERIODS, Period};
use counts::Counts;
use explain::Explain;
use histogram::{Buckets, Histogram};
use pass::{Pass, Report, Shared};
use spec::{OPTIONS, Spec, Whose};
use users::Users;
use values::Value;

/// Reads a call of one of the functions.
pub(super) fn plan(
    function: &'static str,
    args: Vec<FunctionArg>,
    source: Arc<Source>,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Arc<dyn TableProvider>> {
    let more: &[&str] = match function {
        "funnel_trend" => &["period"],
        "ttc_histogram" => &["step", "buckets", "bucket"],
        _ => &[],
    };
    let call = Call::new(function, args, &[&OPTIONS, more].concat())?;
    let columns = columns()?;
    let read = |steps: usize, planner: &mut dyn RelationPlannerContext| {
        Spec::read(&call, &call.values[steps..], &columns, planner).map(Arc::new)
    };
    Ok(match function {
        "funnel_users" => of(read(0, planner)?, source, None, Users),
        "funnel_trend" => {
            let period = call.choice("period", &PERIODS, planner)?.unwrap_or(Period::Day);
            of(read(0, planner)?, source, None, Counts { period: Some(period) })
        }
        "ttc_histogram" => {
            let spec = read(0, planner)?;
            let histogram = Histogram { step: last_step(&call, &spec, planner)?, buckets: buckets(&call, planner)? };
            of(spec, source, None, histogram)
        }
        "explain_funnel" => {
            let Some(user) = call.values.first() else {
                return plan_err!("explain_funnel: the person is missing – write explain_funnel('u1', '/a', '/b')");
            };
            let user = person(user, "explain_funnel: argument 1 (user)", planner)?;
            of(read(1, planner)?, source, Some(user), Explain)
        }
        _ => of(read(0, planner)?, source, None, Counts { period: None }),
    })
}

fn last_step(call: &Call, spec: &Spec, planner: &mut dyn RelationPlannerContext) -> Result<usize> {
    let steps = spec.names.len();
    if steps < 2 {
        return plan_err!("ttc_histogram needs at least two steps: the time runs from the first to the last");
    }
    let Some(step) = call.count("step", planner)? else { return Ok(steps) };
    match usize::try_from(step) {
        Ok(step) if (2..=steps).contains(&step) => Ok(step),
        _ => plan_err!("ttc_histogram: option 'step' is a step from 2 to {steps}, not {step}"),
    }
}

fn buckets(call: &Call, planner: &mut dyn RelationPlannerContext) -> Result<Buckets> {
    match (call.length("bucket", planner)?, call.count("buckets", planner)?) {
        (Some(_), Some(_)) => plan_err!("ttc_histogram: options 'bucket' and 'buckets' exclude each other"),
        (Some(0), None) => plan_err!("ttc_histogram: option 'bucket': a bucket of no length holds nothing"),
        (Some(width), None) => Ok(Buckets::Width(width)),
        (None, count) => Ok(Buckets::Count(count.unwrap_or(20))),
    }
}

fn of<R: Report>(spec: Arc<Spec>, source: Arc<Source>, user: Option<String>, report: R) -> Arc<dyn TableProvider> {
    table(FunnelCall { spec, source, user, report })
}

/// A call as written.
#[derive(Debug)]
struct FunnelCall<R> {
    spec: Arc<Spec>,
    source: Arc<Source>,
    /// Only this person.
    user: Option<String>,
    report: R,
}

impl<R: Report> TableFunction for FunnelCall<R> {
    fn schema(&self) -> SchemaRef {
        self.report.schema(&self.spec)
    }

    fn answer(&self, state: &dyn Session, projection: Vec<usize>) -> Result<Arc<dyn Answer>> {
        let (spec, mut settings) = (&self.spec, Settings::of(state.config_options()));
        (settings.from, settings.to) = (spec.from.or(settings.from), spec.to.or(settings.to));
        settings.user = self.user.clone().or(settings.user);
        let conditions = Conditions::plan(spec.tests.iter(), settings.label, state)?;
        let value = |expr| Value::plan(expr, settings.label, state);
        let hold = spec.hold.as_ref().map(value).transpose()?;
        let breakdown = spec.breakdown.as_ref().map(|(expr, _)| value(expr)).transpose()?;
        let pass = self.source.plain_pass(state, &settings, None, settings.within().0, false)?;
        let mut plan = conditions.ask(pass, settings.label)?;
        plan = Value::ask(hold.iter().chain(&breakdown), plan, settings.label);
        if R::LABELS {
            plan = plan.with_labels(settings.label);
        }
        let (watermark, gap) = (self.source.now(&settings), settings.rules.gap);
        let (sessions, plan) = Sessions::new(settings, spec.whose == Whose::Session, plan);
        let readers = readers(state, &plan);
        let spec = Arc::clone(spec);
        let shared = Shared { spec, conditions, hold, breakdown, plan, sessions, gap, watermark };
        Ok(Arc::new(Pass::new(shared, self.report.clone(), &self.schema(), readers, projection)))
    }
}
