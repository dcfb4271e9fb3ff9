//! Every row of a part: its day, its order, and the statistics that are kept about it.

use std::fs::File;

use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use ::parquet::file::metadata::RowGroupMetaData;
use ::parquet::file::statistics::Statistics;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};

use super::{REPORT, RESTORE, Seen, finding};
use crate::event::Column;
use crate::store::StoreError;
use crate::store::catalog::FileStats;
use crate::store::catalog::stats::{ColumnStats, has_bounds};
use crate::store::layout::Table;
use crate::store::order::OrderCheck;
use crate::store::part::Part;

/// Decodes the part and compares; findings go into `seen`.
pub(super) fn check(file: &File, part: &Part, stats: Option<&FileStats>, seen: &mut Seen) -> Result<(), StoreError> {
    let fail = |error| StoreError::encode(&part.path, error);
    let footer = match ArrowReaderMetadata::load(file, ArrowReaderOptions::new()) {
        Ok(footer) => footer,
        Err(error) => {
            seen.findings.push(finding(part, "file", format!("its footer cannot be read: {error}"), RESTORE));
            seen.unread = true;
            return Ok(());
        }
    };
    if let Some(what) = other_schema(part, &footer) {
        seen.findings.push(finding(part, "schema", what, REPORT));
        seen.unread = true;
        return Ok(());
    }
    let mut found = Found::new(part.table);
    for (number, group) in footer.metadata().row_groups().iter().enumerate() {
        let file = file.try_clone().map_err(|error| StoreError::io("reading", &part.path, error))?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer.clone())
            .with_row_groups(vec![number])
            .build()
            .map_err(fail)?;
        let mut bounds = None;
        for batch in reader {
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => {
                    let what = format!("row group {number} cannot be decoded: {error}");
                    seen.findings.push(finding(part, "file", what, RESTORE));
                    seen.unread = true;
                    return Ok(());
                }
            };
            found.add(&batch, seen);
            bounds = first_and_last(bounds, &batch, part.table.sort_key()[0]);
        }
        if let Some(what) = narrow_group(group, part.table.sort_key()[0], bounds.as_ref()) {
            seen.findings.push(finding(part, "statistics", format!("row group {number}: {what}"), REPORT));
        }
    }
    found.compare(part, stats, seen);
    Ok(())
}

fn other_schema(part: &Part, footer: &ArrowReaderMetadata) -> Option<String> {
    let (wanted, found) = (part.table.schema(), footer.schema());
    // A part of an older format has fewer columns, never others.
    let differs = wanted.fields().iter().zip(found.fields()).find(|(wanted, found)| wanted != found);
    if let Some((wanted, found)) = differs {
        return Some(format!("column {found} instead of {wanted}"));
    }
    (found.fields().len() > wanted.fields().len()).then(|| format!("{} columns", found.fields().len()))
}

/// The first and the last value of a text column, over batches in order.
fn first_and_last(so_far: Option<(String, String)>, batch: &RecordBatch, at: usize) -> Option<(String, String)> {
    let text = batch.column(at).as_string_opt::<i32>()?;
    let last = text.value(text.len().checked_sub(1)?).to_owned();
    Some((so_far.map_or_else(|| text.value(0).to_owned(), |(first, _)| first), last))
}

/// Row-group bounds of the first sort column decide what a reader skips: they must enclose the rows.
fn narrow_group(group: &RowGroupMetaData, at: usize, bounds: Option<&(String, String)>) -> Option<String> {
    let name = group.column(at).column_path().string();
    let Some(Statistics::ByteArray(stats)) = group.column(at).statistics() else {
        return Some(format!("{name} has no bounds"));
    };
    let (first, last) = bounds?;
    let encloses = stats.min_bytes_opt().is_some_and(|min| min <= first.as_bytes())
        && stats.max_bytes_opt().is_some_and(|max| max >= last.as_bytes());
    (!encloses).then(|| format!("the bounds of {name} do not enclose its rows"))
}

