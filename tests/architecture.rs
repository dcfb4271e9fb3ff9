//! The house, held by the machine: who may import whom, how long a file may be, and what must have a test.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The floors from the ground up. A room imports rooms of lower floors; on its own floor only where that is said.
const FLOORS: &[(&str, &[&str])] = &[
    ("ground", &["limits", "terminal", "time", "error", "event", "config"]),
    ("pure", &["normalize", "identity", "correction", "parse", "journey", "output", "dashboard", "demo", "privacy"]),
    ("cellar", &["store"]),
    ("flows", &["ingest", "engine", "maintain"]),
    ("façade", &["database"]),
    ("doors", &["repl", "http", "pg"]),
    ("porch", &["cli"]),
    ("roof", &["main", "lib"]),
];
/// Lines of a file at which the build fails, and at which one should look twice.
const TOO_LONG: usize = 500;
const LONG: usize = 400;
/// Files of data that happens to be code.
const GENERATED: &[&str] = &[];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Files below a folder with an extension, sorted; none where the folder is missing.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// The room of a source file: its first folder below `src`, or its own name.
fn room(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// Floor from 0 and place on it.
fn place(room: &str) -> Option<(usize, usize)> {
    FLOORS
        .iter()
        .enumerate()
        .find_map(|(floor, (_, rooms))| Some((floor, rooms.iter().position(|name| *name == room)?)))
}

/// The rooms that a source text imports from the crate, without comments and its test module.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap()
        .lines()
        .map(|line| line.split("//").next().unwrap())
        .collect::<Vec<_>>()
        .join("\n");
    let mut rooms = BTreeSet::new();
    for (at, found) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        rooms.extend(first_segments(&code[at + found.len()..]));
    }
    rooms
}

/// The first names of `a::b`, or of every item of `{a::{b, c}, d}`.
fn first_segments(path: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(list) = path.strip_prefix('{') else { return vec![word(path)] };
    let (mut depth, mut items) = (0_usize, vec![String::new()]);
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(String::new()),
            c => items.last_mut().unwrap().push(c),
        }
    }
    items.iter().map(|item| word(item.trim())).filter(|item| !item.is_empty()).collect()
}

/// Why a room must not import another, if so.
fn wall(from: &str, to: &str) -> Option<String> {
    if from == to {
        return None;
    }
    let (Some((floor, at)), Some((target, below))) = (place(from), place(to)) else {
        return Some(format!("{from} or {to} has no floor in tests/architecture.rs"));
    };
    let allowed = match FLOORS[floor].0 {
        // The ground is a staircase: each may use those before it.
        "ground" => (target, below) < (floor, at),
        _ => target < floor,
    };
    let (upper, lower) = (FLOORS[floor].0, FLOORS[target].0);
    (!allowed).then(|| format!("{from} ({upper}) imports {to} ({lower}): an import only points down, never sideways"))
}

