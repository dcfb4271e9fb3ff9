//! Collecting: answered is durable, once, and what is no event is in the quarantine.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use journeyql::config::Config;
use journeyql::database::{Call, CollectError, Collector, Database, Options, Receipt};
use journeyql::store::Refused;
use serde_json::{Value, json};

use crate::stage::wait;

struct Place {
    dir: tempfile::TempDir,
    database: Database,
}

impl Place {
    fn new() -> Self {
        Self::with("")
    }

    fn with(rules: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Some(Arc::new(Config::parse(rules).unwrap()));
        let database = Database::create(&dir.path().join("store"), Options { config, ..Options::default() }).unwrap();
        Self { dir, database }
    }

    fn rows(&self, sql: &str) -> Vec<Value> {
        wait(self.database.rows(sql)).unwrap_or_else(|error| panic!("{sql}\n{error}"))
    }

    fn inbox(&self) -> Vec<std::path::PathBuf> {
        let dir = self.dir.path().join("store/inbox");
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// A collector that commits when it stops.
    fn collector(&self) -> Collector {
        self.database.collect(Duration::from_mins(10)).unwrap()
    }
}

fn receipt() -> Receipt {
    Receipt { at: "2026-01-05T10:00:00Z".to_owned(), address: Some("192.0.2.7".to_owned()), user_agent: None }
}

fn take(collector: &Collector, call: Call, body: &Value) -> (usize, usize) {
    let shaped = collector.take(call, body.to_string().as_bytes(), &receipt()).unwrap();
    (shaped.messages, shaped.refused)
}

const AT: &str = "2026-01-05T09:00:00Z";

#[test]
fn messages_are_events_with_pages_people_and_properties() {
    let place = Place::new();
    let collector = place.collector();
    let page = json!({"type": "page", "anonymousId": "a", "messageId": "1", "timestamp": AT,
        "properties": {"url": "https://shop/cart?x=1", "title": "Cart"}});
    let track = json!({"type": "track", "anonymousId": "a", "messageId": "2", "timestamp": "2026-01-05T09:01:00Z",
        "event": "buy", "properties": {"total": 1.5}, "context": {"page": {"path": "/cart"}, "userAgent": "A"}});
    assert_eq!(
        take(&collector, Call::Batch, &json!({"batch": [page, track, 7], "sentAt": "2026-01-05T09:59:59Z"})),
        (3, 1)
    );
    let identify = json!({"userId": "u", "anonymousId": "a", "timestamp": "2026-01-05T09:02:00Z", "traits": {"n": 1}});
    assert_eq!(take(&collector, Call::Identify, &identify), (1, 0));
    assert_eq!(take(&collector, Call::Track, &json!({"event": "nobody"})), (1, 0));
    collector.stop().unwrap();
    let sql = "SELECT user_id, event, page, ip, user_agent FROM events WHERE user_id = 'u' ORDER BY ts";
    let (u, ip) = (json!("u"), json!("192.0.2.7"));
    assert_eq!(
        place.rows(sql),
        [
            json!({"user_id": u, "event": null, "page": "/cart", "ip": ip, "user_agent": null}),
            json!({"user_id": u, "event": "buy", "page": "/cart", "ip": ip, "user_agent": "A"}),
            json!({"user_id": u, "event": null, "page": null, "ip": ip, "user_agent": null}),
        ]
    );
    let said = place.rows("SELECT step_index, CAST(step AS VARCHAR) AS step FROM steps WHERE user_id = 'u' ORDER BY 1");
    assert_eq!(said, [json!({"step_index": 1, "step": "/cart"}), json!({"step_index": 2, "step": "buy"})]);
    let refused = place.rows("SELECT reason, raw FROM quarantine");
    assert_eq!(refused, [json!({"reason": "no_message", "raw": "\"no_message: 7\""})]);
    let visitors = place.rows("SELECT count(*) AS n FROM events WHERE event = 'nobody' AND user_id <> 'u'");
    assert_eq!(visitors, [json!({"n": 1})], "who gives no id is known by address and user agent");
    let sums =
        "SELECT sum(lines) = sum(stored + quarantined + dropped + duplicates) AS adds_up, sum(lines) AS n FROM sources";
    assert_eq!(place.rows(sums), [json!({"adds_up": true, "n": 5})]);
    assert!(place.inbox().is_empty(), "what is committed is put away");
}

#[test]
fn a_message_that_is_sent_twice_counts_once_for_ever() {
    let place = Place::new();
    let message = json!({"userId": "u", "event": "e", "messageId": "1", "timestamp": AT});
    for _ in 0..2 {
        let collector = place.collector();
        take(&collector, Call::Track, &message);
        take(
            &collector,
            Call::Batch,
            &json!({"batch": [{"type": "track", "userId": "u", "event": "e", "messageId": "1",
            "timestamp": AT, "sentAt": "2026-01-05T09:59:30Z"}]}),
        );
        collector.stop().unwrap();
    }
    assert_eq!(place.rows("SELECT count(*) AS n FROM events"), [json!({"n": 1})]);
    let sums = "SELECT sum(lines) AS lines, sum(stored) AS stored, sum(quarantined) AS refused FROM sources";
    assert_eq!(place.rows(sums)[0]["refused"], json!(0));
}

#[test]
fn what_is_no_message_is_refused_for_what_it_is() {
    let place = Place::new();
    let collector = place.collector();
    let long = json!({"type": "track", "event": "x".repeat(40 << 10)});
    let odd = json!({"type": "odd", "userId": "u"});
    let batch = json!({"batch": [5, odd, {"type": "track", "userId": "u"}, long, {"type": "page", "userId": "u"}]});
    assert_eq!(take(&collector, Call::Batch, &batch), (5, 4));
    assert_eq!(take(&collector, Call::Track, &json!({"userId": "u"})), (1, 1));
    collector.stop().unwrap();
    let reasons = "SELECT reason, count(*) AS n FROM quarantine GROUP BY reason ORDER BY reason";
    let row = |reason: &str, n: u32| json!({"reason": reason, "n": n});
    assert_eq!(place.rows(reasons), [row("message_too_long", 1), row("no_event", 2), row("no_message", 2)]);
    let again = place.database.retry_refused(&Refused::default(), false).unwrap();
    assert_eq!((again.lines, again.refused, again.reasons_changed, again.not_retried.len()), (5, 4, 0, 1));
}

#[test]
fn a_schema_holds_for_messages() {
    let rules = "[schema.buy]\nadditional = false\nrequired = [\"total\"]\nproperties = { total = \"number\" }";
    let place = Place::with(rules);
    let collector = place.collector();
    let buy = |properties: Value| {
        json!({"type": "track", "userId": "u", "event": "buy", "timestamp": AT,
        "context": {"locale": "de"}, "properties": properties})
    };
    let none = json!({"type": "track", "userId": "u", "event": "buy", "timestamp": AT, "context": {"locale": "de"}});
    let batch = json!({"batch": [buy(json!({"total": 1})), buy(json!({"total": "1"})), buy(json!({"n": 1})), none]});
    // What a message must be is known when it is taken, what an event must be when it is ingested.
    assert_eq!(take(&collector, Call::Batch, &batch), (4, 0));
    collector.stop().unwrap();
    let said = place.rows("SELECT reason, count(*) AS n FROM quarantine GROUP BY reason ORDER BY n");
    let row =
        |found: &str, n: u32| json!({"reason": format!("schema: buy: total: number expected, {found} found"), "n": n});
    assert_eq!(said, [row("text", 1), row("nothing", 2)]);
    assert_eq!(place.rows("SELECT count(*) AS n FROM events"), [json!({"n": 1})]);
}

#[test]
fn a_clock_that_is_wrong_is_set_right_and_the_message_still_counts_once() {
    let place = Place::new();
    let collector = place.collector();
    let sent = |at: &str| {
        json!({"sentAt": at, "batch": [{"type": "track", "userId": "u", "event": "e", "messageId": "1",
        "timestamp": "2026-01-02T09:00:00Z"}]})
    };
    // Three days behind; the second try takes longer.
    take(&collector, Call::Batch, &sent("2026-01-02T09:59:58Z"));
    take(&collector, Call::Batch, &sent("2026-01-02T09:59:31Z"));
    collector.stop().unwrap();
    let times = place.rows("SELECT CAST(ts AS VARCHAR) AS ts FROM events");
    assert_eq!(times, [json!({"ts": "2026-01-05T09:00:00Z"})]);
    assert_eq!(place.rows("SELECT count(*) AS n FROM quarantine"), [json!({"n": 0})]);
}

#[test]
fn what_one_process_was_answered_for_the_next_one_commits() {
    let place = Place::new();
    place.collector().stop().unwrap();
    let path = place.dir.path().join("store/inbox/received-00000000000000aaaaaaaa.ndjson");
    write(&path, &format!("{{\"userId\":\"u\",\"event\":\"e\",\"timestamp\":\"{AT}\"}}\n"));
    let rows = |n| [json!({"n": n})];
    let collector = place.database.collect(Duration::from_millis(20)).unwrap();
    let since = Instant::now();
    while place.rows("SELECT count(*) AS n FROM events") != rows(1) {
        assert!(since.elapsed() < Duration::from_mins(1), "{:?}", collector.status());
        std::thread::sleep(Duration::from_millis(20));
    }
    take(&collector, Call::Track, &json!({"userId": "u", "event": "f", "timestamp": AT}));
    while place.rows("SELECT count(*) AS n FROM events") != rows(2) {
        assert!(since.elapsed() < Duration::from_mins(1), "{:?}", collector.status());
        std::thread::sleep(Duration::from_millis(20));
    }
    collector.stop().unwrap();
    assert!(place.inbox().is_empty());
}

#[test]
fn a_begun_line_of_a_killed_process_is_refused_and_not_lost() {
    let place = Place::new();
    place.collector().stop().unwrap();
    let path = place.dir.path().join("store/inbox/received-00000000000000aaaaaaaa.ndjson");
    let good = format!("{{\"userId\":\"u\",\"event\":\"e\",\"timestamp\":\"{AT}\"}}\n");
    write(&path, &format!("{good}{{\"userId\":\"u\",\"ev"));
    place.collector().stop().unwrap();
    assert_eq!(place.rows("SELECT count(*) AS n FROM events"), [json!({"n": 1})]);
    assert_eq!(place.rows("SELECT reason FROM quarantine"), [json!({"reason": "json"})]);
    assert!(place.inbox().is_empty());
}

#[expect(clippy::disallowed_methods, reason = "the test plays a process that was killed")]
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

#[test]
fn bodies_without_messages_are_told_why() {
    let place = Place::new();
    let collector = place.collector();
    let why = |call, body: &[u8]| match collector.take(call, body, &receipt()) {
        Err(CollectError::Body(error)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(why(Call::Track, b"x"), "the body is no JSON object: byte 0 fits none");
    assert_eq!(why(Call::Batch, b"{}"), "the body has no list 'batch' of messages");
    collector.stop().unwrap();
    assert_eq!(place.rows("SELECT count(*) AS n FROM sources"), [json!({"n": 0})]);
}

#[test]
fn an_erasure_reaches_what_a_living_server_has_received() {
    let place = Place::new();
    let (ann, bob) = ("ann-of-the-inbox", "bob-of-the-inbox");
    let server = place.database.collect(Duration::from_millis(20)).unwrap();
    let said = |user: &str, id: &str| json!({"userId": user, "event": "e", "messageId": id, "timestamp": AT});
    take(&server, Call::Track, &said(ann, "1"));
    take(&server, Call::Track, &said(bob, "2"));
    let since = Instant::now();
    // In one process nobody waits for the other writer.
    while server.status().waiting_bytes > 0 {
        assert!(since.elapsed() < Duration::from_mins(1), "{:?}", server.status());
        std::thread::sleep(Duration::from_millis(20));
    }
    let (erased, proof) = place.database.forget(ann, false).unwrap();
    assert_eq!(erased.events, 1);
    assert_eq!(proof.unwrap().hits, Vec::<String>::new());
    // It goes on, and what comes again of her goes.
    take(&server, Call::Track, &said(ann, "3"));
    take(&server, Call::Track, &said(bob, "4"));
    server.stop().unwrap();
    assert_eq!(place.rows("SELECT user_id, count(*) AS n FROM events GROUP BY 1"), [json!({"user_id": bob, "n": 2})]);
    assert!(place.inbox().is_empty(), "{:?}", place.inbox());
}

#[test]
fn an_erasure_reaches_what_a_killed_server_has_left() {
    let place = Place::new();
    place.collector().stop().unwrap();
    let path = place.dir.path().join("store/inbox/received-00000000000000aaaaaaaa.ndjson");
    write(&path, &format!("{{\"userId\":\"ann-of-the-inbox\",\"event\":\"e\",\"timestamp\":\"{AT}\"}}\n"));
    let (erased, proof) = place.database.forget("ann-of-the-inbox", false).unwrap();
    assert_eq!((erased.events, proof.unwrap().hits), (1, Vec::new()));
    assert!(place.inbox().is_empty());
}
