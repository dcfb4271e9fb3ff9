//! Saved groups of people: a filter by person and nothing else, over what is stored when they are used.

use std::fmt::Write as _;
use std::sync::Arc;

use journeyql::database::{Database, Options, Session};
use journeyql::ingest::Quiet;
use journeyql::store::Meter;
use serde_json::{Value, json};

use crate::stage::wait;

struct Place {
    dir: tempfile::TempDir,
    database: Database,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::create(&dir.path().join("store"), Options::default()).unwrap();
        Self { dir, database }
    }

    fn take(&self, name: &str, lines: &str) {
        let path = self.dir.path().join(name);
        #[expect(clippy::disallowed_methods, reason = "an input of the test, not a file of the store")]
        std::fs::write(&path, lines).unwrap();
        let inputs = vec![path.display().to_string()];
        let options = self.database.ingest_options(inputs, "ndjson".to_owned(), Arc::default());
        self.database.ingest(&options, &mut Quiet).unwrap();
    }
}

fn rows(session: &mut Session, sql: &str) -> Vec<Value> {
    wait(async { session.query(sql).await.unwrap_or_else(|error| panic!("{sql}\n{error}")).rows().await.unwrap() })
}

fn done(session: &mut Session, sql: &str) {
    wait(session.query(sql)).unwrap_or_else(|error| panic!("{sql}\n{error}"));
}

fn refused(session: &mut Session, sql: &str) -> String {
    wait(session.query(sql)).unwrap_err().to_string()
}

