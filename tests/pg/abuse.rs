//! Those who send what nobody should: half messages, huge ones, none at all; those who read nothing.

use std::io::Write;
use std::time::{Duration, Instant};

use super::server::{Served, message};

#[test]
fn what_is_no_message_ends_its_connection_only() {
    let mut served = Served::new(&[]);
    let garbage: [&[u8]; 8] = [
        b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 no TLS here ",
        b"\0\0\0\x04",
        b"\0\0\0\x08\0\0\0\0",
        b"\x7f\xff\xff\xff\0\x03\0\0",
        b"\xff\xff\xff\xff\0\x03\0\0",
        b"\0\0\0\x09\0\x03\0\0\0",
        b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02",
    ];
    for bytes in garbage {
        let mut client = served.socket();
        client.send(bytes);
        let _ = client.stream.shutdown(std::net::Shutdown::Write);
        assert!(client.is_closed_within(Duration::from_secs(20)), "{bytes:?}");
    }
    for bytes in [
        &b"Q\0\0\0\0"[..],
        b"Q\0\0\0\x04",
        b"Q\xff\xff\xff\xff",
        b"B\0\0\0\x06\0\0",
        b"B\0\0\0\x0c\0\0\xff\xff\xff\xff\xff\xff",
        b"E\0\0\0\x05\0",
        b"D\0\0\0\x04",
        b"\x01\0\0\0\x04",
        b"P\0\0\0\x08\0x\0\0",
        b"C\0\0\0\x05S",
        b"Q\0\0\0\x09SELECT 1\0",
    ] {
        let mut client = served.connect();
        client.send(bytes);
        let said = client.until_ready();
        assert_eq!(
            (said.field('S'), said.code()),
            ("FATAL", if bytes[1] == 0xff { "54000" } else { "08P01" }),
            "{bytes:?}"
        );
        assert!(client.is_closed_within(Duration::from_secs(20)), "{bytes:?}");
    }
    let mut client = served.connect();
    client.send(b"Q\0\0\0\x0fSELECT '\xff'\0");
    assert_eq!(client.until_ready().code(), "22021", "a byte that is no text is no other text");
    served.is_alive();
    let said = served.server.said.lock().unwrap().clone();
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_message_may_not_be_too_long() {
    let mut served = Served::new(&[]);
    let mut client = served.connect();
    let long = client.query(&format!("SELECT '{}'", "x".repeat(2 << 20)));
    assert_eq!(long.code(), "54001", "{:?}", long.field('M'));
    let mut client = served.connect();
    let _ = client.stream.write_all(b"Q\x3f\xff\xff\x00SELECT '");
    let part = vec![b'x'; 1 << 20];
    let _ = (0..64).take_while(|_| client.stream.write_all(&part).is_ok()).count();
    assert!(client.is_closed_within(Duration::from_secs(10)));
    served.is_alive();
}

#[test]
fn hostile_statements_are_refused_and_nothing_burns() {
    let mut served = Served::new(&["--timeout", "2 seconds"]);
    served.server.has_refreshed();
    let statements = [
        format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000)),
        format!("SELECT {}1", "1+".repeat(100_000)),
        format!("SELECT 1 WHERE {}TRUE", "1 = 2 OR ".repeat(20_000)),
        format!("SELECT 1 {}", "UNION ALL SELECT 1 ".repeat(3_000)),
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t".to_owned(),
        "SELECT repeat('x', 1000000000)".to_owned(),
        "SELECT count(*) FROM generate_series(1, 100000000000)".to_owned(),
        // Without a condition it is answered at once: the numbers of rows are known, and are multiplied.
        "SELECT count(*) FROM pg_class a, pg_class b, pg_class c, pg_class d, pg_class e, pg_class f, pg_class g \
         WHERE concat(a.relname, b.relname, c.relname, d.relname, e.relname, f.relname, g.relname) = ''"
            .to_owned(),
        format!("SELECT oid FROM pg_class WHERE {}TRUE", "oid = 2 OR ".repeat(20_000)),
        format!("SELECT oid FROM pg_class WHERE oid = {}1{}", "(".repeat(5_000), ")".repeat(5_000)),
        "SELECT * FROM '/etc/passwd'".to_owned(),
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'".to_owned(),
        "COPY (SELECT 1) TO PROGRAM 'touch /tmp/journeyql-program'".to_owned(),
        "SET datafusion.catalog.location = '/'".to_owned(),
        "SELECT pg_read_file('/etc/passwd')".to_owned(),
        "SELECT lo_import('/etc/passwd')".to_owned(),
        "DO $$ BEGIN END $$".to_owned(),
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/x'".to_owned(),
    ];
    for sql in &statements {
        let mut client = served.connect();
        let answered = client.query(sql);
        assert!(!answered.error.is_empty(), "{sql:.80} is answered: {:?}", answered.rows);
        let mut client = served.connect();
        assert!(!client.extended(sql, &[], 0).error.is_empty(), "{sql:.80} is answered");
        let mut client = served.connect();
        let bound = client.extended("SELECT $1", &[sql], 0);
        assert_eq!(bound.value(), sql, "a value is a value");
    }
    served.server.becomes_idle();
    served.is_alive();
}

