//! The proof under faults: the real binary is killed, starved, locked out and lied to, and what it leaves is compared
//! with what an undisturbed run leaves.
//!
//! [`TABLE`] is all of it: a row says what is done and what is expected; rows for [`Check::EachVerb`] are run for every
//! command of [`VERBS`]. `cargo test` takes a few moments of every row, always the same. The long form:
//! `JOURNEYQL_KILLS=500 JOURNEYQL_SEED=7 cargo test --release faults:: -- --nocapture`. With
//! `JOURNEYQL_FAULTS=compact` only the rows run whose name has that word.
//!
//! What a machine cannot do (no strace, nobody who may mount) is said and counted as not run, never as passed.
//!
//! Input that is bad in other ways has its tests elsewhere: `ingest/bad_input.rs` (cut gzip, ten megabytes in a line,
//! NUL, invalid UTF-8, CRLF, byte order mark), `ingest/golden.rs` (gzip of several members, V1–V24), `store/crash.rs` of
//! the library (a power cut before every single step).

#![cfg(unix)]

mod damage;
mod disk;
mod growing;
mod input;
mod kill;
mod others;
mod scene;
mod trace;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use std::time::Instant;

use scene::Bench;

/// A command under test, and what it finds.
pub struct Verb {
    name: &'static str,
    args: &'static [&'static str],
    /// There is no store before.
    first: bool,
}

const fn verb(name: &'static str, args: &'static [&'static str]) -> Verb {
    Verb { name, args, first: false }
}

const INGEST: &[&str] = &["ingest", "logs", "--max-rejects", "100%"];
const FOLLOW: &[&str] = &["ingest", "logs/*", "--follow", "--flush-interval", "50 ms"];

const FROM_SOURCE: &[&str] =
    &["reprocess", "--from-source", "--from", "2025-03-01", "--to", "2025-04-01", "--rules", "reading.toml"];

/// Every command that writes. Each finds the store of [`Bench::new`]: some of the logs in several parts a day, under
/// rules that are not in force any more.
const VERBS: &[Verb] = &[
    Verb { name: "first ingest", args: INGEST, first: true },
    verb("ingest", INGEST),
    verb("follow", FOLLOW),
    verb("reprocess", &["reprocess", "--from", "2025-03-01", "--to", "2025-04-01"]),
    verb("reprocess from source", FROM_SOURCE),
    verb("compact", &["compact"]),
    verb("retain", &["retain", "--days", "89"]),
    verb("quarantine drop", &["quarantine", "drop", "--all"]),
    verb("quarantine retry", &["quarantine", "retry", "--config", "reading.toml"]),
    verb("forget", &["forget", "wanda.somebody"]),
    verb("flag", &["flag", "user", "wanda.somebody", "--reason", "test"]),
    verb("identity link", &["identity", "link", "anon:elsewhere", "wanda.somebody"]),
];

enum Check {
    EachVerb(fn(&Bench, &Verb, &mut Turn)),
    Once(fn(&Bench, &mut Turn)),
}

struct Row {
    what: &'static str,
    expected: &'static str,
    check: Check,
}

const fn each(what: &'static str, expected: &'static str, check: fn(&Bench, &Verb, &mut Turn)) -> Row {
    Row { what, expected, check: Check::EachVerb(check) }
}

const fn once(what: &'static str, expected: &'static str, check: fn(&Bench, &mut Turn)) -> Row {
    Row { what, expected, check: Check::Once(check) }
}

/// *Whole*: all rows and counters, by identity of line, are those of before or of an undisturbed run, and the account
/// adds up; a follower may lie in between. *Goes on*: the next run ends where an undisturbed one ends, `verify` finds
/// nothing, and no file lies around.
const TABLE: &[Row] = &[
    each("kill -9 at a random moment", "whole, for every reader at every moment; goes on", kill::at_random),
    each("kill -9 before the Nth call of the system", "whole; goes on", kill::before_a_call),
    once("kill -9 of ingests of growing, rotated logs", "each line once", growing::ingest),
    once("kill -9 of followers of growing, rotated logs", "each line once", growing::follow),
    each(
        "the Nth call of the system fails",
        "exit 0 only if all is done; else said why, whole; goes on",
        disk::failing_call,
    ),
    each("a disk with little room", "exit 0, or 1 and `no space left`; whole; goes on", disk::full),
    each("a file system that is read only", "exit 1, says which file; nothing changed", disk::read_only),
    once("permission lost in the middle", "exit 1, says which folder; whole; goes on", disk::permission_lost),
    each("SIGINT", "exit 130, or 0 and all is done (a follower: always 0); whole; goes on", others::interrupted),
    each("SIGTERM", "ends (143), or 0 and all is done (a follower: always 0); whole; goes on", others::terminated),
    each("a second writer", "exit 4, says who writes; nothing changed", others::second_writer),
    each("readers in other processes", "before or after, never a mix, never back", others::readers),
    once("a cut event part", "whatever reads it: exit 5, names it; verify too", damage::cut_events),
    once("a cut quarantine part", "whatever reads it: exit 5, names it; verify too", damage::cut_quarantine),
    once("a missing part", "whatever reads it: exit 5, names it; verify too", damage::missing),
    once("a cut catalog", "exit 5, names it", damage::cut_catalog),
    once("a cut, missing or flipped log of the catalog", "exit 5 or no row is gone; never fewer", damage::wal),
    once("a flipped byte in an event part", "verify: exit 5, names it", damage::flipped_events),
    once("a flipped byte in a quarantine part", "verify: exit 5, names it", damage::flipped_quarantine),
    once(
        "a flipped byte in the catalog",
        "verify: exit 5, names a file, or not one row differs",
        damage::flipped_catalog,
    ),
    once("a damaged key of the masks", "verify and ingest: exit 5, name it; it is not replaced", damage::key),
    once("a cut or flipped map of who is who", "exit 5, names it; compact makes it anew", damage::people),
    once("damaged rules", "exit 2, names them; never other rules in silence", damage::rules),
    once("a foreign file in a day's folder", "not counted, not removed; verify: exit 5, names it", damage::foreign),
    once("a store of a newer version", "exit 1, says so; nothing changed", damage::newer),
    once("a gzip bomb", "bounded memory", input::bomb),
    once("a clock that goes back", "as if in order", input::clock_back),
    once("years 0000 to 9999", "quarantined with reason clock, no partition", input::years),
    once("thousands of shuffled days", "as one ordered ingest", input::shuffled_days),
    once("any TZ", "the same tables", input::zones),
    once("1,000 identical lines", "1,000 events", input::identical),
    once("gaps of exactly 1800.000 s", "one session; a microsecond more: another", input::gaps),
];

/// splitmix64: the moments are random and can be repeated.
pub struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end.max(1)
    }

    fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[usize::try_from(self.below(among.len() as u64)).unwrap()]
    }
}

