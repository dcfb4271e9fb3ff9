//! Who is who (SEMANTICS §7): the map against a plain reading of the rules, and everything that is read through it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use journeyql::config::Config;
use journeyql::database::{Database, Options};
use journeyql::ingest::Quiet;
use journeyql::maintain::Say;
use journeyql::store::Meter;
use proptest::prelude::*;
use serde_json::Value;

use crate::stage::{cases, wait};

/// An event: second, device, user, name; empty is absent.
type Hit<'a> = (i64, &'a str, &'a str, &'a str);

struct Place {
    dir: tempfile::TempDir,
    database: Database,
}

/// 2026-01-05 at midnight.
const START: i64 = 1_767_571_200;

fn ndjson(hits: &[Hit<'_>]) -> String {
    let mut text = String::new();
    for (no, (second, device, user, event)) in hits.iter().enumerate() {
        let ts = journeyql::time::iso((START + second) * 1_000_000);
        let _ = write!(text, "{{\"ts\":\"{ts}\",\"event\":\"{event}\",\"page\":\"/p{}\"", no % 3);
        for (key, id) in [("anonymous_id", device), ("user_id", user)] {
            if !id.is_empty() {
                let _ = write!(text, ",\"{key}\":\"{id}\"");
            }
        }
        text.push_str("}\n");
    }
    text
}

impl Place {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(rules: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { config: Some(Arc::new(rules)), ..Options::default() };
        let database = Database::create(&dir.path().join("store"), options).unwrap();
        Self { dir, database }
    }

    fn of(hits: &[Hit<'_>]) -> Self {
        let place = Self::new();
        place.take("all.ndjson", hits);
        place
    }

    fn take(&self, name: &str, hits: &[Hit<'_>]) {
        self.take_text(name, &ndjson(hits));
    }

    fn take_text(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        let inputs = vec![path.display().to_string()];
        let options = self.database.ingest_options(inputs, "ndjson".to_owned(), Arc::default());
        self.database.ingest(&options, &mut Quiet).unwrap();
    }

    fn rows(&self, sql: &str) -> Vec<Value> {
        wait(async { self.database.session().query(sql).await.unwrap().rows().await.unwrap() })
    }

    /// The rows, in one order.
    fn sorted(&self, sql: &str) -> Vec<String> {
        let mut rows: Vec<String> = self.rows(sql).iter().map(Value::to_string).collect();
        rows.sort_unstable();
        rows
    }

    /// The persons of all events, by second.
    fn persons(&self) -> Vec<String> {
        let rows = self.rows("SELECT user_id FROM events ORDER BY ts, source_id, source_offset");
        rows.iter().map(|row| row["user_id"].as_str().unwrap().to_owned()).collect()
    }

    fn is_as_built_from_scratch(&self) {
        let checks = wait(self.database.verify_from_scratch(&Meter::silent())).unwrap();
        assert!(checks.iter().all(|check| check.ok), "{checks:?}");
    }
}

#[test]
fn v13_devices_and_users() {
    let persons = |hits: &[Hit<'_>]| Place::of(hits).persons();
    assert_eq!(persons(&[(0, "D1", "", "view"), (60, "D1", "U1", "view")]), ["U1", "U1"], "a");
    let two = [(0, "D1", "", "view"), (60, "D1", "U1", "view"), (90, "D2", "", "view"), (120, "D2", "U1", "view")];
    assert_eq!(persons(&two), ["U1"; 4], "b");
    let shared = [
        (0, "D1", "U1", "view"),
        (60, "D1", "U1", "logout"),
        (120, "D1", "", "view"),
        (180, "D1", "U2", "view"),
        (240, "D1", "", "view"),
    ];
    assert_eq!(persons(&shared), ["U1", "U1", "U2", "U2", "U2"], "c");
    assert_eq!(persons(&shared[..3]), ["U1", "U1", "anon:D1"], "nobody logs in again");
    assert_eq!(persons(&[(0, "D1", "", "view"), (60, "D1", "null", "view")]), ["anon:D1"; 2], "d");
}

#[test]
fn a_session_goes_over_ids_and_is_one() {
    let place =
        Place::of(&[(0, "D1", "", "view"), (60, "D1", "U1", "view"), (90, "", "U1", "view"), (100, "D2", "", "v")]);
    let sessions = place.rows("SELECT user_id, depth FROM sessions ORDER BY user_id");
    assert_eq!(
        sessions,
        serde_json::json!([{"user_id": "U1", "depth": 3}, {"user_id": "anon:D2", "depth": 1}])
            .as_array()
            .unwrap()
            .clone()
    );
    // A person is read with all its ids, and an id that is somebody's is nobody of its own.
    let count = |sql: &str| place.rows(sql)[0]["n"].as_i64().unwrap();
    assert_eq!(count("SELECT count(*) AS n FROM steps WHERE user_id = 'U1'"), 3);
    assert_eq!(count("SELECT count(*) AS n FROM events WHERE user_id = 'U1'"), 3);
    assert_eq!(count("SELECT count(*) AS n FROM events WHERE distinct_id = 'U1'"), 2);
    assert_eq!(count("SELECT count(*) AS n FROM events WHERE user_id = 'anon:D1'"), 0);
    assert_eq!(count("SELECT count(*) AS n FROM events WHERE user_id = 'U1' AND distinct_id = 'anon:D1'"), 1);
    assert_eq!(count("SELECT count(DISTINCT user_id) AS n FROM steps"), 2);
    let rows = place.rows("SELECT distinct_id, person, kind FROM identities");
    assert_eq!(rows, vec![serde_json::json!({"distinct_id": "anon:D1", "person": "U1", "kind": "device"})]);
    place.is_as_built_from_scratch();
}

#[test]
fn what_a_steward_says_moves_people_and_no_file() {
    let place =
        Place::of(&[(0, "D1", "U1", "view"), (60, "", "U2", "view"), (120, "D2", "", "view"), (130, "D1", "", "view")]);
    let files = || place.database.snapshot().unwrap().events().iter().map(|part| part.path.clone()).collect::<Vec<_>>();
    let before = files();
    let same = |id: &str, person: &str| Say::Same { id: id.into(), person: person.into(), why: "test".into() };
    place.database.say(same("U1", "U2")).unwrap();
    assert_eq!(place.persons(), ["U2", "U2", "anon:D2", "U2"]);
    place.database.say(same("anon:D2", "U1")).unwrap();
    assert_eq!(place.persons(), ["U2"; 4]);
    assert_eq!(place.rows("SELECT depth FROM sessions")[0]["depth"], 4);
    place.is_as_built_from_scratch();
    let message = |say: Say| place.database.say(say).unwrap_err().to_string();
    assert!(message(same("U1", "anon:D2")).contains("are one person already"));
    assert!(message(same("null", "U2")).contains("nobody's id"));
    assert!(message(same("U1", "ipua:0123456789abcdef")).contains("nobody's id"));
    assert!(message(same("U1", "U1")).contains("is itself"));
    place.database.say(Say::Nothing { id: "U2".into(), other: "U1".into() }).unwrap();
    assert_eq!(place.persons(), ["U1", "U2", "U1", "U1"]);
    assert!(message(Say::Nothing { id: "U2".into(), other: "U1".into() }).contains("nobody has said anything"));
    assert_eq!(files(), before);
}

#[test]
fn candidates_wait_for_somebody() {
    let place = Place::new();
    let line = |second: i64, id: &str, ip: &str, page: &str| {
        let ts = journeyql::time::iso((START + second) * 1_000_000);
        format!(
            "{{\"ts\":\"{ts}\",\"event\":\"view\",\"page\":\"{page}\",{id},\"ip\":\"{ip}\",\"user_agent\":\"F\"}}\n"
        )
    };
    let (d1, u1, u2) = ("\"anonymous_id\":\"D1\"", "\"user_id\":\"U1\"", "\"user_id\":\"U2\"");
    let text = [
        line(0, d1, "192.0.2.1", "/a"),
        line(60, u1, "192.0.2.1", "/a"),
        line(90, u1, "192.0.2.1", "/b"),
        line(100, u2, "192.0.2.2", "/a"),
        line(86_400, d1, "192.0.2.2", "/a"),
    ];
    place.take_text("c.ndjson", &text.concat());
    let expected = serde_json::json!([{
        "distinct_id": "U1", "other": "anon:D1", "score": 0.9, "visits": 1.0, "pages": 0.5, "shared_days": 1,
        "evidence": "one address and browser on 1 days"
    }]);
    assert_eq!(place.rows("SELECT * FROM identity_candidates"), *expected.as_array().unwrap());
    assert_eq!(place.persons()[0], "anon:D1", "nobody has accepted it");
    place.database.say(Say::Different { id: "anon:D1".into(), other: "U1".into(), why: "no".into() }).unwrap();
    assert!(place.rows("SELECT * FROM identity_candidates").is_empty());
    assert_eq!(place.rows("SELECT reason FROM identity_rejections")[0]["reason"], "no");
    place.is_as_built_from_scratch();
}

#[test]
fn equal_addresses_link_where_that_was_asked_for() {
    let text = "{\"ts\":\"2026-01-05T10:00:00Z\",\"event\":\"a\",\"anonymous_id\":\"D1\",\"properties\":{\"email\":\" Ann@example.org\"}}\n\
                {\"ts\":\"2026-01-05T10:01:00Z\",\"event\":\"b\",\"user_id\":\"U1\",\"properties\":{\"email\":\"ann@EXAMPLE.org\"}}\n";
    let without = Place::new();
    without.take_text("m.ndjson", text);
    assert_eq!(without.persons(), ["anon:D1", "U1"]);
    let rules = Config::parse("[identity]\nmatches = [\"properties.email\"]").unwrap();
    let place = Place::with(rules);
    place.take_text("m.ndjson", text);
    assert_eq!(place.persons(), ["U1", "U1"]);
    assert_eq!(place.rows("SELECT kind FROM identities")[0]["kind"], "match");
    let catalog = std::fs::read(place.dir.path().join("store/catalog.sqlite")).unwrap();
    assert!(!catalog.windows(11).any(|bytes| bytes.eq_ignore_ascii_case(b"example.org")), "the value itself is kept");
    place.is_as_built_from_scratch();
}

#[test]
fn ids_with_too_many_links_stop_linking() {
    let devices: Vec<String> = (0..51).map(|no| format!("D{no}")).collect();
    let mut hits: Vec<Hit<'_>> = Vec::new();
    for (no, device) in (0..).zip(&devices) {
        hits.push((no * 10, device, "", "view"));
        hits.push((no * 10 + 1, device, "test", "view"));
    }
    hits.push((2_000, "D0", "U1", "view"));
    let place = Place::of(&hits);
    let persons = place.persons();
    assert_eq!((&*persons[0], &*persons[2], &*persons[3]), ("U1", "anon:D1", "test"));
    let stopped = place.rows("SELECT distinct_id, evidence FROM identities WHERE kind = 'stopped'");
    assert_eq!(stopped.len(), 1);
    assert_eq!(stopped[0]["evidence"], "linked to 51 devices, at most 50 are believed");
    place.is_as_built_from_scratch();
}

#[test]
fn status_says_when_other_rules_made_the_links() {
    let place = Place::of(&[(0, "D1", "U1", "bye"), (60, "D1", "", "view")]);
    let rules = Config::parse("[identity]\nlog_outs = [\"bye\"]").unwrap();
    let options = Options { config: Some(Arc::new(rules)), ..Options::default() };
    let other = Place { database: Database::open(place.database.dir(), options).unwrap(), ..Place::new() };
    assert_eq!(place.database.status().unwrap().stale_links, None);
    assert!(other.database.status().unwrap().stale_links.unwrap().contains("another [identity]"));
    assert_eq!(other.persons(), ["U1", "U1"]);
    other.take("later.ndjson", &[(120, "", "U2", "view")]);
    assert_eq!(other.database.status().unwrap().stale_links, None);
    assert_eq!(other.persons(), ["U1", "anon:D1", "U2"]);
}

/// Whose an event is, read off the rules one by one.
fn naive(hits: &[Hit<'_>]) -> Vec<String> {
    let junk = |id: &str| id.is_empty() || id == "null";
    let facts = |device: &str| {
        let mut facts: Vec<(i64, bool, &str)> = Vec::new();
        for &(second, its, user, event) in hits.iter().filter(|hit| hit.1 == device) {
            assert!(!its.is_empty());
            if !junk(user) {
                facts.push((second, false, user));
            }
            if event == "logout" {
                facts.push((second, true, ""));
            }
        }
        facts.sort_unstable();
        facts
    };
    let owner = |device: &str, second: i64| {
        let facts = facts(device);
        // What was last before the event; a log-out counts for what comes after it.
        let before = |&&(at, out, _): &&(i64, bool, &str)| if out { at < second } else { at <= second };
        match facts.iter().filter(before).max() {
            Some((_, false, user)) => Some(*user),
            Some(&(at, true, _)) => facts.iter().find(|(later, out, _)| *later > at && !out).map(|(_, _, user)| *user),
            None => facts.iter().find(|(_, out, _)| !out).map(|(_, _, user)| *user),
        }
    };
    let person = |&(second, device, user, _): &Hit<'_>| {
        if !junk(user) {
            return user.to_owned();
        }
        owner(device, second).map_or_else(|| format!("anon:{device}"), str::to_owned)
    };
    hits.iter().map(person).collect()
}

fn hits() -> impl Strategy<Value = Vec<(i64, usize, usize, usize)>> {
    prop::collection::vec((0i64..200_000, 0usize..4, 0usize..6, 0usize..5), 1..60)
}

const DEVICES: [&str; 4] = ["d0", "d1", "d2", "d3"];
const USERS: [&str; 6] = ["", "", "", "u0", "u1", "null"];
const EVENTS: [&str; 5] = ["view", "view", "view", "click", "logout"];

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(6), ..ProptestConfig::default() })]

    /// Any order and any split into ingests, with merges between them: every event is whose the rules say, the map is
    /// the same, and journeys are those of a log in which the persons stand.
    #[test]
    fn any_arrival_makes_the_same_people(drawn in hits(), cuts in prop::collection::vec(1usize..20, 0..6), seed in 0u64..1_000) {
        let mut seen = BTreeSet::new();
        let mut all: Vec<Hit<'_>> = Vec::new();
        for &(second, device, user, event) in &drawn {
            // Equal times are another test's: their order is that of the log, which a shuffle changes.
            if seen.insert(second) {
                all.push((second, DEVICES[device], USERS[user], EVENTS[event]));
            }
        }
        all.sort_unstable();
        let expected = naive(&all);
        let place = Place::new();
        let mut rest: Vec<Hit<'_>> = all.clone();
        rest.sort_by_key(|hit| (hit.0.unsigned_abs() * 2_654_435_761 + seed) % 1_009);
        for (no, cut) in cuts.iter().enumerate() {
            let piece: Vec<Hit<'_>> = rest.drain(..(*cut).min(rest.len())).collect();
            if !piece.is_empty() {
                place.take(&format!("{no}.ndjson"), &piece);
            }
            if no % 3 == 2 {
                place.database.compact(&Meter::silent()).unwrap();
            }
        }
        if !rest.is_empty() {
            place.take("rest.ndjson", &rest);
        }
        prop_assert_eq!(place.persons(), expected.clone());
        let once = Place::of(&all);
        prop_assert_eq!(once.persons(), expected.clone());
        let map = "SELECT * FROM identities";
        prop_assert_eq!(place.sorted(map), once.sorted(map));
        let known: Vec<Hit<'_>> =
            all.iter().zip(&expected).map(|(hit, person)| (hit.0, "", person.as_str(), hit.3)).collect();
        let known = Place::of(&known);
        for sql in [
            "SELECT user_id, session_index, step_index, step, ts FROM steps",
            "SELECT user_id, started_at, depth, duration_s FROM sessions",
            "SELECT * FROM transitions",
            "SELECT step, units FROM funnel('view', 'click')",
            "SELECT user_id, depth FROM sessions WHERE started_at < timestamp '2026-01-06T00:00:00Z'",
            "SELECT step, count(*) FROM steps WHERE user_id <> 'u0' GROUP BY step",
        ] {
            prop_assert_eq!(once.sorted(sql), known.sorted(sql), "{}", sql);
        }
        place.is_as_built_from_scratch();
    }
}
