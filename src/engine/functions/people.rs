//! Table functions that count people by their times: `retention_cohorts`, `lifecycle`, `stickiness`.
//!
//! ```text
//! conditions ─► bits of an event ┐
//! sessions taken, clock ─► times ┴─► one person after the other ─► a Count per reader ─► merged ─► rows
//! ```
//! The option `time_zone` of all of them is the clock that days, weeks and months are read from: a name such as
//! `'Europe/Berlin'`, or an offset such as `'+02:00'`; UTC where it is not given.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::array::timezone::Tz;
use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Offset, TimeZone};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::logical_expr::planner::RelationPlannerContext;

use super::call::{Call, shown, text_of};
use super::conditions::{Conditions, Masks, Test, columns};
use super::leaf::Answer;
use super::seen::Seen;
use super::sessions::Sessions;
use super::table::{InPass, TableFunction, readers, table};
use crate::engine::scan::{PersonRuns, ScanPlan};
use crate::engine::settings::Settings;
use crate::engine::source::Source;
use crate::engine::stop::Stop;
use crate::journey::retention::Times;

/// Rows of an answer, at most: periods go on until `journeyql.now`, which anybody may set.
pub(super) const MOST_ROWS: usize = 1_000_000;

/// The option that every function here has.
pub(super) const TIME_ZONE: &str = "time_zone";

/// What a function counts.
pub(super) trait Count: fmt::Debug + Clone + Send + Sync + 'static {
    /// What one reader has counted.
    type Part: Send + 'static;
    /// The operator's name in a plan.
    const NAME: &'static str;

    /// All columns.
    fn schema(&self) -> SchemaRef;
    /// Nothing counted yet; the range that is asked for in µs, and what the clock shows at its ends.
    fn part(&self, within: (i64, i64), local: (i64, i64)) -> Self::Part;
    /// Takes in the person `id`: `is` has the bits of the conditions that an event meets, all bits where there are none.
    fn person(part: &mut Self::Part, id: &str, times: Times<'_>, is: impl Fn(usize) -> u64);
    /// Takes in what another reader counted.
    fn merge(part: &mut Self::Part, other: Self::Part);
    /// Bytes held.
    fn size(part: &Self::Part) -> usize;
    /// The rows; `watermark` is on the clock that days are read from.
    fn rows(&self, part: &Self::Part, watermark: i64) -> Result<RecordBatch>;
}

/// The table of a call with at most `most` conditions.
pub(super) fn plan<C: Count>(
    call: &Call,
    most: usize,
    count: C,
    source: Arc<Source>,
    planner: &mut dyn RelationPlannerContext,
) -> Result<Arc<dyn TableProvider>> {
    let function = call.function;
    if call.values.len() > most {
        let takes = if most == 1 { "one condition" } else { "a start and a return condition" };
        return plan_err!("{function} takes {takes}, not {}", call.values.len());
    }
    let columns = columns()?;
    let mut tests = Vec::new();
    for (no, value) in (1..).zip(&call.values) {
        let name = match (most, no) {
            (1, _) => "condition",
            (_, 1) => "start",
            _ => "return",
        };
        tests.push(Test::read(value, &format!("{function}: argument {no} ({name})"), &columns, planner)?);
    }
    let clock = Clock::read(call, planner)?;
    Ok(table(PeopleCall { function, tests, count, clock, source }))
}

/// The clock that days are read from.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Clock(Option<Tz>);

impl Clock {
    fn read(call: &Call, planner: &mut dyn RelationPlannerContext) -> Result<Self> {
        let Some(value) = call.option(TIME_ZONE, planner)? else { return Ok(Self(None)) };
        let zone = text_of(&value).and_then(|text| text.parse().ok());
        let such = "'Europe/Berlin' or '+02:00'";
        let wrong =
            || plan_datafusion_err!("{}: option '{TIME_ZONE}' is such as {such}, not {}", call.function, shown(&value));
        zone.map(|zone| Self(Some(zone))).ok_or_else(wrong)
    }

    /// What it shows at a time; both in µs.
    fn shows(self, ts: i64) -> i64 {
        let at = self.0.zip(DateTime::from_timestamp_micros(ts));
        let offset = at.map_or(0, |(zone, at)| zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc());
        ts.saturating_add(i64::from(offset) * 1_000_000)
    }
}

/// A call as written.
#[derive(Debug)]
struct PeopleCall<C> {
    function: &'static str,
    tests: Vec<Test>,
    count: C,
    clock: Clock,
    source: Arc<Source>,
}

