//! `journeyql config show`: the rules in force.

use super::context::Context;
use super::failure::{Code, Failure};
use super::target::print;

/// The rules of the store
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// Print all rules in force, as a complete journeyql.toml
    Show,
}

pub(in crate::cli) fn run(command: &Command, context: &Context) -> Result<Code, Failure> {
    let Command::Show = command;
    let (config, origin) = context.rules()?;
    let text = toml::to_string_pretty(&config)
        .map_err(|error| Failure::failed(&format!("cannot spell the rules – {error}")))?;
    print(|out| write!(out, "# {origin}\n{text}"))?;
    Ok(Code::Done)
}
