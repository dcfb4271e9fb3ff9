//! The terms of MEASURES and DEFINE: what an expression takes from a match instead of from a row.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{DFSchema, DFSchemaRef, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{AggregateUDF, Expr};

use super::syntax::NAME;
use crate::journey::row_pattern::SoFar;

/// What an expression can take from a match.
#[derive(Debug, Clone)]
pub(super) enum Term {
    /// A column of one row.
    Row {
        column: usize,
        place: Place,
    },
    /// An aggregate over the rows of a variable, or over all of them.
    Aggregate {
        function: Arc<AggregateUDF>,
        column: usize,
        of: Option<u16>,
    },
    Classifier,
    MatchNumber,
}

/// Where a row of a match is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Among the rows of this variable, or among all.
    pub of: Option<u16>,
    pub from_last: bool,
    /// So many of these rows further.
    pub skipped: usize,
    /// Then so many rows of the partition forward.
    pub shift: i64,
}

impl Place {
    /// The row, if there is one.
    pub(super) fn row(self, found: SoFar<'_>, partition: &Range<usize>) -> Option<usize> {
        let fits = |(_, variable): &(usize, &u16)| self.of.is_none_or(|of| **variable == of);
        let rows = found.variables.iter().enumerate();
        let nth = if self.from_last {
            rows.rev().filter(fits).nth(self.skipped)
        } else {
            rows.filter(fits).nth(self.skipped)
        };
        let (at, _) = nth?;
        let offset = isize::try_from(self.shift).ok()?;
        let row = (found.start + at).checked_add_signed(offset)?;
        partition.contains(&row).then_some(row)
    }

    /// How far the row lies from the present one, if that is the same in every match that it can become `variable` in.
    pub(super) fn offset(self, variable: u16) -> Option<i64> {
        let present = self.from_last && self.skipped == 0 && self.of.is_none_or(|of| of == variable);
        present.then_some(self.shift)
    }
}

/// An expression over terms; the schema has a column for each.
#[derive(Debug, Clone)]
pub(super) struct Formula {
    pub expr: Expr,
    pub terms: Vec<Term>,
    pub schema: DFSchemaRef,
    pub kind: DataType,
}

impl Formula {
    /// Whether it depends on nothing but rows at fixed distances from the one that is to become `variable`.
    pub(super) fn is_by_row(&self, variable: u16) -> bool {
        self.terms.iter().all(|term| matches!(term, Term::Row { place, .. } if place.offset(variable).is_some()))
    }
}

/// The fields of an answer.
pub(super) fn answer(keys: Vec<Field>, measures: &[(String, Formula)]) -> Result<DFSchemaRef> {
    let mut fields = keys;
    fields.extend(measures.iter().map(|(name, formula)| Field::new(name, formula.kind.clone(), true)));
    for (at, field) in fields.iter().enumerate() {
        if fields[..at].iter().any(|known| known.name() == field.name()) {
            return plan_err!("{NAME}: two columns of the answer have the name {}", field.name());
        }
    }
    Ok(Arc::new(DFSchema::try_from(Schema::new(fields))?))
}
