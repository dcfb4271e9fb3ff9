//! One part read forward: Parquet batches become chunks of dense codes, cut into runs of one `distinct_id`.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{and, filter_record_batch, prep_null_mask_filter};
use arrow::datatypes::{Int32Type, SchemaRef, TimestampMicrosecondType};
use datafusion::common::{Result, exec_err, internal_err};
use datafusion::physical_expr::PhysicalExpr;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection};
use xxhash_rust::xxh3::xxh3_64;

use crate::config::Label;
use crate::event::Column;
use crate::limits;

use super::label::Labels;
use super::names::{NONE, Names, Remap, same_memory};
use super::part::{Opened, complete, damaged, read_schema};
use super::plan::{ScanPlan, bind};
use super::range::{IdRange, needed};

/// A batch of one part after the filter. A run is a stretch of rows of one `distinct_id`; every per-row column is as
/// long as `ts` or empty if not asked for.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    ids: Vec<u8>,
    id_ends: Vec<usize>,
    /// First row and the row after the last; stretches of other people's rows may lie between runs.
    runs: Vec<(usize, usize)>,
    /// First eight bytes of each id after the prefix that all ids of the pass share, as one number.
    keys: Vec<u64>,
    pub ts: ScalarBuffer<i64>,
    pub labels: Vec<u32>,
    pub pages: Vec<u32>,
    pub events: Vec<u32>,
    /// Hash of the source session id, 0 for none. 64 bits: ids of one person are compared, not of all.
    pub sources: Vec<u64>,
    pub marks: Vec<u64>,
    pub rows: Option<RecordBatch>,
}

impl Chunk {
    fn id(&self, run: usize) -> &[u8] {
        let from = if run == 0 { 0 } else { self.id_ends[run - 1] };
        &self.ids[from..self.id_ends[run]]
    }

    fn push_run(&mut self, id: &[u8], from: usize, to: usize, prefix: usize) {
        let mut key = [0; 8];
        let tail = id.get(prefix..).unwrap_or_default();
        let tail = &tail[..tail.len().min(8)];
        key[..tail.len()].copy_from_slice(tail);
        self.keys.push(u64::from_be_bytes(key));
        self.ids.extend_from_slice(id);
        self.id_ends.push(self.ids.len());
        self.runs.push((from, to));
    }

    /// Bytes held, the kept rows estimated by their slice.
    pub(super) fn size(&self) -> usize {
        let rows = self.rows.as_ref().map_or(0, RecordBatch::get_array_memory_size);
        self.ids.capacity()
            + self.runs.capacity() * 32
            + self.ts.len() * 8
            + rows
            + (self.labels.capacity() + self.pages.capacity() + self.events.capacity()) * 4
            + (self.sources.capacity() + self.marks.capacity()) * 8
    }
}

/// Reads one part over one range of ids, a chunk at a time.
#[derive(Debug)]
pub(super) struct Cursor {
    part: Opened,
    file: Option<File>,
    range: IdRange,
    ids: Option<Arc<[String]>>,
    groups: std::vec::IntoIter<(usize, Option<RowSelection>)>,
    reader: Option<ParquetRecordBatchReader>,
    columns: Vec<Column>,
    schema: SchemaRef,
    steps_only: bool,
    filter: Option<Arc<dyn PhysicalExpr>>,
    marks: Vec<Arc<dyn PhysicalExpr>>,
    wants: Wants,
    page_codes: Remap,
    event_codes: Remap,
    source_hashes: SourceHashes,
    /// Bytes that the ids of all parts have in common at their start.
    prefix: usize,
    /// Whether chunks are waiting in memory and the file is closed.
    waiting: std::collections::VecDeque<Chunk>,
    pub chunk: Chunk,
    run: usize,
    /// Where the order check stands.
    last_id: Vec<u8>,
    last_ts: i64,
    /// Number of the chunk's rows in the block that is being filled, and that block's serial.
    pub held: Option<(u64, u32)>,
}

/// Which code columns a chunk carries.
#[derive(Debug, Clone, Copy)]
struct Wants {
    labels: bool,
    pages: bool,
    events: bool,
    sources: bool,
    rows: bool,
}

