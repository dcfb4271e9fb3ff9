//! Times and lengths of time as arguments of a function.
//!
//! | time column | a whole number as length means | an INTERVAL |
//! |---|---|---|
//! | TIMESTAMP | seconds (as in ClickHouse) | itself |
//! | DATE | days | itself |
//! | integer | the column's own unit | refused: the column has no unit |
//!
//! A text such as `'30 minutes'` is read as an INTERVAL. Months and years have no fixed length and are refused, and so
//! are negative lengths.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, Schema, TimeUnit};
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{ScalarValue, plan_datafusion_err};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::scalar_subquery::ScalarSubqueryExpr;
use datafusion::physical_expr::utils::collect_columns;

use super::call::shown;
use crate::engine::answer::type_name;
use crate::time;

/// What the integers of a time column count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    Timestamp(TimeUnit),
    Days,
    Number,
}

impl Clock {
    /// The clock of a column, `None` if it holds no times.
    pub(super) fn of(kind: &DataType) -> Option<Self> {
        match kind {
            DataType::Timestamp(unit, _) => Some(Self::Timestamp(*unit)),
            DataType::Date32 => Some(Self::Days),
            kind if kind.is_integer() => Some(Self::Number),
            _ => None,
        }
    }

    /// The type that a column of this clock is read as.
    pub(super) fn coerced(self, kind: &DataType) -> DataType {
        if self == Self::Number { DataType::Int64 } else { kind.clone() }
    }

    /// The column as integers.
    pub(super) fn read(self, times: &ArrayRef) -> Result<Int64Array> {
        let wide = match self {
            Self::Days => cast(&cast(times, &DataType::Int32)?, &DataType::Int64)?,
            Self::Timestamp(_) | Self::Number => cast(times, &DataType::Int64)?,
        };
        Ok(wide.as_primitive::<Int64Type>().clone())
    }

    /// Integers as a column of a type of this clock.
    pub(super) fn write(self, times: Vec<i64>, kind: &DataType) -> Result<ArrayRef> {
        let times = Int64Array::from(times);
        Ok(match self {
            Self::Days => cast(&cast(&times, &DataType::Int32)?, kind)?,
            Self::Timestamp(_) | Self::Number => cast(&times, kind)?,
        })
    }

    /// Nanoseconds of one unit, `None` for a plain number.
    fn unit_nanos(self) -> Option<i128> {
        match self {
            Self::Timestamp(TimeUnit::Second) => Some(1_000_000_000),
            Self::Timestamp(TimeUnit::Millisecond) => Some(1_000_000),
            Self::Timestamp(TimeUnit::Microsecond) => Some(1_000),
            Self::Timestamp(TimeUnit::Nanosecond) => Some(1),
            Self::Days => Some(86_400_000_000_000),
            Self::Number => None,
        }
    }

    /// A length in units of this clock, rounded down (which no comparison of two whole times can tell apart).
    pub(super) fn length(self, value: &ScalarValue) -> Result<i64, String> {
        let nanos = match value {
            ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text)) => {
                i128::from(time::parse_duration(text)?) * 1_000
            }
            value if value.data_type().is_integer() => return self.whole(value),
            value => interval_nanos(value)?,
        };
        let unit = self.unit_nanos().ok_or("the times are plain numbers – write the length as a number too")?;
        if nanos < 0 {
            return Err("a negative length of time has no meaning".to_owned());
        }
        Ok(i64::try_from(nanos / unit).unwrap_or(i64::MAX))
    }

    fn whole(self, value: &ScalarValue) -> Result<i64, String> {
        let Ok(ScalarValue::Int64(Some(count))) = value.cast_to(&DataType::Int64) else {
            return Err("a length of time is needed, not NULL".to_owned());
        };
        if count < 0 {
            return Err("a negative length of time has no meaning".to_owned());
        }
        let units = match self {
            Self::Timestamp(_) => 1_000_000_000 / self.unit_nanos().unwrap_or(1),
            Self::Days | Self::Number => 1,
        };
        Ok(i64::try_from(i128::from(count) * units).unwrap_or(i64::MAX))
    }
}

