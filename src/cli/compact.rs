//! `journeyql compact`: small parts of a day become one.

use super::args::Json;
use super::blocking;
use super::context::Context;
use super::failure::{Code, Failure};
use super::progress::Bar;
use super::target::{print, print_json};

/// Merge the files of each day into one; no answer changes
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    json: Json,
}

pub(in crate::cli) async fn run(args: Args, context: &Context) -> Result<Code, Failure> {
    let database = context.open()?;
    let bar = Bar::over_files(context);
    let meter = bar.meter();
    let done = blocking(move || Ok(database.compact(&meter)?)).await?;
    drop(bar);
    if args.json.json {
        print_json(&done)?;
    } else if done.days == 0 {
        print(|out| writeln!(out, "nothing to merge: {} files", done.files_before))?;
    } else {
        print(|out| {
            writeln!(out, "days   {}", done.days)?;
            writeln!(out, "files  {} -> {}", done.files_before, done.files_after)?;
            writeln!(out, "bytes  {} -> {}", done.bytes_before, done.bytes_after)
        })?;
    }
    Ok(Code::Done)
}
