//! `journeyql ingest`: logs into the store.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::args::Json;
use super::blocking;
use super::context::Context;
use super::failure::{Code, Failure};
use super::progress::{Bar, Lines};
use super::target::print;
use crate::database::Database;
use crate::error::Explanation;
use crate::ingest::{Counts, Follow, IngestReport, Progress, Quiet, SourceReport};
use crate::limits;
use crate::output::Measure;
use crate::terminal::neutral;
use crate::time;

/// The time that an ingest has to put its unfinished files away after Ctrl-C.
const GRACE: Duration = Duration::from_secs(3);

/// Read logs into the store (made if missing); what is already there is recognised
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Files, globs, folders; - or nothing: stdin. Plain, gzip or zstd
    #[arg(value_name = "FILE|GLOB|-")]
    inputs: Vec<String>,
    /// auto, a name of `journeyql formats`, or a regular expression with named groups
    #[arg(long, default_value = "auto", value_name = "FORMAT")]
    format: String,
    /// Exit with 3 if a larger share of the lines is quarantined: 5% or 0.05; with --follow only if given
    #[arg(long, value_name = "SHARE", value_parser = share)]
    max_rejects: Option<f64>,
    /// Wait for more, also in files that appear later, until SIGTERM or Ctrl-C; a stream that was killed is not resumed
    #[arg(long)]
    follow: bool,
    /// With --follow: commit what has arrived this often
    #[arg(long, value_name = "TIME", value_parser = interval, default_value = "5s", requires = "follow")]
    flush_interval: Duration,
    /// With --follow: and as soon as so many lines wait
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(u64).range(1..), default_value_t = limits::FLUSH_ROWS, requires = "follow")]
    flush_rows: u64,
    #[command(flatten)]
    json: Json,
}

impl Args {
    pub(in crate::cli) const fn follows(&self) -> bool {
        self.follow
    }
}

/// A share between 0 and 1, also as a percentage.
fn share(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let number = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|number| number / 100.0),
        None => text.parse(),
    };
    number.ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| "write a share such as 5% or 0.05".to_owned())
}

/// A length of time that is one; a number alone is seconds.
fn interval(text: &str) -> Result<Duration, String> {
    let seconds = text.trim().parse::<f64>().map(|_| format!("{}s", text.trim()));
    let micros = u64::try_from(time::parse_duration(seconds.as_deref().unwrap_or(text))?).unwrap_or_default();
    if micros == 0 { Err("an interval is longer than nothing".to_owned()) } else { Ok(Duration::from_micros(micros)) }
}

pub(in crate::cli) async fn run(args: Args, context: &Context, stop: &Notify) -> Result<Code, Failure> {
    let inputs = inputs(args.inputs)?;
    let (had_store, had_folder) = (Database::exists(&context.store), context.store.exists());
    let database = context.open_or_create(None)?;
    let mut options = database.ingest_options(inputs, args.format, Arc::clone(&context.stop));
    let (flush_interval, flush_rows) = (args.flush_interval, args.flush_rows);
    options.follow = args.follow.then_some(Follow { flush_interval, flush_rows, now: context.now });
    let mut progress = progress(args.follow, context.quiet);
    let work = blocking(move || {
        let report = database.ingest(&options, progress.as_mut());
        drop(progress);
        Ok(report?)
    });
    let report = tokio::select! {
        report = work => report,
        // A follower waits for nobody: it hears the stop, and commits what it has, however long that takes.
        () = waited_in_vain(stop), if !args.follow => Err(Failure::new(Code::Interrupted, Explanation::new(
            "interrupted – what was committed before stays",
        ))),
    };
    if report.is_err() && !had_store {
        // Nothing came of it, so it leaves nothing: a mistyped name makes no store. If that fails, an empty one stays.
        _ = Database::discard(&context.store, !had_folder);
    }
    let report = report?;
    if args.json.json {
        print_json(&report)?;
    } else if !context.quiet {
        // The summary is no data: a script that keeps stdout keeps answers only.
        _ = write_summary(&report, &mut std::io::stderr());
    }
    let limit = args.max_rejects.unwrap_or(if args.follow { 1.0 } else { limits::MAX_REJECTS });
    Ok(outcome(&report, limit, context))
}

