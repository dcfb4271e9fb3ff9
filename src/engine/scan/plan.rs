//! What a pass over the events reads: columns, row filter, conditions; and how parts are cut into ranges.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, plan_err};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column as ColumnExpr;

use crate::config::Label;
use crate::event::Column;
use crate::identity::People;
use crate::time::Day;

use super::overlay::Edges;
use super::part::PartFile;

/// People whom one reader reads as fast as several.
const FEW: usize = 1_000;

/// A code column of a block.
#[derive(Debug, Clone, Copy)]
pub(super) enum Code {
    Label = 1,
    Page = 2,
    Event = 4,
    /// The source session.
    Source = 8,
}

/// The code columns that a pass fills.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Codes(u8);

impl Codes {
    pub(super) fn add(&mut self, code: Code) {
        self.0 |= code as u8;
    }

    pub(super) fn has(self, code: Code) -> bool {
        self.0 & code as u8 != 0
    }
}

/// What a cursor does with ids that are somebody else's, whose rows come under that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Redirected {
    Skip,
    Only,
}

/// A pass over the events of some parts, person by person. Build it with the setters, then open ranges of it.
///
/// Expressions are over the columns of [`crate::event::events`] by **name** (`user_id` is read as `distinct_id`); the
/// indices of their columns are ignored.
#[derive(Debug, Clone)]
pub struct ScanPlan {
    pub(super) parts: Vec<Arc<PartFile>>,
    pub(super) steps_only: bool,
    pub(super) filter: Option<Arc<dyn PhysicalExpr>>,
    pub(super) marks: Vec<Arc<dyn PhysicalExpr>>,
    pub(super) label: Label,
    pub(super) codes: Codes,
    /// Columns that the block keeps as Arrow rows.
    pub(super) rows: Vec<Column>,
    /// Only these `distinct_id`s (sorted), all if absent.
    pub(super) ids: Option<Arc<[String]>>,
    /// Parts that are read only for people whose rows reach within [`ScanPlan::gap`] of them, by first event.
    pub(super) later: Vec<Arc<PartFile>>,
    /// µs
    pub(super) gap: i64,
    /// Who is who, where anybody has several ids.
    pub(super) people: Option<Arc<People>>,
    /// What cursors do with ids that are somebody else's.
    pub(super) redirected: Redirected,
    /// Only these persons, all if absent.
    pub(super) persons: Option<Arc<[String]>>,
    /// What somebody said of rows among sessions.
    pub(super) edges: Option<Arc<Edges>>,
    /// Idle time that ends a session, where edges are asked for; µs.
    pub(super) session_gap: i64,
    /// All parts, where rows of persons that are read apart may matter from any of them.
    pub(super) history: Option<Vec<Arc<PartFile>>>,
}

impl ScanPlan {
    /// A pass over step events with nothing but `ts`.
    #[must_use]
    pub fn new(mut parts: Vec<Arc<PartFile>>) -> Self {
        parts.sort_by(|a, b| (a.day, &a.path).cmp(&(b.day, &b.path)));
        Self {
            parts,
            steps_only: true,
            filter: None,
            marks: Vec::new(),
            label: Label::Auto,
            codes: Codes::default(),
            rows: Vec::new(),
            ids: None,
            later: Vec::new(),
            gap: 0,
            people: None,
            redirected: Redirected::Skip,
            persons: None,
            edges: None,
            session_gap: 0,
            history: None,
        }
    }

    /// Parts that begin at `from` (µs) or later are read only as far as a person's rows run on into them with no pause
    /// longer than `gap`.
    #[must_use]
    pub fn with_later(mut self, from: i64, gap: i64) -> Self {
        (self.later, self.parts) = self.parts.into_iter().partition(|part| part.ts_min >= from);
        self.later.sort_by_key(|part| part.ts_min);
        self.gap = gap;
        self
    }

    /// Only rows for which the predicate is true.
    #[must_use]
    pub fn with_filter(mut self, filter: Option<Arc<dyn PhysicalExpr>>) -> Self {
        self.filter = filter;
        self
    }

