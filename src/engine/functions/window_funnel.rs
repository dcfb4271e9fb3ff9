//! `window_funnel(window, [mode…,] ts, c1, …)`: the bridge to [`crate::journey::funnel`].
//!
//! ClickHouse's name, argument order and defaults: equal time stamps count in any order, an event may fill several
//! steps, every entry is tried. Unlike there, each mode is exact (the longest chain, not one greedy state per level).

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::datatypes::{DataType, FieldRef, Int64Type, UInt64Type};
use datafusion::common::{ScalarValue, plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use super::grouped::{Grouped, Runs, item, passes, scalars, spans, state_fields};
use super::length::{Clock, constant, constant_text, is_length, is_text};
use crate::journey::funnel::{Levels, Mode, Modes, Rules};
use crate::limits;

/// A time stamp and the conditions that it meets.
type Event = (i64, u64);

/// The aggregate.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct WindowFunnel {
    signature: Signature,
}

impl WindowFunnel {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// Where the time stamp stands: behind the window and the modes.
fn ts_position(kinds: &[DataType]) -> usize {
    1 + kinds.iter().skip(1).take_while(|kind| is_text(kind)).count()
}

impl AggregateUDFImpl for WindowFunnel {
    fn name(&self) -> &'static str {
        "window_funnel"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn default_value(&self, _: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(0)))
    }

    fn coerce_types(&self, kinds: &[DataType]) -> Result<Vec<DataType>> {
        let Some(window) = kinds.first() else {
            return plan_err!("window_funnel needs a window, a time stamp and at least one condition");
        };
        if !is_length(window) {
            return plan_err!("window_funnel: argument 1 (window) must be an INTERVAL or a whole number, is {window}");
        }
        let at = ts_position(kinds);
        let Some(ts) = kinds.get(at) else {
            return plan_err!("window_funnel: the time stamp is missing – write window_funnel(window, ts, c1, …)");
        };
        let Some(clock) = Clock::of(ts) else {
            return plan_err!(
                "window_funnel: argument {} (ts) must be a TIMESTAMP, DATE or whole number, is {ts}",
                at + 1
            );
        };
        let mut coerced = kinds[..at].to_vec();
        coerced.push(clock.coerced(ts));
        for (no, kind) in kinds.iter().enumerate().skip(at + 1) {
            if !(*kind == DataType::Boolean || *kind == DataType::Null || kind.is_integer()) {
                return plan_err!(
                    "window_funnel: argument {} (condition {}) must be a BOOLEAN, is {kind}",
                    no + 1,
                    no - at
                );
            }
            coerced.push(DataType::Boolean);
        }
        match kinds.len() - at - 1 {
            0 => plan_err!("window_funnel: the conditions are missing – write window_funnel(window, ts, c1, …)"),
            count if count > limits::FUNNEL_STEPS => {
                plan_err!("window_funnel: {count} conditions – at most {} are possible", limits::FUNNEL_STEPS)
            }
            _ => Ok(coerced),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(state_fields(args.name, &[("ts", DataType::Int64), ("mask", DataType::UInt64)]))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let reader = Reader::new(&args)?;
        Ok(Box::new(Single { levels: Levels::new(reader.rules.clone()), reader, events: Vec::new() }))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups { reader: Reader::new(&args)?, events: Grouped::new() }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        super::JOURNEYS,
        "How many of the conditions a group of events meets one after the other inside a window: 0 means that not even \
         the first was met, N that all were. Every event that meets the first condition is tried as the start; the \
         window is inclusive; an event may fill several steps and events with equal time stamps count in any order.",
        "window_funnel(window, [mode, …] ts, condition1 [, … condition64])",
    )
    .with_argument("window", "INTERVAL (no months); or a whole number: seconds for a TIMESTAMP, days for a DATE, the \
                    column's own unit for an integer")
    .with_argument("mode", "'strict_once' (an event fills one step), 'strict_increase' (time stamps increase), \
                    'strict_deduplication' or 'strict' (a repeat of a matched step ends the attempt), 'strict_order' \
                    (nothing but repeats of the current step in between), 'allow_reentry' (with 'strict_order': the \
                    first step may come again), 'unordered' (the most conditions met in one window, in any order)")
    .with_argument("ts", "the event's time; an event whose time is NULL is ignored")
    .with_argument("condition", "BOOLEAN; NULL counts as false")
    .with_sql_example(
        "```sql\nSELECT who, window_funnel(INTERVAL '1 hour', ts, page = '/', page = '/cart', page = '/thanks') AS level\nFROM (VALUES\n  \
         ('ann', TIMESTAMP '2026-01-05 10:00:00', '/'), ('ann', TIMESTAMP '2026-01-05 10:05:00', '/cart'),\n  \
         ('bob', TIMESTAMP '2026-01-05 10:00:00', '/'), ('bob', TIMESTAMP '2026-01-05 11:30:00', '/cart')\n\
         ) AS hits(who, ts, page)\nGROUP BY who ORDER BY who;\n\
         +-----+-------+\n| who | level |\n+-----+-------+\n| ann | 2     |\n| bob | 1     |\n+-----+-------+\n```",
    )
    .build()
});

