//! `tie_report()`: sessions with different steps at one time, and what another order of them would change: the bridge to
//! [`crate::journey::tie_report`].
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `session_id`, `user_id`, `started_at` | `Utf8`, `Timestamp(µs, UTC)` | the session |
//! | `ties`, `tied_events` | `Int64` | times with several events that have different labels, and those events |
//! | `steps`, `other_steps` | `Int64` | steps in the order in force (SEMANTICS §1), and in the other one |
//! | `transitions`, `changed_transitions` | `Int64` | moves, `START` and `EXIT` included, and those that the other order has not |
//! | `entry_changes`, `exit_changes`, `path_changes` | `Boolean` | whether the session would begin, end or go otherwise |
//!
//! The other order turns events of one time round, person by person and session by session: it shows what the order in
//! force decides, where the input's times decide nothing. Where sessions begin and end is taken as it is: an end event
//! or a limit of events among equal times may move that too. `tie_totals` adds up what there is.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::sql::sqlparser::ast::FunctionArg;

use super::call::Call;
use super::leaf::Answer;
use super::table::{InPass, TableFunction, readers, table};
use super::walked::{self, walk};
use crate::engine::relations::Relation;
use crate::engine::relations::tape::{CodeSet, Facts, Tape};
use crate::engine::scan::{PersonRuns, ScanPlan};
use crate::engine::source::Source;
use crate::engine::stop::Stop;
use crate::event::utc_micros;
use crate::journey::Paths;
use crate::journey::tie_report::{Changed, Compare};

/// The columns of `tie_report`.
fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let column = |name: &str, kind: DataType| Field::new(name, kind, false);
        let mut fields = vec![
            column("session_id", DataType::Utf8),
            column("user_id", DataType::Utf8),
            column("started_at", utc_micros()),
        ];
        let counts = ["ties", "tied_events", "steps", "other_steps", "transitions", "changed_transitions"];
        fields.extend(counts.map(|name| column(name, DataType::Int64)));
        fields.extend(["entry_changes", "exit_changes", "path_changes"].map(|name| column(name, DataType::Boolean)));
        Arc::new(Schema::new(fields))
    });
    Arc::clone(&SCHEMA)
}

/// Reads a call of `tie_report`.
pub(super) fn plan(args: Vec<FunctionArg>, source: Arc<Source>) -> Result<Arc<dyn TableProvider>> {
    if !Call::new("tie_report", args, &[])?.values.is_empty() {
        return plan_err!("tie_report takes no arguments – write tie_report()");
    }
    Ok(table(TieCall { source }))
}

/// A call as written.
#[derive(Debug)]
struct TieCall {
    source: Arc<Source>,
}

impl TableFunction for TieCall {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn answer(&self, state: &dyn Session, projection: Vec<usize>) -> Result<Arc<dyn Answer>> {
        let (plan, facts) = walked::pass(&self.source, state, false)?;
        let plan = plan.with_rows(Relation::Sessions.needs("session_id").iter().copied());
        let readers = readers(state, &plan);
        Ok(Arc::new(Pass { plan, facts, readers, projection }))
    }
}

/// A call planned over one snapshot.
#[derive(Debug, Clone)]
struct Pass {
    plan: ScanPlan,
    facts: Arc<Facts>,
    readers: usize,
    projection: Vec<usize>,
}

/// A session that an order of equal times decides.
#[derive(Debug, Clone)]
struct Tied {
    session: String,
    user: String,
    start: i64,
    changed: Changed,
}

impl InPass for Pass {
    type Part = Vec<Tied>;

    fn name(&self) -> &'static str {
        "TieReportExec"
    }

    fn pass(&self) -> (&ScanPlan, usize) {
        (&self.plan, self.readers)
    }

    fn read(&self, runs: PersonRuns, context: &TaskContext, stop: &Stop) -> Result<Self::Part> {
        let (mut found, mut compare) = (Vec::<Tied>::new(), Compare::default());
        let (terminal, mut paths) = (CodeSet::new(&[]), Paths::default());
        let collapsed = self.facts.settings.collapse;
        walk("TieReportExec", runs, &self.facts, (context, stop), |block, names, walk| {
            let mut tied = Vec::new();
            for (at, visit) in walk.sessions.iter().enumerate() {
                let (ts, labels) = (&block.ts()[visit.rows()], &block.labels()[visit.rows()]);
                tied.extend(compare.session(ts, labels, collapsed).map(|changed| (at, changed)));
            }
            if !tied.is_empty() {
                let ids = Tape::new(block, names, walk, &self.facts, &terminal, &mut paths, (0, 0)).session_ids()?;
                found.extend(tied.into_iter().map(|(at, changed)| {
                    let visit = &walk.sessions[at];
                    Tied {
                        session: ids.value(at).to_owned(),
                        user: block.person(visit.person as usize).id.to_owned(),
                        start: block.ts()[visit.first_row as usize],
                        changed,
                    }
                }));
            }
            Ok(found.capacity() * (size_of::<Tied>() + 40))
        })?;
        Ok(found)
    }

    fn rows(&self, parts: Vec<Self::Part>, _: &TaskContext, _: &Stop) -> Result<RecordBatch> {
        Ok(rows(&parts.concat())?.project(&self.projection)?)
    }
}

fn rows(found: &[Tied]) -> Result<RecordBatch> {
    let count = |of: fn(&Changed) -> u64| -> ArrayRef {
        Arc::new(found.iter().map(|tied| i64::try_from(of(&tied.changed)).ok()).collect::<Int64Array>())
    };
    let truth = |of: fn(&Changed) -> bool| -> ArrayRef {
        Arc::new(found.iter().map(|tied| Some(of(&tied.changed))).collect::<BooleanArray>())
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(found.iter().map(|tied| &tied.session))),
        Arc::new(StringArray::from_iter_values(found.iter().map(|tied| &tied.user))),
        Arc::new(TimestampMicrosecondArray::from_iter_values(found.iter().map(|tied| tied.start)).with_timezone("UTC")),
        count(|it| it.ties),
        count(|it| it.events),
        count(|it| it.steps),
        count(|it| it.other_steps),
        count(|it| it.steps + 1),
        count(|it| it.moves),
        truth(|it| it.entry),
        truth(|it| it.exit),
        truth(|it| it.path),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
