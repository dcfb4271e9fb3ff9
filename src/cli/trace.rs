//! `journeyql trace`: the journeys of one person.

use std::io::Write;

use super::args::Json;
use super::context::Context;
use super::failure::{Code, Failure};
use super::target::{print, print_json};
use crate::database::{Trace, Visit};
use crate::terminal::neutral;
use crate::time;

/// Show one person's journeys, step by step
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The user id, as the column `user_id` has it
    user: String,
    #[command(flatten)]
    json: Json,
}

pub(in crate::cli) async fn run(args: Args, context: &Context) -> Result<Code, Failure> {
    let trace = context.open()?.trace(&args.user).await?;
    if trace.sessions.is_empty() {
        let failure = Failure::failed(&format!("no journeys of '{}' in {}", args.user, context.store.display()));
        let failure = match &trace.closest {
            Some(closest) => failure.next(format!("{} trace '{closest}'", context.command())),
            None => failure,
        };
        let sample = "select user_id, count(*) as sessions from sessions group by 1 order by 2 desc limit 10";
        return Err(failure.next(format!("{} sql \"{sample}\"", context.command())));
    }
    if args.json.json {
        print_json(&trace)?;
    } else {
        print(|out| write_trace(&trace, out))?;
    }
    Ok(Code::Done)
}

fn write_trace(trace: &Trace, out: &mut dyn Write) -> std::io::Result<()> {
    let sessions = trace.sessions.len();
    writeln!(out, "{}: {sessions} session{}", neutral(&trace.user_id), if sessions == 1 { "" } else { "s" })?;
    for visit in &trace.sessions {
        writeln!(out)?;
        write_visit(visit, out)?;
    }
    Ok(())
}

fn write_visit(visit: &Visit, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{}  session {}", time::iso(visit.started_at), visit.session_id)?;
    for step in &visit.steps {
        let since = (step.ts - visit.started_at) / time::SECOND;
        let clock = format!("+{}:{:02}:{:02}", since / 3_600, since / 60 % 60, since % 60);
        let repeats = if step.repeats > 1 { format!(" ×{}", step.repeats) } else { String::new() };
        let status =
            step.status.filter(|status| *status >= 400).map(|status| format!(" [{status}]")).unwrap_or_default();
        let dwell = step.dwell_s.map(|seconds| format!("  {}", dwell(seconds))).unwrap_or_default();
        writeln!(out, "  {clock:>9}  {}{repeats}{status}{dwell}", neutral(&step.step))?;
    }
    Ok(())
}

/// `12 s`, `3 min 5 s`, `2 h 10 min`.
fn dwell(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "seconds inside a session")]
    let whole = seconds.round() as i64;
    match (whole / 3_600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}
