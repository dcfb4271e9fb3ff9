//! Lines that arrive, and lines that have not arrived yet.

use std::fs;

use super::{Following, append, assert_sound, command, lines, names, ordinary, root, wait, wait_for_lines};
use crate::ingest::{Place, line, log};

#[test]
fn appended_lines_arrive() {
    let place = Place::new();
    let path = place.file("access.log", log(0..20));
    let follower = Following::start(&place, &["access.log"]);
    wait_for_lines(&place, 20);
    for at in 2..6 {
        append(&path, log(at * 10..at * 10 + 10));
        wait_for_lines(&place, at * 10 + 10);
    }
    let report = follower.stop();
    assert_eq!(report["total"]["lines"], 60, "{report:#}");
    assert_eq!((&report["total"]["stored"], &report["total"]["duplicates"]), (&60.into(), &0.into()));
    place.tables().assert_same(&ordinary(&[&path]).tables(), "followed");
    assert_sound(&place);
}

#[test]
fn half_a_last_line_waits_for_its_newline_and_counts_at_the_end() {
    let place = Place::new();
    let path = place.file("access.log", [log(0..5), b"10.0.0.1 - ann [05/Jan".to_vec()].concat());
    let other = place.file("other.log", log(1_000..1_001));
    let follower = Following::start(&place, &["access.log", "other.log"]);
    wait_for_lines(&place, 6);
    append(&path, "/2026:10:00:00 +0000] \"GET /half");
    append(&other, log(1_001..1_002));
    wait_for_lines(&place, 7);
    assert!(place.tables().quarantine.is_empty(), "half a line was read");
    append(&path, " HTTP/1.1\" 200 5 \"-\" \"A\"\n10.0.0.2 - bob [");
    wait_for_lines(&place, 8);
    assert_eq!(place.tables().events.len(), 8);
    follower.stop();
    assert_eq!(place.tables().quarantine.len(), 1, "the end is the end");
    place.tables().assert_same(&ordinary(&[&path, &other]).tables(), "stopped");

    // It goes on where it stopped, in the middle of a line.
    let follower = Following::start(&place, &["access.log", "other.log"]);
    append(&path, "05/Jan/2026:10:00:01 +0000] \"GET /whole HTTP/1.1\" 200 5 \"-\" \"A\"\n");
    append(&other, log(1_002..1_003));
    wait("the line has grown", || place.tables().quarantine.is_empty());
    wait_for_lines(&place, 10);
    follower.stop();
    place.tables().assert_same(&ordinary(&[&path, &other]).tables(), "grown");
    assert_sound(&place);
}

#[test]
fn files_that_appear_later_are_followed() {
    let place = Place::new();
    let first = place.file("logs/a.log", log(0..10));
    let mut follower = Following::start(&place, &["logs/*.log", "missing.log"]);
    wait_for_lines(&place, 10);
    let second = place.file("logs/b.log", log(100..120));
    wait_for_lines(&place, 30);
    let third = place.file("missing.log", log(200..205));
    wait_for_lines(&place, 35);
    append(&third, line(205));
    append(&second, line(120));
    wait_for_lines(&place, 37);
    // Ctrl-C ends it as SIGTERM does.
    follower.signal("-INT");
    let output = follower.end();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("no such file: missing.log") && said.contains("waiting for it"), "{said}");
    place.tables().assert_same(&ordinary(&[&first, &second, &third]).tables(), "appeared");
}

#[test]
fn a_stop_takes_what_is_there() {
    let place = Place::new();
    let path = place.file("access.log", log(0..10));
    let args = ["ingest", "--follow", "--flush-interval", "1 hour", "--json", "access.log"];
    let mut follower = Following(Some(command(&place, &args).spawn().unwrap()));
    wait_for_lines(&place, 10);
    append(&path, log(10..30));
    follower.signal("-TERM");
    let report = super::report(&follower.end());
    assert_eq!((&report["total"]["lines"], lines(&place)), (&30.into(), 30));
}

