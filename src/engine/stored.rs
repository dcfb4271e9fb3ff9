//! What the store knows beside events, as tables: refused lines, inputs, and what was done to it.

use std::fmt;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::streaming::PartitionStream;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::correction::{Anchor, Correction};
use crate::event::{quarantine, utc_micros};
use crate::identity::{self, Alias, Identity};
use crate::limits;
use crate::store::{AuditRow, Late, LateRow, Part, ReadRow, SegmentRow, Snapshot, SourceRow, Store, StoreError};
use crate::time::iso;

use super::operators::{Sink, blocking_stream};
use super::scan::{count_read, damaged};

/// Fills the sink with the table's rows.
type Fill = dyn Fn(&Sink) -> Result<()> + Send + Sync;

/// A table that is read as one stream, from the beginning.
struct Rows {
    schema: SchemaRef,
    fill: Arc<Fill>,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let fill = Arc::clone(&self.fill);
        blocking_stream(Arc::clone(&self.schema), move |sink| fill(sink))
    }
}

fn table(
    columns: Vec<Field>,
    fill: impl Fn(&SchemaRef, &Sink) -> Result<()> + Send + Sync + 'static,
) -> Result<Arc<dyn TableProvider>> {
    let schema: SchemaRef = Arc::new(Schema::new(columns));
    let own = Arc::clone(&schema);
    let rows = Rows { schema: Arc::clone(&schema), fill: Arc::new(move |sink| fill(&own, sink)) };
    Ok(Arc::new(StreamingTable::try_new(schema, vec![Arc::new(rows)])?))
}

/// `quarantine_rows`: every refused line, `raw` as text and `raw_bytes` as it was.
///
/// # Errors
/// Never; the schema is fixed.
pub fn quarantine_rows(snapshot: &Snapshot) -> Result<Arc<dyn TableProvider>> {
    let stored = quarantine();
    let mut columns: Vec<Field> =
        stored.fields().iter().map(|field| field.as_ref().clone().with_metadata([].into())).collect();
    for column in &mut columns {
        if column.name() == "raw" {
            *column = column.clone().with_data_type(DataType::Utf8);
        }
    }
    columns.push(Field::new("raw_bytes", DataType::Binary, false));
    let snapshot = snapshot.clone();
    table(columns, move |schema, sink| {
        for part in snapshot.quarantine() {
            if !send_part(part, schema, sink)? {
                return Ok(());
            }
        }
        Ok(())
    })
}

fn send_part(part: &Part, schema: &SchemaRef, sink: &Sink) -> Result<bool> {
    count_read();
    let file = part.open().map_err(|error| DataFusionError::External(Box::new(error)))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.with_batch_size(limits::BATCH_ROWS).build())
        .map_err(|error| damaged(&part.path, &error))?;
    for batch in reader {
        let batch = batch.map_err(|error| damaged(&part.path, &error))?;
        let Some(raw) = batch.column_by_name("raw").cloned() else { return internal_err!("quarantine without raw") };
        let mut texts = StringBuilder::new();
        for line in raw.as_binary::<i32>() {
            texts.append_value(String::from_utf8_lossy(line.unwrap_or_default()));
        }
        let texts: ArrayRef = Arc::new(texts.finish());
        let mut arrays: Vec<ArrayRef> = batch
            .schema()
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, array)| Arc::clone(if field.name() == "raw" { &texts } else { array }))
            .collect();
        arrays.push(raw);
        if !sink.send(&RecordBatch::try_new(Arc::clone(schema), arrays)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `source_rows`: every input ever seen, with where its lines went.
///
/// # Errors
/// Never; the schema is fixed.
pub fn source_rows(snapshot: &Snapshot) -> Result<Arc<dyn TableProvider>> {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let number = |name: &str| Field::new(name, DataType::Int64, false);
    let columns = vec![
        text("source_id"),
        text("name"),
        text("format"),
        number("bytes"),
        number("lines"),
        number("stored"),
        number("quarantined"),
        number("dropped"),
        number("duplicates"),
        text("dropped_by"),
        Field::new("first_seen", utc_micros(), false),
        Field::new("updated", utc_micros(), false),
    ];
    let snapshot = snapshot.clone();
    table(columns, move |schema, sink| {
        let rows = snapshot.sources();
        let text =
            |of: fn(&SourceRow) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(rows.iter().map(of))) };
        let number = |of: fn(&SourceRow) -> u64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| i64::try_from(of(row)).unwrap_or(i64::MAX))))
        };
        let by = rows.iter().map(|row| serde_json::to_string(&row.dropped_by).unwrap_or_default());
        let arrays = vec![
            text(|row| &row.source_id),
            text(|row| &row.name),
            text(|row| &row.format),
            number(|row| row.offset),
            number(|row| row.lines),
            number(|row| row.stored),
            number(|row| row.quarantined),
            number(|row| row.dropped),
            number(|row| row.duplicates),
            Arc::new(StringArray::from_iter_values(by)),
            times(rows.iter().map(|row| row.first_seen_ts)),
            times(rows.iter().map(|row| row.updated_ts)),
        ];
        // A closed sink only means that nobody reads on.
        let _ = sink.send(&RecordBatch::try_new(Arc::clone(schema), arrays)?);
        Ok(())
    })
}

