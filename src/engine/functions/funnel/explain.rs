//! `explain_funnel(user, step…)`: how far one person came, step by step, and the first thing that stopped it.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `unit` | `Int64` | number of the person's unit (person, session, attempt, value), from 1 |
//! | `session_start` | `Timestamp(µs, UTC)`, NULL unless sessions are the units | where the unit begins |
//! | `counted` | `Boolean` | whether the funnel counts the unit: it entered, was not taken out, and is not left out |
//! | `step_no`, `step` | `Int64`, `Utf8` | number from 1, and the step as written |
//! | `at`, `event` | `Timestamp(µs, UTC)`, `Utf8`; NULL if not reached | the event that fills it: its time and label |
//! | `since_previous_s`, `since_entry_s` | `Float64`; NULL for the first step or if not reached | seconds to it |
//! | `reason` | `Utf8`; NULL except at the first step that was not reached | what stopped it |
//!
//! The chain is the reported one, options as in `funnel`, which tells the same numbers. A person without step events has
//! rows that say so.

use std::sync::Arc;

use arrow::array::TimestampMicrosecondArray;
use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::Result;

use super::pass::{Report, Shared, Sink, Wanted};
use super::spec::Spec;
use super::units::Unit;
use super::users::{moment, seconds};
use crate::engine::functions::seen::Seen;
use crate::engine::scan::Names;
use crate::journey::funnel::{Mode, Stop, Ties, unfilled};
use crate::time::{duration_text, iso};

/// Explains units.
#[derive(Debug, Clone)]
pub(super) struct Explain;

/// One row of the answer.
#[derive(Debug, Default)]
pub(super) struct Line {
    unit: i64,
    session: Option<i64>,
    counted: bool,
    /// From 0.
    step: usize,
    at: Option<i64>,
    event: Option<String>,
    since: Option<(f64, f64)>,
    reason: Option<String>,
}

impl Report for Explain {
    type Sink = Lines;
    type Part = Vec<Line>;
    const EVERY: bool = true;
    const LABELS: bool = true;

    fn schema(&self, _: &Spec) -> SchemaRef {
        let column = |name: &str, kind: DataType, nullable| Field::new(name, kind, nullable);
        Arc::new(Schema::new(vec![
            column("unit", DataType::Int64, false),
            column("session_start", moment(), true),
            column("counted", DataType::Boolean, false),
            column("step_no", DataType::Int64, false),
            column("step", DataType::Utf8, false),
            column("at", moment(), true),
            column("event", DataType::Utf8, true),
            column("since_previous_s", DataType::Float64, true),
            column("since_entry_s", DataType::Float64, true),
            column("reason", DataType::Utf8, true),
        ]))
    }

    fn chained(&self) -> bool {
        true
    }

    fn sink(&self, shared: &Arc<Shared>, _: Wanted) -> Lines {
        Lines { shared: Arc::clone(shared), units: 0, found: Vec::new() }
    }

    fn table(&self, shared: &Shared, parts: Vec<Vec<Line>>, _: &Seen) -> Result<RecordBatch> {
        let mut lines: Vec<Line> = parts.into_iter().flatten().collect();
        let names = shared.spec.rows();
        if lines.is_empty() {
            let nobody = Some("this person has no step events here".to_owned());
            lines = (0..names.len()).map(|step| Line { unit: 1, step, ..Line::default() }).collect();
            lines[0].reason = nobody;
        }
        let moments = |of: fn(&Line) -> Option<i64>| -> ArrayRef {
            Arc::new(lines.iter().map(of).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        };
        let number = |step: usize| i64::try_from(step + 1).unwrap_or(i64::MAX);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(lines.iter().map(|line| Some(line.unit)).collect::<Int64Array>()),
            moments(|line| line.session),
            Arc::new(lines.iter().map(|line| Some(line.counted)).collect::<BooleanArray>()),
            Arc::new(lines.iter().map(|line| Some(number(line.step))).collect::<Int64Array>()),
            Arc::new(lines.iter().map(|line| Some(&names[line.step])).collect::<StringArray>()),
            moments(|line| line.at),
            Arc::new(lines.iter().map(|line| line.event.as_ref()).collect::<StringArray>()),
            Arc::new(lines.iter().map(|line| line.since.map(|since| since.0)).collect::<Float64Array>()),
            Arc::new(lines.iter().map(|line| line.since.map(|since| since.1)).collect::<Float64Array>()),
            Arc::new(lines.iter().map(|line| line.reason.as_ref()).collect::<StringArray>()),
        ];
        Ok(RecordBatch::try_new(self.schema(&shared.spec), columns)?)
    }
}

/// The rows of one reader.
#[derive(Debug)]
pub(super) struct Lines {
    shared: Arc<Shared>,
    units: i64,
    found: Vec<Line>,
}

impl Sink for Lines {
    type Part = Vec<Line>;

