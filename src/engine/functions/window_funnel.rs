//! `window_funnel(window, [mode…,] ts, c1, …)` and `window_funnel_events(…)`: the bridge to [`crate::journey::funnel`].
//!
//! | function | answer | nobody, no event |
//! |---|---|---|
//! | `window_funnel` | `Int64`: how many conditions were met one after the other, 0..=N | 0 |
//! | `window_funnel_events` | `List` of `ts`' type (integers: `Int64`): when; as long as the level says | an empty list |
//!
//! The reported chain is the longest, of those the one with the earliest entry, then each next step as early as
//! possible; with `unordered` the first event of each condition in the earliest window that holds the most. Neither
//! answer is ever NULL. `window_funnel_events` has no model elsewhere: `ClickHouse` tells the level only.
//!
//! ClickHouse's name, argument order and defaults: equal time stamps count in any order, an event may fill several
//! steps, every entry is tried. Unlike there, each mode is exact (the longest chain, not one greedy state per level).

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, UInt64Type};
use datafusion::common::{ScalarValue, plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, Documentation, DocumentationBuilder, EmitTo, GroupsAccumulator, Signature,
    Volatility,
};

use super::grouped::{Grouped, Runs, item, passes, scalars, spans, state_fields};
use super::length::{Clock, constant, constant_text, is_length, is_text};
use crate::journey::funnel::{Chains, Levels, Mode, Modes, Rules};
use crate::limits;

/// A time stamp and the conditions that it meets.
type Event = (i64, u64);

/// What is told of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Told {
    Level,
    Events,
}

/// One of the two aggregates.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct WindowFunnel {
    signature: Signature,
    told: Told,
}

impl WindowFunnel {
    pub(super) fn new(told: Told) -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable), told }
    }

    fn reader(&self, args: &AccumulatorArgs) -> Result<Reader> {
        Reader::new(args, self.told, self.name())
    }
}

/// Where the time stamp stands: behind the window and the modes.
fn ts_position(kinds: &[DataType]) -> usize {
    1 + kinds.iter().skip(1).take_while(|kind| is_text(kind)).count()
}

impl AggregateUDFImpl for WindowFunnel {
    fn name(&self) -> &'static str {
        match self.told {
            Told::Level => "window_funnel",
            Told::Events => "window_funnel_events",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        Ok(match (self.told, kinds.get(ts_position(kinds))) {
            (Told::Events, Some(ts)) => DataType::List(times_item(ts)),
            _ => DataType::Int64,
        })
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn default_value(&self, kind: &DataType) -> Result<ScalarValue> {
        Ok(match kind {
            DataType::List(item) => ScalarValue::List(ScalarValue::new_list_nullable(&[], item.data_type())),
            _ => ScalarValue::Int64(Some(0)),
        })
    }

    fn coerce_types(&self, kinds: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name();
        let Some(window) = kinds.first() else {
            return plan_err!("{name} needs a window, a time stamp and at least one condition");
        };
        if !is_length(window) {
            return plan_err!("{name}: argument 1 (window) must be an INTERVAL or a whole number, is {window}");
        }
        let at = ts_position(kinds);
        let Some(ts) = kinds.get(at) else {
            return plan_err!("{name}: the time stamp is missing – write {name}(window, ts, c1, …)");
        };
        let Some(clock) = Clock::of(ts) else {
            return plan_err!("{name}: argument {} (ts) must be a TIMESTAMP, DATE or whole number, is {ts}", at + 1);
        };
        let mut coerced = kinds[..at].to_vec();
        coerced.push(clock.coerced(ts));
        for (no, kind) in kinds.iter().enumerate().skip(at + 1) {
            if !(*kind == DataType::Boolean || *kind == DataType::Null || kind.is_integer()) {
                return plan_err!("{name}: argument {} (condition {}) must be a BOOLEAN, is {kind}", no + 1, no - at);
            }
            coerced.push(DataType::Boolean);
        }
        match kinds.len() - at - 1 {
            0 => plan_err!("{name}: the conditions are missing – write {name}(window, ts, c1, …)"),
            count if count > limits::FUNNEL_STEPS => {
                plan_err!("{name}: {count} conditions – at most {} are possible", limits::FUNNEL_STEPS)
            }
            _ => Ok(coerced),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(state_fields(args.name, &[("ts", DataType::Int64), ("mask", DataType::UInt64)]))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Single { reader: self.reader(&args)?, events: Vec::new() }))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups { reader: self.reader(&args)?, events: Grouped::new() }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(match self.told {
            Told::Level => &LEVEL,
            Told::Events => &EVENTS,
        })
    }
}

