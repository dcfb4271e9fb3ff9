//! Statements on the wire: types, transactions, settings, cursors, time, cancelling.

use std::time::{Duration, Instant};

use super::server::{Client, Served, message};

/// Takes longer than anybody waits, and hardly any memory.
const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 1000000) AS a(x), generate_series(1, 1000000) AS b(y) \
                       WHERE (x * y) % 7 = 3";

fn texts(rows: &[Vec<Option<String>>]) -> Vec<Vec<&str>> {
    rows.iter().map(|row| row.iter().map(|value| value.as_deref().unwrap_or("NULL")).collect()).collect()
}

#[test]
fn numbers_are_those_of_the_command_line() {
    let served = Served::new(&[]);
    let mut client = served.connect();
    for sql in [
        "SELECT * FROM transitions ORDER BY from_step, to_step",
        "SELECT * FROM funnel('/landing', '/thanks')",
        "SELECT user_id, pages FROM journeys ORDER BY session_id",
        "SELECT page, ts, status, bytes FROM events ORDER BY ts, source_offset",
        "WITH a AS (SELECT * FROM sessions) SELECT count(*), avg(duration_s) FROM a",
        "SELECT * FROM events MATCH_RECOGNIZE (PARTITION BY user_id ORDER BY ts MEASURES count(*) AS n PATTERN (a+) \
         DEFINE a AS page IS NOT NULL)",
    ] {
        let simple = client.query(sql);
        assert!(simple.error.is_empty(), "{sql}: {:?}", simple.error);
        let lines = served.shop.sql("ndjson", sql);
        assert_eq!(simple.rows.len(), lines.lines().count(), "{sql}");
        let extended = client.extended(sql, &[], 0);
        assert_eq!((&extended.rows, &extended.columns), (&simple.rows, &simple.columns), "{sql}");
    }
    let count = client.query("SELECT sum(transitions)::bigint FROM transitions");
    assert_eq!(
        count.value(),
        served.shop.sql("csv", "SELECT sum(transitions) FROM transitions").lines().nth(1).unwrap()
    );
}

#[test]
fn types_are_those_of_postgres() {
    let served = Served::new(&[]);
    let mut client = served.connect();
    let sql = "SELECT 1::smallint, 2::int, 3::bigint, 1.5::double precision, 'x', TRUE, DATE '2026-01-05', \
               to_timestamp_micros(0), arrow_cast(7, 'UInt64'), [1, 2], ['a', NULL, 'b c'], NULL, 1.50::decimal(10, 2) AS d, \
               INTERVAL '1 month', CAST(NULL AS INTERVAL) AS no_interval, arrow_cast(1, 'Timestamp(Microsecond, Some(\"UTC\"))')";
    let answered = client.query(sql);
    assert!(answered.error.is_empty(), "{:?}", answered.error);
    let kinds: Vec<u32> = answered.columns.iter().map(|(_, kind)| *kind).collect();
    assert_eq!(kinds[..7], [21, 23, 20, 701, 25, 16, 1082]);
    assert_eq!(kinds[8..], [20, 1016, 1009, 25, 1700, 1186, 1186, 1184]);
    let row = &texts(&answered.rows)[0];
    assert_eq!(row[..7], ["1", "2", "3", "1.5", "x", "t", "2026-01-05"]);
    assert_eq!(row[8..13], ["7", "{1,2}", "{a,NULL,\"b c\"}", "NULL", "1.50"]);
    assert_eq!((row[13], row[14], row[15]), ("1 mon", "NULL", "1970-01-01 00:00:00.000001+00"));
    let too_large = client.query("SELECT arrow_cast(18446744073709551615, 'UInt64')");
    assert_eq!(too_large.code(), "22003");
    let events = client.query("SELECT ts, page, status, bytes, is_step FROM events LIMIT 1").columns;
    let kinds: Vec<u32> = events.iter().map(|(_, kind)| *kind).collect();
    assert_eq!((kinds[0], kinds[1], kinds[4]), (1184, 25, 16));
}

