//! `journeyql forget`: somebody goes.

use super::args::Json;
use super::blocking;
use super::context::Context;
use super::failure::{Code, Failure};
use super::target::{print, print_json};
use crate::terminal::neutral;

/// Erase a person with all ids from every file, prove it, and keep them from coming back
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// One of the person's ids: a user id, or anon:DEVICE
    user: String,
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    json: Json,
}

pub(in crate::cli) async fn run(args: Args, context: &Context) -> Result<Code, Failure> {
    let database = context.open()?;
    let Args { user, dry_run, json } = args;
    let (erased, proof) = blocking(move || Ok(database.forget(&user, dry_run)?)).await?;
    let told = proof.as_ref().is_some_and(|proof| !proof.hits.is_empty());
    if json.json {
        print_json(&serde_json::json!({"erased": erased, "proof": proof, "dry_run": dry_run}))?;
    } else {
        let would = if dry_run { "would be erased" } else { "erased" };
        print(|out| {
            let hash = if erased.hash.is_empty() { String::new() } else { format!(" (audit: {})", erased.hash) };
            writeln!(out, "{would}{hash}:")?;
            writeln!(out, "  ids                {:>12}", erased.ids)?;
            if erased.shared_ids > 0 {
                writeln!(out, "  ids of others too  {:>12}  only their time on them", erased.shared_ids)?;
            }
            writeln!(out, "  events             {:>12}", erased.events)?;
            writeln!(out, "  quarantined lines  {:>12}", erased.quarantined)?;
            writeln!(out, "  files made anew    {:>12}", erased.files)?;
            if erased.reads > 0 {
                writeln!(out, "  reads of servers   {:>12}  audit names them no more", erased.reads)?;
            }
            for segment in &erased.segments {
                writeln!(out, "  named by the segment {}  its query names them no more", neutral(segment))?;
            }
            let Some(proof) = &proof else { return Ok(()) };
            writeln!(
                out,
                "looked for every id in {} files, {} bytes, {} values:",
                proof.files, proof.bytes, proof.values
            )?;
            if proof.hits.is_empty() {
                writeln!(out, "  none is left")?;
            }
            for hit in &proof.hits {
                writeln!(out, "  still told by {}", neutral(hit))?;
            }
            Ok(())
        })?;
    }
    if told {
        context.remark(
            "some files still tell: one that a reader holds goes when it has finished (run forget again), what other people's \
             events say is theirs",
        );
    }
    Ok(if told { Code::Damaged } else { Code::Done })
}
