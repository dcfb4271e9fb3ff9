//! What may be typed: global options, the commands, and how an answer is shaped.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use super::{
    audit, compact, config, correct, demo, explain, export_person, files, forget, formats, identity, ingest, inspect,
    quarantine, queries, report, reprocess, retain, run, serve, sql, status, test, trace, verify,
};
use crate::output::Format;
use crate::time;

const AFTER: &str = "\
Without a command: the shell on a terminal, else the SQL that is piped in.

Exit codes:
    0  done
    1  failed
    2  wrong usage or SQL
    3  done, but more lines than --max-rejects were quarantined
    4  the store is in use
    5  the store is damaged
  130  interrupted";

/// User journeys from raw logs, in SQL.
#[derive(Debug, Parser)]
#[command(name = "journeyql", version, about, after_help = AFTER, disable_help_subcommand = true, max_term_width = 120)]
pub(super) struct Cli {
    /// Run this SQL
    #[arg(short = 'c', value_name = "SQL")]
    pub sql: Option<String>,
    #[command(flatten)]
    pub shape: Shape,
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct Global {
    /// The folder of the store
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "JOURNEYQL_STORE",
        hide_env_values = true,
        default_value = "./journey"
    )]
    pub store: PathBuf,
    /// The rules, in place of the journeyql.toml in the store
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Neither progress nor remarks on stderr
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Colours in what people read
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub color: Color,
    /// The time to take for now, ISO-8601 (for receipt, open sessions and `now()`)
    #[arg(long, global = true, value_name = "TIME", value_parser = instant)]
    pub now: Option<i64>,
}

/// `--color`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    Auto,
    Always,
    Never,
}

/// How an answer is written and where to.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Shape {
    /// table (the default on a terminal), csv (the default in a pipe), tsv, json, ndjson, markdown, parquet, arrow
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Write to this file; its extension chooses the format where --format does not
    #[arg(long, short, value_name = "OUT")]
    pub output: Option<PathBuf>,
}

impl Shape {
    /// Whether any of it was given.
    pub(super) const fn is_given(&self) -> bool {
        self.format.is_some() || self.output.is_some()
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Demo(demo::Args),
    Ingest(ingest::Args),
    Run(run::Args),
    Sql(sql::Args),
    /// The shell
    Repl,
    Report(report::Args),
    Sankey(report::Sankey),
    Serve(serve::Args),
    Status(status::Args),
    Trace(trace::Args),
    Inspect(inspect::Args),
    Queries(queries::Args),
    Test(test::Args),
    Formats(formats::Args),
    #[command(subcommand)]
    Config(config::Command),
    Explain(explain::Args),
    #[command(subcommand)]
    Quarantine(quarantine::Command),
    #[command(subcommand)]
    Identity(identity::Command),
    #[command(subcommand)]
    Correct(correct::Command),
    #[command(subcommand)]
    Flag(correct::Flag),
    #[command(subcommand)]
    Corrections(correct::List),
    Reprocess(reprocess::Args),
    Compact(compact::Args),
    Retain(retain::Args),
    Forget(forget::Args),
    ExportPerson(export_person::Args),
    Audit(audit::Args),
    Verify(verify::Args),
    Files(files::Args),
}

/// `--json`, for the commands that people read by default.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Json {
    /// Print JSON
    #[arg(long = "json", action = ArgAction::SetTrue)]
    pub json: bool,
}

/// A time as it is typed, in microseconds.
pub(super) fn instant(text: &str) -> Result<i64, String> {
    time::parse_iso(text.as_bytes(), 0)
        .ok_or_else(|| "write a time such as 2026-01-05 or 2026-01-05T10:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
