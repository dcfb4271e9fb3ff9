//! `journeyql test`: SQL files against what their `-- expect:` lines say.
//!
//! ```text
//! FILE|DIR… ─► expectations ─► each: its parameters ─► a session of its own ─► equal │ a diff │ the error
//! ```

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::context::Context;
use super::demo;
use super::diff::unified;
use super::failure::{Code, Failure};
use super::target::{NewFile, print};
use crate::database::{Database, Error, Expectation, Expected, Report, expectations, table_lines};
use crate::output::{Format, Look};

/// Run SQL files and compare their answers with their `-- expect:` lines
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub(in crate::cli) struct Args {
    /// SQL files, and folders with them; nothing: the store's queries/
    #[arg(value_name = "FILE|DIR")]
    inputs: Vec<PathBuf>,
    /// Run them on the bundled sample and not on the store
    #[arg(long)]
    sample: bool,
    /// Write what comes out into the files, in place of what they expect
    #[arg(long)]
    update: bool,
}

const AFTER: &str = "\
An expectation stands among the comments of a file, as often as you like:

  -- expect: 42                     one value (NULL: none)
  -- expect -p top=2 -p step=/cart: with these parameters; the lines below are the whole answer
  -- | to_step   | n  |
  -- |-----------|----|
  -- | /checkout | 64 |
  -- expect:                        or the same as csv
  -- to_step,n
  -- /checkout,64

Rows are compared in their order: write ORDER BY. Exit code 1 if one does not hold or cannot be answered.";

/// A file with expectations.
struct File {
    path: PathBuf,
    report: Report,
    expectations: Vec<Expectation>,
}

/// What was found of all files.
#[derive(Default)]
struct Tally {
    hold: usize,
    fail: usize,
    /// Files without expectations.
    silent: usize,
    written: usize,
}

pub(in crate::cli) async fn run(args: Args, context: &Context) -> Result<Code, Failure> {
    let inputs = if args.inputs.is_empty() { vec![own_queries(context)?] } else { args.inputs };
    let mut paths = Vec::new();
    for input in &inputs {
        collect(input, &mut paths)?;
    }
    // The store of the sample goes when its guard does.
    let (database, _guard) = if args.sample {
        let (database, guard) = demo::sample(context).await?;
        (database, Some(guard))
    } else {
        (context.open()?, None)
    };
    let (mut tally, files) = (Tally::default(), paths.len());
    for path in paths {
        let file = load(path)?;
        if file.expectations.is_empty() {
            tally.silent += 1;
            continue;
        }
        check(&file, &database, args.update, &mut tally, context).await?;
    }
    conclude(&tally, files, &inputs, context)
}

/// The folder of the store's own reports and views.
fn own_queries(context: &Context) -> Result<PathBuf, Failure> {
    let folder = context.store.join("queries");
    if folder.is_dir() {
        return Ok(folder);
    }
    let store = context.store.display();
    Err(Failure::usage(&format!("{store} has no queries/ of its own – name files or folders: journeyql test queries/")))
}

fn conclude(tally: &Tally, files: usize, inputs: &[PathBuf], context: &Context) -> Result<Code, Failure> {
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    if tally.silent > 0 && tally.silent < files {
        context.remark(&format!("{} without -- expect: lines", counted(tally.silent, "file")));
    }
    let all = tally.hold + tally.fail + tally.written;
    if tally.fail > 0 {
        let what = format!("{} of {} not hold", tally.fail, counted(all, "expectation"));
        let what = what.replace(" not hold", if tally.fail == 1 { " does not hold" } else { " do not hold" });
        return Err(Failure::failed(&format!("{what} – journeyql test --update writes what comes out into the files")));
    }
    if all == 0 {
        let inputs: Vec<String> = inputs.iter().map(|path| path.display().to_string()).collect();
        return Err(Failure::failed(&format!(
            "no -- expect: line in {} of {} – journeyql test --help shows how one is written",
            counted(files, "file"),
            inputs.join(", ")
        )));
    }
    let files = counted(files - tally.silent, "file");
    print(|out| match tally.written {
        0 => writeln!(out, "{} in {files}: all hold", counted(all, "expectation")),
        written => writeln!(out, "{} in {files}: {written} written anew", counted(all, "expectation")),
    })?;
    Ok(Code::Done)
}