    /// Conditions evaluated per row: bit `n` of [`super::Block::marks`] says whether condition `n` is true.
    ///
    /// # Errors
    /// More than 64 conditions.
    pub fn with_marks(mut self, marks: Vec<Arc<dyn PhysicalExpr>>) -> Result<Self> {
        if marks.len() > 64 {
            return plan_err!("{} conditions in one pass, at most 64 fit", marks.len());
        }
        self.marks = marks;
        Ok(self)
    }

    /// Label codes by this rule.
    #[must_use]
    pub fn with_labels(mut self, rule: Label) -> Self {
        self.label = rule;
        self.codes.add(Code::Label);
        self
    }

    /// Page codes.
    #[must_use]
    pub fn with_pages(mut self) -> Self {
        self.codes.add(Code::Page);
        self
    }

    /// Event-name codes.
    #[must_use]
    pub fn with_events(mut self) -> Self {
        self.codes.add(Code::Event);
        self
    }

    /// Each person's rows come grouped by source session id (groups in order of their first row, rows of a group in
    /// the total order) and [`super::Block::sources`] numbers the groups.
    #[must_use]
    pub fn with_sources(mut self) -> Self {
        self.codes.add(Code::Source);
        self
    }

    /// The columns that stay reachable per row through [`super::Block::take`], these and no others.
    #[must_use]
    pub fn with_rows(mut self, columns: impl IntoIterator<Item = Column>) -> Self {
        self.rows = columns.into_iter().collect();
        self.rows.sort_unstable();
        self.rows.dedup();
        self
    }

    /// Whose which id is. Ids that are linked make one person of a block.
    #[must_use]
    pub fn with_people(mut self, people: &Arc<People>) -> Self {
        self.people = (!people.is_empty()).then(|| Arc::clone(people));
        self
    }

    /// What somebody said of rows among sessions; the persons that it names are set apart in the map.
    #[must_use]
    pub fn with_edges(mut self, edges: Option<&Arc<Edges>>, session_gap: i64) -> Self {
        (self.edges, self.session_gap) = (edges.cloned(), session_gap);
        self
    }

    /// Of persons that are read apart, the rows of all these parts.
    #[must_use]
    pub fn with_history(mut self, parts: &[Arc<PartFile>]) -> Self {
        self.history = Some(parts.to_vec());
        self
    }

    /// Only these persons, with all their ids.
    #[must_use]
    pub fn with_persons(mut self, persons: Option<Vec<String>>) -> Self {
        self = self.with_ids(persons);
        self.persons.clone_from(&self.ids);
        self
    }

    /// Only these persons, ascending and each once, with all their ids.
    #[must_use]
    pub fn with_group(mut self, persons: &Arc<[String]>) -> Self {
        (self.ids, self.persons) = (Some(Arc::clone(persons)), Some(Arc::clone(persons)));
        self
    }

    /// Only these ids; anything else is pruned by statistics where possible and skipped for certain.
    #[must_use]
    pub fn with_ids(mut self, ids: Option<Vec<String>>) -> Self {
        self.ids = ids.map(|mut ids| {
            ids.sort();
            ids.dedup();
            ids.into()
        });
        self
    }

    /// Whether somebody or some session is flagged.
    #[must_use]
    pub fn has_flags(&self) -> bool {
        self.edges.as_ref().is_some_and(|edges| edges.flags())
    }

    /// The parts of the pass in day order, without those that few people need.
    #[must_use]
    pub fn parts(&self) -> &[Arc<PartFile>] {
        &self.parts
    }

    /// Whether so few people are read that one reader is enough.
    #[must_use]
    pub fn is_about_few(&self) -> bool {
        self.ids.as_ref().is_some_and(|ids| ids.len() <= FEW)
    }

    /// How many parts are read only for people whose sessions run on into them.
    #[must_use]
    pub fn later_parts(&self) -> usize {
        self.later.len()
    }

