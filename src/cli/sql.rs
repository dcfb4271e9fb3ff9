//! `journeyql sql`: an answer to a question in SQL.

use std::io::IsTerminal;

use super::args::Shape;
use super::context::Context;
use super::failure::{Code, Failure};
use super::{answer, stdin_text};

/// Answer SQL: the text given, or what is piped in
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// SELECT …; SET … statements may come before it. `-` or nothing: read stdin
    pub sql: Option<String>,
    #[command(flatten)]
    pub shape: Shape,
}

pub(in crate::cli) async fn run(args: Args, context: &Context) -> Result<Code, Failure> {
    let sql = match args.sql {
        Some(sql) if sql != "-" => sql,
        None if std::io::stdin().is_terminal() => {
            return Err(Failure::usage("no SQL was given").next("journeyql sql \"select * from stats\""));
        }
        _ => stdin_text()?,
    };
    answer::write("query", &sql, &args.shape, context).await
}
