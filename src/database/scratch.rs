//! Every table and view against what comes out of the stored events from scratch.
//!
//! ```text
//! store ─ rebuild ─► scratch store
//!   └─ SELECT * ─► rows, hashed ─► buckets ◄── the same ─┘      a bucket that differs is read again for the row to name
//! ```
//!
//! Invariants: rows are compared as a multiset, whatever their order; memory is that of one bucket.

use std::sync::Arc;

use arrow::array::Array;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use arrow::util::display::array_value_to_string;
use xxhash_rust::xxh3::xxh3_128;

use super::{Answer, Check, Database, Error};
use crate::config::Config;
use crate::engine::Engine;
use crate::maintain::{MaintainError, rebuild};
use crate::store::{Meter, Scratch, Snapshot};

/// Rows are compared in so many groups.
const BUCKETS: u128 = 1 << 12;
/// What is not compared: how the store came about, saved questions, which may have no answer any more, and what holds
/// all of `journeys`, which are compared, in memory.
const NO_CONTENT: [&str; 7] =
    ["audit", "corrections", "late_ledger", "prediction_accuracy", "segments", "segment_members", "segment_feed"];

/// A snapshot and an engine over it.
struct Side {
    snapshot: Snapshot,
    engine: Engine,
}

/// A database that goes with everything in it when this is dropped.
#[derive(Debug)]
pub struct Temporary {
    _scratch: Scratch,
}

/// Number of rows and sum of their hashes, by bucket.
type Content = Vec<(u64, u128)>;

impl Database {
    /// An empty database in `TMPDIR`, and what keeps it there.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn temporary(config: Arc<Config>, now: Option<i64>) -> Result<(Self, Temporary), Error> {
        let scratch = Scratch::create()?;
        Ok((Self { store: Arc::clone(&scratch.store), config, now }, Temporary { _scratch: scratch }))
    }

    /// Rebuilds every table from the stored events in a scratch folder (`TMPDIR`), and compares every table and view
    /// with the store's: one check each.
    ///
    /// # Errors
    /// The store cannot be read, the scratch folder cannot be written to, or a view cannot be computed.
    pub async fn verify_from_scratch(&self, meter: &Meter) -> Result<Vec<Check>, Error> {
        let scratch = Scratch::create()?;
        let snapshot = self.snapshot()?;
        let (store, config, into) = (Arc::clone(&self.store), Arc::clone(&self.config), Arc::clone(&scratch.store));
        let from = snapshot.clone();
        let meter = meter.clone();
        let work = tokio::task::spawn_blocking(move || rebuild(&store, &from, &config, &into, &meter));
        let rebuilt: Result<(), MaintainError> = work.await.map_err(|error| Error::Thread(error.to_string()))?;
        rebuilt?;
        let other = Self { store: Arc::clone(&scratch.store), config: Arc::clone(&self.config), now: self.now };
        let live = Side { engine: self.engine(&snapshot)?, snapshot };
        let snapshot = other.snapshot()?;
        let built = Side { engine: other.engine_with(&snapshot, self.views_dir(), None)?, snapshot };
        let mut checks = Vec::new();
        for name in live.engine.table_names() {
            if !NO_CONTENT.contains(&name.as_str()) {
                checks.push(compare(&live, &built, name).await?);
            }
        }
        Ok(checks)
    }
}

async fn compare(live: &Side, built: &Side, name: String) -> Result<Check, Error> {
    let (left, right) = (live.content(&name).await?, built.content(&name).await?);
    let rows: u64 = left.iter().map(|(rows, _)| rows).sum();
    let Some(bucket) = left.iter().zip(&right).position(|(left, right)| left != right) else {
        return Ok(Check { name, ok: true, detail: format!("{rows} rows, as if built from scratch"), next: None });
    };
    let (left, right) = (live.rows(&name, bucket).await?, built.rows(&name, bucket).await?);
    let only = |these: &[String], others: &[String]| {
        these.iter().find(|row| !others.contains(row)).cloned().unwrap_or_else(|| "–".to_owned())
    };
    let (stored, expected) = (only(&left, &right), only(&right, &left));
    let detail = format!("differs from what its events make: the store has {stored}, from scratch it is {expected}");
    Ok(Check { name, ok: false, detail, next: None })
}

impl Side {
    async fn content(&self, name: &str) -> Result<Content, Error> {
        let mut content: Content = vec![(0, 0); usize::try_from(BUCKETS).unwrap_or_default()];
        self.each(name, |_, _, hash| {
            let (rows, sum) = &mut content[bucket(hash)];
            *rows += 1;
            *sum = sum.wrapping_add(hash);
        })
        .await?;
        Ok(content)
    }

    /// The rows of a bucket, spelled.
    async fn rows(&self, name: &str, wanted: usize) -> Result<Vec<String>, Error> {
        let mut rows = Vec::new();
        self.each(name, |batch, row, hash| {
            if bucket(hash) == wanted {
                rows.push(spell(batch, row));
            }
        })
        .await?;
        Ok(rows)
    }

    async fn each(&self, name: &str, mut visit: impl FnMut(&RecordBatch, usize, u128)) -> Result<(), Error> {
        // A snapshot has another number elsewhere.
        let columns = if name == "stats" { "* EXCEPT (snapshot)" } else { "*" };
        let sql = format!("SELECT {columns} FROM \"{name}\"");
        let mut answer = Answer::new(self.engine.query(&sql).await?, &self.snapshot);
        let fields = answer.schema().fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
        let spelled = |error: arrow::error::ArrowError| Error::Rows(error.to_string());
        let converter = RowConverter::new(fields).map_err(spelled)?;
        while let Some(batch) = answer.next().await {
            let batch = batch?;
            let rows = converter.convert_columns(batch.columns()).map_err(spelled)?;
            for (at, row) in rows.iter().enumerate() {
                visit(&batch, at, xxh3_128(row.as_ref()));
            }
        }
        Ok(())
    }
}

fn bucket(hash: u128) -> usize {
    usize::try_from(hash % BUCKETS).unwrap_or_default()
}

/// A row as a person reads it: the columns that have a value.
fn spell(batch: &RecordBatch, row: usize) -> String {
    let schema = batch.schema();
    let value = |at: usize| {
        let column = batch.column(at);
        let text = array_value_to_string(column, row).ok()?;
        column.is_valid(row).then(|| format!("{}={text}", schema.field(at).name()))
    };
    (0..batch.num_columns()).filter_map(value).collect::<Vec<_>>().join(" ")
}
