//! Statements that would write, reach files, or bring an engine down: an error, the same process, the next answer.

use super::client::Shop;

const FORBIDDEN: [&str; 38] = [
    "COPY (SELECT 1) TO '/tmp/journeyql-abuse.csv'",
    "COPY events TO '/tmp/journeyql-abuse.parquet'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/journeyql-abuse.csv'",
    "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
    "CREATE EXTERNAL TABLE t (a INT) STORED AS PARQUET LOCATION 'http://localhost/'",
    "CREATE TABLE t AS SELECT 1",
    "CREATE VIEW v AS SELECT 1",
    "CREATE OR REPLACE VIEW stats AS SELECT 1",
    "CREATE SCHEMA s",
    "CREATE DATABASE d",
    "CREATE FUNCTION f() RETURNS INT RETURN 1",
    "CREATE SEGMENT s AS SELECT user_id FROM steps",
    "DROP SEGMENT buyers",
    "DROP TABLE events",
    "DROP VIEW stats",
    "INSERT INTO events SELECT * FROM events",
    "UPDATE events SET page = '/'",
    "DELETE FROM events",
    "TRUNCATE TABLE events",
    "ALTER TABLE events ADD COLUMN x INT",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    "BEGIN",
    "COMMIT",
    "SET datafusion.execution.target_partitions = 1000000",
    "SET datafusion.catalog.information_schema = false",
    "SET datafusion.runtime.memory_limit = '1000G'",
    "SET datafusion.sql_parser.recursion_limit = 1000000",
    "RESET datafusion.execution.batch_size",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM \"/etc/passwd\"",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_parquet('/etc/passwd')",
    "SELECT * FROM 'http://localhost/x.parquet'",
    "SELECT * FROM \"file:///etc/passwd\"",
    "ATTACH 'x' AS y",
    "VACUUM",
];

#[test]
fn nothing_is_written_and_no_file_is_read() {
    let shop = Shop::new();
    let mut server = shop.serve(&[]);
    for sql in FORBIDDEN {
        let answer = server.post_sql(sql);
        assert_eq!(answer.status, 400, "{sql}: {}", answer.body);
        assert!(!answer.error("message").is_empty() && !answer.body.contains("root:"), "{sql}: {}", answer.body);
        let sneaky = format!("SELECT 1; {sql}");
        assert_eq!(server.post_sql(&sneaky).status, 400, "{sneaky}");
    }
    assert!(!std::path::Path::new("/tmp/journeyql-abuse.csv").exists());
    assert_eq!(shop.sql("csv", "SELECT name FROM segments"), "name\nbuyers\n");
    server.is_alive();
}

#[test]
fn a_setting_holds_for_its_request_alone() {
    let shop = Shop::new();
    let server = shop.serve(&[]);
    let sessions = |sql: &str| server.post_sql(sql).json()[0]["sessions"].as_i64();
    assert_eq!(sessions("SET journeyql.user = 'eve'; SELECT sessions FROM stats"), Some(2));
    assert_eq!(server.post_sql("SET journeyql.user = 'eve'").body, "[]\n");
    assert_eq!(sessions("SELECT sessions FROM stats"), Some(6));
    assert_eq!(server.get("/api/stats?user=eve").json()["sessions"], 2);
    assert_eq!(server.get("/api/stats").json()["sessions"], 6);
}

