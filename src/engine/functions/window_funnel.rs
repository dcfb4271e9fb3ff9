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

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{ScalarValue, plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, Documentation, GroupsAccumulator, Signature, Volatility,
};

use super::grouped::{Runs, state_fields};
use super::length::{constant, constant_text, is_length, is_text};
use super::masked::{Answer, Event, Groups, Reader, STATE, Single, Times, no_times, times_item};
use crate::engine::answer::type_name;
use crate::journey::funnel::{Chains, Levels, Mode, Modes, Rules};

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
            DataType::List(item) => no_times(item),
            _ => ScalarValue::Int64(Some(0)),
        })
    }

    fn coerce_types(&self, kinds: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name();
        let Some(window) = kinds.first() else {
            return plan_err!("{name} needs a window, a time stamp and at least one condition");
        };
        if !is_length(window) {
            return plan_err!(
                "{name}: argument 1 (window) must be an INTERVAL or a whole number, is {}",
                type_name(window)
            );
        }
        super::masked::coerce(name, "window", kinds, ts_position(kinds))
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

/// What is asked, of which events.
#[derive(Debug)]
struct Asked {
    rules: Rules,
    told: Told,
}

impl WindowFunnel {
    fn reader(&self, args: &AccumulatorArgs) -> Result<Reader<Asked>> {
        let name = self.name();
        if args.is_distinct {
            return plan_err!("{name}: DISTINCT has no meaning here – use the mode 'strict_once'");
        }
        let kinds: Vec<DataType> = args.expr_fields.iter().map(|field| field.data_type().clone()).collect();
        let at = ts_position(&kinds);
        let times = Times::new(name, args, at)?;
        let window = times
            .clock
            .length(&constant(&args.exprs[0], &format!("{name}: argument 1 (window)"))?)
            .map_err(|error| plan_datafusion_err!("{name}: argument 1 (window): {error}"))?;
        let mut modes = Modes::default();
        for (no, mode) in args.exprs.iter().enumerate().take(at).skip(1) {
            let mode = constant_text(mode, &format!("{name}: argument {} (mode)", no + 1))?;
            let mode = Mode::parse(&mode)
                .map_err(|error| plan_datafusion_err!("{name}: argument {} (mode): {error}", no + 1))?;
            modes = modes.with(mode);
        }
        let rules =
            Rules::new(kinds.len() - at - 1, window, modes).map_err(|error| plan_datafusion_err!("{name}: {error}"))?;
        Ok(Reader { times, what: Asked { rules, told: self.told } })
    }
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

impl Answer for Asked {
    fn needs_unmatched(&self) -> bool {
        self.rules.needs_unmatched()
    }

    fn answer(&self, times: &Times, runs: &mut Runs<Event>) -> Result<ArrayRef> {
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
                times.lists(found, lengths)
            }
        }
    }
}