#[test]
fn parameters_are_values() {
    let served = Served::new(&[]);
    let mut client = served.connect();
    let one = |client: &mut Client, sql: &str, values: &[&str]| client.extended(sql, values, 0).value().to_owned();
    assert_eq!(one(&mut client, "SELECT $1", &["o'x $1 -- "]), "o'x $1 -- ");
    for value in ["''", "a''b", "\\' OR true --", "pg_class x' OR 'a' = 'a", "NULL", "$$ $2", "E'\\x'", "é"] {
        assert_eq!(one(&mut client, "SELECT $1", &[value]), value);
        assert_eq!(one(&mut client, "SELECT $1 FROM pg_class LIMIT 1", &[value]), value);
    }
    let listed = |client: &mut Client, list: &str| {
        let rows = client.extended("SELECT unnest($1::text[])", &[list], 0).rows;
        rows.into_iter().map(|row| row[0].clone()).collect::<Vec<_>>()
    };
    let text = |value: &str| Some(value.to_owned());
    assert_eq!(
        listed(&mut client, r#"{a,"''","NULL",NULL,"x, \"y\""}"#),
        [text("a"), text("''"), text("NULL"), None, text("x, \"y\"")]
    );
    assert_eq!(client.extended("SELECT $1::text[]", &["{a"], 0).code(), "22P02");
    assert_eq!(one(&mut client, "SELECT 5 -$1::bigint", &["-3"]), "8");
    let all = client.query("SELECT count(*) FROM steps WHERE page = '/thanks'").value().to_owned();
    assert_eq!(
        one(&mut client, "SELECT count(*) FROM steps WHERE page = $1 AND ts > $2", &["/thanks", "2020-01-01"]),
        all
    );
    assert_eq!(one(&mut client, "SELECT count(*) FROM (SELECT * FROM steps LIMIT $1)", &["2"]), "2");
    let direct = client.query("SELECT * FROM funnel('/landing', '/thanks')").rows;
    assert_eq!(client.extended("SELECT * FROM funnel($1, $2)", &["/landing", "/thanks"], 0).rows, direct);
    // A list of nothing: `= ANY` of it is false, `<> ALL` of it is true.
    let every = client.query("SELECT count(*) FROM events WHERE page IS NOT NULL").value().to_owned();
    let empty = |test: &str| format!("SELECT count(*) FROM events WHERE page IS NOT NULL AND page {test}($1)");
    assert_eq!(one(&mut client, &empty("<> ALL"), &["{}"]), every);
    assert_eq!(one(&mut client, &empty("= ANY"), &["{}"]), "0");
    assert_eq!(client.extended("SELECT $1::int", &["x"], 0).code(), "22P02");
    assert_eq!(client.extended("SELECT $1, $2", &["x"], 0).code(), "08P01");
}

#[test]
fn errors_have_a_code_a_hint_and_a_place() {
    let served = Served::new(&[]);
    let mut client = served.connect();
    let wrong = client.query("SELECT 1;\n SELECT pge FROM events");
    assert_eq!((wrong.code(), wrong.field('P')), ("42703", "19"));
    assert!(wrong.field('H').contains("page"), "{:?}", wrong.error);
    assert_eq!(wrong.rows.len(), 1, "the first statement was answered");
    for (sql, code) in [
        ("SELECT * FROM transitons", "42P01"),
        ("SELECT nofunction(1)", "42883"),
        ("SELEC 1", "42601"),
        ("SET journeyql.nothing = 1", "42704"),
        ("SET nothing = 1", "42704"),
        ("SET client_encoding = 'LATIN1'", "22023"),
        ("CREATE TABLE a (b int)", "25006"),
        ("INSERT INTO events VALUES (1)", "25006"),
        ("CREATE SEGMENT a AS SELECT user_id FROM steps", "25006"),
        ("COPY (SELECT 1) TO '/tmp/journeyql-refused'", "25006"),
        ("COPY events FROM STDIN", "25006"),
        ("SELECT 1/0", "22012"),
    ] {
        for answered in [client.query(sql), client.extended(sql, &[], 0)] {
            assert_eq!(answered.code(), code, "{sql}: {:?}", answered.error);
        }
    }
    // The place is one of the client's text, blanks before the statement included.
    assert_eq!(client.extended("\n  SELECT pge FROM events", &[], 0).field('P'), "11");
    assert_eq!(client.query("\n  SELECT pge FROM events").field('P'), "11");
    assert_eq!(client.query("DECLARE c CURSOR FOR SELECT pge FROM events").field('P'), "");
    assert_eq!(client.query("").rows.len(), 0);
    assert_eq!(client.query("SELECT 1").value(), "1");
}

#[test]
fn settings_belong_to_their_connection() {
    let served = Served::new(&[]);
    let (mut one, mut other) = (served.connect(), served.connect());
    let gap = one.query("SHOW journeyql.session_gap").value().to_owned();
    one.query("SET journeyql.session_gap = '1 minute'");
    assert_eq!(one.query("SHOW journeyql.session_gap").value(), "1 minute");
    assert_eq!(other.query("SHOW journeyql.session_gap").value(), gap);
    // A new snapshot changes what is read, and no setting.
    served.shop.ingest("more.ndjson", "{\"user\":\"zoe\",\"ts\":\"2026-01-30T10:00:00Z\",\"page\":\"/landing\"}\n");
    assert_eq!(one.query("SELECT count(*) FROM events WHERE user_id = 'zoe'").value(), "1");
    assert_eq!(one.query("SHOW journeyql.session_gap").value(), "1 minute");
    one.query("BEGIN; SET journeyql.session_gap = '2 minutes'; ROLLBACK");
    assert_eq!(one.query("SHOW journeyql.session_gap").value(), "1 minute");
    one.query("BEGIN; SET LOCAL journeyql.session_gap = '2 minutes'; COMMIT");
    assert_eq!(one.query("SHOW journeyql.session_gap").value(), "1 minute");
    one.query("DISCARD ALL");
    assert_eq!(one.query("SHOW journeyql.session_gap").value(), gap);
    for (set, show, value) in [
        ("SET application_name TO 'x y'", "SHOW application_name", "x y"),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED",
            "SHOW transaction_isolation",
            "repeatable read",
        ),
        ("SET statement_timeout = '2s'", "SHOW statement_timeout", "2s"),
    ] {
        assert!(one.query(set).error.is_empty(), "{set}");
        assert_eq!(one.query(show).value(), value);
        assert_eq!(one.extended(show, &[], 0).value(), value);
    }
    let all = one.query("SHOW ALL");
    assert!(all.rows.len() > 60, "{}", all.rows.len());
}

