//! One part read forward run by run: its batches become chunks of codes, and their order is checked.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use datafusion::common::{Result, exec_err, internal_err};
use datafusion::physical_expr::PhysicalExpr;

use crate::event::Column;
use crate::identity::People;

use super::batches::{Batches, truth};
use super::block::Held;
use super::chunk::Chunk;
use super::label::Labels;
use super::names::{NONE, Names, Remap};
use super::part::{Opened, damaged};
use super::plan::{Code, Codes, Redirected, ScanPlan, bind};
use super::range::IdRange;
use super::source_hashes::SourceHashes;

/// Stands at one run of one part, over one range of ids.
#[derive(Debug)]
pub(super) struct Cursor {
    /// `None`: everything is in memory already.
    batches: Option<Batches>,
    range: IdRange,
    ids: Option<Arc<[String]>>,
    marks: Vec<Arc<dyn PhysicalExpr>>,
    codes: Codes,
    /// Which ids are passed over, and where the last one was looked for.
    people: Option<Arc<People>>,
    place: usize,
    /// Whether a chunk keeps its Arrow rows.
    keeps_rows: bool,
    page_codes: Remap,
    event_codes: Remap,
    source_hashes: SourceHashes,
    /// Bytes that the ids of all parts have in common at their start.
    prefix: usize,
    /// Chunks in memory that come before anything else.
    waiting: VecDeque<Chunk>,
    pub chunk: Chunk,
    run: usize,
    /// Where the order check stands.
    last_id: Vec<u8>,
    last_ts: i64,
    /// The chunk's numbers in the block that is being filled.
    pub held: Held,
}

impl Cursor {
    /// Prepares a cursor; it opens the file when the first chunk is loaded.
    pub(super) fn new(part: &Opened, plan: &ScanPlan, range: &IdRange, prefix: usize) -> Result<Self> {
        let batches = Batches::new(part, plan, range)?;
        let person = plan.asks_for_person()?;
        Ok(Self {
            range: range.clone(),
            // Whoever reads redirected ids knows them, unless few persons are asked for.
            ids: plan.ids.clone().filter(|_| plan.redirected == Redirected::Skip || plan.persons.is_some()),
            marks: plan.marks.iter().map(|expr| bind(expr, &batches.columns, person)).collect::<Result<_>>()?,
            batches: Some(batches),
            codes: plan.codes,
            keeps_rows: plan.keeps_rows(),
            people: plan.people.clone().filter(|_| plan.redirected == Redirected::Skip),
            place: 0,
            page_codes: Remap::default(),
            event_codes: Remap::default(),
            source_hashes: SourceHashes::default(),
            prefix,
            waiting: VecDeque::new(),
            chunk: Chunk::default(),
            run: 0,
            last_id: Vec::new(),
            last_ts: i64::MIN,
            held: None,
        })
    }

    /// How many rows are read at most before it opens its file.
    pub(super) fn rows_left(&self) -> usize {
        self.batches.as_ref().map_or(0, Batches::rows_left)
    }

    /// The id of the current run.
    #[inline]
    pub(super) fn id(&self) -> &[u8] {
        self.chunk.id(self.run)
    }

    /// The sort key of the current run: equal keys still need the whole id.
    #[inline]
    pub(super) fn key(&self) -> u64 {
        self.chunk.key(self.run)
    }

    /// The rows of the current run in the chunk.
    #[inline]
    pub(super) fn rows(&self) -> Range<usize> {
        self.chunk.run(self.run)
    }