#[test]
fn imports_only_point_down() {
    let mut broken = Vec::new();
    for path in files("src", "rs").iter().filter(|path| !path.ends_with("tests.rs")) {
        let from = room(path);
        for to in imports(&fs::read_to_string(path).unwrap()) {
            broken.extend(wall(&from, &to).map(|wall| format!("{}: {wall}", name(path))));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_walls_stand() {
    for (from, to) in
        [("ingest", "engine"), ("parse", "store"), ("engine", "database"), ("time", "config"), ("repl", "cli")]
    {
        assert!(wall(from, to).is_some(), "{from} may import {to}");
    }
    for (from, to) in [("cli", "repl"), ("engine", "store"), ("database", "ingest"), ("parse", "event")] {
        assert_eq!(wall(from, to), None);
    }
    let text = "use crate::{time, store::{Part, Day}};\n// crate::cli\nfn f() { crate::limits::X; $crate::y }";
    let found: Vec<String> = imports(text).into_iter().collect();
    assert_eq!(found, ["limits", "store", "time"]);
}

#[test]
fn the_plan_names_the_rooms_that_are_there() {
    let planned: BTreeSet<String> =
        FLOORS.iter().flat_map(|(_, rooms)| rooms.iter().map(|&it| it.to_owned())).collect();
    let built: BTreeSet<String> = files("src", "rs").iter().map(|path| room(path)).collect();
    assert_eq!(built, planned);
}

#[test]
fn files_stay_short() {
    let mut too_long = Vec::new();
    for path in files("src", "rs").into_iter().chain(files("tests", "rs")) {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        let name = name(&path);
        if lines > TOO_LONG && !GENERATED.contains(&name.as_str()) {
            too_long.push(format!("{name}: {lines} lines"));
        } else if lines > LONG {
            println!("look twice: {name} has {lines} lines");
        }
    }
    assert!(too_long.is_empty(), "above {TOO_LONG} lines:\n{}", too_long.join("\n"));
}

#[test]
fn every_source_file_says_what_it_is() {
    let silent: Vec<String> = files("src", "rs")
        .into_iter()
        // A format's file is data, and its title says what it is.
        .filter(|path| !path.starts_with(root().join("src/parse/formats")) || path.ends_with("mod.rs"))
        .filter(|path| !fs::read_to_string(path).unwrap().starts_with("//! "))
        .map(|path| name(&path))
        .collect();
    assert!(silent.is_empty(), "without a module header:\n{}", silent.join("\n"));
}

#[test]
fn no_lint_is_silenced_without_a_reason() {
    let silenced: Vec<String> = files("src", "rs")
        .into_iter()
        .filter(|path| fs::read_to_string(path).unwrap().contains(concat!("#[al", "low(")))
        .map(|path| name(&path))
        .collect();
    assert!(silenced.is_empty(), "use #[expect(…, reason = …)]:\n{}", silenced.join("\n"));
}

/// Stems of the files right in a folder.
fn stems(folder: &str, extension: &str) -> Vec<String> {
    let inside = |path: &PathBuf| path.parent() == Some(&root().join(folder));
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    files(folder, extension).into_iter().filter(inside).map(stem).collect()
}

#[test]
fn every_view_report_and_function_has_its_sql_test() {
    let tested: BTreeSet<String> = stems("tests/sql", "slt").into_iter().collect();
    let views = stems("queries/views", "sql");
    let reports = [stems("queries", "sql"), stems("queries/narratives", "sql")].concat();
    assert!(!views.is_empty() && !reports.is_empty(), "queries/ is empty");
    let functions = stems(DOCS, "md");
    let untested: Vec<String> =
        views.into_iter().chain(reports).chain(functions).filter(|name| !tested.contains(name)).collect();
    assert!(untested.is_empty(), "without tests/sql/<name>.slt: {}", untested.join(", "));
}

/// Where functions are described: a file for each, in the form that `docs.rs` beside it shows.
const DOCS: &str = "src/engine/functions/docs";

/// A table function is planned by the list in `planner.rs`, which names its file; the others are named in `docs.rs`,
/// whose own test asks what is registered.
#[test]
fn every_function_is_described_and_no_description_stands_alone() {
    let docs = journeyql::engine::functions::docs();
    let named: BTreeSet<String> = docs.iter().map(|doc| doc.name.to_owned()).collect();
    let written: BTreeSet<String> = stems(DOCS, "md").into_iter().collect();
    assert_eq!(written, named, "a file of {DOCS} that no function names");
    let mut wrong = Vec::new();
    for doc in docs {
        let mut expect = |holds: bool, what: &str| {
            if !holds {
                wrong.push(format!("{DOCS}/{}.md: {what}", doc.name));
            }
        };
        expect(doc.text.starts_with(&format!("# {}\n", doc.name)), "the first line is its name");
        let kinds = ["table", "aggregate", "window", "scalar"];
        expect(doc.kind.split(", ").all(|kind| kinds.contains(&kind)), "its kind is not said behind the name");
        expect(
            doc.signature.lines().any(|line| line.contains(&format!("{}(", doc.name))),
            "how it is written is missing",
        );
        expect(doc.summary.ends_with('.') && !doc.summary.contains(". "), "what it answers is one sentence");
        let whole = |argument: &journeyql::engine::functions::ArgumentDoc| {
            ![&argument.name, &argument.default, &argument.what].iter().any(|cell| cell.is_empty())
        };
        expect(doc.arguments.iter().all(whole), "an argument is | name | type | default | meaning |");
        expect(!doc.answer.is_empty(), "## Answer or ## Columns is missing");
        expect(doc.is_table() == doc.text.contains("\n## Columns\n"), "a table has ## Columns, nothing else has");
        expect(doc.example.ends_with(';') && !doc.result.is_empty(), "## Example is a statement and what it prints");
    }
    assert!(wrong.is_empty(), "the form stands in {DOCS}.rs:\n{}", wrong.join("\n"));
}

#[test]
fn every_format_has_samples() {
    let formats = journeyql::parse::formats();
    assert!(!formats.is_empty());
    for format in formats.iter().filter(|format| format.name != "parquet") {
        assert!(!format.samples.is_empty(), "{} has no sample lines", format.name);
        assert!(format.url.starts_with("https://"), "{} does not say where it is defined", format.name);
    }
}
