//! `journeyql run`: a saved report with its parameters.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::answer;
use super::args::Shape;
use super::context::Context;
use super::failure::{Code, Failure};
use crate::database::{Report, reports};
use crate::error::did_you_mean;

/// Run a saved report: a file, or one of `journeyql queries`
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The report's file, or the name of a bundled one
    #[arg(value_name = "FILE.sql")]
    report: PathBuf,
    /// A value for a parameter; of a list: items between commas, or a JSON array
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = assignment)]
    param: Vec<(String, String)>,
    #[command(flatten)]
    shape: Shape,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write -p name=value")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

pub(in crate::cli) async fn run(args: Args, context: &Context) -> Result<Code, Failure> {
    let (name, text) = load(&args.report)?;
    let wrong = |message: String| Failure::usage(&format!("{name}: {message}"));
    let report = Report::parse(&text).map_err(wrong)?;
    let values: BTreeMap<String, String> = args.param.into_iter().collect();
    let sql = report.with(&values).map_err(wrong)?;
    answer::write(&name, &sql, &args.shape, context).await
}

/// The report's name for messages, and its text: from the file, else the bundled report of that name.
fn load(path: &std::path::Path) -> Result<(String, String), Failure> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => return Ok((name, text)),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Failure::usage(&format!("cannot read {name} – {error}")));
        }
        Err(_) => {}
    }
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if let Some((found, text)) = reports().iter().find(|(report, _)| *report == stem) {
        return Ok((format!("{found}.sql"), (*text).to_owned()));
    }
    let hint = did_you_mean(stem, reports().iter().map(|(report, _)| *report));
    let hint = hint.map(|hint| format!(" – {hint}")).unwrap_or_default();
    Err(Failure::usage(&format!("no file and no bundled report '{name}'{hint}")).next("journeyql queries"))
}
