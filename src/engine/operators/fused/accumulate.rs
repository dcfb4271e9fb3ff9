//! What is kept per group, and what comes of it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, UInt64Type};
use datafusion::common::{Result, internal_err};
use datafusion::physical_expr::PhysicalExpr;

use super::values::Values;

/// A kind of aggregate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Count,
    /// Of something whose equal rows lie together: a person or a session.
    CountDistinct,
    SumInteger,
    SumDouble,
    Least,
    Greatest,
    Mean,
    /// The value below which this share of the rows lies, between neighbours in proportion.
    Quantile(f64),
    Median,
}

/// One aggregate: what, of what, over which rows, and the type of the answer.
#[derive(Debug, Clone)]
pub(super) struct Aggregate {
    pub kind: Kind,
    /// Absent: every row counts.
    pub arg: Option<Arc<dyn PhysicalExpr>>,
    pub filter: Option<Arc<dyn PhysicalExpr>>,
    pub output: DataType,
    /// As EXPLAIN shows it.
    pub shown: String,
}

/// What one aggregate holds for its groups.
#[derive(Debug)]
pub(super) enum State {
    Count(Vec<i64>),
    Distinct {
        last: Vec<u64>,
        n: Vec<i64>,
        stamps: Stamper,
    },
    Integer {
        values: Vec<i64>,
        seen: Vec<bool>,
    },
    Double {
        values: Vec<f64>,
        seen: Vec<bool>,
    },
    Mean {
        sums: Vec<f64>,
        n: Vec<i64>,
    },
    /// All values of each group, from one list per reader.
    Values(Vec<Values>),
    /// The values are those of another aggregate.
    Shared(usize),
}

impl State {
    /// The state of an aggregate; one that needs the values which an earlier one keeps already shares them.
    pub(super) fn new(at: usize, all: &[Aggregate]) -> Self {
        let own = &all[at];
        match own.kind {
            Kind::Count => Self::Count(Vec::new()),
            Kind::CountDistinct => Self::Distinct { last: Vec::new(), n: Vec::new(), stamps: Stamper::default() },
            Kind::SumInteger | Kind::SumDouble | Kind::Least | Kind::Greatest => match own.output {
                DataType::Float64 => Self::Double { values: Vec::new(), seen: Vec::new() },
                _ => Self::Integer { values: Vec::new(), seen: Vec::new() },
            },
            Kind::Mean => Self::Mean { sums: Vec::new(), n: Vec::new() },
            Kind::Quantile(_) | Kind::Median => {
                let same = |other: &Aggregate| {
                    matches!(other.kind, Kind::Quantile(_) | Kind::Median)
                        && other.arg.as_ref().zip(own.arg.as_ref()).is_some_and(|(a, b)| a == b)
                        && other.filter == own.filter
                };
                all[..at].iter().position(same).map_or_else(|| Self::Values(Vec::new()), Self::Shared)
            }
        }
    }

    /// Adds rows: `groups` of each, `kept` where an aggregate has a filter, `arg` its argument.
    pub(super) fn add(
        &mut self,
        kind: Kind,
        groups: &[u32],
        count: usize,
        arg: Option<&ArrayRef>,
        kept: Option<&BooleanArray>,
    ) -> Result<()> {
        let nulls = arg.and_then(Array::logical_nulls).filter(|nulls| nulls.null_count() > 0);
        let rows = Rows {
            groups,
            mask: match (kept.map(BooleanArray::values), nulls.as_ref().map(NullBuffer::inner)) {
                (Some(kept), Some(known)) => Some(kept & known),
                (kept, known) => kept.or(known).cloned(),
            },
        };
        match self {
            Self::Count(n) => {
                n.resize(count, 0);
                rows.each(|_, at| n[at] += 1);
            }
            Self::Distinct { last, n, stamps } => {
                n.resize(count, 0);
                last.resize(count, 0);
                let Some(arg) = arg else { return internal_err!("count distinct of nothing") };
                let stamps = stamps.stamps(arg)?;
                rows.each(|row, at| {
                    n[at] += i64::from(last[at] != stamps[row]);
                    last[at] = stamps[row];
                });
            }
            Self::Integer { values, seen } => {
                values.resize(count, 0);
                seen.resize(count, false);
                let Some(arg) = arg else { return internal_err!("an aggregate of nothing") };
                let wide = cast(arg, &DataType::Int64)?;
                let wide = wide.as_primitive::<Int64Type>().values();
                rows.each(|row, at| {
                    values[at] = integer(kind, seen[at], values[at], wide[row]);
                    seen[at] = true;
                });
            }
            Self::Double { values, seen } => {
                values.resize(count, 0.0);
                seen.resize(count, false);
                let wide = doubles(arg)?;
                rows.each(|row, at| {
                    values[at] = double(kind, seen[at], values[at], wide[row]);
                    seen[at] = true;
                });
            }
            Self::Mean { sums, n } => {
                sums.resize(count, 0.0);
                n.resize(count, 0);
                let wide = doubles(arg)?;
                rows.each(|row, at| {
                    sums[at] += wide[row];
                    n[at] += 1;
                });
            }
            Self::Values(values) => {
                values.resize_with(count, Values::default);
                let wide = doubles(arg)?;
                rows.each(|row, at| values[at].push(wide[row]));
            }
            Self::Shared(_) => {}
        }
        Ok(())
    }

