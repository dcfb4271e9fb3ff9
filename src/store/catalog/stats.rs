//! Column statistics: from a written footer to the catalog's texts and to the totals of a table.
//!
//! Readers answer from them, so the rule is: exact, wider, or absent; never narrower (FORMAT.md §5). Every kind that has
//! bounds at all fits an `i64` (days, microseconds, numbers, booleans), which is how they are compared and widened.

use ::parquet::file::metadata::ParquetMetaData;
use ::parquet::file::statistics::Statistics;
use arrow::datatypes::DataType;

use super::sql_time;
use crate::time::{Day, parse_iso};

/// What the catalog keeps about one column of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct ColumnStats {
    pub compressed_bytes: i64,
    /// Values that are not NULL.
    pub values: i64,
    pub nulls: i64,
    /// Exact smallest and largest value; `None` where the kind has no bounds, or there is no value.
    pub range: Option<(i64, i64)>,
}

/// Whether the catalog keeps bounds for a kind. Text and binary never: FORMAT.md §5.
pub(in crate::store) const fn has_bounds(kind: &DataType) -> bool {
    matches!(kind, DataType::Date32 | DataType::Boolean | DataType::Int16 | DataType::Int64 | DataType::Timestamp(_, _))
}

/// Adds up the row groups of a footer. `None`: a row group says nothing about a column's nulls, which our writer never
/// leaves out.
pub(in crate::store) fn of_footer(footer: &ParquetMetaData, kinds: &[DataType]) -> Option<Vec<ColumnStats>> {
    kinds.iter().enumerate().map(|(at, kind)| of_column(footer, at, kind)).collect()
}

fn of_column(footer: &ParquetMetaData, at: usize, kind: &DataType) -> Option<ColumnStats> {
    let mut total = ColumnStats { compressed_bytes: 0, values: 0, nulls: 0, range: None };
    let mut bounded = has_bounds(kind);
    for group in footer.row_groups() {
        let chunk = group.columns().get(at)?;
        let stats = chunk.statistics()?;
        let nulls = i64::try_from(stats.null_count_opt()?).ok()?;
        let values = group.num_rows() - nulls;
        total.compressed_bytes += chunk.compressed_size();
        total.values += values;
        total.nulls += nulls;
        if values > 0 && bounded {
            match range_of(stats) {
                Some(range) => total.range = Some(widen(total.range, range)),
                None => bounded = false,
            }
        }
    }
    if !bounded {
        total.range = None;
    }
    Some(total)
}

fn range_of(stats: &Statistics) -> Option<(i64, i64)> {
    match stats {
        Statistics::Boolean(bounds) => Some((i64::from(*bounds.min_opt()?), i64::from(*bounds.max_opt()?))),
        Statistics::Int32(bounds) => Some((i64::from(*bounds.min_opt()?), i64::from(*bounds.max_opt()?))),
        Statistics::Int64(bounds) => Some((*bounds.min_opt()?, *bounds.max_opt()?)),
        _ => None,
    }
}

pub(super) fn widen(range: Option<(i64, i64)>, by: (i64, i64)) -> (i64, i64) {
    range.map_or(by, |(min, max)| (min.min(by.0), max.max(by.1)))
}

/// The catalog's text of a bound.
pub(super) fn bound_text(kind: &DataType, value: i64) -> Option<String> {
    Some(match kind {
        DataType::Date32 => Day(i32::try_from(value).ok()?).to_string(),
        DataType::Timestamp(_, _) => sql_time(value),
        _ if has_bounds(kind) => value.to_string(),
        _ => return None,
    })
}

/// Reads what [`bound_text`] wrote.
pub(super) fn parse_bound(kind: &DataType, text: &str) -> Option<i64> {
    match kind {
        DataType::Date32 => Day::parse(text).map(|day| i64::from(day.0)),
        DataType::Timestamp(_, _) => parse_iso(text.as_bytes(), 0),
        _ if has_bounds(kind) => text.parse().ok(),
        _ => None,
    }
}

/// The totals of one column over the live parts of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rolled {
    pub contains_null: bool,
    /// `None`: there is no value, or no bound is known.
    pub range: Option<(i64, i64)>,
    /// There are values whose bounds are not known: the range stays unknown however it is widened.
    pub unknown: bool,
}

impl Rolled {
    pub(super) const EMPTY: Self = Self { contains_null: false, range: None, unknown: false };

    /// Takes one more part into account; its bounds count only for kinds that have any.
    pub(super) fn add(&mut self, stats: &ColumnStats) {
        self.contains_null |= stats.nulls > 0;
        match stats.range {
            Some(range) if !self.unknown => self.range = Some(widen(self.range, range)),
            None if stats.values > 0 => {
                self.unknown = true;
                self.range = None;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::TimeUnit;

    fn utc() -> DataType {
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
    }

    #[test]
    fn bounds_read_back() {
        for (kind, value) in [
            (DataType::Date32, 20_458),
            (utc(), 1_767_607_200_123_456),
            (utc(), -1),
            (DataType::Boolean, 1),
            (DataType::Int64, i64::MIN),
        ] {
            let text = bound_text(&kind, value).unwrap();
            assert_eq!(parse_bound(&kind, &text), Some(value), "{kind} {text}");
        }
        assert_eq!(bound_text(&DataType::Utf8, 1), None);
    }

    #[test]
    fn an_unknown_part_makes_the_range_unknown_for_good() {
        let known = ColumnStats { compressed_bytes: 1, values: 2, nulls: 0, range: Some((3, 5)) };
        let mut rolled = Rolled::EMPTY;
        rolled.add(&known);
        rolled.add(&ColumnStats { values: 0, nulls: 4, range: None, ..known });
        assert_eq!(rolled, Rolled { contains_null: true, range: Some((3, 5)), unknown: false });
        rolled.add(&ColumnStats { range: None, ..known });
        rolled.add(&known);
        assert_eq!(rolled.range, None);
    }
}