impl Cursor {
    /// Prepares a cursor; it opens the file when the first chunk is loaded.
    pub(super) fn new(part: &Opened, plan: &ScanPlan, range: &IdRange, prefix: usize) -> Result<Self> {
        let steps_only = plan.steps_only && !part.always_true(Column::IsStep);
        let kept = !plan.rows.is_empty() || plan.shares_days();
        let mut needs = plan.columns()?;
        let elsewhere = |column: Column| -> Result<bool> {
            let mut named = plan.rows.contains(&column);
            for expr in plan.marks.iter().chain(&plan.filter) {
                named |= super::plan::columns_of(expr)?.contains(&column);
            }
            Ok(named)
        };
        if !steps_only && !elsewhere(Column::IsStep)? {
            needs.retain(|&column| column != Column::IsStep);
        }
        // The label of a page that is always there needs no event name, and a name that is never there needs no bytes.
        let nameless = part.always_null(Column::Event) || (plan.label == Label::Page && part.never_null(Column::Page));
        let unread = part.always_null(Column::Event) || !plan.events;
        if nameless && unread && !elsewhere(Column::Event)? {
            needs.retain(|&column| column != Column::Event);
        }
        if steps_only && !part.has(Column::IsStep) {
            return Err(damaged(&part.file.path, &"it has no column is_step"));
        }
        let schema = read_schema(&needs);
        Ok(Self {
            file: None,
            groups: needed(part, range, plan.ids.as_deref()).into_iter(),
            range: range.clone(),
            ids: plan.ids.clone(),
            reader: None,
            steps_only,
            filter: plan.filter.as_ref().map(|expr| bind(expr, &needs)).transpose()?,
            marks: plan.marks.iter().map(|expr| bind(expr, &needs)).collect::<Result<_>>()?,
            wants: Wants {
                labels: plan.labels,
                pages: plan.pages,
                events: plan.events,
                sources: plan.by_source,
                rows: kept,
            },
            columns: needs,
            schema,
            page_codes: Remap::default(),
            event_codes: Remap::default(),
            source_hashes: SourceHashes::default(),
            prefix,
            waiting: std::collections::VecDeque::new(),
            chunk: Chunk::default(),
            run: 0,
            last_id: Vec::new(),
            last_ts: i64::MIN,
            held: None,
            part: part.clone(),
        })
    }

    /// Day of the part.
    pub(super) fn day(&self) -> crate::time::Day {
        self.part.file.day
    }

    /// The id of the current run.
    pub(super) fn id(&self) -> &[u8] {
        self.chunk.id(self.run)
    }

    /// The sort key of the current run: equal keys still need the whole id.
    pub(super) fn key(&self) -> u64 {
        self.chunk.keys[self.run]
    }

    /// The rows of the current run in the chunk.
    pub(super) fn rows(&self) -> std::ops::Range<usize> {
        let (from, to) = self.chunk.runs[self.run];
        from..to
    }

    /// Goes to the next run; `false` at the end of the range.
    pub(super) fn advance(&mut self, names: &mut Names, labels: &mut Labels) -> Result<bool> {
        self.run += 1;
        if self.run < self.chunk.runs.len() {
            return Ok(true);
        }
        self.first(names, labels)
    }

    /// Loads the next chunk and stands at its first run; `false` at the end of the range.
    pub(super) fn first(&mut self, names: &mut Names, labels: &mut Labels) -> Result<bool> {
        self.run = 0;
        self.held = None;
        if let Some(chunk) = self.waiting.pop_front() {
            self.chunk = chunk;
            return Ok(true);
        }
        while let Some(batch) = self.next_batch()? {
            self.fill(&batch, names, labels)?;
            if self.chunk.runs.len() > 0 {
                return Ok(true);
            }
        }
        self.chunk = Chunk::default();
        Ok(false)
    }

