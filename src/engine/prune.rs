//! What a query's filters say about days and people, so that parts and pages can be left out.
//!
//! Everything here may only widen: the filter itself runs again on what is read.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use crate::time::Day;

/// What filters leave possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Only these ids.
    pub ids: Option<Vec<String>>,
    /// The time column lies in `[from, to]`, µs.
    pub from: i64,
    pub to: i64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { ids: None, from: i64::MIN, to: i64::MAX }
    }
}

/// The columns that bounds are about.
#[derive(Debug, Clone, Copy)]
pub struct BoundColumns<'a> {
    pub ids: &'a [&'a str],
    pub ts: &'a str,
    /// A DATE column of the same time, or empty.
    pub day: &'a str,
}

impl Bounds {
    /// The bounds that all of these filters leave.
    #[must_use]
    pub fn of(filters: &[Expr], columns: BoundColumns<'_>) -> Self {
        let mut bounds = Self::default();
        for filter in filters {
            bounds.narrow(filter, columns);
        }
        bounds
    }

    /// Whether the filter says anything that helps.
    #[must_use]
    pub fn helps(filter: &Expr, columns: BoundColumns<'_>) -> bool {
        Self::of(std::slice::from_ref(filter), columns) != Self::default()
    }

    fn narrow(&mut self, filter: &Expr, columns: BoundColumns<'_>) {
        if let Some(ids) = ids(filter, columns) {
            self.only(ids);
            return;
        }
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return };
        if *op == Operator::And {
            self.narrow(left, columns);
            self.narrow(right, columns);
            return;
        }
        let (column, op, value) = match (name(left), right.as_ref(), name(right), left.as_ref()) {
            (Some(column), Expr::Literal(value, _), _, _) => (column, *op, value),
            (_, _, Some(column), Expr::Literal(value, _)) => match op.swap() {
                Some(op) => (column, op, value),
                None => return,
            },
            _ => return,
        };
        let Some((low, high)) = span(value) else { return };
        let about_day = !columns.day.is_empty() && column == columns.day;
        if column != columns.ts && !about_day {
            return;
        }
        match op {
            Operator::Eq => (self.from, self.to) = (self.from.max(low), self.to.min(high)),
            Operator::Gt | Operator::GtEq => self.from = self.from.max(low),
            Operator::Lt | Operator::LtEq => self.to = self.to.min(high),
            _ => {}
        }
    }

    /// Only these ids, of those that are left.
    pub fn only(&mut self, ids: Vec<String>) {
        self.ids = Some(match self.ids.take() {
            None => ids,
            Some(known) => known.into_iter().filter(|id| ids.contains(id)).collect(),
        });
    }
}

/// The ids that a filter allows, if it is about ids alone.
fn ids(filter: &Expr, columns: BoundColumns<'_>) -> Option<Vec<String>> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let mut all = ids(left, columns)?;
            all.extend(ids(right, columns)?);
            Some(all)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            let (column, value) = match (name(left), name(right)) {
                (Some(column), None) => (column, right),
                (None, Some(column)) => (column, left),
                _ => return None,
            };
            Some(vec![text(value).filter(|_| columns.ids.contains(&column))?])
        }
        Expr::InList(list) if !list.negated => {
            name(&list.expr).filter(|column| columns.ids.contains(column))?;
            list.list.iter().map(text).collect()
        }
        _ => None,
    }
}

/// The column's name, also under a change of its text type.
fn name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(&column.name),
        Expr::Cast(cast) if cast.field.data_type().is_string() => name(&cast.expr),
        _ => None,
    }
}

fn text(expr: &Expr) -> Option<String> {
    let Expr::Literal(value, _) = expr else { return None };
    value.try_as_str().flatten().map(str::to_owned)
}

/// The µs that a time or day literal may mean, first and last.
fn span(value: &ScalarValue) -> Option<(i64, i64)> {
    Some(match *value {
        ScalarValue::TimestampMicrosecond(Some(ts), _) => (ts, ts),
        ScalarValue::TimestampNanosecond(Some(ts), _) => (ts.div_euclid(1_000), ts.div_euclid(1_000).saturating_add(1)),
        ScalarValue::TimestampMillisecond(Some(ts), _) => (ts.saturating_mul(1_000), ts.saturating_mul(1_000)),
        ScalarValue::TimestampSecond(Some(ts), _) => (ts.saturating_mul(1_000_000), ts.saturating_mul(1_000_000)),
        ScalarValue::Date32(Some(day)) => (Day(day).start(), Day(day).start() + crate::time::DAY - 1),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    const COLUMNS: BoundColumns<'_> = BoundColumns { ids: &["user_id"], ts: "ts", day: "day" };

    fn ts(value: i64) -> Expr {
        Expr::Literal(ScalarValue::TimestampMicrosecond(Some(value), None), None)
    }

    #[test]
    fn times_days_and_people_are_understood() {
        let day = Expr::Literal(ScalarValue::Date32(Some(1)), None);
        let filters = [
            col("ts").gt_eq(ts(5)).and(ts(9).gt(col("ts"))),
            col("user_id").eq(lit("a")).or(col("user_id").eq(lit("b"))),
            col("page").eq(lit("/")),
        ];
        let bounds = Bounds::of(&filters, COLUMNS);
        assert_eq!(bounds, Bounds { ids: Some(vec!["a".into(), "b".into()]), from: 5, to: 9 });
        assert_eq!(Bounds::of(&[col("day").eq(day)], COLUMNS).from, crate::time::DAY);
    }

    #[test]
    fn what_is_not_understood_narrows_nothing() {
        for filter in [
            col("user_id").eq(lit("a")).or(col("page").eq(lit("/"))),
            col("user_id").not_eq(lit("a")),
            col("ts").not_eq(ts(5)),
            col("page").gt(ts(5)),
        ] {
            assert!(!Bounds::helps(&filter, COLUMNS), "{filter}");
        }
    }
}