/// `audit`: what was done to the store and read through servers, oldest first.
///
/// # Errors
/// Never; the schema is fixed.
pub fn audit(store: &Arc<Store>) -> Result<Arc<dyn TableProvider>> {
    let columns = vec![
        Field::new("id", DataType::Int64, true),
        Field::new("snapshot", DataType::Int64, false),
        Field::new("at", utc_micros(), false),
        Field::new("what", DataType::Utf8, false),
        Field::new("detail", DataType::Utf8, false),
    ];
    let store = Arc::clone(store);
    table(columns, move |schema, sink| {
        let failed = |error| DataFusionError::External(Box::new(error));
        let done = store.audit().map_err(failed)?.into_iter().map(|row| (Some(row.id), row));
        let mut done = done.peekable();
        store.each_day_of_reads(|reads| {
            let mut rows: Vec<(Option<i64>, AuditRow)> = Vec::with_capacity(reads.len());
            for read in reads {
                rows.extend(std::iter::from_fn(|| done.next_if(|(_, row)| row.at <= read.at)));
                rows.push((None, read_through(&read)));
            }
            send_audit(schema, &rows, sink).map_err(Unread)
        })?;
        send_audit(schema, &done.collect::<Vec<_>>(), sink)
    })
}

/// Why reads have no rows.
struct Unread(DataFusionError);

impl From<StoreError> for Unread {
    fn from(error: StoreError) -> Self {
        Self(DataFusionError::External(Box::new(error)))
    }
}

impl From<Unread> for DataFusionError {
    fn from(error: Unread) -> Self {
        error.0
    }
}

fn send_audit(schema: &SchemaRef, rows: &[(Option<i64>, AuditRow)], sink: &Sink) -> Result<()> {
    for rows in rows.chunks(limits::BATCH_ROWS) {
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|(id, _)| *id).collect::<Int64Array>()),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|(_, row)| row.snapshot))),
            times(rows.iter().map(|(_, row)| row.at)),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, row)| &row.what))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, row)| &row.detail))),
        ];
        // A closed sink only means that nobody reads on.
        let _ = sink.send(&RecordBatch::try_new(Arc::clone(schema), arrays)?);
    }
    Ok(())
}

/// A read as a row of the audit: `http 127.0.0.1: SELECT … (3 times until …)`.
fn read_through(row: &ReadRow) -> AuditRow {
    let times = |until| format!(" ({} times until {})", row.times + 1, iso(until));
    let more = row.until.map(times).unwrap_or_default();
    let detail = format!("{}: {}{more}", row.who, row.what.as_deref().unwrap_or("…"));
    AuditRow { id: 0, snapshot: row.snapshot, at: row.at, what: "read".to_owned(), detail }
}

