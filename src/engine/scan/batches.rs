//! One part read forward: the Parquet batches of the pages that a range needs, projected and filtered.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{and, filter_record_batch, prep_null_mask_filter};
use arrow::datatypes::SchemaRef;
use datafusion::common::{Result, exec_err};
use datafusion::physical_expr::PhysicalExpr;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowSelection};

use crate::config::Label;
use crate::event::Column;
use crate::limits;

use super::content::Content;
use super::part::{IdPage, Opened, complete, damaged, read_schema};
use super::persons::PersonColumn;
use super::plan::{Code, Redirected, ScanPlan, bind, columns_of};
use super::range::{IdRange, needed_where};
use super::ties::{Stretch, Ties};

/// Rows of a batch where very many parts are merged.
const LEAST_ROWS: usize = 1_024;

/// Reads one part over one range of ids, a batch at a time; the file is open from the first batch to the last, or only
/// for each page where too many parts are merged.
#[derive(Debug)]
pub(super) struct Batches {
    pub part: Opened,
    holds: bool,
    file: Option<Content>,
    /// Rows of a batch: the more parts, the fewer.
    rows: usize,
    groups: std::vec::IntoIter<(usize, Option<RowSelection>)>,
    reader: Option<ParquetRecordBatchReader>,
    /// The rows that the last batch came from, where somebody may ask what orders them.
    stretch: Option<Stretch>,
    /// The columns of a batch.
    pub columns: Vec<Column>,
    schema: SchemaRef,
    steps_only: bool,
    /// Whether somebody may ask what orders rows.
    mixes: bool,
    filter: Option<Arc<dyn PhysicalExpr>>,
    /// Makes the person's column, which stands behind the others, where a condition asks for it.
    persons: Option<PersonColumn>,
}

impl Batches {
    /// Prepares the reading; the file is opened when the first batch is read.
    pub(super) fn new(part: &Opened, plan: &ScanPlan, range: &IdRange) -> Result<Self> {
        let steps_only = plan.steps_only && !part.always_true(Column::IsStep);
        if steps_only && !part.has(Column::IsStep) {
            return Err(damaged(&part.file.path, &"it has no column is_step"));
        }
        let columns = columns(part, plan, steps_only)?;
        let asks_for_person = plan.asks_for_person()?;
        let person = plan.people.clone().filter(|_| asks_for_person);
        let merged = plan.parts.len().max(limits::OPEN_PARTS);
        Ok(Self {
            holds: merged == limits::OPEN_PARTS,
            file: None,
            rows: (limits::BATCH_ROWS * limits::OPEN_PARTS / merged).max(LEAST_ROWS),
            groups: needed_where(part, range, |page| may_hold(page, plan)).into_iter(),
            reader: None,
            stretch: None,
            mixes: plan.mixes(),
            steps_only,
            filter: plan.filter.as_ref().map(|expr| bind(expr, &columns, asks_for_person)).transpose()?,
            persons: person.map(PersonColumn::new),
            schema: read_schema(&columns),
            columns,
            part: part.clone(),
        })
    }

    /// How many rows are still to come from the pages of the range, before the filter.
    pub(super) fn rows_left(&self) -> usize {
        let all = |group: usize| usize::try_from(self.part.row_groups()[group].num_rows()).unwrap_or(0);
        let groups = self.groups.as_slice().iter();
        groups.map(|(group, selection)| selection.as_ref().map_or_else(|| all(*group), RowSelection::row_count)).sum()
    }

