//! The command line: one file per command, and what they share.
//!
//! ```text
//! args ─► context (what was typed becomes what is meant) ─► a command ─► database ─► target (stdout or a file)
//!                                                               └──────► failure (the screen and the exit code)
//! ```
//! Invariants: data goes to stdout and everything else to stderr; a reader of stdout that goes away ends a command
//! quietly; exit codes are decided in `failure.rs`; nothing here knows the files of a store.

mod answer;
mod args;
mod audit;
mod compact;
mod config;
mod context;
mod correct;
mod demo;
mod diff;
mod explain;
mod export_person;
mod failure;
mod files;
mod forget;
mod formats;
mod identity;
mod ingest;
mod inspect;
mod page;
mod progress;
mod quarantine;
mod queries;
mod report;
mod reprocess;
mod retain;
mod run;
mod serve;
mod sql;
mod status;
mod target;
mod test;
mod trace;
mod verify;

use std::ffi::OsString;
use std::io::{IsTerminal, Read};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use clap::Parser;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

use crate::database::Stop;
use crate::error::Explanation;
use args::{Cli, Command};
use context::Context;
use failure::{Code, Failure};

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse_from(std::env::args_os().map(comment_is_no_option));
    let context = Context::new(&cli.global);
    match start(cli, &context) {
        Ok(code) => code.into(),
        Err(failure) => failure.report(context.color_err),
    }
}

/// SQL may begin with a comment.
fn comment_is_no_option(argument: OsString) -> OsString {
    let rest = argument.to_str().and_then(|text| text.strip_prefix("--"));
    match rest {
        Some(comment) if comment.starts_with(char::is_whitespace) => format!(" --{comment}").into(),
        _ => argument,
    }
}

fn start(cli: Cli, context: &Context) -> Result<Code, Failure> {
    let command = what_is_meant(cli)?;
    // A query that spills has a file for each batch that waits. Where no more is given, it says so when it needs more.
    let _ = rlimit::increase_nofile_limit(rlimit::INFINITY);
    let failed = |error| Failure::failed(&format!("cannot start threads – {error}"));
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    // Ctrl-C is heard by a thread of its own: the others may be busy with what does not yield.
    let signals = Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(failed)?;
    let outcome = match command {
        Command::Repl => repl(context, &runtime, &signals),
        // It hears Ctrl-C by itself: what is committed stays, and the rest is put away.
        Command::Ingest(args) => {
            let stop = listen_for_interrupt(&signals, context);
            if args.follows() {
                drop(listen_for_termination(&signals, context));
            }
            runtime.block_on(ingest::run(args, context, &stop))
        }
        // It ends what it has begun to answer.
        Command::Serve(args) => {
            let stop = listen_for_interrupt(&signals, context);
            let terminated = listen_for_termination(&signals, context);
            runtime.block_on(serve::run(args, context, async {
                tokio::select! {
                    () = stop.notified() => {}
                    () = terminated.notified() => {}
                }
            }))
        }
        command => {
            let stop = listen_for_interrupt(&signals, context);
            let interrupted = || Failure::new(Code::Interrupted, Explanation::new("interrupted"));
            let outcome = runtime.block_on(async {
                tokio::select! {
                    outcome = Stop::from(Arc::clone(&context.stop)).during(perform(command, context)) => outcome,
                    () = stop.notified() => Err(interrupted()),
                }
            });
            // What was told to end may say so in its own words.
            outcome.map_err(|failure| if context.stop.load(Ordering::Relaxed) { interrupted() } else { failure })
        }
    };
    // Whatever still computes is of no use to anybody.
    runtime.shutdown_background();
    signals.shutdown_background();
    outcome
}

/// No command means SQL: of `-c`, of a pipe, or of a person at the shell.
fn what_is_meant(cli: Cli) -> Result<Command, Failure> {
    match (cli.command, cli.sql) {
        (Some(_), Some(_)) => Err(Failure::usage("-c takes no command beside it – journeyql -c 'select 1'")),
        (Some(_), None) if cli.shape.is_given() => {
            Err(Failure::usage("--format and -o belong after the command – journeyql sql --format json 'select 1'"))
        }
        (Some(command), None) => Ok(command),
        (None, None) if std::io::stdin().is_terminal() && !cli.shape.is_given() => Ok(Command::Repl),
        (None, sql) => Ok(Command::Sql(sql::Args { sql, shape: cli.shape })),
    }
}

