//! `journeyql quarantine`: the refused lines.

use std::io::Write;

use clap::ArgGroup;

use super::answer;
use super::args::{Json, Shape, instant};
use super::blocking;
use super::context::Context;
use super::failure::{Code, Failure};
use super::target::{print, print_json};
use crate::database::literal;
use crate::ingest::Retried;
use crate::store::Refused;

/// The lines that were refused
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// Count them by source and reason, with an example
    List {
        #[command(flatten)]
        shape: Shape,
    },
    /// Show the lines themselves
    Show {
        #[command(flatten)]
        filter: Filter,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        shape: Shape,
    },
    /// Read lines again under the rules of now: those that are events come in, at their old place in their source
    Retry {
        #[command(flatten)]
        filter: Filter,
        /// Only say what would become of them
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Drop the lines that the options choose; they stay counted as dropped by the rule steward
    #[command(group(ArgGroup::new("which").required(true).multiple(true).args(["source", "reason", "since", "until", "all"])))]
    Drop {
        #[command(flatten)]
        filter: Filter,
        /// Every refused line
        #[arg(long, conflicts_with_all = ["source", "reason", "since", "until"])]
        all: bool,
        /// Only say how many
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        json: Json,
    },
}

/// Which refused lines: those that meet all that is given.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct Filter {
    /// Only of sources whose name or id contains this
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// Only with this reason, or one that begins with it and a colon: schema, 'schema: signup'
    #[arg(long)]
    reason: Option<String>,
    /// Only received at this time or later, ISO-8601
    #[arg(long, value_name = "TIME", value_parser = instant)]
    since: Option<i64>,
    /// Only received before this time
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<i64>,
}

impl Filter {
    /// As the store takes it.
    fn meant(self) -> Refused {
        let Self { source, reason, since, until } = self;
        Refused { source, reason, received: (since, until) }
    }

    /// As a condition on `quarantine`.
    fn sql(&self) -> String {
        let mut wanted = vec!["true".to_owned()];
        if let Some(text) = &self.source {
            let text = literal(text);
            wanted.push(format!("(strpos(source, {text}) > 0 OR strpos(source_id, {text}) > 0)"));
        }
        if let Some(reason) = &self.reason {
            let (whole, begins) = (literal(reason), literal(&format!("{reason}: ")));
            wanted.push(format!("(reason = {whole} OR starts_with(reason, {begins}))"));
        }
        for (at, sign) in [(self.since, ">="), (self.until, "<")] {
            wanted.extend(at.map(|at| format!("received_at {sign} to_timestamp_micros({at})")));
        }
        wanted.join(" AND ")
    }
}

pub(in crate::cli) async fn run(command: Command, context: &Context) -> Result<Code, Failure> {
    let redacted = context.open()?.config().privacy.is_on();
    let code = match command {
        Command::List { shape } => answer::write("quarantine list", LIST, &shape, context).await,
        Command::Show { filter, limit, shape } => {
            let wanted = filter.sql();
            let sql = format!(
                "SELECT source, line_no, source_offset, reason, matched_bytes, raw FROM quarantine
                 WHERE {wanted} ORDER BY source, source_id, source_offset LIMIT {limit}"
            );
            answer::write("quarantine show", &sql, &shape, context).await
        }
        Command::Retry { filter, dry_run, json } => return retry(filter, dry_run, json, context).await,
        Command::Drop { filter, dry_run, json, .. } => return drop_lines(filter, dry_run, json, context).await,
    }?;
    if redacted {
        context.remark(
            "[privacy] is on: of a refused line only its shape is kept, marked [redacted …] – its source has the line, at \
             line_no",
        );
    }
    Ok(code)
}

async fn drop_lines(filter: Filter, dry_run: bool, json: Json, context: &Context) -> Result<Code, Failure> {
    let database = context.open()?;
    let meant = filter.meant();
    let gone = blocking(move || Ok(database.drop_refused(&meant, dry_run)?)).await?;
    if json.json {
        print_json(&gone)?;
    } else if gone.lines == 0 {
        print(|out| writeln!(out, "nothing to drop: no refused line is meant – journeyql quarantine list shows them"))?;
    } else {
        let verb = if dry_run { "would be dropped" } else { "dropped" };
        print(|out| writeln!(out, "{verb}: {} refused lines of {} sources", gone.lines, gone.sources))?;
    }
    Ok(Code::Done)
}

async fn retry(filter: Filter, dry_run: bool, json: Json, context: &Context) -> Result<Code, Failure> {
    let database = context.open()?;
    let meant = filter.meant();
    let told = blocking(move || Ok(database.retry_refused(&meant, dry_run)?)).await?;
    if json.json {
        print_json(&told)?;
    } else if told.lines == 0 {
        print(|out| {
            writeln!(out, "nothing to retry: no refused line is meant – journeyql quarantine list shows them")
        })?;
    } else {
        print(|out| write_retried(&told, dry_run, out))?;
    }
    Ok(Code::Done)
}

fn write_retried(told: &Retried, dry_run: bool, out: &mut dyn Write) -> std::io::Result<()> {
    let Retried { lines, stored, dropped, duplicates, refused, reasons_changed, .. } = told;
    let kept: u64 = told.not_retried.values().sum();
    let verb = if dry_run { "would be " } else { "" };
    writeln!(
        out,
        "{lines} refused lines: {verb}{stored} stored, {dropped} dropped, {duplicates} duplicates, {refused} refused again, \
         {kept} not retried"
    )?;
    for (rule, count) in &told.dropped_by {
        writeln!(out, "  {count} dropped by the rule {rule}")?;
    }
    if *reasons_changed > 0 {
        writeln!(out, "  {reasons_changed} of those refused again are so for another reason than before")?;
    }
    for (why, count) in &told.not_retried {
        writeln!(out, "  {count} not retried: {}", why.why())?;
    }
    Ok(())
}

const LIST: &str = "
    SELECT source, reason, count(*) AS lines, min(line_no) AS first_line,
           first_value(raw ORDER BY source_offset) AS example
    FROM quarantine GROUP BY source, source_id, reason ORDER BY lines DESC, source, reason";
