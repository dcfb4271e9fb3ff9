//! `journeyql formats`: what `ingest` can read.

use super::args::Json;
use super::failure::{Code, Failure};
use super::target::print;
use crate::parse::formats;
use crate::terminal::neutral;

/// List the log formats that `ingest` reads
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    json: Json,
    /// Show sample lines
    #[arg(long)]
    samples: bool,
}

pub(in crate::cli) fn run(args: &Args) -> Result<Code, Failure> {
    if args.json.json {
        print_json()?;
    } else {
        print_list(args.samples)?;
    }
    Ok(Code::Done)
}

fn print_json() -> Result<(), Failure> {
    let formats: Vec<serde_json::Value> = formats()
        .iter()
        .map(|format| {
            let samples: Vec<&str> = format.samples.iter().map(|sample| sample.text).collect();
            serde_json::json!({"name": format.name, "title": format.title, "url": format.url, "samples": samples})
        })
        .collect();
    print(|out| writeln!(out, "{:#}", serde_json::Value::from(formats)))
}

fn print_list(samples: bool) -> Result<(), Failure> {
    let width = formats().iter().map(|format| format.name.len()).max().unwrap_or(0);
    print(|out| {
        for format in formats() {
            writeln!(out, "{:width$}  {}", format.name, format.title)?;
            if samples {
                writeln!(out, "{:width$}  {}", "", format.url)?;
                for sample in format.samples {
                    for line in sample.text.lines() {
                        writeln!(out, "{:width$}    {}", "", neutral(line))?;
                    }
                }
            }
        }
        writeln!(
            out,
            "\nauto (the default) looks at the first lines. Other lines: a regular expression with named groups as the\n\
             format, or a [format.NAME] with regex, time and samples in journeyql.toml."
        )
    })
}
