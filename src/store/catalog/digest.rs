//! The digest of the catalog: SQLite notices a torn page, and not a text in which one bit has flipped.
//!
//! ```text
//! digest = Σ hash(table, row) over every row of every table, modulo 2^128, beside the hash of the schema
//!          a row comes: + its hash        a row goes: − its hash        a row changes: − as it was, + as it is
//! ```
//!
//! It stands in `jq_meta` and moves in the transaction that moves the rows. A change costs what its own rows cost,
//! however large the catalog; only `verify` reads them all. Triggers of the writer's connection alone tell of the rows:
//! they are TEMP, so no other program ever sees one.
//!
//! That there is a digest stands in the `user_version` of the file too: a bit may flip in its key.
//!
//! Invariants: every transaction that writes ends with [`keep`]; a row that was damaged and then goes takes its damaged
//! hash away, so that the difference stays.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::functions::FunctionFlags;
use rusqlite::types::{Null, ValueRef};
use rusqlite::{Connection, OptionalExtension};
use xxhash_rust::xxh3::Xxh3;

use super::{Catalog, StoreError};

/// The key in `jq_meta`. Its own row is in no sum.
const KEY: &str = "digest";
/// The tables of DuckLake that commits write to; the others stay as they were made.
const WRITTEN: [&str; 8] = [
    "ducklake_data_file",
    "ducklake_file_column_stats",
    "ducklake_file_partition_value",
    "ducklake_metadata",
    "ducklake_snapshot",
    "ducklake_snapshot_changes",
    "ducklake_table_column_stats",
    "ducklake_table_stats",
];
/// Whole numbers below this are the same as integers and as reals.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// What the rows of a transaction add up to so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally(Arc<Mutex<u128>>);

impl Tally {
    /// Counts what this connection writes from now on.
    pub(super) fn watch(&self, connection: &Connection) -> rusqlite::Result<()> {
        let tally = self.clone();
        connection.create_scalar_function("jq_tally", -1, FunctionFlags::SQLITE_UTF8, move |row| {
            let hash = hash((1..row.len()).map(|at| row.get_raw(at)));
            tally.add(if row.get(0)? { hash } else { hash.wrapping_neg() });
            Ok(Null)
        })?;
        // REPLACE tells of the row that goes only then; and what is erased must be in no file of ours.
        connection.execute_batch("PRAGMA recursive_triggers = ON; PRAGMA temp_store = MEMORY;")?;
        let mut all = String::new();
        let is_written = |table: &String| table.starts_with("jq_") || WRITTEN.contains(&table.as_str());
        for table in tables(connection)?.iter().filter(|table| is_written(table)) {
            all += &triggers(connection, table)?;
        }
        connection.execute_batch(&format!("BEGIN; {all} COMMIT;"))
    }

    fn add(&self, hash: u128) {
        let mut sum = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *sum = sum.wrapping_add(hash);
    }

    /// Begins at nothing: a transaction may have been rolled back.
    pub(super) fn take(&self) -> u128 {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Moves the digest by what the transaction on `connection` has written; where there is none, begins it.
pub(super) fn keep(connection: &Connection, tally: &Tally) -> rusqlite::Result<()> {
    let written = tally.take();
    let digest = match stored(connection)? {
        Some(_) if written == 0 => return Ok(()),
        Some(text) => match parse(&text) {
            Some((rows, schema)) => (rows.wrapping_add(written), schema),
            // It is damaged, and stays so for whoever verifies.
            None => return Ok(()),
        },
        None if is_kept(connection)? => return Ok(()),
        None => {
            connection.execute_batch("PRAGMA user_version = 1")?;
            whole(connection)?
        }
    };
    let sql = "INSERT OR REPLACE INTO jq_meta(key, value) VALUES (?1, ?2)";
    connection.execute(sql, [KEY, &spell(digest)]).map(drop)
}

impl Catalog {
    /// Whether every row is as it was written. `None`: it is, or the store has no digest yet.
    pub(in crate::store) fn altered(&self) -> Result<Option<String>, StoreError> {
        let fail = self.fail("adding up its rows");
        let tx = self.connection.unchecked_transaction().map_err(&fail)?;
        let Some(stored) = stored(&tx).map_err(&fail)? else {
            let is_kept = is_kept(&tx).map_err(&fail)?;
            return Ok(is_kept.then(|| "its digest is gone".to_owned()));
        };
        let found = spell(whole(&tx).map_err(&fail)?);
        Ok((found != stored).then(|| format!("its rows have the digest {found}, and were written with {stored}")))
    }
}

fn stored(connection: &Connection) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT value FROM jq_meta WHERE key = ?1", [KEY], |row| row.get(0)).optional()
}

fn is_kept(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).map(|version| version != 0)
}

