//! Rows of small tables: a few columns are said, the others are what they mostly are.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int16Array, Int32Array, Int64Array, RecordBatch, StringArray, new_null_array,
};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::Result;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Truth(bool),
    Number(i64),
    Text(String),
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Truth(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

/// What is said of a row.
pub(super) type Row = Vec<(&'static str, Value)>;

/// A schema of columns that are written `name:type`, text where no type is.
pub(super) fn columns(text: &str) -> SchemaRef {
    let field = |word: &str| {
        let (name, kind) = word.split_once(':').unwrap_or((word, "text"));
        let kind = match kind {
            "int" => DataType::Int32,
            "big" => DataType::Int64,
            "bool" => DataType::Boolean,
            _ => DataType::Utf8,
        };
        Field::new(name, kind, true)
    };
    Arc::new(Schema::new(text.split_whitespace().map(field).collect::<Vec<_>>()))
}

/// The type of a column: what the crate has as text although it is a list.
fn typed(field: &Field) -> Field {
    let name = field.name().as_str();
    let item = match name {
        "indkey" | "indclass" | "indcollation" | "indoption" | "conkey" | "confkey" => DataType::Int32,
        _ if name.ends_with("acl") || name.ends_with("options") => DataType::Utf8,
        _ => return field.clone().with_nullable(true),
    };
    Field::new(name, DataType::new_list(item, true), true)
}

/// A table of rows, behind those that are there already.
///
/// # Errors
/// A value is none of its column.
pub(super) fn table(schema: &SchemaRef, rows: &[Row], before: Vec<RecordBatch>) -> Result<Arc<dyn TableProvider>> {
    let fields: Vec<Field> = schema.fields().iter().map(|field| typed(field)).collect();
    let loose: SchemaRef = Arc::new(Schema::new(fields));
    let column = |(field, loose): (&Arc<Field>, &Arc<Field>)| {
        if loose.data_type().is_nested() {
            Ok(new_null_array(loose.data_type(), rows.len()))
        } else {
            array(field, rows)
        }
    };
    let arrays = schema.fields().iter().zip(loose.fields()).map(column).collect::<Result<Vec<_>>>()?;
    let mut batches = Vec::new();
    for batch in before {
        let columns = batch.columns().iter().zip(loose.fields()).map(|(array, field)| {
            let same = array.data_type() == field.data_type();
            if same { Arc::clone(array) } else { new_null_array(field.data_type(), batch.num_rows()) }
        });
        batches.push(RecordBatch::try_new(Arc::clone(&loose), columns.collect())?);
    }
    batches.push(RecordBatch::try_new(Arc::clone(&loose), arrays)?);
    let batch = concat_batches(&loose, &batches)?;
    Ok(Arc::new(MemTable::try_new(loose, vec![vec![batch]])?))
}

fn array(field: &Field, rows: &[Row]) -> Result<ArrayRef> {
    let value = |row: &Row| row.iter().find(|(name, _)| name == field.name()).map(|(_, value)| value.clone());
    let values: Vec<Option<Value>> = rows.iter().map(value).collect();
    let number = |value: Option<Value>| match value {
        Some(Value::Number(number)) => Some(number),
        Some(_) => None,
        None => (!field.is_nullable()).then_some(0),
    };
    let numbers = || values.iter().cloned().map(number);
    #[expect(clippy::cast_precision_loss, reason = "counts of rows are estimates")]
    let float = |number: i64| number as f64;
    Ok(match field.data_type() {
        DataType::Boolean => {
            let truth = |value: Option<Value>| match value {
                Some(Value::Truth(truth)) => Some(truth),
                Some(_) => None,
                None => (!field.is_nullable()).then_some(false),
            };
            Arc::new(values.into_iter().map(truth).collect::<BooleanArray>())
        }
        DataType::Int16 => {
            Arc::new(numbers().map(|it| it.and_then(|it| i16::try_from(it).ok())).collect::<Int16Array>())
        }
        DataType::Int32 => {
            Arc::new(numbers().map(|it| it.and_then(|it| i32::try_from(it).ok())).collect::<Int32Array>())
        }
        DataType::Int64 => Arc::new(numbers().collect::<Int64Array>()),
        DataType::Float64 => Arc::new(numbers().map(|it| it.map(float)).collect::<Float64Array>()),
        DataType::Float32 => cast(&numbers().map(|it| it.map(float)).collect::<Float64Array>(), &DataType::Float32)?,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let text = |value: Option<Value>| match value {
                Some(Value::Text(text)) => Some(text),
                Some(Value::Number(number)) => Some(number.to_string()),
                Some(Value::Truth(truth)) => Some(if truth { "YES" } else { "NO" }.to_owned()),
                None => (!field.is_nullable()).then(String::new),
            };
            let texts: StringArray = values.into_iter().map(text).collect();
            cast(&texts, field.data_type())?
        }
        other => new_null_array(other, rows.len()),
    })
}
