//! `journeyql reprocess`: days made anew after a change of the rules.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::args::Json;
use super::context::Context;
use super::failure::{Code, Failure};
use super::progress::Bar;
use super::target::{print, print_json};
use crate::config::Config;
use crate::database::{self, Anew, Database, Difference, Made, Reprocessing};
use crate::ingest::Reread;
use crate::maintain::Reprocessed;
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
    /// Shape the days by the rules of another journeyql.toml; the store's own stay
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Read the lines again from their logs, which must be where they were: for rules that read a line
    #[arg(long)]
    from_source: bool,
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
    let rules = args.rules.as_deref().map(Config::load).transpose().map_err(database::Error::from)?;
    let database = context.open()?;
    let others = rules.as_ref().filter(|rules| rules.rules_fingerprint() != database.config().rules_fingerprint());
    let remark = args.rules.as_deref().filter(|_| others.is_some()).map(|path| own_rules_stay(&database, path));
    let bar = Bar::over_files(context);
    let how = Anew { rules, from_source: args.from_source, dry_run: args.dry_run };
    let done = database.reprocess((args.from, args.to), how, bar.meter()).await?;
    drop(bar);
    if args.json.json {
        print_json(&done)?;
    } else {
        let nothing = if args.rules.is_some() { "of those rules already" } else { "of the rules in force" };
        print(|out| write(&done, (args.dry_run, nothing), out))?;
    }
    if let Some(remark) = remark.filter(|_| !args.dry_run && done.days() > 0) {
        context.remark(&remark);
    }
    Ok(Code::Done)
}

/// What holds from now on for what comes.
fn own_rules_stay(database: &Database, rules: &Path) -> String {
    let (rules, own) = (rules.display(), database.dir().join("journeyql.toml"));
    format!(
        "the days are of the rules of {rules}; what comes is of the store's own, and status tells them apart – to keep \
         these: cp '{rules}' '{}'",
        own.display()
    )
}

fn write(done: &Reprocessing, (dry_run, nothing): (bool, &str), out: &mut dyn Write) -> std::io::Result<()> {
    if done.days() == 0 {
        return writeln!(out, "nothing to do: these days are {nothing}, or hold no events");
    }
    match &done.made {
        Made::Derived(report) => write_derived(report, out)?,
        Made::Read(report) => write_read(report, out)?,
    }
    for difference in &done.differences {
        write_difference(difference, out)?;
    }
    if dry_run {
        writeln!(out, "\nnothing was changed: a dry run")?;
    }
    Ok(())
}

fn write_derived(report: &Reprocessed, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "days           {:>12}", report.days)?;
    writeln!(out, "events         {:>12}", report.events)?;
    writeln!(out, "pages changed  {:>12}", report.pages_changed)?;
    writeln!(out, "steps changed  {:>12}", report.steps_changed)
}

fn write_read(report: &Reread, out: &mut dyn Write) -> std::io::Result<()> {
    let counts = &report.counts;
    writeln!(out, "days           {:>12}", report.days)?;
    writeln!(out, "sources        {:>12}", report.sources)?;
    writeln!(out, "events         {:>12}  read again:", counts.lines)?;
    writeln!(out, "  stored       {:>12}", counts.stored)?;
    writeln!(out, "  quarantined  {:>12}", counts.quarantined)?;
    writeln!(out, "  dropped      {:>12}", counts.dropped)?;
    writeln!(out, "  duplicates   {:>12}", counts.duplicates)
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
