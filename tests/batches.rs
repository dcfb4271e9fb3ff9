//! Event batches for tests: the columns that a test is about, NULL in all others.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::Schema;
use journeyql::event::{Column, events};

/// A batch of `rows` events; a column may have another type than the schema says, as long as its values fit.
pub fn event_batch(rows: usize, given: &[(Column, ArrayRef)]) -> RecordBatch {
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (column, field) in Column::ALL.into_iter().zip(events().fields()) {
        let array = given.iter().find(|(it, _)| *it == column).map(|(_, array)| Arc::clone(array));
        let array = array.unwrap_or_else(|| new_null_array(field.data_type(), rows));
        fields.push(field.as_ref().clone().with_data_type(array.data_type().clone()));
        columns.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}
