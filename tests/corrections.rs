//! Corrections and flags: what they do to answers, against a store into which the events came as corrected.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use journeyql::config::Config;
use journeyql::correction::{Change, EventRef};
use journeyql::database::{Anew, Database, Options};
use journeyql::ingest::Quiet;
use journeyql::maintain::{Say, Word};
use journeyql::store::Meter;
use journeyql::time::Day;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::stage::{cases, wait};

/// 2026-01-05 at midnight.
const START: i64 = 1_767_571_200;
/// What is compared.
const ANSWERS: [&str; 7] = [
    "SELECT user_id, session_index, started_at, ended_at, events, depth, ended_by FROM sessions",
    "SELECT user_id, ts, step, repeats, dwell_s, session_index FROM steps",
    "SELECT * FROM transitions",
    "SELECT * EXCEPT (snapshot) FROM stats",
    "SELECT units FROM funnel('/p0', '/p1')",
    "SELECT user_id, ts, page, event FROM events",
    "SELECT * FROM retention_cohorts(period => 'day')",
];

/// An event: second, user, page.
type Hit = (i64, String, String);

struct Place {
    dir: tempfile::TempDir,
    database: Database,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { config: Some(Arc::new(Config::default())), ..Options::default() };
        let database = Database::create(&dir.path().join("store"), options).unwrap();
        Self { dir, database }
    }

    fn of(hits: &[Hit]) -> Self {
        let place = Self::new();
        place.take("all.ndjson", hits);
        place
    }

    fn take(&self, name: &str, hits: &[Hit]) {
        let mut text = String::new();
        for (second, user, page) in hits {
            let ts = journeyql::time::iso((START + second) * 1_000_000);
            writeln!(text, "{{\"ts\":\"{ts}\",\"event\":\"view\",\"page\":\"{page}\",\"user_id\":\"{user}\"}}")
                .unwrap();
        }
        self.take_text(name, &text);
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

    fn answers(&self) -> BTreeMap<&'static str, Vec<String>> {
        ANSWERS.iter().map(|sql| (*sql, self.sorted(sql))).collect()
    }

    /// The event at a second.
    fn event(&self, second: i64) -> EventRef {
        let ts = journeyql::time::iso((START + second) * 1_000_000);
        let rows = self.rows(&format!("SELECT source_id, source_offset FROM events WHERE ts = timestamp '{ts}'"));
        let source_id = rows[0]["source_id"].as_str().unwrap().to_owned();
        EventRef { source_id, offset: rows[0]["source_offset"].as_i64().unwrap() }
    }

    /// The sessions of a person by their number, each with its number of events.
    fn sizes(&self, user: &str) -> Vec<i64> {
        let rows = self.rows(&format!("SELECT events FROM sessions WHERE user_id = '{user}' ORDER BY session_index"));
        rows.iter().map(|row| row["events"].as_i64().unwrap()).collect()
    }

    /// Makes one of two sessions of a person, by their numbers.
    fn merge(&self, user: &str, first: i64, second: i64) -> i64 {
        let id = |index: i64| {
            let sql = format!("SELECT session_id FROM sessions WHERE user_id = '{user}' AND session_index = {index}");
            self.rows(&sql)[0]["session_id"].as_str().unwrap().to_owned()
        };
        let events = |index: i64| wait(self.database.session_events(&id(index))).unwrap().events;
        let (last, first) = (events(first).pop().unwrap(), events(second).swap_remove(0));
        let mut anchors = wait(self.database.anchors(&[last, first])).unwrap();
        let event = anchors.swap_remove(1);
        self.say(Change::MergeSessions { last: anchors.swap_remove(0), event })
    }

    fn sessions(&self) -> Vec<String> {
        let rows = self.rows("SELECT session_id FROM sessions ORDER BY user_id, session_index");
        rows.iter().map(|row| row["session_id"].as_str().unwrap().to_owned()).collect()
    }

    fn say(&self, change: Change) -> i64 {
        self.try_to_say(change).unwrap()
    }

    fn try_to_say(&self, change: Change) -> Result<i64, String> {
        let word = Word { by: "tester".to_owned(), reason: "test".to_owned() };
        let done = wait(self.database.correct(vec![change], word, false));
        done.map(|done| done.ids[0]).map_err(|error| error.to_string())
    }

    /// What is said of the event at a second.
    fn correct(&self, second: i64, change: impl FnOnce(journeyql::correction::Anchor) -> Change) -> i64 {
        let anchor = wait(self.database.anchors(&[self.event(second)])).unwrap().remove(0);
        self.say(change(anchor))
    }

    fn is_as_built_from_scratch(&self) {
        let checks = wait(self.database.verify_from_scratch(&Meter::silent())).unwrap();
        assert!(checks.iter().all(|check| check.ok), "{checks:?}");
    }
}

