//! `conversion_score(goal)`, `removal_effect(goal)`: how likely sessions reach a goal, and what each step has to do with
//! it, by the Markov chain of steps that the store's own sessions make: the bridge to [`crate::journey::chain`].
//!
//! The chain counts what sessions do up to the first step that reaches the goal, which ends it; a session that does not
//! reach it ends in `EXIT`, also while it is open, as in `transitions`.
//!
//! `conversion_score`: a row per session.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `session_id`, `user_id` | `Utf8` | the session and its person |
//! | `started_at` | `Timestamp(µs, UTC)` | when it began |
//! | `is_open` | `Boolean` | whether it may go on, as in `sessions.state` |
//! | `last_step` | `Utf8`, NULL for a step without a name | where it is, or was when it ended |
//! | `reached` | `Boolean` | whether it has reached the goal |
//! | `score` | `Float64` | the chance of a session at that step to reach the goal (of one that was closed there: had it gone on like others); 1 if it has |
//! | `expected_steps` | `Float64`, NULL where `score` is less than 0.0001 | steps from there to the goal, on the mean of those that reach it; 0 if it has |
//!
//! `removal_effect`: a row per step that comes before the goal, those with the largest effect first.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `step` | `Utf8`, NULL for a step without a name | the step |
//! | `visits` | `Int64` | how often sessions are there before the goal |
//! | `score`, `expected_steps` | `Float64` | as above |
//! | `removal_effect` | `Float64` | the share of the chain's conversions that would be lost if everybody who comes to the step left instead |
//! | `share` | `Float64` | its share of all effects (they sum to 1, where any is above 0): what the step is worth in an attribution |
//! | `conversions` | `Float64` | that share of the sessions that reached the goal |
//!
//! Scores are exact to 1e-9 of the chain, however it is solved, or the call fails and says so; `removal_effect` takes at
//! most 999 different steps.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
    StringBuilder, TimestampMicrosecondArray,
};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{exec_err, internal_err};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::sql::sqlparser::ast::FunctionArg;

use super::call::Call;
use super::conditions::Conditions;
use super::goal::{Goal, Reaching, seen};
use super::leaf::Answer;
use super::seen::Seen;
use super::table::{InPass, TableFunction, all_named, readers, table};
use super::walked::walk;
use crate::engine::relations::Relation;
use crate::engine::relations::sessions::closed;
use crate::engine::relations::tape::{CodeSet, Facts, Tape};
use crate::engine::scan::{NONE, Names, PersonRuns, ScanPlan};
use crate::engine::source::Source;
use crate::engine::stop::Stop;
use crate::event::utc_micros;
use crate::journey::Paths;
use crate::journey::chain::{Chain, Moves, REMOVALS, Unsolved};

const SCORE: &str = "conversion_score";
const REMOVAL: &str = "removal_effect";
/// The columns of `conversion_score` that cost something of every session.
const ID: &str = "session_id";
const USER: &str = "user_id";
/// Bytes of ids in a column, at most: what Arrow's offsets can address, and room for a block.
const MOST_TEXT: usize = 1 << 30;

fn schema(function: &str) -> SchemaRef {
    static SCORES: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            Field::new(ID, DataType::Utf8, false),
            Field::new(USER, DataType::Utf8, false),
            Field::new("started_at", utc_micros(), false),
            Field::new("is_open", DataType::Boolean, false),
            Field::new("last_step", DataType::Utf8, true),
            Field::new("reached", DataType::Boolean, false),
            Field::new("score", DataType::Float64, false),
            Field::new("expected_steps", DataType::Float64, true),
        ]))
    });
    static EFFECTS: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            Field::new("step", DataType::Utf8, true),
            Field::new("visits", DataType::Int64, false),
            Field::new("score", DataType::Float64, false),
            Field::new("expected_steps", DataType::Float64, true),
            Field::new("removal_effect", DataType::Float64, false),
            Field::new("share", DataType::Float64, false),
            Field::new("conversions", DataType::Float64, false),
        ]))
    });
    Arc::clone(if function == SCORE { &SCORES } else { &EFFECTS })
}

/// Reads a call of one of the functions.
pub(super) fn plan(
    function: &'static str,
    args: Vec<FunctionArg>,
    source: Arc<Source>,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Arc<dyn TableProvider>> {
    let goal = Goal::read(&Call::new(function, args, &[])?, &source, planner)?;
    Ok(table(ConversionCall { function, goal, source }))
}

/// A call as written.
#[derive(Debug)]
struct ConversionCall {
    function: &'static str,
    goal: Goal,
    source: Arc<Source>,
}

impl TableFunction for ConversionCall {
    fn schema(&self) -> SchemaRef {
        schema(self.function)
    }

    fn answer(&self, state: &dyn Session, projection: Vec<usize>) -> Result<Arc<dyn Answer>> {
        let (mut plan, facts, conditions) = self.goal.pass(&self.source, state)?;
        let schema = self.schema();
        let asked = |name: &str| projection.iter().any(|&at| schema.field(at).name() == name);
        let wanted = Wanted { sessions: self.function == SCORE, ids: asked(ID), users: asked(USER) };
        if wanted.sessions && wanted.ids {
            plan = plan.with_rows(Relation::Sessions.needs(ID).iter().copied());
        }
        let (conditions, readers) = (Arc::new(conditions), readers(state, &plan));
        Ok(Arc::new(Pass { wanted, conditions, plan, facts, readers, projection }))
    }
}

/// What is kept of sessions.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    sessions: bool,
    ids: bool,
    users: bool,
}

