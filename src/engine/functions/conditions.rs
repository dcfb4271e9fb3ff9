//! Conditions on the events of a pass: what depends on one name only is decided once per name.
//!
//! ```text
//! '/cart'                                  label code ─► bits     a table look-up per event
//! page LIKE '/product/%', step = 'x'       page, event or label code ─► bits
//! page = '/thanks' AND status < 400        evaluated batch by batch during the scan (the pass's marks)
//! ```

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column as ColumnName, DFSchema, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::{Expr, col, lit, when};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::sql::sqlparser::ast::Expr as SqlExpr;

use super::call::{condition, quoted};
use crate::config::Label;
use crate::engine::predicate::physical;
use crate::engine::scan::{Block, NONE, Names, ScanPlan, page_view_names, read_schema, text_codes};
use crate::event::Column;

/// What a step of a funnel, or a start or return, asks of an event.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    /// Its label is this one.
    Label(String),
    /// A condition over [`columns`].
    Condition(Expr),
}

impl Test {
    /// Reads a label in quotes or a condition over `columns`. `what` names it in messages.
    pub(super) fn read(
        value: &SqlExpr,
        what: &str,
        columns: &DFSchema,
        planner: &mut dyn RelationPlannerContext,
    ) -> Result<Self> {
        match quoted(value) {
            Some(label) => Ok(Self::Label(label.to_owned())),
            None => condition(value.clone(), (what, "label in quotes or a condition"), columns, planner)
                .map(Self::Condition),
        }
    }
}

/// The column that holds an event's label in conditions.
const STEP: &str = "step";
const USER: &str = "user_id";

/// What a condition can ask of: the stored columns, the person and the label.
pub(super) fn columns() -> Result<DFSchema> {
    let stored = read_schema(&Column::ALL);
    let mut fields: Vec<Field> = stored.fields().iter().map(|field| field.as_ref().clone()).collect();
    fields.push(Field::new(USER, text_codes(), false));
    fields.push(Field::new(STEP, text_codes(), true));
    DFSchema::try_from_qualified_schema("steps", &Schema::new(fields))
}

/// Names that a block has codes of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codes {
    Labels,
    Pages,
    Events,
}

impl Codes {
    /// The codes of a column of [`columns`], if it is one of names.
    pub(super) fn of(column: &str) -> Option<Self> {
        match column {
            STEP => Some(Self::Labels),
            _ if column == Column::Page.name() => Some(Self::Pages),
            _ if column == Column::Event.name() => Some(Self::Events),
            _ => None,
        }
    }

    /// The pass with these codes.
    pub(super) fn ask(self, plan: ScanPlan, rule: Label) -> ScanPlan {
        match self {
            Self::Labels => plan.with_labels(rule),
            Self::Pages => plan.with_pages(),
            Self::Events => plan.with_events(),
        }
    }

    /// Each row's code in a block of such a pass.
    pub(super) fn read(self, block: &Block) -> &[u32] {
        match self {
            Self::Labels => block.labels(),
            Self::Pages => block.pages(),
            Self::Events => block.events(),
        }
    }
}

/// A condition on one name.
#[derive(Debug, Clone)]
enum ByName {
    Equals(String),
    Holds(Arc<dyn PhysicalExpr>, SchemaRef),
}

/// Conditions ready for a pass; bit `i` belongs to condition `i + 1`.
#[derive(Debug, Clone, Default)]
pub(super) struct Conditions {
    by_name: Vec<(Codes, u32, ByName)>,
    /// Conditions over several columns, with their bits.
    marks: Vec<(u32, Arc<dyn PhysicalExpr>)>,
}

impl Conditions {
    /// Plans the conditions under the label rule in force.
    pub(super) fn plan<'a>(tests: impl Iterator<Item = &'a Test>, rule: Label, state: &dyn Session) -> Result<Self> {
        let mut conditions = Self::default();
        for (bit, test) in (0..).zip(tests) {
            match test {
                Test::Label(label) => {
                    conditions.by_name.push((Codes::Labels, bit, ByName::Equals(label.clone())));
                }
                Test::Condition(expr) => conditions.add(bit, expr, rule, state)?,
            }
        }
        Ok(conditions)
    }

    fn add(&mut self, bit: u32, expr: &Expr, rule: Label, state: &dyn Session) -> Result<()> {
        let expr = unqualified(expr.clone())?;
        let names: Vec<String> = expr.column_refs().iter().map(|column| column.name.clone()).collect();
        let single = match names.as_slice() {
            [name] => Codes::of(name),
            _ => None,
        };
        match (single, names.first()) {
            (Some(codes), Some(name)) if !expr.is_volatile() => {
                let schema = Arc::new(Schema::new(vec![Field::new(name, text_codes(), true)]));
                let planned = physical(expr, DFSchema::try_from(Arc::clone(&schema))?, state)?;
                self.by_name.push((codes, bit, ByName::Holds(planned, schema)));
            }
            _ => {
                let expr = with_label_spelled_out(expr, rule)?;
                self.marks.push((bit, physical(expr, unqualified_columns()?, state)?));
            }
        }
        Ok(())
    }

    /// The pass with everything that the conditions need.
    pub(super) fn ask(&self, plan: ScanPlan, rule: Label) -> Result<ScanPlan> {
        let plan = plan.with_marks(self.marks.iter().map(|(_, mark)| Arc::clone(mark)).collect())?;
        Ok(self.by_name.iter().fold(plan, |plan, (codes, _, _)| codes.ask(plan, rule)))
    }

    /// The bits that a label decides, with the label.
    pub(super) fn labels(&self) -> impl Iterator<Item = (u32, &str)> {
        self.by_name.iter().filter_map(|(codes, bit, by_name)| match (codes, by_name) {
            (Codes::Labels, ByName::Equals(label)) => Some((*bit, label.as_str())),
            _ => None,
        })
    }
}

