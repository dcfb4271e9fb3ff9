//! `kill -9`: lost = doubled = invented = 0.

use std::fmt::Write;
use std::os::unix::process::ExitStatusExt;

use super::scene::Bench;
use super::{Turn, Verb, trace};

/// Killed up to three times, the second time while it goes on where the first one stopped it.
pub fn at_random(bench: &Bench, verb: &Verb, turn: &mut Turn) {
    let mut left = turn.rounds;
    let took = bench.undisturbed(verb).took;
    while left > 0 {
        let scene = bench.scene(verb);
        let mut what = "killed".to_owned();
        let kills = left.min(turn.dice.below(3) + 1);
        scene.watched(|| {
            for _ in 0..kills {
                let after = took * u32::try_from(turn.dice.below(1_100)).unwrap() / 1_000;
                write!(what, " after {after:?}").unwrap();
                let mut child = scene.spawn(&[]);
                std::thread::sleep(after);
                bench.count_kill(child.try_wait().unwrap().is_none());
                child.kill().unwrap();
                child.wait().unwrap();
                scene.assert_whole(&what);
            }
        });
        left -= kills;
        scene.assert_goes_on(&what);
    }
}

/// Killed as it enters a call, any call of any thread.
pub fn before_a_call(bench: &Bench, verb: &Verb, turn: &mut Turn) {
    if let Err(why) = trace::missing() {
        return turn.cannot(why);
    }
    let mut left = turn.rounds;
    while left > 0 {
        let scene = bench.scene(verb);
        let mut what = "killed".to_owned();
        let kills = left.min(turn.dice.below(3) + 1);
        for _ in 0..kills {
            let (call, number) = bench.calls(verb).any(&mut turn.dice, &[]).unwrap();
            write!(what, " before {call} {number}").unwrap();
            let end = scene.finish(&trace::inject(call, &format!("signal=KILL:when={number}")));
            bench.count_kill(end.status.signal() == Some(9));
            scene.assert_whole(&what);
        }
        left -= kills;
        scene.assert_goes_on(&what);
    }
}
