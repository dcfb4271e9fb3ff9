//! Events whose properties are not those of their schema: refused with what is wrong, and in once the rule is mended.

use journeyql::config::Config;
use journeyql::ingest::retry;
use journeyql::store::Refused;

use super::{NOW, Place};

const STRICT: &str = "[schema.buy]\nrequired = [\"total\"]\nadditional = false\n\
                      [schema.buy.properties]\ntotal = \"number\"\nplan = [\"free\", \"pro\"]\n";
const LOOSE: &str = "[schema.buy]\n[schema.buy.properties]\ntotal = \"any\"\n";

fn event(minute: u32, event: &str, properties: &str) -> String {
    format!(
        "{{\"ts\":\"2026-01-05T10:{minute:02}:00Z\",\"user_id\":\"u{}\",\"event\":\"{event}\",\"type\":\"track\",\
         \"properties\":{properties}}}\n",
        minute % 3
    )
}

fn events() -> String {
    [
        ("buy", r#"{"total":1.5,"plan":"pro"}"#),
        ("buy", r#"{"total":"1.5"}"#),
        ("buy", r#"{"total":3,"plan":"gold"}"#),
        ("buy", "{}"),
        ("buy", r#"{"total":3,"color":"red"}"#),
        ("view", r#"{"total":"of no schema"}"#),
        ("buy", r#"{"total":2,"plan":null}"#),
    ]
    .iter()
    .zip(0..)
    .map(|((name, properties), minute)| event(minute, name, properties))
    .collect()
}

fn reasons(place: &Place) -> Vec<String> {
    let rows = place.tables().quarantine;
    let reason = |row: &String| Some(row.split_once("reason=")?.1.split_once(" matched_bytes=")?.0.to_owned());
    rows.iter().filter_map(reason).collect()
}

#[test]
fn what_a_schema_refuses_is_named_and_counted() {
    let place = Place::with(STRICT);
    let counts = place.take("app.ndjson", events()).total();
    assert_eq!((counts.lines, counts.stored, counts.quarantined), (7, 3, 4));
    let mut said = reasons(&place);
    said.sort();
    assert_eq!(
        said,
        [
            "schema: buy: color: nothing expected, text found",
            "schema: buy: plan: 'free' or 'pro' expected, another text found",
            "schema: buy: total: number expected, nothing found",
            "schema: buy: total: number expected, text found",
        ]
    );
    let csv = "ts,user_id,event,total,plan\n2026-01-05T10:00:00Z,u,buy,1.5,pro\n2026-01-05T10:01:00Z,u,buy,much,pro\n";
    let counts = place.take("app.csv", csv).total();
    assert_eq!((counts.stored, counts.quarantined, counts.dropped), (1, 1, 1), "a text that reads as a number is one");
}

#[test]
fn a_mended_schema_lets_in_what_it_refused() {
    let mut place = Place::with(STRICT);
    place.take("app.ndjson", events());
    place.config = Config::parse(LOOSE).unwrap();
    let other = Refused { reason: Some("schem".to_owned()), ..Refused::default() };
    assert_eq!(retry(&place.store, &place.config, &other, NOW, false).unwrap().lines, 0);
    let one = Refused { reason: Some("schema: buy: color".to_owned()), ..Refused::default() };
    let told = retry(&place.store, &place.config, &one, NOW, false).unwrap();
    assert_eq!((told.lines, told.stored), (1, 1));
    let all = Refused { reason: Some("schema".to_owned()), ..Refused::default() };
    let told = retry(&place.store, &place.config, &all, NOW, false).unwrap();
    assert_eq!((told.lines, told.stored, told.refused), (3, 3, 0));
    let scratch = Place::with(LOOSE);
    scratch.take("app.ndjson", events());
    place.tables().assert_same(&scratch.tables(), "retried");
}

#[test]
fn a_line_that_another_schema_refuses_has_its_reason_of_now() {
    let mut place = Place::with(STRICT);
    place.take("app.ndjson", event(1, "buy", r#"{"total":"1"}"#));
    place.config = Config::parse(&STRICT.replace("\"number\"", "\"boolean\"")).unwrap();
    let told = retry(&place.store, &place.config, &Refused::default(), NOW, false).unwrap();
    assert_eq!((told.refused, told.reasons_changed), (1, 1));
    assert_eq!(reasons(&place), ["schema: buy: total: boolean expected, text found"]);
}

#[test]
fn a_mask_hides_the_line_and_not_the_reason() {
    let place = Place::with(&format!("{STRICT}\n[privacy]\nuser_id = \"hash\"\n"));
    place.take("app.ndjson", event(1, "buy", r#"{"total":"secret"}"#));
    assert_eq!(reasons(&place), ["schema: buy: total: number expected, text found"]);
    assert!(!place.tables().quarantine[0].contains("secret"));
    place.take("more.ndjson", event(1, "buy", r#"{"total":1,"ann-0123456789":"secret"}"#));
    assert!(reasons(&place).contains(&"schema: buy: a property: nothing expected, text found".to_owned()));
    assert!(!place.tables().quarantine.concat().contains("ann-0123456789"));
}
