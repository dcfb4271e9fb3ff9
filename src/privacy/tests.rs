//! What leaves the room.

use super::*;

fn privacy(rules: &str) -> Privacy {
    let config = Config::parse(rules).unwrap();
    Privacy::new(&config, &Key::new([7; 32])).unwrap().unwrap()
}

fn text(bytes: Option<impl AsRef<[u8]>>) -> Option<String> {
    bytes.map(|bytes| String::from_utf8(bytes.as_ref().to_vec()).unwrap())
}

const ALL: &str = "[privacy]\nip = \"truncate\"\nuser_id = \"hash\"\nanonymous_id = \"hash\"\nsession_id = \"hash\"\n\
                   scrub_query = true\n";

#[test]
fn hosts_by_every_mask() {
    let hash = privacy("[privacy]\nip = \"hash\"").hashed(Kind::Host, b"192.0.2.7");
    let hash = String::from_utf8(hash).unwrap();
    assert!(hash.starts_with("hash:") && hash.len() == 37);
    for (mask, host, shown) in [
        ("truncate", "192.0.2.7", Some("192.0.2.0")),
        ("truncate", "2001:db8:1:2::7", Some("2001:db8:1::")),
        ("truncate", "dialin-7.example", None),
        ("hash", "192.0.2.7", Some(hash.as_str())),
        ("drop", "192.0.2.7", None),
        ("drop", "unknown", Some("unknown")),
    ] {
        let privacy = privacy(&format!("[privacy]\nip = \"{mask}\""));
        let event = RawEvent { ip: Some(host.as_bytes()), ..RawEvent::default() };
        let who = privacy.who(&event);
        assert_eq!(text(who.ip).as_deref(), shown, "{mask} {host}");
        let visitor = text(who.visitor).unwrap();
        assert_eq!(visitor == host, host == "unknown", "{mask} {host}: {visitor}");
        if host == "192.0.2.7" {
            assert_eq!(visitor, hash, "one visitor under any mask");
        }
    }
}

#[test]
fn ids_are_hashed_once_and_junk_stays_nobody() {
    let privacy = privacy(ALL);
    let event = RawEvent {
        user_id: Some(b"u1"),
        anonymous_id: Some(b"null"),
        session_id: Some(b"caf\xe9"),
        ip: Some(b"192.0.2.7"),
        ..RawEvent::default()
    };
    let who = privacy.who(&event);
    let user = text(who.user_id.as_ref()).unwrap();
    assert_eq!(user, privacy.distinct_id("u1"));
    assert_eq!(text(who.anonymous_id.as_ref()).as_deref(), Some("null"));
    let visitor = text(who.visitor.as_ref()).unwrap();
    assert_eq!(privacy.distinct_id("ip:192.0.2.7"), format!("ip:{visitor}"));
    assert_eq!(privacy.distinct_id("anon:u1"), format!("anon:{user}"));
    assert_eq!(privacy.distinct_id(&user), user);
    let lossy = RawEvent { session_id: Some("caf\u{fffd}".as_bytes()), ..RawEvent::default() };
    assert_eq!(text(privacy.who(&lossy).session_id), text(who.session_id.as_ref()));
    let again = RawEvent {
        user_id: who.user_id.as_deref(),
        session_id: who.session_id.as_deref(),
        ip: who.ip.as_deref(),
        ..RawEvent::default()
    };
    let again = privacy.who(&again);
    assert_eq!(
        (again.user_id, again.session_id, again.ip),
        (who.user_id.clone(), who.session_id.clone(), who.ip.clone())
    );
}

/// Path, referrer, name and properties under [`ALL`], and the same when they are masked again.
fn what(event: &RawEvent<'_>) -> [Option<String>; 4] {
    let privacy = privacy(ALL);
    let mut texts = Texts::default();
    let masked = privacy.what(event, &mut texts);
    let shown = |event: &RawEvent<'_>| [event.target, event.referrer, event.event, event.properties].map(text);
    let who = privacy.who(event);
    let (user_id, ip) = (who.user_id.as_deref(), who.ip.as_deref());
    let mut more = Texts::default();
    assert_eq!(shown(&privacy.what(&RawEvent { user_id, ip, ..masked }, &mut more)), shown(&masked), "masked again");
    shown(&masked)
}

#[test]
fn other_texts_do_not_tell_the_ids_and_the_host() {
    let event = RawEvent {
        user_id: Some(b"u-1234"),
        ip: Some(b"192.0.2.7"),
        target: Some(b"/u/u-1234/edit?token=x&from=192.0.2.7&x=u-12345"),
        referrer: Some(b"https://example.com/u-1234"),
        event: Some(b"hello u-1234"),
        ..RawEvent::default()
    };
    let [target, referrer, name, _] = what(&event);
    assert_eq!(target.unwrap(), "/u/***/edit?token=***&from=***&x=u-12345");
    assert_eq!(referrer.unwrap(), "https://example.com/***");
    assert_eq!(name.unwrap(), "hello ***");
    let mail = RawEvent {
        user_id: Some(b"ann+1@example.com"),
        target: Some(b"/u/ann%2B1%40example.com/ann%2b1%40example.com/ann+1@example.com/joann%2B1%40example.com"),
        ..RawEvent::default()
    };
    assert_eq!(what(&mail)[0].as_deref(), Some("/u/***/***/***/joann%2B1%40example.com"));
    let short = RawEvent { user_id: Some(b"u1"), target: Some(b"/u1"), ..RawEvent::default() };
    assert_eq!(what(&short)[0].as_deref(), Some("/u1"), "two bytes are anything");
}

