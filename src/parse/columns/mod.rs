//! Rows of Arrow batches (a Parquet input) as events, by the same names as NDJSON.
//!
//! ```text
//! schema ─► ColumnParser::new     which column stands for which field, once per file
//! batch  ─► bind                  downcasts, times, numbers as text, properties as JSON: column by column
//! row    ─► row                   slices of the bound columns
//! ```
//!
//! Rules: as in [`json`](super::json): of several columns for one field the best-ranked that is not null counts and
//! the others are properties; a struct from which a field was taken stays a property. A null is absent, in properties
//! too. Of several time columns the best-ranked is the time for every row.
//!
//! Invariants: the only module of this room that knows Arrow.

mod texts;
mod times;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, FieldRef, Fields, Schema};
use arrow::json::writer::{EncoderOptions, NullableEncoder, make_encoder};

use super::error::FormatError;
use super::json::{self, Names};
use super::row::{self, Properties, Records, Role, Row, json_key};
use super::span::Span;
use super::{Outcome, refuse};
use crate::config::Config;
use crate::event::RejectReason;
use texts::Texts;

/// The parser of one schema.
#[derive(Debug)]
pub struct ColumnParser {
    zone_micros: i64,
    time: Source,
    /// Best rank first within a role.
    sources: Vec<Source>,
    /// A struct or map that is the properties.
    given: Option<(usize, FieldRef)>,
    /// Columns that are properties in every row: number, field and `"name":`.
    others: Vec<(usize, FieldRef, Vec<u8>)>,
    bound: Bound,
}

/// A column, or a field inside of a struct, that stands for a role.
#[derive(Debug, Clone)]
struct Source {
    /// The column's number, then the numbers of fields inside.
    path: Vec<usize>,
    role: Role,
    rank: u8,
    /// `"name":` where it is a property in rows that have a better one; `None` inside of a struct.
    key: Option<Vec<u8>>,
    kind: DataType,
}

/// What the batch at hand says.
#[derive(Debug, Default)]
struct Bound {
    /// µs since 1970, [`times::UNKNOWN`] where there is none.
    times: Vec<i64>,
    /// In the order of the sources.
    texts: Vec<Texts>,
    given: Encoded,
    others: Encoded,
}

/// JSON of every row, the rows one after another.
#[derive(Debug, Default)]
struct Encoded {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Encoded {
    fn row(&self, row: usize) -> &[u8] {
        let end = self.ends.get(row).copied().unwrap_or(0);
        let start = row.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.bytes.get(start..end).unwrap_or_default()
    }
}

impl ColumnParser {
    /// Finds the fields' columns.
    ///
    /// # Errors
    /// No column, or one of no fitting type, holds the time.
    pub fn new(schema: &Schema, config: &Config) -> Result<Self, FormatError> {
        let invalid = |message: String| FormatError::Invalid { name: "parquet".to_owned(), message };
        let zone_micros = config.parse.zone_micros().map_err(invalid)?;
        let names = Names::new(Records::Events, json::EVENTS, &config.fields);
        let mut found = Finder { names: &names, sources: Vec::new() };
        found.fields(schema.fields(), 0, &[]);
        let mut sources = found.sources;
        sources.sort_by_key(|source| (source.role as usize, source.rank));
        let times: Vec<usize> = (0..sources.len()).filter(|at| sources[*at].role == Role::Ts).collect();
        let time = times.first().map(|at| sources[*at].clone()).ok_or_else(|| {
            let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            let columns = columns.join(", ");
            invalid(format!("no column names the time – ts, timestamp or time, or [fields] ts – but: {columns}"))
        })?;
        if !times::is_time(&time.kind) {
            let name = schema.field(time.path[0]).name();
            return Err(invalid(format!("the column {name} of type {} is no time", time.kind)));
        }
        sources.retain(|source| source.role != Role::Ts && texts::is_text(&source.kind));
        let given = schema.fields().iter().enumerate().find(|(_, field)| {
            names.top(field.name().as_bytes(), false).role.is_some_and(|(role, _)| role == Role::Properties)
                && matches!(field.data_type(), DataType::Struct(_) | DataType::Map(_, _))
        });
        let given = given.map(|(number, field)| (number, FieldRef::clone(field)));
        let is_taken = |number: usize| {
            [&time].into_iter().chain(&sources).any(|source| source.path == [number])
                || given.as_ref().is_some_and(|(given, _)| *given == number)
        };
        let others = schema.fields().iter().enumerate().filter(|(number, _)| !is_taken(*number));
        let others =
            others.map(|(number, field)| (number, FieldRef::clone(field), json_key(field.name().as_bytes()))).collect();
        Ok(Self { zone_micros, time, sources, given, others, bound: Bound::default() })
    }

    /// Takes the next batch, of the same schema.
    ///
    /// # Errors
    /// A column has a type that cannot be shown.
    pub fn bind(&mut self, batch: &RecordBatch) -> Result<(), FormatError> {
        self.columns(batch)
            .map_err(|error| FormatError::Invalid { name: "parquet".to_owned(), message: error.to_string() })
    }

