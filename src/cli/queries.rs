//! `journeyql queries`: the bundled reports and their parameters.

use super::args::Json;
use super::context::Context;
use super::failure::{Code, Failure};
use super::run::bundled;
use super::target::print;
use crate::database::{Header, reports};

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
        let report = bundled(&name)?;
        print(|out| write!(out, "{}", report.text))?;
        return Ok(Code::Done);
    }
    let headed: Vec<(String, Header)> = reports()
        .into_iter()
        .map(|report| report.header().map(|header| (report.name, header)))
        .collect::<Result<_, _>>()?;
    if args.json.json { print_json(&headed)? } else { print_list(&headed, context)? }
    Ok(Code::Done)
}

fn print_json(reports: &[(String, Header)]) -> Result<(), Failure> {
    let reports: Vec<serde_json::Value> = reports
        .iter()
        .map(|(name, header)| {
            let parameters: Vec<serde_json::Value> = header
                .parameters
                .iter()
                .map(|p| serde_json::json!({"name": p.name, "type": p.kind.name(), "default": p.default, "what": p.what}))
                .collect();
            serde_json::json!({"name": name, "what": header.what, "parameters": parameters})
        })
        .collect();
    print(|out| writeln!(out, "{:#}", serde_json::Value::from(reports)))
}

fn print_list(reports: &[(String, Header)], context: &Context) -> Result<(), Failure> {
    let width = reports.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let example = reports.first().map_or("NAME", |(name, _)| name);
    print(|out| {
        for (name, header) in reports {
            writeln!(out, "{name:width$}  {}", header.what)?;
            for p in &header.parameters {
                let default = p.default.as_ref().map(|default| format!(" = {default}")).unwrap_or_default();
                writeln!(out, "{:width$}    -p {} ({}{default}): {}", "", p.name, p.kind.name(), p.what)?;
            }
        }
        writeln!(out, "\nrun one:      {} run {example}", context.command())?;
        writeln!(out, "read its SQL: {} queries {example}", context.command())
    })
}
