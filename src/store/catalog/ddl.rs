//! The tables of the catalog: DuckLake 1.0's 28 and ours, and the rows of an empty store.
//!
//! Column types are the ones that DuckDB itself uses in SQLite: BIGINT (also for booleans), VARCHAR (also for times).

use arrow::datatypes::DataType;
use rusqlite::{Transaction, params};

use super::sql_time;
use crate::store::layout::{Layout, Table};

/// The version of the DuckLake specification that we write and read.
pub(super) const DUCKLAKE_VERSION: &str = "1.0";
/// The version of FORMAT.md.
pub(super) const FORMAT: u32 = 1;
/// The snapshot of an empty store: 0 made the schema, 1 the tables.
pub(super) const FIRST_SNAPSHOT: i64 = 1;
/// The partition and sort order of a table; ids share one sequence with schemas and tables.
pub(super) const fn partition_id(table: Table) -> i64 {
    table.id() + 2
}
const fn sort_id(table: Table) -> i64 {
    table.id() + 4
}
/// The first id that no object has.
pub(super) const NEXT_CATALOG_ID: i64 = 7;
/// The one version of the DuckLake schema that format 1 has.
pub(super) const SCHEMA_VERSION: i64 = 1;

const DUCKLAKE: &str = include_str!("ducklake.sql");
const OURS: &str = include_str!("ours.sql");

/// Creates every table and the rows of a store without a part. `now` in microseconds.
pub(super) fn create(tx: &Transaction<'_>, layout: &Layout, store_id: &str, now: i64) -> rusqlite::Result<()> {
    tx.execute_batch(DUCKLAKE)?;
    tx.execute_batch(OURS)?;
    let created_by = concat!("journeyql ", env!("CARGO_PKG_VERSION"));
    for (key, value) in [
        ("version", DUCKLAKE_VERSION),
        ("created_by", created_by),
        ("data_path", &layout.data_path()),
        ("encrypted", "false"),
        ("data_inlining_row_limit", "0"),
    ] {
        tx.execute("INSERT INTO ducklake_metadata(key, value) VALUES (?1, ?2)", [key, value])?;
    }
    let (format, now_text, head) = (FORMAT.to_string(), now.to_string(), FIRST_SNAPSHOT.to_string());
    for (key, value) in [("format", &*format), ("store_id", store_id), ("created_at", &*now_text), ("head", &*head)] {
        tx.execute("INSERT INTO jq_meta(key, value) VALUES (?1, ?2)", [key, value])?;
    }
    let time = sql_time(now);
    let tables = r#"created_table:"main"."events",created_table:"main"."quarantine""#;
    for (id, version, next_id, changes) in
        [(0, 0, 1, r#"created_schema:"main""#), (FIRST_SNAPSHOT, SCHEMA_VERSION, NEXT_CATALOG_ID, tables)]
    {
        tx.execute("INSERT INTO ducklake_snapshot VALUES (?1, ?2, ?3, ?4, 0)", params![id, time, version, next_id])?;
        tx.execute(
            "INSERT INTO ducklake_snapshot_changes(snapshot_id, changes_made, author) VALUES (?1, ?2, 'journeyql')",
            params![id, changes],
        )?;
    }
    tx.execute("INSERT INTO ducklake_schema VALUES (0, ?1, 0, NULL, 'main', '', 1)", [uuid(store_id, 0)])?;
    Table::ALL.into_iter().try_for_each(|table| create_table(tx, table, store_id))
}

fn create_table(tx: &Transaction<'_>, table: Table, store_id: &str) -> rusqlite::Result<()> {
    let (id, name) = (table.id(), table.name());
    tx.execute(
        "INSERT INTO ducklake_table VALUES (?1, ?2, 1, NULL, 0, ?3, ?4, 1)",
        params![id, uuid(store_id, id), name, format!("{name}/")],
    )?;
    for (at, field) in table.schema().fields().iter().enumerate() {
        tx.execute(
            "INSERT INTO ducklake_column VALUES (?1, 1, NULL, ?2, ?1, ?3, ?4, NULL, 'NULL', ?5, NULL, 'literal', 'duckdb')",
            params![column_id(at), id, field.name(), column_type(field.data_type()), field.is_nullable()],
        )?;
    }
    tx.execute("INSERT INTO ducklake_schema_versions VALUES (1, ?1, ?2)", [SCHEMA_VERSION, id])?;
    tx.execute("INSERT INTO ducklake_partition_info VALUES (?1, ?2, 1, NULL)", [partition_id(table), id])?;
    tx.execute("INSERT INTO ducklake_partition_column VALUES (?1, ?2, 0, 1, 'identity')", [partition_id(table), id])?;
    tx.execute("INSERT INTO ducklake_sort_info VALUES (?1, ?2, 1, NULL)", [sort_id(table), id])?;
    for (key, &column) in table.sort_key().iter().enumerate() {
        tx.execute(
            "INSERT INTO ducklake_sort_expression VALUES (?1, ?2, ?3, ?4, 'duckdb', 'ASC', 'NULLS_LAST')",
            params![sort_id(table), id, column_id(key) - 1, table.schema().field(column).name()],
        )?;
    }
    tx.execute("INSERT INTO ducklake_table_stats VALUES (?1, 0, 0, 0)", [id])?;
    Ok(())
}

/// The DuckLake id of the column at a position: the Parquet field id.
pub(super) fn column_id(position: usize) -> i64 {
    i64::try_from(position).map_or(i64::MAX, |position| position + 1)
}

/// DuckLake's name of a stored type. The schemas hold no others; a new one would be text to any reader.
fn column_type(kind: &DataType) -> &'static str {
    match kind {
        DataType::Date32 => "date",
        DataType::Boolean => "boolean",
        DataType::Int16 => "int16",
        DataType::Int64 => "int64",
        DataType::Timestamp(_, _) => "timestamptz",
        DataType::Binary => "blob",
        _ => "varchar",
    }
}

/// An id in UUID form for an object of the store: the store's own random id and the object's number.
fn uuid(store_id: &str, object: i64) -> String {
    let hex = |from: usize, to: usize| store_id.get(from..to).unwrap_or("0");
    format!("{}-{}-8{}-8{}-{:012x}", hex(0, 8), hex(8, 12), hex(12, 15), hex(15, 18), object)
}