    fn columns(&mut self, batch: &RecordBatch) -> Result<(), arrow::error::ArrowError> {
        let rows = batch.num_rows();
        let (time, nulls) = reach(batch, &self.time.path);
        self.bound.times = times::micros(&time, nulls.as_ref(), self.zone_micros)?;
        self.bound.texts.clear();
        for source in &self.sources {
            let (column, nulls) = reach(batch, &source.path);
            self.bound.texts.push(Texts::new(&column, nulls.as_ref())?);
        }
        let options = EncoderOptions::default();
        let mut others = Vec::with_capacity(self.others.len());
        for (number, field, key) in &self.others {
            others.push((key.as_slice(), make_encoder(field, batch.column(*number), &options)?));
        }
        encode(rows, &mut others, &mut self.bound.others);
        let mut given = Vec::new();
        if let Some((number, field)) = &self.given {
            given.push((&b""[..], make_encoder(field, batch.column(*number), &options)?));
        }
        encode(rows, &mut given, &mut self.bound.given);
        Ok(())
    }

    /// The event of a row of the bound batch. `scratch` is an arena; it is cleared first.
    pub fn row<'a>(&'a self, row: usize, scratch: &'a mut Vec<u8>) -> Outcome<'a> {
        scratch.clear();
        let ts = self.bound.times.get(row).copied().unwrap_or(times::UNKNOWN);
        if ts == times::UNKNOWN {
            return Outcome::Reject(refuse(RejectReason::Time, 0));
        }
        let mut fields = Row::EMPTY;
        let properties = Properties::begin(scratch);
        let mut given = inside(self.bound.given.row(row));
        for (source, texts) in self.sources.iter().zip(&self.bound.texts) {
            let Some(text) = texts.row(row) else { continue };
            if fields.get(source.role).is_none() && row::fits(source.role, text) {
                fields.set(source.role, Span::Line(text));
                if source.role == Role::Properties {
                    given = inside(text);
                }
            } else if let Some(key) = &source.key {
                texts.push_property(properties, key, text, scratch);
            }
        }
        for members in [self.bound.others.row(row), given] {
            if !members.is_empty() {
                properties.push_members(members, scratch);
            }
        }
        let properties = properties.end(scratch);
        Outcome::Event(fields.event(Records::Events, ts, properties, scratch))
    }
}

/// What stands between the braces of a JSON object.
fn inside(object: &[u8]) -> &[u8] {
    let object = object.trim_ascii();
    object.get(1..object.len().max(1) - 1).unwrap_or_default().trim_ascii()
}

/// Appends every row's members, nulls left out.
fn encode(rows: usize, encoders: &mut [(&[u8], NullableEncoder<'_>)], out: &mut Encoded) {
    out.bytes.clear();
    out.ends.clear();
    if encoders.is_empty() {
        return;
    }
    for row in 0..rows {
        let start = out.bytes.len();
        for (key, encoder) in encoders.iter_mut() {
            if !encoder.is_null(row) {
                if out.bytes.len() > start {
                    out.bytes.push(b',');
                }
                out.bytes.extend_from_slice(key);
                encoder.encode(row, &mut out.bytes);
            }
        }
        out.ends.push(out.bytes.len());
    }
}

/// The column of a path, and where it is null because a struct around it is.
fn reach(batch: &RecordBatch, path: &[usize]) -> (ArrayRef, Option<NullBuffer>) {
    let Some((first, inner)) = path.split_first() else {
        return (arrow::array::new_empty_array(&DataType::Null), None);
    };
    let mut column = ArrayRef::clone(batch.column(*first));
    let mut nulls = column.nulls().cloned();
    for number in inner {
        let Some(parent) = column.as_struct_opt() else { break };
        let child = ArrayRef::clone(parent.column(*number));
        nulls = NullBuffer::union(nulls.as_ref(), child.nulls());
        column = child;
    }
    (column, nulls)
}

/// Looks for named columns, inside structs too.
struct Finder<'a> {
    names: &'a Names,
    sources: Vec<Source>,
}

impl Finder<'_> {
    fn fields(&mut self, fields: &Fields, table: usize, path: &[usize]) {
        for (number, field) in fields.iter().enumerate() {
            let mut node = self.names.member(table, field.name().as_bytes(), false);
            if node.role.is_none() && path.is_empty() {
                node.role = self.names.any_case(field.name().as_bytes());
            }
            let path: Vec<usize> = path.iter().copied().chain([number]).collect();
            if let (Some(members), DataType::Struct(inner)) = (node.members, field.data_type()) {
                self.fields(inner, members, &path);
            } else if let Some((role, rank)) = node.role {
                let key = (path.len() == 1).then(|| json_key(field.name().as_bytes()));
                self.sources.push(Source { path, role, rank, key, kind: field.data_type().clone() });
            }
        }
    }
}

#[cfg(test)]
mod tests;
