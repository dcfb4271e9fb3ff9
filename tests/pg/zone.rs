//! Times are UTC: a client that wants another zone is told so.

use journeyql::time::parse_iso;

use super::server::Served;

#[test]
fn another_time_zone_is_refused_and_utc_has_many_names() {
    let served = Served::new(&[]);
    let mut client = served.connect();
    for set in [
        "SET TimeZone = 'Europe/Berlin'",
        "SET TIME ZONE 'Asia/Tokyo'",
        "SET SESSION TIME ZONE '+02'",
        "SET timezone TO 'nonsense'",
    ] {
        let refused = client.query(set);
        assert_eq!(refused.code(), "22023", "{set}");
        assert!(refused.field('H').contains("AT TIME ZONE"), "{:?}", refused.error);
        assert_eq!(client.query("SHOW TimeZone").value(), "UTC");
    }
    for set in ["SET TIME ZONE 'Etc/UTC'", "SET TimeZone = gmt", "SET TIME ZONE 0", "SET TIME ZONE LOCAL"] {
        let done = client.query(set);
        assert!(done.error.is_empty() && done.notices.is_empty(), "{set}: {:?}", done.error);
        assert_eq!(client.query("SHOW TIME ZONE").value(), "UTC");
    }
    assert_eq!(client.query("SELECT set_config('TimeZone', 'GMT', false)").value(), "GMT");
    assert!(!client.query("SELECT set_config('TimeZone', 'Asia/Tokyo', false)").error.is_empty());
    let here = client.query("SELECT min(ts) FROM events").value().to_owned();
    let there = client.query("SELECT min(ts) AT TIME ZONE 'Asia/Tokyo' FROM events").value().to_owned();
    assert!(there.ends_with("+09") && here.ends_with("+00"), "{here} {there}");
    assert_eq!(parse_iso(here.as_bytes(), 0), parse_iso(there.as_bytes(), 0));
}

/// As JDBC does, whatever it is used for.
#[test]
fn a_client_that_connects_with_another_zone_is_told_and_served() {
    let served = Served::new(&[]);
    for (name, value) in [("TimeZone", "Europe/Berlin"), ("options", "-c timezone=Europe/Berlin")] {
        let mut client = served.socket();
        client.start(&[("user", "anna"), (name, value)]);
        let begun = client.until_ready();
        let zone = begun.parameters.iter().find(|(name, _)| name == "TimeZone");
        assert_eq!(zone.map(|(_, value)| value.as_str()), Some("UTC"), "{:?}", begun.parameters);
        let first = client.query("SELECT 1");
        assert_eq!((first.value(), first.notices.len()), ("1", 1));
        assert!(first.notices[0].contains("TimeZone is UTC, not Europe/Berlin"), "{:?}", first.notices);
        assert_eq!(client.query("SHOW TimeZone").notices.len(), 0);
    }
    let mut quiet = served.socket();
    quiet.start(&[("user", "anna"), ("TimeZone", "Etc/UTC")]);
    quiet.until_ready();
    assert_eq!(quiet.query("SELECT 1").notices.len(), 0);
}
