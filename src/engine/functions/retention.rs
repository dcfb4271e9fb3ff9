//! `retention(c1, …)`: whether a group's rows meet `c1`, and with it each of the others.
//!
//! The answer is a list of 0 and 1, one for each condition: the first says whether some row meets `c1`, item `n` whether
//! some row meets `c1` and some row meets `cn`. Without `c1` all are 0; no rows give zeros; NULL is not met; the order of
//! rows means nothing. `ClickHouse`'s function of that name; a single condition, which it refuses, is answered here, and
//! there may be 64 of them in place of 32.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, UInt64Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, UInt64Type};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use super::grouped::passes;
use super::masked::masks;
use crate::engine::answer::type_name;
use crate::limits;

/// The aggregate.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Retention {
    signature: Signature,
}

impl Retention {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

fn items() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Int64, true))
}

impl AggregateUDFImpl for Retention {
    fn name(&self) -> &'static str {
        "retention"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(items()))
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn coerce_types(&self, kinds: &[DataType]) -> Result<Vec<DataType>> {
        match kinds.len() {
            0 => return plan_err!("retention: the conditions are missing – write retention(c1, c2, …)"),
            count if count > limits::FUNNEL_STEPS => {
                return plan_err!("retention: {count} conditions – at most {} are possible", limits::FUNNEL_STEPS);
            }
            _ => {}
        }
        for (no, kind) in (1..).zip(kinds) {
            if !(*kind == DataType::Boolean || *kind == DataType::Null || kind.is_integer()) {
                return plan_err!(
                    "retention: argument {no} (condition {no}) must be a BOOLEAN, is {}",
                    type_name(kind)
                );
            }
        }
        Ok(vec![DataType::Boolean; kinds.len()])
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format_state_name(args.name, "met"), DataType::UInt64, false))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Met { conditions: args.exprs.len(), groups: vec![0] }))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Met { conditions: args.exprs.len(), groups: Vec::new() }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn documentation(&self) -> Option<&Documentation> {
        super::docs::documentation(self.name())
    }
}

/// Which conditions each group has met.
#[derive(Debug)]
struct Met {
    conditions: usize,
    groups: Vec<u64>,
}

impl Met {
    /// The lists of these groups.
    fn lists(&self, groups: &[u64]) -> Result<ArrayRef> {
        let item = |met: u64, bit: usize| i64::from(met & 1 == 1 && met >> bit & 1 == 1);
        let values = groups.iter().flat_map(|&met| (0..self.conditions).map(move |bit| item(met, bit)));
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values(values));
        let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(self.conditions, groups.len()));
        Ok(Arc::new(ListArray::try_new(items(), offsets, values, None)?))
    }
}

impl GroupsAccumulator for Met {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.groups.resize(total.max(self.groups.len()), 0);
        for (row, (mask, &group)) in masks(values, groups.len()).into_iter().zip(groups).enumerate() {
            if passes(filter, row) {
                self.groups[group] |= mask;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let groups = emit.take_needed(&mut self.groups);
        self.lists(&groups)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(UInt64Array::from(emit.take_needed(&mut self.groups)))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.groups.resize(total.max(self.groups.len()), 0);
        for (&met, &group) in states[0].as_primitive::<UInt64Type>().values().iter().zip(groups) {
            self.groups[group] |= met;
        }
        Ok(())
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = values[0].len();
        let masks = masks(values, rows).into_iter().enumerate();
        let met = masks.map(|(row, mask)| if passes(filter, row) { mask } else { 0 });
        Ok(vec![Arc::new(UInt64Array::from_iter_values(met))])
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.groups.capacity() * size_of::<u64>()
    }
}

impl Accumulator for Met {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.groups[0] |= masks(values, values[0].len()).into_iter().fold(0, |met, mask| met | mask);
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&self.lists(&self.groups)?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::UInt64(Some(self.groups[0]))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let states = states[0].as_primitive::<UInt64Type>().values();
        self.groups[0] |= states.iter().fold(0, |met, state| met | state);
        Ok(())
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.groups.capacity() * size_of::<u64>()
    }
}