/// A call planned over one snapshot.
#[derive(Debug, Clone)]
struct Pass {
    wanted: Wanted,
    conditions: Arc<Conditions>,
    plan: ScanPlan,
    facts: Arc<Facts>,
    readers: usize,
    projection: Vec<usize>,
}

/// The sessions of one reader: a value each of what is kept.
#[derive(Debug, Default)]
struct Visits {
    ids: StringBuilder,
    users: StringBuilder,
    starts: Vec<i64>,
    open: Vec<bool>,
    last: Vec<u32>,
    reached: Vec<bool>,
}

impl Visits {
    fn size(&self) -> usize {
        let text = self.ids.values_slice().len() + self.users.values_slice().len();
        text + 8 * self.ids.offsets_slice().len() + self.starts.capacity() * 14
    }
}

impl InPass for Pass {
    type Part = (Names, Moves, Visits);

    fn name(&self) -> &'static str {
        if self.wanted.sessions { "ConversionScoreExec" } else { "RemovalEffectExec" }
    }

    fn pass(&self) -> (&ScanPlan, usize) {
        (&self.plan, self.readers)
    }

    fn read(&self, runs: PersonRuns, context: &TaskContext, stop: &Stop) -> Result<Self::Part> {
        let (mut reaching, mut moves, mut visits) =
            (Reaching::new(&self.conditions), Moves::default(), Visits::default());
        let (terminal, mut paths) = (CodeSet::new(&[]), Paths::default());
        let names = walk(InPass::name(self), runs, &self.facts, (context, stop), |block, names, walk| {
            reaching.look(block, names, walk)?;
            let label = |step: usize| block.labels()[walk.steps[step] as usize];
            for visit in &walk.sessions {
                let (before, reached) = reaching.before(visit);
                moves.session(before.map(label), reached);
                visits.last.push(label(visit.end_step as usize - 1));
                visits.reached.push(reached);
            }
            if !self.wanted.sessions {
                (visits.last, visits.reached) = (Vec::new(), Vec::new());
                return Ok(moves.size());
            }
            let mut tape = Tape::new(block, names, walk, &self.facts, &terminal, &mut paths, (0, 0));
            visits.starts.extend(walk.sessions.iter().map(|visit| block.ts()[visit.first_row as usize]));
            visits.open.extend(walk.sessions.iter().map(|visit| !closed(&tape, visit)));
            if self.wanted.ids {
                tape.session_ids()?.iter().for_each(|id| visits.ids.append_option(id));
            }
            if self.wanted.users {
                walk.sessions.iter().for_each(|it| visits.users.append_value(block.person(it.person as usize).id));
            }
            let longest = visits.ids.values_slice().len().max(visits.users.values_slice().len());
            if longest > MOST_TEXT {
                return too_long();
            }
            Ok(moves.size() + visits.size())
        })?;
        Ok((names, moves, visits))
    }

    fn rows(&self, found: Vec<Self::Part>, context: &TaskContext, stop: &Stop) -> Result<RecordBatch> {
        let (mut names, mut moves, mut visits) = (Names::default(), Moves::default(), Vec::new());
        let mut met = Seen::default();
        for (theirs, counted, mut kept) in found {
            met.merge(seen(&self.conditions, &theirs));
            let mut code = |code: u32| if code == NONE { NONE } else { names.code(theirs.text(code)) };
            moves.merge(&counted, &mut code);
            kept.last.iter_mut().for_each(|label| *label = code(*label));
            visits.push(kept);
        }
        met.tell(if self.wanted.sessions { SCORE } else { REMOVAL }, self.conditions.labels(), context);
        let names = all_named(names)?;
        let memory = MemoryConsumer::new(InPass::name(self)).register(context.memory_pool());
        // Twice: the columns are made of what is kept.
        memory.try_grow(moves.size() + 2 * visits.iter().map(Visits::size).sum::<usize>())?;
        let chain = Chain::new(&moves);
        if self.wanted.sessions {
            return scores(&chain, &names, visits, &self.projection, stop);
        }
        // A matrix, its inverse beside it, and the inverse alone.
        memory.try_grow(8 * 3 * chain.visits().len().min(REMOVALS).pow(2))?;
        Ok(effects(&chain, &names, moves.conversions(), stop)?.project(&self.projection)?)
    }
}

/// What is said where there are no figures.
fn unsolved<T>(function: &str, why: Unsolved) -> Result<T> {
    match why {
        Unsolved::TooMany(steps) => exec_err!(
            "{function}: {steps} different steps come before the goal, at most {} can be taken out one by one – make fewer of them by [pages] rules",
            REMOVALS - 1
        ),
        Unsolved::NotClose => exec_err!(
            "{function}: the chain of these steps cannot be solved to nine digits – very long sessions go to and fro in it; flag them and SET journeyql.skip_flagged = true"
        ),
        Unsolved::Stopped => exec_err!("{function} was stopped"),
    }
}

