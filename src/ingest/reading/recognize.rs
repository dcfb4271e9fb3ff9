//! Which source an input is: one that goes on, a copy of what is known, or a new one.
//!
//! ```text
//! head ─► nobody's ───────────────────────────► new source ─┐
//!    └──► a candidate ─ verify ─► continues ────────────────┼─► text │ table
//!                            ├─► shorter ─ prefix? ─► known │
//!                            └─► differs ─► next candidate ─┘
//! ```
//!
//! Deliberately not here: the comparing of bytes (`source/`), what the lines say (`text/`, `table.rs`).

use std::io::Write;
use std::sync::Arc;

use super::{HEAD_BYTES, Next, Opened, Reading, unreadable};
use crate::ingest::error::IngestError;
use crate::ingest::find;
use crate::ingest::group::Pending;
use crate::ingest::input::expand::{Input, Origin};
use crate::ingest::input::plain::{Packing, Plain};
use crate::ingest::prefix;
use crate::ingest::report::SourceReport;
use crate::ingest::source::identify::state_of;
use crate::ingest::source::verify::{Verdict, verify};
use crate::ingest::text::Begin;
use crate::parse::{self, Choice, Chosen, FormatError};
use crate::store::{SourceRow, Table};

impl Reading<'_, '_, '_> {
    pub(super) fn input(&mut self, input: &Input, opened: Opened) -> Result<Next, IngestError> {
        if opened.head.is_empty() || (input.origin.holds() && whole_lines(&opened.head).is_empty()) {
            return Err(IngestError::Empty { name: input.name.clone() });
        }
        if opened.plain.packing == Packing::Parquet {
            let input = self.rereadable(input, opened)?;
            return self.table(&input).map(|()| Next::Done);
        }
        if !self.fresh.candidates(&opened.head)?.is_empty() {
            return Ok(Next::After(Some(opened)));
        }
        let candidates = self.run.known.candidates(&opened.head)?;
        if candidates.is_empty() {
            return self.new_source(input, opened).map(|()| Next::Done);
        }
        let input = &self.rereadable(input, opened)?;
        for row in candidates {
            if self.known(input, row)? {
                return Ok(Next::Done);
            }
        }
        let opened = self.open(input)?;
        self.new_source(input, opened).map(|()| Next::Done)
    }

    /// Reads `input` as the source `row` if it is that; `false` where it is another.
    fn known(&mut self, input: &Input, row: SourceRow) -> Result<bool, IngestError> {
        let state = state_of(&row)?;
        let opened = self.open(input)?;
        let plain = Plain::open(&input.origin, &input.name, &self.raw_bytes)?;
        match verify(plain, &state, row.offset, &self.run.known.seal).map_err(|error| unreadable(input, &error))? {
            Verdict::Continues(mut position) => {
                if !state.tail.named && position.goes_on().map_err(|error| unreadable(input, &error))? {
                    self.forget(&row)?;
                    return Ok(false);
                }
                let chosen = self.choose(input, &opened.head, Some(&row.format))?;
                let pending = pending(input, &chosen, row);
                self.text(input, chosen, pending, Begin::at(*position, state.tail))?;
                Ok(true)
            }
            Verdict::Shorter { verified } => {
                let chosen = self.choose(input, &opened.head, Some(&row.format))?;
                let (format, why) = (chosen.name.clone(), chosen.why.clone());
                let Some((lines, bytes)) =
                    prefix::lines((self.run, self.snapshot), input, chosen, opened, &row, verified)?
                else {
                    return Ok(false);
                };
                let report = SourceReport { name: input.name.clone(), format, why, bytes, ..SourceReport::default() };
                let id = row.source_id.clone();
                let number = self.group.add(Pending { base: row, known_lines: lines, report, ..Pending::default() });
                self.group.name_again(number, id);
                Ok(true)
            }
            Verdict::Differs => Ok(false),
        }
    }

    /// Takes out a source that was named before any of its lines was an event: the text has grown, and gets the name
    /// that it would have had from the start.
    fn forget(&mut self, row: &SourceRow) -> Result<(), IngestError> {
        let snapshot = self.snapshot;
        for part in snapshot.parts(Table::Quarantine).iter().chain(snapshot.parts(Table::Events)) {
            find::by_line(&part.open()?, &row.source_id, 0..u64::MAX, |offset, _, _| {
                self.group.remove_stored(part.table, part, &row.source_id, offset);
                Ok(())
            })?;
        }
        self.group.forgotten.push(row.source_id.clone());
        Ok(())
    }

    fn new_source(&mut self, input: &Input, opened: Opened) -> Result<(), IngestError> {
        let chosen = self.choose(input, &opened.head, None)?;
        let base = SourceRow { first_seen_ts: self.run.now, ..SourceRow::default() };
        let pending = pending(input, &chosen, base);
        self.text(input, chosen, pending, Begin::new(opened))
    }

    /// The format of an input: the one that was asked for; with `auto` the one that a known source had.
    pub(super) fn choose(&self, input: &Input, head: &[u8], known: Option<&str>) -> Result<Chosen, IngestError> {
        let (requested, config) = (self.run.options.format.as_str(), self.run.config);
        let head = if input.origin.holds() { whole_lines(head) } else { head };
        let again = known.filter(|_| requested == "auto").and_then(|known| parse::choose(known, head, config).ok());
        if let Some(Choice::Text(chosen)) = again {
            return Ok(Chosen { why: "as before".to_owned(), ..chosen });
        }
        let chosen = parse::choose(requested, head, config);
        // The message shows a line.
        let told = |source: FormatError| if self.run.rules.privacy.is_some() { source.redacted() } else { source };
        match chosen.map_err(|source| IngestError::Format { name: input.name.clone(), source: told(source) })? {
            Choice::Text(chosen) => Ok(chosen),
            Choice::Parquet { .. } => {
                let why = "it is packed, and only text is unpacked here – unpack it first".to_owned();
                Err(IngestError::Parquet { name: input.name.clone(), why })
            }
        }
    }

    /// The input, put aside first if it can be read only once: it may have to be read again as something else.
    fn rereadable(&self, input: &Input, opened: Opened) -> Result<Input, IngestError> {
        if input.origin.is_rereadable() {
            return Ok(input.clone());
        }
        let Opened { mut plain, mut head } = opened;
        let mut file = self.press.writer.spool()?;
        let mut read = head.len();
        head.resize(HEAD_BYTES, 0);
        while read > 0 {
            file.write_all(&head[..read]).map_err(|error| unreadable(input, &error))?;
            read = plain.fill(&mut head).map_err(|error| unreadable(input, &error))?;
        }
        Ok(Input { origin: Origin::Spool(Arc::new(file)), ..input.clone() })
    }
}

/// The lines of a head that will not grow any more; all of a head that was cut.
fn whole_lines(head: &[u8]) -> &[u8] {
    let cut = head.len() >= HEAD_BYTES;
    if cut { head } else { memchr::memrchr(b'\n', head).map_or(&[], |newline| &head[..=newline]) }
}

/// A source that is about to be read.
pub(super) fn pending(input: &Input, chosen: &Chosen, base: SourceRow) -> Pending {
    let report = SourceReport {
        name: input.name.clone(),
        format: chosen.name.clone(),
        why: chosen.why.clone(),
        ..SourceReport::default()
    };
    let base = SourceRow { name: input.name.clone(), format: chosen.name.clone(), ..base };
    Pending { known_lines: base.lines, base, report, ..Pending::default() }
}