#[test]
fn who_reads_nothing_holds_little_and_who_goes_is_not_computed_for() {
    let mut served = Served::new(&["--timeout", "10 minutes", "--max-queries", "4"]);
    served.server.has_refreshed();
    let resident = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    let before = resident(served.server.child.id());
    let sql = "SELECT repeat('x', 1000) || value FROM generate_series(1, 100000000) AS t(value)\0";
    let mut slow: Vec<_> = (0..3).map(|_| served.connect()).collect();
    for client in &mut slow {
        client.send(&message(b'Q', sql.as_bytes()));
    }
    std::thread::sleep(Duration::from_secs(3));
    if let (Some(before), Some(after)) = (before, resident(served.server.child.id())) {
        assert!(after < before + (200 << 10), "{before} KiB, then {after} KiB");
    }
    served.server.becomes_idle();
    drop(slow);
    let mut gone = served.connect();
    let endless = "SELECT count(*) FROM generate_series(1, 1000000) AS a(x), generate_series(1, 1000000) AS b(y) \
                   WHERE (x * y) % 7 = 3\0";
    gone.send(&message(b'Q', endless.as_bytes()));
    std::thread::sleep(Duration::from_secs(1));
    drop(gone);
    served.server.becomes_idle();
    served.is_alive();
}

#[test]
fn there_is_room_for_so_many_and_no_more() {
    let mut served = Served::new(&["--max-connections", "3", "--max-queries", "1"]);
    let mut idle: Vec<_> = (0..3).map(|_| served.connect()).collect();
    let mut late = served.socket();
    late.start(&[("user", "anna")]);
    assert_eq!(late.until_ready().code(), "53300");
    for client in &mut idle {
        assert_eq!(client.query("SELECT 1").value(), "1");
    }
    // Half a message is no place to stay.
    drop(idle);
    let began = Instant::now();
    let mut half = served.socket();
    half.send(b"\0\0\0\x40\0\x03");
    assert!(half.is_closed_within(Duration::from_secs(25)), "{:?}", began.elapsed());
    served.is_alive();
}

#[test]
fn what_one_connection_may_keep_has_an_end() {
    let mut served = Served::new(&[]);
    let mut client = served.connect();
    let mut codes = Vec::new();
    for number in 0..40 {
        codes.push(
            client
                .query(&format!("DECLARE c{number} CURSOR FOR SELECT * FROM generate_series(1, 100000)"))
                .code()
                .to_owned(),
        );
    }
    assert_eq!(codes.iter().filter(|code| code.as_str() == "53400").count(), 8, "{codes:?}");
    let long = format!("SELECT '{}'", "x".repeat(500 << 10));
    let prepare = |number: usize| message(b'P', format!("s{number}\0{long}\0\0\0").as_bytes());
    let refused = (0..20).any(|number| {
        client.send(&[prepare(number), message(b'S', b"")].concat());
        client.until_ready().code() == "53200"
    });
    assert!(refused, "prepared statements grow without an end");
    // What could not be prepared is not kept, and not counted.
    client.query("DEALLOCATE ALL");
    for number in 0..20 {
        let wrong = format!("w{number}\0SELECT nothing, '{}'\0\0\0", "x".repeat(500 << 10));
        client.send(&[message(b'P', wrong.as_bytes()), message(b'S', b"")].concat());
        assert_eq!(client.until_ready().code(), "42703");
    }
    assert_eq!(client.query("CLOSE ALL; DEALLOCATE ALL; SELECT 1").value(), "1");
    served.is_alive();
}