/// Reads events out of the arguments' columns.
#[derive(Debug)]
struct Reader {
    rules: Rules,
    clock: Clock,
    /// The position of the time stamp among the arguments; the conditions follow it.
    at: usize,
}

impl Reader {
    fn new(args: &AccumulatorArgs) -> Result<Self> {
        if args.is_distinct {
            return plan_err!("window_funnel: DISTINCT has no meaning here – use the mode 'strict_once'");
        }
        let kinds: Vec<DataType> = args.expr_fields.iter().map(|field| field.data_type().clone()).collect();
        let at = ts_position(&kinds);
        let clock = kinds
            .get(at)
            .and_then(Clock::of)
            .ok_or_else(|| plan_datafusion_err!("window_funnel: the time stamp is missing"))?;
        let window = clock
            .length(&constant(&args.exprs[0], "window_funnel: argument 1 (window)")?)
            .map_err(|error| plan_datafusion_err!("window_funnel: argument 1 (window): {error}"))?;
        let mut modes = Modes::default();
        for (no, mode) in args.exprs.iter().enumerate().take(at).skip(1) {
            let name = constant_text(mode, &format!("window_funnel: argument {} (mode)", no + 1))?;
            let mode = Mode::parse(&name)
                .map_err(|error| plan_datafusion_err!("window_funnel: argument {}: {error}", no + 1))?;
            modes = modes.with(mode);
        }
        let rules = Rules::new(kinds.len() - at - 1, window, modes)
            .map_err(|error| plan_datafusion_err!("window_funnel: {error}"))?;
        Ok(Self { rules, clock, at })
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

/// The level of one run of events in any order.
fn level(levels: &mut Levels, events: &mut [Event], room: &mut (Vec<i64>, Vec<u64>)) -> i64 {
    if !events.is_sorted_by_key(|event| event.0) {
        events.sort_unstable_by_key(|event| event.0);
    }
    let (ts, masks) = room;
    ts.clear();
    masks.clear();
    ts.extend(events.iter().map(|event| event.0));
    masks.extend(events.iter().map(|event| event.1));
    i64::try_from(levels.run(ts, masks)).unwrap_or_default()
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
        let mut levels = Levels::new(self.reader.rules.clone());
        let (mut found, mut room) = (Vec::new(), (Vec::new(), Vec::new()));
        self.events.take(emit).each(|run| found.push(level(&mut levels, run, &mut room)));
        Ok(Arc::new(Int64Array::from(found)))
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
    levels: Levels,
    events: Vec<Event>,
}

impl Accumulator for Single {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Self { reader, events, .. } = self;
        reader.read(values, None, |_, event| events.push(event))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let found = level(&mut self.levels, &mut self.events, &mut (Vec::new(), Vec::new()));
        Ok(ScalarValue::Int64(Some(found)))
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
