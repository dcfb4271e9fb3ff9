//! `journeyql files`: the live files, for every tool that reads Parquet or DuckLake.

use std::io::Write;

use super::args::Json;
use super::context::Context;
use super::failure::{Code, Failure};
use super::target::{print, print_json};
use crate::database::Files;

/// List the live Parquet files, and how to attach the store in DuckDB
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    json: Json,
}

pub(in crate::cli) fn run(args: &Args, context: &Context) -> Result<Code, Failure> {
    let files = context.open()?.files()?;
    if args.json.json {
        print_json(&files)?;
    } else {
        print(|out| write_list(&files, out))?;
    }
    Ok(Code::Done)
}

fn write_list(files: &Files, out: &mut dyn Write) -> std::io::Result<()> {
    for file in &files.files {
        writeln!(out, "{}  {}  {:>10} rows  {:>12} bytes  {}", file.table, file.day, file.rows, file.bytes, file.path)?;
    }
    let (rows, bytes) = files.files.iter().fold((0, 0), |(rows, bytes), file| (rows + file.rows, bytes + file.bytes));
    writeln!(out, "{} files, {rows} rows, {bytes} bytes, snapshot {}", files.files.len(), files.snapshot)?;
    writeln!(out, "\nIn DuckDB (with its extensions ducklake and sqlite):\n  {}", files.duckdb)?;
    writeln!(out, "A store that was moved needs its new data path:\n  {}", files.duckdb_moved)
}
