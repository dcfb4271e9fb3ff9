//! `sequence_next_node(direction, base, ts, event, base_condition, c1, …)`: what came next after a chain of events.
//!
//! From the base event on, in the direction, the events must meet `c1`, `c2`, … one right after the other; the answer is
//! the name of the event behind the last of them: `Utf8`, NULL where the chain is not met or nothing follows.
//!
//! | base | the event where the chain begins | direction |
//! |---|---|---|
//! | `'head'` | the first | `'forward'` |
//! | `'tail'` | the last | `'backward'` |
//! | `'first_match'`, `'last_match'` | the first or last that meets `c1` and the base condition | both |
//!
//! The base event must meet `base_condition` too (NULL stands for none). A row whose event or time is NULL is not there.
//! Events with equal time stamps are ordered by their name, so that the order of arrival does not matter. `ClickHouse`'s
//! function of that name, whose parameters are the first two arguments here.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type, UInt64Type};
use datafusion::common::{ScalarValue, plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Documentation, Signature, Volatility};

use super::call::one_of;
use super::grouped::{Runs, item, scalars, spans, state_fields};
use super::length::{Clock, constant_text, is_text};
use super::masked::masks;
use crate::engine::answer::type_name;
use crate::error::did_you_mean;

/// Conditions beside the base's.
const MOST: usize = 63;

/// Where a chain begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    Head,
    Tail,
    FirstMatch,
    LastMatch,
}

/// The aggregate.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct SequenceNextNode {
    signature: Signature,
}