    /// Adds another reader's state; its group `n` is group `into[n]` here, of `count`.
    pub(super) fn merge(&mut self, kind: Kind, other: Self, into: &[u32], count: usize) {
        let pairs = || into.iter().map(|&at| at as usize).enumerate();
        match (self, other) {
            (Self::Count(n), Self::Count(more)) | (Self::Distinct { n, .. }, Self::Distinct { n: more, .. }) => {
                n.resize(count, 0);
                pairs().take(more.len()).for_each(|(from, at)| n[at] += more[from]);
            }
            (Self::Integer { values, seen }, Self::Integer { values: more, seen: known }) => {
                values.resize(count, 0);
                seen.resize(count, false);
                for (from, at) in pairs().take(more.len()).filter(|(from, _)| known[*from]) {
                    values[at] = integer(kind, seen[at], values[at], more[from]);
                    seen[at] = true;
                }
            }
            (Self::Double { values, seen }, Self::Double { values: more, seen: known }) => {
                values.resize(count, 0.0);
                seen.resize(count, false);
                for (from, at) in pairs().take(more.len()).filter(|(from, _)| known[*from]) {
                    values[at] = double(kind, seen[at], values[at], more[from]);
                    seen[at] = true;
                }
            }
            (Self::Mean { sums, n }, Self::Mean { sums: more, n: also }) => {
                sums.resize(count, 0.0);
                n.resize(count, 0);
                for (from, at) in pairs().take(more.len()) {
                    sums[at] += more[from];
                    n[at] += also[from];
                }
            }
            (Self::Values(values), Self::Values(more)) => {
                values.resize_with(count, Values::default);
                pairs().zip(more).for_each(|((_, at), more)| values[at].adopt(more));
            }
            _ => {}
        }
    }

    /// Makes room for groups that no row of this aggregate fell into.
    pub(super) fn pad(&mut self, count: usize) {
        match self {
            Self::Count(n) | Self::Distinct { n, .. } => n.resize(count, 0),
            Self::Integer { values, seen } => (values.resize(count, 0), seen.resize(count, false)).0,
            Self::Double { values, seen } => (values.resize(count, 0.0), seen.resize(count, false)).0,
            Self::Mean { sums, n } => (sums.resize(count, 0.0), n.resize(count, 0)).0,
            Self::Values(values) => values.resize_with(count, Values::default),
            Self::Shared(_) => {}
        }
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Count(n) => n.capacity() * 8,
            Self::Distinct { last, n, .. } => (last.capacity() + n.capacity()) * 8,
            Self::Integer { values, .. } => values.capacity() * 9,
            Self::Double { values, .. } => values.capacity() * 9,
            Self::Mean { sums, n } => (sums.capacity() + n.capacity()) * 8,
            Self::Values(values) => values.iter().map(Values::size).sum(),
            Self::Shared(_) => 0,
        }
    }
}

fn integer(kind: Kind, seen: bool, old: i64, new: i64) -> i64 {
    match kind {
        _ if !seen => new,
        Kind::Least => old.min(new),
        Kind::Greatest => old.max(new),
        _ => old.wrapping_add(new),
    }
}

