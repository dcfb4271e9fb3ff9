//! The lines themselves: how each can be read again, and where it goes.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{AsArray, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::report::{Kept, Retried};
use crate::event::{Reject, RejectReason};
use crate::ingest::error::IngestError;
use crate::ingest::find;
use crate::ingest::group::Pending;
use crate::ingest::reading::Reading;
use crate::ingest::rows::buffer::Taken;
use crate::ingest::source::again;
use crate::ingest::source::digest::Fate;
use crate::ingest::source::identify::{PARQUET, state_of};
use crate::parse::{self, Choice, Chosen, FormatError, Framing, LineParser, Outcome};
use crate::privacy;
use crate::store::{Part, Refused, SourceRow, Table, part_options};
use crate::time::Day;

/// The work on refused lines.
pub struct Again<'scope, 'env, 'r> {
    pub reading: Reading<'scope, 'env, 'r>,
    /// By source id.
    pub sources: HashMap<String, Source>,
    pub report: Retried,
}

/// A source with refused lines that are meant.
pub struct Source {
    row: SourceRow,
    way: Way,
    /// Its number in the commit group, once a line of it moves.
    number: Option<usize>,
    /// Lines that its text is needed for: by offset the place of the quarantine part, and the reason so far.
    wanted: BTreeMap<u64, (usize, String)>,
    /// Where its last line without newline begins.
    tail_start: Option<u64>,
    /// What that became, if it was among them.
    tail: Option<Fate>,
}

/// How the lines of a source can be read.
enum Way {
    /// Each by itself.
    Line(Box<dyn LineParser>),
    /// After those before it.
    Text,
    /// Not at all.
    Not(Kept),
}

/// A refused line.
#[derive(Clone, Copy)]
struct Line<'a> {
    source_id: &'a str,
    offset: u64,
    /// Place of its part among those of the quarantine.
    part: usize,
    reason: &'a str,
}

impl Again<'_, '_, '_> {
    /// Every line that is meant and says all by itself; the others are remembered.
    pub fn lines(&mut self, meant: &Refused) -> Result<(), IngestError> {
        let snapshot = self.reading.snapshot;
        let sources = meant.sources(snapshot.sources());
        for (part, stored) in snapshot.quarantine().iter().enumerate() {
            let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(stored.open()?, part_options())?;
            for batch in builder.build()? {
                let batch = batch?;
                let chosen = meant.chooses(&batch, sources.as_ref());
                for at in (0..batch.num_rows()).filter(|at| chosen.value(*at)) {
                    self.row(&batch, at, part)?;
                }
                self.reading.relieve()?;
            }
        }
        Ok(())
    }

    fn row(&mut self, batch: &RecordBatch, at: usize, part: usize) -> Result<(), IngestError> {
        let column = |name: &str| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        let (Some((source_id, offset)), Some(raw)) = (find::line(batch, at), find::raw(batch, at)) else {
            return Err(crate::store::other_columns().into());
        };
        let reason = column("reason").map(|reasons| reasons.value(at)).unwrap_or_default();
        self.report.lines += 1;
        if let Some(why) = lasting(reason) {
            self.report.keep(why, 1);
            return Ok(());
        }
        if !self.sources.contains_key(source_id) {
            let source = self.source(source_id)?;
            self.sources.insert(source_id.to_owned(), source);
        }
        let Some(source) = self.sources.get_mut(source_id) else { return Ok(()) };
        let line = Line { source_id, offset, part, reason };
        match &mut source.way {
            Way::Not(why) => self.report.keep(*why, 1),
            Way::Line(parser) if !privacy::is_redacted(raw) => {
                let mut scratch = Vec::new();
                let outcome = parser.parse(raw, &mut scratch);
                take(&mut self.reading, &mut self.report, source, line, (outcome, raw.len()))?;
            }
            Way::Line(_) | Way::Text => {
                source.wanted.insert(offset, (part, reason.to_owned()));
            }
        }
        Ok(())
    }

    fn source(&self, source_id: &str) -> Result<Source, IngestError> {
        let row = self.reading.run.known.get(source_id).cloned().ok_or_else(|| {
            let detail = "refused lines of which the catalog knows no source".to_owned();
            IngestError::Conservation { name: source_id.to_owned(), detail }
        })?;
        let way = if row.format == PARQUET {
            Way::Not(Kept::ParquetRow)
        } else {
            match parse::choose(&row.format, b"", self.reading.run.config) {
                Ok(Choice::Text(Chosen { framing: Framing::Lines, parser, .. })) if !parser.is_ordered() => {
                    Way::Line(parser)
                }
                Err(FormatError::Unknown { .. }) => Way::Not(Kept::UnknownFormat),
                Err(source) if row.format != again::HEADED => {
                    return Err(IngestError::Format { name: row.name, source });
                }
                _ => Way::Text,
            }
        };
        let tail = if row.format == PARQUET { None } else { Some(state_of(&row)?.tail) };
        let tail_start = tail.and_then(|tail| tail.fate.map(|_| tail.start));
        Ok(Source { row, way, number: None, wanted: BTreeMap::new(), tail_start, tail: None })
    }

    /// The lines that take the text of their source.
    pub fn in_sources(&mut self) -> Result<(), IngestError> {
        let Self { reading, sources, report } = self;
        let seal = reading.run.known.seal.clone();
        for source in sources.values_mut().filter(|source| !source.wanted.is_empty()) {
            let (row, mut wanted) = (source.row.clone(), std::mem::take(&mut source.wanted));
            let failed = |source| IngestError::Format { name: row.name.clone(), source };
            let chosen = again::head(&row).map(|head| parse::choose(&row.format, &head, reading.run.config));
            let Some(Choice::Text(Chosen { framing, mut parser, .. })) = chosen.transpose().map_err(failed)? else {
                report.keep(Kept::SourceGone, wanted.len());
                continue;
            };
            // Once for the proof: rows cannot be taken back.
            if !again::records(&row, framing, &seal, |_, _| Ok(()))? {
                report.keep(Kept::SourceGone, wanted.len());
                continue;
            }
            let mut scratch = Vec::new();
            let same = again::records(&row, framing, &seal, |(offset, _), record| {
                let outcome = parser.parse(record.bytes, &mut scratch);
                let Some((part, reason)) = wanted.remove(&offset) else { return Ok(()) };
                let line = Line { source_id: &row.source_id, offset, part, reason: &reason };
                take(reading, report, source, line, (outcome, record.bytes.len()))?;
                reading.relieve()
            })?;
            if !same || !wanted.is_empty() {
                return Err(IngestError::Changed { name: row.name });
            }
        }
        Ok(())
    }

    /// Where a last line without newline has moved, its source knows it: the line may grow.
    pub fn accounts(&mut self) -> Result<(), IngestError> {
        for source in self.sources.values_mut() {
            if let (Some(fate), Some(number)) = (source.tail.take(), source.number) {
                let mut state = state_of(&source.row)?;
                state.tail.fate = Some(fate);
                self.reading.group.pending[number].base.digest = state.encode();
            }
        }
        Ok(())
    }
}