    /// The rows of the next batch that pass the filter, perhaps none; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(reader) = &mut self.reader {
                if let Some(batch) = reader.next() {
                    let batch = batch.map_err(|error| damaged(&self.part.file.path, &error))?;
                    let batch = complete(&batch, &self.schema)?;
                    let batch = self.with_persons(batch)?;
                    let kept = self.kept(&batch)?;
                    let rows = batch.num_rows();
                    let batch = match &kept {
                        Some(kept) => filter_record_batch(&batch, kept)?,
                        None => batch,
                    };
                    if let Some(stretch) = &mut self.stretch {
                        (stretch.first, stretch.rows, stretch.kept) = (stretch.first + stretch.rows, rows, kept);
                    }
                    return Ok(Some(batch));
                }
                self.reader = None;
            }
            let Some((group, selection)) = self.groups.next() else {
                self.file = None;
                return Ok(None);
            };
            self.stretch = self.mixes.then(|| Stretch {
                part: self.part.clone(),
                group,
                selection: selection.clone().map(Arc::new),
                first: 0,
                rows: 0,
                kept: None,
            });
            self.reader = Some(self.open_group(group, selection)?);
        }
    }

    /// What orders the rows of the last batch, where somebody may ask.
    pub(super) fn ties(&self) -> Option<Arc<Ties>> {
        self.stretch.clone().map(|stretch| Arc::new(Ties::of(stretch)))
    }

    fn with_persons(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        match &mut self.persons {
            Some(persons) => persons.beside(&batch),
            None => Ok(batch),
        }
    }

    /// Ends the reading: nothing that follows is wanted.
    pub(super) fn stop(&mut self) {
        (self.groups, self.reader) = (Vec::new().into_iter(), None);
    }

    /// A column of a batch, `None` if it is not read.
    pub(super) fn column<'a>(&self, batch: &'a RecordBatch, column: Column) -> Option<&'a ArrayRef> {
        self.columns.iter().position(|&it| it == column).map(|at| batch.column(at))
    }

    /// One reader per row group: a batch across two groups would lose its dictionary.
    fn open_group(&mut self, group: usize, selection: Option<RowSelection>) -> Result<ParquetRecordBatchReader> {
        if !self.holds {
            let content = Content::unheld(&self.part.file);
            return self.part.read_from(content, &self.columns, self.rows, group, selection);
        }
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(self.part.handle()?),
        };
        let file = file.try_clone().map_err(|error| damaged(&self.part.file.path, &error))?;
        self.part.read_from(file, &self.columns, self.rows, group, selection)
    }

    /// Which rows pass the filter; `None`: all.
    fn kept(&self, batch: &RecordBatch) -> Result<Option<BooleanArray>> {
        let steps = if self.steps_only {
            self.column(batch, Column::IsStep).and_then(|column| column.as_boolean_opt()).cloned()
        } else {
            None
        };
        let wanted = match &self.filter {
            Some(filter) => {
                let kept = truth(filter, batch)?;
                Some(match steps {
                    Some(steps) => and(&steps, &kept)?,
                    None => kept,
                })
            }
            None => steps,
        };
        Ok(wanted.filter(|wanted| wanted.true_count() < batch.num_rows()))
    }
}

/// Whether rows that are asked for may be on a page.
fn may_hold(page: &IdPage<'_>, plan: &ScanPlan) -> bool {
    match (&plan.people, &plan.ids) {
        (Some(people), None) if plan.redirected == Redirected::Only => people.has_within(page.min, page.max),
        (_, ids) => page.may_hold(ids.as_deref()),
    }
}

/// The columns of the plan without those that the part's statistics make needless.
fn columns(part: &Opened, plan: &ScanPlan, steps_only: bool) -> Result<Vec<Column>> {
    let mut needs = plan.columns()?;
    let elsewhere = |column: Column| -> Result<bool> {
        let mut named = plan.rows.contains(&column);
        for expr in plan.marks.iter().chain(&plan.filter) {
            named |= columns_of(expr)?.contains(&column);
        }
        Ok(named)
    };
    if !steps_only && !elsewhere(Column::IsStep)? {
        needs.retain(|&column| column != Column::IsStep);
    }
    // The label of a page that is always there needs no event name, and a name that is never there needs no bytes.
    let nameless = part.always_null(Column::Event) || (plan.label == Label::Page && part.never_null(Column::Page));
    let unread = part.always_null(Column::Event) || !plan.codes.has(Code::Event);
    if nameless && unread && !elsewhere(Column::Event)? {
        needs.retain(|&column| column != Column::Event);
    }
    // It only orders what source and place leave equal.
    if part.always_null(Column::EventId) && !elsewhere(Column::EventId)? {
        needs.retain(|&column| column != Column::EventId);
    }
    Ok(needs)
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
