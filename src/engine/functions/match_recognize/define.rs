//! What DEFINE asks: of a row and its neighbours once for all rows, of the match so far while it is searched for.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions, StringArray, UInt64Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::take;
use arrow::datatypes::DataType;
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::logical_expr::EmitTo;
use datafusion::physical_expr::PhysicalExpr;

use super::node::Terms;
use super::term::Term;
use crate::journey::row_pattern::SoFar;

/// A condition over terms.
#[derive(Debug)]
pub(super) struct Condition {
    pub holds: Arc<dyn PhysicalExpr>,
    pub terms: Terms,
}

/// The conditions by variable; none: every row.
#[derive(Debug)]
pub(super) struct Conditions {
    pub by_row: Vec<Option<Condition>>,
    pub by_match: Vec<Option<Condition>>,
}

/// A match with its place in a chunk of rows.
#[derive(Debug, Clone)]
pub(super) struct Found<'a> {
    pub so_far: SoFar<'a>,
    pub partition: Range<usize>,
    /// From 1 in each partition.
    pub number: i64,
}

/// The columns that terms read, for a chunk of whole partitions.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    pub read: &'a [ArrayRef],
    pub partitions: &'a [Range<usize>],
    pub classifiers: &'a [String],
}

impl Columns<'_> {
    /// The rows of the chunk that meet a condition which depends on rows alone.
    pub(super) fn by_row(&self, condition: &Condition, variable: u16) -> Result<BooleanBuffer> {
        let rows = self.partitions.last().map_or(0, |last| last.end);
        let mut columns = Vec::with_capacity(condition.terms.each.len());
        for term in &condition.terms.each {
            let Term::Row { column, place } = term else { return internal_err!("{term:?} depends on the match") };
            let Some(offset) = place.offset(variable) else { return internal_err!("{term:?} depends on the match") };
            columns.push(self.shifted(&self.read[*column], offset)?);
        }
        let held = evaluate(condition.holds.as_ref(), &condition.terms, columns, rows)?;
        truths(&held)
    }

    /// Each row's neighbour at a distance, in its partition.
    fn shifted(&self, column: &ArrayRef, offset: i64) -> Result<ArrayRef> {
        if offset == 0 {
            return Ok(Arc::clone(column));
        }
        let there = |row: usize, partition: &Range<usize>| {
            let row = row.checked_add_signed(isize::try_from(offset).ok()?)?;
            partition.contains(&row).then_some(row as u64)
        };
        let rows = self.partitions.iter().flat_map(|partition| partition.clone().map(|row| there(row, partition)));
        Ok(take(column, &rows.collect::<UInt64Array>(), None)?)
    }

    /// Whether a condition holds for the last row of a match so far.
    pub(super) fn by_match(&self, condition: &Condition, found: Found<'_>) -> Result<bool> {
        let columns = self.terms(&condition.terms, &[found])?;
        let held = evaluate(condition.holds.as_ref(), &condition.terms, columns, 1)?;
        Ok(truths(&held)?.value(0))
    }

    /// What an expression yields for each match.
    pub(super) fn measured(&self, value: &dyn PhysicalExpr, terms: &Terms, found: &[Found<'_>]) -> Result<ArrayRef> {
        evaluate(value, terms, self.terms(terms, found)?, found.len())
    }

    /// A column for each term, a row for each match.
    fn terms(&self, terms: &Terms, found: &[Found<'_>]) -> Result<Vec<ArrayRef>> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(terms.each.len());
        for (term, aggregate) in terms.each.iter().zip(&terms.aggregates) {
            columns.push(match (term, aggregate) {
                (Term::Row { column, place }, _) => {
                    let row = |it: &Found<'_>| place.row(it.so_far, &it.partition).map(|row| row as u64);
                    take(&self.read[*column], &found.iter().map(row).collect::<UInt64Array>(), None)?
                }
                (Term::MatchNumber, _) => Arc::new(found.iter().map(|it| it.number).collect::<Int64Array>()),
                (Term::Classifier, _) => {
                    let name =
                        |it: &Found<'_>| Some(self.classifiers[usize::from(*it.so_far.variables.last()?)].as_str());
                    Arc::new(found.iter().map(name).collect::<StringArray>())
                }
                (Term::Aggregate { column, of, .. }, Some(aggregate)) => {
                    let (mut rows, mut groups) = (Vec::new(), Vec::new());
                    for (group, it) in found.iter().enumerate() {
                        for (at, variable) in it.so_far.variables.iter().enumerate() {
                            if of.is_none_or(|of| of == *variable) {
                                rows.push((it.so_far.start + at) as u64);
                                groups.push(group);
                            }
                        }
                    }
                    let values = take(&self.read[*column], &UInt64Array::from(rows), None)?;
                    let mut sum = aggregate.create_groups_accumulator()?;
                    sum.update_batch(&[values], &groups, None, found.len())?;
                    sum.evaluate(EmitTo::All)?
                }
                (Term::Aggregate { .. }, None) => return internal_err!("{term:?} was not planned"),
            });
        }
        Ok(columns)
    }
}

fn evaluate(expr: &dyn PhysicalExpr, terms: &Terms, columns: Vec<ArrayRef>, rows: usize) -> Result<ArrayRef> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&terms.schema), columns, &options)?;
    expr.evaluate(&batch)?.into_array(rows)
}

/// Where a condition is true; NULL is not.
fn truths(held: &ArrayRef) -> Result<BooleanBuffer> {
    match held.data_type() {
        DataType::Null => Ok(BooleanBuffer::new_unset(held.len())),
        DataType::Boolean => {
            let held = held.as_boolean();
            Ok(match held.nulls() {
                Some(nulls) => held.values() & nulls.inner(),
                None => held.values().clone(),
            })
        }
        other => internal_err!("a condition yields {other}"),
    }
}