impl SequenceNextNode {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for SequenceNextNode {
    fn name(&self) -> &'static str {
        "sequence_next_node"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn coerce_types(&self, kinds: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name();
        let [direction, base, ts, event, conditions @ ..] = kinds else {
            return plan_err!("{name}: write {name}('forward', 'head', ts, event, base_condition, c1, …)");
        };
        let Some(clock) = Clock::of(ts) else {
            return plan_err!(
                "{name}: argument 3 (ts) must be a TIMESTAMP, DATE or whole number, is {}",
                type_name(ts)
            );
        };
        let text = |kind: &DataType| is_text(kind) || matches!(kind, DataType::Dictionary(_, value) if is_text(value));
        for (no, what, kind) in [(1, "direction", direction), (2, "base", base), (4, "event", event)] {
            if !text(kind) {
                return plan_err!("{name}: argument {no} ({what}) must be a text, is {}", type_name(kind));
            }
        }
        for (no, kind) in (5..).zip(conditions) {
            let what = if no == 5 { "base_condition".to_owned() } else { format!("condition {}", no - 5) };
            if !(*kind == DataType::Boolean || *kind == DataType::Null || kind.is_integer()) {
                return plan_err!("{name}: argument {no} ({what}) must be a BOOLEAN, is {}", type_name(kind));
            }
        }
        match conditions.len() {
            0 | 1 => plan_err!("{name}: a base condition (NULL for none) and at least one condition are needed"),
            count if count > MOST + 1 => plan_err!("{name}: {} conditions – at most {MOST} are possible", count - 1),
            count => {
                let first = [direction.clone(), base.clone(), clock.coerced(ts), DataType::Utf8];
                Ok([first.as_slice(), &vec![DataType::Boolean; count]].concat())
            }
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let fields = [("ts", DataType::Int64), ("mask", DataType::UInt64), ("event", DataType::Utf8)];
        Ok(state_fields(args.name, &fields))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let name = self.name();
        if args.is_distinct {
            return plan_err!("{name}: DISTINCT has no meaning here");
        }
        let backward = choice(&args, 0, "direction", &[("forward", false), ("backward", true)])?;
        let bases = [
            ("head", Base::Head),
            ("tail", Base::Tail),
            ("first_match", Base::FirstMatch),
            ("last_match", Base::LastMatch),
        ];
        let base = choice(&args, 1, "base", &bases)?;
        if (base == Base::Head && backward) || (base == Base::Tail && !backward) {
            return plan_err!("{name}: nothing lies behind that end – 'head' goes forward, 'tail' goes backward");
        }
        let clock = Clock::of(args.expr_fields[2].data_type())
            .ok_or_else(|| plan_datafusion_err!("{name}: the time stamp is missing"))?;
        // NULL for the base condition is no condition.
        let free = super::length::constant(&args.exprs[4], "").is_ok_and(|value| value.is_null());
        let conditions = args.exprs.len() - 5;
        Ok(Box::new(NextNode { clock, base, backward, free, conditions, events: Vec::new() }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn documentation(&self) -> Option<&Documentation> {
        super::docs::documentation(self.name())
    }
}

/// The argument that is one of some words.
fn choice<T: Copy>(args: &AccumulatorArgs, at: usize, what: &str, words: &[(&str, T)]) -> Result<T> {
    let what = format!("sequence_next_node: argument {} ({what})", at + 1);
    let text = constant_text(&args.exprs[at], &what)?;
    if let Some((_, meaning)) = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text)) {
        return Ok(*meaning);
    }
    let all = one_of(words.iter().map(|(word, _)| *word));
    let hint = did_you_mean(&text, words.iter().map(|(word, _)| *word));
    plan_err!("{what} is unknown: '{text}' – {}", hint.unwrap_or_else(|| format!("it is {all}")))
}

/// The state of one group.
#[derive(Debug)]
struct NextNode {
    clock: Clock,
    base: Base,
    backward: bool,
    /// Whether any event can be the base.
    free: bool,
    /// Number of conditions.
    conditions: usize,
    /// Time, name, conditions met: bit 0 is the base's.
    events: Vec<(i64, String, u64)>,
}

impl NextNode {
    /// The event behind the chain, if it is met.
    fn next(&self) -> Option<&str> {
        let (free, count) = (self.free, self.events.len());
        let meets = |at: usize, bit: usize| self.events.get(at).is_some_and(|event| event.2 >> bit & 1 == 1);
        let may_begin = |at: usize| (free || meets(at, 0)) && meets(at, 1);
        let base = match self.base {
            Base::Head => Some(0),
            Base::Tail => count.checked_sub(1),
            Base::FirstMatch => (0..count).find(|&at| may_begin(at)),
            Base::LastMatch => (0..count).rev().find(|&at| may_begin(at)),
        };
        let base = base.filter(|&at| may_begin(at))?;
        let at = |steps: usize| if self.backward { base.checked_sub(steps) } else { base.checked_add(steps) };
        let met = (1..=self.conditions).all(|no| at(no - 1).is_some_and(|at| meets(at, no)));
        let next = at(self.conditions).filter(|_| met)?;
        self.events.get(next).map(|event| event.1.as_str())
    }
}

impl Accumulator for NextNode {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let times = self.clock.read(&values[2])?;
        let names = cast(&values[3], &DataType::Utf8)?;
        let (names, masks) = (names.as_string::<i32>(), masks(&values[4..], times.len()));
        for (row, mask) in masks.into_iter().enumerate() {
            if times.is_valid(row) && names.is_valid(row) {
                self.events.push((times.value(row), names.value(row).to_owned(), mask));
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.events.sort_unstable();
        Ok(ScalarValue::Utf8(self.next().map(str::to_owned)))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let runs = Runs::of_one(std::mem::take(&mut self.events));
        let (times, masks): (Int64Array, UInt64Array) = (
            runs.events().iter().map(|it| it.0).collect::<Vec<_>>().into(),
            runs.events().iter().map(|it| it.2).collect::<Vec<_>>().into(),
        );
        let names = StringArray::from_iter_values(runs.events().iter().map(|it| it.1.as_str()));
        scalars(&[
            runs.lists_of(item(DataType::Int64), Arc::new(times))?,
            runs.lists_of(item(DataType::UInt64), Arc::new(masks))?,
            runs.lists_of(item(DataType::Utf8), Arc::new(names))?,
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [times, masks, names] = [0, 1, 2].map(|at: usize| states[at].as_list::<i64>());
        for span in spans(times) {
            for at in span {
                let name = names.values().as_string::<i32>().value(at).to_owned();
                let mask = masks.values().as_primitive::<UInt64Type>().value(at);
                self.events.push((times.values().as_primitive::<Int64Type>().value(at), name, mask));
            }
        }
        Ok(())
    }

    fn size(&self) -> usize {
        let names: usize = self.events.iter().map(|event| event.1.capacity()).sum();
        size_of::<Self>() + names + self.events.capacity() * size_of::<(i64, String, u64)>()
    }
}
