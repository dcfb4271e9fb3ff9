//! `journeyql reprocess`: pages and steps derived again after a change of the rules.

use std::io::Write;

use super::args::Json;
use super::context::Context;
use super::failure::{Code, Failure};
use super::progress::Bar;
use super::target::{print, print_json};
use crate::database::{Difference, Reprocessing};
use crate::terminal::neutral;
use crate::time::Day;

/// Derive the pages and steps of a range of days again by the rules in force
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The first day, 2026-01-05 (UTC)
    #[arg(long, value_name = "DAY", value_parser = day)]
    from: Day,
    /// The last day, included
    #[arg(long, value_name = "DAY", value_parser = day)]
    to: Day,
    /// Only say what would change
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    json: Json,
}

fn day(text: &str) -> Result<Day, String> {
    Day::parse(text).ok_or_else(|| "write a day such as 2026-01-05".to_owned())
}

pub(in crate::cli) async fn run(args: Args, context: &Context) -> Result<Code, Failure> {
    let bar = Bar::over_files(context);
    let done = context.open()?.reprocess((args.from, args.to), args.dry_run, bar.meter()).await?;
    drop(bar);
    if args.json.json {
        print_json(&done)?;
    } else {
        print(|out| write(&done, args.dry_run, out))?;
    }
    Ok(Code::Done)
}

fn write(done: &Reprocessing, dry_run: bool, out: &mut dyn Write) -> std::io::Result<()> {
    let report = &done.report;
    if report.days == 0 {
        return writeln!(out, "nothing to do: these days are of the rules in force, or hold no events");
    }
    writeln!(out, "days           {:>12}", report.days)?;
    writeln!(out, "events         {:>12}", report.events)?;
    writeln!(out, "pages changed  {:>12}", report.pages_changed)?;
    writeln!(out, "steps changed  {:>12}", report.steps_changed)?;
    for difference in &done.differences {
        write_difference(difference, out)?;
    }
    if dry_run {
        writeln!(out, "\nnothing was changed: a dry run")?;
    }
    Ok(())
}

pub(in crate::cli) fn write_difference(difference: &Difference, out: &mut dyn Write) -> std::io::Result<()> {
    let Difference { view, figure, rows_before, rows_after, rows_changed, most } = difference;
    writeln!(out, "\n{view}: {rows_before} -> {rows_after} rows, {rows_changed} of them differ; {figure} of those:")?;
    let spelled = |figure: Option<i64>| figure.map_or_else(|| "–".to_owned(), |figure| figure.to_string());
    for row in most {
        writeln!(out, "  {:>10} -> {:>10}  {}", spelled(row.before), spelled(row.after), neutral(&row.row))?;
    }
    Ok(())
}