fn hit(second: i64, user: &str, page: &str) -> Hit {
    (second, user.to_owned(), page.to_owned())
}

/// Three sessions of a: at 0, at an hour, at two hours.
fn three() -> Place {
    Place::of(&[
        hit(0, "a", "/p0"),
        hit(60, "a", "/p1"),
        hit(3_600, "a", "/p0"),
        hit(3_660, "a", "/p2"),
        hit(7_200, "a", "/p1"),
        hit(90, "b", "/p0"),
    ])
}

/// Pages of the file that hold none of the linked ids lie between some that do, and one hidden row shifts what is read
/// together.
#[test]
fn people_between_linked_people_are_there_after_a_correction() {
    let place = Place::new();
    let mut text = String::new();
    for kind in ["a", "b", "c"] {
        for device in 0..512 {
            for at in 0..32 {
                let second = if (kind, device, at) == ("a", 0, 0) { 5 } else { 100 + at * 60 };
                let ts = journeyql::time::iso((START + second) * 1_000_000);
                writeln!(text, "{{\"ts\":\"{ts}\",\"page\":\"/\",\"anonymous_id\":\"{kind}{device:03}\"}}").unwrap();
            }
            if kind != "b" {
                let (ts, id) = (journeyql::time::iso((START + 90_000) * 1_000_000), format!("{kind}{device:03}"));
                writeln!(text, "{{\"ts\":\"{ts}\",\"page\":\"/\",\"anonymous_id\":\"{id}\",\"user_id\":\"u{id}\"}}")
                    .unwrap();
            }
        }
    }
    place.take_text("all.ndjson", &text);
    let all = "SELECT (SELECT sum(events) FROM sessions) AS in_sessions, count(*) AS events, count(DISTINCT user_id) AS people FROM events";
    let told = |events: u64| [json!({"in_sessions": events, "events": events, "people": 1_536})];
    assert_eq!(place.rows(all), told(50_176));
    place.correct(5, |event| Change::DropEvent { event });
    assert_eq!(place.rows(all), told(50_175));
}

