//! `correlate(goal)`: what goes with reaching a goal, a row per step, move or property of sessions: the bridge to
//! [`crate::journey::correlate`].
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `kind`, `factor` | `Utf8`; `factor` NULL for a step without a name | `step`: visited; `transition`: gone straight, `a > b`; `entry`: begun with; `referrer`: the site come from, or `direct`; `device`: `mobile`, `tablet`, `desktop` |
//! | `sessions_with`, `reached_with` | `Int64` | sessions that have it, and those of them that reach the goal |
//! | `sessions_without`, `reached_without` | `Int64` | the other sessions |
//! | `rate_with`, `rate_without` | `Float64`, NULL of no sessions | the shares that reach the goal |
//! | `lift` | `Float64`, NULL where `rate_without` is NULL or 0 | `rate_with / rate_without` |
//! | `odds_ratio`, `lo`, `hi` | `Float64` | how the odds to reach the goal differ, with its 95 % interval (of the log odds, Woolf) |
//! | `p_value` | `Float64` | how likely a ratio so far from 1 is by chance alone (Wald, two sides) |
//! | `corrected` | `Boolean` | whether a cell is 0, so that ½ was added to all four (Haldane, Anscombe) for the ratio |
//!
//! Only what comes before the first step that reaches the goal counts: that step itself, the move to it and all that
//! follows would tell of the goal because of the goal. So a session that begins with the goal has no step, no entry and no
//! move; it is one of those without. Referrer and device are those of a session's first event; a session without a user
//! agent has no device.
//!
//! Going with is no cause; intervals are for one factor at a time, among hundreds some are far off by chance. The
//! surest come first, of equally sure ones the most frequent.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::sql::sqlparser::ast::FunctionArg;

use super::call::Call;
use super::conditions::Conditions;
use super::figures::{Odds, odds_ratio, share};
use super::goal::{Goal, Reaching, seen};
use super::leaf::Answer;
use super::seen::Seen;
use super::table::{InPass, TableFunction, all_named, readers, table};
use super::walked::walk;
use crate::engine::relations::tape::Facts;
use crate::engine::scan::{Block, NONE, Names, PersonRuns, ScanPlan};
use crate::engine::source::Source;
use crate::engine::stop::Stop;
use crate::event::Column;
use crate::journey::Walk;
use crate::journey::correlate::{Correlate, Factor, Reached};
use crate::journey::path::ARROW;

/// The columns of `correlate`.
fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
        let count = |name: &str| Field::new(name, DataType::Int64, false);
        let figure = |name: &str, nullable| Field::new(name, DataType::Float64, nullable);
        Arc::new(Schema::new(vec![
            text("kind", false),
            text("factor", true),
            count("sessions_with"),
            count("reached_with"),
            count("sessions_without"),
            count("reached_without"),
            figure("rate_with", true),
            figure("rate_without", true),
            figure("lift", true),
            figure("odds_ratio", false),
            figure("lo", false),
            figure("hi", false),
            figure("p_value", false),
            Field::new("corrected", DataType::Boolean, false),
        ]))
    });
    Arc::clone(&SCHEMA)
}

/// Reads a call of `correlate`.
pub(super) fn plan(
    args: Vec<FunctionArg>,
    source: Arc<Source>,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Arc<dyn TableProvider>> {
    let goal = Goal::read(&Call::new("correlate", args, &[])?, &source, planner)?;
    Ok(table(CorrelateCall { goal, source }))
}

/// A call as written.
#[derive(Debug)]
struct CorrelateCall {
    goal: Goal,
    source: Arc<Source>,
}

impl TableFunction for CorrelateCall {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn answer(&self, state: &dyn Session, projection: Vec<usize>) -> Result<Arc<dyn Answer>> {
        let (plan, facts, conditions) = self.goal.pass(&self.source, state)?;
        let plan = plan.with_rows([Column::Referrer, Column::UserAgent]);
        let readers = readers(state, &plan);
        Ok(Arc::new(Pass { conditions: Arc::new(conditions), plan, facts, readers, projection }))
    }
}

/// A call planned over one snapshot.
#[derive(Debug, Clone)]
struct Pass {
    conditions: Arc<Conditions>,
    plan: ScanPlan,
    facts: Arc<Facts>,
    readers: usize,
    projection: Vec<usize>,
}

impl InPass for Pass {
    type Part = (Names, Correlate);

    fn name(&self) -> &'static str {
        "CorrelateExec"
    }

    fn pass(&self) -> (&ScanPlan, usize) {
        (&self.plan, self.readers)
    }

    fn read(&self, runs: PersonRuns, context: &TaskContext, stop: &Stop) -> Result<Self::Part> {
        let (mut reaching, mut counts) = (Reaching::new(&self.conditions), Correlate::default());
        let mut labels = Vec::new();
        let names = walk("CorrelateExec", runs, &self.facts, (context, stop), |block, names, walk| {
            reaching.look(block, names, walk)?;
            let others = properties(block, names, walk)?;
            for (visit, others) in walk.sessions.iter().zip(others) {
                let (before, reached) = reaching.before(visit);
                labels.clear();
                labels.extend(walk.steps[before].iter().map(|&row| block.labels()[row as usize]));
                counts.session(&labels, reached, others.into_iter().flatten());
            }
            Ok(counts.size())
        })?;
        Ok((names, counts))
    }

    fn rows(&self, parts: Vec<Self::Part>, context: &TaskContext, _: &Stop) -> Result<RecordBatch> {
        let (mut names, mut all, mut met) = (Names::default(), Correlate::default(), Seen::default());
        for (theirs, counts) in parts {
            met.merge(seen(&self.conditions, &theirs));
            all.merge(&counts, |code| if code == NONE { NONE } else { names.code(theirs.text(code)) });
        }
        met.tell("correlate", self.conditions.labels(), context);
        Ok(rows(&all, &all_named(names)?)?.project(&self.projection)?)
    }
}