/// `identities`: which ids are whose, when, and why. Read from the catalog when it is asked for: `since` may have gone back
/// after the snapshot, where an earlier event came in.
///
/// # Errors
/// Never; the schema is fixed.
pub fn identities(store: &Arc<Store>, snapshot: &Snapshot) -> Result<Arc<dyn TableProvider>> {
    let columns = vec![
        Field::new("distinct_id", DataType::Utf8, false),
        Field::new("person", DataType::Utf8, true),
        Field::new("from_ts", utc_micros(), true),
        Field::new("to_ts", utc_micros(), true),
        Field::new("kind", DataType::Utf8, false),
        Field::new("evidence", DataType::Utf8, false),
        Field::new("ambiguous", DataType::Boolean, false),
        Field::new("since", utc_micros(), true),
    ];
    let (store, snapshot) = (Arc::clone(store), snapshot.clone());
    table(columns, move |schema, sink| {
        let links = store.links(&snapshot).map_err(|error| DataFusionError::External(Box::new(error)))?;
        let rows = identity::identities(&links);
        let text =
            |of: fn(&Identity) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(rows.iter().map(of))) };
        let time = |of: fn(&Identity) -> Option<i64>| -> ArrayRef {
            Arc::new(rows.iter().map(of).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        };
        let arrays = vec![
            text(|row| &row.distinct_id),
            Arc::new(rows.iter().map(|row| row.person.as_deref()).collect::<StringArray>()),
            time(|row| row.from),
            time(|row| row.to),
            text(|row| row.kind.name()),
            text(|row| &row.evidence),
            Arc::new(rows.iter().map(|row| Some(row.ambiguous)).collect::<BooleanArray>()),
            time(|row| row.since),
        ];
        let _ = sink.send(&RecordBatch::try_new(Arc::clone(schema), arrays)?);
        Ok(())
    })
}

/// `identity_rejections`: pairs of ids that are no candidates any more.
///
/// # Errors
/// Never; the schema is fixed.
pub fn identity_rejections(store: &Arc<Store>, snapshot: &Snapshot) -> Result<Arc<dyn TableProvider>> {
    let columns = vec![
        Field::new("distinct_id", DataType::Utf8, false),
        Field::new("other", DataType::Utf8, false),
        Field::new("reason", DataType::Utf8, false),
        Field::new("since", utc_micros(), false),
    ];
    let (store, snapshot) = (Arc::clone(store), snapshot.clone());
    table(columns, move |schema, sink| {
        let rows = store.rejections(&snapshot).map_err(|error| DataFusionError::External(Box::new(error)))?;
        let text =
            |of: fn(&Alias) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(rows.iter().map(of))) };
        let arrays = vec![
            text(|row| &row.distinct_id),
            text(|row| &row.person),
            text(|row| &row.evidence),
            times(rows.iter().map(|row| row.since)),
        ];
        let _ = sink.send(&RecordBatch::try_new(Arc::clone(schema), arrays)?);
        Ok(())
    })
}

