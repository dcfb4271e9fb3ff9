//! `diff_transitions(a [, b])`: how people of two segments move differently, a row per transition.
//!
//! A segment is a condition over sessions: the columns of `sessions`, and `pages`, `path`, `steps` of `journeys`. Without
//! `b` it is all other sessions. A session may be in both; one that is in neither counts for nothing.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `from_step`, `to_step` | `Utf8`, NULL for a step without a name | as in `transitions`, `START` and `EXIT` included |
//! | `transitions_a`, `transitions_b` | `Int64` | how often, in each segment |
//! | `probability_a`, `probability_b` | `Float64` | share of the segment's departures from `from_step`; NULL where it has none |
//! | `difference` | `Float64` | `probability_a - probability_b` |
//! | `lo`, `hi` | `Float64` | its 95 % interval (Newcombe's, from the two Wilson intervals) |
//!
//! Where the interval does not contain 0 the segments differ, as far as departures are independent of each other and one
//! looks at one row: of a hundred rows without any difference, five look as if. The clearest differences come first.
//!
//! Invariants: the transitions of a segment are those of the view `transitions` over its sessions.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, plan_err};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::sql::sqlparser::ast::FunctionArg;
use hashbrown::HashMap;

use super::call::{Call, condition};
use super::conditions::unqualified;
use super::figures::{newcombe, share};
use super::leaf::Answer;
use super::table::{InPass, TableFunction, all_named, readers, table};
use super::walked::{self, walk};
use crate::engine::predicate::physical;
use crate::engine::relations::Relation;
use crate::engine::relations::edges::{EXIT, START};
use crate::engine::relations::tape::{CodeSet, Facts, Tape};
use crate::engine::scan::{Block, NONE, Names, PersonRuns, ScanPlan};
use crate::engine::source::Source;
use crate::engine::stop::Stop;
use crate::journey::{Paths, Walk};

/// The columns of `diff_transitions`.
fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let text = ["from_step", "to_step"].map(|name| Field::new(name, DataType::Utf8, true));
        let counts = ["transitions_a", "transitions_b"].map(|name| Field::new(name, DataType::Int64, false));
        let shares = ["probability_a", "probability_b", "difference", "lo", "hi"];
        let shares = shares.map(|name| Field::new(name, DataType::Float64, true));
        Arc::new(Schema::new(text.into_iter().chain(counts).chain(shares).collect::<Vec<_>>()))
    });
    Arc::clone(&SCHEMA)
}

/// What a segment can ask of: a session, and its path.
fn columns() -> Result<DFSchema> {
    let mut fields: Vec<Field> = Vec::new();
    for relation in [Relation::Sessions, Relation::Journeys] {
        for field in relation.schema().fields() {
            if !fields.iter().any(|known| known.name() == field.name()) {
                fields.push(field.as_ref().clone());
            }
        }
    }
    DFSchema::try_from_qualified_schema("sessions", &Schema::new(fields))
}

/// Reads a call of `diff_transitions`.
pub(super) fn plan(
    args: Vec<FunctionArg>,
    source: Arc<Source>,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Arc<dyn TableProvider>> {
    let call = Call::new("diff_transitions", args, &[])?;
    if !(1..=2).contains(&call.values.len()) {
        return plan_err!(
            "diff_transitions takes one or two segments – write diff_transitions(duration_s > 60, duration_s <= 60)"
        );
    }
    let columns = columns()?;
    let mut segments = Vec::new();
    for (name, value) in ["a", "b"].into_iter().zip(&call.values) {
        let what = (&*format!("diff_transitions: argument {name}"), "condition over sessions");
        segments.push(unqualified(condition(value.clone(), what, &columns, planner)?)?);
    }
    Ok(table(DiffCall { segments, source }))
}

/// A call as written.
#[derive(Debug)]
struct DiffCall {
    segments: Vec<Expr>,
    source: Arc<Source>,
}

impl TableFunction for DiffCall {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn answer(&self, state: &dyn Session, projection: Vec<usize>) -> Result<Arc<dyn Answer>> {
        let all = columns()?;
        let asks = |name: &str| self.segments.iter().any(|it| it.column_refs().iter().any(|it| it.name == *name));
        let fields: Vec<_> = all.fields().iter().filter(|field| asks(field.name())).cloned().collect();
        let seen = Arc::new(Schema::new(fields));
        let ready = |expr: &Expr| physical(expr.clone(), DFSchema::try_from(Arc::clone(&seen))?, state);
        let segments = self.segments.iter().map(ready).collect::<Result<Vec<_>>>()?;
        // Sessions are numbered over the whole history.
        let (plan, facts) = walked::pass(&self.source, state, asks("session_index"))?;
        let needs = seen.fields().iter().flat_map(|field| Relation::Journeys.needs(field.name())).copied();
        let plan = plan.with_rows(needs);
        let readers = readers(state, &plan);
        Ok(Arc::new(Diff { segments, seen, plan, facts, readers, projection }))
    }
}

/// A call planned over one snapshot.
#[derive(Debug, Clone)]
struct Diff {
    segments: Vec<Arc<dyn PhysicalExpr>>,
    /// The columns that they ask of.
    seen: SchemaRef,
    plan: ScanPlan,
    facts: Arc<Facts>,
    readers: usize,
    projection: Vec<usize>,
}

/// Transitions of each segment.
type Moves = HashMap<(u32, u32), [u64; 2]>;

impl InPass for Diff {
    type Part = (Names, Moves);

    fn name(&self) -> &'static str {
        "DiffTransitionsExec"
    }

    fn shown(&self) -> Option<String> {
        let segments: Vec<String> = self.segments.iter().map(ToString::to_string).collect();
        Some(format!("segments=[{}]", segments.join(", ")))
    }

    fn pass(&self) -> (&ScanPlan, usize) {
        (&self.plan, self.readers)
    }

    fn read(&self, runs: PersonRuns, context: &TaskContext, stop: &Stop) -> Result<Self::Part> {
        let mut moves = Moves::default();
        let names = walk("DiffTransitionsExec", runs, &self.facts, (context, stop), |block, names, walk| {
            let (start, exit) = (names.code(START), names.code(EXIT));
            let [a, b] = self.members(block, names, walk)?;
            for (at, session) in walk.sessions.iter().enumerate() {
                if !a[at] && !b[at] {
                    continue;
                }
                let labels = walk.steps[session.step_range()].iter().map(|&row| block.labels()[row as usize]);
                let mut from = start;
                for to in labels.chain([exit]) {
                    let count = moves.entry((from, to)).or_default();
                    *count = [count[0] + u64::from(a[at]), count[1] + u64::from(b[at])];
                    from = to;
                }
            }
            Ok(moves.capacity() * size_of::<((u32, u32), [u64; 2])>())
        })?;
        Ok((names, moves))
    }

    fn rows(&self, parts: Vec<Self::Part>, _: &TaskContext, _: &Stop) -> Result<RecordBatch> {
        let (mut names, mut all) = (Names::default(), Moves::default());
        for (theirs, moves) in parts {
            let mut known = |code| if code == NONE { NONE } else { names.code(theirs.text(code)) };
            for ((from, to), [a, b]) in moves {
                let sum = all.entry((known(from), known(to))).or_default();
                *sum = [sum[0] + a, sum[1] + b];
            }
        }
        Ok(rows(all, &all_named(names)?)?.project(&self.projection)?)
    }
}

