//! `path_agg(label, ts [, tie] [, 'repeats'])`: the labels of a group in the order of time, as a list.
//!
//! Equal neighbours become one element (a step of a journey); with `'repeats'` they stay. Equal time stamps are ordered
//! by `tie` (an integer such as `source_offset`), then by the label: never by arrival.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListBuilder, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Int32Type, Int64Type};
use datafusion::common::{ScalarValue, plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, Signature, Volatility,
};
use hashbrown::HashMap;

use super::grouped::{Grouped, Runs, item, passes, scalars, spans, state_fields};
use super::length::{Clock, constant_text, is_text};
use crate::engine::answer::type_name;

/// A time stamp, its tie breaker and the label's code.
type Event = (i64, i64, u32);

/// The aggregate.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct PathAgg {
    signature: Signature,
}

impl PathAgg {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for PathAgg {
    fn name(&self) -> &'static str {
        "path_agg"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))))
    }

    fn coerce_types(&self, kinds: &[DataType]) -> Result<Vec<DataType>> {
        let usage = "write path_agg(label, ts), path_agg(label, ts, tie) or path_agg(label, ts, 'repeats')";
        let [label, ts, rest @ ..] = kinds else {
            return plan_err!("path_agg needs a label and a time stamp – {usage}");
        };
        let label = match label {
            DataType::Dictionary(_, value) if is_text(value) => {
                DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
            }
            kind if is_text(kind) || *kind == DataType::Null => DataType::Utf8View,
            kind => {
                let kind = type_name(kind);
                return plan_err!("path_agg: argument 1 (label) must be a text, is {kind} – cast it to text");
            }
        };
        let Some(clock) = Clock::of(ts) else {
            return plan_err!(
                "path_agg: argument 2 (ts) must be a TIMESTAMP, DATE or whole number, is {}",
                type_name(ts)
            );
        };
        let mut coerced = vec![label, clock.coerced(ts)];
        match rest {
            [] => {}
            [flag] if is_text(flag) => coerced.push(flag.clone()),
            [tie] if tie.is_integer() => coerced.push(DataType::Int64),
            [tie, flag] if tie.is_integer() && is_text(flag) => coerced.extend([DataType::Int64, flag.clone()]),
            [other, ..] => {
                return plan_err!(
                    "path_agg: argument 3 (tie) must be a whole number or 'repeats', is {} – {usage}",
                    type_name(other)
                );
            }
        }
        Ok(coerced)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let fields = [("ts", DataType::Int64), ("tie", DataType::Int64), ("label", DataType::Utf8)];
        Ok(state_fields(args.name, &fields))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Single { reader: Reader::new(&args)?, labels: Labels::default(), events: Vec::new() }))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups { reader: Reader::new(&args)?, labels: Labels::default(), events: Grouped::new() }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn documentation(&self) -> Option<&Documentation> {
        super::docs::documentation(self.name())
    }
}

/// Texts as codes.
#[derive(Debug, Default)]
struct Labels {
    texts: Vec<Arc<str>>,
    codes: HashMap<Arc<str>, u32, foldhash::fast::RandomState>,
    bytes: usize,
}

impl Labels {
    fn code(&mut self, text: &str) -> u32 {
        if let Some(&code) = self.codes.get(text) {
            return code;
        }
        let text: Arc<str> = text.into();
        let code = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.bytes += text.len() + 64;
        self.texts.push(Arc::clone(&text));
        self.codes.insert(text, code);
        code
    }

    fn text(&self, code: u32) -> &str {
        self.texts.get(code as usize).map_or("", |text| text)
    }

    /// Sorts events by time, tie breaker and label.
    fn sort(&self, events: &mut [Event]) {
        let order = |a: &Event, b: &Event| match (a.0, a.1).cmp(&(b.0, b.1)) {
            Ordering::Equal if a.2 == b.2 => Ordering::Equal,
            Ordering::Equal => self.text(a.2).cmp(self.text(b.2)),
            decided => decided,
        };
        if !events.is_sorted_by(|a, b| order(a, b) != Ordering::Greater) {
            events.sort_unstable_by(order);
        }
    }

    fn state(&self, runs: &Runs<Event>) -> Result<Vec<ArrayRef>> {
        let labels = StringArray::from_iter_values(runs.events().iter().map(|event| self.text(event.2)));
        Ok(vec![
            runs.lists::<Int64Type>(item(DataType::Int64), |event| event.0)?,
            runs.lists::<Int64Type>(item(DataType::Int64), |event| event.1)?,
            runs.lists_of(item(DataType::Utf8), Arc::new(labels))?,
        ])
    }

    /// Calls `take(row, event)` for the events of states.
    fn merge(&mut self, states: &[ArrayRef], mut take: impl FnMut(usize, Event)) {
        let [ts, ties, labels] = [0, 1, 2].map(|at| states[at].as_list::<i64>());
        let (instants, breakers) = (ts.values().as_primitive::<Int64Type>(), ties.values().as_primitive::<Int64Type>());
        let texts = labels.values().as_string::<i32>();
        // The three lists of a row are equally long but may begin anywhere.
        for (row, ((ts, ties), labels)) in spans(ts).zip(spans(ties)).zip(spans(labels)).enumerate() {
            for ((at, breaker), label) in ts.zip(ties).zip(labels) {
                let code = self.code(texts.value(label));
                take(row, (instants.value(at), breakers.value(breaker), code));
            }
        }
    }
}

