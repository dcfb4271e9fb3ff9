//! `funnel_users(step…)`: the units behind a funnel's counts, in order of the people.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `user_id` | `Utf8` | the person |
//! | `session_start` | `Timestamp(µs, UTC)`, NULL unless sessions are the units | `started_at` of the session in `sessions` |
//! | `reached` | `Int64` | steps of the reported chain; `count(*) WHERE reached >= n` is `units` of step `n` |
//! | `step` | `Utf8` | the last of them |
//! | `converted` | `Boolean` | whether that is all of them |
//! | `in_progress` | `Boolean` | whether the unit may still come further |
//! | `entered_at`, `reached_at` | `Timestamp(µs, UTC)` | when the chain begins and ends |
//! | `duration_s` | `Float64` | seconds between; 0 where, in grace, the last step happened before the first |
//! | `steps_at` | `List` of `Timestamp(µs, UTC)` | when each step of the chain was |
//! | `breakdown` | `Utf8`, NULL if not known | the value that the unit is counted under, with that option |
//!
//! Units that did not enter, were taken out or are left out (`remove`, `complete_only`) have no row.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray};
use arrow::array::{StringBuilder, TimestampMicrosecondArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use datafusion::error::Result;

use super::pass::{Report, Shared, Sink, Wanted};
use super::spec::Spec;
use super::units::Unit;
use crate::engine::functions::seen::Seen;
use crate::engine::scan::{NONE, Names};
use crate::time::SECOND;

/// The type of a point in time.
pub(super) fn moment() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn item() -> FieldRef {
    Arc::new(Field::new_list_field(moment(), true))
}

/// Seconds of a length in µs.
#[expect(clippy::cast_precision_loss, reason = "a length stays far below 2^52 µs")]
pub(super) fn seconds(micros: i64) -> f64 {
    micros as f64 / SECOND as f64
}

/// Lists units.
#[derive(Debug, Clone)]
pub(super) struct Users;

impl Report for Users {
    type Sink = Lines;
    type Part = Lines;

    fn schema(&self, spec: &Spec) -> SchemaRef {
        let column = |name: &str, kind: DataType, nullable| Field::new(name, kind, nullable);
        let mut columns = vec![
            column("user_id", DataType::Utf8, false),
            column("session_start", moment(), true),
            column("reached", DataType::Int64, false),
            column("step", DataType::Utf8, false),
            column("converted", DataType::Boolean, false),
            column("in_progress", DataType::Boolean, false),
            column("entered_at", moment(), false),
            column("reached_at", moment(), false),
            column("duration_s", DataType::Float64, false),
            column("steps_at", DataType::List(item()), false),
        ];
        if spec.breakdown.is_some() {
            columns.push(column("breakdown", DataType::Utf8, true));
        }
        Arc::new(Schema::new(columns))
    }

    fn chained(&self) -> bool {
        true
    }

    fn sink(&self, _: &Arc<Shared>, _: Wanted) -> Lines {
        Lines::default()
    }

    fn table(&self, shared: &Shared, parts: Vec<Lines>, _: &Seen) -> Result<RecordBatch> {
        let schema = self.schema(&shared.spec);
        let batches = parts.into_iter().map(|part| part.batch(&shared.spec, &schema)).collect::<Result<Vec<_>>>()?;
        Ok(arrow::compute::concat_batches(&schema, &batches)?)
    }
}

/// The units of one reader.
#[derive(Debug, Default)]
pub(super) struct Lines {
    users: StringBuilder,
    sessions: Vec<Option<i64>>,
    open: Vec<bool>,
    codes: Vec<u32>,
    /// Times of all chains, and how many each has.
    times: Vec<i64>,
    lengths: Vec<usize>,
    values: Vec<Option<String>>,
}

impl Sink for Lines {
    type Part = Self;

    fn unit(&mut self, unit: &Unit<'_>) {
        self.users.append_value(unit.home.person);
        self.sessions.push(unit.home.session);
        self.open.push(unit.open);
        self.codes.push(unit.value);
        self.times.extend((0..unit.chain.len()).map(|at| unit.at(at)));
        self.lengths.push(unit.chain.len());
    }

    fn size(&self) -> usize {
        let users = self.users.values_slice().len() + self.lengths.len() * 4;
        2 * (users + self.lengths.len() * (size_of::<Option<i64>>() + 16) + self.times.len() * 8)
    }

    fn finish(mut self, values: &Names) -> Self {
        if self.codes.iter().any(|&code| code != NONE) {
            self.values = self.codes.iter().map(|&code| (code != NONE).then(|| values.text(code).to_owned())).collect();
        } else {
            self.values = vec![None; self.codes.len()];
        }
        self
    }
}

impl Lines {
    fn batch(mut self, spec: &Spec, schema: &SchemaRef) -> Result<RecordBatch> {
        let steps = spec.rules.steps();
        let offsets = OffsetBuffer::<i32>::from_lengths(self.lengths.iter().copied());
        let mut end = 0;
        let ends: Vec<(i64, i64)> = self
            .lengths
            .iter()
            .map(|length| {
                let first = end;
                end += length;
                (self.times[first], self.times[end - 1])
            })
            .collect();
        let moments = |times: Vec<Option<i64>>| TimestampMicrosecondArray::from(times).with_timezone("UTC");
        let times = moments(self.times.iter().copied().map(Some).collect());
        let reached = self.lengths.iter().map(|&length| i64::try_from(length).unwrap_or(i64::MAX));
        let names = spec.rows();
        let step = self.lengths.iter().map(|&length| names[length - 1].as_str());
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.users.finish()),
            Arc::new(moments(std::mem::take(&mut self.sessions))),
            Arc::new(Int64Array::from_iter_values(reached)),
            Arc::new(StringArray::from_iter_values(step)),
            Arc::new(self.lengths.iter().map(|&length| Some(length == steps)).collect::<BooleanArray>()),
            Arc::new(BooleanArray::from(std::mem::take(&mut self.open))),
            Arc::new(moments(ends.iter().map(|ends| Some(ends.0)).collect())),
            Arc::new(moments(ends.iter().map(|ends| Some(ends.1)).collect())),
            Arc::new(Float64Array::from_iter_values(ends.iter().map(|ends| seconds((ends.1 - ends.0).max(0))))),
            Arc::new(ListArray::try_new(item(), offsets, Arc::new(times), None)?),
        ];
        if spec.breakdown.is_some() {
            columns.push(Arc::new(StringArray::from(std::mem::take(&mut self.values))));
        }
        Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
    }
}
