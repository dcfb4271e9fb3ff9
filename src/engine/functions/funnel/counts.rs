//! `funnel(step…)` and `funnel_trend(step…, period => 'day')`: how many units came how far, exactly.
//!
//! `funnel` has the columns of `tally.rs` and, with the option of that name, `breakdown` (`Utf8`; NULL where the value
//! is not known, last). Without a breakdown there is a row per step even where nobody entered; with one a row per step
//! and value that some unit has.
//!
//! `funnel_trend` puts in front:
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `period` | `Date32` | first day of the day, week (from Monday) or month (UTC) in which the reported chain begins |
//! | `complete` | `Boolean` | whether the period has ended at the watermark and nobody of it is in progress |
//!
//! A period in which nobody entered has no rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::Result;
use hashbrown::HashMap;

use super::pass::{Report, Shared, Sink, Wanted};
use super::spec::{Since, Spec};
use super::tally::{Rows, Tally, fields};
use super::units::Unit;
use crate::engine::functions::seen::Seen;
use crate::engine::scan::{NONE, Names};
use crate::journey::period::Period;
use crate::time::Day;

/// What parts the units: the period of entry, then the value (NULL last).
type Key = (i64, bool, String);

/// Counts units, by period of entry where one is given.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    pub period: Option<Period>,
}

impl Report for Counts {
    type Sink = Counter;
    type Part = BTreeMap<Key, Tally>;

    fn schema(&self, spec: &Spec) -> SchemaRef {
        let mut columns = Vec::new();
        if self.period.is_some() {
            columns.push(Field::new("period", DataType::Date32, false));
            columns.push(Field::new("complete", DataType::Boolean, false));
        }
        columns.extend(fields());
        if spec.breakdown.is_some() {
            columns.push(Field::new("breakdown", DataType::Utf8, true));
        }
        Arc::new(Schema::new(columns))
    }

    fn chained(&self) -> bool {
        self.period.is_some()
    }

    fn sink(&self, shared: &Arc<Shared>, wanted: Wanted) -> Counter {
        Counter {
            steps: shared.spec.rules.steps(),
            since: shared.spec.since,
            wanted,
            period: self.period,
            tallies: HashMap::default(),
            durations: 0,
        }
    }

    fn table(&self, shared: &Shared, parts: Vec<Self::Part>, seen: &Seen) -> Result<RecordBatch> {
        let (spec, steps) = (&shared.spec, shared.spec.rules.steps());
        let mut all: Self::Part = BTreeMap::new();
        if self.period.is_none() && spec.breakdown.is_none() {
            all.insert((0, true, String::new()), Tally::new(steps));
        }
        for (key, tally) in parts.into_iter().flatten() {
            all.entry(key).or_insert_with(|| Tally::new(steps)).merge(tally);
        }
        let names = spec.rows();
        let (mut rows, mut periods) = (Rows::default(), Vec::new());
        let (mut complete, mut values) = (Vec::new(), Vec::new());
        for ((period, unknown, value), tally) in all {
            let ended = self.period.is_some_and(|it| shared.watermark >= it.start(period + 1));
            let still = tally.open[..steps].iter().any(|&units| units > 0);
            complete.extend(std::iter::repeat_n(Some(ended && !still), steps));
            rows.add(tally, &names, |at| {
                // A row in any order is no step: what is missing has to be named.
                let step = &spec.names[at];
                let what = if names[at] == *step { "this step".to_owned() } else { format!("'{step}'") };
                seen.warning(at, &what)
            });
            periods.extend(std::iter::repeat_n(period, steps));
            values.extend(std::iter::repeat_n((!unknown).then_some(value), steps));
        }
        let mut columns: Vec<ArrayRef> = Vec::new();
        if let Some(period) = self.period {
            columns
                .push(Arc::new(Date32Array::from_iter_values(periods.iter().map(|&it| Day::of(period.start(it)).0))));
            columns.push(Arc::new(BooleanArray::from(complete)));
        }
        columns.append(&mut rows.columns());
        if spec.breakdown.is_some() {
            columns.push(Arc::new(StringArray::from(values)));
        }
        Ok(RecordBatch::try_new(self.schema(spec), columns)?)
    }
}

/// Counts the units of one reader.
#[derive(Debug)]
pub(super) struct Counter {
    steps: usize,
    since: Since,
    wanted: Wanted,
    period: Option<Period>,
    tallies: HashMap<(i64, u32), Tally, foldhash::fast::RandomState>,
    /// Durations held.
    durations: usize,
}

impl Sink for Counter {
    type Part = BTreeMap<Key, Tally>;

    fn unit(&mut self, unit: &Unit<'_>) {
        let period = self.period.map_or(0, |period| period.of(unit.at(0)));
        let tally = self.tallies.entry((period, unit.value)).or_insert_with(|| Tally::new(self.steps));
        tally.reached[unit.level] += 1;
        tally.open[unit.level] += u64::from(unit.open);
        for step in 1..unit.level {
            if self.wanted.steps {
                let since = if self.since == Since::Entry { 0 } else { step - 1 };
                tally.between[step - 1].push(unit.took(since, step));
                self.durations += 1;
            }
            if self.wanted.totals {
                tally.total[step - 1].push(unit.took(0, step));
                self.durations += 1;
            }
        }
    }

    fn size(&self) -> usize {
        let one = self.tallies.values().next().map_or(0, |tally| size_of::<Tally>() + tally.size());
        // Vectors that grow hold up to twice of what is in them.
        self.tallies.len() * one + self.durations * 2 * size_of::<i64>()
    }

    fn finish(self, values: &Names) -> Self::Part {
        let named = |((period, code), tally): ((i64, u32), Tally)| {
            ((period, code == NONE, values.text(code).to_owned()), tally)
        };
        self.tallies.into_iter().map(named).collect()
    }
}
