//! Somebody goes (SEMANTICS §8, V23): from every file, for good, and nobody else is touched.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use journeyql::database::{Database, Options};
use journeyql::ingest::Quiet;
use journeyql::maintain::{Erased, Say};
use journeyql::store::Meter;
use serde_json::Value;

use crate::ingest::gzip;
use crate::stage::wait;

const LOG: &str = r#"{"ts":"2026-01-05T10:00:00Z","event":"view","page":"/","anonymous_id":"device-of-alice"}
{"ts":"2026-01-05T10:01:00Z","event":"view","page":"/a","anonymous_id":"device-of-alice","user_id":"alice-0123456789"}
{"ts":"2026-01-05T10:02:00Z","event":"view","page":"/b","user_id":"bob"}
{"ts":"2026-01-05T10:03:00Z","event":"view","page":"/b","user_id":"U1"}
{"ts":"2026-01-06T09:00:00Z","event":"view","page":"/c","anonymous_id":"kiosk","user_id":"dave"}
{"ts":"2026-01-06T10:00:00Z","event":"view","page":"/c","anonymous_id":"kiosk","user_id":"alice-0123456789"}
{"ts":"2026-01-06T10:01:00Z","event":"view","page":"/c","anonymous_id":"kiosk"}
{"ts":"2026-01-06T10:02:00Z","event":"logout","anonymous_id":"kiosk","user_id":"alice-0123456789"}
{"ts":"2026-01-06T10:03:00Z","event":"view","page":"/d","anonymous_id":"kiosk"}
{"ts":"2026-01-06T10:04:00Z","event":"view","page":"/d","anonymous_id":"kiosk","user_id":"bob"}
{"ts":"not a time","event":"view","user_id":"alice-0123456789"}
{"ts":"not a time","event":"view","user_id":"U1","x":1}
{"ts":"not a time","event":"view","user_id":"bob"}
"#;

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

    fn take(&self, name: &str, bytes: &[u8]) {
        let path = self.dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let inputs = vec![path.display().to_string()];
        let options = self.database.ingest_options(inputs, "ndjson".to_owned(), Arc::default());
        self.database.ingest(&options, &mut Quiet).unwrap();
    }

    fn rows(&self, sql: &str) -> Vec<Value> {
        wait(async { self.database.session().query(sql).await.unwrap().rows().await.unwrap() })
    }

    fn texts(&self, sql: &str) -> BTreeSet<String> {
        self.rows(sql).iter().map(Value::to_string).collect()
    }

    fn is_whole(&self) {
        let checks = self.database.verify(true, &Meter::silent()).unwrap();
        assert!(checks.iter().all(|check| check.ok), "{checks:?}");
        let checks = wait(self.database.verify_from_scratch(&Meter::silent())).unwrap();
        assert!(checks.iter().all(|check| check.ok), "{checks:?}");
    }
}

/// The files below a folder that have the bytes somewhere.
fn with(dir: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(with(&path, bytes));
        } else if fs::read(&path).unwrap().windows(bytes.len()).any(|window| window == bytes) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn v23_somebody_goes_and_stays_away() {
    let place = Place::new();
    place.take("app.ndjson", LOG.as_bytes());
    let say = Say::Same { id: "U1".into(), person: "carol".into(), why: "not alice-0123456789".into() };
    place.database.say(say).unwrap();
    let others = "SELECT * FROM events WHERE user_id <> 'alice-0123456789'";
    let before = place.texts(others);
    assert_eq!((before.len(), place.rows("SELECT * FROM events").len()), (5, 10));

    let (would, none) = place.database.forget("alice-0123456789", true).unwrap();
    assert!(none.is_none() && place.rows("SELECT * FROM events").len() == 10);
    // By the device, as well as by the name.
    let (erased, proof) = place.database.forget("anon:device-of-alice", false).unwrap();
    assert_eq!(erased, Erased { hash: erased.hash.clone(), ..would });
    assert_eq!((erased.ids, erased.shared_ids, erased.events, erased.quarantined), (2, 1, 5, 1));
    let proof = proof.unwrap();
    assert!(proof.hits.is_empty() && proof.files > 5 && proof.values > 50, "{proof:?}");
    let store = place.dir.path().join("store");
    for id in ["alice-0123456789", "device-of-alice"] {
        assert_eq!(with(&store, id.as_bytes()), Vec::<String>::new());
    }
    assert_eq!(place.texts(others), before, "other people's rows are as they were");
    // Alice has left the kiosk before Bob comes, also when nothing says that it was her.
    let kiosk = place.rows("SELECT user_id FROM events WHERE distinct_id = 'anon:kiosk'");
    assert_eq!(kiosk, [serde_json::json!({"user_id": "bob"})]);
    assert_eq!(place.rows("SELECT raw FROM quarantine").len(), 2);
    let audit = place.texts("SELECT what, detail FROM audit");
    assert!(audit.iter().any(|row| row.contains("not [forgotten")), "{audit:?}");
    let sources = place.rows("SELECT lines, stored, quarantined, dropped FROM sources");
    assert_eq!(sources, [serde_json::json!({"lines": 13, "stored": 5, "quarantined": 2, "dropped": 6})]);
    place.is_whole();

    // The old log again, under another name, packed, in pieces and in another order.
    let lines: Vec<&str> = LOG.lines().collect();
    let shuffled: String = lines.iter().rev().fold(String::new(), |text, line| text + line + "\n");
    place.take("copy.ndjson.gz", &gzip(LOG.as_bytes()));
    place.take("half.ndjson", LOG.lines().take(6).fold(String::new(), |text, line| text + line + "\n").as_bytes());
    place.take("shuffled.ndjson", shuffled.as_bytes());
    let none = place.rows("SELECT * FROM events WHERE user_id LIKE 'alice%' OR anonymous_id = 'device-of-alice'");
    assert_eq!(none, Vec::<Value>::new());
    assert_eq!(with(&store, b"alice-0123456789"), Vec::<String>::new());
    place.is_whole();
}

