//! What the columns of a relation are built from: one block, walked.

use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::common::{Result, internal_err};
use xxhash_rust::xxh3::xxh3_128;

use crate::config::SourceIds;
use crate::engine::scan::{Block, Names};
use crate::engine::settings::Settings;
use crate::event::Column;
use crate::journey::{Paths, Session, Walk, dwell};

/// What is the same for every block of a pass.
#[derive(Debug, Clone)]
pub struct Facts {
    pub settings: Settings,
    /// When open sessions are judged, µs.
    pub now: i64,
    /// Earliest event of the store, µs.
    pub first_ts: i64,
}

/// Codes whose text is in a list, known for every name so far.
#[derive(Debug, Default)]
pub struct CodeSet {
    texts: Vec<String>,
    members: Vec<bool>,
}

impl CodeSet {
    /// The codes of these texts.
    #[must_use]
    pub fn new(texts: &[String]) -> Self {
        Self { texts: texts.to_vec(), members: vec![false] }
    }

    /// Whether no text is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Learns the codes that are new.
    pub fn follow(&mut self, names: &Names) {
        let known = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        let all = u32::try_from(names.len()).unwrap_or(u32::MAX);
        let texts = &self.texts;
        self.members.extend((known..all).map(|code| texts.iter().any(|text| text == names.text(code))));
    }

    /// Whether the code is in the set.
    #[must_use]
    pub fn has(&self, code: u32) -> bool {
        self.members.get(code as usize).copied().unwrap_or(false)
    }
}

/// One walked block with everything that its columns need.
#[derive(Debug)]
pub struct Tape<'a> {
    pub block: &'a Block,
    pub names: &'a mut Names,
    pub walk: &'a Walk,
    pub facts: &'a Facts,
    pub terminal: &'a CodeSet,
    pub paths: &'a mut Paths,
    /// Stamp of the block's first person and first session.
    pub person_base: u64,
    pub session_base: u64,
    /// Session of each step, made when first asked for.
    owners: Vec<u32>,
    /// Dwell of each step (µs) and whether dwell is about it, made when first asked for.
    dwells: Option<(Vec<i64>, Vec<bool>)>,
    session_ids: Option<StringArray>,
}

impl<'a> Tape<'a> {
    /// A tape over a walked block.
    pub fn new(
        block: &'a Block,
        names: &'a mut Names,
        walk: &'a Walk,
        facts: &'a Facts,
        terminal: &'a CodeSet,
        paths: &'a mut Paths,
        bases: (u64, u64),
    ) -> Self {
        Self {
            block,
            names,
            walk,
            facts,
            terminal,
            paths,
            person_base: bases.0,
            session_base: bases.1,
            owners: Vec::new(),
            dwells: None,
            session_ids: None,
        }
    }

    /// The sessions.
    #[must_use]
    pub fn sessions(&self) -> &'a [Session] {
        &self.walk.sessions
    }

    /// Label of a step.
    #[must_use]
    pub fn label(&self, step: usize) -> u32 {
        self.block.labels()[self.walk.steps[step] as usize]
    }

    /// Time of a step's first event, µs.
    #[must_use]
    pub fn ts(&self, step: usize) -> i64 {
        self.block.ts()[self.walk.steps[step] as usize]
    }

    /// Whether a step is a page view: its label is its page.
    #[must_use]
    pub fn is_view(&self, step: usize) -> bool {
        let row = self.walk.steps[step] as usize;
        let page = self.block.pages()[row];
        page != crate::engine::scan::NONE && page == self.block.labels()[row]
    }

    /// The session of each step.
    pub fn owners(&mut self) -> &[u32] {
        if self.owners.is_empty() {
            self.owners.reserve(self.walk.steps.len());
            for (number, session) in (0u32..).zip(&self.walk.sessions) {
                self.owners.extend(std::iter::repeat_n(number, session.depth() as usize));
            }
        }
        &self.owners
    }

    /// Dwell of each step in µs ([`crate::journey::UNKNOWN`] for none) and whether dwell is about the step.
    pub fn dwells(&mut self) -> &(Vec<i64>, Vec<bool>) {
        let made = self.dwells.take().unwrap_or_else(|| {
            let (mut out, mut counted) = (Vec::new(), Vec::new());
            let mut ts = Vec::new();
            for session in self.sessions() {
                ts.clear();
                ts.extend(session.step_range().map(|step| self.ts(step)));
                let first = session.first_step as usize;
                dwell(&ts, |at| self.is_view(first + at), &mut out, &mut counted);
            }
            (out, counted)
        });
        self.dwells.insert(made)
    }

    /// The people's ids.
    #[must_use]
    pub fn user_ids(&self) -> StringArray {
        StringArray::from_iter_values(self.block.people().map(|person| person.id))
    }

    /// First row of every session.
    #[must_use]
    pub fn first_rows(&self) -> Vec<u32> {
        self.sessions().iter().map(|session| session.first_row).collect()
    }

    /// First row of every step.
    #[must_use]
    pub fn step_rows(&self) -> &'a [u32] {
        &self.walk.steps
    }

    /// 20 hex digits per session: a hash of the person, the source session id and the first event.
    ///
    /// # Errors
    /// The columns that tell were not kept.
    pub fn session_ids(&mut self) -> Result<StringArray> {
        if let Some(made) = &self.session_ids {
            return Ok(made.clone());
        }
        let rows = self.first_rows();
        let honour = self.facts.settings.source_ids == SourceIds::Honour;
        let source_sessions = Texts(self.block.take(Column::SourceSessionId, &rows)?);
        let event_ids = Texts(self.block.take(Column::EventId, &rows)?);
        let sources = Texts(self.block.take(Column::SourceId, &rows)?);
        let offsets = self.block.take(Column::SourceOffset, &rows)?;
        let Some(offsets) = offsets.as_primitive_opt::<Int64Type>() else {
            return internal_err!("source_offset was read as {}", offsets.data_type());
        };
        let mut key = String::new();
        let mut text = String::new();
        let mut ids = arrow::array::StringBuilder::with_capacity(rows.len(), rows.len() * 20);
        for (at, session) in self.sessions().iter().enumerate() {
            key.clear();
            key.push_str(self.block.person(session.person as usize).id);
            key.push('\0');
            key.push_str(source_sessions.get(at).filter(|_| honour).unwrap_or_default());
            key.push('\0');
            if let Some(event) = event_ids.get(at) {
                key.push_str(event);
            } else {
                // Writing to a String cannot fail.
                let _ = write!(key, "{}:{}", sources.get(at).unwrap_or_default(), offsets.value(at));
            }
            text.clear();
            let _ = write!(text, "{:032x}", xxh3_128(key.as_bytes()));
            ids.append_value(&text[..20]);
        }
        let ids = ids.finish();
        self.session_ids = Some(ids.clone());
        Ok(ids)
    }
}

/// A text column as `Dictionary` or view.
pub(super) struct Texts(pub(super) ArrayRef);

impl Texts {
    pub(super) fn get(&self, at: usize) -> Option<&str> {
        if let Some(views) = self.0.as_string_view_opt() {
            return views.is_valid(at).then(|| views.value(at));
        }
        let codes = self.0.as_dictionary_opt::<Int32Type>()?;
        Some(codes.values().as_string_opt::<i32>()?.value(codes.key(at)?))
    }
}
