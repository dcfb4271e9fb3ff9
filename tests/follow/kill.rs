//! Killed at any moment, a follower that is started again ends where one ordinary ingest of the same bytes ends.
//!
//! `cargo test` kills a few times. For the long form:
//! `JOURNEYQL_KILLS=500 JOURNEYQL_SEED=7 cargo test --release follow::kill -- --nocapture`.

use std::fs;
use std::time::Duration;

use journeyql::demo::{Plan, access_log};

use super::{Following, append, assert_sound, ordinary, root, wait};
use crate::ingest::Place;
use crate::kill::{Dice, KILLS, number};

#[test]
fn a_follower_killed_at_any_moment_loses_doubles_and_invents_nothing() {
    let (kills, seed) = (number("JOURNEYQL_KILLS", KILLS), number("JOURNEYQL_SEED", 1));
    let mut dice = Dice(seed);
    let mut text = Vec::new();
    access_log(&Plan { lines: 20_000, days: 3, seed }, &mut text).unwrap();
    let place = Place::new();
    let path = root(&place).join("access.log");
    let mut rotated = Vec::new();
    // A piece is written between two kills, cut anywhere.
    let piece = text.len() / usize::try_from(kills).unwrap() + 1;
    for (kill, piece) in text.chunks(piece).enumerate() {
        let follower = Following::start(&place, &["access.log*"]);
        let writes = usize::try_from(dice.below(4)).unwrap() + 1;
        for part in piece.chunks(piece.len() / writes + 1) {
            append(&path, part);
            std::thread::sleep(Duration::from_millis(dice.below(120)));
        }
        // Some logs are put aside, with the follower watching or not.
        if dice.below(4) == 0 {
            let old = root(&place).join(format!("access.log.{kill}"));
            fs::rename(&path, &old).unwrap();
            rotated.push(old);
        }
        std::thread::sleep(Duration::from_millis(dice.below(200)));
        drop(follower);
        assert_sound(&place);
    }
    rotated.push(path);
    let files: Vec<_> = rotated.iter().filter(|path| path.exists()).map(std::path::PathBuf::as_path).collect();
    let expected = ordinary(&files).tables();
    let follower = Following::start(&place, &["access.log*"]);
    wait("the last lines", || place.tables().events.len() >= expected.events.len());
    follower.stop();
    place.tables().assert_same(&expected, &format!("after {kills} kills with seed {seed}"));
    assert_sound(&place);
}
