//! A table for people.
//!
//! ```text
//! ┌──────────┬───────┐      measured on the first MEASURED_ROWS rows, then every further row streams through;
//! │ page     │ views │      numbers flush right and never cut, long texts cut with …, no cell above CELL_WIDTH;
//! ├──────────┼───────┤      a line with the number of rows comes last
//! │ /cart    │    12 │
//! └──────────┴───────┘
//! 1 row
//! ```
//! Where even the narrowest columns do not fit the terminal, a row becomes a record of `name  value` lines.
//!
//! Invariant: memory is bounded by `MEASURED_ROWS` rows, however long the answer.

use std::fmt::Write as _;
use std::io::Write as _;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::value::{Value, is_number, value};
use super::{Look, OutputError, Sink, Writer};
use crate::terminal::neutral;

/// Rows that are looked at before the columns' widths are fixed.
const MEASURED_ROWS: usize = 1_000;
/// The widest cell, in terminal columns.
pub(super) const CELL_WIDTH: usize = 120;
/// A text column is not squeezed below this.
const NARROWEST: usize = 8;

const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// The terminal columns that a text takes.
#[derive(Debug, Clone, Copy)]
pub struct Measure;

impl Measure {
    /// Columns of `text`: wide characters count 2, combining ones 0.
    #[must_use]
    pub fn columns(text: &str) -> usize {
        text.width()
    }

    /// The text within `columns`, its end replaced by `…` where it is longer.
    #[must_use]
    pub fn cut(text: &str, columns: usize) -> String {
        if text.width() <= columns {
            return text.to_owned();
        }
        let mut kept = String::new();
        let mut used = 0;
        for c in text.chars() {
            let width = c.width().unwrap_or(0);
            if used + width + 1 > columns {
                break;
            }
            used += width;
            kept.push(c);
        }
        kept.push('…');
        kept
    }

    /// The text within `columns`, its beginning replaced by `…` where it is longer: what tells paths apart stays.
    #[must_use]
    pub fn cut_start(text: &str, columns: usize) -> String {
        if text.width() <= columns {
            return text.to_owned();
        }
        let mut used = 1;
        let fits = |c: &char| {
            used += c.width().unwrap_or(0);
            used <= columns
        };
        let kept: Vec<char> = text.chars().rev().take_while(fits).collect();
        std::iter::once('…').chain(kept.into_iter().rev()).collect()
    }
}

struct Column {
    name: String,
    number: bool,
    width: usize,
}

struct Cell {
    text: String,
    null: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Rows are still held back to be measured.
    Measuring,
    Grid,
    Records,
}

pub(super) struct Table<'a> {
    columns: Vec<Column>,
    layout: Layout,
    held: Vec<Vec<Cell>>,
    lines: String,
    rows: u64,
    sink: Sink<'a>,
    look: Look,
}

impl<'a> Table<'a> {
    pub(super) fn new(schema: &SchemaRef, sink: Sink<'a>, look: Look) -> Self {
        let columns = schema
            .fields()
            .iter()
            .map(|field| {
                let name = neutral(field.name()).into_owned();
                Column { width: name.width(), name, number: is_number(field.data_type()) }
            })
            .collect();
        let (held, lines) = (Vec::new(), String::new());
        Self { columns, layout: Layout::Measuring, held, lines, rows: 0, sink, look }
    }

    fn cells(&self, batch: &RecordBatch, row: usize) -> Result<Vec<Cell>, OutputError> {
        let cell = |(array, column): (&arrow::array::ArrayRef, &Column)| {
            let value = value(array.as_ref(), row)?;
            let mut text = String::new();
            value.write_readable(&mut text)?;
            let text = neutral(&text);
            let text = if column.number { text.into_owned() } else { Measure::cut(&text, CELL_WIDTH) };
            Ok(Cell { text, null: matches!(value, Value::Null) })
        };
        batch.columns().iter().zip(&self.columns).map(cell).collect()
    }

    /// Fixes the widths, prints the head and lets the held rows go.
    fn start(&mut self) {
        for row in &self.held {
            for (cell, column) in row.iter().zip(&mut self.columns) {
                column.width = column.width.max(cell.text.width());
            }
        }
        self.layout = if self.fit() { Layout::Grid } else { Layout::Records };
        if self.layout == Layout::Grid {
            self.rule('┌', '┬', '┐');
            self.head();
            self.rule('├', '┼', '┤');
        }
        for (at, row) in std::mem::take(&mut self.held).into_iter().enumerate() {
            self.print(&row, at as u64 + 1);
        }
    }

