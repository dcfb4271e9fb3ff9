//! `journeyql correct`, `flag` and `corrections`: what a steward says of events, sessions and people.

use std::io::Write;

use super::answer;
use super::args::{Json, Shape, instant};
use super::blocking;
use super::context::Context;
use super::failure::{Code, Failure};
use super::reprocess::write_difference;
use super::target::{print, print_json};
use crate::correction::{Change, EventRef};
use crate::database::{Corrected, Database, literal};
use crate::maintain::Word;

/// Correct single events or sessions; what is stored stays, and each correction can be reverted
///
/// An event is named as the column `event_ref` of journeyql inspect names it.
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// Leave events out of everything
    DropEvent {
        #[arg(required = true, value_name = "EVENT", value_parser = event)]
        events: Vec<EventRef>,
        #[command(flatten)]
        how: How,
    },
    /// Say when an event happened
    MoveEvent {
        #[arg(value_name = "EVENT", value_parser = event)]
        event: EventRef,
        /// The time, ISO-8601
        #[arg(long, value_name = "TIME", value_parser = instant)]
        to: i64,
        #[command(flatten)]
        how: How,
    },
    /// Give events another page, another name, or both
    Relabel {
        #[arg(required = true, value_name = "EVENT", value_parser = event)]
        events: Vec<EventRef>,
        #[arg(long)]
        page: Option<String>,
        #[arg(long, value_name = "NAME")]
        event: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// Give events, or all events of a session, to another user
    ReassignUser {
        #[arg(value_name = "EVENT", value_parser = event, required_unless_present = "session")]
        events: Vec<EventRef>,
        /// All events of this session, beside those that are named
        #[arg(long, value_name = "SESSION_ID")]
        session: Option<String>,
        /// The user id
        #[arg(long, value_name = "ID")]
        to: String,
        #[command(flatten)]
        how: How,
    },
    /// Let a session begin at an event
    SplitSession {
        #[arg(value_name = "EVENT", value_parser = event)]
        event: EventRef,
        #[command(flatten)]
        how: How,
    },
    /// Make one session of two of a person that follow each other
    MergeSessions {
        #[arg(value_name = "SESSION_ID")]
        first: String,
        #[arg(value_name = "SESSION_ID")]
        second: String,
        #[command(flatten)]
        how: How,
    },
}

/// Mark sessions or people as not to be counted
///
/// Nothing goes: the setting `journeyql.skip_flagged` leaves them out of every view, and the column flagged of sessions
/// tells them.
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Flag {
    /// Flag sessions
    Session {
        #[arg(required = true, value_name = "SESSION_ID")]
        sessions: Vec<String>,
        #[command(flatten)]
        how: Because,
    },
    /// Flag people, with all their ids
    User {
        #[arg(required = true, value_name = "ID")]
        users: Vec<String>,
        #[command(flatten)]
        how: Because,
    },
}

/// What was corrected or flagged, and taking it back
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum List {
    /// Show all corrections and flags, those that were reverted included
    List {
        #[command(flatten)]
        shape: Shape,
    },
    /// Take corrections or flags back, by their ids or from one to another (5-9)
    Revert {
        #[arg(required = true, value_name = "ID", value_parser = ids)]
        ids: Vec<Ids>,
        /// Who says so
        #[arg(long, value_name = "NAME", default_value_t = whoever())]
        by: String,
    },
}

/// Why, by whom, and whether at all.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct How {
    /// Why
    #[arg(long, default_value = "said by a steward")]
    reason: String,
    #[command(flatten)]
    rest: Rest,
}

/// The same where a reason must be given.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Because {
    /// Why
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    rest: Rest,
}

#[derive(Debug, clap::Args)]
struct Rest {
    /// Who says so
    #[arg(long, value_name = "NAME", default_value_t = whoever())]
    by: String,
    /// Only say which views would move, and how
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    json: Json,
}

/// Ids that are taken back: the first, and the last.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Ids(i64, i64);

fn ids(text: &str) -> Result<Ids, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) if first <= last && last - first < 1_000_000 => Ok(Ids(first, last)),
        _ => Err("write an id such as 5, or several such as 5-9".to_owned()),
    }
}

fn event(text: &str) -> Result<EventRef, String> {
    EventRef::parse(text).ok_or_else(|| "write SOURCE_ID:OFFSET, as journeyql inspect shows it in event_ref".to_owned())
}

/// The name of the person at the keyboard, if the system tells.
fn whoever() -> String {
    let name = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "a steward".to_owned())
}