pub(super) fn unqualified(expr: Expr) -> Result<Expr> {
    let plain = expr.transform_up(|node| {
        Ok(match node {
            Expr::Column(column) if column.relation.is_some() => {
                Transformed::yes(Expr::Column(ColumnName::new_unqualified(column.name)))
            }
            node => Transformed::no(node),
        })
    })?;
    Ok(plain.data)
}

pub(super) fn unqualified_columns() -> Result<DFSchema> {
    DFSchema::try_from(columns()?.as_arrow().clone())
}

/// The label as an expression over page and event name.
pub(super) fn with_label_spelled_out(expr: Expr, rule: Label) -> Result<Expr> {
    let (page, event) = (col(Column::Page.name()), col(Column::Event.name()));
    let label = match rule {
        Label::Page => when(page.clone().is_not_null(), page).otherwise(event)?,
        Label::Event => when(event.clone().is_not_null(), event).otherwise(page)?,
        Label::Auto => {
            let viewed = event.clone().in_list(page_view_names().iter().map(|&name| lit(name)).collect(), false);
            let is_view = event.clone().is_null().or(viewed.and(page.clone().is_not_null()));
            when(is_view, page).otherwise(event)?
        }
    };
    let spelled = expr.transform_up(|node| {
        Ok(match node {
            Expr::Column(column) if column.name == STEP => Transformed::yes(label.clone()),
            node => Transformed::no(node),
        })
    })?;
    Ok(spelled.data)
}

/// The conditions as tables over the codes of one reader.
#[derive(Debug)]
pub(super) struct Masks<'a> {
    conditions: &'a Conditions,
    /// Codes that the tables cover.
    known: u32,
    labels: Vec<u64>,
    pages: Vec<u64>,
    events: Vec<u64>,
}

impl<'a> Masks<'a> {
    pub(super) fn new(conditions: &'a Conditions) -> Self {
        Self { conditions, known: 0, labels: Vec::new(), pages: Vec::new(), events: Vec::new() }
    }

    /// Extends the tables to the names that have come since.
    pub(super) fn learn(&mut self, names: &mut Names) -> Result<()> {
        let all = u32::try_from(names.len()).unwrap_or(u32::MAX);
        if self.known == all {
            return Ok(());
        }
        for (codes, bit, by_name) in &self.conditions.by_name {
            let table = match codes {
                Codes::Labels => &mut self.labels,
                Codes::Pages => &mut self.pages,
                Codes::Events => &mut self.events,
            };
            table.resize(all as usize, 0);
            match by_name {
                ByName::Equals(label) => {
                    if let Some(code) = names.find(label).filter(|&code| code != NONE) {
                        table[code as usize] |= 1 << bit;
                    }
                }
                ByName::Holds(expr, schema) => {
                    for code in holding(expr, schema, self.known..all, names)? {
                        table[code as usize] |= 1 << bit;
                    }
                }
            }
        }
        self.known = all;
        Ok(())
    }

    /// The conditions that each row of a block meets: calls `take(row, mask)` where `mask` is not 0, or always with
    /// `every`.
    pub(super) fn each(
        &self,
        block: &Block,
        rows: impl Iterator<Item = usize>,
        every: bool,
        mut take: impl FnMut(usize, u64),
    ) {
        let only_labels = self.pages.is_empty() && self.events.is_empty() && self.conditions.marks.is_empty();
        if only_labels {
            let labels = block.labels();
            for row in rows {
                let mask = self.labels[labels[row] as usize];
                if mask != 0 || every {
                    take(row, mask);
                }
            }
            return;
        }
        for row in rows {
            let mask = self.mask(block, row);
            if mask != 0 || every {
                take(row, mask);
            }
        }
    }

    fn mask(&self, block: &Block, row: usize) -> u64 {
        let of = |table: &[u64], codes: &[u32]| if table.is_empty() { 0 } else { table[codes[row] as usize] };
        let mut mask = of(&self.labels, block.labels()) | of(&self.pages, block.pages());
        mask |= of(&self.events, block.events());
        if !self.conditions.marks.is_empty() {
            let marks = block.marks()[row];
            for (at, (bit, _)) in self.conditions.marks.iter().enumerate() {
                mask |= (marks >> at & 1) << bit;
            }
        }
        mask
    }
}

/// The codes whose names meet a condition.
fn holding(
    expr: &Arc<dyn PhysicalExpr>,
    schema: &SchemaRef,
    codes: std::ops::Range<u32>,
    names: &mut Names,
) -> Result<Vec<u32>> {
    let codes: Vec<u32> = codes.collect();
    let options = RecordBatchOptions::new().with_row_count(Some(codes.len()));
    let batch = RecordBatch::try_new_with_options(Arc::clone(schema), vec![names.column(&codes)?], &options)?;
    let held = expr.evaluate(&batch)?.into_array(codes.len())?;
    if *held.data_type() != DataType::Boolean {
        return internal_err!("a condition yields {}", held.data_type());
    }
    Ok(codes.into_iter().zip(held.as_boolean()).filter(|(_, held)| *held == Some(true)).map(|(code, _)| code).collect())
}
