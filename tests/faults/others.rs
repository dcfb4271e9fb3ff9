//! Other processes: who asks for an end, who wants to write too, and who reads meanwhile.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use journeyql::store::{Linking, Store};

use super::scene::{Bench, signal, wait};
use super::{Turn, Verb, trace};

pub fn interrupted(bench: &Bench, verb: &Verb, turn: &mut Turn) {
    asked_to_end(bench, verb, turn, "-INT", 130);
}

pub fn terminated(bench: &Bench, verb: &Verb, turn: &mut Turn) {
    asked_to_end(bench, verb, turn, "-TERM", 143);
}

fn asked_to_end(bench: &Bench, verb: &Verb, turn: &mut Turn, name: &str, code: i32) {
    let took = bench.undisturbed(verb).took;
    for _ in 0..turn.rounds.min(20) {
        let scene = bench.scene(verb);
        let after = took * u32::try_from(turn.dice.below(1_100)).unwrap() / 1_000;
        let what = format!("{name} after {after:?}");
        let child = scene.spawn(&[]);
        std::thread::sleep(after);
        signal(&child, name);
        let end = wait(child);
        // Before it listens, the signal ends it: the shell's way of saying so.
        let ended = end.code().or_else(|| Some(128 + end.status.signal()?)).unwrap();
        assert!(ended == 0 || ended == code, "{what}: {} {}", end.status, end.stderr);
        assert!(!scene.follows() || end.code().is_none_or(|code| code == 0), "{what}: {}", end.status);
        let done = scene.assert_whole(&what);
        assert!(ended != 0 || done || scene.follows(), "{what}: exit 0 and it is not done");
        scene.assert_goes_on(&what);
    }
}

pub fn second_writer(bench: &Bench, verb: &Verb, _: &mut Turn) {
    let scene = bench.scene(verb);
    if verb.first {
        Store::create(&scene.store).unwrap();
    }
    let store = Store::open(&scene.store).unwrap();
    let (before, writer) = (scene.state(), store.writer(Linking::default()).unwrap());
    let end = scene.finish(&[]);
    let named = end.stderr.contains("in use") && end.stderr.contains(&format!("process {}", std::process::id()));
    assert!(end.code() == Some(4) && named, "{}: {}", end.status, end.stderr);
    before.assert_same(&scene.state(), "in use");
    drop(writer);
    drop(store);
    scene.assert_goes_on("alone");
}

/// What a reader of another process sees of both tables.
const SEEN: &str =
    "SELECT count(*) AS events, sum(length(page)) AS pages, sum(CASE WHEN is_step THEN 1 ELSE 0 END) AS steps,
    (SELECT count(*) FROM quarantine) AS refused FROM events";

/// Two kinds of readers at once: this process with the library, and the binary again and again.
pub fn readers(bench: &Bench, verb: &Verb, turn: &mut Turn) {
    // Where it can be slowed down, more is seen of it.
    let slowly = match trace::missing() {
        Ok(()) => trace::inject("fsync,fdatasync,rename,unlink,pwrite64", "delay_enter=4000"),
        Err(_) => Vec::new(),
    };
    for _ in 0..turn.rounds.min(10) {
        let scene = bench.scene(verb);
        let look = || bench.said(&scene.store, &["sql", SEEN, "--format", "csv"]);
        let before = look();
        let mut seen = Vec::new();
        let end = scene.watched(|| {
            std::thread::scope(|scope| {
                let work = scope.spawn(|| scene.finish(&slowly));
                while !work.is_finished() {
                    seen.push(look());
                    std::thread::sleep(Duration::from_millis(1));
                }
                work.join().unwrap()
            })
        });
        // Who is forgotten is told of as long as somebody reads the files of before.
        let held = end.code() == Some(5) && end.stderr.contains("a reader holds");
        assert!(end.code() == Some(0) || held, "{} {}", end.status, end.stderr);
        let after = look();
        assert_eq!(after.0, Some(0), "{}", after.1);
        let turned = seen.iter().position(|found| *found == after).unwrap_or(seen.len());
        for (at, found) in seen.iter().enumerate() {
            let no_store_yet =
                verb.first && (found.1.contains("no store at") || found.1.contains("no journeyql store"));
            let empty = verb.first && found.1.ends_with("\n0,,,0\n");
            let right = if at < turned { *found == before || no_store_yet || empty } else { *found == after };
            assert!(
                right || scene.follows(),
                "look {at} of {}: {found:?}, neither {before:?} nor {after:?}",
                seen.len()
            );
        }
        scene.assert_goes_on("read meanwhile");
    }
}
