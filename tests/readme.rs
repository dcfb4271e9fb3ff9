//! Every console block of the README runs, in order, in one temporary folder with `data/` beside it.
//!
//! A line `$ command` is run by a shell that knows `journeyql`; the lines after it are the expected output (stdout
//! and stderr as a person sees them), where a line `...` stands for any lines and `[..]` for
//! any text. Commands of cargo are what
//! runs this test, so they are not run again.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// A command and what it should print; nothing expected: anything is fine as long as it succeeds.
struct Example {
    line: usize,
    command: String,
    expected: Vec<String>,
}

fn examples(text: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for (number, line) in (1..).zip(text.lines()) {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            line if inside => match (line.strip_prefix("$ "), examples.last_mut()) {
                (Some(command), _) => {
                    examples.push(Example { line: number, command: command.to_owned(), expected: Vec::new() });
                }
                // A command goes on while a quote is open.
                (None, Some(last)) if last.command.matches('"').count() % 2 == 1 => {
                    last.command = format!("{}\n{line}", last.command);
                }
                (None, Some(last)) => last.expected.push(line.to_owned()),
                (None, None) => panic!("README.md:{number}: output without a command"),
            },
            _ => {}
        }
    }
    examples
}

/// Whether the output is what is expected; `...` stands for any lines.
fn matches(expected: &[String], found: &[&str]) -> bool {
    match expected.split_first() {
        None => found.is_empty(),
        Some((first, rest)) if first == "..." => (0..=found.len()).any(|skip| matches(rest, &found[skip..])),
        Some((first, rest)) => {
            found.first().is_some_and(|line| line_matches(first, line)) && matches(rest, &found[1..])
        }
    }
}

/// Whether a line is what is expected; `[..]` stands for any text.
fn line_matches(expected: &str, found: &str) -> bool {
    match expected.split_once("[..]") {
        None => expected == found,
        Some((start, end)) => {
            found.len() >= start.len() + end.len() && found.starts_with(start) && found.ends_with(end)
        }
    }
}

#[test]
fn every_console_block_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    symlink(env!("CARGO_BIN_EXE_journeyql"), bin.join("journeyql")).unwrap();
    let work = dir.path().join("work");
    fs::create_dir(&work).unwrap();
    symlink(root.join("data"), work.join("data")).unwrap();
    symlink(root.join("queries"), work.join("queries")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());

    let mut run = 0;
    for example in examples(&fs::read_to_string(root.join("README.md")).unwrap()) {
        if example.command.contains("cargo ") || example.command.starts_with('.') {
            continue;
        }
        let output = Command::new("sh")
            .current_dir(&work)
            .env("PATH", &path)
            .env_remove("JOURNEYQL_STORE")
            .args(["-c", &format!("{{ {} ; }} 2>&1", example.command)])
            .output()
            .unwrap();
        let found = String::from_utf8_lossy(&output.stdout);
        let what = format!("README.md:{}: $ {}\n{found}", example.line, example.command);
        assert!(output.status.success(), "{what}");
        let lines: Vec<&str> = found.lines().map(str::trim_end).collect();
        assert!(example.expected.is_empty() || matches(&example.expected, &lines), "{what}");
        run += 1;
    }
    assert!(run >= 8, "the README has only {run} commands");
}

/// `cargo test … FILTER` in the table for contributors: each filter names tests that are there.
#[test]
fn every_command_for_contributors_runs_tests() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let filters: Vec<&str> = text
        .split('`')
        .filter_map(|code| code.split_once("cargo test "))
        .filter_map(|(_, args)| args.split(' ').find(|arg| !arg.starts_with('-')))
        .collect();
    assert!(filters.len() >= 4, "{filters:?}");
    for filter in filters {
        let listed = Command::new(std::env::current_exe().unwrap()).args([filter, "--list"]).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        assert!(listed.lines().any(|line| line.ends_with(": test")), "cargo test {filter} runs nothing");
    }
}
