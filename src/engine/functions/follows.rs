//! `follows()`: what comes some time after what in a session, whatever lies between: the bridge to
//! [`crate::journey::follows`].
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `from_step`, `to_step` | `Utf8`, NULL for a step without a name | two steps; the same one twice where people come back to it |
//! | `sessions`, `users` | `Int64` | with the second some time after the first visit of the first |
//! | `probability` | `Float64` | share of the sessions that visit `from_step` |
//! | `median_s` | `Float64` | seconds from the first visit of `from_step` to the first `to_step` behind it, exact |
//!
//! The most frequent pairs come first.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::sql::sqlparser::ast::FunctionArg;
use hashbrown::HashMap;

use super::call::Call;
use super::figures::{quantile, share};
use super::leaf::Answer;
use super::table::{InPass, TableFunction, all_named, readers, table};
use super::walked::{self, walk};
use crate::engine::relations::tape::Facts;
use crate::engine::scan::{NONE, Names, PersonRuns, ScanPlan};
use crate::engine::source::Source;
use crate::engine::stop::Stop;
use crate::journey::follows::Follows;
use crate::limits;

const MEDIAN: &str = "median_s";

/// The columns of `follows`.
fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            Field::new("from_step", DataType::Utf8, true),
            Field::new("to_step", DataType::Utf8, true),
            Field::new("sessions", DataType::Int64, false),
            Field::new("users", DataType::Int64, false),
            Field::new("probability", DataType::Float64, false),
            Field::new(MEDIAN, DataType::Float64, true),
        ]))
    });
    Arc::clone(&SCHEMA)
}

/// Reads a call of `follows`.
pub(super) fn plan(args: Vec<FunctionArg>, source: Arc<Source>) -> Result<Arc<dyn TableProvider>> {
    if !Call::new("follows", args, &[])?.values.is_empty() {
        return plan_err!("follows takes no arguments – write follows() and choose its rows by WHERE");
    }
    Ok(table(FollowsCall { source }))
}

/// A call as written.
#[derive(Debug)]
struct FollowsCall {
    source: Arc<Source>,
}

impl TableFunction for FollowsCall {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn answer(&self, state: &dyn Session, projection: Vec<usize>) -> Result<Arc<dyn Answer>> {
        let (plan, facts) = walked::pass(&self.source, state, false)?;
        let readers = readers(state, &plan);
        let timed = projection.contains(&schema().index_of(MEDIAN)?);
        Ok(Arc::new(Pass { plan, facts, readers, projection, timed }))
    }
}

/// A call planned over one snapshot.
#[derive(Debug, Clone)]
struct Pass {
    plan: ScanPlan,
    facts: Arc<Facts>,
    readers: usize,
    projection: Vec<usize>,
    /// Whether times are asked for.
    timed: bool,
}

/// What is known of two labels.
#[derive(Debug, Default)]
struct Pair {
    sessions: u64,
    users: u64,
    /// The last person that it was counted for, by number from 1.
    user: u64,
    /// µs
    gaps: Vec<i64>,
}

/// The pairs of one reader, and how many sessions visit a label.
#[derive(Debug, Default)]
struct Pairs {
    pairs: HashMap<(u32, u32), Pair>,
    visits: HashMap<u32, u64>,
}

impl InPass for Pass {
    type Part = (Names, Pairs);

