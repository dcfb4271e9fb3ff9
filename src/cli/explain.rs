//! `journeyql explain`: how a query would run.

use super::answer;
use super::args::Shape;
use super::context::Context;
use super::failure::{Code, Failure};

/// Show how a query would run
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// SELECT …
    sql: String,
    /// Run it, and show rows and times beside every operator
    #[arg(long)]
    analyze: bool,
    #[command(flatten)]
    shape: Shape,
}

pub(in crate::cli) async fn run(args: Args, context: &Context) -> Result<Code, Failure> {
    let word = if args.analyze { "EXPLAIN ANALYZE" } else { "EXPLAIN" };
    answer::write("query", &format!("{word} {}", args.sql), &args.shape, context).await
}
