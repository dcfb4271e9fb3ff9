//! `journeyql status`: what is in the store, and whether every line is accounted for.

use std::io::Write;

use super::args::Json;
use super::context::Context;
use super::failure::{Code, Failure};
use super::target::{print, print_json};
use crate::database::{SourceStatus, Status};
use crate::terminal::neutral;

/// Show sources, days, snapshot, and the account of every line
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    json: Json,
}

pub(in crate::cli) fn run(args: &Args, context: &Context) -> Result<Code, Failure> {
    let status = context.open()?.status()?;
    if args.json.json {
        print_json(&status)?;
    } else {
        print(|out| write_status(&status, out))?;
    }
    Ok(Code::Done)
}

fn write_status(status: &Status, out: &mut dyn Write) -> std::io::Result<()> {
    let since = |time: &Option<String>| time.clone().unwrap_or_else(|| "–".to_owned());
    writeln!(out, "store       {}", neutral(&status.store))?;
    writeln!(out, "snapshot    {} of {}", status.snapshot, since(&status.committed_at))?;
    writeln!(out, "events      {} in {} files, {} bytes", status.events, status.files, status.bytes)?;
    let days = match (&status.first_day, &status.last_day) {
        (Some(first), Some(last)) => format!("{} ({first} to {last})", status.days),
        _ => "none".to_owned(),
    };
    writeln!(out, "days        {days}")?;
    writeln!(out, "watermark   {}", since(&status.watermark))?;
    if let Some(stale) = &status.stale_rules {
        writeln!(out, "rules       {stale}")?;
    }
    if let Some(stale) = &status.stale_links {
        writeln!(out, "links       {stale}")?;
    }
    if status.corrections + status.flags > 0 {
        let Status { corrections, flags, .. } = status;
        writeln!(out, "corrected   {corrections} corrections, {flags} flags – journeyql corrections list")?;
    }
    writeln!(out)?;
    let width = status.sources.iter().map(|source| source.name.len()).max().unwrap_or(0).clamp(8, 40);
    writeln!(
        out,
        "{:width$}  {:>12} = {:>12} + {:>11} + {:>9} + {:>10}",
        "source", "lines", "stored", "quarantined", "dropped", "duplicates"
    )?;
    for source in status.sources.iter().chain(std::iter::once(&status.total)) {
        write_source(source, width, out)?;
    }
    if status.balanced {
        writeln!(out, "every line is accounted for")
    } else {
        writeln!(out, "the lines do not add up: the store is damaged")
    }
}

fn write_source(source: &SourceStatus, width: usize, out: &mut dyn Write) -> std::io::Result<()> {
    let name = crate::output::Measure::cut_start(&neutral(&source.name), width);
    let pad = " ".repeat(width - crate::output::Measure::columns(&name).min(width));
    writeln!(
        out,
        "{name}{pad}  {:>12} = {:>12} + {:>11} + {:>9} + {:>10}",
        source.lines, source.stored, source.quarantined, source.dropped, source.duplicates
    )
}