    fn name(&self) -> &'static str {
        "FollowsExec"
    }

    fn pass(&self) -> (&ScanPlan, usize) {
        (&self.plan, self.readers)
    }

    fn read(&self, runs: PersonRuns, context: &TaskContext, stop: &Stop) -> Result<Self::Part> {
        // One long session of many pages can have more pairs than all the others.
        let memory = MemoryConsumer::new("pairs of steps").register(context.memory_pool());
        let (mut follows, mut found, mut labels) = (Follows::default(), Pairs::default(), Vec::new());
        let (mut user, mut gaps) = (0, 0);
        let names = walk("FollowsExec", runs, &self.facts, (context, stop), |block, _, walk| {
            let mut person = None;
            let ts = |step: usize| block.ts()[walk.steps[step] as usize];
            for session in &walk.sessions {
                user += u64::from(person.replace(session.person) != Some(session.person));
                let first = session.first_step as usize;
                labels.clear();
                labels.extend(walk.steps[session.step_range()].iter().map(|&row| block.labels()[row as usize]));
                let most = limits::FOLLOWS_STEPS;
                if labels.len() > most && follows.distinct(&labels) > most {
                    let user = block.person(session.person as usize).id;
                    return exec_err!(
                        "follows: a session of {user} has more than {most} different steps, which are too many pairs – \
                         leave such sessions out: flag them and SET journeyql.skip_flagged = true"
                    );
                }
                follows.each(&labels, |a, b, from, to| {
                    let pair = found.pairs.entry((a, b)).or_default();
                    pair.sessions += 1;
                    pair.users += u64::from(pair.user != user);
                    pair.user = user;
                    if self.timed {
                        pair.gaps.push(ts(first + to) - ts(first + from));
                        gaps += size_of::<i64>();
                    }
                    let held = found.pairs.len() * size_of::<((u32, u32), Pair)>() + gaps;
                    if held > memory.size() { memory.try_grow(held / 4 + PAIRS_AT_A_TIME) } else { Ok(()) }
                })?;
                follows.labels().for_each(|label| *found.visits.entry(label).or_default() += 1);
            }
            Ok::<usize, DataFusionError>(0)
        })?;
        Ok((names, found))
    }

    fn rows(&self, parts: Vec<Self::Part>, _: &TaskContext, _: &Stop) -> Result<RecordBatch> {
        let (mut names, mut all) = (Names::default(), Pairs::default());
        for part in parts {
            all.merge(&mut names, part);
        }
        Ok(all.table(&all_named(names)?)?.project(&self.projection)?)
    }
}

/// Bytes of pairs between two looks at the memory in use, at least.
const PAIRS_AT_A_TIME: usize = 1 << 20;

impl Pairs {
    /// Adds what a reader found, whose codes mean these names; its people are others.
    fn merge(&mut self, names: &mut Names, (theirs, other): (Names, Self)) {
        let mut known = |code| if code == NONE { NONE } else { names.code(theirs.text(code)) };
        for ((a, b), pair) in other.pairs {
            let sum = self.pairs.entry((known(a), known(b))).or_default();
            sum.sessions += pair.sessions;
            sum.users += pair.users;
            sum.gaps.extend(pair.gaps);
        }
        for (label, visits) in other.visits {
            *self.visits.entry(known(label)).or_default() += visits;
        }
    }

    /// The most frequent pairs first.
    fn table(self, names: &Names) -> Result<RecordBatch> {
        let text = |code: u32| (code != NONE).then(|| names.text(code));
        let mut rows: Vec<((u32, u32), Pair)> = self.pairs.into_iter().collect();
        rows.sort_by_cached_key(|((a, b), pair)| (std::cmp::Reverse(pair.sessions), text(*a), text(*b)));
        let median = |gaps: &mut Vec<i64>| (!gaps.is_empty()).then(|| quantile(gaps, 1, 2));
        let medians: Float64Array = rows.iter_mut().map(|row| median(&mut row.1.gaps)).collect();
        let whole = |value: fn(&Pair) -> u64| -> ArrayRef {
            Arc::new(rows.iter().map(|row| i64::try_from(value(&row.1)).ok()).collect::<Int64Array>())
        };
        let visits = |label: u32| self.visits.get(&label).copied().unwrap_or_default();
        let likely = rows.iter().map(|((from, _), pair)| share(pair.sessions, visits(*from)));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|row| text(row.0.0)).collect::<StringArray>()),
            Arc::new(rows.iter().map(|row| text(row.0.1)).collect::<StringArray>()),
            whole(|pair| pair.sessions),
            whole(|pair| pair.users),
            Arc::new(Float64Array::from_iter_values(likely)),
            Arc::new(medians),
        ];
        Ok(RecordBatch::try_new(schema(), columns)?)
    }
}
