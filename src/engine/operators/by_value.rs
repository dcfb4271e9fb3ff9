//! Conditions on one text, decided once for each text of its dictionary instead of once a row.
//!
//! `regexp_like(page, '…')` over ten million rows with forty pages is forty regular expressions and ten million look-ups.
//! What fails on a text that no row has (a cast, say) is evaluated row by row, as it was written.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, new_null_array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};

/// A dictionary of more texts than this for each row of a batch is not gone through before it has come twice.
const TEXTS_PER_ROW: usize = 2;
/// Dictionaries that are remembered: one for each reader, and a few.
const DICTIONARIES: usize = 16;

/// A condition on one column of codes.
#[derive(Debug)]
struct ByValue {
    /// Over a schema with the column alone.
    condition: Arc<dyn PhysicalExpr>,
    column: Arc<dyn PhysicalExpr>,
    texts: SchemaRef,
    /// The dictionaries seen last, kept so that their addresses stay their own, with what is known of them.
    known: Mutex<VecDeque<(ArrayRef, Option<Arc<Held>>)>>,
}

/// Which texts meet the condition, and whether NULL does.
#[derive(Debug)]
struct Held {
    texts: BooleanArray,
    null: Option<bool>,
}

impl ByValue {
    fn new(condition: Arc<dyn PhysicalExpr>, column: Arc<dyn PhysicalExpr>, texts: SchemaRef) -> Self {
        Self { condition, column, texts, known: Mutex::default() }
    }

    /// What is known of a dictionary by now; `None`: not worth it, or it cannot be evaluated for all texts.
    fn held(&self, texts: &ArrayRef, rows: usize) -> Option<Arc<Held>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let again = known.iter().position(|(seen, _)| Arc::ptr_eq(seen, texts));
        if let Some((_, Some(held))) = again.and_then(|at| known.get(at)) {
            return Some(Arc::clone(held));
        }
        let worth = again.is_some() || texts.len() <= TEXTS_PER_ROW * rows;
        let held = worth.then(|| self.hold(texts).ok()).flatten().map(Arc::new);
        match again {
            Some(at) => drop(known.remove(at)),
            None if known.len() == DICTIONARIES => drop(known.pop_front()),
            None => {}
        }
        known.push_back((Arc::clone(texts), held.clone()));
        held
    }

    fn hold(&self, texts: &ArrayRef) -> Result<Held> {
        let null = self.truths(&new_null_array(texts.data_type(), 1))?;
        Ok(Held { texts: self.truths(texts)?, null: null.is_valid(0).then(|| null.value(0)) })
    }

    fn truths(&self, texts: &ArrayRef) -> Result<BooleanArray> {
        let kind = self.texts.field(0).data_type();
        let keys: arrow::array::Int32Array = (0..).take(texts.len()).collect();
        let column: ArrayRef = Arc::new(arrow::array::DictionaryArray::<Int32Type>::try_new(keys, Arc::clone(texts))?);
        if column.data_type() != kind {
            return internal_err!("a column of {kind} came as {}", column.data_type());
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.texts), vec![column])?;
        let held = self.condition.evaluate(&batch)?.into_array(texts.len())?;
        let Some(held) = held.as_boolean_opt() else {
            return internal_err!("a condition yields {}", held.data_type());
        };
        Ok(held.clone())
    }
}

impl Held {
    /// The condition for each row.
    #[expect(clippy::cast_sign_loss, reason = "a valid key is never negative")]
    fn rows(&self, keys: &arrow::array::Int32Array) -> BooleanArray {
        let codes = keys.values();
        let text = |row: usize| codes[row] as usize;
        if self.texts.null_count() == 0 && keys.null_count() == 0 {
            let met = self.texts.values();
            return BooleanArray::new(BooleanBuffer::collect_bool(codes.len(), |row| met.value(text(row))), None);
        }
        let of = |row: usize| {
            if keys.is_null(row) {
                return self.null;
            }
            self.texts.is_valid(text(row)).then(|| self.texts.value(text(row)))
        };
        let met = BooleanBuffer::collect_bool(codes.len(), |row| of(row) == Some(true));
        let known = BooleanBuffer::collect_bool(codes.len(), |row| of(row).is_some());
        BooleanArray::new(met, Some(NullBuffer::new(known)))
    }
}

impl PartialEq for ByValue {
    fn eq(&self, other: &Self) -> bool {
        self.condition.eq(&other.condition) && self.column.eq(&other.column)
    }
}

impl Eq for ByValue {}

impl Hash for ByValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
        self.column.hash(state);
    }
}

impl fmt::Display for ByValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)
    }
}

impl PhysicalExpr for ByValue {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        self.condition.nullable(&self.texts)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let column = self.column.evaluate(batch)?.into_array(batch.num_rows())?;
        if let Some(codes) = column.as_dictionary_opt::<Int32Type>()
            && let Some(held) = self.held(codes.values(), codes.len())
        {
            return Ok(ColumnarValue::Array(Arc::new(held.rows(codes.keys()))));
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.texts), vec![column])?;
        self.condition.evaluate(&batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.column]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match <[Arc<dyn PhysicalExpr>; 1]>::try_from(children) {
            Ok([column]) => Ok(Arc::new(Self::new(Arc::clone(&self.condition), column, Arc::clone(&self.texts)))),
            Err(children) => internal_err!("a condition on one column has {} columns", children.len()),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(f)
    }
}

