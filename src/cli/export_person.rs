//! `journeyql export-person`: everything that is known of one person.

use super::blocking;
use super::context::Context;
use super::failure::{Code, Failure};
use super::target::print;
use crate::output::{Format, Look};

/// Print everything that the store has of a person, as NDJSON
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// One of the person's ids: a user id, or anon:DEVICE
    user: String,
}

pub(in crate::cli) async fn run(args: Args, context: &Context) -> Result<Code, Failure> {
    let database = context.open()?;
    let asked = database.clone();
    let known = blocking(move || Ok(asked.known_of(&args.user)?)).await?;
    let mut session = database.session();
    for sql in known {
        let answer = session.query(&sql).await?;
        let text = answer.text(Format::Ndjson, Look::default()).await?;
        print(|out| out.write_all(text.as_bytes()))?;
    }
    Ok(Code::Done)
}
