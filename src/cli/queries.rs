//! `journeyql queries`: the bundled reports and their parameters.

use super::args::Json;
use super::context::Context;
use super::failure::{Code, Failure};
use super::run::bundled;
use super::target::print;
use crate::database::{Report, reports};

/// List the bundled reports and their parameters
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Print this report's SQL
    name: Option<String>,
    #[command(flatten)]
    json: Json,
}

pub(in crate::cli) fn run(args: Args, context: &Context) -> Result<Code, Failure> {
    if let Some(name) = args.name {
        let report = bundled(&name, context)?;
        print(|out| write!(out, "{}", report.text))?;
        return Ok(Code::Done);
    }
    let reports = reports(&context.store)?;
    if args.json.json {
        print_json(&reports)?;
    } else {
        print_list(&reports, context)?;
    }
    Ok(Code::Done)
}

fn print_json(reports: &[Report]) -> Result<(), Failure> {
    let reports: Vec<serde_json::Value> = reports
        .iter()
        .map(|report| {
            let parameters: Vec<serde_json::Value> = report
                .header
                .parameters
                .iter()
                .map(|p| serde_json::json!({"name": p.name, "type": p.kind.to_string(), "default": p.default, "required": p.default.is_none(), "what": p.what}))
                .collect();
            serde_json::json!({"name": report.name, "what": report.header.what, "parameters": parameters})
        })
        .collect();
    print(|out| writeln!(out, "{:#}", serde_json::Value::from(reports)))
}

fn print_list(reports: &[Report], context: &Context) -> Result<(), Failure> {
    let width = reports.iter().map(|report| report.name.len()).max().unwrap_or(0);
    let example = reports.first().map_or("NAME", |report| &report.name);
    print(|out| {
        for report in reports {
            writeln!(out, "{:width$}  {}", report.name, report.header.what)?;
            for p in &report.header.parameters {
                let default = p.default.as_ref().map_or(", required".to_owned(), |default| format!(" = {default}"));
                writeln!(out, "{:width$}    -p {} ({}{default}): {}", "", p.name, p.kind, p.what)?;
            }
        }
        writeln!(out, "\nrun one:      {} run {example}", context.command())?;
        writeln!(out, "read its SQL: {} queries {example}", context.command())
    })
}
