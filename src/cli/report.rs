//! `journeyql report` and `journeyql sankey`: the charts as one file, from logs or from the store.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::blocking;
use super::context::Context;
use super::failure::{Code, Failure};
use super::ingest::{progress, sentence};
use super::page::Page;
use super::target::{NewFile, print, refuse_inside_store};
use crate::database::{Database, Temporary};
use crate::ingest::IngestReport;
use crate::limits;
use crate::terminal::neutral;

/// Write all charts as one page that opens offline: of the store, or of logs without one
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Logs to read into a store that is removed again; none: the store is reported on
    #[arg(value_name = "FILE|GLOB|-")]
    inputs: Vec<String>,
    /// Where to write the page; -: stdout
    #[arg(long, short, value_name = "OUT", default_value = "report.html")]
    output: PathBuf,
    #[command(flatten)]
    filters: Filters,
    /// The steps of the funnel; none: the way to the page where most journeys end well
    #[arg(long, value_name = "STEP,STEP", value_delimiter = ',')]
    steps: Vec<String>,
    /// Rows of paths, drop-offs, dwell times and sessions at most
    #[arg(long, value_name = "N")]
    top: Option<u64>,
}

/// Write the river of journeys alone as a page that opens offline: of the store, or of logs without one
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Sankey {
    /// Logs to read into a store that is removed again; none: the store is reported on
    #[arg(value_name = "FILE|GLOB|-")]
    inputs: Vec<String>,
    /// Where to write the page; -: stdout
    #[arg(long, short, value_name = "OUT", default_value = "sankey.html")]
    output: PathBuf,
    #[command(flatten)]
    filters: Filters,
}

/// What all figures are of.
#[derive(Debug, Clone, clap::Args)]
struct Filters {
    /// Sessions that begin at this day or time or later
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Sessions that begin before this day or time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Only the people of this segment
    #[arg(long, value_name = "NAME")]
    segment: Option<String>,
    /// The idle time after which a session ends
    #[arg(long, value_name = "TIME")]
    gap: Option<String>,
    /// What the logs are: auto, a name of `journeyql formats`, or a regular expression with named groups
    #[arg(long, default_value = "auto", value_name = "FORMAT")]
    format: String,
}

impl Filters {
    /// Those that were given, by the names of the panels' parameters.
    fn given(&self) -> Vec<(String, String)> {
        let Self { from, to, segment, gap, .. } = self;
        let all = [("from", from), ("to", to), ("segment", segment), ("gap", gap)];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect()
    }
}

pub(in crate::cli) async fn run(args: Args, context: &Context) -> Result<Code, Failure> {
    let from = Input::open(args.inputs, &args.filters, &args.output, context).await?;
    let mut page = Page::new(&from.database, &from.title, args.filters.given(), args.top).await?;
    page.river().await?;
    page.charts().await?;
    page.funnel(args.steps).await?;
    page.people().await?;
    finish(&page.text(), &from, &args.output, context)
}

pub(in crate::cli) async fn sankey(args: Sankey, context: &Context) -> Result<Code, Failure> {
    let from = Input::open(args.inputs, &args.filters, &args.output, context).await?;
    let mut page = Page::new(&from.database, &from.title, args.filters.given(), None).await?;
    page.river().await?;
    page.river_alone();
    finish(&page.text(), &from, &args.output, context)
}

/// What is reported on.
struct Input {
    database: Database,
    /// The logs, where there is no store.
    read: Option<(Temporary, IngestReport)>,
    title: String,
}

impl Input {
    async fn open(inputs: Vec<String>, filters: &Filters, out: &Path, context: &Context) -> Result<Self, Failure> {
        if inputs.is_empty() {
            refuse_inside_store(out, &context.store)?;
            let title = context.store.display().to_string();
            return Ok(Self { database: context.open()?, read: None, title });
        }
        let rules = context.given_config()?.unwrap_or_default();
        let (database, guard) = Database::temporary(Arc::new(rules), context.now)?;
        let title = inputs.join(", ");
        let options = database.ingest_options(inputs, filters.format.clone(), Arc::clone(&context.stop));
        let (reader, mut progress) = (database.clone(), progress(false, context.quiet));
        let report = blocking(move || Ok(reader.ingest(&options, progress.as_mut())?)).await?;
        for skipped in &report.skipped {
            let why = neutral(skipped.why.lines().next().unwrap_or_default()).into_owned();
            if skipped.failed {
                // A page that silently lacks a log would tell smaller numbers.
                return Err(Failure::failed(&format!("no page was written – {why}")));
            }
            context.remark(&format!("left out: {why}"));
        }
        Ok(Self { database, read: Some((guard, report)), title })
    }
}

/// Writes the page and says where it is and what it is of.
fn finish(page: &str, from: &Input, out: &Path, context: &Context) -> Result<Code, Failure> {
    if out == Path::new("-") {
        print(|stdout| stdout.write_all(page.as_bytes()))?;
    } else {
        let (new_file, mut file) = NewFile::create(out)?;
        let written = file.write_all(page.as_bytes());
        written.map_err(|error| Failure::failed(&format!("cannot write {} – {error}", out.display())))?;
        new_file.keep()?;
        context.remark(&format!("wrote {}", out.display()));
    }
    let Some((_, report)) = &from.read else { return Ok(Code::Done) };
    context.remark(&sentence(&report.total()));
    if report.too_many_rejects(limits::MAX_REJECTS) {
        context.remark("more than 5% of the lines were not understood; the page is of the others");
        return Ok(Code::Rejects);
    }
    Ok(Code::Done)
}
