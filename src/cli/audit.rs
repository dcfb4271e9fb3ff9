//! `journeyql audit`: what was done to the store and read through servers.

use super::answer;
use super::args::Shape;
use super::context::Context;
use super::failure::{Code, Failure};

/// List what was done to the store and when: ingests, reprocesses, erasures, exports, reads through servers
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    shape: Shape,
}

pub(in crate::cli) async fn run(args: Args, context: &Context) -> Result<Code, Failure> {
    answer::write("audit", "SELECT * FROM audit", &args.shape, context).await
}
