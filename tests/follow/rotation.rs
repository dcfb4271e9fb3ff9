//! Logs that are put aside: by renaming, by copying and truncating, by packing, while somebody follows or not.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;

use super::{Following, append, assert_sound, ordinary, root, wait_for_lines};
use crate::ingest::{Place, gzip, line, log};

#[test]
fn a_renamed_log_is_read_to_its_end() {
    let place = Place::new();
    let path = place.file("access.log", log(0..10));
    let old = root(&place).join("access.log.1");
    let follower = Following::start(&place, &["access.log"]);
    wait_for_lines(&place, 10);
    let mut writer = append(&path, log(10..15));
    fs::rename(&path, &old).unwrap();
    // The server has not heard of it yet and writes on, also when the new log is there.
    writer.write_all(&log(15..20)).unwrap();
    append(&path, log(100..110));
    wait_for_lines(&place, 30);
    writer.write_all(&log(20..25)).unwrap();
    append(&path, log(110..112));
    wait_for_lines(&place, 37);
    follower.stop();
    place.tables().assert_same(&ordinary(&[&old, &path]).tables(), "renamed");
    assert_sound(&place);
}

#[test]
fn a_copied_and_truncated_log_begins_anew() {
    let place = Place::new();
    let path = place.file("access.log", log(0..10));
    let follower = Following::start(&place, &["access.log"]);
    wait_for_lines(&place, 10);
    let whole = place.file("before", fs::read(&path).unwrap());
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    append(&path, log(100..104));
    wait_for_lines(&place, 14);
    append(&path, log(104..120));
    wait_for_lines(&place, 30);
    follower.stop();
    place.tables().assert_same(&ordinary(&[&whole, &path]).tables(), "truncated");
}

#[test]
fn the_copy_gives_what_was_not_read_before_the_truncation() {
    let place = Place::new();
    let path = place.file("access.log", log(0..10));
    let follower = Following::start(&place, &["access.log*"]);
    wait_for_lines(&place, 10);
    // At once, so that the last lines are in the copy only.
    let copy = place.file("access.log.1", log(0..14));
    fs::write(&path, log(100..104)).unwrap();
    wait_for_lines(&place, 18);
    append(&path, line(104));
    wait_for_lines(&place, 19);
    follower.stop();
    place.tables().assert_same(&ordinary(&[&copy, &path]).tables(), "copied");
}

#[test]
fn a_log_that_was_rewritten_and_is_longer_than_before_is_noticed() {
    let place = Place::new();
    let path = place.file("access.log", log(0..10));
    let inode = fs::metadata(&path).unwrap().ino();
    let follower = Following::start(&place, &["access.log"]);
    wait_for_lines(&place, 10);
    let before = place.file("before", log(0..10));
    fs::write(&path, log(100..150)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    wait_for_lines(&place, 60);
    // The same beginning, another end.
    let between = place.file("between", log(100..150));
    fs::write(&path, [log(100..149), log(200..230)].concat()).unwrap();
    wait_for_lines(&place, 139);
    follower.stop();
    place.tables().assert_same(&ordinary(&[&before, &between, &path]).tables(), "rewritten");
}

#[test]
fn a_removed_log_and_a_new_one_of_its_name_are_two() {
    let place = Place::new();
    let path = place.file("access.log", log(0..10));
    let follower = Following::start(&place, &["access.log"]);
    wait_for_lines(&place, 10);
    let before = place.file("before", log(0..15));
    let mut writer = append(&path, "");
    fs::remove_file(&path).unwrap();
    writer.write_all(&log(10..15)).unwrap();
    append(&path, log(300..310));
    wait_for_lines(&place, 25);
    follower.stop();
    place.tables().assert_same(&ordinary(&[&before, &path]).tables(), "removed");
}

#[test]
fn a_log_that_is_packed_later_is_known() {
    let place = Place::new();
    let path = place.file("access.log", log(0..10));
    let old = root(&place).join("access.log.1");
    let follower = Following::start(&place, &["access.log*"]);
    wait_for_lines(&place, 10);
    fs::rename(&path, &old).unwrap();
    append(&path, log(100..101));
    wait_for_lines(&place, 11);
    // Five lines that only the packed log has show that it was read.
    let packed = gzip(&log(0..15));
    fs::remove_file(&old).unwrap();
    let (half, rest) = packed.split_at(packed.len() / 2);
    let mut writer = append(&root(&place).join("access.log.1.gz"), half);
    writer.write_all(rest).unwrap();
    drop(writer);
    wait_for_lines(&place, 16);
    follower.stop();
    let whole = place.file("whole", log(0..15));
    place.tables().assert_same(&ordinary(&[&whole, &path]).tables(), "packed");
}

#[test]
fn a_log_that_is_rotated_while_nobody_follows() {
    let place = Place::new();
    let path = place.file("access.log", log(0..10));
    let old = root(&place).join("access.log.1");
    let follower = Following::start(&place, &["access.log*"]);
    wait_for_lines(&place, 10);
    follower.stop();
    append(&path, log(10..20));
    fs::rename(&path, &old).unwrap();
    append(&path, log(100..105));
    let follower = Following::start(&place, &["access.log*"]);
    wait_for_lines(&place, 25);
    append(&path, log(105..107));
    append(&old, log(20..21));
    wait_for_lines(&place, 28);
    let report = follower.stop();
    assert_eq!(report["total"]["duplicates"], 10, "{report:#}");
    place.tables().assert_same(&ordinary(&[&old, &path]).tables(), "rotated");
    assert_sound(&place);
}