#[test]
fn many_lines_do_not_wait_for_the_interval() {
    let place = Place::new();
    let path = place.file("access.log", log(0..10));
    let args = ["ingest", "--follow", "--flush-interval", "1 hour", "--flush-rows", "5000", "--json", "access.log"];
    let follower = Following(Some(command(&place, &args).spawn().unwrap()));
    wait_for_lines(&place, 10);
    append(&path, log(10..40_000));
    wait_for_lines(&place, 40_000);
    // Chunks are not split, so a commit may have some more.
    assert!(place.store.snapshot().unwrap().id >= 4, "one commit took all");
    follower.stop();
    place.tables().assert_same(&ordinary(&[&path]).tables(), "in batches");
    assert_sound(&place);
}

#[test]
fn a_second_writer_is_told_that_the_store_is_in_use() {
    let place = Place::new();
    let path = place.file("access.log", log(0..10));
    let follower = Following::start(&place, &["access.log"]);
    wait_for_lines(&place, 10);
    let second = command(&place, &["ingest", path.to_str().unwrap()]).output().unwrap();
    assert_eq!(second.status.code(), Some(4), "{}", String::from_utf8_lossy(&second.stderr));
    let third = command(&place, &["ingest", "--follow", "access.log"]).output().unwrap();
    assert_eq!(third.status.code(), Some(4), "{}", String::from_utf8_lossy(&third.stderr));
    follower.stop();
}

#[test]
fn records_of_csv_that_span_lines_are_not_cut() {
    let place = Place::new();
    let path = place.file("e.csv", "user_id,ts,event,page\nu1,2026-01-05T10:00:00Z,view,\"/a\n");
    let other = place.file("other.log", log(0..1));
    let follower = Following::start(&place, &["e.csv", "other.log"]);
    append(&path, "b\"\nu2,2026-01-05T10:00:05Z,view,\"/c\n");
    append(&other, log(1..2));
    wait("the whole record", || place.tables().events.iter().any(|event| event.contains("u1")));
    wait("the other log", || lines(&place) == 4);
    append(&path, "d\"\n");
    wait_for_lines(&place, 5);
    follower.stop();
    place.tables().assert_same(&ordinary(&[&path, &other]).tables(), "csv");
    assert!(place.tables().quarantine.is_empty());
}

#[test]
fn a_byte_order_mark_and_a_log_that_names_its_fields() {
    let place = Place::new();
    let marked = place.file("marked.log", [b"\xef\xbb\xbf".to_vec(), log(0..3)].concat());
    let head = "#Version: 1.0\n#Fields: date time c-ip cs-method cs-uri-stem sc-status\n";
    let w3c = place.file("w3c.log", [head, "2026-01-05 10:00:00 10.0.0.1 GET /a 200\n"].concat());
    let follower = Following::start(&place, &["marked.log", "w3c.log"]);
    wait_for_lines(&place, 6);
    append(&marked, log(3..6));
    append(&w3c, "2026-01-05 10:00:01 10.0.0.1 GET /b 200\n#Fields: time date c-ip cs-method cs-uri-stem sc-status\n");
    wait_for_lines(&place, 11);
    append(&w3c, "10:00:02 2026-01-05 10.0.0.1 GET /c 200\n");
    wait_for_lines(&place, 12);
    follower.stop();
    place.tables().assert_same(&ordinary(&[&marked, &w3c]).tables(), "read on");
    assert!(place.tables().quarantine.is_empty());
}

#[test]
fn a_mistyped_format_is_said_at_once_and_leaves_no_store() {
    let place = Place::new();
    let args = ["--store", "new", "ingest", "--follow", "--format", "combind", "nothing.log"];
    let output = command(&place, &args).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(names(&root(&place)), ["store"]);
}

#[test]
fn what_is_no_log_is_said_and_tried_again() {
    let place = Place::new();
    let path = place.file("app.log", "starting up\n");
    let mut follower = Following::start(&place, &["app.log", "other.log"]);
    let other = place.file("other.log", log(0..1));
    wait_for_lines(&place, 1);
    fs::write(&path, log(10..30)).unwrap();
    wait_for_lines(&place, 21);
    follower.signal("-TERM");
    let output = follower.end();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("left out for now: app.log"), "{said}");
    place.tables().assert_same(&ordinary(&[&path, &other]).tables(), "tried again");
}