/// Where the sessions of a block came from, and what they were made with.
fn properties(block: &Block, names: &mut Names, walk: &Walk) -> Result<Vec<[Option<Factor>; 2]>> {
    let first: Vec<u32> = walk.sessions.iter().map(|visit| visit.first_row).collect();
    let referrers = cast(&block.take(Column::Referrer, &first)?, &DataType::Utf8)?;
    let agents = cast(&block.take(Column::UserAgent, &first)?, &DataType::Utf8)?;
    let (referrers, agents) = (referrers.as_string::<i32>(), agents.as_string::<i32>());
    let mut of = |at: usize| {
        let referrer = referrers.is_valid(at).then(|| referrers.value(at));
        let agent = agents.is_valid(at).then(|| agents.value(at)).and_then(device);
        [Some(Factor::Referrer(names.code(&site(referrer)))), agent.map(|kind| Factor::Device(names.code(kind)))]
    };
    Ok((0..first.len()).map(&mut of).collect())
}

/// The site of a referrer, as in `profiles.entry_source`.
fn site(referrer: Option<&str>) -> String {
    let text = referrer.unwrap_or_default().to_lowercase();
    if matches!(text.as_str(), "" | "-") {
        return "direct".to_owned();
    }
    let Some((_, rest)) = text.split_once("://") else { return text };
    let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = place.rsplit('@').next().unwrap_or_default().split(':').next().unwrap_or_default();
    host.strip_prefix("www.").unwrap_or(host).to_owned()
}

/// What a user agent says of the device; `None` where it says nothing.
fn device(agent: &str) -> Option<&'static str> {
    let has = |word: &str| agent.contains(word);
    match agent {
        "" | "-" => None,
        _ if has("iPad") || has("Tablet") || has("Android") && !has("Mobile") => Some("tablet"),
        _ if has("Mobi") || has("iPhone") => Some("mobile"),
        _ => Some("desktop"),
    }
}

/// A row: kind, factor, the sessions with it, and the odds.
type Row = (&'static str, Option<String>, Reached, Odds);

fn rows(counts: &Correlate, names: &Names) -> Result<RecordBatch> {
    let all = counts.all();
    let name = |code: u32| (code != NONE).then(|| names.text(code).to_owned());
    let without =
        |with: Reached| Reached { sessions: all.sessions - with.sessions, reached: all.reached - with.reached };
    let row = |(factor, with): (Factor, Reached)| -> Row {
        let (kind, factor) = match factor {
            Factor::Step(a) => ("step", name(a)),
            Factor::Move(a, b) => ("transition", Some(format!("{}{ARROW}{}", names.text(a), names.text(b)))),
            Factor::Entry(a) => ("entry", name(a)),
            Factor::Referrer(a) => ("referrer", name(a)),
            Factor::Device(a) => ("device", name(a)),
        };
        let cells = [with, without(with)].map(|it| [it.reached, it.sessions - it.reached]);
        (kind, factor, with, odds_ratio(cells))
    };
    let mut rows: Vec<Row> = counts.factors().map(row).collect();
    rows.sort_by(|a, b| {
        let sure = a.3.p.total_cmp(&b.3.p).then(b.2.sessions.cmp(&a.2.sessions));
        sure.then_with(|| (a.0, &a.1).cmp(&(b.0, &b.1)))
    });
    let rate = |of: Reached| (of.sessions > 0).then(|| share(of.reached, of.sessions));
    let lift = |with| rate(with).zip(rate(without(with)).filter(|&rate| rate > 0.0)).map(|(with, rest)| with / rest);
    let whole = |of: &dyn Fn(Reached) -> u64| -> ArrayRef {
        Arc::new(rows.iter().map(|row| i64::try_from(of(row.2)).ok()).collect::<Int64Array>())
    };
    let figure =
        |of: &dyn Fn(&Row) -> Option<f64>| -> ArrayRef { Arc::new(rows.iter().map(of).collect::<Float64Array>()) };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.0)).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.1.as_deref()).collect::<StringArray>()),
        whole(&|with| with.sessions),
        whole(&|with| with.reached),
        whole(&|with| without(with).sessions),
        whole(&|with| without(with).reached),
        figure(&|row| rate(row.2)),
        figure(&|row| rate(without(row.2))),
        figure(&|row| lift(row.2)),
        figure(&|row| Some(row.3.ratio)),
        figure(&|row| Some(row.3.lo)),
        figure(&|row| Some(row.3.hi)),
        figure(&|row| Some(row.3.p)),
        Arc::new(rows.iter().map(|row| Some(row.3.corrected)).collect::<BooleanArray>()),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_and_devices() {
        for (referrer, expected) in [
            (None, "direct"),
            (Some("-"), "direct"),
            (Some("https://www.Example.com/a?b"), "example.com"),
            (Some("http://user:pw@example.com:8080/x@y"), "example.com"),
            (Some("android-app://com.example"), "com.example"),
            (Some("newsletter"), "newsletter"),
        ] {
            assert_eq!(site(referrer), expected, "{referrer:?}");
        }
        let kinds = ["", "Mozilla/5.0 (iPad)", "Android 14; Mobile", "Android 14", "Mozilla/5.0 (X11; Linux)"];
        assert_eq!(kinds.map(device), [None, Some("tablet"), Some("mobile"), Some("tablet"), Some("desktop")]);
    }
}