#[test]
fn a_transaction_sees_one_snapshot() {
    let served = Served::new(&[]);
    let mut client = served.connect();
    let count = "SELECT count(*) FROM events";
    let before = client.query("BEGIN; SELECT count(*) FROM events").value().to_owned();
    served.shop.ingest("more.ndjson", "{\"user\":\"zoe\",\"ts\":\"2026-01-30T10:00:00Z\",\"page\":\"/landing\"}\n");
    assert_eq!(client.query(count).value(), before);
    assert_eq!(client.query("SAVEPOINT a; SELECT nothing").code(), "42703");
    assert_eq!(client.query("SELECT 1").code(), "25P02");
    assert_eq!(client.query("ROLLBACK TO SAVEPOINT a; SELECT 1").value(), "1");
    assert_eq!(client.query("COMMIT").tags, ["COMMIT"]);
    assert_ne!(client.query(count).value(), before);
    assert_eq!(client.query("COMMIT").notices, ["there is no transaction in progress"]);
}

#[test]
fn cursors_and_portals_go_on_where_they_were() {
    let served = Served::new(&["--max-queries", "2"]);
    let mut client = served.connect();
    client.query("BEGIN");
    for name in ["a", "b", "c", "d"] {
        let declared = client.query(&format!("DECLARE {name} CURSOR FOR SELECT * FROM generate_series(1, 100000)"));
        assert_eq!(declared.tags, ["DECLARE CURSOR"], "{:?}", declared.error);
    }
    let first = client.query("FETCH FORWARD 2 FROM a");
    assert_eq!((texts(&first.rows), first.tags[0].as_str()), (vec![vec!["1"], vec!["2"]], "FETCH 2"));
    assert_eq!(client.query("MOVE FORWARD 7 IN a").tags, ["MOVE 7"]);
    assert_eq!(texts(&client.query("FETCH a").rows), [["10"]]);
    assert_eq!(client.query("FETCH ALL FROM a").rows.len(), 99_990);
    assert_eq!(client.query("FETCH a").rows.len(), 0);
    // Whoever waits for its client keeps nobody else from being answered.
    let mut other = served.connect();
    assert_eq!(other.query("SELECT 1").value(), "1");
    client.query("COMMIT");
    assert_eq!(client.query("FETCH b").code(), "34000");
    let part = client.extended("SELECT * FROM generate_series(1, 10)", &[], 3);
    assert_eq!((part.rows.len(), part.tags.len()), (3, 0));
    // Outside of a transaction a portal ends with its statement.
    client.send(&[message(b'E', b"\0\0\0\0\x03"), message(b'S', b"")].concat());
    assert!(!client.until_ready().error.is_empty());
    assert_eq!(client.query("COPY (SELECT 1 AS a, 'x' AS b) TO STDOUT").tags, ["COPY 1"]);
}