fn scores(
    chain: &Chain,
    names: &Names,
    mut visits: Vec<Visits>,
    projection: &[usize],
    stop: &Stop,
) -> Result<RecordBatch> {
    let chances = chain.chances(|| stop.is_raised()).or_else(|why| unsolved(SCORE, why))?;
    let last: Vec<u32> = visits.iter().flat_map(|part| part.last.iter().copied()).collect();
    let reached: Vec<bool> = visits.iter().flat_map(|part| part.reached.iter().copied()).collect();
    let place = |at: usize| chain.step(last[at]).filter(|_| !reached[at]);
    let score = |at: usize| if reached[at] { 1.0 } else { place(at).map_or(0.0, |step| chances.score[step]) };
    let steps = |at: usize| if reached[at] { Some(0.0) } else { place(at).and_then(|step| chances.steps[step]) };
    let all = 0..last.len();
    let whole = schema(SCORE);
    let mut column = |&at: &usize| -> Result<ArrayRef> {
        Ok(match whole.field(at).name().as_str() {
            ID => texts(visits.iter_mut().map(|part| part.ids.finish()))?,
            USER => texts(visits.iter_mut().map(|part| part.users.finish()))?,
            "started_at" => {
                let starts = visits.iter().flat_map(|part| part.starts.iter().copied());
                Arc::new(TimestampMicrosecondArray::from_iter_values(starts).with_timezone("UTC"))
            }
            "is_open" => {
                Arc::new(visits.iter().flat_map(|part| &part.open).map(|&open| Some(open)).collect::<BooleanArray>())
            }
            "last_step" => {
                let text = |&code: &u32| (code != NONE).then(|| names.text(code));
                Arc::new(last.iter().map(text).collect::<StringArray>())
            }
            "reached" => Arc::new(BooleanArray::from(reached.clone())),
            "score" => Arc::new(Float64Array::from_iter_values(all.clone().map(score))),
            "expected_steps" => Arc::new(all.clone().map(steps).collect::<Float64Array>()),
            other => return internal_err!("no column {other} in {SCORE}"),
        })
    };
    let columns = projection.iter().map(&mut column).collect::<Result<Vec<ArrayRef>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(last.len()));
    Ok(RecordBatch::try_new_with_options(Arc::new(whole.project(projection)?), columns, &options)?)
}

fn too_long<T>() -> Result<T> {
    exec_err!("{SCORE}: so many sessions have more than 1 GiB of ids – SET journeyql.from and to, or leave the ids out")
}

/// The texts of all readers behind each other.
fn texts(parts: impl Iterator<Item = StringArray>) -> Result<ArrayRef> {
    let parts: Vec<StringArray> = parts.collect();
    if parts.iter().map(|part| part.values().len()).sum::<usize>() > MOST_TEXT {
        return too_long();
    }
    let all: Vec<&dyn Array> = parts.iter().map(|part| part as &dyn Array).collect();
    Ok(if all.is_empty() { Arc::new(StringArray::from(Vec::<&str>::new())) } else { concat(&all)? })
}

#[expect(clippy::cast_precision_loss, reason = "counts of sessions stay far below 2^52")]
fn effects(chain: &Chain, names: &Names, conversions: u64, stop: &Stop) -> Result<RecordBatch> {
    let chances = chain.chances(|| stop.is_raised()).or_else(|why| unsolved(REMOVAL, why))?;
    let effects = chain.removals(|| stop.is_raised()).or_else(|why| unsolved(REMOVAL, why))?;
    let sum: f64 = effects.iter().sum();
    let share = |effect: f64| if sum > 0.0 { effect / sum } else { 0.0 };
    let text = |step: usize| Some(chain.labels()[step - 1]).filter(|&code| code != NONE).map(|code| names.text(code));
    let mut steps: Vec<usize> = (1..=effects.len()).collect();
    steps.sort_by(|&a, &b| {
        let order = effects[b - 1].total_cmp(&effects[a - 1]).then(chain.visits()[b].cmp(&chain.visits()[a]));
        order.then_with(|| text(a).cmp(&text(b)))
    });
    let figure = |of: &dyn Fn(usize) -> Option<f64>| -> ArrayRef {
        Arc::new(steps.iter().map(|&step| of(step)).collect::<Float64Array>())
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(steps.iter().map(|&step| text(step)).collect::<StringArray>()),
        Arc::new(steps.iter().map(|&step| i64::try_from(chain.visits()[step]).ok()).collect::<Int64Array>()),
        figure(&|step| Some(chances.score[step])),
        figure(&|step| chances.steps[step]),
        figure(&|step| Some(effects[step - 1])),
        figure(&|step| Some(share(effects[step - 1]))),
        figure(&|step| Some(share(effects[step - 1]) * conversions as f64)),
    ];
    Ok(RecordBatch::try_new(schema(REMOVAL), columns)?)
}
