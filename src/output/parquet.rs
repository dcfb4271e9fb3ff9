//! A Parquet file, zstd, that any reader opens. Dictionary columns become plain columns of their values.

use std::io::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::{OutputError, Sink, Writer};

/// Columns as a file should have them: dictionaries are an encoding of one batch, not a type of the answer, and what
/// the plan calls NOT NULL is no promise to the reader of a file.
pub(super) struct Plain {
    schema: SchemaRef,
}

impl Plain {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        let fields: Vec<Field> = schema
            .fields()
            .iter()
            .map(|field| match field.data_type() {
                DataType::Dictionary(_, value) => Field::new(field.name(), value.as_ref().clone(), true),
                kind => Field::new(field.name(), kind.clone(), true),
            })
            .collect();
        Self { schema: Arc::new(Schema::new(fields)) }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn batch(&self, batch: &RecordBatch) -> Result<RecordBatch, OutputError> {
        let columns: Vec<ArrayRef> = batch
            .columns()
            .iter()
            .zip(self.schema.fields())
            .map(|(column, field)| match column.data_type() {
                kind if kind == field.data_type() => Ok(Arc::clone(column)),
                _ => cast(column, field.data_type()),
            })
            .collect::<Result<_, _>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

pub(super) struct Parquet<'a> {
    plain: Plain,
    /// `None` once finished.
    writer: Option<ArrowWriter<Sink<'a>>>,
}

impl<'a> Parquet<'a> {
    pub(super) fn new(schema: &SchemaRef, sink: Sink<'a>) -> Result<Self, OutputError> {
        let plain = Plain::new(schema);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_max_row_group_row_count(Some(crate::limits::ROW_GROUP_ROWS))
            .build();
        let writer = ArrowWriter::try_new(sink, Arc::clone(plain.schema()), Some(properties))?;
        Ok(Self { plain, writer: Some(writer) })
    }
}

impl Writer for Parquet<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        if let Some(writer) = &mut self.writer {
            writer.write(&self.plain.batch(batch)?)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        if let Some(writer) = self.writer.take() {
            writer.into_inner()?.flush()?;
        }
        Ok(())
    }
}