fn double(kind: Kind, seen: bool, old: f64, new: f64) -> f64 {
    match kind {
        _ if !seen => new,
        Kind::Least => {
            if new.total_cmp(&old).is_lt() {
                new
            } else {
                old
            }
        }
        Kind::Greatest => {
            if new.total_cmp(&old).is_gt() {
                new
            } else {
                old
            }
        }
        _ => old + new,
    }
}

/// The rows of a batch that an aggregate takes.
struct Rows<'a> {
    groups: &'a [u32],
    mask: Option<BooleanBuffer>,
}

impl Rows<'_> {
    /// Calls `take(row, group)` for each of them.
    fn each(&self, mut take: impl FnMut(usize, usize)) {
        match &self.mask {
            Some(mask) => mask.set_indices().for_each(|row| take(row, self.groups[row] as usize)),
            None => self.groups.iter().enumerate().for_each(|(row, &group)| take(row, group as usize)),
        }
    }
}

fn doubles(arg: Option<&ArrayRef>) -> Result<&[f64]> {
    let Some(values) = arg.and_then(|arg| arg.as_primitive_opt::<Float64Type>()) else {
        return internal_err!("the argument of an aggregate is no double");
    };
    Ok(values.values())
}

/// The answers of all aggregates for groups `from..to`, in the promised types.
pub(super) fn answers(
    aggregates: &[Aggregate],
    states: &mut [State],
    groups: std::ops::Range<usize>,
) -> Result<Vec<ArrayRef>> {
    let mut columns = Vec::with_capacity(aggregates.len());
    for (at, aggregate) in aggregates.iter().enumerate() {
        let values = match &states[at] {
            State::Shared(first) => *first,
            _ => at,
        };
        let made: ArrayRef = match &mut states[values] {
            State::Count(n) | State::Distinct { n, .. } => Arc::new(Int64Array::from(n[groups.clone()].to_vec())),
            State::Integer { values, seen } => {
                let rows = values[groups.clone()].iter().zip(&seen[groups.clone()]);
                Arc::new(rows.map(|(&value, &seen)| seen.then_some(value)).collect::<Int64Array>())
            }
            State::Double { values, seen } => {
                let rows = values[groups.clone()].iter().zip(&seen[groups.clone()]);
                Arc::new(rows.map(|(&value, &seen)| seen.then_some(value)).collect::<Float64Array>())
            }
            State::Mean { sums, n } => {
                let rows = sums[groups.clone()].iter().zip(&n[groups.clone()]);
                Arc::new(rows.map(|(&sum, &n)| mean(sum, n)).collect::<Float64Array>())
            }
            State::Values(values) => {
                let kind = aggregate.kind;
                Arc::new(
                    values[groups.clone()].iter_mut().map(|values| values.quantile(kind)).collect::<Float64Array>(),
                )
            }
            State::Shared(_) => return internal_err!("shared values are shared again"),
        };
        columns.push(if *made.data_type() == aggregate.output { made } else { cast(&made, &aggregate.output)? });
    }
    Ok(columns)
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows fit a double")]
fn mean(sum: f64, n: i64) -> Option<f64> {
    (n > 0).then(|| sum / n as f64)
}

/// Numbers for things whose equal rows lie together: a new one whenever the thing changes.
#[derive(Debug, Default)]
pub(super) struct Stamper {
    stamp: u64,
    last: Option<String>,
    out: Vec<u64>,
}

impl Stamper {
    /// A number per row, never 0; a coded column has its own.
    fn stamps(&mut self, column: &ArrayRef) -> Result<&[u64]> {
        self.out.clear();
        if let Some(numbers) = column.as_primitive_opt::<UInt64Type>() {
            self.out.extend(numbers.values().iter().map(|number| number + 1));
            return Ok(&self.out);
        }
        let Some(codes) = column.as_any_dictionary_opt().and_then(|_| column.as_dictionary_opt::<Int32Type>()) else {
            return internal_err!("only people and sessions are counted distinct here");
        };
        let Some(values) = codes.values().as_string_opt::<i32>() else { return internal_err!("an id is no text") };
        let mut before = None;
        for key in codes.keys() {
            if key.is_some() && key != before {
                let text = key.and_then(|key| usize::try_from(key).ok()).map_or("", |at| values.value(at));
                if self.last.as_deref() != Some(text) {
                    self.stamp += 1;
                    self.last = Some(text.to_owned());
                }
                before = key;
            }
            self.out.push(self.stamp);
        }
        Ok(&self.out)
    }
}
