//! Killed at any moment, an ingest leaves commit n or n + 1, and going on ends where an ingest that was never
//! killed ends: the same identities, not only the same totals.
//!
//! `cargo test` kills a few times. For the long form:
//! `JOURNEYQL_KILLS=500 JOURNEYQL_SEED=7 cargo test --release kill:: -- --nocapture`.

#![expect(clippy::disallowed_methods, reason = "inputs of the test, not files of a store")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use journeyql::demo::{Plan, access_log, app_events};

/// Kills in a plain `cargo test`.
pub const KILLS: u64 = 8;
/// The time of receipt, the same for every run: quarantine rows carry it.
const NOW: &str = "2025-06-01";

/// splitmix64: the moments are random and can be repeated.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end.max(1)
    }
}

/// A number of the environment.
pub fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().map_or(usual, |text| text.parse().unwrap())
}

/// A store in a temporary folder and the logs that go into it.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("logs");
        fs::create_dir(&logs).unwrap();
        for seed in 0..3 {
            let plan = Plan { lines: 6_000, days: 5, seed };
            let (mut web, mut app) = (Vec::new(), Vec::new());
            access_log(&plan, &mut web).unwrap();
            app_events(&plan, &mut app).unwrap();
            fs::write(logs.join(format!("web-{seed}.log")), web).unwrap();
            fs::write(logs.join(format!("app-{seed}.ndjson")), app).unwrap();
        }
        Self { dir }
    }

    fn command(&self, store: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_journeyql"));
        command.current_dir(self.dir.path()).env_remove("JOURNEYQL_STORE");
        command.arg("--store").arg(store).args(["--now", NOW, "--quiet"]).args(args);
        command
    }

    fn run(&self, store: &Path, args: &[&str]) -> Output {
        self.command(store, args).output().unwrap()
    }

    fn ok(&self, store: &Path, args: &[&str]) -> String {
        let output = self.run(store, args);
        let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{args:?}: {}\n{stderr}{stdout}", output.status);
        stdout
    }

    fn ingest(&self, store: &Path, log: &Path) {
        self.ok(store, &["ingest", log.to_str().unwrap(), "--max-rejects", "100%"]);
    }

    /// Starts an ingest and kills it after a while; whether it was still running.
    fn kill_ingest(&self, store: &Path, log: &Path, after: Duration) -> bool {
        let mut child = self
            .command(store, &["ingest", log.to_str().unwrap(), "--max-rejects", "100%"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(after);
        let running = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        running
    }

    /// Every stored and refused row by identity, with what makes it up.
    fn identities(&self, store: &Path) -> BTreeSet<String> {
        let events = "SELECT source_id, source_offset, ts, distinct_id, page, event FROM events";
        let refused = "SELECT source_id, source_offset, reason FROM quarantine";
        let rows = |sql: &str| -> BTreeSet<String> {
            let csv = self.ok(store, &["sql", sql, "--format", "csv"]);
            let rows: Vec<String> = csv.lines().skip(1).map(str::to_owned).collect();
            let distinct: BTreeSet<String> = rows.iter().cloned().collect();
            assert_eq!(distinct.len(), rows.len(), "an identity is there twice");
            distinct
        };
        let mut all = rows(events);
        all.extend(rows(refused));
        all
    }

    fn assert_sound(&self, store: &Path, what: &str) {
        let status: serde_json::Value = serde_json::from_str(&self.ok(store, &["status", "--json"])).unwrap();
        assert_eq!(status["balanced"], true, "{what}: {status:#}");
        self.ok(store, &["verify"]);
    }
}

/// The log with its first `share` of `of` parts, cut after a whole line: what a growing log looks like.
fn grown(text: &[u8], share: u64, of: u64) -> &[u8] {
    let cut = usize::try_from(text.len() as u64 * share / of).unwrap();
    let line = text[..cut].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if share == of { text } else { &text[..line] }
}

#[test]
fn an_ingest_killed_at_any_moment_leaves_one_commit_or_the_next() {
    let (kills, seed) = (number("JOURNEYQL_KILLS", KILLS), number("JOURNEYQL_SEED", 1));
    let bench = Bench::new();
    let logs = PathBuf::from("logs");
    let untouched = PathBuf::from("untouched");
    let watch = Instant::now();
    bench.ingest(&untouched, &logs);
    let whole = watch.elapsed();
    let expected = bench.identities(&untouched);

    let store = PathBuf::from("killed");
    let mut dice = Dice(seed);
    let mut before = BTreeSet::new();
    let mut hits = 0;
    for kill in 0..kills {
        // The moments lie closer and closer to the end: the commit is there.
        let after = whole * u32::try_from(dice.below(1_100)).unwrap() / 1_000;
        hits += u64::from(bench.kill_ingest(&store, &logs, after));
        if !bench.dir.path().join(&store).join("catalog.sqlite").exists() {
            // Killed before the store was there: nothing is known yet.
            continue;
        }
        let what = format!("kill {kill} of seed {seed} after {after:?}");
        bench.assert_sound(&store, &what);
        let now = bench.identities(&store);
        assert!(now.is_superset(&before), "{what}: a committed row is gone");
        assert!(now.is_subset(&expected), "{what}: a row that no log holds");
        before = now;
    }
    bench.ingest(&store, &logs);
    bench.assert_sound(&store, "the end");
    let ended = bench.identities(&store);
    assert!(
        ended == expected,
        "{} rows are missing, {} are too many",
        expected.difference(&ended).count(),
        ended.difference(&expected).count()
    );
    println!("{hits} of {kills} kills hit a running ingest");
}

#[test]
fn a_growing_log_ingested_between_kills_is_stored_once() {
    let kills = number("JOURNEYQL_KILLS", KILLS).clamp(4, 40);
    let bench = Bench::new();
    let log = bench.dir.path().join("logs/web-0.log");
    let text = fs::read(&log).unwrap();
    let untouched = PathBuf::from("untouched");
    bench.ingest(&untouched, &log);
    let expected = bench.identities(&untouched);

    let store = PathBuf::from("grown");
    let mut dice = Dice(number("JOURNEYQL_SEED", 1));
    for share in 1..=kills {
        fs::write(&log, grown(&text, share, kills)).unwrap();
        bench.kill_ingest(&store, &log, Duration::from_millis(dice.below(150)));
    }
    bench.ingest(&store, &log);
    bench.assert_sound(&store, "the end");
    assert!(bench.identities(&store) == expected, "the grown log is not what the whole log is");
}
