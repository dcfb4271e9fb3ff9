//! Arrow values as Postgres values.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion_postgres::arrow_pg::encoder::{Encoder, encode_value};
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::FieldInfo;
use datafusion_postgres::pgwire::error::PgWireResult;

use super::fault::{self, IntoError};
use crate::engine::postgres::types::{pg_type, size, wire_schema};
use crate::limits;

/// The columns of an answer, in types that Postgres has.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    pub(super) schema: SchemaRef,
}

impl Columns {
    /// The columns of an answer; `described` is what was said of them before.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn new(schema: &Schema, described: Option<SchemaRef>) -> PgWireResult<Self> {
        if schema.fields().len() > limits::PG_COLUMNS {
            let message = format!("an answer has at most {} columns", limits::PG_COLUMNS);
            return Err(fault::error("54011", message).into_error());
        }
        let same = |told: &SchemaRef| told.fields().len() == schema.fields().len();
        Ok(Self { schema: described.filter(same).unwrap_or_else(|| wire_schema(schema)) })
    }

    /// What a client is told of them.
    ///
    /// # Errors
    /// It asked for formats of more or fewer columns.
    pub(super) fn fields(&self, format: &Format) -> PgWireResult<Vec<FieldInfo>> {
        if let Format::Individual(codes) = format
            && codes.len() != self.schema.fields().len()
        {
            let (given, columns) = (codes.len(), self.schema.fields().len());
            let message = format!("bind message has {given} result formats but query has {columns} columns");
            return Err(fault::error("08P01", message).into_error());
        }
        let field = |(at, field): (usize, &Arc<Field>)| {
            let kind = pg_type(field);
            let size = size(&kind);
            Ok(FieldInfo::new(field.name().clone(), None, None, kind, format.format_for(at)).with_type_size(size))
        };
        self.schema.fields().iter().enumerate().map(field).collect()
    }

    /// Rows in these types.
    ///
    /// # Errors
    /// A value has no place in its type.
    pub(super) fn convert(&self, batch: &RecordBatch) -> PgWireResult<RecordBatch> {
        let arrays = batch.columns().iter().zip(self.schema.fields());
        let arrays = arrays.map(|(array, field)| converted(array, field)).collect::<PgWireResult<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|error| fault::error("XX000", error.to_string()).into_error())
    }
}

fn converted(array: &ArrayRef, field: &Field) -> PgWireResult<ArrayRef> {
    let (from, to) = (array.data_type(), field.data_type());
    if from == to {
        return Ok(Arc::clone(array));
    }
    // A value that does not fit is an error, never another value.
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    if can_cast_types(from, to) && !(*to == DataType::Utf8 && from.is_nested()) {
        return cast_with_options(array, to, &strict).map_err(|error| {
            let message = format!("a value of {} is out of range for its type: {error}", field.name());
            fault::hinted("22003", message, "CAST(… AS DECIMAL(38, 0)) or CAST(… AS VARCHAR) shows it")
        });
    }
    let options = FormatOptions::default().with_null("null");
    let failed = |error: arrow::error::ArrowError| fault::error("22000", error.to_string()).into_error();
    let texts = ArrayFormatter::try_new(array, &options).map_err(failed)?;
    let text = |at| array.is_valid(at).then(|| texts.value(at).try_to_string()).transpose();
    let texts: StringArray = (0..array.len()).map(text).collect::<Result<_, _>>().map_err(failed)?;
    Ok(Arc::new(texts))
}

/// One row into an encoder.
///
/// # Errors
/// A value cannot be written.
pub(super) fn encode(
    encoder: &mut impl Encoder,
    batch: &RecordBatch,
    row: usize,
    fields: &[FieldInfo],
) -> PgWireResult<()> {
    let columns = batch.columns().iter().zip(batch.schema_ref().fields());
    for ((array, arrow), field) in columns.zip(fields) {
        if array.is_null(row) {
            encoder.encode_field(&None::<i8>, field)?;
        } else {
            encode_value(encoder, array, row, arrow, field)?;
        }
    }
    Ok(())
}
