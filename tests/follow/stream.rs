//! Streams: what arrives is committed before they end.

use std::fs;
use std::io::Write;
use std::process::{Child, Stdio};

use super::{Following, assert_sound, command, ordinary, report, root, wait, wait_for_lines};
use crate::ingest::{Place, gzip, log};

fn start(place: &Place, more: &[&str]) -> Child {
    let args = [&["ingest", "-", "--follow", "--flush-interval", "100 ms", "--json"], more].concat();
    command(place, &args).stdin(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_stream_is_committed_before_it_ends() {
    let place = Place::new();
    let mut child = start(&place, &[]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&log(0..10)).unwrap();
    wait_for_lines(&place, 10);
    stdin.write_all(&log(10..30)).unwrap();
    wait_for_lines(&place, 30);
    // Its last line may have no newline.
    stdin.write_all(log(30..31).trim_ascii_end()).unwrap();
    drop(stdin);
    let report = report(&child.wait_with_output().unwrap());
    assert_eq!(report["total"]["lines"], 31, "{report:#}");
    let whole = place.file("whole", log(0..31).trim_ascii_end());
    place.tables().assert_same(&ordinary(&[&whole]).tables(), "streamed");
    assert_sound(&place);
}

#[test]
fn a_stop_commits_what_a_stream_has_given() {
    let place = Place::new();
    let mut child = start(&place, &[]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&log(0..10)).unwrap();
    wait_for_lines(&place, 10);
    stdin.write_all(&[log(10..20), b"10.0.0.1 - -".to_vec()].concat()).unwrap();
    wait_for_lines(&place, 20);
    let report = Following(Some(child)).stop();
    assert_eq!((&report["total"]["stored"], &report["total"]["quarantined"]), (&20.into(), &1.into()), "{report:#}");
    drop(stdin);
}

#[test]
fn a_stream_larger_than_what_is_put_aside_keeps_its_order() {
    let place = Place::new();
    let path = place.file("big.log", log(0..100_000));
    let mut child = start(&place, &["--flush-rows", "20000"]);
    let mut stdin = child.stdin.take().unwrap();
    let text = fs::read(&path).unwrap();
    for piece in text.chunks(1_000_003) {
        stdin.write_all(piece).unwrap();
    }
    drop(stdin);
    report(&child.wait_with_output().unwrap());
    place.tables().assert_same(&ordinary(&[&path]).tables(), "large");
    assert_sound(&place);
}

#[test]
fn a_stream_that_is_known_adds_what_is_new() {
    let place = Place::new();
    place.take("access.log", log(0..1_000));
    let mut child = start(&place, &[]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&log(0..600)).unwrap();
    stdin.write_all(&log(600..1_100)).unwrap();
    wait_for_lines(&place, 1_100);
    stdin.write_all(&log(1_100..1_101)).unwrap();
    wait_for_lines(&place, 1_101);
    drop(stdin);
    report(&child.wait_with_output().unwrap());
    let whole = place.file("whole", log(0..1_101));
    place.tables().assert_same(&ordinary(&[&whole]).tables(), "known");
}

#[test]
fn a_packed_stream_is_read_when_it_is_whole() {
    let place = Place::new();
    let mut child = start(&place, &[]);
    let mut stdin = child.stdin.take().unwrap();
    let packed = gzip(&log(0..500));
    let (half, rest) = packed.split_at(packed.len() / 2);
    stdin.write_all(half).unwrap();
    stdin.flush().unwrap();
    stdin.write_all(rest).unwrap();
    drop(stdin);
    let report = report(&child.wait_with_output().unwrap());
    assert_eq!(report["total"]["stored"], 500, "{report:#}");
}

#[test]
fn a_named_pipe_is_a_stream() {
    let place = Place::new();
    let path = root(&place).join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let follower = Following::start(&place, &["pipe", "later.log"]);
    let mut writer = fs::OpenOptions::new().write(true).open(&path).unwrap();
    writer.write_all(&log(0..10)).unwrap();
    wait_for_lines(&place, 10);
    drop(writer);
    place.file("later.log", log(100..103));
    wait("the file beside it", || super::lines(&place) == 13);
    follower.stop();
}