/// An INTERVAL or DURATION in nanoseconds.
fn interval_nanos(value: &ScalarValue) -> Result<i128, String> {
    let months = "months and years have no fixed length – write the length in days";
    match value {
        ScalarValue::IntervalMonthDayNano(Some(parts)) if parts.months != 0 => Err(months.to_owned()),
        ScalarValue::IntervalYearMonth(Some(_)) => Err(months.to_owned()),
        ScalarValue::IntervalMonthDayNano(Some(parts)) => {
            Ok(i128::from(parts.days) * 86_400_000_000_000 + i128::from(parts.nanoseconds))
        }
        ScalarValue::IntervalDayTime(Some(parts)) => {
            Ok(i128::from(parts.days) * 86_400_000_000_000 + i128::from(parts.milliseconds) * 1_000_000)
        }
        ScalarValue::DurationSecond(Some(count)) => Ok(i128::from(*count) * 1_000_000_000),
        ScalarValue::DurationMillisecond(Some(count)) => Ok(i128::from(*count) * 1_000_000),
        ScalarValue::DurationMicrosecond(Some(count)) => Ok(i128::from(*count) * 1_000),
        ScalarValue::DurationNanosecond(Some(count)) => Ok(i128::from(*count)),
        value if value.is_null() => Err("a length of time is needed, not NULL".to_owned()),
        value => Err(format!("a length of time is needed, not a value of type {}", type_name(&value.data_type()))),
    }
}

/// Whether a type can be a length of time.
pub(super) fn is_length(kind: &DataType) -> bool {
    matches!(kind, DataType::Interval(_) | DataType::Duration(_) | DataType::Null) || kind.is_integer() || is_text(kind)
}

/// Whether a type is text.
pub(super) fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The value of an argument that must not depend on a row. `what` names it in the error.
pub(super) fn constant(argument: &Arc<dyn PhysicalExpr>, what: &str) -> Result<ScalarValue> {
    if let Some(column) = collect_columns(argument).iter().next() {
        return Err(plan_datafusion_err!("{what} must be a constant, is the column {}", column.name()));
    }
    // It would be read before anybody has answered it.
    if argument.exists(|part| Ok(part.downcast_ref::<ScalarSubqueryExpr>().is_some()))? {
        return Err(plan_datafusion_err!("{what} must be a constant: a subquery cannot stand here – write its result"));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?;
    ScalarValue::try_from_array(&argument.evaluate(&row)?.into_array(1)?, 0)
}

/// A constant text, such as a mode.
pub(super) fn constant_text(argument: &Arc<dyn PhysicalExpr>, what: &str) -> Result<String> {
    match constant(argument, what)? {
        ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text)) => {
            Ok(text)
        }
        other => Err(plan_datafusion_err!("{what} must be a text, is {}", shown(&other))),
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::IntervalMonthDayNano;

    use super::*;

    fn interval(months: i32, days: i32, nanos: i64) -> ScalarValue {
        ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(months, days, nanos)))
    }

    #[test]
    fn lengths_in_the_unit_of_the_column() {
        let micros = Clock::Timestamp(TimeUnit::Microsecond);
        assert_eq!(micros.length(&interval(0, 1, 1_500)), Ok(86_400_000_001));
        assert_eq!(micros.length(&ScalarValue::Int64(Some(3))), Ok(3_000_000));
        assert_eq!(micros.length(&ScalarValue::from("90s")), Ok(90_000_000));
        assert_eq!(Clock::Timestamp(TimeUnit::Second).length(&interval(0, 0, 1_999_999_999)), Ok(1));
        assert_eq!(Clock::Days.length(&ScalarValue::UInt8(Some(2))), Ok(2));
        assert_eq!(Clock::Number.length(&ScalarValue::Int32(Some(7))), Ok(7));
        assert_eq!(micros.length(&ScalarValue::Int64(Some(i64::MAX))), Ok(i64::MAX));
    }

    #[test]
    fn lengths_that_have_no_meaning() {
        let micros = Clock::Timestamp(TimeUnit::Microsecond);
        assert!(micros.length(&interval(1, 0, 0)).unwrap_err().contains("no fixed length"));
        assert!(micros.length(&interval(0, -1, 0)).unwrap_err().contains("negative"));
        assert!(micros.length(&ScalarValue::Int64(Some(-1))).unwrap_err().contains("negative"));
        assert!(micros.length(&ScalarValue::Int64(None)).unwrap_err().contains("NULL"));
        assert!(micros.length(&ScalarValue::Boolean(Some(true))).unwrap_err().contains("boolean"));
        assert!(Clock::Number.length(&interval(0, 1, 0)).unwrap_err().contains("plain numbers"));
    }
}