/// The expression with its conditions on one column of codes decided text by text.
///
/// # Errors
/// The expression does not belong to the schema.
pub fn by_value(expr: Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Arc<dyn PhysicalExpr>> {
    let moved = expr.transform_down(|node| match condition(&node, schema)? {
        Some(condition) => {
            Ok(Transformed::new(Arc::new(condition) as Arc<dyn PhysicalExpr>, true, TreeNodeRecursion::Jump))
        }
        None => Ok(Transformed::no(node)),
    })?;
    Ok(moved.data)
}

fn condition(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Option<ByValue>> {
    if expr.children().is_empty() || expr.downcast_ref::<ByValue>().is_some() || is_volatile(expr) {
        return Ok(None);
    }
    let mut columns: Vec<Column> = Vec::new();
    expr.apply(|node| {
        if let Some(column) = node.downcast_ref::<Column>() {
            columns.push(column.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let [first, rest @ ..] = columns.as_slice() else { return Ok(None) };
    let field = schema.field(first.index());
    let coded = matches!(field.data_type(), DataType::Dictionary(key, _) if **key == DataType::Int32);
    if !coded || rest.iter().any(|other| other != first) || expr.data_type(schema)? != DataType::Boolean {
        return Ok(None);
    }
    let alone = Arc::new(Schema::new(vec![Field::new(field.name(), field.data_type().clone(), true)]));
    let moved = Arc::clone(expr).transform_up(|node| {
        Ok(match node.downcast_ref::<Column>() {
            Some(column) => Transformed::yes(Arc::new(Column::new(column.name(), 0)) as Arc<dyn PhysicalExpr>),
            None => Transformed::no(node),
        })
    })?;
    Ok(Some(ByValue::new(moved.data, Arc::new(first.clone()), alone)))
}

/// The rule: filters decide conditions on one column of codes text by text.
#[derive(Debug, Default)]
pub struct FilterByValue;

impl PhysicalOptimizerRule for FilterByValue {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let moved = plan.transform_up(|node| {
            let Some(filter) = node.downcast_ref::<FilterExec>() else { return Ok(Transformed::no(node)) };
            let predicate = by_value(Arc::clone(filter.predicate()), &filter.input().schema())?;
            if predicate.eq(filter.predicate()) {
                return Ok(Transformed::no(node));
            }
            let filter = FilterExecBuilder::from(filter).with_predicate(predicate).build()?;
            Ok(Transformed::yes(Arc::new(filter) as Arc<dyn ExecutionPlan>))
        })?;
        Ok(moved.data)
    }

    fn name(&self) -> &'static str {
        "filter_by_value"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::DictionaryArray;
    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::expressions::{binary, cast, is_null, lit};

    use super::*;

    /// The condition over rows, row by row and text by text.
    fn both(condition: &dyn Fn(&Schema) -> Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> [ArrayRef; 2] {
        let schema = batch.schema();
        let plain = condition(&schema);
        let fast = by_value(Arc::clone(&plain), &schema).unwrap();
        assert!(!fast.eq(&plain), "nothing was moved");
        [plain, fast].map(|it| it.evaluate(batch).unwrap().into_array(batch.num_rows()).unwrap())
    }

    #[test]
    fn text_by_text_is_row_by_row() {
        let codes: DictionaryArray<Int32Type> = vec![Some("/a"), None, Some("/b"), Some("/a")].into_iter().collect();
        let schema = Schema::new(vec![
            Field::new("other", DataType::Int64, true),
            Field::new("page", codes.data_type().clone(), true),
        ]);
        let other: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![1, 2, 3, 4]));
        let batch = RecordBatch::try_new(Arc::new(schema), vec![other, Arc::new(codes)]).unwrap();
        let page = || Arc::new(Column::new("page", 1)) as Arc<dyn PhysicalExpr>;
        let text = move |schema: &Schema| cast(page(), schema, DataType::Utf8).unwrap();
        let is_a = move |schema: &Schema| binary(text(schema), Operator::Eq, lit("/a"), schema).unwrap();
        let [slow, fast] = both(&is_a, &batch);
        assert_eq!(slow.to_data(), fast.to_data());
        let none = move |_: &Schema| is_null(page()).unwrap();
        let [slow, fast] = both(&none, &batch);
        assert_eq!(slow.as_boolean().iter().collect::<Vec<_>>(), fast.as_boolean().iter().collect::<Vec<_>>());
        // What fails on one text fails as it did.
        let number = move |schema: &Schema| {
            let number = cast(page(), schema, DataType::Int64).unwrap();
            binary(number, Operator::Gt, lit(1_i64), schema).unwrap()
        };
        let fast = by_value(number(&batch.schema()), &batch.schema()).unwrap();
        assert!(fast.evaluate(&batch).is_err());
        let plain = number(&batch.schema()).evaluate(&batch.slice(1, 1));
        assert_eq!(fast.evaluate(&batch.slice(1, 1)).is_ok(), plain.is_ok());
    }
}
