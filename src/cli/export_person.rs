//! `journeyql export-person`: everything that is known of one person.

use super::context::Context;
use super::failure::{Code, Failure};
use super::target::print;

/// Print everything that the store has of a person, as NDJSON
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// One of the person's ids: a user id, or anon:DEVICE
    user: String,
}

pub(in crate::cli) async fn run(args: Args, context: &Context) -> Result<Code, Failure> {
    let text = context.open()?.export_person(&args.user).await?;
    print(|out| out.write_all(text.as_bytes()))?;
    Ok(Code::Done)
}
