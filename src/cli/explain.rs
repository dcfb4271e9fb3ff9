//! `journeyql explain`: how a query would run.

use super::answer;
use super::args::Shape;
use super::context::Context;
use super::failure::{Code, Failure};
use super::target::print;
use crate::terminal::neutral;

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
    let sql = format!("{word} {}", args.sql);
    if args.shape.is_given() {
        return answer::write("query", &sql, &args.shape, context).await;
    }
    let explain = |error| Failure::of_sql(&error, "query", &sql);
    let answer = context.open()?.session().query(&sql).await.map_err(explain)?;
    let rows = answer.rows().await.map_err(explain)?;
    print(|out| {
        for row in rows {
            // A plan is lines, which a table would put into one.
            let (kind, plan) =
                (row["plan_type"].as_str().unwrap_or_default(), row["plan"].as_str().unwrap_or_default());
            writeln!(out, "{kind}")?;
            plan.lines().try_for_each(|line| writeln!(out, "  {}", neutral(line)))?;
        }
        Ok(())
    })?;
    Ok(Code::Done)
}