    /// Reads everything of the range into memory and closes the file.
    pub(super) fn read_all(&mut self, names: &mut Names, labels: &mut Labels) -> Result<usize> {
        let mut chunks = std::collections::VecDeque::new();
        let mut size = 0;
        while self.first(names, labels)? {
            let chunk = std::mem::take(&mut self.chunk);
            size += chunk.size();
            chunks.push_back(chunk);
        }
        (self.file, self.reader) = (None, None);
        (self.page_codes, self.event_codes) = (Remap::default(), Remap::default());
        self.source_hashes = SourceHashes::default();
        self.waiting = chunks;
        Ok(size)
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(reader) = &mut self.reader {
                match reader.next() {
                    Some(batch) => {
                        return batch.map(Some).map_err(|error| damaged(&self.part.file.path, &error));
                    }
                    None => self.reader = None,
                }
            }
            let Some((group, selection)) = self.groups.next() else {
                self.file = None;
                return Ok(None);
            };
            self.reader = Some(self.open_group(group, selection)?);
        }
    }

    /// One reader per row group: a batch across two groups would lose its dictionary.
    fn open_group(&mut self, group: usize, selection: Option<RowSelection>) -> Result<ParquetRecordBatchReader> {
        let path = &self.part.file.path;
        let file = match &self.file {
            Some(file) => file.try_clone().map_err(|error| damaged(path, &error))?,
            None => {
                let file = self.part.handle()?;
                let clone = file.try_clone().map_err(|error| damaged(path, &error))?;
                self.file = Some(file);
                clone
            }
        };
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.part.metadata().clone())
            .with_row_groups(vec![group])
            .with_projection(self.part.projection(&self.columns))
            .with_batch_size(limits::BATCH_ROWS);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        builder.build().map_err(|error| damaged(path, &error))
    }

    fn column<'a>(&self, batch: &'a RecordBatch, column: Column) -> Option<&'a ArrayRef> {
        self.columns.iter().position(|&it| it == column).map(|at| batch.column(at))
    }

    fn filtered(&self, batch: RecordBatch) -> Result<RecordBatch> {
        let steps = if self.steps_only {
            self.column(&batch, Column::IsStep).and_then(|column| column.as_boolean_opt()).cloned()
        } else {
            None
        };
        let wanted = match &self.filter {
            Some(filter) => {
                let kept = truth(filter, &batch)?;
                Some(match steps {
                    Some(steps) => and(&steps, &kept)?,
                    None => kept,
                })
            }
            None => steps,
        };
        match wanted {
            Some(wanted) if wanted.true_count() < batch.num_rows() => Ok(filter_record_batch(&batch, &wanted)?),
            _ => Ok(batch),
        }
    }

    fn fill(&mut self, batch: &RecordBatch, names: &mut Names, labels: &mut Labels) -> Result<()> {
        let batch = self.filtered(complete(batch, &self.schema)?)?;
        let rows = batch.num_rows();
        let mut chunk = std::mem::take(&mut self.chunk);
        for codes in [&mut chunk.labels, &mut chunk.pages, &mut chunk.events] {
            codes.clear();
        }
        (chunk.sources.clear(), chunk.marks.clear());
        let Some(ts) = self.column(&batch, Column::Ts).and_then(|ts| ts.as_primitive_opt::<TimestampMicrosecondType>())
        else {
            return internal_err!("the column ts was not read");
        };
        chunk.ts = ts.values().clone();
        let ids = self.column(&batch, Column::DistinctId).cloned();
        self.cut_runs(&mut chunk, ids.as_ref())?;
        if self.wants.labels || self.wants.pages {
            let column = self.column(&batch, Column::Page).cloned();
            codes(&mut self.page_codes, column.as_ref(), rows, names, &mut chunk.pages)?;
        }
        if self.wants.labels || self.wants.events {
            let column = self.column(&batch, Column::Event).cloned();
            codes(&mut self.event_codes, column.as_ref(), rows, names, &mut chunk.events)?;
        }
        if self.wants.labels {
            labels.extend(names, &chunk.pages, &chunk.events, &mut chunk.labels);
        }
        if self.wants.sources {
            let column = self.column(&batch, Column::SourceSessionId).cloned();
            self.source_hashes.extend(column.as_ref(), rows, &mut chunk.sources)?;
        }
        if !self.marks.is_empty() {
            chunk.marks.resize(rows, 0);
            for (bit, mark) in self.marks.iter().enumerate() {
                for row in truth(mark, &batch)?.values().set_indices() {
                    chunk.marks[row] |= 1 << bit;
                }
            }
        }
        if names.is_full() {
            return exec_err!(
                "more than 2 GiB of distinct pages and event names in one pass; normalise pages ([pages]) or read fewer days"
            );
        }
        chunk.rows = self.wants.rows.then_some(batch);
        self.chunk = chunk;
        Ok(())
    }

    /// Cuts the rows into runs, drops those outside the range, and checks the order that everything rests on.
    fn cut_runs(&mut self, chunk: &mut Chunk, ids: Option<&ArrayRef>) -> Result<()> {
        (chunk.ids.clear(), chunk.id_ends.clear());
        (chunk.runs.clear(), chunk.keys.clear());
        let Some((keys, values)) = ids
            .and_then(|ids| ids.as_dictionary_opt::<Int32Type>())
            .and_then(|ids| Some((ids.keys().values(), ids.values().as_string_opt::<i32>()?)))
        else {
            return internal_err!("the column distinct_id was not read as codes");
        };
        let mut row = 0;
        while row < keys.len() {
            let key = keys[row];
            let end = row + keys[row..].iter().take_while(|&&it| it == key).count();
            let id =
                usize::try_from(key).ok().filter(|&at| at < values.len()).map_or("", |at| values.value(at)).as_bytes();
            let continues = self.check_order(id, &chunk.ts[row..end])?;
            if self.range.is_before(id) {
                (self.groups, self.reader) = (Vec::new().into_iter(), None);
                break;
            }
            if !self.range.is_after(id) && self.wanted(id) {
                match chunk.runs.last_mut() {
                    Some(last) if continues && last.1 == row => last.1 = end,
                    _ => chunk.push_run(id, row, end, self.prefix),
                }
            }
            row = end;
        }
        Ok(())
    }

    fn wanted(&self, id: &[u8]) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.binary_search_by(|it| it.as_bytes().cmp(id)).is_ok())
    }

    /// Checks that rows of `id` may follow what was read before; `true` if they continue the same id.
    fn check_order(&mut self, id: &[u8], ts: &[i64]) -> Result<bool> {
        let order = self.last_id.as_slice().cmp(id);
        let continues = order.is_eq();
        let rises = ts.is_sorted() && !(continues && ts.first().is_some_and(|&first| first < self.last_ts));
        if order.is_gt() || !rises {
            let who = String::from_utf8_lossy(id).into_owned();
            return Err(damaged(&self.part.file.path, &format!("its rows are not sorted (near {who})")));
        }
        if !continues {
            self.last_id.clear();
            self.last_id.extend_from_slice(id);
        }
        self.last_ts = ts.last().copied().unwrap_or(self.last_ts);
        Ok(continues)
    }
}

