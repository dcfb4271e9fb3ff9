//! `explain_session(id)`: why a session begins and ends where it does, a row per event of it and of the sessions around
//! it, with the arithmetic: the bridge to [`crate::journey::explain_session`].
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `session_id`, `session_index` | `Utf8`, `Int64` | the event's session, and its number |
//! | `is_asked` | `Boolean` | whether it is the session that is asked for |
//! | `event_no` | `Int64` | number of the event in its session, from 1 |
//! | `ts`, `step` | `Timestamp(µs, UTC)`, `Utf8` or NULL | when, and the event's label |
//! | `source_session_id` | `Utf8` or NULL | the session id of the input, which sessions never cross |
//! | `since_previous_s` | `Float64`, NULL for the first of a source session | seconds since the event before it there |
//! | `gap_s` | `Float64` | the longest idle time that a session goes on over |
//! | `since_first_s`, `events_before` | `Float64`, `Int64`; NULL as above | what `max_duration` and `max_events` look at: seconds since the first event of the session that it goes on, or would have gone on, and how many that had |
//! | `opened_by` | `Utf8`, NULL where the session goes on | why a session begins: `first_event`, `source_session`, `gap`, `end_event`, `max_duration`, `max_events`, `midnight`, `correction` |
//! | `closed_by` | `Utf8`, NULL where the session goes on or is open | why it ends behind the event, as in `sessions.ended_by` |
//! | `reason` | `Utf8` | the same in words |
//!
//! Around it are the sessions before and after it of the person, and of its source session. Every session that is stored is
//! found, in whatever range `journeyql.from` and `to` set, flagged or not; an id that no session has has no rows.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::sql::sqlparser::ast::FunctionArg;

use super::call::{Call, constant, shown, text_of};
use super::leaf::Answer;
use super::sessions::Sessions;
use super::table::{InPass, TableFunction, readers, table};
use super::walked::walk;
use crate::engine::relations::Relation;
use crate::engine::relations::sessions::closed;
use crate::engine::relations::tape::{CodeSet, Facts, Tape};
use crate::engine::scan::{Block, NONE, Names, PersonRuns, ScanPlan};
use crate::engine::settings::Settings;
use crate::engine::source::Source;
use crate::engine::stop::Stop;
use crate::event::{Column, utc_micros};
use crate::journey::explain_session::{Border, borders};
use crate::journey::{Columns, EndedBy, Paths, Session as Visit, Walk};
use crate::time::{DAY, SECOND, duration_text, iso};

/// The columns of `explain_session`.
fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let column = |name: &str, kind: DataType, nullable| Field::new(name, kind, nullable);
        Arc::new(Schema::new(vec![
            column("session_id", DataType::Utf8, false),
            column("session_index", DataType::Int64, false),
            column("is_asked", DataType::Boolean, false),
            column("event_no", DataType::Int64, false),
            column("ts", utc_micros(), false),
            column("step", DataType::Utf8, true),
            column("source_session_id", DataType::Utf8, true),
            column("since_previous_s", DataType::Float64, true),
            column("gap_s", DataType::Float64, false),
            column("since_first_s", DataType::Float64, true),
            column("events_before", DataType::Int64, true),
            column("opened_by", DataType::Utf8, true),
            column("closed_by", DataType::Utf8, true),
            column("reason", DataType::Utf8, false),
        ]))
    });
    Arc::clone(&SCHEMA)
}