/// What the rows say themselves.
struct Found {
    table: Table,
    rows: u64,
    order: OrderCheck,
    disorder: Option<String>,
    columns: Vec<ColumnStats>,
}

impl Found {
    fn new(table: Table) -> Self {
        let none = ColumnStats { compressed_bytes: 0, values: 0, nulls: 0, range: None };
        let columns = vec![none; table.schema().fields().len()];
        Self { table, rows: 0, order: OrderCheck::new(table), disorder: None, columns }
    }

    fn add(&mut self, batch: &RecordBatch, seen: &mut Seen) {
        self.rows += batch.num_rows() as u64;
        if self.disorder.is_none() {
            self.disorder = self.order.check(batch).err();
        }
        for (stats, array) in self.columns.iter_mut().zip(batch.columns()) {
            let nulls = array.null_count();
            stats.nulls += signed(nulls);
            stats.values += signed(array.len() - nulls);
            if let Some(range) = range_of(array.as_ref()) {
                stats.range = Some(stats.range.map_or(range, |(min, max)| (min.min(range.0), max.max(range.1))));
            }
        }
        count_sources(batch, self.table, seen);
    }

    fn compare(&self, part: &Part, stats: Option<&FileStats>, seen: &mut Seen) {
        let mut report = |check, what: String| seen.findings.push(finding(part, check, what, REPORT));
        if let Some(what) = &self.disorder {
            report("order", what.clone());
        }
        if self.rows != part.rows {
            report("statistics", format!("it has {} rows, the catalog says {}", self.rows, part.rows));
        }
        let day = i64::from(part.day.0);
        if self.columns[Column::Day as usize].range != Some((day, day)) {
            report("day", format!("not all of its rows are of {}", part.day));
        }
        if self.columns[self.table.time_column()].range != Some((part.ts_min, part.ts_max)) {
            report("statistics", "its smallest and largest time are not what the catalog says".to_owned());
        }
        let event_ids = match self.table {
            Table::Events => self.columns[Column::EventId as usize].values,
            Table::Quarantine => 0,
        };
        if u64::try_from(event_ids) != Ok(part.event_ids) {
            report("statistics", format!("{event_ids} rows have an event id, the catalog says {}", part.event_ids));
        }
        let schema = self.table.schema();
        for (at, (mine, field)) in self.columns.iter().zip(schema.fields()).enumerate() {
            let listed = stats.and_then(|stats| stats.get(at)).copied().flatten();
            let same = listed.is_some_and(|listed| {
                (listed.values, listed.nulls, listed.range) == (mine.values, mine.nulls, mine.range)
            });
            if !same {
                report(
                    "statistics",
                    format!("the catalog's figures for column {} are not those of its rows", field.name()),
                );
            }
        }
    }
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Smallest and largest value of the kinds that the catalog keeps bounds of.
fn range_of(array: &dyn Array) -> Option<(i64, i64)> {
    if !has_bounds(array.data_type()) {
        return None;
    }
    let numbers = match array.data_type() {
        // Arrow casts a day to milliseconds only by way of its number.
        DataType::Date32 => cast(&cast(array, &DataType::Int32).ok()?, &DataType::Int64).ok()?,
        _ => cast(array, &DataType::Int64).ok()?,
    };
    let numbers = numbers.as_primitive::<Int64Type>();
    Some((arrow::compute::min(numbers)?, arrow::compute::max(numbers)?))
}

/// Counts the rows of each source; neighbours mostly share it.
fn count_sources(batch: &RecordBatch, table: Table, seen: &mut Seen) {
    let at = match table {
        Table::Events => Column::SourceId as usize,
        Table::Quarantine => 1,
    };
    let Some(sources) = batch.column(at).as_string_opt::<i32>() else { return };
    let mut from = 0;
    while from < sources.len() {
        let source = sources.value(from);
        let run = (from..sources.len()).take_while(|&row| sources.value(row) == source).count();
        match seen.by_source.get_mut(source) {
            Some(rows) => *rows += run as u64,
            None => {
                seen.by_source.insert(source.to_owned(), run as u64);
            }
        }
        from += run;
    }
}
