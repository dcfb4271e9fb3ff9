//! `journeyql identity`: which ids are whose.

use super::answer;
use super::args::Shape;
use super::blocking;
use super::context::Context;
use super::failure::{Code, Failure};
use super::target::print;
use crate::database::{Database, literal};
use crate::identity::ANONYMOUS;
use crate::maintain::Say;

/// Which ids are whose: devices, aliases, matches
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// Show the map from ids to persons, with the evidence
    List {
        /// Only of this person, by any of its ids
        #[arg(long, value_name = "ID")]
        user: Option<String>,
        #[command(flatten)]
        shape: Shape,
    },
    /// Say that two ids are one person; no event is rewritten
    Link {
        /// The id that joins: a user id, or anon:DEVICE
        id: String,
        /// Whom it joins
        person: String,
        /// Why
        #[arg(long, default_value = "said by a steward")]
        reason: String,
    },
    /// Take back what was said of two ids
    Unlink { id: String, other: String },
    /// Show who may be one person, best first; nothing is linked until it is accepted
    Candidates {
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        shape: Shape,
    },
    /// Link two candidates
    Accept { id: String, other: String },
    /// Say that two candidates are not one person
    Reject {
        id: String,
        other: String,
        /// Why
        #[arg(long, default_value = "rejected by a steward")]
        reason: String,
    },
}

pub(in crate::cli) async fn run(command: Command, context: &Context) -> Result<Code, Failure> {
    let database = context.open()?;
    let known = |id: &str| database.known_as(id);
    match command {
        Command::List { user, shape } => {
            let wanted = match user {
                Some(user) => {
                    let user = literal(&known(&user)?);
                    format!("person = {user} OR person IN (SELECT person FROM identities WHERE distinct_id = {user})")
                }
                None => "true".to_owned(),
            };
            let sql = format!("SELECT * FROM identities WHERE {wanted} ORDER BY distinct_id, from_ts NULLS FIRST");
            answer::write("identity list", &sql, &shape, context).await
        }
        Command::Candidates { limit, shape } => {
            let sql = format!("SELECT * FROM identity_candidates LIMIT {limit}");
            answer::write("identity candidates", &sql, &shape, context).await
        }
        Command::Link { id, person, reason } => {
            let (id, person) = (known(&id)?, known(&person)?);
            let told = format!("linked: {id} is {person}");
            say(database, Say::Same { id, person, why: reason }, told).await
        }
        Command::Unlink { id, other } => {
            let (id, other) = (known(&id)?, known(&other)?);
            let told = format!("unlinked: {id} and {other}");
            say(database, Say::Nothing { id, other }, told).await
        }
        Command::Accept { id, other } => {
            let (id, other) = (known(&id)?, known(&other)?);
            accept(database, id, other).await
        }
        Command::Reject { id, other, reason } => {
            let (id, other) = (known(&id)?, known(&other)?);
            let told = format!("rejected: {id} is not {other}");
            say(database, Say::Different { id, other, why: reason }, told).await
        }
    }
}

/// Links a pair that is a candidate, the anonymous one to the other.
async fn accept(database: Database, id: String, other: String) -> Result<Code, Failure> {
    let (one, two) = (literal(&id), literal(&other));
    let sql = format!(
        "SELECT score, evidence FROM identity_candidates
         WHERE distinct_id = least({one}, {two}) AND other = greatest({one}, {two})"
    );
    let found = database.rows(&sql).await?;
    let Some(found) = found.first() else {
        let message = format!("{id} and {other} are no candidates – journeyql identity candidates shows them");
        return Err(Failure::usage(&message));
    };
    let (id, person) = if id.starts_with(ANONYMOUS) { (id, other) } else { (other, id) };
    let (score, evidence) = (&found["score"], found["evidence"].as_str().unwrap_or_default());
    let told = format!("linked: {id} is {person} (score {score})");
    say(database, Say::Same { id, person, why: format!("accepted, score {score}: {evidence}") }, told).await
}

async fn say(database: Database, say: Say, told: String) -> Result<Code, Failure> {
    blocking(move || Ok(database.say(say)?)).await?;
    print(|out| writeln!(out, "{}", crate::terminal::neutral(&told)))?;
    Ok(Code::Done)
}
