//! `markov(order => …)`, `markov_accuracy()`: what comes next by the last steps, how many of them are worth looking at,
//! and how well it is told of sessions that were not learned from: the bridge to [`crate::journey::markov`].
//!
//! | option | values | default |
//! |---|---|---|
//! | `orders` | the longest context that is tried: 1 to 5 steps | 3 |
//! | `order` (only `markov`) | the longest context that is shown: 0 to 5 steps | the one that `markov_accuracy` chooses |
//!
//! `markov_accuracy`: sessions in the order of their first events, the first 80 % (rounded down) to learn from, the rest to
//! be told, every step from the second on; a row per order. The view `prediction_accuracy` shows it.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `order` | `Int64` | how many of the last steps are looked at; fewer where so many were never followed |
//! | `train_sessions`, `test_sessions` | `Int64` | sessions learned from, and told |
//! | `steps` | `Int64` | steps to tell |
//! | `known` | `Int64` | of those, behind something that was ever followed |
//! | `hits_1`, `hits_3`, `hits_5` | `Int64` | steps among the 1, 3 and 5 that most often followed; equal ones by name |
//! | `hit_rate_1`, `hit_rate_3`, `hit_rate_5` | `Float64`, NULL without steps | their shares of all steps |
//! | `log_loss` | `Float64`, NULL without steps | the mean of `-ln` of the steps' chances, smoothed (Witten, Bell): less is better |
//! | `is_chosen` | `Boolean` | the least log-loss, the lowest order of equal ones |
//!
//! `markov`: a row per context and step that followed it, learned from all sessions.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `order` | `Int64` | steps of the context |
//! | `context` | `Utf8` | its steps joined by ` > `, oldest first; empty for order 0 |
//! | `next_step` | `Utf8`, NULL for a step without a name | what followed |
//! | `transitions` | `Int64` | how often |
//! | `probability` | `Float64` | its share of all that followed the context: for order 1 `probability_next` of `transitions` |
//!
//! `START` and `EXIT` are no steps. The labels of all sessions are held in memory while it runs.

use std::cmp::Reverse;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{exec_err, internal_err, plan_err};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::sql::sqlparser::ast::FunctionArg;

use super::call::{Call, whole};
use super::figures::share;
use super::leaf::Answer;
use super::people::MOST_ROWS;
use super::table::{InPass, TableFunction, readers, table};
use super::walked::{self, walk};
use crate::engine::relations::tape::Facts;
use crate::engine::scan::{Block, NONE, Names, PersonRuns, ScanPlan};
use crate::engine::source::Source;
use crate::engine::stop::Stop;
use crate::event::Column;
use crate::journey::Walk;
use crate::journey::markov::{Accuracy, Followers, Markov, ORDERS};
use crate::journey::path::ARROW;

const MODEL: &str = "markov";
const ACCURACY: &str = "markov_accuracy";
/// The longest context that is tried where nothing is said.
const USUAL: usize = 3;

fn schema(function: &str) -> SchemaRef {
    static MODELS: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            Field::new("order", DataType::Int64, false),
            Field::new("context", DataType::Utf8, false),
            Field::new("next_step", DataType::Utf8, true),
            Field::new("transitions", DataType::Int64, false),
            Field::new("probability", DataType::Float64, false),
        ]))
    });
    static FIGURES: LazyLock<SchemaRef> = LazyLock::new(|| {
        let count = |name: &&str| Field::new(*name, DataType::Int64, false);
        let figure = |name: &&str| Field::new(*name, DataType::Float64, true);
        let counts = ["order", "train_sessions", "test_sessions", "steps", "known", "hits_1", "hits_3", "hits_5"];
        let figures = ["hit_rate_1", "hit_rate_3", "hit_rate_5", "log_loss"];
        let mut fields: Vec<Field> = counts.iter().map(count).chain(figures.iter().map(figure)).collect();
        fields.push(Field::new("is_chosen", DataType::Boolean, false));
        Arc::new(Schema::new(fields))
    });
    Arc::clone(if function == MODEL { &MODELS } else { &FIGURES })
}

