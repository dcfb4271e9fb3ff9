//! A funnel as asked for: steps and options, checked once.

use datafusion::common::{DFSchema, ScalarValue, plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, Value as SqlValue};

use crate::engine::functions::call::{Call, constant, quoted, text_of};
use crate::engine::functions::conditions::Test;
use crate::journey::funnel::{Entry, Mode, Modes, Rules, Ties};
use crate::limits;
use crate::time::DAY;

/// The options that every funnel takes.
pub(super) const OPTIONS: [&str; 16] = [
    "window",
    "step_windows",
    "unit",
    "entry",
    "ties",
    "grace",
    "ttc",
    "mode",
    "exclude",
    "remove",
    "hold",
    "breakdown",
    "attribution",
    "complete_only",
    "from",
    "to",
];
const WINDOW: i64 = 7 * DAY;

/// Whose way is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    User,
    Session,
    Attempt,
}

/// From where the durations run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    Previous,
    Entry,
}

/// Which event's value a unit is counted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attribution {
    First,
    Last,
    /// The event of this step, from 1.
    Step(usize),
    /// Each value on its own.
    All,
}

/// A funnel as asked for.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    pub function: &'static str,
    /// The steps as shown.
    pub names: Vec<String>,
    /// What the steps ask of an event, then what is excluded.
    pub tests: Vec<Test>,
    pub rules: Rules,
    /// What the order of events with equal time stamps means.
    pub ties: Ties,
    pub whose: Whose,
    pub since: Since,
    /// Whether an excluded event takes the unit out.
    pub remove: bool,
    pub hold: Option<Expr>,
    pub breakdown: Option<(Expr, Attribution)>,
    pub complete_only: bool,
    pub from: Option<i64>,
    pub to: Option<i64>,
}

impl Spec {
    /// The names of the rows: the steps, or in any order how many of them.
    pub(super) fn rows(&self) -> Vec<String> {
        if !self.rules.modes().has(Mode::Unordered) {
            return self.names.clone();
        }
        let all = self.names.len();
        (1..=all).map(|some| format!("any {some} of {all}")).collect()
    }

    /// Reads the options of a call and takes `steps` as its steps.
    pub(super) fn read(
        call: &Call,
        steps: &[SqlExpr],
        columns: &DFSchema,
        planner: &mut dyn RelationPlannerContext,
    ) -> Result<Self> {
        let function = call.function;
        let (mut names, mut tests) = (Vec::new(), Vec::new());
        for (no, value) in (1..).zip(steps) {
            names.push(quoted(value).map_or_else(|| value.to_string(), str::to_owned));
            tests.push(Test::read(value, &format!("{function}: step {no}"), columns, planner)?);
        }
        for value in call.list("exclude") {
            tests.push(Test::read(&value, &format!("{function}: option 'exclude'"), columns, planner)?);
        }
        if tests.len() > limits::FUNNEL_STEPS && !steps.is_empty() && steps.len() <= limits::FUNNEL_STEPS {
            return plan_err!("{function}: steps and excluded events together are at most {}", limits::FUNNEL_STEPS);
        }
        let whose = [("user", Whose::User), ("session", Whose::Session), ("attempt", Whose::Attempt)];
        let whose = call.choice("unit", &whose, planner)?.unwrap_or(Whose::User);
        let since = call.choice("ttc", &[("previous", Since::Previous), ("entry", Since::Entry)], planner)?;
        let remove = call.flag("remove", planner)?;
        if remove && tests.len() == steps.len() {
            return plan_err!("{function}: option 'remove' needs 'exclude': it says what takes a unit out");
        }
        let grace = call.length("grace", planner)?;
        let ties = match call.choice("ties", &[("order", Ties::Order), ("any", Ties::Any)], planner)? {
            Some(Ties::Order) if grace.is_some() => {
                return plan_err!("{function}: option 'grace' goes with 'ties' => 'any': it asks for no order");
            }
            None if grace.is_some() => Ties::Any,
            ties => ties.unwrap_or(Ties::Order),
        };
        let rules = rules(call, (steps.len(), tests.len()), whose, (ties, grace), planner)?;
        refuse_order(function, &rules, whose, ties)?;
        Ok(Self {
            function,
            rules,
            ties,
            names,
            tests,
            whose,
            since: since.unwrap_or(Since::Previous),
            remove,
            hold: call.expression("hold", columns, planner)?,
            breakdown: breakdown(call, steps.len(), columns, planner)?,
            complete_only: call.flag("complete_only", planner)?,
            from: call.moment("from", planner)?,
            to: call.moment("to", planner)?,
        })
    }
}