/// Many people, some of them on devices that were linked to them later, over three days.
fn lines() -> String {
    let mut lines = String::new();
    for person in 0..1_500_u32 {
        for hit in 0..6 {
            let minute = person.wrapping_mul(37).wrapping_add(hit * 47) % 4_000;
            let page = ["/", "/a", "/b"][(person + hit) as usize % 3];
            let who = match (person % 3, hit) {
                (0, 0..3) | (1, _) => format!(r#""anonymous_id":"d{person}""#),
                (0, _) => format!(r#""anonymous_id":"d{person}","user_id":"u{person}""#),
                _ => format!(r#""user_id":"u{person}""#),
            };
            let ts = 1_767_571_200 + minute * 60;
            writeln!(lines, r#"{{"ts":{ts},{who},"page":"{page}"}}"#).unwrap();
        }
    }
    lines
}

#[test]
fn a_segment_is_a_filter_by_person_and_nothing_else() {
    let place = Place::new();
    place.take("a.ndjson", &lines());
    let mut session = place.database.session();
    for (name, condition) in
        [("many", "page = '/a' AND session_index = 1"), ("few", "user_id LIKE '%99'"), ("none", "page = '/x'")]
    {
        let members = format!("SELECT DISTINCT user_id FROM steps WHERE {condition}");
        done(&mut session, &format!("CREATE SEGMENT {name} AS {members}"));
        for (relation, columns) in [
            ("steps", "user_id, session_id, step_index, step, session_index, dwell_s"),
            ("sessions", "session_id, user_id, session_index, started_at, depth, state"),
            ("edges", "user_id, from_step, to_step, gap_s"),
            ("journeys", "session_id, user_id, path"),
            ("people", "user_id, first_seen, sessions, active_days, top_page, devices, pauses_micros"),
        ] {
            let sorted = |rows: Vec<Value>| {
                let mut texts: Vec<String> = rows.iter().map(Value::to_string).collect();
                texts.sort();
                texts
            };
            let filtered = format!("SELECT {columns} FROM {relation} WHERE user_id IN ({members})");
            let expected = sorted(rows(&mut session, &filtered));
            let found = format!("SET journeyql.segment = '{name}'; SELECT {columns} FROM {relation}");
            assert_eq!(sorted(rows(&mut session, &found)), expected, "{name} of {relation}");
            done(&mut session, "RESET journeyql.segment");
        }
        let counted = format!("SELECT count(DISTINCT user_id) AS n FROM ({members}) AS t");
        let whole = rows(
            &mut session,
            &format!(
                "SELECT coalesce(sum(people), 0) AS n FROM retention_cohorts(segment => '{name}') WHERE period = 0"
            ),
        );
        assert_eq!(whole, rows(&mut session, &counted), "{name}");
    }
}

#[test]
fn a_segment_is_who_is_in_it_when_it_is_used() {
    let place = Place::new();
    place.take("a.ndjson", "{\"ts\":1767571200,\"user_id\":\"u1\",\"page\":\"/a\"}\n");
    let mut session = place.database.session();
    done(&mut session, "CREATE SEGMENT a AS SELECT user_id FROM steps WHERE page = '/a'; SET journeyql.segment = a");
    let users = |session: &mut Session| rows(session, "SELECT users FROM stats");
    assert_eq!(users(&mut session), [json!({"users": 1})]);
    place.take(
        "b.ndjson",
        "{\"ts\":1767571200,\"user_id\":\"u2\",\"page\":\"/a\"}\n{\"ts\":1767571200,\"user_id\":\"u3\",\"page\":\"/b\"}\n",
    );
    assert_eq!(users(&mut session), [json!({"users": 2})]);
    // Somebody else drops it: nothing is answered as if there were no segment, and the setting can be taken back.
    done(&mut place.database.session(), "DROP SEGMENT a");
    assert!(refused(&mut session, "SELECT users FROM stats").contains("no segment 'a'"));
    done(&mut session, "RESET journeyql.segment");
    assert_eq!(users(&mut session), [json!({"users": 3})]);
    let audit = rows(&mut session, "SELECT what, detail FROM audit WHERE what LIKE '%segment%' ORDER BY id");
    let made = json!({"what": "create segment", "detail": "a: SELECT user_id FROM steps WHERE page = '/a'"});
    assert_eq!(audit, [made, json!({"what": "drop segment", "detail": "a"})]);
    assert!(place.database.verify(true, &Meter::silent()).unwrap().iter().all(|check| check.ok));
}

#[test]
fn who_is_erased_is_named_by_no_segment() {
    let place = Place::new();
    let line = |user: &str| format!("{{\"ts\":1767571200,\"user_id\":\"{user}\",\"page\":\"/a\"}}\n");
    place.take("a.ndjson", &[line("alice-0123456789"), line("U1"), line("bob")].concat());
    let mut session = place.database.session();
    let vips = "CREATE SEGMENT vips AS SELECT user_id FROM steps WHERE user_id IN ('alice-0123456789', 'bob')";
    done(&mut session, vips);
    done(&mut session, "CREATE SEGMENT one AS SELECT user_id FROM steps WHERE user_id = 'U1'");
    let handed_out = wait(place.database.export_person("U1")).unwrap();
    assert!(handed_out.contains("\"record\":\"segment\",\"name\":\"one\""), "{handed_out}");
    // A reader would hold the files.
    drop(session);
    for (user, segment) in [("alice-0123456789", "vips"), ("U1", "one")] {
        let (erased, proof) = place.database.forget(user, false).unwrap();
        assert_eq!((erased.segments, proof.unwrap().hits), (vec![segment.to_owned()], Vec::new()), "{user}");
    }
    let mut session = place.database.session();
    let left = rows(&mut session, "SELECT user_id FROM funnel_users('/a', segment => 'vips')");
    assert_eq!(left, [json!({"user_id": "bob"})]);
    let told = rows(&mut session, "SELECT sql FROM segments UNION ALL SELECT detail AS sql FROM audit");
    assert!(!told.iter().any(|row| row.to_string().contains("alice")), "{told:?}");
    // Nobody brings them back into the catalog.
    done(&mut session, "DROP SEGMENT vips");
    assert!(refused(&mut session, vips).contains("somebody who was erased"));
}

#[test]
fn a_mistake_in_a_later_statement_is_shown_where_it_stands_and_spoils_nothing_that_can_be_known_before() {
    let place = Place::new();
    place.take("a.ndjson", "{\"ts\":1767571200,\"user_id\":\"u\",\"page\":\"/\"}\n");
    let mut session = place.database.session();
    let one = "CREATE SEGMENT one AS SELECT user_id FROM steps;";
    for (wrong, at, marked, stays) in [
        ("\nCREATE SEGMENT two AS\n  SELECT usr_id FROM steps", "3:10", "^^^^^^", true),
        (" SELECT nope FROM steps", "1:57", "^^^^", true),
        ("\n  CREATE SEGMENT two AS SELEC user_id", "2:25", "^^^^^", false),
        ("\nCREATE SEGMENT AS SELECT 1", "2:1", "^^^^^^", false),
        ("\nSELECT 1 +* 2", "2:11", "^", false),
    ] {
        let sql = format!("{one}{wrong}");
        let error = wait(session.query(&sql)).unwrap_err();
        let said = error.explain_sql("query", &sql).text(false);
        assert!(said.contains(&format!("--> query:{at}\n")) && said.contains(&format!(" {marked}\n")), "{said}");
        assert_eq!(said.contains("before it, 1 statement changed the store"), stays, "{said}");
        let made = rows(&mut session, "SELECT name FROM segments");
        assert_eq!(made, if stays { vec![json!({"name": "one"})] } else { vec![] }, "{sql}");
        done(&mut session, "DROP SEGMENT IF EXISTS one");
    }
}
