//! Input that would be believed: too much of it, out of order, or with times at the edge.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use journeyql::time::{DAY, Day};

use super::scene::{Bench, Scene};
use super::{Dice, Turn, Verb};

const FIRST: &Verb = &Verb { name: "input", args: &[], first: true };

/// A file of events, ingested into a store of its own.
fn ingested<'a>(bench: &'a Bench, name: &str, bytes: &[u8]) -> Scene<'a> {
    let (path, scene) = (bench.fresh().with_extension(name), bench.scene(FIRST));
    fs::write(&path, bytes).unwrap();
    let end = bench.run(&scene.store, &["ingest", path.to_str().unwrap(), "--max-rejects", "100%"]);
    assert_eq!(end.code(), Some(0), "{}", end.stderr);
    fs::remove_file(&path).unwrap();
    scene
}

#[track_caller]
fn answer(scene: &Scene<'_>, sql: &str) -> String {
    let (code, text) = scene.bench.said(&scene.store, &["sql", sql, "--format", "csv"]);
    assert_eq!(code, Some(0), "{text}");
    text
}

fn event(user: &str, time: &str, page: &str) -> String {
    format!("{{\"user_id\":\"{user}\",\"ts\":\"{time}\",\"page\":\"{page}\"}}\n")
}

/// The same byte, or the same line, again and again: a thousandth on the disk.
pub fn bomb(bench: &Bench, turn: &mut Turn) {
    if !Path::new("/proc/self/status").exists() {
        return turn.cannot("nothing tells the memory of a process here");
    }
    let log = fs::read(bench.path("logs/web.log")).unwrap();
    let megabytes = if bench.long { 4_096 } else { 8 };
    let (endless, zeros) = (vec![b'a'; 1 << 20], vec![0; 1 << 20]);
    let line = event("u", "2025-03-03T10:00:00Z", &"x".repeat(1 << 20)).into_bytes();
    for (name, head, again, times, most) in [
        ("endless line", &log, &endless, megabytes, 400),
        ("nothing but zeros", &Vec::new(), &zeros, megabytes, 200),
        ("long lines", &Vec::new(), &line, megabytes / 4, 1_000),
    ] {
        let path = bench.path(&format!("{name}.gz"));
        let mut packed = flate2::write::GzEncoder::new(fs::File::create(&path).unwrap(), flate2::Compression::fast());
        packed.write_all(head).unwrap();
        (0..times).for_each(|_| packed.write_all(again).unwrap());
        packed.finish().unwrap();
        let scene = bench.scene(FIRST);
        let mut child = bench.command(&[], &scene.store, &["ingest", path.to_str().unwrap()]).spawn().unwrap();
        let mut peak = 0;
        while child.try_wait().unwrap().is_none() {
            peak = peak.max(peak_megabytes(child.id()));
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let end = super::scene::wait(child);
        assert!(matches!(end.code(), Some(0 | 1 | 3)), "{name}: {} {}", end.status, end.stderr);
        assert!(peak > 0 && peak < most, "{name}: {peak} MB of memory for {times} MB");
        fs::remove_file(&path).unwrap();
    }
}

fn peak_megabytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1_024
}

const STEPS: &str =
    "SELECT user_id, session_start, step_index, ts, page, repeats FROM steps ORDER BY user_id, ts, page";

pub fn clock_back(bench: &Bench, turn: &mut Turn) {
    let mut events: Vec<String> =
        (0..600).map(|at| event(["a", "b"][at % 2], &time(at64(at) * 7 * MINUTE), &format!("/{at}"))).collect();
    let ordered = ingested(bench, "ndjson", events.concat().as_bytes());
    // An hour back, again and again.
    for at in (20..580).step_by(20) {
        events.swap(at, at - 17 + usize::try_from(turn.dice.below(8)).unwrap());
    }
    let jumped = ingested(bench, "ndjson", events.concat().as_bytes());
    assert_eq!(answer(&jumped, STEPS), answer(&ordered, STEPS));
}

const MINUTE: i64 = 60_000_000;

fn at64(at: usize) -> i64 {
    i64::try_from(at).unwrap()
}

/// So many microseconds after 2025-03-03, spelled.
fn time(micros: i64) -> String {
    let ts = Day::parse("2025-03-03").unwrap().start() + micros;
    let rest = ts.rem_euclid(DAY);
    let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z", Day::of(ts))
}

pub fn years(bench: &Bench, _: &mut Turn) {
    let years = ["0000", "0001", "1601", "1969", "1994", "2262", "2263", "2999", "9999"];
    let web = |year: &str| {
        format!("10.0.0.1 - ann [05/Jan/{year}:10:00:00 +0000] \"GET /{year} HTTP/1.1\" 200 5 \"-\" \"A\"\n")
    };
    let app = |year: &str| event("ann", &format!("{year}-01-05T10:00:00Z"), "/a");
    for (name, line) in [("log", &web as &dyn Fn(&str) -> String), ("ndjson", &app)] {
        let text: String = ["2025"].iter().chain(&years).map(|year| line(year)).collect();
        let scene = ingested(bench, name, text.as_bytes());
        assert_eq!(answer(&scene, "SELECT DISTINCT day FROM events"), "day\n2025-01-05\n");
        let reasons = answer(&scene, "SELECT reason, count(*) AS n FROM quarantine GROUP BY reason");
        assert_eq!(reasons, format!("reason,n\nclock,{}\n", years.len()), "{name}");
        for (table, day) in [("events", "day=2025-01-05"), ("quarantine", "day=2025-06-01")] {
            let days = fs::read_dir(scene.store.join("data").join(table)).unwrap();
            let days: Vec<PathBuf> = days.map(|entry| entry.unwrap().path()).collect();
            assert!(days.len() == 1 && days[0].ends_with(day), "{days:?}");
        }
        scene.assert_sound(name);
    }
}