static LEVEL: LazyLock<Documentation> = LazyLock::new(|| {
    arguments(Documentation::builder(
        super::JOURNEYS,
        "How many of the conditions a group of events meets one after the other inside a window: 0 means that not even \
         the first was met, N that all were. Every event that meets the first condition is tried as the start; the \
         window is inclusive; an event may fill several steps and events with equal time stamps count in any order.",
        "window_funnel(window, [mode, …] ts, condition1 [, … condition64])",
    ))
    .with_sql_example(
        "```sql\nSELECT who, window_funnel(INTERVAL '1 hour', ts, page = '/', page = '/cart', page = '/thanks') AS level\nFROM (VALUES\n  \
         ('ann', TIMESTAMP '2026-01-05 10:00:00', '/'), ('ann', TIMESTAMP '2026-01-05 10:05:00', '/cart'),\n  \
         ('bob', TIMESTAMP '2026-01-05 10:00:00', '/'), ('bob', TIMESTAMP '2026-01-05 11:30:00', '/cart')\n\
         ) AS hits(who, ts, page)\nGROUP BY who ORDER BY who;\n\
         +-----+-------+\n| who | level |\n+-----+-------+\n| ann | 2     |\n| bob | 1     |\n+-----+-------+\n```",
    )
    .build()
});

static EVENTS: LazyLock<Documentation> = LazyLock::new(|| {
    arguments(Documentation::builder(
        super::JOURNEYS,
        "The time stamps of the chain that window_funnel counts: the longest, of those the one with the earliest \
         entry, then each next step as early as possible.",
        "window_funnel_events(window, [mode, …] ts, condition1 [, … condition64])",
    ))
    .with_sql_example(
        "```sql\nSELECT window_funnel_events(60, minute, page = '/', page = '/cart') AS at\nFROM (VALUES\n  \
         (0, '/'), (90, '/'), (105, '/cart')\n) AS hits(minute, page);\n\
         +-----------+\n| at        |\n+-----------+\n| [90, 105] |\n+-----------+\n```",
    )
    .build()
});

fn arguments(builder: DocumentationBuilder) -> DocumentationBuilder {
    builder
        .with_argument("window", "INTERVAL (no months); or a whole number: seconds for a TIMESTAMP, days for a DATE, the \
                        column's own unit for an integer")
        .with_argument("mode", "'strict_once' (an event fills one step), 'strict_increase' (time stamps increase), \
                        'strict_deduplication' or 'strict' (a repeat of a matched step ends the attempt), 'strict_order' \
                        (nothing but repeats of the current step in between), 'allow_reentry' (with 'strict_order': the \
                        first step may come again), 'unordered' (the most conditions met in one window, in any order)")
        .with_argument("ts", "the event's time; an event whose time is NULL is ignored")
        .with_argument("condition", "BOOLEAN; NULL counts as false")
}

/// The item of a list of times.
fn times_item(ts: &DataType) -> FieldRef {
    Arc::new(Field::new_list_field(ts.clone(), true))
}

/// Reads events out of the arguments' columns.
#[derive(Debug)]
struct Reader {
    rules: Rules,
    clock: Clock,
    /// The time column's type.
    kind: DataType,
    told: Told,
    /// The position of the time stamp among the arguments; the conditions follow it.
    at: usize,
}

impl Reader {
    fn new(args: &AccumulatorArgs, told: Told, name: &str) -> Result<Self> {
        if args.is_distinct {
            return plan_err!("{name}: DISTINCT has no meaning here – use the mode 'strict_once'");
        }
        let kinds: Vec<DataType> = args.expr_fields.iter().map(|field| field.data_type().clone()).collect();
        let at = ts_position(&kinds);
        let clock = kinds
            .get(at)
            .and_then(Clock::of)
            .ok_or_else(|| plan_datafusion_err!("{name}: the time stamp is missing"))?;
        let window = clock
            .length(&constant(&args.exprs[0], &format!("{name}: argument 1 (window)"))?)
            .map_err(|error| plan_datafusion_err!("{name}: argument 1 (window): {error}"))?;
        let mut modes = Modes::default();
        for (no, mode) in args.exprs.iter().enumerate().take(at).skip(1) {
            let mode = constant_text(mode, &format!("{name}: argument {} (mode)", no + 1))?;
            let mode =
                Mode::parse(&mode).map_err(|error| plan_datafusion_err!("{name}: argument {}: {error}", no + 1))?;
            modes = modes.with(mode);
        }
        let rules =
            Rules::new(kinds.len() - at - 1, window, modes).map_err(|error| plan_datafusion_err!("{name}: {error}"))?;
        Ok(Self { rules, clock, kind: kinds[at].clone(), told, at })
    }

    /// Calls `take(row, event)` for every event that can matter.
    fn read(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
        mut take: impl FnMut(usize, Event),
    ) -> Result<()> {
        let times = self.clock.read(&values[self.at])?;
        let masks = masks(&values[self.at + 1..], times.len());
        let every = self.rules.needs_unmatched();
        for (row, &mask) in masks.iter().enumerate() {
            if (mask != 0 || every) && times.is_valid(row) && passes(filter, row) {
                // The smallest integer is the algorithm's "never".
                take(row, (times.value(row).max(i64::MIN + 1), mask));
            }
        }
        Ok(())
    }
}

