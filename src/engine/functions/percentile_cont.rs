//! `percentile_cont(value, share)`: the exact value at a share of the sorted rows, between neighbours in proportion.
//!
//! `DataFusion`'s own rounds the proportion down to six digits, which shows as soon as the neighbours lie far apart
//! (30, 60, 1200 at 0.95: 1085.99886 in place of 1086). Everything else is left to it.

use std::hash::Hash;

use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::percentile_cont::PercentileCont;
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Documentation, Signature};
use datafusion::physical_expr::expressions::Literal;

/// The aggregate.
#[derive(Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct ExactPercentile {
    theirs: PercentileCont,
}

impl AggregateUDFImpl for ExactPercentile {
    fn name(&self) -> &str {
        self.theirs.name()
    }

    fn aliases(&self) -> &[String] {
        self.theirs.aliases()
    }

    fn signature(&self) -> &Signature {
        self.theirs.signature()
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        self.theirs.return_type(kinds)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.theirs.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match share(&args) {
            Some(share) if !args.is_distinct && *args.expr_fields[0].data_type() == DataType::Float64 => {
                Ok(Box::new(Exact { share, values: Vec::new() }))
            }
            _ => self.theirs.accumulator(args),
        }
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        self.theirs.simplify()
    }

    fn supports_within_group_clause(&self) -> bool {
        true
    }

    fn documentation(&self) -> Option<&Documentation> {
        super::docs::documentation(self.name())
    }
}

/// The share asked for, from the other end if the rows are ordered the other way; `None` if it makes no sense, which
/// the other implementation says better.
fn share(args: &AccumulatorArgs) -> Option<f64> {
    let ScalarValue::Float64(Some(share)) = args.exprs.get(1)?.downcast_ref::<Literal>()?.value() else { return None };
    let reversed = args.order_bys.first().is_some_and(|order| order.options.descending);
    (0.0..=1.0).contains(share).then_some(if reversed { 1.0 - share } else { *share })
}

/// All values of one group.
#[derive(Debug)]
struct Exact {
    share: f64,
    values: Vec<f64>,
}

impl Accumulator for Exact {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        match columns.first().and_then(|column| column.as_primitive_opt::<Float64Type>()) {
            Some(values) => self.values.extend(values.iter().flatten()),
            None => return internal_err!("percentile_cont takes doubles"),
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(lists) = states.first().and_then(|column| column.as_list_opt::<i32>()) else {
            return internal_err!("the state of percentile_cont is no list");
        };
        for list in lists.iter().flatten() {
            self.update_batch(&[list])?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = Float64Array::from(std::mem::take(&mut self.values));
        let items: Vec<ScalarValue> = values.iter().map(ScalarValue::Float64).collect();
        Ok(vec![ScalarValue::List(ScalarValue::new_list_nullable(&items, &DataType::Float64))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(percentile(&mut self.values, self.share)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<f64>()
    }
}

/// The value at `share` (0 to 1) of the sorted values; reorders them. `None` of nothing.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places in a list fit a double and are positive"
)]
#[must_use]
pub fn percentile(values: &mut [f64], share: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let place = share * last as f64;
    let low = (place.floor() as usize).min(last);
    let weight = place - low as f64;
    let (_, &mut lower, above) = values.select_nth_unstable_by(low, f64::total_cmp);
    match above.iter().copied().min_by(f64::total_cmp) {
        Some(upper) if weight > 0.0 => Some(lower + (upper - lower) * weight),
        _ => Some(lower),
    }
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn neighbours_are_mixed_in_proportion() {
        for (values, share, wanted) in [
            (&[30.0, 1200.0, 60.0][..], 0.95, 1086.0),
            (&[4.0, 1.0, 3.0, 2.0], 0.25, 1.75),
            (&[1.0, 2.0, 3.0], 0.5, 2.0),
            (&[1.0, 2.0], 1.0, 2.0),
            (&[7.0], 0.9, 7.0),
        ] {
            let found = percentile(&mut values.to_vec(), share).unwrap();
            assert!((found - wanted).abs() < 1e-9, "{values:?} at {share}: {found}");
        }
        assert_eq!(percentile(&mut [], 0.5), None);
    }
}
