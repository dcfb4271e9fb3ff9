//! What is chosen, and what is said when nothing is.

use super::*;

fn chosen(requested: &str, head: &str) -> Chosen {
    match choose(requested, head.as_bytes(), &Config::default()) {
        Ok(Choice::Text(chosen)) => chosen,
        other => panic!("{requested}: {other:?}"),
    }
}

fn refused(requested: &str, head: &[u8]) -> String {
    choose(requested, head, &Config::default()).unwrap_err().to_string()
}

const COMBINED: &str = "192.0.2.7 - - [05/Jan/2026:10:04:31 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"-\"\n";
const COMMON: &str = "192.0.2.7 - - [05/Jan/2026:10:04:31 +0000] \"GET / HTTP/1.1\" 200 5\n";

#[test]
fn auto_says_what_and_why() {
    let found = chosen("auto", &COMBINED.repeat(3));
    assert_eq!((found.name.as_str(), found.why.as_str()), ("combined", "the first 3 lines match"));
    let found = chosen("auto", &format!("oops\n{}", COMBINED.repeat(10)));
    assert_eq!((found.name.as_str(), found.why.as_str()), ("combined", "9 of the first 10 lines match"));
    assert_eq!(chosen("auto", COMBINED.trim_end()).why, "the first line matches");
    // A head full of lines that are cut differently: the format that reads them all.
    let mixed = format!("{}{}x", COMBINED.repeat(5), COMMON.repeat(5));
    assert_eq!(chosen("auto", &mixed).name, "common");
    let csv = chosen("auto", "ts,user_id,event\n1767607471,u1,\"a\nb\"\n1767607472,u1,c\n");
    assert_eq!((csv.name.as_str(), csv.framing), ("csv", Framing::Csv));
    assert_eq!(csv.why, "a header of 3 columns, separator ',', the first 2 records match");
    assert!(matches!(choose("auto", b"PAR1\x15\x04", &Config::default()), Ok(Choice::Parquet { .. })));
}

#[test]
fn own_formats_come_first() {
    let config = Config::parse(
        r#"
        [format.app]
        regex = '^(?<ts>\S+) (?<user_id>\S+) (?<event>\S+)$'
        samples = ["2026-01-05T10:04:31Z u1 login"]
        "#,
    )
    .unwrap();
    let head = b"2026-01-05T10:04:31Z u1 login\n2026-01-05T10:04:32Z u1 logout\n";
    for requested in ["app", "auto"] {
        let Ok(Choice::Text(found)) = choose(requested, head, &config) else { panic!() };
        assert_eq!(found.name, "app");
    }
    let mut broken = config.clone();
    broken.format.get_mut("app").unwrap().samples = vec!["2026-01-05T10:04:31Z u1".to_owned()];
    let message = choose("app", head, &broken).unwrap_err().to_string();
    assert!(message.contains("sample 1 is refused (malformed) at byte 23"), "{message}");
}

#[test]
fn an_expression_is_a_format() {
    let found = chosen(r"^(?<ts>\S+) (?<user_id>\S+) (?P<event>\S+)$", "");
    assert_eq!(found.why, "a regular expression");
    let message = refused(r"^(?<user_id>\S+)$", b"");
    assert!(message.contains("no group (?<ts>…) for the time"), "{message}");
    let message = refused(r"^(?<ts>\S+", b"");
    assert!(message.contains("no regular expression"), "{message}");
}

#[test]
fn unknown_names_get_a_suggestion() {
    let message = refused("combind", b"");
    assert!(message.starts_with("unknown format 'combind' – did you mean 'combined'?"), "{message}");
    let message = refused("xyzzy", b"");
    assert!(message.starts_with("unknown format 'xyzzy' – 'journeyql formats' lists all"), "{message}");
    assert_eq!(chosen("IIS", "").name, "w3c");
}

#[test]
fn heads_that_nothing_reads() {
    assert!(refused("auto", b"").starts_with("the source is empty"));
    assert!(refused("auto", b"\n \n").starts_with("the source is empty"));
    assert!(refused("auto", &[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, b'\n', 0, 0]).contains("byte 0 is 0x7f"));
    let message = refused("auto", b"192.0.2.7 - - [05/Jan/2026:10:04:31] \"GET / HTTP/1.1\" 200 5\nhello\n");
    assert!(message.starts_with("no format fits the first 2 lines\n  closest: "), "{message}");
    assert!(message.contains("0 of 2 lines match"), "{message}");
    assert!(message.contains("192.0.2.7 - - [⟨here⟩05/Jan"), "{message}");
    assert!(refused("auto", b"[\n{\"ts\":1},\n{\"ts\":2},\n{\"ts\":2},\n{\"ts\":3}\n]\n").contains("jq -c '.[]'"));
    assert!(refused("auto", b"{\n \"ts\":1\n}\n").contains("jq -c ."));
    assert!(refused("auto", b"<html>\n</html>\n").contains("XML or HTML"));
    assert!(refused("auto", b"when,who\n1,2\n").contains("if this is CSV"));
    let message = refused("auto", b"{\"when\":1}\n{\"when\":2}\n");
    assert!(message.contains("closest: ndjson") && message.contains("[fields] ts"), "{message}");
    assert!(refused("csv", b"a,b\n1,2\n").contains("names no time"));
    assert!(refused("parquet", b"a,b\n1,2\n").contains("PAR1"));
}