async fn perform(command: Command, context: &Context) -> Result<Code, Failure> {
    match command {
        Command::Demo(args) => demo::run(args, context).await,
        Command::Run(args) => run::run(args, context).await,
        Command::Sql(args) => sql::run(args, context).await,
        Command::Report(args) => report::run(args, context).await,
        Command::Sankey(args) => report::sankey(args, context).await,
        Command::Explain(args) => explain::run(args, context).await,
        Command::Trace(args) => trace::run(args, context).await,
        Command::Inspect(args) => inspect::run(args, context).await,
        Command::Quarantine(command) => quarantine::run(command, context).await,
        Command::Identity(command) => identity::run(command, context).await,
        Command::Correct(command) => correct::run(command, context).await,
        Command::Flag(flag) => correct::flag(flag, context).await,
        Command::Corrections(list) => correct::list(list, context).await,
        Command::Status(args) => status::run(&args, context),
        Command::Queries(args) => queries::run(args, context),
        Command::Test(args) => test::run(args, context).await,
        Command::Formats(args) => formats::run(&args),
        Command::Config(command) => config::run(&command, context),
        Command::Reprocess(args) => Box::pin(reprocess::run(args, context)).await,
        Command::Compact(args) => compact::run(args, context).await,
        Command::Retain(args) => retain::run(args, context).await,
        Command::Forget(args) => forget::run(args, context).await,
        Command::ExportPerson(args) => export_person::run(args, context).await,
        Command::Audit(args) => audit::run(args, context).await,
        Command::Verify(args) => verify::run(args, context).await,
        Command::Files(args) => files::run(&args, context),
        Command::Repl | Command::Ingest(_) | Command::Serve(_) => Ok(Code::Done),
    }
}

fn repl(context: &Context, runtime: &Runtime, signals: &Runtime) -> Result<Code, Failure> {
    let face = crate::repl::Face { look: context.look(), color_err: context.color_err, quiet: context.quiet };
    crate::repl::run(&context.open()?, runtime, signals, face)?;
    Ok(Code::Done)
}

/// The first Ctrl-C asks, the second insists.
fn listen_for_interrupt(signals: &Runtime, context: &Context) -> Arc<Notify> {
    let stop = Arc::new(Notify::new());
    let (asked, flag) = (Arc::clone(&stop), Arc::clone(&context.stop));
    signals.spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            flag.store(true, Ordering::Relaxed);
            asked.notify_one();
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            insist();
        }
    });
    stop
}

/// SIGTERM asks a follower or a server to come to its end as Ctrl-C does; a second one insists.
fn listen_for_termination(signals: &Runtime, context: &Context) -> Arc<Notify> {
    let stop = Arc::new(Notify::new());
    #[cfg(unix)]
    {
        let (asked, flag) = (Arc::clone(&stop), Arc::clone(&context.stop));
        let _inside = signals.enter();
        // Where nobody can listen, SIGTERM ends the process as it always does.
        let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
            return stop;
        };
        signals.spawn(async move {
            terminate.recv().await;
            flag.store(true, Ordering::Relaxed);
            asked.notify_one();
            terminate.recv().await;
            insist();
        });
    }
    #[cfg(not(unix))]
    let _ = (signals, context);
    stop
}

#[expect(clippy::exit, reason = "a second Ctrl-C must end the process even where a computation does not yield")]
fn insist() {
    std::process::exit(Code::Interrupted as i32);
}

/// Runs what blocks on a thread of its own, so that Ctrl-C is heard meanwhile.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.unwrap_or_else(|error| Err(Failure::failed(&format!("a thread failed – {error}"))))
}

/// All of stdin as text.
fn stdin_text() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure::failed(&format!("cannot read SQL from stdin – {error}")))?;
    Ok(text)
}