pub fn shuffled_days(bench: &Bench, turn: &mut Turn) {
    let days: i64 = if bench.long { 5_000 } else { 80 };
    let mut events: Vec<String> =
        (0..days).map(|day| event("u", &time(-day * DAY - MINUTE), &format!("/{day}"))).collect();
    let ordered = ingested(bench, "ndjson", events.concat().as_bytes());
    shuffle(&mut events, &mut turn.dice);
    let shuffled = ingested(bench, "ndjson", events.concat().as_bytes());
    let stats = "SELECT events, sessions, first_ts, last_ts FROM stats";
    for sql in [stats, STEPS, "SELECT day, count(*) FROM events GROUP BY day ORDER BY day"] {
        assert_eq!(answer(&shuffled, sql), answer(&ordered, sql));
    }
    assert!(answer(&shuffled, stats).contains(&format!("\n{days},{days},")), "{}", answer(&shuffled, stats));
    shuffled.assert_sound("shuffled");
}

fn shuffle(events: &mut [String], dice: &mut Dice) {
    for at in (1..events.len()).rev() {
        events.swap(at, usize::try_from(dice.below(at as u64 + 1)).unwrap());
    }
}

/// Times without a zone, about the hours that a clock skips and repeats, are UTC wherever the machine stands.
pub fn zones(bench: &Bench, turn: &mut Turn) {
    let zones = [
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Asia/Kathmandu",
        "America/Sao_Paulo",
        "Africa/Casablanca",
        "Antarctica/Troll",
        "EST5EDT",
        "<+14>-14",
    ];
    let mut text = "user_id,ts,event,page\n".to_owned();
    for day in ["2024-10-27", "2024-11-03", "2025-03-09", "2025-03-30", "2025-04-06"] {
        for minute in (0..240).step_by(15) {
            let (hour, minute) = (minute / 60, minute % 60);
            writeln!(text, "u,{day} {hour:02}:{minute:02}:00,view,/{hour}").unwrap();
            writeln!(text, "v,{day}T{hour:02}:{minute:02}:00+01:00,view,/{hour}").unwrap();
        }
    }
    let path = bench.path("zones.csv");
    fs::write(&path, text).unwrap();
    let told = |zone: &str| {
        let scene = bench.scene(FIRST);
        let run = |args: &[&str]| {
            let output =
                bench.command(&[], &scene.store, args).env("TZ", zone).stdout(std::process::Stdio::piped()).output();
            let output = output.unwrap();
            assert!(output.status.success(), "{zone}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        run(&["ingest", path.to_str().unwrap()]);
        let views = [
            "SELECT * FROM sessions ORDER BY started_at, user_id",
            "SELECT day, ts, page FROM events ORDER BY ts, user_id, page",
        ];
        let answers = views.map(|sql| run(&["sql", sql, "--format", "csv"])).concat();
        (scene.state(), answers, run(&["trace", "u"]), run(&["retain", "--days", "80", "--dry-run"]))
    };
    let expected = told("UTC");
    assert!(expected.0.events.len() == 160, "{} events", expected.0.events.len());
    for _ in 0..=turn.rounds.min(10) {
        let zone = turn.dice.pick(&zones);
        assert!(told(zone) == expected, "TZ={zone}");
    }
}

pub fn identical(bench: &Bench, _: &mut Turn) {
    let web = "10.0.0.1 - ann [05/Jan/2025:10:00:00 +0000] \"GET /a HTTP/1.1\" 200 5 \"-\" \"A\"\n";
    let app = event("ann", "2025-01-05T10:00:00Z", "/a");
    for (name, line) in [("log", web), ("ndjson", &app)] {
        let scene = ingested(bench, name, line.repeat(1_000).as_bytes());
        assert_eq!(answer(&scene, "SELECT count(*) AS n FROM events"), "n\n1000\n", "{name}");
        assert_eq!(answer(&scene, "SELECT count(*) AS n, sum(repeats) AS r FROM steps"), "n,r\n1,1000\n", "{name}");
    }
}

pub fn gaps(bench: &Bench, _: &mut Turn) {
    let events = |gap: i64| -> String { (0..40).map(|at| event("u", &time(at * gap), &format!("/{at}"))).collect() };
    for (gap, sessions) in [(30 * MINUTE, 1), (30 * MINUTE + 1, 40), (30 * MINUTE - 1, 1)] {
        let scene = ingested(bench, "ndjson", events(gap).as_bytes());
        assert_eq!(answer(&scene, "SELECT sessions, events FROM stats"), format!("sessions,events\n{sessions},40\n"));
    }
}
