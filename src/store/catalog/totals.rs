//! The statistics of a table over its live parts: widened by an append, rolled up anew by a replace.

use arrow::datatypes::DataType;
use rusqlite::{OptionalExtension, Transaction, params};

use super::ddl::column_id;
use super::read::column_at;
use super::stats::{ColumnStats, Rolled, bound_text, has_bounds, parse_bound};
use crate::store::layout::Table;
use crate::store::part::NewPart;

/// Widens the totals by parts that are being added, before their own rows are written; nothing was removed.
pub(super) fn widen(tx: &Transaction<'_>, table: Table, added: &[&NewPart]) -> rusqlite::Result<()> {
    for (at, field) in table.schema().fields().iter().enumerate() {
        let mut rolled = read(tx, table, at, field.data_type())?;
        for stats in added.iter().filter_map(|part| part.columns.get(at)) {
            rolled.add(stats);
        }
        write(tx, table, at, field.data_type(), &rolled)?;
    }
    Ok(())
}

/// Computes the totals from the statistics of every live part: nothing of a removed part remains.
pub(super) fn roll_up(tx: &Transaction<'_>, table: Table) -> rusqlite::Result<()> {
    let rolled = rolled(tx, table)?;
    for ((at, field), rolled) in table.schema().fields().iter().enumerate().zip(&rolled) {
        write(tx, table, at, field.data_type(), rolled)?;
    }
    Ok(())
}

/// The exact totals of every column.
fn rolled(tx: &Transaction<'_>, table: Table) -> rusqlite::Result<Vec<Rolled>> {
    let schema = table.schema();
    let mut totals = vec![(Rolled::EMPTY, 0_i64); schema.fields().len()];
    let mut query = tx.prepare(
        "SELECT s.column_id, s.value_count, s.null_count, s.min_value, s.max_value \
         FROM ducklake_file_column_stats s JOIN ducklake_data_file f ON f.data_file_id = s.data_file_id \
         WHERE f.table_id = ?1",
    )?;
    let mut rows = query.query([table.id()])?;
    while let Some(row) = rows.next()? {
        let at = column_at(row, 0)?;
        let (Some(field), Some((rolled, files))) = (schema.fields().get(at), totals.get_mut(at)) else { continue };
        let range = range(field.data_type(), row.get(3)?, row.get(4)?);
        rolled.add(&ColumnStats { compressed_bytes: 0, values: row.get(1)?, nulls: row.get(2)?, range });
        *files += 1;
    }
    let live: i64 =
        tx.query_row("SELECT count(*) FROM ducklake_data_file WHERE table_id = ?1", [table.id()], |row| row.get(0))?;
    let rolled = totals.into_iter().map(|(rolled, files)| {
        // A live part without statistics of a column lacks it, or nobody knows: NULLs either way, and no bounds.
        let unknown = rolled.unknown || files < live;
        let range = rolled.range.filter(|_| !unknown);
        Rolled { contains_null: rolled.contains_null || files < live, range, unknown }
    });
    Ok(rolled.collect())
}

/// The columns whose totals do not enclose those of the live parts, in words.
pub(super) fn narrow(tx: &Transaction<'_>, table: Table) -> rusqlite::Result<Vec<String>> {
    let mut found = Vec::new();
    let rolled = rolled(tx, table)?;
    for ((at, field), exact) in table.schema().fields().iter().enumerate().zip(rolled) {
        let listed = read(tx, table, at, field.data_type())?;
        let encloses = match (listed.range, exact.range) {
            (Some(wide), Some(narrow)) => wide.0 <= narrow.0 && wide.1 >= narrow.1,
            (Some(_), None) => !exact.unknown,
            (None, _) => true,
        };
        if !encloses {
            found.push(format!("the bounds of {} do not enclose its parts", field.name()));
        }
        if exact.contains_null && !listed.contains_null {
            found.push(format!("{} is said to have no NULL, but it has", field.name()));
        }
    }
    Ok(found)
}

/// A range from two texts of the catalog.
pub(super) fn range(kind: &DataType, min: Option<String>, max: Option<String>) -> Option<(i64, i64)> {
    Some((parse_bound(kind, &min?)?, parse_bound(kind, &max?)?))
}

fn read(tx: &Transaction<'_>, table: Table, at: usize, kind: &DataType) -> rusqlite::Result<Rolled> {
    let found = tx
        .prepare_cached(
            "SELECT contains_null, min_value, max_value FROM ducklake_table_column_stats \
             WHERE table_id = ?1 AND column_id = ?2",
        )?
        .query_row([table.id(), column_id(at)], |row| Ok((row.get(0)?, range(kind, row.get(1)?, row.get(2)?))))
        .optional()?;
    let Some((contains_null, range)) = found else { return Ok(Rolled::EMPTY) };
    // No range in a row that exists: only NULLs so far, or never known. Of the two, the second is safe to assume,
    // unless the table has no value of the column at all.
    let values: i64 = match range {
        Some(_) => 0,
        None if !has_bounds(kind) => 1,
        None => tx.query_row(
            "SELECT coalesce(sum(value_count), 0) FROM ducklake_file_column_stats \
             WHERE table_id = ?1 AND column_id = ?2",
            [table.id(), column_id(at)],
            |row| row.get(0),
        )?,
    };
    Ok(Rolled { contains_null, range, unknown: values > 0 })
}

fn write(tx: &Transaction<'_>, table: Table, at: usize, kind: &DataType, rolled: &Rolled) -> rusqlite::Result<()> {
    let (min, max) = match rolled.range {
        Some((min, max)) => (bound_text(kind, min), bound_text(kind, max)),
        None => (None, None),
    };
    let key = [table.id(), column_id(at)];
    tx.prepare_cached("DELETE FROM ducklake_table_column_stats WHERE table_id = ?1 AND column_id = ?2")?
        .execute(key)?;
    tx.prepare_cached(
        "INSERT INTO ducklake_table_column_stats(table_id, column_id, contains_null, min_value, max_value) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![key[0], key[1], rolled.contains_null, min, max])?;
    Ok(())
}
