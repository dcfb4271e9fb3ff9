//! Aggregates over events that are a time stamp and the conditions that it meets: `f(…, ts, c1, …)`.
//!
//! Invariants: no answer depends on the order in which rows arrive; a row whose time is NULL is no event; a condition
//! that is NULL is not met.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray};
use arrow::buffer::{BooleanBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, UInt64Type};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use super::grouped::{Grouped, Runs, item, scalars, spans};
use super::length::Clock;
use crate::engine::answer::type_name;
use crate::limits;

/// A time stamp and the conditions that it meets.
pub(super) type Event = (i64, u64);

/// The fields of the state.
pub(super) const STATE: [(&str, DataType); 2] = [("ts", DataType::Int64), ("mask", DataType::UInt64)];

/// What an aggregate makes of its events.
pub(super) trait Answer: fmt::Debug + Send + Sync + 'static {
    /// Whether events that meet no condition matter.
    fn needs_unmatched(&self) -> bool;
    /// A value for each run of events, which come in any order.
    fn answer(&self, times: &Times, runs: &mut Runs<Event>) -> Result<ArrayRef>;
}

/// The time stamp's argument.
#[derive(Debug)]
pub(super) struct Times {
    pub clock: Clock,
    /// The column's type.
    kind: DataType,
    /// Its position among the arguments; the conditions follow it.
    at: usize,
}

impl Times {
    /// The time stamp at position `at`.
    pub(super) fn new(name: &str, args: &AccumulatorArgs, at: usize) -> Result<Self> {
        let kind = args.expr_fields.get(at).map(|field| field.data_type().clone());
        let clock = kind.as_ref().and_then(Clock::of);
        let (Some(kind), Some(clock)) = (kind, clock) else {
            return plan_err!("{name}: the time stamp is missing");
        };
        Ok(Self { clock, kind, at })
    }

    /// A list of times per run.
    pub(super) fn lists(&self, times: Vec<i64>, lengths: Vec<usize>) -> Result<ArrayRef> {
        let times = self.clock.write(times, &self.kind)?;
        Ok(Arc::new(ListArray::try_new(times_item(&self.kind), OffsetBuffer::from_lengths(lengths), times, None)?))
    }
}

/// The item of a list of times.
pub(super) fn times_item(ts: &DataType) -> FieldRef {
    Arc::new(Field::new_list_field(ts.clone(), true))
}

/// An empty list of this type.
pub(super) fn no_times(item: &FieldRef) -> ScalarValue {
    ScalarValue::List(ScalarValue::new_list_nullable(&[], item.data_type()))
}

/// The types that `f(…, ts, c1, …)` takes, the time stamp at position `at`. `shown` are the arguments before it.
pub(super) fn coerce(name: &str, shown: &str, kinds: &[DataType], at: usize) -> Result<Vec<DataType>> {
    let Some(ts) = kinds.get(at) else {
        return plan_err!("{name}: the time stamp is missing – write {name}({shown}, ts, c1, …)");
    };
    let Some(clock) = Clock::of(ts) else {
        return plan_err!(
            "{name}: argument {} (ts) must be a TIMESTAMP, DATE or whole number, is {}",
            at + 1,
            type_name(ts)
        );
    };
    let mut coerced = kinds[..at].to_vec();
    coerced.push(clock.coerced(ts));
    for (no, kind) in kinds.iter().enumerate().skip(at + 1) {
        if !(*kind == DataType::Boolean || *kind == DataType::Null || kind.is_integer()) {
            return plan_err!(
                "{name}: argument {} (condition {}) must be a BOOLEAN, is {}",
                no + 1,
                no - at,
                type_name(kind)
            );
        }
        coerced.push(DataType::Boolean);
    }
    match kinds.len() - at - 1 {
        0 => plan_err!("{name}: the conditions are missing – write {name}({shown}, ts, c1, …)"),
        count if count > limits::FUNNEL_STEPS => {
            plan_err!("{name}: {count} conditions – at most {} are possible", limits::FUNNEL_STEPS)
        }
        _ => Ok(coerced),
    }
}

/// Reads events out of the arguments' columns for an answer.
#[derive(Debug)]
pub(super) struct Reader<A> {
    pub times: Times,
    pub what: A,
}

impl<A: Answer> Reader<A> {
    /// Calls `take(row, event)` for every event that can matter.
    fn read(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
        mut take: impl FnMut(usize, Event),
    ) -> Result<()> {
        let times = self.times.clock.read(&values[self.times.at])?;
        let conditions = &values[self.times.at + 1..];
        let masks = masks(conditions, times.len());
        let ts = times.values();
        // The smallest integer is the algorithm's "never".
        let mut each = |row: usize| take(row, (ts[row].max(i64::MIN + 1), masks[row]));
        let any = conditions.iter().map(|it| met(it.as_boolean())).reduce(|any, one| &any | &one);
        let any = any.filter(|_| !self.what.needs_unmatched());
        let counts = [any, times.nulls().map(|nulls| nulls.inner().clone()), filter.map(met)];
        match counts.into_iter().flatten().reduce(|all, one| &all & &one) {
            Some(rows) => rows.set_indices().for_each(&mut each),
            None => (0..times.len()).for_each(&mut each),
        }
        Ok(())
    }
}

/// Which rows meet a condition.
fn met(condition: &BooleanArray) -> BooleanBuffer {
    match condition.nulls() {
        Some(nulls) => condition.values() & nulls.inner(),
        None => condition.values().clone(),
    }
}

/// Bit `i` of a row's mask: it meets condition `i + 1`.
pub(super) fn masks(conditions: &[ArrayRef], rows: usize) -> Vec<u64> {
    let mut masks = vec![0; rows];
    for (bit, condition) in conditions.iter().enumerate() {
        for row in met(condition.as_boolean()).set_indices() {
            masks[row] |= 1 << bit;
        }
    }
    masks
}

/// The state of many groups.
#[derive(Debug)]
pub(super) struct Groups<A> {
    reader: Reader<A>,
    events: Grouped<Event>,
}

fn state(runs: &Runs<Event>) -> Result<Vec<ArrayRef>> {
    Ok(vec![
        runs.lists::<Int64Type>(item(DataType::Int64), |event| event.0)?,
        runs.lists::<UInt64Type>(item(DataType::UInt64), |event| event.1)?,
    ])
}

impl<A> Groups<A> {
    /// Nothing yet.
    pub(super) fn new(reader: Reader<A>) -> Self {
        Self { reader, events: Grouped::new() }
    }
}

impl<A: Answer> GroupsAccumulator for Groups<A> {
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
        self.reader.what.answer(&self.reader.times, &mut self.events.take(emit))
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
        let mut runs = Runs::of_rows(values[self.reader.times.at].len());
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
pub(super) struct Single<A> {
    reader: Reader<A>,
    events: Vec<Event>,
}

impl<A> Single<A> {
    /// Nothing yet.
    pub(super) fn new(reader: Reader<A>) -> Self {
        Self { reader, events: Vec::new() }
    }
}

impl<A: Answer> Accumulator for Single<A> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Self { reader, events } = self;
        reader.read(values, None, |_, event| events.push(event))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut run = Runs::of_one(std::mem::take(&mut self.events));
        let told = self.reader.what.answer(&self.reader.times, &mut run)?;
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
