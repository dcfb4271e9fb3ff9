//! Functions whose answer may be far larger than what they are given: too large a one is refused before it is made.
//!
//! Nothing counts the memory of a value while it is being made, so one `repeat` could take all that the machine has.
//!
//! | function | bytes of a batch, at most |
//! |---|---|
//! | `repeat(text, n)`, `array_repeat(value, n)` | n times the value |
//! | `lpad(text, n)`, `rpad(text, n)`, `array_resize(list, n)` | n, eight bytes each of a list |
//! | `replace(text, from, to)` | every `from` a `to` |
//! | `range(from, to, step)`, `generate_series(…)` in SELECT | steps of eight bytes |

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use crate::limits;

/// How a function's answer grows with its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Growth {
    /// The first argument, so often as the second says.
    Times,
    /// So long as the second argument says, in units of so many bytes.
    Length(usize),
    Replaced,
    Steps,
}

const FUNCTIONS: [(&str, Growth); 8] = [
    ("repeat", Growth::Times),
    ("array_repeat", Growth::Times),
    ("lpad", Growth::Length(1)),
    ("rpad", Growth::Length(1)),
    ("array_resize", Growth::Length(8)),
    ("replace", Growth::Replaced),
    ("range", Growth::Steps),
    ("generate_series", Growth::Steps),
];

/// Puts a bounded function in the place of each of these.
pub(super) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for (name, growth) in FUNCTIONS {
        let inner = registry.udf(name)?;
        registry.register_udf(Arc::new(ScalarUDF::new_from_impl(Bounded { inner, growth })))?;
    }
    Ok(())
}

/// A function that looks how large its answer would be.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        self.inner.return_type(kinds)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, kinds: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(kinds)
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, context)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let bytes = (0..rows).try_fold(0_u128, |bytes, row| {
            Ok::<_, datafusion::error::DataFusionError>(bytes + self.bytes(&arrays, row)?)
        })?;
        let most = limits::VALUE_BYTES;
        if bytes > most as u128 {
            return exec_err!("{} would make {bytes} bytes at once, at most {most} are made", self.name());
        }
        self.inner.invoke_with_args(args)
    }
}

impl Bounded {
    /// Bytes that the answer of a row has at most.
    fn bytes(&self, args: &[ArrayRef], row: usize) -> Result<u128> {
        if args.iter().any(|arg| arg.is_null(row)) {
            return Ok(0);
        }
        let count = |at: usize| whole(args.get(at), row).map(|count| u128::try_from(count.unwrap_or(0)).unwrap_or(0));
        Ok(match self.growth {
            Growth::Times => count(1)? * size(&args[0], row) as u128,
            Growth::Length(unit) => count(1)? * unit as u128,
            Growth::Replaced => {
                let [text, from, to] = [0, 1, 2].map(|at| args.get(at).map_or(0, |arg| size(arg, row)) as u128);
                text + text.checked_div(from).unwrap_or(text + 1) * to
            }
            Growth::Steps => {
                let (first, last, step) = match args.len() {
                    1 => (Some(0), whole(args.first(), row)?, Some(1)),
                    _ => (whole(args.first(), row)?, whole(args.get(1), row)?, step(args.get(2), row)?),
                };
                let (first, last) = (first.unwrap_or(0), last.unwrap_or(0));
                let steps = last.abs_diff(first).checked_div(step.unwrap_or(1).unsigned_abs()).unwrap_or(0);
                u128::from(steps) * 8
            }
        })
    }
}

/// A number; of a day or a time its nanoseconds.
fn whole(arg: Option<&ArrayRef>, row: usize) -> Result<Option<i64>> {
    let Some(arg) = arg else { return Ok(None) };
    let arg = arg.slice(row, 1);
    let arg = match arg.data_type() {
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
            cast(&arg, &DataType::Timestamp(TimeUnit::Nanosecond, None))?
        }
        _ => arg,
    };
    let numbers = cast(&arg, &DataType::Int64)?;
    let numbers = numbers.as_primitive::<Int64Type>();
    Ok(numbers.is_valid(0).then(|| numbers.value(0)))
}

/// A step, of an interval its nanoseconds, a month having 28 days.
fn step(arg: Option<&ArrayRef>, row: usize) -> Result<Option<i64>> {
    let Some(interval) = arg.filter(|arg| matches!(arg.data_type(), DataType::Interval(_))) else {
        return whole(arg, row);
    };
    let interval = cast(&interval.slice(row, 1), &DataType::Interval(IntervalUnit::MonthDayNano))?;
    let value = interval.as_primitive::<IntervalMonthDayNanoType>().value(0);
    let days = i64::from(value.months) * 28 + i64::from(value.days);
    Ok(Some(days.saturating_mul(86_400_000_000_000).saturating_add(value.nanoseconds)))
}

/// Bytes of a value.
fn size(arg: &ArrayRef, row: usize) -> usize {
    let one = arg.slice(row, 1);
    match cast(&one, &DataType::Utf8) {
        Ok(text) if !arg.data_type().is_nested() => {
            text.as_any().downcast_ref::<StringArray>().map_or(8, |it| it.value(0).len()).max(1)
        }
        _ => one.to_data().get_slice_memory_size().unwrap_or_else(|_| one.get_array_memory_size()).max(8),
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::functions::fixture::{Events, run, stage};
    use crate::engine::settings::Settings;

    #[test]
    fn what_would_be_too_large_is_refused_before_it_is_made() {
        let stage = stage(Events::new(&[]), Settings::default());
        for call in [
            "repeat('x', 2000000000)",
            "repeat(repeat('x', 1000000), 1000000)",
            "array_repeat(array_repeat('x', 10000), 100000000)",
            "lpad('x', 2000000000)",
            "rpad('x', 2000000000, 'yz')",
            "array_resize([1], 10000000000, 1)",
            "replace(repeat('x', 1000000), 'x', repeat('y', 1000000))",
            "range(1, 10000000000)",
            "generate_series(0, -10000000000, -1)",
            "generate_series(TIMESTAMP '1970-01-01', TIMESTAMP '2200-01-01', INTERVAL '1 millisecond')",
        ] {
            let said = run(&stage.context, &format!("SELECT {call} AS x")).unwrap_err();
            assert!(said.contains("at once, at most"), "{call}: {said}");
        }
        for (call, value) in [
            ("repeat('ab', 3)", "ababab"),
            ("lpad('x', 3, 'y')", "yyx"),
            ("replace('a.b.c', '.', '->')", "a->b->c"),
            ("range(1, 4)", "[1, 2, 3]"),
            ("array_repeat(1, 2)", "[1, 1]"),
            ("length(repeat('x', 1000000))", "1000000"),
        ] {
            let said = run(&stage.context, &format!("SELECT {call} AS x")).unwrap();
            assert!(said.contains(value), "{call}: {said}");
        }
    }
}