    /// Squeezes the text columns until the table fits the terminal; whether it does.
    fn fit(&mut self) -> bool {
        let Some(screen) = self.look.width else { return true };
        let frame = 3 * self.columns.len() + 1;
        let fixed: usize = self.columns.iter().filter(|column| column.number).map(|column| column.width).sum();
        let texts: Vec<usize> =
            self.columns.iter().filter(|column| !column.number).map(|column| column.width).collect();
        let Some(room) = screen.checked_sub(frame + fixed) else { return false };
        let taken = |cap: usize| texts.iter().map(|width| (*width).min(cap)).sum::<usize>();
        let Some(cap) = (NARROWEST..=CELL_WIDTH.max(NARROWEST)).rev().find(|cap| taken(*cap) <= room) else {
            return false;
        };
        for column in self.columns.iter_mut().filter(|column| !column.number) {
            column.width = column.width.min(cap);
        }
        true
    }

    fn rule(&mut self, left: char, middle: char, right: char) {
        for (at, column) in self.columns.iter().enumerate() {
            self.lines.push(if at == 0 { left } else { middle });
            self.lines.extend(std::iter::repeat_n('─', column.width + 2));
        }
        self.lines.push(right);
        self.lines.push('\n');
    }

    fn head(&mut self) {
        let (on, off) = if self.look.color { (BOLD, PLAIN) } else { ("", "") };
        for column in &self.columns {
            let name = Measure::cut(&column.name, column.width);
            let pad = " ".repeat(column.width - name.width().min(column.width));
            let (before, after) = if column.number { (pad.as_str(), "") } else { ("", pad.as_str()) };
            // Writing to a String cannot fail.
            _ = write!(self.lines, "│ {before}{on}{name}{off}{after} ");
        }
        self.lines.push_str("│\n");
    }

    fn print(&mut self, row: &[Cell], number: u64) {
        match self.layout {
            Layout::Grid => self.print_line(row),
            Layout::Records | Layout::Measuring => self.print_record(row, number),
        }
    }

    fn print_line(&mut self, row: &[Cell]) {
        for (cell, column) in row.iter().zip(&self.columns) {
            let text = if column.number { cell.text.clone() } else { Measure::cut(&cell.text, column.width) };
            let pad = " ".repeat(column.width.saturating_sub(text.width()));
            let (on, off) = if cell.null && self.look.color { (DIM, PLAIN) } else { ("", "") };
            let (before, after) = if column.number { (pad.as_str(), "") } else { ("", pad.as_str()) };
            _ = write!(self.lines, "│ {before}{on}{text}{off}{after} ");
        }
        self.lines.push_str("│\n");
    }

    fn print_record(&mut self, row: &[Cell], number: u64) {
        let names = self.columns.iter().map(|column| column.name.width()).max().unwrap_or(0);
        let room = self.look.width.unwrap_or(CELL_WIDTH).saturating_sub(names + 2).max(NARROWEST);
        _ = writeln!(self.lines, "── row {number} ──");
        for (cell, column) in row.iter().zip(&self.columns) {
            let pad = " ".repeat(names - column.name.width());
            let (on, off) = if cell.null && self.look.color { (DIM, PLAIN) } else { ("", "") };
            _ = writeln!(self.lines, "{}{pad}  {on}{}{off}", column.name, Measure::cut(&cell.text, room));
        }
    }

    fn flush_lines(&mut self) -> Result<(), OutputError> {
        self.sink.write_all(self.lines.as_bytes())?;
        self.lines.clear();
        Ok(())
    }
}

impl Writer for Table<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        for row in 0..batch.num_rows() {
            let cells = self.cells(batch, row)?;
            self.rows += 1;
            if self.layout == Layout::Measuring {
                self.held.push(cells);
                if self.held.len() == MEASURED_ROWS {
                    self.start();
                }
            } else {
                self.print(&cells, self.rows);
            }
        }
        self.flush_lines()
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        if self.columns.is_empty() && self.rows == 0 {
            return Ok(self.sink.flush()?);
        }
        if self.layout == Layout::Measuring {
            self.start();
        }
        if self.layout == Layout::Grid {
            self.rule('└', '┴', '┘');
        }
        _ = writeln!(self.lines, "{} row{}", self.rows, if self.rows == 1 { "" } else { "s" });
        self.flush_lines()?;
        Ok(self.sink.flush()?)
    }
}