/// What is known to kill or to hang an engine like this one.
fn killers() -> Vec<String> {
    let select = |expression: &str| format!("SELECT {expression} AS x");
    let union = vec!["SELECT 1"; 5_000].join(" UNION ALL ");
    let ors = (0..20_000).map(|number| format!(" OR page = '{number}'")).collect::<Vec<_>>().concat();
    let nested = |open: &str, close: &str, depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    let subqueries = format!("{}SELECT 1{}", "SELECT * FROM (".repeat(2_000), ")".repeat(2_000));
    let doubled =
        (0..40).fold("SELECT 'xxxxxxxx' AS s".to_owned(), |sql, _| format!("SELECT s || s AS s FROM ({sql})"));
    let cte = |at: usize| format!(", t{at} AS (SELECT a.x FROM t{before} AS a, t{before} AS b)", before = at - 1);
    let ctes = (1..40).map(cte).collect::<Vec<_>>().concat();
    vec![
        select(&nested("(", ")", 20_000)),
        select(&nested("abs(", ")", 20_000)),
        select(&nested("-", "", 20_000)),
        select(&nested("NOT ", "", 20_000)),
        select(&format!("1{}", " + 1".repeat(50_000))),
        select(&format!("CASE {} END", "WHEN false THEN 1 ".repeat(20_000))),
        format!("SELECT count(*) FROM steps WHERE page = ''{ors}"),
        union,
        subqueries,
        format!("SELECT length(s) FROM ({doubled})"),
        format!("WITH t0 AS (SELECT 1 AS x UNION ALL SELECT 2){ctes} SELECT count(*) FROM t39"),
        "SELECT sum(length(repeat(page, 100000000))) AS x FROM steps".to_owned(),
        "SELECT length(repeat('x', 2000000000)) AS x".to_owned(),
        "SELECT length(repeat(repeat('x', 1000000), 1000000)) AS x".to_owned(),
        "SELECT length(lpad('x', 2000000000, 'y')) AS x".to_owned(),
        "SELECT length(rpad(page, 2000000000, 'y')) AS x FROM steps".to_owned(),
        "SELECT length(replace(repeat('x', 1000000), 'x', repeat('y', 1000000))) AS x".to_owned(),
        "SELECT array_length(array_repeat(1, 10000000000)) AS x".to_owned(),
        "SELECT array_length(array_repeat(array_repeat(array_repeat('x', 10000), 10000), 10000)) AS x".to_owned(),
        "SELECT array_length(array_resize([1], 10000000000, 1)) AS x".to_owned(),
        "SELECT array_length(range(1, 10000000000)) AS x".to_owned(),
        "SELECT array_length(generate_series(1, 100000000000)) AS x".to_owned(),
        "SELECT count(*) FROM generate_series(1, 100000000000)".to_owned(),
        "SELECT sum(a.value * b.value) FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b".to_owned(),
        "SELECT count(*) FROM steps a, steps b, steps c, steps d, steps e, steps f, steps g, steps h, steps i, steps j".to_owned(),
        "SELECT count(*) FROM generate_series(1, 3000000) a(x) JOIN generate_series(1, 3000000) b(y) ON x < y".to_owned(),
        // Joins that find nothing.
        "SELECT count(*) FROM generate_series(1, 3000000) a(x) JOIN generate_series(1, 3000000) b(y) ON x * y < y".to_owned(),
        "SELECT count(*) FROM (SELECT x, 1 AS k FROM generate_series(1, 3000000) a(x)) a \
         JOIN (SELECT y, 1 AS k FROM generate_series(1, 3000000) b(y)) b ON a.k = b.k AND x * y < y".to_owned(),
        "SELECT count(*) FROM (SELECT DISTINCT x, y FROM generate_series(1, 100000) a(x), generate_series(1, 100000) b(y))".to_owned(),
        "SELECT x FROM generate_series(1, 1000000000) a(x) ORDER BY x % 1000003 DESC, x LIMIT 1 OFFSET 99999999".to_owned(),
        "WITH RECURSIVE t AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM t) SELECT count(*) FROM t".to_owned(),
        "WITH RECURSIVE t AS (SELECT 'x' AS s UNION ALL SELECT s || s FROM t) SELECT max(length(s)) FROM t".to_owned(),
        "SELECT regexp_match(repeat('a', 50000), '(a+)+$b') AS x".to_owned(),
        "SELECT 1 % 0 AS x, -9223372036854775808 / -1 AS y".to_owned(),
        "SELECT path_match('(/a*)*(/b*)*', ['/a','/b']) AS x".to_owned(),
    ]
}

#[test]
fn nothing_brings_it_down() {
    let shop = Shop::new();
    let mut server = shop.serve(&["--timeout", "3 seconds"]);
    server.has_refreshed();
    for sql in killers() {
        let began = std::time::Instant::now();
        let answer = server.post_sql(&sql);
        println!("{} {:?} {:.100} {:.200}", answer.status, began.elapsed(), sql, answer.body);
        assert!([200, 400, 413, 503].contains(&answer.status), "{sql:.100}: {}", answer.body);
        server.becomes_idle();
        server.is_alive();
    }
}

/// Hostile texts in every parameter are values and nothing else.
#[test]
fn parameters_are_values() {
    let shop = Shop::new();
    let mut server = shop.serve(&[]);
    for hostile in [
        "x'%3B%20DROP%20TABLE%20events%3B--",
        "'%20OR%20'1'%3D'1",
        "x'%3B%20COPY%20(SELECT%201)%20TO%20'%2Ftmp%2Fjourneyql-abuse.csv",
        "%00",
        "%27",
        "%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "%1B%5B2J",
        "..%2F..%2Fetc%2Fpasswd",
        "%24%7Bjndi%3Aldap%7D",
        "%F0%9F%A6%80",
        "%FF%FE",
    ] {
        for panel in journeyql::database::panel::panels() {
            for parameter in panel.parameters().filter(|parameter| !panel.has_in_path(parameter)) {
                let path = panel.path.replace("{id}", "bob").replace("{name}", "stats");
                let answer = server.get(&format!("{path}?{}={hostile}", parameter.name));
                assert!([200, 400].contains(&answer.status), "{path} {}: {}", parameter.name, answer.body);
                assert!(!answer.head.contains('\u{1b}') && !answer.body.contains('\u{1b}'), "{path}: {}", answer.body);
            }
        }
        let person = server.get(&format!("/api/user/{hostile}/replay"));
        assert!([200, 400].contains(&person.status), "{hostile}: {}", person.body);
        let view = server.get(&format!("/api/views/{hostile}"));
        assert!([400, 404].contains(&view.status), "{hostile}: {}", view.body);
    }
    server.is_alive();
}