fn codes(
    remap: &mut Remap,
    column: Option<&ArrayRef>,
    rows: usize,
    names: &mut Names,
    out: &mut Vec<u32>,
) -> Result<()> {
    match column {
        Some(column) => remap.codes(column, names, out),
        None => {
            out.resize(rows, NONE);
            Ok(())
        }
    }
}

/// A predicate's value per row; NULL is false.
///
/// # Errors
/// It cannot be evaluated, or is neither true nor false.
pub fn truth(predicate: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<BooleanArray> {
    let value = predicate.evaluate(batch)?.into_array(batch.num_rows())?;
    let Some(value) = value.as_boolean_opt() else {
        return exec_err!("the condition {predicate} is no true or false but {}", value.data_type());
    };
    Ok(if value.null_count() > 0 { prep_null_mask_filter(value) } else { value.clone() })
}

/// Hashes of source session ids, one dictionary at a time.
#[derive(Debug, Default)]
struct SourceHashes {
    seen: Option<StringArray>,
    hashes: Vec<u64>,
}

impl SourceHashes {
    /// Appends the hash of each row's session id, 0 for none.
    fn extend(&mut self, column: Option<&ArrayRef>, rows: usize, out: &mut Vec<u64>) -> Result<()> {
        let Some(column) = column else {
            out.resize(rows, 0);
            return Ok(());
        };
        let Some((column, values)) = column
            .as_dictionary_opt::<Int32Type>()
            .and_then(|column| Some((column, column.values().as_string_opt::<i32>()?)))
        else {
            return internal_err!("the column source_session_id was not read as codes");
        };
        if !self.seen.as_ref().is_some_and(|seen| same_memory(seen, values)) {
            self.hashes = values.iter().map(|value| value.map_or(0, |text| xxh3_64(text.as_bytes()).max(1))).collect();
            self.seen = Some(values.clone());
        }
        let hashes = &self.hashes;
        out.extend(
            column
                .keys()
                .iter()
                .map(|key| key.and_then(|key| hashes.get(usize::try_from(key).ok()?)).copied().unwrap_or(0)),
        );
        Ok(())
    }
}
