//! `events`: the stored rows as a table, with the person beside the id.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};

use crate::engine::scan::read_schema;
use crate::event::Column;

/// The person's column; the only one that is not in the file.
pub const USER_ID: &str = "user_id";

/// All columns: `day`, `user_id`, then the rest of the file's.
#[must_use]
pub fn schema() -> SchemaRef {
    let stored = read_schema(&Column::ALL);
    let mut fields: Vec<Field> = stored.fields().iter().map(|field| field.as_ref().clone()).collect();
    let person = stored.field(Column::DistinctId as usize).clone().with_name(USER_ID);
    fields.insert(1, person);
    Arc::new(Schema::new(fields))
}

/// Whether a column of the table is the person's.
#[must_use]
pub fn is_person(at: usize) -> bool {
    at == 1
}

/// The stored column behind a column of the table.
#[must_use]
pub fn stored(at: usize) -> Column {
    match at {
        0 => Column::Day,
        1 => Column::DistinctId,
        at => Column::ALL[at - 1],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_its_place() {
        let schema = schema();
        assert_eq!(schema.field(1).name(), USER_ID);
        for (at, field) in schema.fields().iter().enumerate().filter(|(at, _)| *at != 1) {
            assert_eq!(field.name(), stored(at).name());
        }
    }
}
