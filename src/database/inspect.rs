//! One person's events with what became of each: the report `inspect`, and beside it the lines themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};

use super::{Database, Error, reports};
use crate::ingest::{self, Wanted};
use crate::time;

/// A person's events, a row each.
#[derive(Debug)]
pub struct Inspected {
    /// Those of the report, and `line`.
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
    /// Events whose line is not where it was.
    pub without_line: usize,
}

impl Database {
    /// What one person did from `from` to before `to` (µs). Where masks hide ids, the person is also found by the id that
    /// the input had.
    ///
    /// The store does not keep the lines of events. `line` is read from the file that the source was last seen as, if that
    /// still has the source's bytes; it is NULL where it has not, and wherever `[privacy]` is or was on.
    ///
    /// # Errors
    /// The store cannot be read, its key included where there is one.
    pub async fn inspect(&self, user: &str, (from, to): (Option<i64>, Option<i64>)) -> Result<Inspected, Error> {
        let found = self.inspect_as(user, (from, to)).await?;
        let stored = self.stored_id(user)?;
        if found.batches.is_empty() && stored != user { self.inspect_as(&stored, (from, to)).await } else { Ok(found) }
    }

    async fn inspect_as(&self, user: &str, (from, to): (Option<i64>, Option<i64>)) -> Result<Inspected, Error> {
        let mut values = BTreeMap::from([("user".to_owned(), user.to_owned())]);
        values.extend(from.map(|from| ("from".to_owned(), time::iso(from))));
        values.extend(to.map(|to| ("to".to_owned(), time::iso(to))));
        let report = reports(self.dir())?.into_iter().find(|report| report.name == "inspect");
        let report = report.ok_or_else(|| Error::Rows("there is no report inspect".to_owned()))?;
        // The report numbers all steps of the person.
        let sql = format!("SET journeyql.skip_flagged = false; {}", report.sql(&values)?);
        let answer = self.session().query(&sql).await?;
        let schema = answer.schema();
        let batches: Vec<RecordBatch> =
            answer.collect().await?.into_iter().filter(|batch| batch.num_rows() > 0).collect();
        let line = Arc::new(Field::new("line", DataType::Utf8, true));
        let schema = Arc::new(Schema::new(schema.fields().iter().cloned().chain([line]).collect::<Vec<_>>()));
        let store = (!self.config.privacy.is_on()).then_some(&self.store);
        let mut inspected = Inspected { schema, batches: Vec::new(), without_line: 0 };
        let (mut wanted, mut known) = (Wanted::new(), Vec::new());
        if let Some(store) = store {
            known = store.snapshot()?.sources().to_vec();
            for (source_id, offset) in batches.iter().flat_map(places) {
                wanted.entry(source_id).or_default().insert(offset);
            }
        }
        let lines = tokio::task::spawn_blocking(move || ingest::lines(&known, &wanted));
        let lines = lines.await.map_err(|error| Error::Thread(error.to_string()))??;
        for batch in batches {
            let mut texts = StringBuilder::new();
            for place in places(&batch) {
                let line = lines.get(&place);
                inspected.without_line += usize::from(line.is_none());
                texts.append_option(line.map(|line| String::from_utf8_lossy(line)));
            }
            let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
            columns.push(Arc::new(texts.finish()));
            let rows = RecordBatch::try_new(Arc::clone(&inspected.schema), columns);
            inspected.batches.push(rows.map_err(|error| Error::Rows(error.to_string()))?);
        }
        Ok(inspected)
    }
}

/// Source id and offset of every row.
fn places(batch: &RecordBatch) -> Vec<(String, u64)> {
    let column = |name: &str| batch.column_by_name(name);
    let ids = column("source_id").and_then(|ids| arrow::compute::cast(ids, &DataType::Utf8).ok());
    let offsets = column("source_offset").and_then(|offsets| offsets.as_primitive_opt::<Int64Type>());
    let (Some(ids), Some(offsets)) = (ids, offsets) else { return vec![Default::default(); batch.num_rows()] };
    let ids = ids.as_string::<i32>();
    (0..ids.len()).map(|row| (ids.value(row).to_owned(), offsets.value(row).cast_unsigned())).collect()
}