/// Reads a call of `explain_session`.
pub(super) fn plan(
    args: Vec<FunctionArg>,
    source: Arc<Source>,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Arc<dyn TableProvider>> {
    let call = Call::new("explain_session", args, &[])?;
    let [id] = call.values.as_slice() else {
        return plan_err!("explain_session takes one session – write explain_session('…') with a session_id");
    };
    let what = "explain_session: argument 1 (session_id)";
    let value = constant(id.clone(), what, planner)?;
    let Some(id) = text_of(&value) else { return plan_err!("{what} must be a text, is {}", shown(&value)) };
    Ok(table(ExplainCall { id, source }))
}

/// A call as written.
#[derive(Debug)]
struct ExplainCall {
    id: String,
    source: Arc<Source>,
}

impl TableFunction for ExplainCall {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn answer(&self, state: &dyn Session, projection: Vec<usize>) -> Result<Arc<dyn Answer>> {
        let mut settings = Settings::of(state.config_options());
        (settings.from, settings.to, settings.skip_flagged, settings.with_step) = (None, None, false, None);
        let plan = self.source.steps_pass(state, &settings, None, i64::MIN, true)?;
        let plan = plan.with_rows(Relation::Sessions.needs("session_id").iter().copied());
        let (sessions, plan) = Sessions::new(settings.clone(), true, plan);
        let first_ts = self.source.span().map_or(0, |span| span.0);
        let facts = Arc::new(Facts { now: self.source.now(&settings), first_ts, settings });
        let readers = readers(state, &plan);
        Ok(Arc::new(Pass { id: self.id.clone(), plan, sessions, facts, readers, projection }))
    }
}

/// A call planned over one snapshot.
#[derive(Debug, Clone)]
struct Pass {
    id: String,
    plan: ScanPlan,
    sessions: Sessions,
    facts: Arc<Facts>,
    readers: usize,
    projection: Vec<usize>,
}

impl InPass for Pass {
    type Part = Vec<Line>;

    fn name(&self) -> &'static str {
        "ExplainSessionExec"
    }

    fn shown(&self) -> Option<String> {
        Some(format!("id={}", self.id))
    }

    fn pass(&self) -> (&ScanPlan, usize) {
        (&self.plan, self.readers)
    }

    fn read(&self, runs: PersonRuns, context: &TaskContext, stop: &Stop) -> Result<Self::Part> {
        let mut lines = Vec::new();
        let (terminal, mut paths) = (CodeSet::new(&[]), Paths::default());
        walk("ExplainSessionExec", runs, &self.facts, (context, stop), |block, names, walk| {
            let mut tape = Tape::new(block, names, walk, &self.facts, &terminal, &mut paths, (0, 0));
            let ids = tape.session_ids()?;
            if let Some(asked) = (0..ids.len()).find(|&at| ids.value(at) == self.id) {
                let ends = self.sessions.cut(block, tape.names).ends;
                Around { pass: self, tape: &tape, ids: &ids, asked, ends: &ends }.lines(&mut lines)?;
            }
            Ok(0)
        })?;
        Ok(lines)
    }

    fn rows(&self, parts: Vec<Self::Part>, _: &TaskContext, _: &Stop) -> Result<RecordBatch> {
        Ok(rows(&parts.concat(), self.facts.settings.rules.gap)?.project(&self.projection)?)
    }
}

/// One row of the answer.
#[derive(Debug, Clone)]
struct Line {
    session: String,
    index: u32,
    asked: bool,
    number: u32,
    ts: i64,
    step: Option<String>,
    source: Option<String>,
    border: Option<Border>,
    opened: Option<&'static str>,
    closed: Option<&'static str>,
    reason: String,
}

/// A session that was found, among its block.
struct Around<'a> {
    pass: &'a Pass,
    tape: &'a Tape<'a>,
    ids: &'a StringArray,
    /// Its number in the block.
    asked: usize,
    ends: &'a [bool],
}

