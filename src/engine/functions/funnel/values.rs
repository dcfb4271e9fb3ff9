//! The value of an expression per event, as a code: what `hold` and `breakdown` compare.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use datafusion::catalog::Session;
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;

use crate::config::Label;
use crate::engine::functions::conditions::{Codes, unqualified, unqualified_columns, with_label_spelled_out};
use crate::engine::predicate::physical;
use crate::engine::scan::{Block, NONE, Names, ScanPlan, bind, columns_of, names_person, read_schema, text_codes};
use crate::event::Column;

/// What a value is, over the columns of `conditions::columns`.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A name that the pass has codes of.
    Name(Codes),
    Computed(Computed),
}

/// An expression, ready for a pass that keeps its columns.
#[derive(Debug, Clone)]
pub(super) struct Computed {
    expr: Arc<dyn PhysicalExpr>,
    columns: Vec<Column>,
    /// Whether it asks for the person.
    person: bool,
}

impl Value {
    /// Plans the expression under the label rule in force.
    pub(super) fn plan(expr: &Expr, rule: Label, state: &dyn Session) -> Result<Self> {
        let expr = unqualified(expr.clone())?;
        if let Expr::Column(column) = &expr
            && let Some(codes) = Codes::of(&column.name)
        {
            return Ok(Self::Name(codes));
        }
        let expr = with_label_spelled_out(expr, rule)?;
        let expr = physical(expr, unqualified_columns()?, state)?;
        let (columns, person) = (columns_of(&expr)?, names_person(&expr)?);
        Ok(Self::Computed(Computed { expr: bind(&expr, &columns, true)?, columns, person }))
    }

    /// The pass with what these values need.
    pub(super) fn ask<'a>(values: impl Iterator<Item = &'a Self>, plan: ScanPlan, rule: Label) -> ScanPlan {
        let (mut plan, mut columns) = (plan, Vec::new());
        for value in values {
            match value {
                Self::Name(codes) => plan = codes.ask(plan, rule),
                Self::Computed(value) => columns.extend_from_slice(&value.columns),
            }
        }
        plan.with_rows(columns)
    }
}

impl Computed {
    /// The codes of these rows' values as texts, [`NONE`] for NULL.
    pub(super) fn codes(&self, block: &Block, rows: &[u32], names: &mut Names) -> Result<Vec<u32>> {
        let mut fields: Vec<Arc<Field>> = read_schema(&self.columns).fields().iter().cloned().collect();
        let mut arrays = self.columns.iter().map(|&column| block.take(column, rows)).collect::<Result<Vec<_>>>()?;
        if self.person {
            fields.push(Arc::new(Field::new("user_id", text_codes(), true)));
            arrays.push(persons(block, rows)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?;
        let values = self.expr.evaluate(&batch)?.into_array(rows.len())?;
        let codes = if let Some(values) = values.as_dictionary_opt::<Int32Type>() {
            codes_of_keys(values, names)?
        } else {
            let values = cast(&values, &DataType::Utf8)?;
            let code = |value: Option<&str>| value.map_or(NONE, |value| names.code(value));
            values.as_string::<i32>().iter().map(code).collect()
        };
        if names.is_full() {
            return exec_err!("the values of a breakdown or hold have more than 2 GiB of text");
        }
        Ok(codes)
    }
}

/// The codes of texts that are kept once: each is looked up once, whatever number of rows has it.
fn codes_of_keys(values: &DictionaryArray<Int32Type>, names: &mut Names) -> Result<Vec<u32>> {
    let texts = cast(values.values(), &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    let mut known: Vec<Option<u32>> = vec![None; texts.len()];
    let code = |key: Option<usize>| {
        let Some(key) = key.filter(|&key| texts.is_valid(key)) else { return NONE };
        *known[key].get_or_insert_with(|| names.code(texts.value(key)))
    };
    Ok(values.keys_iter().map(code).collect())
}

/// The person of each row; rows rise.
fn persons(block: &Block, rows: &[u32]) -> Result<ArrayRef> {
    let (mut people, mut ids) = (block.people().peekable(), Vec::with_capacity(rows.len()));
    for &row in rows {
        while people.next_if(|person| person.rows.end <= row as usize).is_some() {}
        ids.push(people.peek().map(|person| person.id));
    }
    Ok(cast(&StringArray::from(ids), &text_codes())?)
}