    fn unit(&mut self, unit: &Unit<'_>) {
        self.units += 1;
        for step in 0..self.shared.spec.names.len() {
            let mut line =
                Line { unit: self.units, session: unit.home.session, counted: unit.counts(), step, ..Line::default() };
            if let Some(&at) = unit.chain.get(step) {
                line.at = Some(unit.events.ts[at]);
                line.event = Some(label(unit, at).to_owned());
                let since = |from: usize| seconds(unit.took(from, step));
                line.since = step.checked_sub(1).map(|before| (since(before), since(0)));
            } else if step == unit.chain.len() {
                let unordered = self.shared.spec.rules.modes().has(Mode::Unordered);
                line.reason = Some(if unordered { self.left_over(unit) } else { self.reason(unit) });
            }
            self.found.push(line);
        }
    }

    fn size(&self) -> usize {
        self.found.capacity() * (size_of::<Line>() + 64)
    }

    fn finish(self, _: &Names) -> Vec<Line> {
        self.found
    }
}

fn label<'a>(unit: &Unit<'a>, at: usize) -> &'a str {
    let home = unit.home;
    home.names.text(home.block.labels()[unit.events.rows[at]])
}

impl Lines {
    /// Why the chain of a unit ends.
    fn reason(&self, unit: &Unit<'_>) -> String {
        let (spec, start) = (&self.shared.spec, unit.span.start);
        let (ts, masks) = (&unit.events.ts[start..], &unit.events.masks[start..]);
        let chain: Vec<usize> = unit.chain.iter().map(|at| at - start).collect();
        let shown = |at: usize| format!("'{}' at {}", label(unit, at + start), iso(ts[at]));
        let since = |from: usize, at: usize| duration_text(ts[at] - ts[from]);
        let held = if spec.hold.is_some() { " with the value that is held" } else { "" };
        let (first, last) = (chain.first().copied().unwrap_or(0), chain.last().copied().unwrap_or(0));
        let (window, step_window) = (spec.rules.window(), spec.rules.step_window(chain.len()));
        match Stop::of(&spec.rules, spec.ties, (ts, masks), &chain, unit.open) {
            Stop::Nothing => format!("no event meets this step{held}"),
            Stop::Earlier(at) => format!("only met before the step before it: {}", shown(at)),
            Stop::Used(at) => format!("only met by {}, which fills another step", shown(at)),
            Stop::Excluded(at) if unit.removed => format!("taken out by the excluded event {}", shown(at)),
            Stop::Excluded(at) => format!("ended by the excluded event {}", shown(at)),
            Stop::Late(at) => {
                let (took, window) = (since(first, at), duration_text(window));
                format!("too late: {} is {took} after the first step, the window is {window}", shown(at))
            }
            Stop::StepLate(at) => {
                let (took, window) = (since(last, at), duration_text(step_window));
                format!("too late: {} is {took} after the step before, its window is {window}", shown(at))
            }
            Stop::Between(at) => format!("ended by {}, which the mode does not allow in between", shown(at)),
            Stop::Open => self.not_yet(ts[first].saturating_add(window).min(ts[last].saturating_add(step_window))),
        }
    }

    fn not_yet(&self, until: i64) -> String {
        match until {
            i64::MAX => "not yet: the session may go on".to_owned(),
            until if until < self.shared.watermark => "not yet: an attempt that began later is open".to_owned(),
            until => format!("not yet: the window is open until {}", iso(until)),
        }
    }

    /// Why no more steps are filled, where any order counts.
    fn left_over(&self, unit: &Unit<'_>) -> String {
        let (rules, names) = (&self.shared.spec.rules, &self.shared.spec.names);
        let (ts, masks) = (&unit.events.ts, &unit.events.masks);
        let used: Vec<u64> = unit.chain.iter().map(|&at| masks[at]).collect();
        let left = unfilled(rules, &used);
        let left =
            names.iter().enumerate().filter(|(step, _)| left >> step & 1 == 1).map(|(_, name)| format!("'{name}'"));
        let left = left.collect::<Vec<_>>().join(", ");
        let Some((&first, &last)) = unit.chain.first().zip(unit.chain.last()) else {
            return format!("no event meets any of {left}");
        };
        let until = ts[first].saturating_add(rules.window());
        let behind = |at: &usize| match self.shared.spec.ties {
            Ties::Order => *at > last,
            Ties::Any => ts[*at] >= ts[last] && ts[*at] > ts[first],
        };
        let mut excluded = (0..ts.len()).filter(|&at| masks[at] & rules.excluded() != 0 && ts[at] <= until);
        match excluded.find(behind) {
            Some(at) => {
                let how = if unit.removed { "taken out" } else { "ended" };
                format!("{how} by the excluded event '{}' at {}; missing: {left}", label(unit, at), iso(ts[at]))
            }
            None if unit.open => format!("{}; missing: {left}", self.not_yet(until)),
            None => format!("no event in the window is left for {left}"),
        }
    }
}