fn rules(
    call: &Call,
    (steps, tests): (usize, usize),
    whose: Whose,
    (ties, grace): (Ties, Option<i64>),
    planner: &mut dyn RelationPlannerContext,
) -> Result<Rules> {
    let function = call.function;
    let wrong = |error: String| plan_datafusion_err!("{function}: {error}");
    let window = match call.length("window", planner)? {
        Some(window) => window,
        None if whose == Whose::Session => i64::MAX,
        None => WINDOW,
    };
    let rules = Rules::new(steps, window, modes(call, planner)?).map_err(wrong)?;
    let excluded = (steps..tests).fold(0, |bits, bit| bits | 1 << bit);
    let mut rules = rules.ties(ties).exclude(excluded);
    if let Some(grace) = grace {
        rules = rules.grace(grace).map_err(|error| wrong(format!("option 'grace': {error}")))?;
    }
    let entry = call.choice("entry", &[("any", Entry::Any), ("first", Entry::First)], planner)?;
    if whose == Whose::Attempt && entry.is_some() {
        return plan_err!("{function}: option 'entry' has no meaning with unit 'attempt': every attempt has its own");
    }
    rules = rules.entry(entry.unwrap_or(Entry::Any)).map_err(wrong)?;
    let windows = call.list("step_windows");
    if !windows.is_empty() {
        let windows = windows.into_iter().map(|value| step_window(call, value, planner)).collect::<Result<_>>()?;
        rules = rules.step_windows(windows).map_err(|error| wrong(format!("option 'step_windows': {error}")))?;
    }
    Ok(rules)
}

/// Refuses what would ask for an order where there is none.
fn refuse_order(function: &str, rules: &Rules, whose: Whose, ties: Ties) -> Result<()> {
    let between = rules.modes().strict_between();
    let refused = [
        (whose == Whose::Attempt, "unit 'attempt': an attempt takes the events behind it, in file order"),
        (
            between && !rules.is_of_levels(),
            "step_windows or exclude beside a mode that looks between the steps: there file order decides",
        ),
        (
            between && function == "explain_funnel",
            "a mode that looks between the steps: of equal time stamps none is the event that stopped it",
        ),
    ];
    if let Some((_, what)) = refused.into_iter().find(|(given, _)| ties == Ties::Any && *given) {
        return plan_err!("{function}: any order ('ties' => 'any', 'grace') does not go with {what}");
    }
    if rules.modes().has(Mode::Unordered) && (rules.has_step_windows() || rules.slack() > 0) {
        return plan_err!("{function}: step_windows and grace do not go with mode 'unordered': no step is the next");
    }
    Ok(())
}

/// The longest time from one step to the next; NULL for none.
fn step_window(call: &Call, value: SqlExpr, planner: &mut dyn RelationPlannerContext) -> Result<i64> {
    if matches!(&value, SqlExpr::Value(value) if value.value == SqlValue::Null) {
        return Ok(i64::MAX);
    }
    let value = constant(value, &format!("{}: option 'step_windows'", call.function), planner)?;
    call.micros("step_windows", &value)
}

fn modes(call: &Call, planner: &mut dyn RelationPlannerContext) -> Result<Modes> {
    let mut modes = Modes::default().with(Mode::StrictOnce);
    let function = call.function;
    for value in call.list("mode") {
        let value = match value {
            SqlExpr::Identifier(word) => ScalarValue::from(word.value),
            value => constant(value, &format!("{function}: option 'mode'"), planner)?,
        };
        let name = text_of(&value).unwrap_or_else(|| value.to_string());
        match Mode::parse(&name) {
            Ok(mode) => modes = modes.with(mode),
            Err(error) => return plan_err!("{function}: option 'mode': {error}"),
        }
    }
    Ok(modes)
}

fn breakdown(
    call: &Call,
    steps: usize,
    columns: &DFSchema,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Option<(Expr, Attribution)>> {
    let function = call.function;
    let attribution = match call.option("attribution", planner)? {
        None => None,
        Some(value) => Some(attribution(function, &text_of(&value).unwrap_or_else(|| value.to_string()), steps)?),
    };
    match call.expression("breakdown", columns, planner)? {
        Some(expr) => Ok(Some((expr, attribution.unwrap_or(Attribution::First)))),
        None if attribution.is_some() => plan_err!("{function}: option 'attribution' needs 'breakdown'"),
        None => Ok(None),
    }
}

fn attribution(function: &str, text: &str, steps: usize) -> Result<Attribution> {
    let lower = text.to_ascii_lowercase();
    let step = lower.strip_prefix("step:").and_then(|step| step.trim().parse().ok());
    match (lower.as_str(), step) {
        ("first_touch", _) => Ok(Attribution::First),
        ("last_touch", _) => Ok(Attribution::Last),
        ("all", _) => Ok(Attribution::All),
        (_, Some(step)) if (1..=steps).contains(&step) => Ok(Attribution::Step(step)),
        _ => plan_err!(
            "{function}: option 'attribution' is 'first_touch', 'last_touch', 'all' or 'step:1' to 'step:{steps}', not '{text}'"
        ),
    }
}