    /// Goes to the next run; `false` at the end of the range.
    pub(super) fn advance(&mut self, names: &mut Names, labels: &mut Labels) -> Result<bool> {
        self.run += 1;
        if self.run < self.chunk.len() {
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
        if let Some(mut batches) = self.batches.take() {
            let found = self.next_chunk(&mut batches, names, labels);
            self.batches = Some(batches);
            if found? {
                return Ok(true);
            }
        }
        self.chunk = Chunk::default();
        Ok(false)
    }

    /// Reads everything of the range into memory, so that the file is closed.
    pub(super) fn read_all(&mut self, names: &mut Names, labels: &mut Labels) -> Result<usize> {
        let mut chunks = VecDeque::new();
        let mut size = 0;
        while self.first(names, labels)? {
            let chunk = std::mem::take(&mut self.chunk);
            size += chunk.size();
            chunks.push_back(chunk);
        }
        (self.page_codes, self.event_codes) = (Remap::default(), Remap::default());
        self.source_hashes = SourceHashes::default();
        self.waiting = chunks;
        Ok(size)
    }

    fn next_chunk(&mut self, batches: &mut Batches, names: &mut Names, labels: &mut Labels) -> Result<bool> {
        while let Some(batch) = batches.next()? {
            self.fill(batches, batch, names, labels)?;
            if self.chunk.len() > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn fill(
        &mut self,
        batches: &mut Batches,
        batch: RecordBatch,
        names: &mut Names,
        labels: &mut Labels,
    ) -> Result<()> {
        let rows = batch.num_rows();
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.clear();
        let column = |column| batches.column(&batch, column);
        let ids = column(Column::DistinctId);
        let Some(ts) = column(Column::Ts).and_then(|ts| ts.as_primitive_opt::<TimestampMicrosecondType>()) else {
            return internal_err!("the column ts was not read");
        };
        chunk.ts = ts.values().clone();
        let (labelled, pages, events) = (self.has(Code::Label), self.has(Code::Page), self.has(Code::Event));
        let tells_events = labelled && column(Column::Event).is_some();
        if labelled || pages {
            codes(&mut self.page_codes, column(Column::Page), rows, names, &mut chunk.pages)?;
        }
        if tells_events || events {
            codes(&mut self.event_codes, column(Column::Event), rows, names, &mut chunk.events)?;
        }
        if tells_events {
            labels.extend(names, &chunk.pages, &chunk.events, &mut chunk.labels);
        } else if labelled {
            // By every rule the label of what has no name is its page.
            chunk.labels.extend_from_slice(&chunk.pages);
        }
        // Where nothing but the label is asked for, its sources are not carried on.
        if !pages {
            chunk.pages.clear();
        }
        if !events {
            chunk.events.clear();
        }
        if self.has(Code::Source) {
            self.source_hashes.extend(column(Column::SourceSessionId), rows, &mut chunk.sources)?;
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
        self.cut_runs(batches, &mut chunk, ids)?;
        chunk.rows = self.keeps_rows.then_some(batch);
        chunk.ties = batches.ties();
        self.chunk = chunk;
        Ok(())
    }

    /// Cuts the rows into runs, drops those outside the range, and checks the order that everything rests on.
    fn cut_runs(&mut self, batches: &mut Batches, chunk: &mut Chunk, ids: Option<&ArrayRef>) -> Result<()> {
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
            let Some(at) = usize::try_from(key).ok().filter(|&at| at < values.len()) else {
                return Err(damaged(&batches.part.file.path, &"a distinct_id is no text of its dictionary"));
            };
            let id = values.value(at).as_bytes();
            let continues = self.check_order(&batches.part, id, &chunk.ts[row..end])?;
            if self.range.is_before(id) {
                batches.stop();
                break;
            }
            if !self.range.is_after(id) && self.wanted(id) && !(continues && chunk.extend_run(row, end)) {
                chunk.push_run(id, row..end, self.prefix);
            }
            row = end;
        }
        Ok(())
    }

    fn has(&self, code: Code) -> bool {
        self.codes.has(code)
    }

    fn wanted(&mut self, id: &[u8]) -> bool {
        if let Some(people) = &self.people
            && people.next_owners(id, &mut self.place).is_some()
        {
            return false;
        }
        self.ids.as_ref().is_none_or(|ids| ids.binary_search_by(|it| it.as_bytes().cmp(id)).is_ok())
    }

    /// Checks that rows of `id` may follow what was read before; `true` if they continue the same id.
    fn check_order(&mut self, part: &Opened, id: &[u8], ts: &[i64]) -> Result<bool> {
        let order = self.last_id.as_slice().cmp(id);
        let continues = order.is_eq();
        let rises = ts.is_sorted() && !(continues && ts.first().is_some_and(|&first| first < self.last_ts));
        if order.is_gt() || !rises {
            let who = String::from_utf8_lossy(id).into_owned();
            return Err(damaged(&part.file.path, &format!("its rows are not sorted (near {who})")));
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
    let Some(column) = column else {
        out.resize(rows, NONE);
        return Ok(());
    };
    remap.codes(column, names, out)
}
