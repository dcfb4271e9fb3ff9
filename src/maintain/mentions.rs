//! What other people's events say of somebody who goes: the ids are cut out of it, the events stay.
//!
//! | column | |
//! |---|---|
//! | `event`, `method`, `path`, `referrer`, `user_agent` | a text that is an id, or has one of 8 bytes and more inside |
//! | `properties` | the same in each string, key and number of the JSON, which stays JSON |
//! | `page`, `is_step` | as the rules derive them from the rest; cut like a path where the day was derived by other rules |
//!
//! Deliberately not here: ids of other people and of sources, which tell whose event it is and which line; the proof says
//! where one of them has the id inside.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::derive::Derivation;
use super::error::MaintainError;
use crate::config::Config;
use crate::event::Column;
use crate::privacy::Identifiers;
use crate::store::{Part, Table, other_columns, part_options};

/// What an event says, as far as no rule derives it.
const SAID: [Column; 6] =
    [Column::Event, Column::Method, Column::Path, Column::Referrer, Column::UserAgent, Column::Properties];

/// The ids to cut, and what stands there instead.
pub(super) struct Mentions<'a> {
    identifiers: &'a Identifiers,
    instead: &'a str,
    derivation: Derivation,
    /// The fingerprint of the rules by which it derives.
    rules: String,
    /// Events that said one.
    pub cut: u64,
}

impl<'a> Mentions<'a> {
    pub(super) fn new(identifiers: &'a Identifiers, instead: &'a str, config: &Config) -> Result<Self, MaintainError> {
        let derivation = Derivation::new(config)?;
        Ok(Self { identifiers, instead, derivation, rules: config.rules_fingerprint(), cut: 0 })
    }

    /// Whether some event of a part says one.
    pub(super) fn are_in(&self, part: &Part) -> Result<bool, MaintainError> {
        if part.table != Table::Events {
            return Ok(false);
        }
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(part.open()?, part_options())?;
        let columns = SAID.iter().chain(&[Column::Page]).map(|column| column.name());
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
        for batch in builder.with_projection(mask).build()? {
            for column in batch?.columns() {
                let Some(texts) = column.as_string_opt::<i32>() else {
                    return Err(MaintainError::Part(other_columns()));
                };
                if texts.iter().flatten().any(|text| self.identifiers.are_in_value(text.as_bytes())) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The rows of a part under these rules without what they say.
    pub(super) fn cut(&mut self, batch: &RecordBatch, rules: &str) -> Result<RecordBatch, MaintainError> {
        let derives = rules == self.rules;
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        let mut said = vec![false; batch.num_rows()];
        for column in SAID.into_iter().chain((!derives).then_some(Column::Page)) {
            let texts = batch.column(column as usize).as_string::<i32>();
            let cut = |text: &str| match column {
                Column::Properties => self.identifiers.cut_json(text, self.instead),
                _ => self.identifiers.cut_value(text, self.instead),
            };
            let found: Vec<Option<String>> = texts.iter().map(|text| cut(text?)).collect();
            if found.iter().any(Option::is_some) {
                let new: StringArray = texts.iter().zip(&found).map(|(text, cut)| cut.as_deref().or(text)).collect();
                columns[column as usize] = Arc::new(new);
                said.iter_mut().zip(&found).for_each(|(said, cut)| *said |= cut.is_some());
            }
        }
        self.cut += said.iter().filter(|said| **said).count() as u64;
        let batch = RecordBatch::try_new(batch.schema(), columns)?;
        if derives { self.derivation.batch(&batch) } else { Ok(batch) }
    }
}
