//! Logs that grow and are put aside while whoever reads them is killed again and again.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::Duration;

use journeyql::demo::{Plan, access_log};

use super::scene::{Bench, Scene};
use super::{Turn, Verb};
use crate::ingest::Tables;

pub fn ingest(bench: &Bench, turn: &mut Turn) {
    killed(bench, turn, false);
}

pub fn follow(bench: &Bench, turn: &mut Turn) {
    killed(bench, turn, true);
}

fn killed(bench: &Bench, turn: &mut Turn, follow: bool) {
    let (dice, kills) = (&mut turn.dice, turn.rounds.max(6));
    let mut text = Vec::new();
    access_log(&Plan { lines: 500 * kills.min(40), days: 3, seed: dice.below(1_000) }, &mut text).unwrap();
    let dir = bench.fresh();
    fs::create_dir(&dir).unwrap();
    let (log, pattern) = (dir.join("access.log"), format!("{}/access.log*", dir.display()));
    let args = ["ingest", &pattern, "--max-rejects", "100%", "--follow", "--flush-interval", "20 ms"];
    let args = if follow { &args[..] } else { &args[..4] };
    let (dir, whole) = (dir.join("store"), dir.join("whole"));
    let verb = Verb { name: "growing", args: &[], first: true };
    let scene = Scene { bench, verb: &verb, store: dir };
    let mut before = Tables::default();
    let mut rotated = 0;
    // A piece is written between two kills, cut anywhere.
    for (kill, piece) in text.chunks(text.len() / usize::try_from(kills).unwrap() + 1).enumerate() {
        let mut child = bench.command(&[], &scene.store, args).spawn().unwrap();
        let writes = usize::try_from(dice.below(4)).unwrap() + 1;
        for part in piece.chunks(piece.len() / writes + 1) {
            let mut log = OpenOptions::new().append(true).create(true).open(&log).unwrap();
            log.write_all(part).unwrap();
            std::thread::sleep(Duration::from_millis(dice.below(60)));
        }
        // Some logs are put aside, with somebody reading them or not.
        if dice.below(4) == 0 {
            fs::rename(&log, log.with_extension(format!("log.{kill}"))).unwrap();
            rotated += 1;
        }
        std::thread::sleep(Duration::from_millis(dice.below(120)));
        bench.count_kill(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        let now = scene.state();
        let what = format!("kill {kill}");
        // The last line may have been half of one, and has grown since.
        let gone = before.events.iter().filter(|row| !now.events.contains(row)).count();
        assert!(gone <= 1, "{what}: {gone} committed rows are gone");
        before = now;
    }
    for store in [&scene.store, &whole] {
        let end = bench.run(store, &args[..4]);
        assert_eq!(end.code(), Some(0), "{}", end.stderr);
    }
    let ordinary = Tables::of(&journeyql::store::Store::open(&whole).unwrap());
    scene.state().assert_same(&ordinary, &format!("{kills} kills, {rotated} rotations"));
    scene.assert_sound("the end");
}
