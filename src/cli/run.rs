//! `journeyql run`: a saved report with its parameters.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::answer;
use super::args::Shape;
use super::context::Context;
use super::failure::{Code, Failure};
use crate::database::{Report, reports};
use crate::error::{closest, did_you_mean};

/// Run a saved report: a file, or one of `journeyql queries`
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The report's file, or the name of a bundled one
    #[arg(value_name = "FILE.sql")]
    report: PathBuf,
    /// A value for a parameter; of a list: items between commas, or a JSON array
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = assignment)]
    param: Vec<(String, String)>,
    #[command(flatten)]
    shape: Shape,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write -p name=value")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

pub(in crate::cli) async fn run(args: Args, context: &Context) -> Result<Code, Failure> {
    let report = load(&args.report, context)?;
    let mut values = BTreeMap::new();
    for (name, value) in args.param {
        if values.contains_key(&name) {
            return Err(Failure::usage(&format!(
                "parameter {name} is given twice – a list is one value: -p {name}=a,b"
            )));
        }
        values.insert(name, value);
    }
    if !values.is_empty() && report.header.parameters.is_empty() {
        // A loop over reports may pass one to all: those that take none run the same with every value.
        context.remark(&format!("{} takes no parameters", report.name));
        values.clear();
    }
    let sql = report.sql(&values).map_err(|error| {
        let failure = Failure::of_sql(&error, &report.name, &report.text);
        if error.is_about_values() { failure.next(example(&report, &values, context)) } else { failure }
    })?;
    answer::write(&report.name, &sql, &args.shape, context).await
}

/// The command with the values that are right, and one such as it could be for every other that must be given.
fn example(report: &Report, values: &BTreeMap<String, String>, context: &Context) -> String {
    let quoted = |text: &str| {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+:,".contains(&byte));
        if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
    };
    let declared = &report.header.parameters;
    // A value under a name that there is not stays with the name that was meant.
    let is_meant = |given: &str, name: &str| {
        let names = declared.iter().map(|it| it.name.as_str());
        given == name || !names.clone().any(|known| known == given) && closest(given, names) == Some(name)
    };
    let mut command = format!("{} run {}", context.command(), quoted(&report.name));
    for it in declared {
        let given = values.iter().find(|(given, _)| is_meant(given, &it.name)).map(|(_, value)| value);
        let right = given.filter(|value| it.kind.check(value).is_ok());
        let is_wrong = given.is_some() && right.is_none();
        let value = match (right, &it.default) {
            (Some(value), _) => value.clone(),
            (None, Some(default)) if is_wrong => default.clone(),
            (None, Some(_)) => continue,
            (None, None) => it.kind.example(),
        };
        command.extend([" -p ", &it.name, "=", &quoted(&value)]);
    }
    command
}

/// The report in the file, else the bundled one of that name.
fn load(path: &Path, context: &Context) -> Result<Report, Failure> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Report::new(&name, text)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bundled(&name, context),
        Err(error) => Err(Failure::usage(&format!("cannot read {name} – {error}"))),
    }
}

/// The bundled report of a name, also with folder and extension as it has them in the repository.
pub(in crate::cli) fn bundled(name: &str, context: &Context) -> Result<Report, Failure> {
    let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or(name);
    let mut known = reports(&context.store)?;
    if let Some(at) = known.iter().position(|report| report.name == stem) {
        return Ok(known.swap_remove(at));
    }
    let hint = did_you_mean(stem, known.iter().map(|report| report.name.as_str()));
    let hint = hint.map(|hint| format!(" – {hint}")).unwrap_or_default();
    Err(Failure::usage(&format!("no file and no bundled report '{name}'{hint}")).next("journeyql queries"))
}
