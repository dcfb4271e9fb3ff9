//! Erasure below the tables: what the catalog says of somebody, and the proof that no file of the store tells of them.
//!
//! ```text
//! every file below the store ─┬─ Parquet: every value of every text column, decoded
//!                             ├─ catalog: every text and blob of every table
//!                             └─ all of them: the raw bytes, for identifiers of 8 bytes and more
//! ```
//!
//! Invariants: a file that cannot be read is an error, never a file without a hit; parts that a reader still holds are
//! looked at like all others.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use serde::Serialize;

use super::{Store, StoreError, Writer};
use crate::limits;
use crate::privacy::Identifiers;
use crate::time::Stopwatch;

/// Seconds that an erasure waits for readers of what it has replaced.
const READERS: f64 = 3.0;

/// What was looked at for the proof of an erasure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Proof {
    pub files: usize,
    /// Bytes of the files, as they lie on the disk.
    pub bytes: u64,
    /// Decoded values of Parquet files and of the catalog.
    pub values: u64,
    /// Files that still tell, below the store's folder.
    pub hits: Vec<String>,
}

impl Store {
    /// Looks for identifiers in every file of the store.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn prove_gone(&self, identifiers: &Identifiers) -> Result<Proof, StoreError> {
        let mut files = Vec::new();
        walk(self.dir(), &mut files)?;
        let mut proof = Proof::default();
        // SQLite's own files are its own to open: closing another handle would drop its locks. What it has of them is
        // looked at below; a log that a reader keeps from being emptied cannot be, and counts as telling.
        let (its, files): (Vec<PathBuf>, Vec<PathBuf>) = files.into_iter().partition(|path| is_sqlite(path));
        for path in its {
            let bytes = fs::metadata(&path).map_err(|error| StoreError::io("reading", &path, error))?.len();
            proof.files += 1;
            proof.bytes += bytes;
            if bytes > 0 && path.to_string_lossy().ends_with("-wal") {
                proof.hits.push(self.below(&path));
            }
        }
        for path in files {
            let file = File::open(&path).map_err(|error| StoreError::io("reading", &path, error))?;
            let bytes = file.metadata().map_err(|error| StoreError::io("reading", &path, error))?.len();
            proof.files += 1;
            proof.bytes += bytes;
            let mut hit = bytes > 0 && raw(&file, &path, identifiers)?;
            if path.extension().is_some_and(|extension| extension == "parquet") {
                hit |= decoded(&file, &path, identifiers, &mut proof.values)?;
            }
            if hit {
                proof.hits.push(self.below(&path));
            }
        }
        let told = self.catalog().tells(identifiers, &mut proof.values)?;
        if identifiers.are_inside(&self.catalog().bytes()?) {
            proof.hits.push("catalog.sqlite".to_owned());
        }
        proof.hits.extend(told.into_iter().map(|table| format!("catalog.sqlite, table {table}")));
        Ok(proof)
    }
}

impl Store {
    /// When people who were erased left devices that others have too, by device (µs).
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn erased_log_outs(&self) -> Result<Vec<(String, i64)>, StoreError> {
        self.catalog().log_outs()
    }

    fn below(&self, path: &Path) -> String {
        path.strip_prefix(self.dir()).unwrap_or(path).display().to_string()
    }
}

/// Whether a file is the catalog's, its log's or its index of the log.
fn is_sqlite(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("catalog.sqlite"))
}

impl Writer {
    /// Removes what was replaced, and leaves nothing of what was deleted in the catalog's log. Who still reads it is
    /// waited for, but no longer than three seconds: most queries are over by then.
    ///
    /// # Errors
    /// A file cannot be removed, or the catalog cannot be written to.
    pub fn clear(&mut self) -> Result<(), StoreError> {
        let since = Stopwatch::start();
        while !self.sweep()? && since.seconds() < READERS {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.catalog_mut().checkpoint()
    }
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), StoreError> {
    let failed = |error| StoreError::io("listing", dir, error);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() { walk(&path, files)? } else { files.push(path) }
    }
    files.sort();
    Ok(())
}

