//! `journeyql demo`: the bundled sample from log to reports, and the generator of larger ones.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::args::Json;
use super::blocking;
use super::context::{Context, command_on};
use super::failure::{Code, Failure};
use super::ingest::write_summary;
use super::run::bundled;
use super::target::{NewFile, make_folder, print};
use crate::config::Config;
use crate::database::{Database, Temporary};
use crate::demo::{self, Plan};
use crate::ingest::{IngestReport, Quiet};
use crate::output::Format;

/// Where the demo's store goes unless `--store` names one.
const STORE: &str = "./journey-demo";
/// The pages where a journey may well end.
const RULES: &str = "[journey]\nterminal_pages = [\"/thanks\"]\n";

/// Try it: ingest the bundled sample and report on it, or write a larger one
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    json: Json,
    /// Only write sample logs: N lines of access.log, half as many of events.ndjson
    #[arg(long, value_name = "N")]
    generate: Option<u64>,
    /// Where to write them
    #[arg(long, value_name = "DIR", default_value = ".", requires = "generate")]
    out: PathBuf,
    /// Days that the visits are spread over
    #[arg(long, default_value_t = Plan::default().days, requires = "generate")]
    days: u32,
    /// Another seed, another shop
    #[arg(long, default_value_t = Plan::default().seed, requires = "generate")]
    seed: u64,
}

pub(in crate::cli) async fn run(args: Args, context: &Context) -> Result<Code, Failure> {
    if let Some(lines) = args.generate {
        let plan = Plan { lines, days: args.days, seed: args.seed };
        let folder = args.out;
        let written = blocking(move || generate(&plan, &folder)).await?;
        context.remark(&format!("wrote {}", written.map(|path| path.display().to_string()).join(", ")));
        return Ok(Code::Done);
    }
    let context = Context { store: demo_store(context), ..context.clone() };
    let (database, report) = ingest(&context).await?;
    if args.json.json {
        let summary = summary(&database, &report, &context).await?;
        print(|out| writeln!(out, "{summary:#}"))?;
    } else {
        tell(&database, &report, &context).await?;
    }
    Ok(Code::Done)
}

/// The store that was named, else one of the demo's own: the sample must not mix with anybody's data.
fn demo_store(context: &Context) -> PathBuf {
    if context.store == Path::new("./journey") { PathBuf::from(STORE) } else { context.store.clone() }
}

/// Writes the three files of a sample into a folder.
fn generate(plan: &Plan, folder: &Path) -> Result<[PathBuf; 3], Failure> {
    make_folder(folder)?;
    let paths = ["access.log", "events.ndjson", "README.md"].map(|name| folder.join(name));
    write_file(&paths[0], |out| demo::access_log(plan, out))?;
    write_file(&paths[1], |out| demo::app_events(plan, out))?;
    write_file(&paths[2], |out| out.write_all(demo::readme(plan).as_bytes()))?;
    Ok(paths)
}

