//! `journeyql retain`: old days go.

use super::args::Json;
use super::blocking;
use super::context::Context;
use super::failure::{Code, Failure};
use super::target::{print, print_json};

/// Drop every day but the last ones; their lines stay counted as dropped by the rule retention
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Days to keep, today (or the day of --now) included, in UTC
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    days: u32,
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    json: Json,
}

pub(in crate::cli) async fn run(args: Args, context: &Context) -> Result<Code, Failure> {
    let database = context.open()?;
    let Args { days, dry_run, json } = args;
    let (first, gone) = blocking(move || Ok(database.retain(days, dry_run)?)).await?;
    if json.json {
        let mut report = serde_json::to_value(gone).map_err(|error| Failure::failed(&error.to_string()))?;
        report["before"] = first.to_string().into();
        report["dry_run"] = dry_run.into();
        print_json(&report)?;
    } else if gone.files == 0 && gone.days_of_reads == 0 {
        print(|out| writeln!(out, "nothing is older than {first}"))?;
    } else {
        let would = if dry_run { "would be dropped" } else { "dropped" };
        print(|out| {
            writeln!(out, "before {first}, {would}:")?;
            writeln!(out, "  days               {:>12}", gone.days)?;
            writeln!(out, "  events             {:>12}", gone.events)?;
            writeln!(out, "  quarantined lines  {:>12}", gone.quarantined)?;
            writeln!(out, "  bytes              {:>12}", gone.bytes)?;
            if gone.days_of_reads > 0 {
                writeln!(out, "  days of reads      {:>12}  audit lists them no more", gone.days_of_reads)?;
            }
            Ok(())
        })?;
    }
    Ok(Code::Done)
}
