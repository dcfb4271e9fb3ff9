//! `sequence_match(pattern, ts, c1, …)`, `sequence_count(…)`, `sequence_match_events(…)`: the bridge to
//! [`crate::journey::sequence`], which says what a pattern is and where other engines differ.
//!
//! | function | answer | no event |
//! |---|---|---|
//! | `sequence_match` | `Boolean`: whether the pattern is met | false |
//! | `sequence_count` | `Int64`: how many matches follow each other without sharing an event | 0 |
//! | `sequence_match_events` | `List` of `ts`' type (integers: `Int64`): when each `(?N)` of the first match was; empty without one | an empty list |
//!
//! None is ever NULL. A number in `(?t…)` is seconds for a TIMESTAMP, days for a DATE, the column's own unit for an
//! integer. Events with equal time stamps are taken in the order of the conditions that they meet, the first condition
//! first, so that the order of arrival does not matter. `ClickHouse`'s names and argument order; where a pattern is met
//! in part only, it reports that part and we report nothing.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{ScalarValue, plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, Documentation, GroupsAccumulator, Signature, Volatility,
};

use super::grouped::{Runs, state_fields};
use super::length::{constant_text, is_text};
use super::masked::{Answer, Event, Groups, Reader, STATE, Single, Times, coerce, no_times, times_item};
use crate::engine::answer::type_name;
use crate::journey::sequence::{Pattern, Sequences};

/// What is told of the matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Told {
    Match,
    Count,
    Events,
}

/// One of the three aggregates.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Sequence {
    signature: Signature,
    told: Told,
}

impl Sequence {
    pub(super) fn new(told: Told) -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable), told }
    }

    fn reader(&self, args: &AccumulatorArgs) -> Result<Reader<Asked>> {
        let name = self.name();
        if args.is_distinct {
            return plan_err!("{name}: DISTINCT has no meaning here");
        }
        let times = Times::new(name, args, 1)?;
        let wrong = |error: String| plan_datafusion_err!("{name}: argument 1 (pattern): {error}");
        let text = constant_text(&args.exprs[0], &format!("{name}: argument 1 (pattern)"))?;
        let unit = times.clock.length(&ScalarValue::Int64(Some(1))).map_err(wrong)?;
        let pattern = Pattern::parse(&text, args.exprs.len() - 2, unit).map_err(wrong)?;
        Ok(Reader { times, what: Asked { pattern, told: self.told } })
    }
}

impl AggregateUDFImpl for Sequence {
    fn name(&self) -> &'static str {
        match self.told {
            Told::Match => "sequence_match",
            Told::Count => "sequence_count",
            Told::Events => "sequence_match_events",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        Ok(match (self.told, kinds.get(1)) {
            (Told::Events, Some(ts)) => DataType::List(times_item(ts)),
            (Told::Match, _) => DataType::Boolean,
            _ => DataType::Int64,
        })
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn default_value(&self, kind: &DataType) -> Result<ScalarValue> {
        Ok(match kind {
            DataType::List(item) => no_times(item),
            DataType::Boolean => ScalarValue::Boolean(Some(false)),
            _ => ScalarValue::Int64(Some(0)),
        })
    }

    fn coerce_types(&self, kinds: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name();
        match kinds.first() {
            Some(pattern) if is_text(pattern) => coerce(name, "pattern", kinds, 1),
            Some(other) => plan_err!("{name}: argument 1 (pattern) must be a text, is {}", type_name(other)),
            None => plan_err!("{name} needs a pattern, a time stamp and at least one condition"),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(state_fields(args.name, &STATE))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Single::new(self.reader(&args)?)))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups::new(self.reader(&args)?)))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn documentation(&self) -> Option<&Documentation> {
        super::docs::documentation(self.name())
    }
}

/// What is asked of which pattern.
#[derive(Debug)]
struct Asked {
    pattern: Pattern,
    told: Told,
}

impl Answer for Asked {
    fn needs_unmatched(&self) -> bool {
        false
    }

    fn answer(&self, times: &Times, runs: &mut Runs<Event>) -> Result<ArrayRef> {
        let mut finder = Finder::new(self.pattern.clone());
        Ok(match self.told {
            Told::Match => {
                let mut met = Vec::new();
                runs.each(|run| met.push(finder.count(run, 1) > 0));
                Arc::new(BooleanArray::from(met))
            }
            Told::Count => {
                let mut counts = Vec::new();
                runs.each(|run| counts.push(i64::try_from(finder.count(run, usize::MAX)).unwrap_or(i64::MAX)));
                Arc::new(Int64Array::from(counts))
            }
            Told::Events => {
                let (mut found, mut lengths) = (Vec::new(), Vec::new());
                runs.each(|run| {
                    let before = found.len();
                    finder.times(run, &mut found);
                    lengths.push(found.len() - before);
                });
                times.lists(found, lengths)?
            }
        })
    }
}

/// Finds matches in one run of events after the other.
#[derive(Debug)]
struct Finder {
    sequences: Sequences,
    ts: Vec<i64>,
    masks: Vec<u64>,
    found: Vec<usize>,
}

impl Finder {
    fn new(pattern: Pattern) -> Self {
        Self { sequences: Sequences::new(pattern), ts: Vec::new(), masks: Vec::new(), found: Vec::new() }
    }

    fn sort(&mut self, run: &mut [Event]) {
        if !run.is_sorted_by(|a, b| a.0 < b.0) {
            // Of masks, the one with the lower first condition comes first: the bits read from the first on.
            run.sort_unstable_by_key(|&(ts, mask)| (ts, std::cmp::Reverse(mask.reverse_bits())));
        }
        self.ts.clear();
        self.masks.clear();
        self.ts.extend(run.iter().map(|event| event.0));
        self.masks.extend(run.iter().map(|event| event.1));
    }

    fn count(&mut self, run: &mut [Event], most: usize) -> usize {
        self.sort(run);
        self.sequences.count(&self.ts, &self.masks, most)
    }

    fn times(&mut self, run: &mut [Event], out: &mut Vec<i64>) {
        self.sort(run);
        self.found.clear();
        self.sequences.find(&self.ts, &self.masks, &mut self.found);
        out.extend(self.found.iter().map(|&at| self.ts[at]));
    }
}
