//! Logs that are written to while they are read: the real binary, and what it leaves compared with one ordinary ingest
//! of the same bytes.
//!
//! Nothing waits for a fixed time: every test waits for what it expects, up to a deadline.

#![cfg(unix)]

mod appending;
mod rotation;
mod stream;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::ingest::Place;

/// The time of receipt, the same for every run.
const NOW: &str = "2026-02-01";
/// Nothing here takes longer.
const DEADLINE: Duration = Duration::from_mins(1);

/// The folder that a place's logs lie in.
fn root(place: &Place) -> PathBuf {
    place.store.dir().parent().unwrap().to_owned()
}

/// Adds to a file, made if missing.
fn append(path: &Path, bytes: impl AsRef<[u8]>) -> File {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(bytes.as_ref()).unwrap();
    file
}

/// The store that one ordinary ingest of these files makes.
fn ordinary(files: &[&Path]) -> Place {
    let place = Place::new();
    place.ingest(files);
    place
}

fn command(place: &Place, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_journeyql"));
    command.current_dir(root(place)).env_remove("JOURNEYQL_STORE");
    command.arg("--store").arg(place.store.dir()).args(["--now", NOW]).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Lines that the store accounts for.
fn lines(place: &Place) -> u64 {
    place.store.snapshot().unwrap().sources().iter().map(|row| row.lines).sum()
}

#[track_caller]
fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[track_caller]
fn wait_for_lines(place: &Place, expected: u64) {
    let start = Instant::now();
    while lines(place) != expected {
        assert!(start.elapsed() < DEADLINE, "{} lines, not {expected}: {:#?}", lines(place), place.tables().sources);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A follower at work; killed if a test forgets it.
struct Following(Option<Child>);

impl Following {
    fn start(place: &Place, inputs: &[&str]) -> Self {
        let args = [&["ingest", "--follow", "--flush-interval", "100 ms", "--json"], inputs].concat();
        Self(Some(command(place, &args).spawn().unwrap()))
    }

    fn child(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    fn signal(&mut self, name: &str) {
        let signal = Command::new("kill").args([name, &self.child().id().to_string()]).status().unwrap();
        assert!(signal.success());
    }

    /// Its end, however it comes about.
    fn end(mut self) -> Output {
        self.0.take().unwrap().wait_with_output().unwrap()
    }

    /// SIGTERM, and a report.
    fn stop(mut self) -> serde_json::Value {
        self.signal("-TERM");
        report(&self.end())
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            _ = child.kill();
            _ = child.wait();
        }
    }
}

/// What was printed by a run that ended well.
#[track_caller]
fn report(output: &Output) -> serde_json::Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn assert_sound(place: &Place) {
    let output = command(place, &["verify"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// The names in a folder.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