fn write_file(path: &Path, fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<(), Failure> {
    let (new_file, sink) = NewFile::create(path)?;
    let mut out = BufWriter::with_capacity(1 << 16, sink);
    let written = fill(&mut out).and_then(|()| out.flush());
    written.map_err(|error| Failure::failed(&format!("cannot write {} – {error}", path.display())))?;
    new_file.keep()
}

/// Writes the sample beside the store and ingests it. A second demo finds every line known.
async fn ingest(context: &Context) -> Result<(Database, IngestReport), Failure> {
    let mut logs = context.store.clone().into_os_string();
    logs.push("-logs");
    let logs = PathBuf::from(logs);
    let [web, app, _] = blocking(move || generate(&Plan::default(), &logs)).await?;
    let rules = Config::parse(RULES).map_err(|error| Failure::failed(&error))?;
    let database = context.open_or_create(Some(rules))?;
    let inputs = [web, app].map(|path| path.display().to_string()).to_vec();
    let options = database.ingest_options(inputs, "auto".to_owned(), Arc::clone(&context.stop));
    let handle = database.clone();
    let report = blocking(move || Ok(handle.ingest(&options, &mut Quiet)?)).await?;
    Ok((database, report))
}

/// The bundled sample in a store that goes with its guard.
pub(super) async fn sample(context: &Context) -> Result<(Database, Temporary), Failure> {
    let rules = Config::parse(RULES).map_err(|error| Failure::failed(&error))?;
    let (database, guard) = Database::temporary(Arc::new(rules), context.now)?;
    let (folder, handle, stop) = (database.dir().join("sample"), database.clone(), Arc::clone(&context.stop));
    blocking(move || {
        let [web, app, _] = generate(&Plan::default(), &folder)?;
        let inputs = [web, app].map(|path| path.display().to_string()).to_vec();
        Ok(handle.ingest(&handle.ingest_options(inputs, "auto".to_owned(), stop), &mut Quiet)?)
    })
    .await?;
    Ok((database, guard))
}

/// The shop's funnel.
const FUNNEL: &str = "/,/product/<id>,/cart,/checkout,/thanks";

/// A heading, the report, and its parameters.
const CHAPTERS: [(&str, &str); 4] = [
    ("Overview", "overview"),
    ("The most walked paths", "top_paths"),
    ("Where people leave", "drop_offs"),
    ("From the first page to the order", "funnel"),
];

async fn tell(database: &Database, report: &IngestReport, context: &Context) -> Result<(), Failure> {
    print(|out| {
        writeln!(out, "A small shop's web log and its app's events, into the store {}\n", context.store.display())?;
        write_summary(report, out)
    })?;
    for (heading, name) in CHAPTERS {
        let sql = report_sql(name, context)?;
        let explain = |error| Failure::of_sql(&error, name, &sql);
        let answer = database.session().query(&sql).await.map_err(explain)?;
        let table = answer.text(Format::Table, context.look()).await.map_err(explain)?;
        print(|out| write!(out, "\n{heading}  (journeyql run {name})\n{table}"))?;
    }
    let command = command_on(&context.store);
    print(|out| {
        writeln!(out, "\nGo on with\n  {command} trace u00010")?;
        writeln!(out, "  {command} sql \"select * from transitions where from_step = '/cart'\"")?;
        writeln!(out, "  {command} run funnel -p steps='/,/product/<id>,/cart' -p window='1 hour'")?;
        writeln!(out, "  {command} status")?;
        writeln!(out, "  {command}                                  the shell; \\d lists what there is")?;
        writeln!(out, "  journeyql ingest /var/log/nginx/access.log      your own log, into ./journey")
    })
}

/// A bundled report with its defaults.
fn report_sql(name: &str, context: &Context) -> Result<String, Failure> {
    let report = bundled(name, context)?;
    let defaults: BTreeMap<String, String> = match name {
        "funnel" => [("steps".to_owned(), FUNNEL.to_owned())].into(),
        "top_paths" | "drop_offs" => [("top".to_owned(), "10".to_owned())].into(),
        _ => BTreeMap::new(),
    };
    report.sql(&defaults).map_err(|error| Failure::of_sql(&error, name, &report.text))
}

/// The same as data.
async fn summary(database: &Database, report: &IngestReport, context: &Context) -> Result<Value, Failure> {
    let journeys = database.rows("SELECT count(*) AS n FROM sessions").await?;
    let mut stages = database.rows(&report_sql("funnel", context)?).await?;
    for stage in &mut stages {
        stage["conversion_rate"] = stage["conversion_first"].clone();
    }
    let drop_offs = database.rows(&report_sql("drop_offs", context)?).await?;
    let top_paths = database.rows(&report_sql("top_paths", context)?).await?;
    Ok(json!({
        "store": database.dir().display().to_string(),
        "ingest": report,
        "journeys_count": journeys.first().map_or(&Value::Null, |row| &row["n"]),
        "funnel": {"stages": stages},
        "drop_off_points": drop_offs,
        "top_paths": top_paths,
    }))
}
