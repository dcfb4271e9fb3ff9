//! What a query gives back, in types that every door understands.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};

use super::error::QueryError;
use super::notices::Notices;

/// Rows on their way. Text is plain `Utf8`, whatever it was inside.
pub struct Answer {
    pub schema: SchemaRef,
    stream: SendableRecordBatchStream,
    notices: Arc<Notices>,
    /// Whether it reads what is stored, and not only what is computed or told of tables.
    pub reads: bool,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Answer {
    pub(super) fn new(stream: SendableRecordBatchStream, notices: Arc<Notices>, reads: bool) -> Self {
        let schema = plain_schema(&stream.schema());
        let plain = Arc::clone(&schema);
        let batches = stream.map(move |batch| plain_batch(&batch?, &plain));
        let stream = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), batches));
        Self { schema, stream, notices, reads }
    }

    /// No rows and no columns.
    #[must_use]
    pub fn empty() -> Self {
        let schema: SchemaRef = Arc::new(Schema::empty());
        let none = futures::stream::empty();
        let stream = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), none));
        Self { stream, schema, notices: Arc::default(), reads: false }
    }

    /// The next rows; `None` at the end. Dropping the answer stops the query.
    ///
    /// # Errors
    /// The query failed on the way.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        let batch = self.stream.next().await?;
        Some(batch.map_err(|error| QueryError::from_datafusion(&error, &[])))
    }

    /// What is to be said beside the rows; all of it once they have come to their end.
    #[must_use]
    pub fn notices(&self) -> Vec<String> {
        self.notices.all()
    }

    /// The rows as `DataFusion` streams them.
    #[must_use]
    pub fn into_stream(self) -> SendableRecordBatchStream {
        self.stream
    }

    /// All rows at once.
    ///
    /// # Errors
    /// The query failed on the way.
    pub async fn collect(self) -> Result<Vec<RecordBatch>, QueryError> {
        self.stream.try_collect().await.map_err(|error| QueryError::from_datafusion(&error, &[]))
    }
}

/// The type as a door sees it: codes and views of text are text.
fn plain_type(kind: &DataType) -> DataType {
    match kind {
        DataType::Dictionary(_, value) => plain_type(value),
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) => {
            DataType::List(Arc::new(plain_field(item)))
        }
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| Arc::new(plain_field(field))).collect()),
        other => other.clone(),
    }
}

fn plain_field(field: &Field) -> Field {
    field.clone().with_data_type(plain_type(field.data_type()))
}

pub(super) fn plain_schema(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema.fields().iter().map(|field| plain_field(field)).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn plain_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let plain = |(array, field): (&ArrayRef, &Arc<Field>)| {
        if array.data_type() == field.data_type() { Ok(Arc::clone(array)) } else { cast(array, field.data_type()) }
    };
    let arrays = batch.columns().iter().zip(schema.fields()).map(plain).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)?)
}

/// What people call a type: `text`, `bigint`, `double`, `timestamp`, ….
#[must_use]
pub fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Dictionary(_, value) => type_name(value),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint".to_owned(),
        DataType::Int32 | DataType::UInt16 => "integer".to_owned(),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "bigint".to_owned(),
        DataType::Float16 | DataType::Float32 => "real".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Timestamp(
            TimeUnit::Second | TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond,
            _,
        ) => "timestamp".to_owned(),
        DataType::Interval(_) | DataType::Duration(_) => "interval".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "bytes".to_owned()
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) => {
            format!("{}[]", type_name(item.data_type()))
        }
        other => other.to_string().to_lowercase(),
    }
}