/// The SQL files at a path, in the order of their names.
fn collect(path: &Path, into: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| Failure::usage(&format!("cannot read {} – {error}", path.display()));
    if !path.is_dir() {
        std::fs::metadata(path).map_err(unreadable)?;
        into.push(path.to_owned());
        return Ok(());
    }
    let entries = std::fs::read_dir(path).map_err(unreadable)?;
    let mut entries =
        entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>().map_err(unreadable)?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() || entry.extension().is_some_and(|extension| extension == "sql") {
            collect(&entry, into)?;
        }
    }
    Ok(())
}

fn load(path: PathBuf) -> Result<File, Failure> {
    let name = path.display().to_string();
    let text =
        std::fs::read_to_string(&path).map_err(|error| Failure::usage(&format!("cannot read {name} – {error}")))?;
    let expectations = expectations(&text).map_err(|why| Failure::usage(&format!("{name}: {why}")))?;
    Ok(File { report: Report::new(&name, text)?, expectations, path })
}

async fn check(
    file: &File,
    database: &Database,
    update: bool,
    tally: &mut Tally,
    context: &Context,
) -> Result<(), Failure> {
    let mut lines: Vec<String> = file.report.text.lines().map(str::to_owned).collect();
    let mut written = 0;
    // From the end, so that the places of those before stay.
    let mut told = Vec::new();
    for expectation in file.expectations.iter().rev() {
        let place = format!("{}:{}", file.path.display(), expectation.line);
        match answer(expectation, &file.report, database).await {
            Ok(found) if found == expectation.expected => tally.hold += 1,
            Ok(found) if update => {
                lines.splice(expectation.lines.clone(), expectation.written(&found));
                written += 1;
            }
            Ok(found) => {
                let diff = unified(&shown(&expectation.expected), &shown(&found));
                told.push(format!("--- {place} expected\n+++ {place} found\n{diff}"));
                tally.fail += 1;
            }
            Err((error, sql)) => {
                let text = error.explain_sql(&file.report.name, &sql).text(context.color_out);
                told.push(format!("--- {place} expected\n{text}"));
                tally.fail += 1;
            }
        }
    }
    print(|out| told.iter().rev().try_for_each(|text| writeln!(out, "{text}")))?;
    tally.written += written;
    if written > 0 {
        let (new_file, mut sink) = NewFile::create(&file.path)?;
        writeln!(sink, "{}", lines.join("\n"))?;
        new_file.keep()?;
    }
    Ok(())
}

/// What a file answers, in the form of what is expected of it; else why not, with the SQL that was run.
async fn answer(
    expectation: &Expectation,
    report: &Report,
    database: &Database,
) -> Result<Expected, (Error, Arc<str>)> {
    let bound = report.sql(&expectation.values);
    let sql: Arc<str> = bound.as_deref().unwrap_or(&report.text).into();
    let failed = |error: Error| (error, Arc::clone(&sql));
    let format = if matches!(expectation.expected, Expected::Csv(_)) { Format::Csv } else { Format::Tsv };
    let found = database.session().query(&bound.map_err(failed)?).await.map_err(failed)?;
    let text = found.text(format, Look::default()).await.map_err(failed)?;
    Ok(match expectation.expected {
        Expected::Csv(_) => Expected::Csv(text.lines().map(|line| line.trim_end().to_owned()).collect()),
        Expected::Value(_) if text.lines().count() == 2 && !text.contains('\t') => {
            Expected::Value(table_lines(&text).pop().unwrap_or_default())
        }
        Expected::Value(_) | Expected::Table(_) => Expected::Table(table_lines(&text)),
    })
}

/// The lines of an answer.
fn shown(answer: &Expected) -> Vec<String> {
    match answer {
        Expected::Value(value) => vec![value.clone()],
        Expected::Table(rows) | Expected::Csv(rows) => rows.clone(),
    }
}