/// Reads events out of the arguments' columns.
#[derive(Debug)]
struct Reader {
    clock: Clock,
    tie: bool,
    repeats: bool,
}

impl Reader {
    fn new(args: &AccumulatorArgs) -> Result<Self> {
        if args.is_distinct {
            return plan_err!("path_agg: DISTINCT has no meaning here – equal neighbours are one element already");
        }
        let kind = |at: usize| args.expr_fields.get(at).map(|field| field.data_type());
        let clock = kind(1).and_then(Clock::of).ok_or_else(|| plan_datafusion_err!("path_agg: no time stamp"))?;
        let flag = args.expr_fields.len().checked_sub(1).filter(|&at| at > 1 && kind(at).is_some_and(is_text));
        if let Some(at) = flag {
            let what = format!("path_agg: argument {}", at + 1);
            let text = constant_text(&args.exprs[at], &what)?;
            if !text.eq_ignore_ascii_case("repeats") {
                return plan_err!("{what}: unknown option '{text}' – the only one is 'repeats'");
            }
        }
        Ok(Self { clock, tie: kind(2).is_some_and(DataType::is_integer), repeats: flag.is_some() })
    }

    /// Calls `take(row, event)` for every row that has a label and a time.
    fn read(
        &self,
        labels: &mut Labels,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
        mut take: impl FnMut(usize, Event),
    ) -> Result<()> {
        let times = self.clock.read(&values[1])?;
        let breakers = if self.tie { Some(values[2].as_primitive::<Int64Type>()) } else { None };
        let mut found = |row: usize, code: u32| {
            if times.is_valid(row) && passes(filter, row) {
                let tie = breakers.filter(|it| it.is_valid(row)).map_or(i64::MIN, |it| it.value(row));
                take(row, (times.value(row), tie, code));
            }
        };
        if matches!(values[0].data_type(), DataType::Dictionary(_, _)) {
            let dictionary = values[0].as_dictionary::<Int32Type>();
            let texts = dictionary.values().as_string::<i32>();
            let codes: Vec<Option<u32>> = texts.iter().map(|text| text.map(|text| labels.code(text))).collect();
            for (row, key) in dictionary.keys_iter().enumerate() {
                if let Some(code) = key.and_then(|key| codes.get(key).copied().flatten()) {
                    found(row, code);
                }
            }
        } else {
            let texts = cast(&values[0], &DataType::Utf8View)?;
            for (row, text) in texts.as_string_view().iter().enumerate() {
                if let Some(text) = text {
                    found(row, labels.code(text));
                }
            }
        }
        Ok(())
    }

    /// Appends a sorted run as one list.
    fn append(&self, labels: &Labels, events: &[Event], lists: &mut ListBuilder<StringBuilder>) {
        let mut last = None;
        for event in events {
            if self.repeats || last != Some(event.2) {
                lists.values().append_value(labels.text(event.2));
            }
            last = Some(event.2);
        }
        lists.append(true);
    }
}

/// The state of many groups.
#[derive(Debug)]
struct Groups {
    reader: Reader,
    labels: Labels,
    events: Grouped<Event>,
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
        let Self { reader, labels, events } = self;
        reader.read(labels, values, filter, |row, event| events.push(groups[row], event))
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let mut lists = ListBuilder::new(StringBuilder::new());
        let Self { reader, labels, events } = self;
        events.take(emit).each(|run| {
            labels.sort(run);
            reader.append(labels, run, &mut lists);
        });
        Ok(Arc::new(lists.finish()))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        self.labels.state(&self.events.take(emit))
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.events.expect(total);
        let events = &mut self.events;
        self.labels.merge(states, |row, event| events.push(groups[row], event));
        Ok(())
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut runs = Runs::of_rows(values[0].len());
        let mut labels = Labels::default();
        self.reader.read(&mut labels, values, filter, |row, event| runs.push(row, event))?;
        labels.state(&runs.finish())
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.events.size() + self.labels.bytes
    }
}

/// The state of one group.
#[derive(Debug)]
struct Single {
    reader: Reader,
    labels: Labels,
    events: Vec<Event>,
}

impl Accumulator for Single {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Self { reader, labels, events } = self;
        reader.read(labels, values, None, |_, event| events.push(event))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut lists = ListBuilder::new(StringBuilder::new());
        self.labels.sort(&mut self.events);
        self.reader.append(&self.labels, &self.events, &mut lists);
        ScalarValue::try_from_array(&lists.finish(), 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        scalars(&self.labels.state(&Runs::of_one(std::mem::take(&mut self.events)))?)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let events = &mut self.events;
        self.labels.merge(states, |_, event| events.push(event));
        Ok(())
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.events.capacity() * size_of::<Event>() + self.labels.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_decides_what_time_and_tie_leave_open() {
        let mut labels = Labels::default();
        let (b, a) = (labels.code("b"), labels.code("a"));
        let mut events = [(1, 0, b), (1, 0, a), (1, -1, b), (0, 9, b)];
        labels.sort(&mut events);
        assert_eq!(events, [(0, 9, b), (1, -1, b), (1, 0, a), (1, 0, b)]);
        assert_eq!(labels.code("a"), a);
    }
}
