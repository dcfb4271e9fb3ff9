//! `journeyql inspect`: one person's events, each with its line, its step and its session.

use super::args::{Json, Shape, instant};
use super::context::Context;
use super::failure::{Code, Failure};
use super::target::Target;
use crate::output::Format;

/// Show one person's events, each with its line, its step and its session beside it
///
/// The answer is that of the saved report inspect (journeyql queries inspect) and a column more: the line, read from
/// its source's file where that still has it. The store keeps the lines of refused ones alone, and whose those are
/// nobody knows: journeyql quarantine show.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The user id, as the column `user_id` has it
    #[arg(long, value_name = "ID")]
    user: String,
    /// Only events at this time or later, ISO-8601
    #[arg(long, value_name = "TIME", value_parser = instant)]
    from: Option<i64>,
    /// Only events before this time
    #[arg(long, value_name = "TIME", value_parser = instant)]
    to: Option<i64>,
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    json: Json,
}

pub(in crate::cli) async fn run(args: Args, context: &Context) -> Result<Code, Failure> {
    let Args { user, from, to, mut shape, json } = args;
    if json.json {
        shape.format = Some(Format::Json);
    }
    let target = Target::new(&shape, context)?;
    let database = context.open()?;
    let inspected = database.inspect(&user, (from, to)).await?;
    if inspected.batches.is_empty() {
        let failure = Failure::failed(&format!("no events of '{user}' in {} at that time", context.store.display()));
        return Err(failure.next(format!("{} trace '{}'", context.command(), user.replace('\'', "'\\''"))));
    }
    target
        .write(&inspected.schema, async |writer| {
            inspected.batches.iter().try_for_each(|rows| writer.batch(rows))?;
            Ok(())
        })
        .await?;
    if database.config().privacy.is_on() {
        context.remark("[privacy] is on: lines are not shown");
    } else if inspected.without_line > 0 {
        let count = inspected.without_line;
        context.remark(&format!("{count} events without their line: its file is not where it was, or has changed"));
    }
    Ok(Code::Done)
}