/// What a row is given.
pub struct Turn {
    dice: Dice,
    /// How often to try: kills of a row that kills.
    rounds: u64,
    /// Why it was not run.
    cannot: Option<String>,
}

impl Turn {
    fn cannot(&mut self, why: impl Into<String>) {
        self.cannot = Some(why.into());
    }
}

/// A number of the environment.
fn number(name: &str) -> Option<u64> {
    Some(std::env::var(name).ok()?.parse().unwrap())
}

/// The name of every row, and how it is run.
fn rows() -> Vec<(String, &'static Row, Option<&'static Verb>)> {
    let of = |row: &'static Row| -> Vec<_> {
        match row.check {
            Check::Once(_) => vec![(row.what.to_owned(), row, None)],
            Check::EachVerb(_) => {
                VERBS.iter().map(|verb| (format!("{}: {}", verb.name, row.what), row, Some(verb))).collect()
            }
        }
    };
    TABLE.iter().flat_map(of).collect()
}

#[test]
fn the_table() {
    let (kills, seed) = (number("JOURNEYQL_KILLS"), number("JOURNEYQL_SEED").unwrap_or(1));
    let only = std::env::var("JOURNEYQL_FAULTS").unwrap_or_default();
    let rows: Vec<_> = rows().into_iter().filter(|(name, ..)| name.contains(&only)).collect();
    let killing = rows.iter().filter(|(name, ..)| name.contains("kill -9")).count() as u64;
    let rounds = kills.map_or(1, |kills| kills.div_ceil(killing.max(1)));
    let bench = Bench::new(seed, kills.is_some());
    let (next, ends) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some((name, row, verb)) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
            let salt = name.bytes().fold(seed, |salt, byte| salt.wrapping_mul(31).wrapping_add(byte.into()));
            let watch = Instant::now();
            let mut turn = Turn { dice: Dice(salt), rounds, cannot: None };
            let end = catch_unwind(AssertUnwindSafe(|| match (&row.check, verb) {
                (Check::EachVerb(check), Some(verb)) => check(&bench, verb, &mut turn),
                (Check::Once(check), _) => check(&bench, &mut turn),
                (Check::EachVerb(_), None) => {}
            }));
            let took = watch.elapsed().as_secs_f32();
            match (&end, &turn.cannot) {
                (Ok(()), None) => println!("passed   {name} ({took:.1} s)"),
                (Ok(()), Some(why)) => println!("not run  {name} – {why}"),
                (Err(panic), _) => {
                    println!("FAILED   {name}, expected: {} (seed {seed})\n{}", row.expected, said(panic.as_ref()));
                }
            }
            ends.lock().unwrap().push(end.map(|()| turn.cannot.is_none()).map_err(|_| name.clone()));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from).min(4) {
            scope.spawn(work);
        }
    });
    let ends = ends.into_inner().unwrap();
    let count = |wanted: bool| ends.iter().filter(|end| end.as_ref() == Ok(&wanted)).count();
    let failed: Vec<&String> = ends.iter().filter_map(|end| end.as_ref().err()).collect();
    println!("{}", bench.kills());
    println!("{} passed, {} failed, {} not run (seed {seed})", count(true), failed.len(), count(false));
    assert!(failed.is_empty(), "{failed:#?}\nwith JOURNEYQL_SEED={seed}");
}

/// What a panic said.
fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panicked")
}