#[test]
fn properties_by_name_and_by_what_they_say() {
    let hash = privacy(ALL).distinct_id("u-1234");
    for (given, expected) in [
        (
            r#"{"plan":"pro","n":-1.5e3,"ok":true,"none":null,"l":[1,"a"]}"#,
            r#"{"plan":"pro","n":-1.5e3,"ok":true,"none":null,"l":[1,"a"]}"#,
        ),
        (r#"{ "user" : {"id" : "u-1234"} }"#, r#"{ "user" : {"id" : "HASH"} }"#),
        (
            r#"{"userId":"u-1234","Device-ID":"null","alias":["x"]}"#,
            r#"{"userId":"HASH","Device-ID":"null","alias":"***"}"#,
        ),
        (
            r#"{"previous_id":"u-1234","seen_by":["u-1234","bob"]}"#,
            r#"{"previous_id":"HASH","seen_by":["HASH","bob"]}"#,
        ),
        (r#"{"password":{"a":["x}"]},"apiKey":12,"x":1}"#, r#"{"password":"***","apiKey":"***","x":1}"#),
        (r#"{"tok\u0065n":"x","email":null,"code":""}"#, r#"{"tok\u0065n":"***","email":null,"code":""}"#),
        (r#"{"url":"https:\/\/h\/?a=1\u0026token=x"}"#, r#"{"url":"https://h/?a=1&token=***"}"#),
        (
            r#"{"h":{"X-Forwarded-For":["192.0.2.7, 198.51.100.9"]}}"#,
            r#"{"h":{"X-Forwarded-For":["192.0.2.0, 198.51.100.0"]}}"#,
        ),
        (r#"{"client_ip":"host.example","ip":"192.0.2.7"}"#, r#"{"client_ip":"***","ip":"192.0.2.0"}"#),
        (r#"{"note":"u-1234 came from 192.0.2.7"}"#, r#"{"note":"*** came from 192.0.2.0"}"#),
    ] {
        let event = RawEvent {
            user_id: Some(b"u-1234"),
            ip: Some(b"192.0.2.7"),
            properties: Some(given.as_bytes()),
            ..RawEvent::default()
        };
        let [.., properties] = what(&event);
        assert_eq!(properties.unwrap(), expected.replace("HASH", &hash), "{given}");
    }
    let number =
        RawEvent { user_id: Some(b"12345"), properties: Some(br#"{"buyer":12345,"n":123456}"#), ..RawEvent::default() };
    let hash = privacy(ALL).distinct_id("12345");
    assert_eq!(what(&number)[3].as_deref(), Some(format!(r#"{{"buyer":"{hash}","n":123456}}"#).as_str()));
}

#[test]
fn a_configured_name_inside_an_object_is_an_id_too() {
    let privacy = privacy("[fields]\nuser_id = \"customer.ref\"\n[privacy]\nuser_id = \"hash\"");
    let event =
        RawEvent { user_id: Some(b"c7"), properties: Some(br#"{"customer":{"ref":"c7"}}"#), ..RawEvent::default() };
    let mut texts = Texts::default();
    let masked = text(privacy.what(&event, &mut texts).properties).unwrap();
    assert_eq!(masked, format!(r#"{{"customer":{{"ref":"{}"}}}}"#, privacy.distinct_id("c7")));
}

#[test]
fn a_refused_line_keeps_its_shape_alone() {
    let privacy = privacy("[privacy]\nip = \"drop\"");
    let kept = |line: &[u8]| String::from_utf8(privacy.line(line)).unwrap();
    let line = kept(b"192.0.2.7 - ann [05/Jan/2026] \"GET /caf\xc3\xa9?token=x1\" 200");
    let (mark, shape) = line.split_once("] ").unwrap();
    assert_eq!(mark.len(), "[redacted 0123456789abcdef".len());
    assert_eq!(shape, "9.9.9.9 - x [9/x/9] \"x /x?x=x\" 9");
    assert_ne!(kept(b"ann"), kept(b"bob"), "two lines are two");
    assert_eq!(kept(b"ann"), kept(b"ann"));
}

#[test]
fn only_consent_that_is_certain_counts() {
    let privacy = privacy("[privacy]\nrequire_consent = \"properties.consent = true\"");
    let consents = |properties: Option<&[u8]>| privacy.consents(&RawEvent { properties, ..RawEvent::default() });
    assert!(consents(Some(br#"{"consent":true}"#)));
    assert!(!consents(Some(br#"{"consent":false}"#)));
    assert!(!consents(Some(br#"{"x":1}"#)));
    assert!(!consents(None));
    assert!(Privacy::new(&Config::default(), &Key::new([0; 32])).unwrap().is_none());
}