#[test]
fn warnings_come_with_the_rows_however_they_are_taken() {
    let served = Served::new(&[]);
    let mut client = served.connect();
    let sql = "SELECT * FROM paths_from('/nowhere')";
    let warned = client.query(sql).notices;
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert_eq!(client.extended(sql, &[], 0).notices, warned);
    assert_eq!(client.extended(sql, &[], 1000).notices, warned);
    client.query(&format!("BEGIN; DECLARE c CURSOR FOR {sql}"));
    assert_eq!(client.query("FETCH ALL FROM c").notices, warned);
    client.query("ROLLBACK");
    assert!(client.query("SELECT 1").notices.is_empty());
}

#[test]
fn a_client_that_cannot_have_its_settings_is_not_served() {
    let served = Served::new(&[]);
    let mut client = served.socket();
    client.start(&[("user", "anna"), ("options", "-c journeyql.session_gap=nonsense")]);
    client.until_ready();
    let refused = client.query("SELECT count(*) FROM sessions");
    assert_eq!((refused.field('S'), refused.code(), refused.rows.len()), ("FATAL", "22023", 0), "{:?}", refused.error);
    assert!(client.is_closed_within(Duration::from_secs(5)));
    let mut client = served.socket();
    client.start(&[("user", "anna"), ("options", "-c journeyql.user=eve")]);
    client.until_ready();
    assert_eq!(client.query("SELECT sessions FROM stats").value(), "2");
}

#[test]
fn what_is_counted_is_shown_and_what_fails_inside_is_logged() {
    let served = Served::new(&[]);
    served.server.has_refreshed();
    let mut client = served.connect();
    client.query("SELECT 1");
    client.query("SELECT nothing");
    let metrics = served.server.get("/metrics").body;
    for line in ["pg_connections 1", "pg_connections_total 1", "pg_connections_refused_total 0", "pg_errors_total 1"] {
        assert!(metrics.contains(&format!("\njourneyql_{line}\n")), "no {line} in {metrics}");
    }
    assert!(metrics.contains("\njourneyql_pg_statements_total 2\n"), "{metrics}");
    let before = served.server.said.lock().unwrap().len();
    damage(&served.shop.store().join("data"));
    let damaged = served.connect().query("SELECT count(DISTINCT properties) FROM events");
    assert_eq!(damaged.code(), "XX001", "{:?}", damaged.error);
    let (began, said) = (Instant::now(), || served.server.said.lock().unwrap()[before..].to_owned());
    while !said().contains(".parquet") {
        assert!(began.elapsed() < Duration::from_secs(5), "{}", said());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Cuts every file of a store short.
fn damage(folder: &std::path::Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            damage(&path);
        } else {
            std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(100).unwrap();
        }
    }
}

#[test]
fn time_ends_a_statement_and_nothing_else() {
    let mut served = Served::new(&["--timeout", "3 seconds"]);
    served.server.has_refreshed();
    let mut client = served.connect();
    for (set, most) in [("SELECT 1", 5.0), ("SET statement_timeout = 500", 2.5)] {
        client.query(set);
        let began = Instant::now();
        let late = client.query(ENDLESS);
        assert_eq!(late.code(), "57014", "{:?}", late.error);
        assert!(began.elapsed().as_secs_f64() < most, "{:?}", began.elapsed());
    }
    served.server.becomes_idle();
    assert_eq!(client.query("SELECT 1").value(), "1");
    served.is_alive();
}

#[test]
fn only_the_right_key_cancels() {
    let mut served = Served::new(&["--timeout", "10 minutes"]);
    served.server.has_refreshed();
    let mut client = served.connect();
    let mut key = client.key.clone();
    client.send(&message(b'Q', format!("{ENDLESS}\0").as_bytes()));
    std::thread::sleep(Duration::from_secs(1));
    let cancel = |key: &[u8]| {
        let mut bytes = 16_u32.to_be_bytes().to_vec();
        bytes.extend(80_877_102_u32.to_be_bytes());
        bytes.extend(key);
        let mut asks = served.socket();
        asks.send(&bytes);
        assert!(asks.is_closed_within(Duration::from_secs(5)));
    };
    *key.last_mut().unwrap() ^= 1;
    cancel(&key);
    client.stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    assert!(client.next().is_none(), "a wrong key stops nothing");
    client.stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let began = Instant::now();
    cancel(&client.key.clone());
    assert_eq!(client.until_ready().code(), "57014");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    served.server.becomes_idle();
    assert_eq!(client.query("SELECT 1").value(), "1");
    served.is_alive();
}