/// Bit `i` of a row's mask: condition `i + 1` is true.
fn masks(conditions: &[ArrayRef], rows: usize) -> Vec<u64> {
    let mut masks = vec![0; rows];
    for (bit, condition) in conditions.iter().enumerate() {
        let condition = condition.as_boolean();
        let met = match condition.nulls() {
            Some(nulls) => condition.values() & nulls.inner(),
            None => condition.values().clone(),
        };
        for row in met.set_indices() {
            masks[row] |= 1 << bit;
        }
    }
    masks
}

/// Finds the chains of one run of events after the other.
struct Finder {
    levels: Levels,
    chains: Chains,
    ts: Vec<i64>,
    masks: Vec<u64>,
    chain: Vec<usize>,
}

impl Finder {
    fn new(rules: &Rules) -> Self {
        let (levels, chains) = (Levels::new(rules.clone()), Chains::new(rules.clone()));
        Self { levels, chains, ts: Vec::new(), masks: Vec::new(), chain: Vec::new() }
    }

    /// The level of a run in any order.
    fn level(&mut self, events: &mut [Event]) -> usize {
        if !events.is_sorted_by_key(|event| event.0) {
            events.sort_unstable_by_key(|event| event.0);
        }
        self.ts.clear();
        self.masks.clear();
        self.ts.extend(events.iter().map(|event| event.0));
        self.masks.extend(events.iter().map(|event| event.1));
        self.levels.run(&self.ts, &self.masks)
    }

    /// The time stamps of the reported chain of a run in any order.
    fn times(&mut self, events: &mut [Event]) -> impl ExactSizeIterator<Item = i64> {
        let level = self.level(events);
        self.chain.clear();
        self.chains.find(&self.ts, &self.masks, level, &mut self.chain);
        self.chain.iter().map(|&at| self.ts[at])
    }
}

impl Reader {
    /// What is told of each run.
    fn answer(&self, runs: &mut Runs<Event>) -> Result<ArrayRef> {
        let mut finder = Finder::new(&self.rules);
        let (mut found, mut lengths) = (Vec::new(), Vec::new());
        match self.told {
            Told::Level => {
                runs.each(|run| found.push(i64::try_from(finder.level(run)).unwrap_or_default()));
                Ok(Arc::new(Int64Array::from(found)))
            }
            Told::Events => {
                runs.each(|run| {
                    let times = finder.times(run);
                    lengths.push(times.len());
                    found.extend(times);
                });
                let times = self.clock.write(found, &self.kind)?;
                let offsets = OffsetBuffer::from_lengths(lengths);
                Ok(Arc::new(ListArray::try_new(times_item(&self.kind), offsets, times, None)?))
            }
        }
    }
}

/// The state of many groups.
#[derive(Debug)]
struct Groups {
    reader: Reader,
    events: Grouped<Event>,
}

fn state(runs: &Runs<Event>) -> Result<Vec<ArrayRef>> {
    Ok(vec![
        runs.lists::<Int64Type>(item(DataType::Int64), |event| event.0)?,
        runs.lists::<UInt64Type>(item(DataType::UInt64), |event| event.1)?,
    ])
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.events.expect(total);
        let Self { reader, events } = self;
        reader.read(values, filter, |row, event| events.push(groups[row], event))
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        self.reader.answer(&mut self.events.take(emit))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        state(&self.events.take(emit))
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.events.expect(total);
        let events = &mut self.events;
        merge(states, |row, event| events.push(groups[row], event));
        Ok(())
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut runs = Runs::of_rows(values[self.reader.at].len());
        self.reader.read(values, filter, |row, event| runs.push(row, event))?;
        state(&runs.finish())
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.events.size()
    }
}

/// Calls `take(row, event)` for the events of states.
fn merge(states: &[ArrayRef], mut take: impl FnMut(usize, Event)) {
    let (ts, masks) = (states[0].as_list::<i64>(), states[1].as_list::<i64>());
    let (times, bits) = (ts.values().as_primitive::<Int64Type>(), masks.values().as_primitive::<UInt64Type>());
    for (row, (ts, masks)) in spans(ts).zip(spans(masks)).enumerate() {
        for (&ts, &mask) in times.values()[ts].iter().zip(&bits.values()[masks]) {
            take(row, (ts, mask));
        }
    }
}

/// The state of one group, for aggregation without groups and for window frames that grow.
#[derive(Debug)]
struct Single {
    reader: Reader,
    events: Vec<Event>,
}

impl Accumulator for Single {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Self { reader, events } = self;
        reader.read(values, None, |_, event| events.push(event))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut run = Runs::of_one(std::mem::take(&mut self.events));
        let told = self.reader.answer(&mut run)?;
        self.events = run.into_events();
        ScalarValue::try_from_array(&told, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        scalars(&state(&Runs::of_one(std::mem::take(&mut self.events)))?)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let events = &mut self.events;
        merge(states, |_, event| events.push(event));
        Ok(())
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.events.capacity() * size_of::<Event>()
    }
}