#[test]
fn a_short_id_goes_by_its_value() {
    let place = Place::new();
    place.take("app.ndjson", LOG.as_bytes());
    let (erased, proof) = place.database.forget("U1", false).unwrap();
    assert_eq!((erased.events, erased.quarantined), (1, 1));
    assert_eq!(proof.unwrap().hits, Vec::<String>::new());
    assert_eq!(place.rows("SELECT * FROM events").len(), 9);
    let nobody = place.database.forget("alcie", false).unwrap_err().to_string();
    assert!(nobody.contains("nothing is known of 'alcie'"), "{nobody}");
    let again = place.database.forget("U1", false).unwrap();
    assert_eq!((again.0.events, again.1.unwrap().hits.len()), (0, 0), "an erasure can be proved again");
    let kiosk = place.database.forget("anon:kiosk", false).unwrap_err().to_string();
    assert!(kiosk.contains("several people (alice-0123456789, bob, dave)"), "{kiosk}");
}

#[test]
fn a_number_that_is_how_many_lines_there_are_is_not_told_by_the_account() {
    let place = Place::new();
    let line = |id: u32| {
        format!("{{\"ts\":\"2026-01-05T10:00:{id:02}Z\",\"event\":\"view\",\"page\":\"/\",\"user_id\":\"{id}\"}}\n")
    };
    place.take("app.ndjson", (1..=17).map(line).collect::<String>().as_bytes());
    for id in ["17", "1"] {
        let (erased, proof) = place.database.forget(id, false).unwrap();
        assert_eq!((erased.events, proof.unwrap().hits), (1, Vec::new()), "{id}");
    }
    assert_eq!(place.rows("SELECT * FROM events").len(), 15);
    place.is_whole();
}

#[test]
fn a_refused_line_that_spells_an_id_in_ascii_goes() {
    let place = Place::new();
    let lines = [
        "{\"ts\":\"2026-01-05T10:00:00Z\",\"event\":\"view\",\"user_id\":\"jos\u{e9}-garcia\"}",
        r#"{"ts":"not a time","event":"view","user_id":"jos\u00e9-garcia"}"#,
        r#"{"ts":"not a time","event":"view","user_id":"jos\u00e9"}"#,
    ];
    place.take("app.ndjson", (lines.join("\n") + "\n").as_bytes());
    let (erased, proof) = place.database.forget("jos\u{e9}-garcia", false).unwrap();
    assert_eq!((erased.events, erased.quarantined, proof.unwrap().hits), (1, 1, Vec::new()));
    assert_eq!(place.rows("SELECT raw FROM quarantine").len(), 1);
}

#[test]
fn a_person_is_exported_with_everything() {
    let place = Place::new();
    place.take("app.ndjson", LOG.as_bytes());
    let text = wait(place.database.export_person("alice-0123456789")).unwrap();
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |record: &str| records.iter().filter(|row| row["record"] == record).count();
    assert_eq!(["identity", "event", "session", "quarantined line"].map(count), [2, 5, 2, 1]);
    assert!(!records.iter().any(|row| row.to_string().contains("bob")), "{records:?}");
    let nobody = wait(place.database.export_person("alcie")).unwrap_err().to_string();
    assert!(nobody.contains("nothing is known of 'alcie'"), "{nobody}");
    assert_eq!(place.rows("SELECT * FROM audit WHERE what = 'export-person'").len(), 1);
}