fn spell((rows, schema): (u128, u128)) -> String {
    format!("{rows:032x}{schema:032x}")
}

fn parse(text: &str) -> Option<(u128, u128)> {
    let (rows, schema) = text.split_at_checked(32)?;
    let digest = (u128::from_str_radix(rows, 16).ok()?, u128::from_str_radix(schema, 16).ok()?);
    (spell(digest) == text).then_some(digest)
}

/// The digest of everything that is there.
fn whole(connection: &Connection) -> rusqlite::Result<(u128, u128)> {
    let mut rows = 0;
    for table in tables(connection)? {
        sum(connection, &format!("SELECT '{table}', * FROM {}{}", quoted(&table), but(&table, "key")), &mut rows)?;
    }
    let mut schema = 0;
    sum(connection, "SELECT type, name, tbl_name, sql FROM main.sqlite_master", &mut schema)?;
    Ok((rows, schema))
}

/// Adds the hash of every row of a query.
fn sum(connection: &Connection, sql: &str, total: &mut u128) -> rusqlite::Result<()> {
    let mut query = connection.prepare(sql)?;
    let columns = query.column_count();
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let values = (0..columns).map(|at| row.get_ref(at)).collect::<Result<Vec<_>, _>>()?;
        *total = total.wrapping_add(hash(values.into_iter()));
    }
    Ok(())
}

fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

/// What tells of every row of a table that comes, goes or changes.
fn triggers(connection: &Connection, table: &str) -> rusqlite::Result<String> {
    let mut query = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let columns = query.query_map([table], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    let note = |sign: u8, row: &str| {
        let values: Vec<String> = columns.iter().map(|column| format!(", {row}.{}", quoted(column))).collect();
        format!("SELECT jq_tally({sign}, '{table}'{}){};", values.concat(), but(table, &format!("{row}.key")))
    };
    let (comes, goes, on) = (note(1, "NEW"), note(0, "OLD"), quoted(table));
    Ok(format!(
        "CREATE TEMP TRIGGER \"{table} comes\" AFTER INSERT ON main.{on} BEGIN {comes} END;
         CREATE TEMP TRIGGER \"{table} goes\" AFTER DELETE ON main.{on} BEGIN {goes} END;
         CREATE TEMP TRIGGER \"{table} changes\" AFTER UPDATE ON main.{on} BEGIN {goes} {comes} END;"
    ))
}

/// The digest itself is left out.
fn but(table: &str, key: &str) -> String {
    if table == "jq_meta" { format!(" WHERE {key} <> '{KEY}'") } else { String::new() }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The hash of a row's values, whatever form SQLite gives a whole number.
fn hash<'a>(values: impl Iterator<Item = ValueRef<'a>>) -> u128 {
    let mut state = Xxh3::new();
    let mut put = |kind: u8, bytes: &[u8]| {
        state.update(&[kind]);
        state.update(&(bytes.len() as u64).to_le_bytes());
        state.update(bytes);
    };
    for value in values {
        match value {
            ValueRef::Null => put(0, &[]),
            ValueRef::Text(text) => put(1, text),
            ValueRef::Blob(blob) => put(2, blob),
            ValueRef::Integer(number) => put(3, &number.to_le_bytes()),
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and small")]
            ValueRef::Real(number) if number.fract() == 0.0 && number.abs() < WHOLE => {
                put(3, &(number as i64).to_le_bytes());
            }
            ValueRef::Real(number) => put(4, &number.to_bits().to_le_bytes()),
        }
    }
    state.digest128()
}