#[test]
fn merging_and_splitting_move_borders_and_reverting_restores_them() {
    let place = three();
    let before = place.answers();
    let sessions = place.sessions();
    let events = |at: usize| wait(place.database.session_events(&sessions[at])).unwrap().events;
    let (last, first) = (events(0).pop().unwrap(), events(1).swap_remove(0));
    let mut anchors = wait(place.database.anchors(&[last, first])).unwrap();
    let event = anchors.swap_remove(1);
    let merged = place.say(Change::MergeSessions { last: anchors.swap_remove(0), event });
    let borders = || {
        let rows = place.rows("SELECT started_at, events, ended_by FROM sessions WHERE user_id = 'a' ORDER BY 1");
        let row = |row: &Value| format!("{} {}", row["events"], row["ended_by"].as_str().unwrap_or("-"));
        rows.iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(borders(), ["4 gap", "1 -"]);
    // What comes late between the two is between them.
    place.take("late.ndjson", &[hit(2_000, "a", "/p9")]);
    assert_eq!(borders(), ["5 gap", "1 -"]);
    // A range that begins inside of the merged session takes none of it.
    let later = "SELECT events FROM sessions WHERE user_id = 'a' AND started_at > timestamp '2026-01-05T00:30:00Z'";
    assert_eq!(place.rows(later).len(), 1);
    let why = place.try_to_say(Change::FlagUser { user: "null".to_owned() }).unwrap_err();
    assert!(why.contains("nobody's id"), "{why}");
    let split = place.correct(3_660, |event| Change::SplitSession { event });
    assert_eq!(borders(), ["4 correction", "1 gap", "1 -"]);
    place.is_as_built_from_scratch();
    for id in [merged, split] {
        place.database.revert(&[id], "tester").unwrap();
    }
    let with_late = Place::of(&[
        hit(0, "a", "/p0"),
        hit(60, "a", "/p1"),
        hit(3_600, "a", "/p0"),
        hit(3_660, "a", "/p2"),
        hit(7_200, "a", "/p1"),
        hit(90, "b", "/p0"),
        hit(2_000, "a", "/p9"),
    ]);
    assert_eq!(place.answers(), with_late.answers());
    assert_ne!(place.answers(), before);
}

#[test]
fn flags_are_a_column_and_one_setting() {
    let place = three();
    let skipping = |sql: &str| place.rows(&format!("SET journeyql.skip_flagged = true; {sql}"));
    let count = |rows: Vec<Value>| rows[0]["n"].as_i64().unwrap();
    place.correct(3_660, |event| Change::FlagSession { event });
    assert_eq!(place.rows("SELECT session_index FROM sessions WHERE flagged")[0]["session_index"], 2);
    let left = skipping("SELECT session_index FROM sessions WHERE user_id = 'a' ORDER BY 1");
    assert_eq!(left, [1, 3].map(|index| serde_json::json!({ "session_index": index })));
    let sessions = "SELECT count(*) AS n FROM sessions";
    assert_eq!((count(place.rows(sessions)), count(skipping(sessions))), (4, 3));
    let funnel = "SELECT units AS n FROM funnel('/p0', '/p2', unit => 'user') WHERE step_no = 2";
    assert_eq!((count(place.rows(funnel)), count(skipping(funnel))), (1, 0));
    place.say(Change::FlagUser { user: "b".to_owned() });
    let people = "SELECT count(DISTINCT user_id) AS n FROM steps";
    assert_eq!((count(place.rows(people)), count(skipping(people))), (2, 1));
    let cohorts = "SELECT max(people) AS n FROM retention_cohorts(period => 'day')";
    assert_eq!((count(place.rows(cohorts)), count(skipping(cohorts))), (2, 1));
    // A flag is of the person, whatever id the person has by now.
    let same = Say::Same { id: "b".into(), person: "a".into(), why: "test".into() };
    place.database.say(same).unwrap();
    assert_eq!(count(skipping(sessions)), 0);
    place.is_as_built_from_scratch();
}

#[test]
fn the_latest_event_is_the_latest_that_counts() {
    let place = three();
    place.take("wrong-clock.ndjson", &[hit(90 * 86_400, "c", "/p0")]);
    let open = "SELECT count(*) AS n FROM sessions WHERE state <> 'CLOSED'";
    assert_eq!(place.rows(open)[0]["n"], 1);
    place.correct(90 * 86_400, |event| Change::MoveEvent { event, ts: (START + 7_210) * 1_000_000 });
    assert_eq!(place.rows(open)[0]["n"], 2);
    assert_eq!(place.rows("SELECT max(ts) AS n FROM events")[0]["n"], "2026-01-05T02:00:10Z");
    assert_eq!(place.rows("SELECT count(*) AS n FROM events")[0]["n"], 7);
}

#[test]
fn a_forgotten_person_takes_the_corrections_along() {
    let place = three();
    place.correct(90, |event| Change::ReassignUser { event, user: "secret-person-17".to_owned() });
    place.correct(60, |event| Change::DropEvent { event });
    let (erased, proof) = place.database.forget("secret-person-17", false).unwrap();
    assert_eq!(erased.events, 1, "the event that was given to them goes as well");
    assert_eq!(proof.unwrap().hits, Vec::<String>::new(), "an identifier is left");
    let kinds = place.rows("SELECT kind FROM corrections");
    assert_eq!(kinds, [serde_json::json!({ "kind": "drop-event" })]);
    assert!(place.rows("SELECT * FROM events WHERE user_id = 'b'").is_empty());
    let total = place.rows("SELECT sum(lines - stored - quarantined - dropped - duplicates) AS n FROM sources");
    assert_eq!(total[0]["n"], 0);
}

/// A line of a person's page view; `more` are other fields.
fn line(second: i64, user: &str, more: &str) -> String {
    let ts = journeyql::time::iso((START + second) * 1_000_000);
    format!("{{\"ts\":\"{ts}\",\"page\":\"/p{}\",\"user_id\":\"{user}\"{more}}}\n", second % 7)
}

#[test]
fn a_merge_joins_the_two_sessions_that_were_named_and_no_other() {
    let of = |lines: &[(i64, &str)]| {
        let place = Place::new();
        let more =
            |session: &str| if session.is_empty() { String::new() } else { format!(",\"session_id\":\"{session}\"") };
        let text: String = lines.iter().map(|(second, session)| line(*second, "a", &more(session))).collect();
        place.take_text("s.ndjson", &text);
        place
    };
    // Of several source sessions, one of them older, one in between, one that comes again on another day.
    let place = of(&[(0, "s2"), (7_200, "s1"), (10_800, "s2"), (10_860, "s2")]);
    place.merge("a", 2, 3);
    assert_eq!(place.sizes("a"), [1, 3]);
    let place = of(&[(0, "c3"), (600, "c1"), (1_500, "c3"), (2_400, "c2")]);
    place.merge("a", 2, 3);
    assert_eq!(place.sizes("a"), [2, 2]);
    let place = of(&[(0, "s1"), (2_400, ""), (2_460, ""), (104_400, ""), (104_700, "s1")]);
    place.merge("a", 1, 2);
    assert_eq!(place.sizes("a"), [3, 1, 1]);
    place.is_as_built_from_scratch();
    // An event that is moved far away takes no other session along, and one that goes leaves the sessions merged.
    let days = 86_400;
    let seconds = [0, 7_200, 7_500, 30 * days, 60 * days];
    let place = of(&seconds.map(|second| (second, "")));
    place.merge("a", 1, 2);
    let moved = place.correct(7_200, |event| Change::MoveEvent { event, ts: (START + 80 * days) * 1_000_000 });
    assert_eq!(place.sizes("a"), [1, 1, 1, 1, 1]);
    place.database.revert(&[moved], "tester").unwrap();
    place.correct(7_200, |event| Change::DropEvent { event });
    assert_eq!(place.sizes("a"), [2, 1, 1]);
    place.correct(0, |event| Change::DropEvent { event });
    assert_eq!(place.sizes("a"), [1, 1, 1]);
}

#[test]
fn a_correction_follows_its_event_to_another_copy() {
    let place = Place::new();
    let shared = line(60, "ann", ",\"messageId\":\"m-shared\"");
    place.take_text("one.ndjson", &format!("{}{shared}", line(0, "u1", ",\"messageId\":\"m1\"")));
    place.correct(60, |event| Change::DropEvent { event });
    for no in 2..8 {
        let first = line(no, &format!("u{no}"), &format!(",\"messageId\":\"m{no}\""));
        place.take_text(&format!("{no}.ndjson"), &format!("{first}{shared}"));
    }
    assert!(place.rows("SELECT * FROM events WHERE user_id = 'ann'").is_empty());
    assert_eq!(place.rows("SELECT sum(duplicates) AS n FROM sources")[0]["n"], 6);
    place.is_as_built_from_scratch();
}

#[test]
fn erasure_goes_by_where_corrections_place_an_event() {
    let place = Place::new();
    let device = |second: i64, user: &str| {
        line(second, user, ",\"anonymous_id\":\"shared-device\"").replace("\"user_id\":\"\",", "")
    };
    let text = [device(0, ""), device(60, "user-one-1"), device(120, ""), device(180, "user-two-2"), device(240, "")];
    place.take_text("d.ndjson", &text.concat());
    place.take_text("g.ndjson", &line(300, "user-three-3", ",\"messageId\":\"given\""));
    let count = |user: &str| place.rows(&format!("SELECT * FROM events WHERE user_id = '{user}'")).len();
    assert_eq!((count("user-one-1"), count("user-two-2")), (3, 2));
    place.correct(120, |event| Change::MoveEvent { event, ts: (START + 250) * 1_000_000 });
    place.correct(0, |event| Change::Relabel { event, page: Some("/secret".to_owned()), name: None });
    place.correct(300, |event| Change::ReassignUser { event, user: "user-one-1".to_owned() });
    assert_eq!((count("user-one-1"), count("user-two-2")), (3, 3));
    place.correct(60, |event| Change::DropEvent { event });
    let exported = wait(place.database.export_person("user-one-1")).unwrap();
    let records = |kind: &str| exported.lines().filter(|line| line.contains(&format!("\"record\":\"{kind}\""))).count();
    assert_eq!((records("correction"), records("event"), records("event as stored")), (4, 2, 3), "{exported}");
    place.database.forget("user-one-1", false).unwrap();
    assert_eq!((count("user-one-1"), count("user-two-2")), (0, 3));
    let kinds = place.rows("SELECT kind FROM corrections");
    assert_eq!(kinds, [serde_json::json!({ "kind": "move-event" })]);
    // What was given to them does not come back under its old id, and they are not spoken of again.
    let first = line(1, "user-four", ",\"messageId\":\"other\"");
    place.take_text("again.ndjson", &format!("{first}{}", line(300, "user-three-3", ",\"messageId\":\"given\"")));
    assert_eq!((count("user-three-3"), count("user-four")), (0, 1));
    let why = place.try_to_say(Change::FlagUser { user: "user-one-1".to_owned() }).unwrap_err();
    assert!(why.contains("was erased"), "{why}");
    // Somebody of whom only a correction tells is erased all the same.
    place.say(Change::FlagUser { user: "carl-without-events".to_owned() });
    let (_, proof) = place.database.forget("carl-without-events", false).unwrap();
    assert_eq!(proof.unwrap().hits, Vec::<String>::new());
    assert_eq!(place.rows("SELECT * FROM corrections").len(), 1);
    // Ids are not given twice.
    assert_eq!(place.say(Change::FlagUser { user: "another-robot".to_owned() }), 6);
}

/// What a random correction is, by numbers.
type Drawn = (usize, usize, i64, usize);

fn apply(hits: &mut [Option<Hit>], &(kind, at, second, name): &Drawn) {
    let at = at % hits.len();
    let Some(hit) = &mut hits[at] else { return };
    match kind % 4 {
        0 => hits[at] = None,
        1 => hit.0 = second,
        2 => hit.2 = format!("/p{name}"),
        _ => hit.1 = format!("u{name}"),
    }
}

fn change(anchor: journeyql::correction::Anchor, &(kind, _, second, name): &Drawn) -> Change {
    match kind % 4 {
        0 => Change::DropEvent { event: anchor },
        1 => Change::MoveEvent { event: anchor, ts: (START + second) * 1_000_000 },
        2 => Change::Relabel { event: anchor, page: Some(format!("/p{name}")), name: None },
        _ => Change::ReassignUser { event: anchor, user: format!("u{name}") },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(6), ..ProptestConfig::default() })]

    /// Corrected events answer like a log in which they stand as corrected, with late data, merged parts and
    /// reprocessed days between the words; taking all of them back restores what was.
    #[test]
    fn corrected_events_are_as_if_they_had_come_so(
        drawn in prop::collection::vec((0i64..200_000, 0usize..4, 0usize..4), 2..40),
        said in prop::collection::vec((0usize..4, 0usize..40, 0i64..200_000, 0usize..5), 1..10),
        cut in 1usize..30,
    ) {
        let mut all: BTreeMap<i64, Hit> = BTreeMap::new();
        for (second, user, page) in drawn {
            all.insert(second * 2, hit(second * 2, &format!("u{user}"), &format!("/p{page}")));
        }
        let all: Vec<Hit> = all.into_values().collect();
        let mut corrected: Vec<Option<Hit>> = all.iter().cloned().map(Some).collect();
        // Two events of one microsecond would be ordered by their places in the log, which differ; moved ones are odd.
        let mut said = said;
        let mut taken = std::collections::BTreeSet::new();
        for one in &mut said {
            one.2 = one.2 * 2 + 1;
            while !taken.insert(one.2) {
                one.2 += 2;
            }
        }
        let place = Place::new();
        let (first, rest) = all.split_at(cut.min(all.len()));
        place.take("first.ndjson", first);
        if !rest.is_empty() {
            place.take("rest.ndjson", rest);
        }
        let events: Vec<EventRef> = all.iter().map(|hit| place.event(hit.0)).collect();
        let before = place.answers();
        let mut ids = Vec::new();
        for (no, one) in said.iter().enumerate() {
            apply(&mut corrected, one);
            let event = &events[one.1 % all.len()];
            let anchor = wait(place.database.anchors(std::slice::from_ref(event))).unwrap().remove(0);
            match place.try_to_say(change(anchor, one)) {
                Ok(id) => ids.push(id),
                Err(why) => prop_assert!(why.contains("said already"), "{}", why),
            }
            match no % 4 {
                1 => drop(place.database.compact(&Meter::silent()).unwrap()),
                3 => {
                    let days = (Day::of(START * 1_000_000), Day::of((START + 400_000) * 1_000_000));
                    drop(wait(place.database.reprocess(days, Anew::default(), Meter::silent())).unwrap());
                }
                _ => {}
            }
        }
        let hits: Vec<Hit> = corrected.into_iter().flatten().collect();
        if !hits.is_empty() {
            let expected = Place::of(&hits).answers();
            for (sql, rows) in place.answers() {
                prop_assert_eq!(&rows, &expected[sql], "{}", sql);
            }
        }
        place.is_as_built_from_scratch();
        for id in ids {
            place.database.revert(&[id], "tester").unwrap();
        }
        prop_assert_eq!(place.answers(), before);
    }
}
