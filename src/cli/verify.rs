//! `journeyql verify`: the store against itself.

use std::io::Write;

use super::args::Json;
use super::blocking;
use super::context::Context;
use super::failure::{Code, Failure};
use super::progress::Bar;
use super::target::{print, print_json};
use crate::database::Check;
use crate::terminal::neutral;

/// Check the catalog against the files, checksums, order, the account of every line, and the reports' invariants
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Sizes and the catalog only: do not read the files
    #[arg(long)]
    quick: bool,
    /// Also rebuild every table from the stored events in a scratch folder (TMPDIR) and compare every view
    #[arg(long, conflicts_with = "quick")]
    from_scratch: bool,
    #[command(flatten)]
    json: Json,
}

pub(in crate::cli) async fn run(args: Args, context: &Context) -> Result<Code, Failure> {
    let database = context.open()?;
    let quick = args.quick;
    let (handle, bar) = (database.clone(), Bar::over_files(context));
    let meter = bar.meter();
    let mut checks = blocking(move || Ok(handle.verify(!quick, &meter)?)).await?;
    if checks.iter().all(|check| check.ok) {
        checks.extend(database.verify_reports().await?);
        if args.from_scratch {
            checks.extend(database.verify_from_scratch(&bar.meter()).await?);
        }
    }
    drop(bar);
    if args.json.json {
        print_json(&checks)?;
    } else {
        print(|out| write_checks(&checks, out))?;
    }
    if checks.iter().all(|check| check.ok) {
        return Ok(Code::Done);
    }
    context.remark("the store is damaged – nothing was changed; restore the named files from a copy");
    Ok(Code::Damaged)
}

fn write_checks(checks: &[Check], out: &mut dyn Write) -> std::io::Result<()> {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    for check in checks {
        writeln!(out, "{}  {:width$}  {}", if check.ok { "ok  " } else { "FAIL" }, check.name, neutral(&check.detail))?;
        if let Some(next) = &check.next {
            writeln!(out, "{:width$}        {}", "", neutral(next))?;
        }
    }
    Ok(())
}