pub(in crate::cli) async fn run(command: Command, context: &Context) -> Result<Code, Failure> {
    let database = context.open()?;
    let (changes, how) = match command {
        Command::DropEvent { events, how } => {
            (each(&database, &events, |event| Change::DropEvent { event }).await?, how)
        }
        Command::MoveEvent { event, to, how } => {
            (each(&database, &[event], |event| Change::MoveEvent { event, ts: to }).await?, how)
        }
        Command::Relabel { events, page, event: name, how } => {
            let change = |event| Change::Relabel { event, page: page.clone(), name: name.clone() };
            (each(&database, &events, change).await?, how)
        }
        Command::ReassignUser { mut events, session, to, how } => {
            if let Some(session) = session {
                events.extend(database.session_events(&session).await?.events);
            }
            let user = database.known_as(&to)?;
            (each(&database, &events, |event| Change::ReassignUser { event, user: user.clone() }).await?, how)
        }
        Command::SplitSession { event, how } => {
            step(&database, &event).await?;
            (each(&database, &[event], |event| Change::SplitSession { event }).await?, how)
        }
        Command::MergeSessions { first, second, how } => (vec![merge(&database, &first, &second, context).await?], how),
    };
    say(&database, changes, how.reason, how.rest).await
}

pub(in crate::cli) async fn flag(flag: Flag, context: &Context) -> Result<Code, Failure> {
    let database = context.open()?;
    let mut changes = Vec::new();
    let how = match flag {
        Flag::Session { sessions, how } => {
            for session in sessions {
                let first = database.session_events(&session).await?.events.swap_remove(0);
                changes.extend(each(&database, &[first], |event| Change::FlagSession { event }).await?);
            }
            how
        }
        Flag::User { users, how } => {
            for user in users {
                changes.push(Change::FlagUser { user: database.known_as(&user)? });
            }
            how
        }
    };
    say(&database, changes, how.reason, how.rest).await
}

pub(in crate::cli) async fn list(list: List, context: &Context) -> Result<Code, Failure> {
    match list {
        List::List { shape } => {
            answer::write("corrections list", "SELECT * FROM corrections ORDER BY id", &shape, context).await
        }
        List::Revert { ids, by } => {
            let database = context.open()?;
            let ids: Vec<i64> = ids.into_iter().flat_map(|Ids(first, last)| first..=last).collect();
            let reverted = blocking(move || Ok(database.revert(&ids, &by)?)).await?;
            print(|out| reverted.iter().try_for_each(|it| writeln!(out, "reverted: {}, {}", it.id, it.change.kind())))?;
            Ok(Code::Done)
        }
    }
}

async fn each(
    database: &Database,
    events: &[EventRef],
    change: impl Fn(crate::correction::Anchor) -> Change,
) -> Result<Vec<Change>, Failure> {
    Ok(database.anchors(events).await?.into_iter().map(change).collect())
}

/// Sessions are made of step events alone.
async fn step(database: &Database, event: &EventRef) -> Result<(), Failure> {
    let sql = format!(
        "SELECT is_step FROM events WHERE source_id = {} AND source_offset = {}",
        literal(&event.source_id),
        event.offset
    );
    match database.rows(&sql).await?.first() {
        Some(row) if row["is_step"] == false => Err(Failure::usage(&format!(
            "{event} is no step – sessions are made of events that are: journeyql inspect"
        ))),
        _ => Ok(()),
    }
}

async fn merge(database: &Database, first: &str, second: &str, context: &Context) -> Result<Change, Failure> {
    if first == second {
        return Err(Failure::usage(&format!("{first} is one session – name two")));
    }
    let (mut first, mut second) = (database.session_events(first).await?, database.session_events(second).await?);
    if first.session_index > second.session_index {
        std::mem::swap(&mut first, &mut second);
    }
    let failure = |why: &str| {
        let trace = format!("{} trace '{}'", context.command(), first.user_id.replace('\'', "'\\''"));
        Failure::usage(&format!("{} and {} {why}", first.session_id, second.session_id)).next(trace)
    };
    if first.user_id != second.user_id {
        return Err(failure("are sessions of two people – journeyql identity link makes two ids one person"));
    }
    if first.session_index + 1 != second.session_index {
        return Err(failure("do not follow each other – merge those between them first"));
    }
    let (last, event) = (first.events[first.events.len() - 1].clone(), second.events[0].clone());
    let mut anchors = database.anchors(&[last, event]).await?;
    let event = anchors.swap_remove(1);
    Ok(Change::MergeSessions { last: anchors.swap_remove(0), event })
}

async fn say(database: &Database, changes: Vec<Change>, reason: String, rest: Rest) -> Result<Code, Failure> {
    let done = database.correct(changes, Word { by: rest.by, reason }, rest.dry_run).await?;
    if rest.json.json {
        print_json(&done)?;
    } else {
        print(|out| write(&done, rest.dry_run, out))?;
    }
    Ok(Code::Done)
}

fn write(done: &Corrected, dry_run: bool, out: &mut dyn Write) -> std::io::Result<()> {
    if let (Some(first), Some(last)) = (done.ids.first(), done.ids.last()) {
        let ids = if first == last { first.to_string() } else { format!("{first}-{last}") };
        return writeln!(out, "corrections: {ids} (take back: journeyql corrections revert {ids})");
    }
    for difference in &done.differences {
        write_difference(difference, out)?;
    }
    if done.differences.is_empty() {
        writeln!(out, "no main view would move")?;
    }
    if dry_run {
        writeln!(out, "\nnothing was changed: a dry run")?;
    }
    Ok(())
}