fn raw(file: &File, path: &Path, identifiers: &Identifiers) -> Result<bool, StoreError> {
    use std::io::Read as _;
    let mut reader = file;
    let mut window = vec![0; 4 << 20];
    // What may begin in one window and end in the next.
    let overlap = identifiers.longest();
    let mut kept = 0;
    loop {
        let read = reader.read(&mut window[kept..]).map_err(|error| StoreError::io("reading", path, error))?;
        if read == 0 {
            return Ok(false);
        }
        let filled = kept + read;
        if identifiers.are_inside(&window[..filled]) {
            return Ok(true);
        }
        kept = overlap.min(filled);
        window.copy_within(filled - kept..filled, 0);
    }
}

/// Whether a value of a text or binary column is an identifier.
fn decoded(file: &File, path: &Path, identifiers: &Identifiers, values: &mut u64) -> Result<bool, StoreError> {
    let failed = |error| StoreError::encode(path, error);
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let plain = ArrowReaderMetadata::load(file, options.clone()).map_err(failed)?;
    let schema = plain.schema();
    let is_text = |leaf: &usize| matches!(schema.field(*leaf).data_type(), DataType::Utf8 | DataType::Binary);
    for leaf in (0..schema.fields().len()).filter(is_text) {
        for (number, group) in plain.metadata().row_groups().iter().enumerate() {
            let is_coded = group.column(leaf).dictionary_page_offset().is_some();
            let mut fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone()).collect();
            fields[leaf] = fields[leaf].clone().with_data_type(read_type(fields[leaf].data_type(), is_coded));
            let options = options.clone().with_schema(Schema::new(fields).into());
            let metadata = ArrowReaderMetadata::try_new(plain.metadata().clone(), options).map_err(failed)?;
            let handle = file.try_clone().map_err(|error| StoreError::io("reading", path, error))?;
            let mask = ProjectionMask::leaves(metadata.parquet_schema(), [leaf]);
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(handle, metadata)
                .with_row_groups(vec![number])
                .with_projection(mask)
                .with_batch_size(limits::BATCH_ROWS)
                .build()
                .map_err(failed)?;
            let mut seen = None;
            for batch in reader {
                let batch = batch.map_err(|error| StoreError::encode(path, error.into()))?;
                if has(batch.column(0), identifiers, &mut seen, values) {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// The type to look at a column in: each text of a dictionary once.
fn read_type(stored: &DataType, is_coded: bool) -> DataType {
    match stored {
        DataType::Utf8 if is_coded => DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into()),
        DataType::Utf8 => DataType::Utf8View,
        other => other.clone(),
    }
}

/// Whether a column has one; the dictionary that was `seen` last is not looked at again.
fn has(column: &ArrayRef, identifiers: &Identifiers, seen: &mut Option<StringArray>, values: &mut u64) -> bool {
    *values += column.len() as u64;
    if let Some(codes) = column.as_dictionary_opt::<Int32Type>() {
        let Some(texts) = codes.values().as_string_opt::<i32>() else { return true };
        let same = |seen: &StringArray| seen.value_data().as_ptr() == texts.value_data().as_ptr();
        if seen.as_ref().is_some_and(same) {
            return false;
        }
        *seen = Some(texts.clone());
        return texts.iter().flatten().any(|text| identifiers.are_in_value(text.as_bytes()));
    }
    if let Some(texts) = column.as_string_view_opt() {
        return texts.iter().flatten().any(|text| identifiers.are_in_value(text.as_bytes()));
    }
    match column.as_binary_opt::<i32>() {
        Some(lines) => lines.iter().flatten().any(|line| identifiers.are_told_by(line)),
        // A column of another type has to be looked at before anything is proved.
        None => true,
    }
}