/// `corrections`: what people said of single events, sessions and people, oldest first.
///
/// `id` Int64 · `kind` Utf8 · `event_ref`, `distinct_id` Utf8? (the event as stored, or the person who is flagged) · `ts`
/// Timestamp? (as stored) · `detail` Utf8 (JSON: what is new) · `reason`, `said_by` Utf8 · `at` Timestamp ·
/// `reverted_by` Utf8? · `reverted_at` Timestamp? (NULL: in force).
///
/// # Errors
/// Never; the schema is fixed.
pub fn corrections(rows: &Arc<[Correction]>) -> Result<Arc<dyn TableProvider>> {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let columns = vec![
        Field::new("id", DataType::Int64, false),
        text("kind"),
        Field::new("event_ref", DataType::Utf8, true),
        text("distinct_id"),
        Field::new("ts", utc_micros(), true),
        text("detail"),
        text("reason"),
        text("said_by"),
        Field::new("at", utc_micros(), false),
        Field::new("reverted_by", DataType::Utf8, true),
        Field::new("reverted_at", utc_micros(), true),
    ];
    let rows = Arc::clone(rows);
    table(columns, move |schema, sink| {
        let anchors: Vec<Option<&Anchor>> = rows.iter().map(|row| row.change.event()).collect();
        let text = |of: fn(&Correction) -> Option<&str>| -> ArrayRef {
            Arc::new(rows.iter().map(of).collect::<StringArray>())
        };
        let maybe = |times: Vec<Option<i64>>| -> ArrayRef {
            Arc::new(times.into_iter().collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        };
        let refs = anchors.iter().map(|anchor| anchor.map(|anchor| anchor.event.to_string()));
        let arrays = vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.id))) as ArrayRef,
            text(|row| Some(row.change.kind())),
            Arc::new(refs.collect::<StringArray>()),
            text(|row| row.change.ids().next()),
            maybe(anchors.iter().map(|anchor| anchor.map(|anchor| anchor.ts)).collect()),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.change.detail()))),
            text(|row| Some(&row.reason)),
            text(|row| Some(&row.by)),
            times(rows.iter().map(|row| row.at)),
            text(|row| row.reverted.as_ref().map(|reverted| reverted.by.as_str())),
            maybe(rows.iter().map(|row| row.reverted.as_ref().map(|reverted| reverted.at)).collect()),
        ];
        let _ = sink.send(&RecordBatch::try_new(Arc::clone(schema), arrays)?);
        Ok(())
    })
}

/// `segments`: saved groups of people, each the text of a query; `since` is when it was made or replaced.
///
/// # Errors
/// Never; the schema is fixed.
pub fn segments(rows: Vec<SegmentRow>) -> Result<Arc<dyn TableProvider>> {
    let columns = vec![
        Field::new("name", DataType::Utf8, false),
        Field::new("sql", DataType::Utf8, false),
        Field::new("since", utc_micros(), false),
    ];
    table(columns, move |schema, sink| {
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.name))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.sql))),
            times(rows.iter().map(|row| row.at)),
        ];
        let _ = sink.send(&RecordBatch::try_new(Arc::clone(schema), arrays)?);
        Ok(())
    })
}

/// `late_ledger`: what late events did, a row for every commit that brought some, oldest first.
///
/// # Errors
/// Never; the schema is fixed.
pub fn late_ledger(store: &Arc<Store>) -> Result<Arc<dyn TableProvider>> {
    let number = |name: &str| Field::new(name, DataType::Int64, false);
    let columns = vec![
        number("snapshot"),
        Field::new("at", utc_micros(), false),
        number("late_events"),
        number("visitors"),
        number("max_late_us"),
        Field::new("median_late_us", DataType::Float64, false),
        number("sessions_created"),
        number("sessions_extended"),
        number("sessions_merged"),
    ];
    let store = Arc::clone(store);
    table(columns, move |schema, sink| {
        let rows: Vec<LateRow> = store.late_ledger().map_err(|error| DataFusionError::External(Box::new(error)))?;
        let signed =
            |of: fn(&LateRow) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(rows.iter().map(of))) };
        let number = |of: fn(&Late) -> u64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(
                rows.iter().map(|row| i64::try_from(of(&row.late)).unwrap_or(i64::MAX)),
            ))
        };
        let arrays: Vec<ArrayRef> = vec![
            signed(|row| row.snapshot),
            times(rows.iter().map(|row| row.at)),
            number(|late| late.events),
            number(|late| late.visitors),
            signed(|row| row.late.max),
            Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.late.median))),
            number(|late| late.created),
            number(|late| late.extended),
            number(|late| late.merged),
        ];
        let _ = sink.send(&RecordBatch::try_new(Arc::clone(schema), arrays)?);
        Ok(())
    })
}

fn times(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC"))
}