impl<C: Count> TableFunction for PeopleCall<C> {
    fn schema(&self) -> SchemaRef {
        self.count.schema()
    }

    fn answer(&self, state: &dyn Session, projection: Vec<usize>) -> Result<Arc<dyn Answer>> {
        let mut settings = Settings::of(state.config_options());
        let (within, watermark) = (settings.within(), self.clock.shows(self.source.now(&settings)));
        // All days are read: nothing else tells what came first.
        (settings.from, settings.to) = (None, None);
        let conditions = Conditions::plan(self.tests.iter(), settings.label, state)?;
        let plan = self.source.plain_pass(state, &settings, None, i64::MIN, true)?;
        let (sessions, plan) = Sessions::new(settings.clone(), false, conditions.ask(plan, settings.label)?);
        let (asked, readers) = (self.tests.len(), readers(state, &plan));
        let (function, count, clock, conditions) =
            (self.function, self.count.clone(), self.clock, Arc::new(conditions));
        Ok(Arc::new(Pass {
            function,
            count,
            clock,
            conditions,
            sessions,
            asked,
            plan,
            within,
            watermark,
            readers,
            projection,
        }))
    }
}

/// A call planned over one snapshot.
#[derive(Debug, Clone)]
struct Pass<C> {
    function: &'static str,
    count: C,
    clock: Clock,
    conditions: Arc<Conditions>,
    sessions: Sessions,
    /// Number of conditions.
    asked: usize,
    plan: ScanPlan,
    within: (i64, i64),
    /// On the clock.
    watermark: i64,
    readers: usize,
    projection: Vec<usize>,
}

impl<C: Count> Pass<C> {
    fn part(&self) -> C::Part {
        let (from, to) = self.within;
        self.count.part(self.within, (self.clock.shows(from), self.clock.shows(to)))
    }
}

impl<C: Count> InPass for Pass<C> {
    type Part = (C::Part, Seen);

    fn name(&self) -> &'static str {
        C::NAME
    }

    fn shown(&self) -> Option<String> {
        Some(format!("conditions={}", self.asked))
    }

    fn pass(&self) -> (&ScanPlan, usize) {
        (&self.plan, self.readers)
    }

    fn read(&self, mut runs: PersonRuns, context: &TaskContext, stop: &Stop) -> Result<Self::Part> {
        let memory = MemoryConsumer::new(C::NAME).register(context.memory_pool());
        let (mut masks, mut part) = (Masks::new(&self.conditions), self.part());
        let mut met = 0;
        let (mut is, mut times, mut local, mut rows) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        while !stop.is_raised() && runs.next_block()? {
            let (block, names) = runs.block_and_names();
            masks.learn(names)?;
            let cut = self.sessions.cut(block, names);
            for person in block.people() {
                let mut utc = &block.ts()[person.rows.clone()];
                is.clear();
                if self.sessions.matter() {
                    self.sessions.rows(block, person.rows.clone(), &cut, &mut rows);
                    times.clear();
                    times.extend(rows.iter().map(|&row| block.ts()[row]));
                    utc = &times;
                }
                if self.asked > 0 && self.sessions.matter() {
                    masks.each(block, rows.iter().copied(), true, |_, mask| {
                        met |= mask;
                        is.push(mask);
                    });
                } else if self.asked > 0 {
                    masks.each(block, person.rows.clone(), true, |_, mask| {
                        met |= mask;
                        is.push(mask);
                    });
                }
                let local = if self.clock.0.is_some() {
                    local.clear();
                    local.extend(utc.iter().map(|&ts| self.clock.shows(ts)));
                    &local
                } else {
                    utc
                };
                let is = |at: usize| if self.asked == 0 { u64::MAX } else { is[at] };
                C::person(&mut part, person.id, Times { utc, local }, is);
            }
            memory.try_resize(runs.size() + C::size(&part))?;
        }
        Ok((part, Seen::new(self.conditions.labels(), met, runs.names())))
    }

    fn rows(&self, parts: Vec<Self::Part>, context: &TaskContext, _: &Stop) -> Result<RecordBatch> {
        let (mut whole, mut seen) = (self.part(), Seen::default());
        for (part, met) in parts {
            C::merge(&mut whole, part);
            seen.merge(met);
        }
        seen.tell(self.function, self.conditions.labels(), context);
        Ok(self.count.rows(&whole, self.watermark)?.project(&self.projection)?)
    }
}
