//! What Postgres clients read stands in `audit`.

use super::server::Served;

/// The reads that the audit lists.
fn reads(served: &Served) -> Vec<String> {
    let rows = served.shop.sql("csv", "SELECT detail FROM audit WHERE what = 'read' ORDER BY at");
    rows.lines().skip(1).map(|line| line.trim_matches('"').to_owned()).collect()
}

#[test]
fn what_clients_read_is_listed_and_what_they_ask_about_the_server_is_not() {
    let served = Served::new(&[]);
    let mut client = served.socket();
    client.start(&[("user", "anna"), ("application_name", "Grafana"), ("database", "journeyql")]);
    client.until_ready();
    for text in [
        "SELECT 1",
        "SHOW search_path",
        "SET statement_timeout = 9000",
        "SELECT relname FROM pg_catalog.pg_class",
        "SELECT table_name FROM information_schema.tables",
        "BEGIN",
        "COMMIT",
    ] {
        let answered = client.query(text);
        assert!(answered.error.is_empty(), "{text}: {:?}", answered.error);
    }
    assert_eq!(reads(&served), Vec::<String>::new());
    client.query("SELECT count(*) FROM steps WHERE user_id = 'u1'");
    client.query("SELECT relname, (SELECT count(*) FROM sessions) AS n FROM pg_catalog.pg_class LIMIT 1");
    client.query("BEGIN; DECLARE c CURSOR FOR SELECT user_id FROM events; FETCH 1 FROM c; COMMIT");
    client.query("COPY (SELECT page FROM steps) TO STDOUT");
    assert!(!client.query("SELECT * FROM nowhere").error.is_empty());
    let told = [
        "postgres 127.0.0.1 anna Grafana: SELECT count(*) FROM steps WHERE user_id = 'u1'",
        "postgres 127.0.0.1 anna Grafana: SELECT relname, (SELECT count(*) FROM sessions) AS n FROM \
         pg_catalog.pg_class LIMIT 1",
        "postgres 127.0.0.1 anna Grafana: SELECT user_id FROM events",
        "postgres 127.0.0.1 anna Grafana: SELECT page FROM steps",
    ];
    assert_eq!(reads(&served), told);
}
