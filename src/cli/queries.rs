//! `journeyql queries`: the bundled reports and their parameters.

use super::args::Json;
use super::context::Context;
use super::failure::{Code, Failure};
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
        let name = name.trim_end_matches(".sql");
        let Some((_, text)) = reports().iter().find(|(report, _)| *report == name) else {
            let hint = crate::error::did_you_mean(name, reports().iter().map(|(report, _)| *report));
            let hint = hint.map(|hint| format!(" – {hint}")).unwrap_or_default();
            return Err(Failure::usage(&format!("no bundled report '{name}'{hint}")).next("journeyql queries"));
        };
        print(|out| write!(out, "{text}"))?;
        return Ok(Code::Done);
    }
    let parsed: Vec<(&str, Report)> = reports()
        .iter()
        .map(|(name, text)| Report::parse(text).map(|report| (*name, report)))
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::failed(&error))?;
    if args.json.json { print_json(&parsed)? } else { print_list(&parsed, context)? }
    Ok(Code::Done)
}

fn print_json(reports: &[(&str, Report)]) -> Result<(), Failure> {
    let reports: Vec<serde_json::Value> = reports
        .iter()
        .map(|(name, report)| {
            let parameters: Vec<serde_json::Value> = report
                .parameters
                .iter()
                .map(|p| serde_json::json!({"name": p.name, "type": p.kind.name(), "default": p.default, "what": p.what}))
                .collect();
            serde_json::json!({"name": name, "title": report.title, "parameters": parameters})
        })
        .collect();
    print(|out| writeln!(out, "{:#}", serde_json::Value::from(reports)))
}

fn print_list(reports: &[(&str, Report)], context: &Context) -> Result<(), Failure> {
    let width = reports.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    print(|out| {
        for (name, report) in reports {
            writeln!(out, "{name:width$}  {}", report.title)?;
            for parameter in &report.parameters {
                let default = parameter.default.as_ref().map(|default| format!(" = {default}")).unwrap_or_default();
                writeln!(
                    out,
                    "{:width$}    -p {} ({}{default}): {}",
                    "",
                    parameter.name,
                    parameter.kind.name(),
                    parameter.what
                )?;
            }
        }
        writeln!(out, "\nrun one:      {} run {} ", context.command(), reports.first().map_or("NAME", |(name, _)| name))?;
        writeln!(out, "read its SQL: {} queries {}", context.command(), reports.first().map_or("NAME", |(name, _)| name))
    })
}