/// Reads a call of one of the functions.
pub(super) fn plan(
    function: &'static str,
    args: Vec<FunctionArg>,
    source: Arc<Source>,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Arc<dyn TableProvider>> {
    let options: &[&str] = if function == MODEL { &["orders", "order"] } else { &["orders"] };
    let call = Call::new(function, args, options)?;
    if !call.values.is_empty() {
        return plan_err!("{function} takes only options – write {function}() or {function}(orders => 2)");
    }
    let mut steps = |name: &str, least: usize| -> Result<Option<usize>> {
        let Some(value) = call.option(name, planner)? else { return Ok(None) };
        match whole(&value).and_then(|steps| usize::try_from(steps).ok()) {
            Some(steps) if (least..=ORDERS).contains(&steps) => Ok(Some(steps)),
            _ => plan_err!("{function}: option '{name}' is a number of steps from {least} to {ORDERS}, not {value}"),
        }
    };
    let (orders, order) = (steps("orders", 1)?.unwrap_or(USUAL), steps("order", 0)?);
    Ok(table(MarkovCall { function, orders, order, source }))
}

/// A call as written.
#[derive(Debug)]
struct MarkovCall {
    function: &'static str,
    orders: usize,
    order: Option<usize>,
    source: Arc<Source>,
}

impl TableFunction for MarkovCall {
    fn schema(&self) -> SchemaRef {
        schema(self.function)
    }

    fn answer(&self, state: &dyn Session, projection: Vec<usize>) -> Result<Arc<dyn Answer>> {
        let (mut plan, facts) = walked::pass(&self.source, state, false)?;
        let is_split = self.order.is_none();
        if is_split {
            plan = plan.with_rows([Column::SourceId, Column::SourceOffset]);
        }
        let readers = readers(state, &plan);
        let Self { function, orders, order, .. } = *self;
        Ok(Arc::new(Pass { function, orders, order, plan, facts, readers, projection }))
    }
}

/// A call planned over one snapshot.
#[derive(Debug, Clone)]
struct Pass {
    function: &'static str,
    orders: usize,
    order: Option<usize>,
    plan: ScanPlan,
    facts: Arc<Facts>,
    readers: usize,
    projection: Vec<usize>,
}

/// When a session began: its first event's time, source and place there.
type First = (i64, u128, i64);

/// Sessions: their labels behind each other, where each ends, and when each began.
#[derive(Debug, Default)]
struct Sessions {
    labels: Vec<u32>,
    ends: Vec<usize>,
    first: Vec<First>,
}

impl Sessions {
    fn size(&self) -> usize {
        self.labels.capacity() * 4 + self.ends.capacity() * 8 + self.first.capacity() * size_of::<First>()
    }

    fn labels(&self, at: usize) -> &[u32] {
        &self.labels[if at == 0 { 0 } else { self.ends[at - 1] }..self.ends[at]]
    }

    fn len(&self) -> usize {
        self.ends.len()
    }
}

impl InPass for Pass {
    type Part = (Names, Sessions);

    fn name(&self) -> &'static str {
        "MarkovExec"
    }

    fn shown(&self) -> Option<String> {
        Some(format!("function={}, orders={}", self.function, self.orders))
    }

    fn pass(&self) -> (&ScanPlan, usize) {
        (&self.plan, self.readers)
    }

    fn read(&self, runs: PersonRuns, context: &TaskContext, stop: &Stop) -> Result<Self::Part> {
        let mut sessions = Sessions::default();
        let names = walk("MarkovExec", runs, &self.facts, (context, stop), |block, _, walk| {
            for visit in &walk.sessions {
                let steps = walk.steps[visit.step_range()].iter();
                sessions.labels.extend(steps.map(|&row| block.labels()[row as usize]));
                sessions.ends.push(sessions.labels.len());
            }
            if self.order.is_none() {
                first_events(block, walk, &mut sessions.first)?;
            }
            Ok(sessions.size())
        })?;
        Ok((names, sessions))
    }

    fn rows(&self, found: Vec<Self::Part>, context: &TaskContext, stop: &Stop) -> Result<RecordBatch> {
        let memory = MemoryConsumer::new("MarkovExec").register(context.memory_pool());
        let (names, mut sessions) = joined_sessions(found, &memory)?;
        let base = memory.size();
        let learn = |order: usize, sessions: &Sessions, which: &[usize]| {
            let labels = which.iter().map(|&at| sessions.labels(at));
            let mut done = 0_usize;
            let labels = labels.take_while(move |_| {
                done += 1;
                !done.is_multiple_of(4_096) || !stop.is_raised()
            });
            Markov::learn(labels, order, names.len(), |bytes| memory.try_resize(base + bytes))
        };
        let all: Vec<usize> = (0..sessions.len()).collect();
        let (mut order, mut rows) = (self.order, Vec::new());
        let mut counts = (0, 0);
        if order.is_none() {
            let mut by_time = all.clone();
            let first = std::mem::take(&mut sessions.first);
            by_time.sort_unstable_by_key(|&at| first[at]);
            let (train, test) = by_time.split_at(by_time.len() * 4 / 5);
            counts = (train.len(), test.len());
            let model = learn(self.orders, &sessions, train)?;
            rows = vec![Accuracy::default(); self.orders + 1];
            for (done, &at) in test.iter().enumerate() {
                if done.is_multiple_of(4_096) && stop.is_raised() {
                    return exec_err!("{} was stopped", self.function);
                }
                (0..).zip(&mut rows).for_each(|(order, row)| model.tell(sessions.labels(at), order, row));
            }
            order = (0..rows.len()).min_by(|&a, &b| rows[a].loss.total_cmp(&rows[b].loss));
        }
        let chosen = order.unwrap_or_default();
        if self.function == ACCURACY {
            return Ok(accuracy(&rows, counts, chosen)?.project(&self.projection)?);
        }
        Ok(model(&learn(chosen, &sessions, &all)?, &names)?.project(&self.projection)?)
    }
}