    /// Whether some day has several parts, so that equal times need the tie columns.
    pub(super) fn shares_days(&self) -> bool {
        let stored = self.parts.iter().chain(&self.later).filter(|part| part.memory.is_none());
        let mut days: Vec<Day> = stored.map(|part| part.day).collect();
        days.sort_unstable();
        days.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// Whether rows of one person may come out of order.
    pub(super) fn mixes(&self) -> bool {
        // Who is read apart lies in order already, but for what later parts add.
        let moves = |people: &Arc<People>| people.joins() || !self.later.is_empty();
        self.redirected == Redirected::Only || self.people.as_ref().is_some_and(moves) || self.shares_days()
    }

    /// Whether the blocks keep Arrow rows.
    pub(super) fn keeps_rows(&self) -> bool {
        !self.rows.is_empty()
    }

    /// Whether a condition asks for the person.
    pub(super) fn asks_for_person(&self) -> Result<bool> {
        let mut asks = false;
        for expr in self.marks.iter().chain(&self.filter) {
            asks |= self.people.is_some() && names_person(expr)?;
        }
        Ok(asks)
    }

    /// The columns to decode, in file order, and their schema.
    pub(super) fn columns(&self) -> Result<Vec<Column>> {
        let mut columns = vec![Column::DistinctId, Column::Ts];
        let mut want = |wanted: bool, column: Column| {
            if wanted && !columns.contains(&column) {
                columns.push(column);
            }
        };
        let has = |code| self.codes.has(code);
        want(self.steps_only, Column::IsStep);
        want(has(Code::Label) || has(Code::Page), Column::Page);
        want(has(Code::Label) || has(Code::Event), Column::Event);
        want(has(Code::Source), Column::SourceSessionId);
        for &column in &self.rows {
            want(true, column);
        }
        for expr in self.marks.iter().chain(&self.filter) {
            for column in columns_of(expr)? {
                want(true, column);
            }
        }
        columns.sort_unstable();
        Ok(columns)
    }
}

/// The stored columns an expression reads.
///
/// # Errors
/// It names a column that `events` has not.
pub fn columns_of(expr: &Arc<dyn PhysicalExpr>) -> Result<Vec<Column>> {
    let mut found = Vec::new();
    expr.apply(|node| {
        if let Some(column) = node.downcast_ref::<ColumnExpr>() {
            found.push(stored_column(column.name())?);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// Whether an expression reads `user_id`.
///
/// # Errors
/// Never; walking an expression may say so.
pub fn names_person(expr: &Arc<dyn PhysicalExpr>) -> Result<bool> {
    let mut found = false;
    expr.apply(|node| {
        found |= node.downcast_ref::<ColumnExpr>().is_some_and(|column| column.name() == PERSON);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// The person's column.
const PERSON: &str = "user_id";

fn stored_column(name: &str) -> Result<Column> {
    let name = if name == PERSON { Column::DistinctId.name() } else { name };
    let known = Column::ALL.into_iter().find(|column| column.name() == name);
    known.map_or_else(|| plan_err!("no column {name} in events"), Ok)
}

/// The expression with its columns bound to their places in `columns`; where there is a `person` column, it stands
/// behind them.
///
/// # Errors
/// It reads a column that is not among them.
pub fn bind(expr: &Arc<dyn PhysicalExpr>, columns: &[Column], person: bool) -> Result<Arc<dyn PhysicalExpr>> {
    let bound = Arc::clone(expr).transform_up(|node| {
        let Some(column) = node.downcast_ref::<ColumnExpr>() else { return Ok(Transformed::no(node)) };
        if person && column.name() == PERSON {
            return Ok(Transformed::yes(Arc::new(ColumnExpr::new(PERSON, columns.len())) as Arc<dyn PhysicalExpr>));
        }
        let stored = stored_column(column.name())?;
        let Some(at) = columns.iter().position(|&it| it == stored) else {
            return plan_err!("column {} is not read", stored.name());
        };
        Ok(Transformed::yes(Arc::new(ColumnExpr::new(stored.name(), at)) as Arc<dyn PhysicalExpr>))
    })?;
    Ok(bound.data)
}
