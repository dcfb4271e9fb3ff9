//! Rows of a Parquet file: the same way as lines, with the row number in place of the byte offset.
//!
//! ```text
//! file ─ hash of all bytes ─► known? ─► all rows are duplicates
//!                         └─► new source ─ reader thread: batches ─► ColumnParser ─► event ─► buffer
//! ```
//!
//! A Parquet file cannot grow in place, so it is known as a whole or not at all; its source id is a hash of its bytes.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::Builder;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::json::LineDelimitedWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use xxhash_rust::xxh3::Xxh3;

use super::error::IngestError;
use super::group::Pending;
use super::input::expand::{Input, Origin};
use super::reading::{Reading, unreadable};
use super::report::SourceReport;
use super::rows::buffer::Taken;
use super::source::again;
use super::source::identify::PARQUET;
use crate::event::Refused;
use crate::limits;
use crate::parse::{ColumnParser, Outcome};
use crate::privacy::ERASED;
use crate::store::SourceRow;

/// Batches that the reader may be ahead.
const AHEAD: usize = 4;
/// Bytes hashed at a time.
const HASH_CHUNK: usize = 1 << 20;
/// Decoded bytes that a batch aims at.
const BATCH_BYTES: i64 = 16 << 20;

/// What becomes of a row: its number, what it says, and where it stands.
type Take<'a, R> = &'a mut dyn FnMut(&mut R, u64, Outcome<'_>, (&RecordBatch, usize)) -> Result<(), IngestError>;

impl Reading<'_, '_, '_> {
    /// Reads a Parquet file into the buffer, unless it is known.
    ///
    /// # Errors
    /// It cannot be read, has no column that names the time, or the store fails.
    pub fn table(&mut self, input: &Input) -> Result<(), IngestError> {
        let requested = self.run.options.format.as_str();
        if requested != "auto" && requested != PARQUET {
            let why = format!("it was to be read as '{requested}' – use --format auto or parquet");
            return Err(IngestError::Parquet { name: input.name.clone(), why });
        }
        let file = open(input)?;
        let (hash, bytes) = hash(&file).map_err(|error| unreadable(input, &error))?;
        let why = "it begins with PAR1".to_owned();
        let name = input.name.clone();
        let report = SourceReport { name: name.clone(), format: PARQUET.to_owned(), why, bytes, ..Default::default() };
        if let Some(row) = self.run.known.table(hash).or_else(|| self.fresh.table(hash)).cloned() {
            let id = row.source_id.clone();
            let number = self.group.add(Pending { known_lines: row.lines, base: row, report, ..Pending::default() });
            self.group.name_again(number, id);
            return Ok(());
        }
        let id = self.run.known.source_id(&hash.to_le_bytes(), |id, known| !known && self.group.number(id).is_none());
        let base = SourceRow {
            name,
            format: PARQUET.to_owned(),
            digest: self.run.known.seal.tables(hash).swap_remove(0),
            first_seen_ts: self.run.now,
            ..Default::default()
        };
        let number = self.group.add(Pending { base, report, ..Pending::default() });
        self.group.name(number, id);
        self.rows(input, file, &mut |reading, row, outcome, at| reading.row(number, row, outcome, at))?;
        let pending = &mut self.group.pending[number];
        pending.changed = true;
        pending.base.offset = pending.tally.lines;
        self.done.lines += pending.tally.lines;
        self.plain_bytes += bytes;
        self.complete(number)
    }

    /// Takes the rows at `numbers`, ascending, of the table `row`, which has this number in the group, as the rules have
    /// them now.
    ///
    /// # Errors
    /// The file does not have the table's bytes any more, or the store fails.
    pub fn table_again(&mut self, row: &SourceRow, number: usize, numbers: &[u64]) -> Result<(), IngestError> {
        let changed = || IngestError::Changed { name: row.name.clone() };
        let origin = Origin::File(again::path(row).ok_or_else(changed)?);
        let mut input = Input { origin, name: row.name.clone(), bytes: 0, listed: false };
        let file = open(&input)?;
        let (hash, bytes) = hash(&file).map_err(|error| unreadable(&input, &error))?;
        if !self.run.known.seal.tables(hash).contains(&row.digest) {
            return Err(changed());
        }
        input.bytes = bytes;
        let mut wanted = numbers.iter().copied().peekable();
        self.rows(&input, file, &mut |reading, row, outcome, at| match wanted.next_if_eq(&row) {
            Some(_) => reading.row(number, row, outcome, at),
            None => Ok(()),
        })?;
        if wanted.next().is_some() { Err(changed()) } else { Ok(()) }
    }

    fn rows(&mut self, input: &Input, file: File, take: Take<'_, Self>) -> Result<(), IngestError> {
        let failed = |why: String| IngestError::Parquet { name: input.name.clone(), why };
        let meta =
            ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(|error| failed(error.to_string()))?;
        let options = ArrowReaderOptions::new().with_schema(coded(meta.schema()));
        // Where the file's own types cannot be read as codes they are read as they are.
        let meta = ArrowReaderMetadata::load(&file, options).unwrap_or(meta);
        let mut parser = ColumnParser::new(meta.schema(), self.run.config)
            .map_err(|source| IngestError::Format { name: input.name.clone(), source })?;
        let all_rows = u64::try_from(meta.metadata().file_metadata().num_rows()).unwrap_or(u64::MAX).max(1);
        let batch_rows = batch_rows(&meta);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, meta)
            .with_batch_size(batch_rows)
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let (send, batches) = mpsc::sync_channel(AHEAD);
        let thread = Builder::new().name("reader".to_owned());
        thread
            .spawn_scoped(self.scope, move || reader.map(|batch| send.send(batch)).take_while(Result::is_ok).count())
            .map_err(|_| IngestError::Thread)?;
        let (mut row, mut scratch) = (0, Vec::new());
        for batch in &batches {
            let batch = batch.map_err(|error| failed(error.to_string()))?;
            parser.bind(&batch).map_err(|source| IngestError::Format { name: input.name.clone(), source })?;
            for at in 0..batch.num_rows() {
                take(self, row, parser.row(at, &mut scratch), (&batch, at))?;
                row += 1;
            }
            let share = u128::from(input.bytes) * u128::from(row) / u128::from(all_rows);
            self.raw_bytes.store(u64::try_from(share).unwrap_or(u64::MAX), std::sync::atomic::Ordering::Relaxed);
            self.breathe(input, row)?;
        }
        Ok(())
    }

    #[inline]
    fn row(
        &mut self,
        number: usize,
        row: u64,
        outcome: Outcome<'_>,
        (batch, at): (&RecordBatch, usize),
    ) -> Result<(), IngestError> {
        let tally = &mut self.group.pending[number].tally;
        tally.lines += 1;
        #[expect(clippy::cast_possible_truncation, reason = "a group has fewer sources than 2^16")]
        let source = number as u16;
        let refused = match outcome {
            Outcome::Event(raw) => match self.buffer.push(&raw, source, row, &self.run.rules) {
                Ok(Taken::Stored) => {
                    tally.stored += 1;
                    return Ok(());
                }
                Ok(Taken::Dropped(rule)) => {
                    tally.drop_by(rule);
                    return Ok(());
                }
                Err(refused) => refused,
            },
            Outcome::Reject(reject) => reject.reason.into(),
            Outcome::Drop(rule) => {
                tally.drop_by(rule);
                return Ok(());
            }
        };
        self.refuse_row(number, row, &refused, &json(&batch.slice(at, 1))?);
        Ok(())
    }

    #[cold]
    fn refuse_row(&mut self, number: usize, row: u64, reason: &Refused, raw: &[u8]) {
        let source = u32::try_from(number).unwrap_or(u32::MAX);
        if self.run.rules.is_forgotten(raw) {
            self.group.pending[number].tally.drop_by(ERASED);
            return;
        }
        let kept = self.run.rules.kept(raw);
        self.buffer.refusals.push((source, row, row + 1), reason, 0, &kept);
        let pending = &mut self.group.pending[number];
        pending.tally.quarantined += 1;
        pending.report.problem(row + 1, reason, 0, &kept);
    }
}

