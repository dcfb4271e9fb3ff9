//! `[privacy]`: what a mask hides is nowhere, and everything else is as without it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::{Place, gzip, line, log, rows};

/// What nobody may find. All of it stands in the inputs below.
const RAW: [&str; 17] = [
    "203.0.113.77",
    "203.0.113.78",
    "2001:db8:77:9::beef",
    "dialin-77.isp.example",
    "198.51.100.99",
    "mallory-4711",
    "trent-0815",
    "device-c0ffee",
    "sess-deadbeef",
    "s3cr3t-one",
    "s3cr3t-two",
    "hunter2-pass",
    "eve@example.org",
    "oauth-9f9f",
    "refused-carol",
    "silent-dave",
    "99887766",
];

const ACCESS: &str = r#"203.0.113.77 - mallory-4711 [05/Jan/2026:10:00:00 +0000] "GET /u/mallory-4711/?token=s3cr3t-one&q=1 HTTP/1.1" 200 5 "https://h.example/?next=%2Fx%3Faccess_token%3Ds3cr3t-two" "Agent"
203.0.113.77 - - [05/Jan/2026:10:00:01 +0000] "GET /from/203.0.113.77 HTTP/1.1" 200 5 "-" "Agent"
203.0.113.78 - - [05/Jan/2026:10:00:02 +0000] "GET /b HTTP/1.1" 200 5 "-" "Agent"
dialin-77.isp.example - - [05/Jan/2026:10:00:03 +0000] "GET /c HTTP/1.1" 200 5 "-" "Agent"
2001:db8:77:9::beef - - [05/Jan/2026:10:00:04 +0000] "GET /d#access_token=oauth-9f9f HTTP/1.1" 200 5 "-" "Agent"
203.0.113.77 - refused-carol [05/Jan/2026:10:00:05 "GET /broken?password=hunter2-pass HTTP/1.1" 200
203.0.113.77 - refused-carol [05/Jan/1970:10:00:05 +0000] "GET /old?password=hunter2-pass HTTP/1.1" 200 5 "-" "Agent"
"#;
const EVENTS: &str = r#"{"ts":"2026-01-05T11:00:00Z","user_id":"mallory-4711","anonymous_id":"device-c0ffee","session_id":"sess-deadbeef","page":"/","ip":"203.0.113.77","message_id":"m1","ok":true}
{"ts":"2026-01-05T11:00:01Z","user_id":99887766,"page":"/","ip":"203.0.113.77","buyer":99887766,"user":{"id":"mallory-4711"},"ok":true,"headers":{"X-Forwarded-For":["198.51.100.99"]}}
{"ts":"2026-01-05T11:00:02Z","anonymous_id":"device-c0ffee","page":"/","previous_id":"trent-0815","email":"eve@example.org","url":"https://h/?a\u003d1\u0026code=s3cr3t-two","ok":true}
{"ts":"2026-01-05T11:00:03Z","session_id":"sess-deadbeef","page":"/","password":{"old":"hunter2-pass"},"ok":true}
{"ts":"2026-01-05T11:00:04Z","user_id":"silent-dave","page":"/","ok":false}
{"ts":"2026-01-05T11:00:05Z","user_id":"silent-dave","page":"/"}
{"ts":"2026-01-05T11:00:06Z","user_id":"mallory-4711","page":"/x","message_id":"m1","ok":true}
{"ts":"never","user_id":"refused-carol","token":"s3cr3t-one","ok":true}
"#;

/// A table whose second row has no time.
fn table() -> Vec<u8> {
    let column = |values: [Option<&str>; 2]| -> ArrayRef { Arc::new(values.into_iter().collect::<StringArray>()) };
    let columns = [
        ("ts", column([Some("2026-01-05T12:00:00Z"), None])),
        ("user_id", column([Some("trent-0815"), Some("refused-carol")])),
        ("url", column([Some("/t?pwd=hunter2-pass"), Some("/t?pwd=hunter2-pass")])),
        ("ok", column([Some("true"), Some("true")])),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn masks(ip: &str) -> String {
    format!(
        "[privacy]\nip = \"{ip}\"\nuser_id = \"hash\"\nanonymous_id = \"hash\"\nsession_id = \"hash\"\n\
         scrub_query = true\nrequire_consent = \"path IS NOT NULL AND (properties.ok = true OR method = 'GET')\"\n"
    )
}

/// Everything below a folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[track_caller]
fn assert_hidden(text: &[u8], what: &str) {
    for raw in RAW {
        assert!(memchr::memmem::find(text, raw.as_bytes()).is_none(), "{what} tells {raw}");
    }
}

/// Runs the program, and looks at all that it says.
fn said(store: &Path, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_journeyql"))
        .args(["--now", "2026-02-01", "--store"])
        .arg(store)
        .args(args)
        .env_remove("JOURNEYQL_STORE")
        .output()
        .unwrap();
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    assert_hidden(&said, &format!("{args:?}"));
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn nothing_that_a_mask_hides_is_anywhere() {
    for ip in ["truncate", "hash", "drop"] {
        let place = Place::with(&masks(ip));
        let inputs = [place.file("a.log", ACCESS), place.file("e.ndjson", EVENTS), place.file("t.parquet", table())];
        let prose = place.file("prose.txt", format!("{}\n", RAW.join(" and\n")));
        let (store, rules) = (place.store.dir(), place.file("rules.toml", masks(ip)));
        fs::copy(&rules, store.join("journeyql.toml")).unwrap();
        let inputs: Vec<&str> = inputs.iter().map(|path| path.to_str().unwrap()).collect();
        let ingest = |more: &str| said(store, &[&["ingest"], &inputs[..], &[more]].concat());
        let first = ingest("--max-rejects=100%");
        assert!(first.contains("7 lines = 5 stored + 2 quarantined + 0 dropped + 0 duplicates"), "{first}");
        assert!(first.contains("8 lines = 4 stored + 2 quarantined + 2 dropped (consent 2) + 0 duplicates"), "{first}");
        assert!(first.contains("2 lines = 1 stored + 1 quarantined + 0 dropped + 0 duplicates"), "{first}");
        assert!(ingest("--json").contains("\"stored\": 0"));
        said(store, &["ingest", prose.to_str().unwrap()]);
        for args in [
            &["status", "--json"][..],
            &["sql", "select * from events"],
            &["sql", "select * from quarantine"],
            &["sql", "select * from sources"],
            &["sql", "select * from audit"],
            &["quarantine", "list"],
            &["quarantine", "show"],
            &["verify"],
            &["files"],
        ] {
            said(store, args);
        }
        assert!(said(store, &["status", "--json"]).contains("\"consent\": 2"));
        assert!(said(store, &["quarantine", "show"]).contains("only its shape is kept"));
        for path in files(store) {
            assert_hidden(&fs::read(&path).unwrap(), &path.display().to_string());
        }
        let tables = place.tables();
        assert_hidden(format!("{tables:?}").as_bytes(), "a table");
        // Hashes that anybody can make tell what is guessed.
        let catalog: Vec<u8> = files(store)
            .iter()
            .filter(|path| !path.ends_with(".parquet"))
            .flat_map(|path| fs::read(path).unwrap())
            .collect();
        for text in [ACCESS, EVENTS] {
            let name = format!("{:016x}", xxh3_64(text.lines().next().unwrap().as_bytes()));
            assert!(!tables.sources.contains_key(&name), "{name} is a bare hash");
            for len in [16, 32, 64, text.len()] {
                let hash = xxh3_128(&text.as_bytes()[..len]).to_le_bytes();
                assert!(memchr::memmem::find(&catalog, &hash).is_none(), "the bare hash of {len} bytes");
            }
        }
    }
}

#[test]
fn a_person_is_found_by_the_id_of_the_log() {
    let place = Place::with(&masks("hash"));
    let input = place.file("e.ndjson", EVENTS);
    let store = place.store.dir();
    fs::write(store.join("journeyql.toml"), masks("hash")).unwrap();
    said(store, &["ingest", input.to_str().unwrap(), "--max-rejects=100%"]);
    let output = Command::new(env!("CARGO_BIN_EXE_journeyql"))
        .arg("--store")
        .arg(store)
        .args(["trace", "mallory-4711", "--json"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_hidden(&output.stdout, "the answer");
}

/// A place whose key is known, so that two have the same hashes.
fn keyed(rules: &str) -> Place {
    let place = Place::with(rules);
    fs::write(place.store.dir().join("privacy.key"), "5a".repeat(32)).unwrap();
    place
}

const LOG_MASKS: &str = "[privacy]\nip = \"truncate\"\nuser_id = \"hash\"\nscrub_query = [\"q\"]\n";

#[test]
fn masked_tables_are_a_function_of_the_lines_too() {
    let visitors = |at: u64| format!("10.{}.{}.", at % 7, at % 251);
    let lines: Vec<u8> = (0..20_000).flat_map(|at| line(at).replace("10.0.0.", &visitors(at)).into_bytes()).collect();
    let whole = keyed(LOG_MASKS);
    whole.take("a.log", &lines);
    let tables = whole.tables();
    assert!(tables.events.iter().all(|row| !row.contains("?q=") || row.contains("?q=***")));
    let plain = Place::new();
    plain.take("a.log", &lines);
    let mut small = Place::new();
    small.buffer_bytes = 1 << 17;
    small.take("b.log", &lines);
    small.tables().assert_same(&plain.tables(), "small buffers without masks");
    // Rows are carried from buffer to buffer: masked once, and of the same visitor.
    let mut small = keyed(LOG_MASKS);
    small.buffer_bytes = 1 << 17;
    small.take("b.log", &lines);
    small.tables().assert_same(&tables, "small buffers");
    let parts = keyed(LOG_MASKS);
    for end in [9_000, 14_321, lines.len()] {
        parts.take("c.log", &lines[..end]);
    }
    parts.tables().assert_same(&tables, "a log that grows");
    for (name, bytes) in [("d.log", lines.clone()), ("d.gz", gzip(&lines)), ("half", lines[..lines.len() / 2].to_vec())]
    {
        let report = parts.take(name, bytes);
        assert_eq!(report.total().stored + report.total().quarantined, 0, "{name} is known");
    }
    parts.tables().assert_same(&tables, "again");
}

#[test]
fn masks_merge_and_part_nobody() {
    let people = |rules: &str| {
        let place = keyed(rules);
        place.take("a.log", log(0..500));
        let ids = |column: &str| {
            let snapshot = place.store.snapshot().unwrap();
            let rows: Vec<String> = snapshot.events().iter().flat_map(rows).collect();
            let value = |row: &String| {
                row.split(' ').find_map(|value| value.strip_prefix(column)).unwrap_or_default().to_owned()
            };
            rows.iter().map(value).collect::<std::collections::BTreeSet<_>>()
        };
        (ids("distinct_id="), ids("ip="))
    };
    let (plain, _) = people("");
    let (truncated, networks) = people("[privacy]\nip = \"truncate\"");
    let (dropped, none) = people("[privacy]\nip = \"drop\"");
    let (hashed, _) = people(LOG_MASKS);
    assert_eq!((truncated.len(), hashed.len()), (plain.len(), plain.len()));
    assert_eq!(truncated, dropped, "who somebody is does not depend on what is shown");
    assert_eq!((networks.len(), none.len()), (1, 1));
}

#[test]
fn sources_are_known_again_when_masks_come_and_go() {
    let mut place = keyed("");
    let lines = log(0..3_000);
    let ingest = |place: &Place, end: usize| place.take("a.log", &lines[..end]).total();
    assert!(ingest(&place, 50_000).stored > 0);
    place.config = journeyql::config::Config::parse(LOG_MASKS).unwrap();
    assert_eq!((ingest(&place, 50_000).stored, ingest(&place, 40_000).stored), (0, 0));
    let more = ingest(&place, 120_000);
    assert!(more.stored > 0 && more.duplicates > 0);
    place.config = journeyql::config::Config::default();
    assert_eq!((ingest(&place, 120_000).stored, ingest(&place, 110_000).stored), (0, 0));
    let rest = ingest(&place, lines.len());
    assert_eq!(rest.stored + rest.quarantined + rest.duplicates, 3_000);
    assert_eq!(place.tables().sources.len(), 1);
}

#[test]
fn a_last_line_without_consent_that_grows_is_undone() {
    let place = keyed("[privacy]\nrequire_consent = \"bytes = 12\"");
    let line = "192.0.2.7 - - [05/Jan/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 12";
    let report = place.take("a.log", format!("{line}\n{}", &line[..line.len() - 1]));
    assert_eq!(report.total().dropped_by["consent"], 1);
    let report = place.take("a.log", format!("{line}\n{line}\n"));
    assert_eq!((report.total().stored, place.tables().events.len()), (1, 2));
    let [counts] = place.tables().sources.into_values().collect::<Vec<_>>()[..] else { panic!("one source") };
    assert_eq!(counts[1..], [2, 2, 0, 0, 0]);
}