/// When the sessions of a block began.
fn first_events(block: &Block, walk: &Walk, first: &mut Vec<First>) -> Result<()> {
    let rows: Vec<u32> = walk.sessions.iter().map(|visit| visit.first_row).collect();
    let sources = cast(&block.take(Column::SourceId, &rows)?, &DataType::Utf8)?;
    let (sources, offsets) = (sources.as_string::<i32>(), block.take(Column::SourceOffset, &rows)?);
    let Some(offsets) = offsets.as_primitive_opt::<Int64Type>() else {
        return internal_err!("source_offset was read as {}", offsets.data_type());
    };
    for (at, &row) in rows.iter().enumerate() {
        // 16 bytes of the id, in its order.
        let mut id = [0; 16];
        let text = if sources.is_valid(at) { sources.value(at).as_bytes() } else { &[] };
        id.iter_mut().zip(text).for_each(|(byte, &of)| *byte = of);
        first.push((block.ts()[row as usize], u128::from_be_bytes(id), offsets.value(at)));
    }
    Ok(())
}

/// The sessions of all readers, with labels that are numbered from 0 in the order of their texts.
fn joined_sessions(found: Vec<(Names, Sessions)>, memory: &MemoryReservation) -> Result<(Vec<String>, Sessions)> {
    let mut texts: Vec<&str> = vec![""];
    for (names, sessions) in &found {
        let mut used: Vec<u32> = sessions.labels.clone();
        used.sort_unstable();
        used.dedup();
        texts.extend(used.into_iter().filter(|&code| code != NONE).map(|code| names.text(code)));
    }
    texts.sort_unstable();
    texts.dedup();
    let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
    let (mut all, mut held) = (Sessions::default(), 0);
    for (names, sessions) in found {
        held += sessions.size() + texts.iter().map(|text| text.len() + 24).sum::<usize>();
        memory.try_resize(held)?;
        let code = |code: u32| texts.binary_search_by(|text| text.as_str().cmp(names.text(code))).unwrap_or(0);
        let count = u32::try_from(names.len()).unwrap_or(u32::MAX);
        let codes: Vec<u32> = (0..count).map(|old| u32::try_from(code(old)).unwrap_or(u32::MAX)).collect();
        let base = all.labels.len();
        all.labels.extend(sessions.labels.iter().map(|&label| codes[label as usize]));
        all.ends.extend(sessions.ends.iter().map(|end| base + end));
        all.first.extend(sessions.first);
    }
    Ok((texts, all))
}