impl Diff {
    /// Which sessions of a block are in each segment.
    fn members(&self, block: &Block, names: &mut Names, walk: &Walk) -> Result<[Vec<bool>; 2]> {
        let mut terminal = CodeSet::new(&self.facts.settings.terminal_pages);
        terminal.follow(names);
        let mut paths = Paths::default();
        let mut tape = Tape::new(block, names, walk, &self.facts, &terminal, &mut paths, (0, 0));
        let columns = self.seen.fields().iter().map(|field| Relation::Journeys.column(field.name(), false, &mut tape));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let count = walk.sessions.len();
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let sessions = RecordBatch::try_new_with_options(Arc::clone(&self.seen), columns, &options)?;
        let of = |segment: &Arc<dyn PhysicalExpr>| -> Result<Vec<bool>> {
            let held = segment.evaluate(&sessions)?.into_array(count)?;
            Ok(held.as_boolean().iter().map(|held| held == Some(true)).collect())
        };
        let a = of(&self.segments[0])?;
        let b = match self.segments.get(1) {
            Some(segment) => of(segment)?,
            None => a.iter().map(|held| !held).collect(),
        };
        Ok([a, b])
    }
}

/// What one transition tells.
struct Row {
    from: Option<String>,
    to: Option<String>,
    counts: [u64; 2],
    /// Departures from the step.
    wholes: [u64; 2],
    /// The difference with its interval.
    difference: Option<(f64, f64, f64)>,
}

impl Row {
    fn probability(&self, segment: usize) -> Option<f64> {
        (self.wholes[segment] > 0).then(|| share(self.counts[segment], self.wholes[segment]))
    }

    /// How far the interval is from 0; below it where it contains 0.
    fn clearness(&self) -> f64 {
        self.difference.map_or(f64::NEG_INFINITY, |(_, lo, hi)| lo.max(-hi))
    }
}

fn rows(moves: Moves, names: &Names) -> Result<RecordBatch> {
    let mut departures = HashMap::<u32, [u64; 2]>::new();
    for ((from, _), [a, b]) in &moves {
        let sum = departures.entry(*from).or_default();
        *sum = [sum[0] + a, sum[1] + b];
    }
    let text = |code: u32| (code != NONE).then(|| names.text(code).to_owned());
    let row = |((from, to), counts): ((u32, u32), [u64; 2])| {
        let wholes = departures.get(&from).copied().unwrap_or_default();
        let both = wholes[0] > 0 && wholes[1] > 0;
        let difference = both.then(|| newcombe((counts[0], wholes[0]), (counts[1], wholes[1])));
        Row { from: text(from), to: text(to), counts, wholes, difference }
    };
    let mut rows: Vec<Row> = moves.into_iter().map(row).collect();
    rows.sort_by(|a, b| {
        let order = b.clearness().total_cmp(&a.clearness());
        order.then_with(|| (&a.from, &a.to).cmp(&(&b.from, &b.to)))
    });
    let texts = |value: fn(&Row) -> &Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| value(row).as_deref()).collect::<StringArray>())
    };
    let count = |segment: usize| -> ArrayRef {
        Arc::new(rows.iter().map(|row| i64::try_from(row.counts[segment]).ok()).collect::<Int64Array>())
    };
    let figure = |value: &dyn Fn(&Row) -> Option<f64>| -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<Float64Array>())
    };
    let columns = vec![
        texts(|row| &row.from),
        texts(|row| &row.to),
        count(0),
        count(1),
        figure(&|row| row.probability(0)),
        figure(&|row| row.probability(1)),
        figure(&|row| row.difference.map(|it| it.0)),
        figure(&|row| row.difference.map(|it| it.1)),
        figure(&|row| row.difference.map(|it| it.2)),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
