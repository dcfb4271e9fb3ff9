//! `sessionize(ts, gap) OVER (PARTITION BY person [ORDER BY ts])`: the number of the session that a row belongs to.
//!
//! Numbers start at 1 and rise where the idle time since the row before is strictly greater than the gap. The rows of a
//! partition are put into the order of time by the function itself, so that the ORDER BY changes nothing. A row whose
//! time is NULL has no session and is ignored for gaps.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{Documentation, LimitEffect, PartitionEvaluator, Signature, Volatility, WindowUDFImpl};
use datafusion::physical_expr::PhysicalExpr;

use super::length::{Clock, constant, is_length};
use crate::engine::answer::type_name;

/// The window function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Sessionize {
    signature: Signature,
}

impl Sessionize {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl WindowUDFImpl for Sessionize {
    fn name(&self) -> &'static str {
        "sessionize"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), DataType::Int64, true)))
    }

    fn coerce_types(&self, kinds: &[DataType]) -> Result<Vec<DataType>> {
        let [ts, gap] = kinds else {
            return plan_err!("sessionize takes a time stamp and a gap – write sessionize(ts, INTERVAL '30 minutes')");
        };
        let Some(clock) = Clock::of(ts) else {
            return plan_err!(
                "sessionize: argument 1 (ts) must be a TIMESTAMP, DATE or whole number, is {}",
                type_name(ts)
            );
        };
        if !is_length(gap) {
            return plan_err!(
                "sessionize: argument 2 (gap) must be an INTERVAL or a whole number, is {}",
                type_name(gap)
            );
        }
        Ok(vec![clock.coerced(ts), gap.clone()])
    }

    fn partition_evaluator(&self, args: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        let kind = args.input_fields().first().map(|field| field.data_type().clone());
        let clock = kind
            .as_ref()
            .and_then(Clock::of)
            .ok_or_else(|| plan_datafusion_err!("sessionize: argument 1 (ts) is missing"))?;
        let what = "sessionize: argument 2 (gap)";
        let gap = args.input_exprs().get(1).ok_or_else(|| plan_datafusion_err!("{what} is missing"))?;
        let gap = clock.length(&constant(gap, what)?).map_err(|error| plan_datafusion_err!("{what}: {error}"))?;
        Ok(Box::new(Numbers { clock, gap }))
    }

    fn documentation(&self) -> Option<&Documentation> {
        super::docs::documentation(self.name())
    }

    fn limit_effect(&self, _: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        LimitEffect::Unknown
    }
}

/// Numbers the rows of one partition after the other.
#[derive(Debug)]
struct Numbers {
    clock: Clock,
    gap: i64,
}

impl PartitionEvaluator for Numbers {
    fn evaluate_all(&mut self, values: &[ArrayRef], _: usize) -> Result<ArrayRef> {
        let times = self.clock.read(&values[0])?;
        Ok(Arc::new(number(&times, self.gap)))
    }
}

/// The session numbers of times in any order.
fn number(times: &Int64Array, gap: i64) -> Int64Array {
    let mut order: Vec<usize> = (0..times.len()).filter(|&row| times.is_valid(row)).collect();
    if !order.is_sorted_by_key(|&row| times.value(row)) {
        order.sort_by_key(|&row| times.value(row));
    }
    let mut numbers = vec![None; times.len()];
    let (mut session, mut before) = (0, None);
    for row in order {
        let ts = times.value(row);
        if before.is_none_or(|before| ts.saturating_sub(before) > gap) {
            session += 1;
        }
        before = Some(ts);
        numbers[row] = Some(session);
    }
    Int64Array::from(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(times: Vec<Option<i64>>, gap: i64) -> Vec<Option<i64>> {
        number(&Int64Array::from(times), gap).iter().collect()
    }

    #[test]
    fn v1_an_equal_gap_stays() {
        let gap = 30 * 60 * 1_000_000;
        assert_eq!(numbers(vec![Some(0), Some(gap)], gap), [Some(1), Some(1)]);
        assert_eq!(numbers(vec![Some(0), Some(gap + 1)], gap), [Some(1), Some(2)]);
    }

    #[test]
    fn any_order_and_rows_without_a_time() {
        assert_eq!(numbers(vec![Some(100), None, Some(0), Some(5)], 10), [Some(2), None, Some(1), Some(1)]);
        assert_eq!(numbers(vec![Some(7), Some(7), Some(8)], 0), [Some(1), Some(1), Some(2)]);
        assert_eq!(numbers(vec![], 0), []);
    }
}