#[expect(clippy::cast_precision_loss, reason = "steps stay far below 2^52")]
fn accuracy(rows: &[Accuracy], sessions: (usize, usize), chosen: usize) -> Result<RecordBatch> {
    let count = |of: &dyn Fn(usize, &Accuracy) -> u64| -> ArrayRef {
        let values = rows.iter().enumerate().map(|(at, row)| i64::try_from(of(at, row)).ok());
        Arc::new(values.collect::<Int64Array>())
    };
    let figure = |of: &dyn Fn(&Accuracy) -> f64| -> ArrayRef {
        Arc::new(rows.iter().map(|row| (row.steps > 0).then(|| of(row))).collect::<Float64Array>())
    };
    let mut columns: Vec<ArrayRef> = vec![
        count(&|at, _| at as u64),
        count(&|_, _| sessions.0 as u64),
        count(&|_, _| sessions.1 as u64),
        count(&|_, row| row.steps),
        count(&|_, row| row.known),
    ];
    columns.extend((0..3).map(|rank| count(&|_, row| row.hits[rank])));
    columns.extend((0..3).map(|rank| figure(&|row| share(row.hits[rank], row.steps))));
    columns.push(figure(&|row| row.loss / row.steps as f64));
    columns.push(Arc::new((0..rows.len()).map(|at| Some(at == chosen)).collect::<BooleanArray>()));
    Ok(RecordBatch::try_new(schema(ACCURACY), columns)?)
}

/// Its order, how often it was followed, its text, what followed it.
type Context<'a> = (usize, Reverse<u64>, String, &'a Followers);

fn model(model: &Markov, names: &[String]) -> Result<RecordBatch> {
    if model.len() > MOST_ROWS {
        return exec_err!(
            "{MODEL}: {} rows, at most {MOST_ROWS} – ask for a lower order, such as {MODEL}(order => 1)",
            model.len()
        );
    }
    let text = |label: u32| names[label as usize].as_str();
    let spelled = |path: &[u32]| path.iter().map(|&label| text(label)).collect::<Vec<_>>().join(ARROW);
    let mut contexts: Vec<Context<'_>> = Vec::new();
    for (path, next) in model.contexts() {
        let total = next.iter().map(|row| u64::from(row.1)).sum();
        contexts.push((path.len(), Reverse(total), spelled(&path), next));
    }
    contexts.sort_unstable();
    // Order, context, (step, times), times of all.
    let rows = || contexts.iter().flat_map(|one| one.3.iter().map(move |row| (one.0, &one.2, *row, one.1.0)));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows().map(|row| i64::try_from(row.0).ok()).collect::<Int64Array>()),
        Arc::new(rows().map(|row| Some(row.1)).collect::<StringArray>()),
        Arc::new(rows().map(|row| Some(text(row.2.0)).filter(|text| !text.is_empty())).collect::<StringArray>()),
        Arc::new(rows().map(|row| Some(i64::from(row.2.1))).collect::<Int64Array>()),
        Arc::new(Float64Array::from_iter_values(rows().map(|row| share(u64::from(row.2.1), row.3)))),
    ];
    Ok(RecordBatch::try_new(schema(MODEL), columns)?)
}