/// Why a refusal is not a question of the rules.
fn lasting(reason: &str) -> Option<Kept> {
    match RejectReason::of_text(reason) {
        Some(RejectReason::ConflictingDuplicate) => Some(Kept::ConflictingDuplicate),
        Some(RejectReason::TooLong | RejectReason::MessageTooLong) => Some(Kept::TooLong),
        _ => None,
    }
}

/// Takes what a line says now; `said` is that and the line's length.
fn take(
    reading: &mut Reading<'_, '_, '_>,
    report: &mut Retried,
    source: &mut Source,
    line: Line<'_>,
    said: (Outcome<'_>, usize),
) -> Result<(), IngestError> {
    let (run, part) = (reading.run, &reading.snapshot.quarantine()[line.part]);
    let number = *source.number.get_or_insert_with(|| {
        let number = reading.group.add(Pending { base: source.row.clone(), ..Pending::default() });
        reading.group.name(number, line.source_id.to_owned());
        number
    });
    let short = u16::try_from(number).map_err(|_| IngestError::ManySources)?;
    let became = match said.0 {
        Outcome::Event(raw) => match reading.buffer.push(&raw, short, line.offset, &run.rules) {
            Ok(Taken::Stored) => Ok(Fate::Stored(Day::of(raw.ts).0)),
            Ok(Taken::Dropped(rule)) => Ok(Fate::Dropped(rule.to_owned())),
            Err(refused) => Err((refused.text(), u32::try_from(said.1).unwrap_or(u32::MAX))),
        },
        Outcome::Reject(Reject { reason, matched }) => Err((reason.name().into(), matched)),
        Outcome::Drop(rule) => Ok(Fate::Dropped(rule.to_owned())),
    };
    match became {
        Ok(fate) => leave(reading, source, line, (number, part), fate),
        Err(reason) => {
            report.refused += 1;
            if reason.0 != line.reason {
                report.reasons_changed += 1;
                reading.group.refuse_anew(part, line.source_id, line.offset, reason);
            }
        }
    }
    Ok(())
}

/// Takes a line out of the quarantine and counts it where it goes.
fn leave(
    reading: &mut Reading<'_, '_, '_>,
    source: &mut Source,
    line: Line<'_>,
    (number, part): (usize, &Part),
    fate: Fate,
) {
    reading.group.remove_stored(Table::Quarantine, part, line.source_id, line.offset);
    let pending = &mut reading.group.pending[number];
    pending.changed = true;
    pending.base.lines -= 1;
    pending.base.quarantined -= 1;
    pending.tally.lines += 1;
    match &fate {
        Fate::Dropped(rule) => pending.tally.drop_by(rule),
        Fate::Stored(_) | Fate::Quarantined(_) => pending.tally.stored += 1,
    }
    if source.tail_start == Some(line.offset) {
        source.tail = Some(fate);
    }
}