fn open(input: &Input) -> Result<File, IngestError> {
    let file = match &input.origin {
        Origin::File(path) | Origin::Pipe(path) => File::open(path),
        Origin::Spool(file) => file.try_clone(),
        Origin::Followed(cut) => cut.file.try_clone(),
        Origin::Stdin => Err(io::Error::other("a stream was not put aside")),
    };
    file.map_err(|error| unreadable(input, &error))
}

/// The 128-bit hash of a file and its size in bytes.
pub fn hash(file: &File) -> io::Result<(u128, u64)> {
    use std::io::Seek;
    let mut file = file.try_clone()?;
    file.rewind()?;
    let (mut state, mut buffer, mut bytes) = (Xxh3::new(), vec![0; HASH_CHUNK], 0);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((state.digest128(), bytes));
        }
        state.update(&buffer[..read]);
        bytes += read as u64;
    }
}

/// The schema with text as dictionary codes: what repeats is decoded once.
fn coded(schema: &Schema) -> SchemaRef {
    let code = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let kind = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            Arc::new(field.as_ref().clone().with_data_type(kind))
        }
        _ => Arc::clone(field),
    };
    Arc::new(Schema::new_with_metadata(schema.fields().iter().map(code).collect::<Vec<_>>(), schema.metadata().clone()))
}

/// Rows of a batch, fewer where rows are large.
fn batch_rows(meta: &ArrowReaderMetadata) -> usize {
    let groups = meta.metadata().row_groups();
    let bytes: i64 = groups.iter().map(parquet::file::metadata::RowGroupMetaData::total_byte_size).sum();
    let rows = meta.metadata().file_metadata().num_rows().max(1);
    let fit = BATCH_BYTES / (bytes / rows).max(1);
    usize::try_from(fit).unwrap_or(limits::BATCH_ROWS).clamp(16, limits::BATCH_ROWS)
}

/// A row as a JSON object: what the quarantine keeps of it.
fn json(row: &RecordBatch) -> Result<Vec<u8>, IngestError> {
    let mut bytes = Vec::new();
    let mut writer = LineDelimitedWriter::new(&mut bytes);
    writer.write(row)?;
    writer.finish()?;
    drop(writer);
    bytes.truncate(bytes.trim_ascii_end().len());
    Ok(bytes)
}
