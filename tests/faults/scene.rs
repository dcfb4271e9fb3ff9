//! Where a row plays: logs, stores to be copied, the binary, and what must be true of what it leaves.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use journeyql::demo::{Plan, access_log, app_events};
use journeyql::store::{Meter, Store, Table};

use super::trace::Calls;
use super::{INGEST, VERBS, Verb};
use crate::ingest::Tables;

/// The time of receipt, the same for every run: quarantine rows carry it.
pub const NOW: &str = "2025-06-01";
/// No command takes longer, unless it hangs.
const DEADLINE: Duration = Duration::from_mins(2);
/// Other rules than those that the first lines were read under.
const OTHER_RULES: &str = "[pages]\nids = false\n[steps]\nredirects = true\n";
/// And others, under which a user is called otherwise.
const READING_RULES: &str = "[fields]\nuser_id = \"member\"\n[identity]\nvisitor = \"ip\"\n";
/// Whom a verb may name, in every log, and somebody whom only [`READING_RULES`] know.
const SOMEBODY: &str =
    "{\"user_id\":\"wanda.somebody\",\"anonymous_id\":\"wandas-device-1\",\"ts\":\"2025-03-04T10:00:00Z\",\"page\":\"/\"}
{\"anonymous_id\":\"wandas-device-1\",\"ts\":\"2025-03-05T10:00:00Z\",\"page\":\"/cart\"}
{\"member\":\"vic\",\"ts\":\"2025-03-04T10:00:01Z\",\"page\":\"/\"}
{\"member\":\"vic\",\"ts\":\"2025-03-04T10:00:02Z\",\"page\":\"/cart\"}
";
/// Devices with a user each: enough for a file of who is who.
const DEVICES: usize = 1_200;
/// What may lie in a store's folder when nobody writes.
const NAMES: [&str; 9] = [
    "catalog.sqlite",
    "catalog.sqlite-shm",
    "catalog.sqlite-wal",
    "data",
    "journeyql.toml",
    "leases",
    "people.parquet",
    "privacy.key",
    "writer.lock",
];

/// The logs and the store that every scene begins with; one for the whole table.
pub struct Bench {
    pub long: bool,
    dir: tempfile::TempDir,
    undisturbed: Vec<OnceLock<Undisturbed>>,
    calls: Vec<OnceLock<Calls>>,
    scenes: AtomicU64,
    kills: AtomicU64,
    hits: AtomicU64,
}

/// A run that nothing happened to.
pub struct Undisturbed {
    pub before: Tables,
    pub after: Tables,
    pub took: Duration,
}

/// How a process ended.
pub struct End {
    pub status: ExitStatus,
    pub stderr: String,
}

impl End {
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

impl Bench {
    pub fn new(seed: u64, long: bool) -> Self {
        let none = || VERBS.iter().map(|_| OnceLock::new()).collect();
        let bench = Self {
            long,
            dir: tempfile::tempdir().unwrap(),
            undisturbed: none(),
            calls: VERBS.iter().map(|_| OnceLock::new()).collect(),
            scenes: AtomicU64::new(0),
            kills: AtomicU64::new(0),
            hits: AtomicU64::new(0),
        };
        let logs = bench.path("logs");
        fs::create_dir(&logs).unwrap();
        let plan = Plan { lines: 3_000, days: 5, seed };
        let (mut web, mut app) = (Vec::new(), Vec::new());
        access_log(&plan, &mut web).unwrap();
        app.extend_from_slice(SOMEBODY.as_bytes());
        for device in 0..DEVICES {
            let day = 3 + device % 5;
            let ids = format!("\"user_id\":\"owner-{device}\",\"anonymous_id\":\"device-{device}\"");
            writeln!(app, "{{{ids},\"ts\":\"2025-03-{day:02}T11:00:00Z\",\"page\":\"/\"}}").unwrap();
        }
        app_events(&plan, &mut app).unwrap();
        // A third of the logs in three pieces: several parts a day.
        for share in 1..=3 {
            fs::write(logs.join("web.log"), grown(&web, share, 9)).unwrap();
            fs::write(logs.join("app.ndjson"), grown(&app, share, 9)).unwrap();
            let end = bench.run(&bench.path("begun"), INGEST);
            assert_eq!(end.code(), Some(0), "{}", end.stderr);
        }
        fs::write(logs.join("web.log"), &web).unwrap();
        fs::write(logs.join("app.ndjson"), &app).unwrap();
        fs::write(bench.path("begun").join("journeyql.toml"), OTHER_RULES).unwrap();
        fs::write(bench.path("reading.toml"), READING_RULES).unwrap();
        bench
    }

    /// A path in the folder that the binary runs in.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The binary on a store; `before` may be a tracer and its arguments.
    pub fn command(&self, before: &[String], store: &Path, args: &[&str]) -> Command {
        let mut words = before.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_journeyql")]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg("--store").arg(store).args(["--now", NOW]).args(args);
        command.current_dir(self.dir.path()).env_remove("JOURNEYQL_STORE").env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Runs the binary to its end.
    pub fn run(&self, store: &Path, args: &[&str]) -> End {
        wait(self.command(&[], store, args).spawn().unwrap())
    }

    /// What the binary prints, and how it ends.
    pub fn said(&self, store: &Path, args: &[&str]) -> (Option<i32>, String) {
        let output = self.command(&[], store, args).stdout(Stdio::piped()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains("panicked"), "{args:?}: {text}");
        (output.status.code(), text)
    }

    /// A store of its own for one turn of a verb.
    pub fn scene<'a>(&'a self, verb: &'a Verb) -> Scene<'a> {
        let store = self.fresh();
        if !verb.first {
            copy(&self.path("begun"), &store);
        }
        Scene { bench: self, verb, store }
    }

    /// A path that nothing lies at.
    pub fn fresh(&self) -> PathBuf {
        self.path(&format!("s{}", self.scenes.fetch_add(1, Ordering::Relaxed)))
    }

    pub fn undisturbed(&self, verb: &Verb) -> &Undisturbed {
        self.undisturbed[index(verb)].get_or_init(|| {
            let scene = self.scene(verb);
            let before = scene.state();
            let watch = Instant::now();
            let end = self.run(&scene.store, if scene.follows() { INGEST } else { verb.args });
            let took = watch.elapsed();
            assert_eq!(end.code(), Some(0), "{}: {}", verb.name, end.stderr);
            let after = scene.state();
            assert!(verb.name == "compact" || before != after, "{} does nothing here", verb.name);
            Undisturbed { before, after, took }
        })
    }

    /// The calls of the system that an undisturbed run makes.
    pub fn calls(&self, verb: &Verb) -> &Calls {
        self.calls[index(verb)].get_or_init(|| {
            let scene = self.scene(verb);
            let list = self.path(&format!("{}.calls", verb.name));
            scene.finish(&super::trace::count(&list));
            Calls::read(&list)
        })
    }

    pub fn count_kill(&self, hit: bool) {
        self.kills.fetch_add(1, Ordering::Relaxed);
        self.hits.fetch_add(u64::from(hit), Ordering::Relaxed);
    }

    pub fn kills(&self) -> String {
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
        format!("{} kills, {} of them hit a running command", count(&self.kills), count(&self.hits))
    }
}

fn index(verb: &Verb) -> usize {
    VERBS.iter().position(|other| other.name == verb.name).unwrap()
}

/// One store, one verb, and whatever happens to it.
pub struct Scene<'a> {
    pub bench: &'a Bench,
    pub verb: &'a Verb,
    pub store: PathBuf,
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            _ = fs::remove_dir_all(&self.store);
        }
    }
}

impl Scene<'_> {
    pub fn follows(&self) -> bool {
        self.verb.args.contains(&"--follow")
    }

    pub fn spawn(&self, before: &[String]) -> Child {
        self.bench.command(before, &self.store, self.verb.args).spawn().unwrap()
    }

    /// Runs the verb to its end; a follower is stopped when it has everything.
    pub fn finish(&self, before: &[String]) -> End {
        let mut child = self.spawn(before);
        let start = Instant::now();
        while self.follows() && child.try_wait().unwrap().is_none() && start.elapsed() < DEADLINE {
            if self.writes(&child) && self.lines() == lines_of(&self.bench.undisturbed(self.verb).after) {
                signal(&child, "-TERM");
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        wait(child)
    }

    /// It holds the store, so it listens to signals by now.
    fn writes(&self, child: &Child) -> bool {
        let lock = fs::read_to_string(self.store.join("writer.lock")).unwrap_or_default();
        lock.starts_with(&format!("{} ", child.id()))
    }

    /// Lines that the store accounts for.
    fn lines(&self) -> u64 {
        let store = Store::open(&self.store).and_then(|store| store.snapshot());
        store.map_or(0, |snapshot| snapshot.sources().iter().map(|source| source.lines).sum())
    }

    /// All that the store holds, without anybody having swept; nothing where there is no store yet.
    pub fn state(&self) -> Tables {
        let there = self.store.join("catalog.sqlite").exists();
        if there { Tables::of(&Store::open(&self.store).unwrap()) } else { Tables::default() }
    }

    /// It is as before or as after; whether it is as after.
    #[track_caller]
    pub fn assert_whole(&self, what: &str) -> bool {
        let (state, undisturbed) = (self.state(), self.bench.undisturbed(self.verb));
        if self.follows() {
            for (less, more) in [(&undisturbed.before, &state), (&state, &undisturbed.after)] {
                assert_within(&less.events, &more.events, what);
                assert_within(&less.quarantine, &more.quarantine, what);
            }
        } else if state != undisturbed.before {
            state.assert_same(&undisturbed.after, what);
        }
        state == undisturbed.after
    }

    /// The next run ends as an undisturbed one does.
    #[track_caller]
    pub fn assert_goes_on(&self, what: &str) {
        // Some say no to what is done already.
        let done = self.assert_whole(what);
        let end = self.finish(&[]);
        assert!(end.code() == Some(0) || done && end.code() == Some(2), "{what}, the next run: {}", end.stderr);
        assert!(self.assert_whole(what), "{what}: the next run does not finish the work");
        self.assert_sound(what);
    }

    /// `verify` finds nothing, and nothing lies around.
    #[track_caller]
    pub fn assert_sound(&self, what: &str) {
        if self.bench.long {
            // It also asks the reports, which takes half a second in a debug build.
            let (code, text) = self.bench.said(&self.store, &["verify"]);
            assert_eq!(code, Some(0), "{what}: {text}");
        }
        let store = Store::open(&self.store).unwrap();
        let report = store.verify(true, &Meter::silent()).unwrap();
        assert_eq!((report.findings, report.left), (Vec::new(), 0), "{what}");
        let snapshot = store.snapshot().unwrap();
        let live: BTreeSet<&Path> =
            Table::ALL.iter().flat_map(|table| snapshot.parts(*table)).map(|part| part.path.as_path()).collect();
        let files = files(&store.dir().join("data"));
        assert_eq!(files.iter().map(PathBuf::as_path).collect::<BTreeSet<_>>(), live, "{what}");
        let names = fs::read_dir(&self.store).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let strange: Vec<String> = names.filter(|name| !NAMES.contains(&name.as_str())).collect();
        assert!(strange.is_empty(), "{what}: {strange:?} lie in the store");
    }

    /// Does something while a reader of the library looks on: every snapshot that it gets is whole.
    pub fn watched<T>(&self, work: impl FnOnce() -> T) -> T {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    if let Ok(store) = Store::open(&self.store) {
                        check_whole(&store);
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
            });
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            done.store(true, Ordering::Relaxed);
            reader.join().unwrap();
            outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// A snapshot is whole: every part opens, and rows are what the sources account for.
fn check_whole(store: &Store) {
    let snapshot = store.snapshot().unwrap();
    for table in Table::ALL {
        snapshot.parts(table).iter().for_each(|part| drop(part.open().unwrap()));
        let rows: u64 = snapshot.parts(table).iter().map(|part| part.rows).sum();
        let of = |source: &journeyql::store::SourceRow| match table {
            Table::Events => source.stored,
            Table::Quarantine => source.quarantined,
        };
        assert_eq!(rows, snapshot.sources().iter().map(of).sum::<u64>(), "{table} of snapshot {}", snapshot.id);
    }
}

#[track_caller]
fn assert_within(less: &[String], more: &[String], what: &str) {
    let more: BTreeSet<&String> = more.iter().collect();
    let missing: Vec<&String> = less.iter().filter(|row| !more.contains(row)).take(3).collect();
    assert!(missing.is_empty(), "{what}: lost, or made up: {missing:#?}");
}

fn lines_of(tables: &Tables) -> u64 {
    tables.sources.values().map(|counts| counts[1]).sum()
}

/// Waits for the end of a process, which must come.
#[track_caller]
pub fn wait(mut child: Child) -> End {
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > DEADLINE {
            child.kill().unwrap();
            panic!("it hangs");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let mut stderr = Vec::new();
    child.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    assert!(!stderr.contains("panicked"), "{stderr}");
    End { status, stderr }
}

pub fn signal(child: &Child, name: &str) {
    // It may have ended by itself.
    _ = Command::new("kill").args([name, &child.id().to_string()]).stderr(Stdio::null()).status();
}

/// The first `share` of `of` parts of a log, cut after a whole line.
pub fn grown(text: &[u8], share: usize, of: usize) -> &[u8] {
    let cut = text.len() * share / of;
    let line = text[..cut].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if share == of { text } else { &text[..line] }
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).map(drop).unwrap();
        }
    }
}

/// Every file below a folder.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}