impl Around<'_> {
    fn block(&self) -> &Block {
        self.tape.block
    }

    fn walk(&self) -> &Walk {
        self.tape.walk
    }

    fn names(&self) -> &Names {
        self.tape.names
    }

    fn lines(&self, lines: &mut Vec<Line>) -> Result<()> {
        let all = &self.walk().sessions;
        let asked = all[self.asked];
        let person = self.block().person(asked.person as usize).rows;
        let (ts, labels, sources) = (self.block().ts(), self.block().labels(), self.block().sources());
        let columns = Columns { ts, labels, sources, ends: self.ends, edges: self.block().edges() };
        let borders = borders(person.clone(), columns, self.pass.facts.settings.rules);
        let source = |visit: &Visit| sources.get(visit.first_row as usize).copied().unwrap_or_default();
        // In the person's rows a source session lies together, so that its sessions touch.
        let touches = |visit: &Visit| {
            source(visit) == source(&asked) && (visit.end_row == asked.first_row || visit.first_row == asked.end_row)
        };
        let near = |visit: &Visit| visit.index.abs_diff(asked.index) <= 1 || touches(visit);
        for (at, visit) in all.iter().enumerate().filter(|(_, visit)| visit.person == asked.person && near(visit)) {
            let rows: Vec<u32> = (visit.first_row..visit.end_row).collect();
            let ids = cast(&self.block().take(Column::SourceSessionId, &rows)?, &DataType::Utf8)?;
            let ids = ids.as_string::<i32>();
            for (number, row) in (1..).zip(visit.rows()) {
                let border = borders[row - person.start];
                let is_last = row + 1 == visit.end_row as usize;
                let label = labels[row];
                let opened = (number == 1).then(|| opened_by(border, visit, ids.is_valid(0)));
                let closed = if is_last { self.closed_by(visit) } else { None };
                let mut reason = self.begins(border, visit, row, ids.is_valid(0).then(|| ids.value(0)));
                if is_last {
                    reason.push_str("; ");
                    reason.push_str(&self.ends_with(visit, borders.get(row + 1 - person.start).copied().flatten()));
                }
                lines.push(Line {
                    session: self.ids.value(at).to_owned(),
                    index: visit.index,
                    asked: at == self.asked,
                    number,
                    ts: ts[row],
                    step: (label != NONE).then(|| self.names().text(label).to_owned()),
                    source: ids.is_valid(number as usize - 1).then(|| ids.value(number as usize - 1).to_owned()),
                    border,
                    opened,
                    closed,
                    reason,
                });
            }
        }
        Ok(())
    }

    fn closed_by(&self, visit: &Visit) -> Option<&'static str> {
        match visit.ended_by {
            EndedBy::Nothing if closed(self.tape, visit) => EndedBy::Gap.name(),
            by => by.name(),
        }
    }

    /// Why an event begins a session, or goes on one.
    fn begins(&self, border: Option<Border>, visit: &Visit, row: usize, source: Option<&str>) -> String {
        let Some(border) = border else {
            return match source {
                Some(source) => format!("begins: the first event of the source session '{source}'"),
                None if visit.index == 1 => "begins: the first event of this person".to_owned(),
                None => "begins: the first event without a source session".to_owned(),
            };
        };
        let why = self.border(border, row);
        match (border.by, border.joined) {
            (EndedBy::Nothing, _) => format!("goes on: {why}"),
            (_, true) => format!("goes on because a correction joins it, although {why}"),
            (_, false) => format!("begins: {why}"),
        }
    }

    /// The arithmetic of the border before a row.
    fn border(&self, border: Border, row: usize) -> String {
        let rules = self.pass.facts.settings.rules;
        let (since, age) = (duration_text(border.since_previous), duration_text(border.since_first));
        let gap = duration_text(rules.gap);
        match border.by {
            EndedBy::Nothing => format!("{since} after the event before it, the gap is {gap}"),
            EndedBy::Gap => format!("{since} after the event before it, longer than the gap of {gap}"),
            EndedBy::EndEvent => {
                let label = self.names().text(self.block().labels()[row - 1]);
                format!("the event before it, '{label}', is an end event")
            }
            EndedBy::MaxDuration => {
                let most = duration_text(rules.max_duration);
                format!("{age} after the session's first event, longer than max_duration of {most}")
            }
            EndedBy::MaxEvents => {
                format!("the session has {} events already, max_events is {}", border.events, rules.max_events)
            }
            EndedBy::Midnight => {
                let midnight = self.block().ts()[row].div_euclid(DAY) * DAY;
                format!("midnight ({}) lies between it and the event before it", iso(midnight))
            }
            EndedBy::Correction => "a correction splits the session here".to_owned(),
        }
    }

    /// Why a session ends behind its last event; `next` is the border behind it, if its source session goes on.
    fn ends_with(&self, visit: &Visit, next: Option<Border>) -> String {
        let rules = self.pass.facts.settings.rules;
        let row = visit.end_row as usize;
        let gap = duration_text(rules.gap);
        let until = self.block().ts()[row - 1].saturating_add(rules.gap);
        let now = iso(self.pass.facts.now);
        match (next, visit.ended_by) {
            (_, EndedBy::EndEvent) => {
                let label = self.names().text(self.block().labels()[row - 1]);
                format!("ends: '{label}' is an end event")
            }
            (Some(next), _) => format!("ends before the next event: {}", self.border(next, row)),
            (None, _) if closed(self.tape, visit) => {
                format!("ends: nothing follows, and at {now} the gap of {gap} has passed (until {})", iso(until))
            }
            (None, _) => format!("is open: nothing follows yet, at {now} the gap of {gap} runs until {}", iso(until)),
        }
    }
}

/// What began a session.
fn opened_by(border: Option<Border>, visit: &Visit, has_source: bool) -> &'static str {
    match border {
        Some(border) => border.by.name().unwrap_or("first_event"),
        None if has_source || visit.index > 1 => "source_session",
        None => "first_event",
    }
}

#[expect(clippy::cast_precision_loss, reason = "times stay far below 2^52 µs apart")]
fn rows(lines: &[Line], gap: i64) -> Result<RecordBatch> {
    let seconds = |micros: i64| micros as f64 / SECOND as f64;
    let text = |of: fn(&Line) -> Option<&str>| -> ArrayRef { Arc::new(lines.iter().map(of).collect::<StringArray>()) };
    let whole = |of: fn(&Line) -> Option<i64>| -> ArrayRef { Arc::new(lines.iter().map(of).collect::<Int64Array>()) };
    let length = |of: fn(&Border) -> i64| -> ArrayRef {
        Arc::new(lines.iter().map(|line| line.border.as_ref().map(of).map(seconds)).collect::<Float64Array>())
    };
    let columns: Vec<ArrayRef> = vec![
        text(|line| Some(&line.session)),
        whole(|line| Some(line.index.into())),
        Arc::new(lines.iter().map(|line| Some(line.asked)).collect::<BooleanArray>()),
        whole(|line| Some(line.number.into())),
        Arc::new(lines.iter().map(|line| Some(line.ts)).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
        text(|line| line.step.as_deref()),
        text(|line| line.source.as_deref()),
        length(|border| border.since_previous),
        Arc::new(Float64Array::from(vec![seconds(gap); lines.len()])),
        length(|border| border.since_first),
        whole(|line| line.border.and_then(|border| i64::try_from(border.events).ok())),
        text(|line| line.opened),
        text(|line| line.closed),
        text(|line| Some(&line.reason)),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