/// What is shown on the way.
pub(super) fn progress(follow: bool, quiet: bool) -> Box<dyn Progress + Send> {
    match (std::io::stderr().is_terminal(), follow) {
        _ if quiet => Box::new(Quiet),
        (true, false) => Box::new(Bar::new()),
        (true, true) => Box::new(Bar::following()),
        (false, false) => Box::new(Quiet),
        (false, true) => Box::new(Lines::default()),
    }
}

/// Ends when Ctrl-C was not heard for a while: the ingest waits for input that does not come.
async fn waited_in_vain(stop: &Notify) {
    stop.notified().await;
    tokio::time::sleep(GRACE).await;
}

/// What was named, else stdin if something is piped in.
fn inputs(named: Vec<String>) -> Result<Vec<String>, Failure> {
    if !named.is_empty() {
        return Ok(named);
    }
    if std::io::stdin().is_terminal() {
        return Err(Failure::usage("nothing to ingest – name a file, a glob, a folder, or pipe a log in")
            .next("journeyql ingest access.log"));
    }
    Ok(vec!["-".to_owned()])
}

fn outcome(report: &IngestReport, max_rejects: f64, context: &Context) -> Code {
    for skipped in &report.skipped {
        // The whole of it is in the JSON, and is said when the file is ingested alone.
        let why = skipped.why.lines().next().unwrap_or_default();
        context.remark(&format!("left out: {}", neutral(why)));
    }
    if report.failed() {
        return Code::Failed;
    }
    if report.too_many_rejects(max_rejects) {
        let total = report.total();
        context.remark(&format!(
            "more than {}% of the lines were quarantined ({} of {})\n try: {} quarantine list",
            max_rejects * 100.0,
            total.quarantined,
            total.lines - total.duplicates,
            context.command()
        ));
        return Code::Rejects;
    }
    Code::Done
}

fn print_json(report: &IngestReport) -> Result<(), Failure> {
    let total = report.total();
    let mut json = serde_json::to_value(report).map_err(|error| Failure::failed(&error.to_string()))?;
    json["total"] = serde_json::to_value(total).map_err(|error| Failure::failed(&error.to_string()))?;
    print(|out| writeln!(out, "{json:#}"))
}

/// A line per source, the first refused lines, and the sum where there are several.
pub(super) fn write_summary(report: &IngestReport, out: &mut dyn Write) -> std::io::Result<()> {
    for source in &report.sources {
        writeln!(out, "{}  {} ({})", neutral(&source.name), neutral(&source.format), neutral(&source.why))?;
        writeln!(out, "  {}", sentence(&source.counts))?;
        write_problems(source, out)?;
    }
    if report.sources.len() > 1 {
        writeln!(out, "together\n  {}", sentence(&report.total()))?;
    }
    Ok(())
}

fn write_problems(source: &SourceReport, out: &mut dyn Write) -> std::io::Result<()> {
    for problem in source.problems.iter().take(3) {
        let text = Measure::cut(&neutral(&problem.text), 90);
        writeln!(out, "  line {}: {} – {text}", problem.line_no, problem.reason)?;
    }
    Ok(())
}

/// `3000 lines = 2973 stored + 16 quarantined + 0 dropped + 11 duplicates`
pub(super) fn sentence(counts: &Counts) -> String {
    let rules: Vec<String> = counts.dropped_by.iter().map(|(rule, count)| format!("{rule} {count}")).collect();
    let rules = if rules.is_empty() { String::new() } else { format!(" ({})", rules.join(", ")) };
    format!(
        "{} lines = {} stored + {} quarantined + {} dropped{rules} + {} duplicates",
        counts.lines, counts.stored, counts.quarantined, counts.dropped, counts.duplicates
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals() {
        assert_eq!(interval("5 s"), Ok(Duration::from_secs(5)));
        assert_eq!(interval("0.2"), Ok(Duration::from_millis(200)));
        for bad in ["0", "-5", "nan", "soon", ""] {
            assert!(interval(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shares() {
        assert_eq!(share("5%"), Ok(0.05));
        assert_eq!(share("0.2"), Ok(0.2));
        assert_eq!(share("0"), Ok(0.0));
        for bad in ["", "5", "-1%", "nan", "101%"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }
}
